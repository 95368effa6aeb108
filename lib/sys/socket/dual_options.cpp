#include "sys/socket/dual_options.hpp"

#include <netinet/in.h>

#include <span>

#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0 {
namespace {

template <class V4>
result<void> set_for(int fd, families of, option v6, std::int64_t value, V4 set_v4) noexcept {
  if (!describe(v6).allows(value)) return fail(errc::out_of_range);
  if (of != families::v6) {
    if (const result<void> set = set_v4(); !set) return set;
  }
  return of == families::v4 ? result<void>() : set_option(fd, v6, value);
}

// The kernel's value for its own default. A caller cannot give it: nullopt is the default.
constexpr int kernels_default = -1;

template <class Set>
result<void> set_or_default(std::optional<int> value, Set set) noexcept {
  if (value && *value < 0) return fail(errc::out_of_range);
  return set(value.value_or(kernels_default));
}

}  // namespace

result<void> set_traffic_class(int fd, families of, std::optional<int> traffic_class) noexcept {
  return set_or_default(traffic_class, [=](int value) {
    return set_for(fd, of, option::traffic_class, value, [=] {
      // On a TCP connection the kernel keeps the ECN bits itself, and takes only the other six bits of the value.
      return set_option(fd, option::v4_traffic_class, value == kernels_default ? 0 : value);
    });
  });
}

result<void> set_hop_limit(int fd, families of, std::optional<int> hops) noexcept {
  return set_or_default(hops, [=](int value) {
    return set_for(fd, of, option::hop_limit, value, [=]() -> result<void> {
      if (value == 0) return fail(errc::out_of_range);
      return set_option(fd, option::v4_hop_limit, value);
    });
  });
}

result<void> set_dont_fragment(int fd, families of, bool on) noexcept {
  return set_for(fd, of, option::dont_fragment, on ? 1 : 0,
                 [=] { return set_option(fd, option::v4_mtu_discovery, on ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT); });
}

result<void> set_multicast_hop_limit(int fd, families of, std::optional<int> hops) noexcept {
  return set_or_default(hops, [=](int value) {
    return set_for(fd, of, option::multicast_hop_limit, value,
                   [=] { return set_option(fd, option::v4_multicast_hop_limit, value); });
  });
}

result<void> set_multicast_loopback(int fd, families of, bool on) noexcept {
  return set_for(fd, of, option::multicast_loopback, on ? 1 : 0,
                 [=] { return set_option(fd, option::v4_multicast_loopback, on); });
}

result<void> set_multicast_interface(int fd, families of, std::uint32_t index) noexcept {
  return set_for(fd, of, option::multicast_interface, index, [=]() -> result<void> {
    ip_mreqn by{};
    by.imr_ifindex = static_cast<int>(index);
    const auto set = set_option(fd, option::v4_multicast_interface, std::as_bytes(std::span(&by, 1)));
    // IP_MULTICAST_IF reports an interface that does not exist as EADDRNOTAVAIL.
    if (!set && index != 0 && set.error() == std::errc::address_not_available) return fail(errc::unknown_zone);
    return set;
  });
}

}  // namespace uring6::inline v0
