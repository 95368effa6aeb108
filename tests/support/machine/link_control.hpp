// The functions of `ip link` and `ip addr`, in the network namespace of the calling thread. Each throws
// std::system_error.
#pragma once

#include <cstdint>
#include <string>

#include "support/machine/network_namespace.hpp"
#include "uring6/address.hpp"

namespace uring6::test {

inline constexpr std::uint32_t loopback_index = 1;  // In every network namespace.

enum class link_state { down, up };

void set_link(std::uint32_t index, link_state state);
/// Whether the kernel has announced that the link is up and has its carrier: the kernel's own reactions are under way
/// then. `ip -d link`, "state UP"
bool is_operational(std::uint32_t index);
void delete_link(std::uint32_t index);
/// `ip link set name`, of a link that is down: kernels before 6.2 refuse it for one that is up.
void rename_link(std::uint32_t index, const std::string& name);
/// `ip link set mtu`. Below 1,280 the kernel removes IPv6 from the device.
void set_mtu(std::uint32_t index, std::uint32_t mtu);
/// `ip link set netns`. The link keeps its index if that is free there, and loses its addresses.
void move_link(std::uint32_t index, const network_namespace& to);
/// `ip link property add altname`: up to 127 characters.
void add_alternative_name(std::uint32_t index, const std::string& name);

/// A pair of virtual Ethernet devices: `name` here, `far_name` in `far`. With `index` the near one gets that
/// index, else the next free one.
void create_veth(const std::string& name, const network_namespace& far, const std::string& far_name,
                 std::uint32_t index = 0);

/// Lifetimes in seconds as in `ip addr add ... valid_lft ... preferred_lft ...`, by default for ever. An address is
/// usable at once (`nodad`) unless duplicate address detection is requested.
struct address_options {
  std::uint32_t valid = 0xffffffff;
  std::uint32_t preferred = 0xffffffff;
  bool prove_unique = false;
  /// The kernel makes a temporary address beside it if net.ipv6.conf.*.use_tempaddr is set. `mngtmpaddr`
  bool make_temporary = false;
};

/// For a v4-mapped address the prefix length is that of IPv4.
void add_address(std::uint32_t index, const ip_address& address, std::uint8_t prefix_length,
                 address_options options = {});
/// `ip route add destination/prefix_length via router dev index`
void add_route(std::uint32_t index, const ip_address& destination, std::uint8_t prefix_length,
               const ip_address& router);
/// A route whose packets go nowhere. This host's own sends fail with EINVAL, EHOSTUNREACH or EACCES; of forwarded
/// packets the sender hears nothing, "address unreachable" or "administratively prohibited".
enum class dead_route { blackhole, unreachable, prohibit };
/// `ip route add blackhole destination/prefix_length`, and likewise.
void add_dead_route(dead_route kind, const ip_address& destination, std::uint8_t prefix_length);
/// `ip route delete blackhole destination/prefix_length`, and likewise.
void delete_dead_route(dead_route kind, const ip_address& destination, std::uint8_t prefix_length);

/// Drops the path MTU that the kernel has learned for this destination by a Packet Too Big; without that the kernel
/// keeps it for ten minutes. `ip -6 route flush cache`
void forget_path_mtu(const ip_address& destination);

void delete_address(std::uint32_t index, const ip_address& address, std::uint8_t prefix_length);
/// Gives an address other lifetimes. `ip addr change`
void change_address(std::uint32_t index, const ip_address& address, std::uint8_t prefix_length,
                    address_options options);

/// Datagrams that leave by this link wait in a queue and leave at this rate, in octets a second. `tc qdisc replace ...
/// tbf`
void limit_rate(std::uint32_t index, std::uint32_t rate);

/// Drops the queue and its datagrams; the link has its full rate again. `tc qdisc delete`
void drop_queue(std::uint32_t index);

/// Writes /proc/sys/`path`, such as "net/ipv6/mld_max_msf".
void write_sysctl(const std::string& path, const std::string& value);

/// Reads /proc/sys/`path`, a number.
long read_sysctl(const std::string& path);

}  // namespace uring6::test
