// Parsing and formatting of addresses with the name of an interface of this system as zone.
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>

#include "ipv6/address/address_text.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/interface.hpp"

namespace uring6::inline v0 {
namespace {

static_assert(zone_name_size == IF_NAMESIZE);

result<std::uint32_t> find_zone(std::string_view name) {
  // Longer than a name can be, so it is an alternative name; if_nametoindex takes only short ones.
  if (name.size() >= zone_name_size)
    return interface::by_name(name).transform([](const interface& i) { return i.index; });
  std::array<char, zone_name_size> terminated{};
  name.copy(terminated.data(), terminated.size() - 1);
  const unsigned index = if_nametoindex(terminated.data());
  if (index != 0) return index;
  // The look-up may have failed for another reason than an unknown name, such as a lack of descriptors.
  const int error = errno;
  // glibc returns ENOENT if it could not open a socket to ask with. Opening one here tells the reason.
  if (error == ENOENT) {
    if (const auto socket = open_socket(AF_INET6, SOCK_DGRAM); !socket) return fail(socket.error());
  }
  if (error != ENODEV && error != ENXIO) return fail_errno(error);
  return fail(errc::unknown_zone);
}

std::string_view find_name(std::uint32_t index, std::span<char, zone_name_size> buffer) {
  const char* const name = if_indextoname(index, buffer.data());
  return name ? std::string_view(name) : std::string_view();
}

}  // namespace

result<ip_address> ip_address::parse(std::string_view text) {
  return parse_address(text, find_zone);
}

std::string ip_address::to_string() const {
  return std::string(format_address(*this, find_name).view());
}

result<endpoint> endpoint::parse(std::string_view text) {
  return parse_endpoint(text, find_zone);
}

std::string endpoint::to_string() const {
  return std::string(format_endpoint(*this, find_name).view());
}

}  // namespace uring6::inline v0
