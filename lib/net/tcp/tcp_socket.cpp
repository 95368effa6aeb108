#include "net/tcp/tcp_socket.hpp"

#include <sys/socket.h>

#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0::detail {

result<file_descriptor> open_tcp_socket(bool only_v6, const tcp_options& options) {
  auto opened = open_socket(AF_INET6, SOCK_STREAM);
  if (!opened) return opened;
  const int fd = opened->get();
  result<void> done = set_option(fd, option::only_v6, only_v6);
  if (done && options.reuse_port) done = set_option(fd, option::reuse_port, 1);
  if (done && options.freebind) done = set_option(fd, option::freebind, 1);
  if (done && !options.device.empty()) done = set_bound_device(fd, options.device);
  if (done) done = set_option(fd, option::no_delay, options.no_delay);
  if (done) done = set_keep_alive(fd, options.keep_alive);
  if (!done) return fail(done.error());
  return opened;
}

result<void> ask_hook(const tcp_options& options, int fd, const endpoint& address) {
  if (const auto error = options.control(fd, address)) return fail(error);
  return {};
}

result<void> check_tcp_socket(int fd) {
  const auto family = get_option(fd, option::socket_domain);
  if (!family) return fail(family.error());
  if (*family != AF_INET6) return fail(std::errc::address_family_not_supported);
  const auto protocol = get_option(fd, option::socket_protocol);
  if (!protocol) return fail(protocol.error());
  if (*protocol != IPPROTO_TCP) return fail(std::errc::wrong_protocol_type);
  return {};
}

result<void> set_keep_alive(int fd, const std::optional<keep_alive>& when) {
  if (!when) return set_option(fd, option::keep_alive, 0);
  return set_option(fd, option::keep_alive_idle, when->idle.count())
      .and_then([&] { return set_option(fd, option::keep_alive_interval, when->interval.count()); })
      .and_then([&] { return set_option(fd, option::keep_alive_count, when->probes); })
      .and_then([&] { return set_option(fd, option::keep_alive, 1); });
}

result<std::optional<keep_alive>> get_keep_alive(int fd) {
  const auto on = get_option(fd, option::keep_alive);
  if (!on) return fail(on.error());
  if (*on == 0) return std::optional<keep_alive>();
  const auto idle = get_option(fd, option::keep_alive_idle);
  const auto interval = get_option(fd, option::keep_alive_interval);
  const auto probes = get_option(fd, option::keep_alive_count);
  if (!idle) return fail(idle.error());
  if (!interval) return fail(interval.error());
  if (!probes) return fail(probes.error());
  return std::optional<keep_alive>({std::chrono::seconds(*idle), std::chrono::seconds(*interval), *probes});
}

}  // namespace uring6::inline v0::detail
