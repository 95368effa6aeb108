#include "sys/socket/socket_options.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <cassert>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace uring6::inline v0 {
namespace {

constexpr std::int64_t any = INT_MAX;
constexpr std::int64_t none = -1;  // as the greatest value: the option is read only

// A class, because `using enum` needs a scope.
struct options {
  using enum option;
  using enum payload;
  static constexpr option_info table[] = {
      {traffic_class, "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, integer, -1, 255},
      {hop_limit, "IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, integer, -1, 255},
      {multicast_hop_limit, "IPV6_MULTICAST_HOPS", IPPROTO_IPV6, IPV6_MULTICAST_HOPS, integer, -1, 255},
      {multicast_interface, "IPV6_MULTICAST_IF", IPPROTO_IPV6, IPV6_MULTICAST_IF, integer, 0, any},
      {multicast_loopback, "IPV6_MULTICAST_LOOP", IPPROTO_IPV6, IPV6_MULTICAST_LOOP, integer, 0, 1},
      {unicast_interface, "IPV6_UNICAST_IF", IPPROTO_IPV6, IPV6_UNICAST_IF, network_order, 0, any},
      {dont_fragment, "IPV6_DONTFRAG", IPPROTO_IPV6, IPV6_DONTFRAG, integer, 0, 1},
      {mtu_discovery, "IPV6_MTU_DISCOVER", IPPROTO_IPV6, IPV6_MTU_DISCOVER, integer, 0, IPV6_PMTUDISC_OMIT},
      // SOL_RAW: at IPPROTO_IPV6 the kernel refuses this option on ICMPv6 sockets.
      {checksum, "IPV6_CHECKSUM", SOL_RAW, IPV6_CHECKSUM, integer, -1, any},
      {v4_traffic_class, "IP_TOS", IPPROTO_IP, IP_TOS, integer, 0, 255},
      {v4_hop_limit, "IP_TTL", IPPROTO_IP, IP_TTL, integer, -1, 255},
      {v4_multicast_hop_limit, "IP_MULTICAST_TTL", IPPROTO_IP, IP_MULTICAST_TTL, integer, -1, 255},
      {v4_multicast_interface, "IP_MULTICAST_IF", IPPROTO_IP, IP_MULTICAST_IF, bytes, sizeof(ip_mreqn),
       sizeof(ip_mreqn)},
      {v4_multicast_loopback, "IP_MULTICAST_LOOP", IPPROTO_IP, IP_MULTICAST_LOOP, integer, 0, 1},
      {v4_mtu_discovery, "IP_MTU_DISCOVER", IPPROTO_IP, IP_MTU_DISCOVER, integer, 0, IP_PMTUDISC_OMIT},
      {multicast_all, "IPV6_MULTICAST_ALL", IPPROTO_IPV6, IPV6_MULTICAST_ALL, integer, 0, 1},
      {v4_multicast_all, "IP_MULTICAST_ALL", IPPROTO_IP, IP_MULTICAST_ALL, integer, 0, 1},
      {receive_packet_info, "IPV6_RECVPKTINFO", IPPROTO_IPV6, IPV6_RECVPKTINFO, integer, 0, 1},
      {receive_traffic_class, "IPV6_RECVTCLASS", IPPROTO_IPV6, IPV6_RECVTCLASS, integer, 0, 1},
      {receive_hop_limit, "IPV6_RECVHOPLIMIT", IPPROTO_IPV6, IPV6_RECVHOPLIMIT, integer, 0, 1},
      {receive_path_mtu, "IPV6_RECVPATHMTU", IPPROTO_IPV6, IPV6_RECVPATHMTU, integer, 0, 1},
      {receive_timestamp, "SO_TIMESTAMPNS_NEW", SOL_SOCKET, SO_TIMESTAMPNS_NEW, integer, 0, 1},
      {receive_errors, "IPV6_RECVERR", IPPROTO_IPV6, IPV6_RECVERR, integer, 0, 1},
      {receive_v4_packet_info, "IP_PKTINFO", IPPROTO_IP, IP_PKTINFO, integer, 0, 1},
      {receive_v4_traffic_class, "IP_RECVTOS", IPPROTO_IP, IP_RECVTOS, integer, 0, 1},
      {receive_v4_hop_limit, "IP_RECVTTL", IPPROTO_IP, IP_RECVTTL, integer, 0, 1},
      {receive_v4_errors, "IP_RECVERR", IPPROTO_IP, IP_RECVERR, integer, 0, 1},
      {only_v6, "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, integer, 0, 1},
      {freebind, "IPV6_FREEBIND", IPPROTO_IPV6, IPV6_FREEBIND, integer, 0, 1},
      {bind_without_port, "IP_BIND_ADDRESS_NO_PORT", IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, integer, 0, 1},
      {reuse_address, "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, integer, 0, 1},
      {reuse_port, "SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, integer, 0, 1},
      {bind_to_device, "SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE, bytes, 0, IFNAMSIZ - 1},
      {bind_to_interface, "SO_BINDTOIFINDEX", SOL_SOCKET, SO_BINDTOIFINDEX, integer, 0, any},
      {path_mtu, "IPV6_PATHMTU", IPPROTO_IPV6, IPV6_PATHMTU, bytes, 0, none},
      {receive_buffer, "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, buffer_size, 0, any / 2},
      {receive_buffer_force, "SO_RCVBUFFORCE", SOL_SOCKET, SO_RCVBUFFORCE, buffer_size, 0, any / 2},
      {send_buffer, "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, buffer_size, 0, any / 2},
      {send_buffer_force, "SO_SNDBUFFORCE", SOL_SOCKET, SO_SNDBUFFORCE, buffer_size, 0, any / 2},
      {udp_receive_offload, "UDP_GRO", IPPROTO_UDP, UDP_GRO, integer, 0, 1},
      {udp_segment, "UDP_SEGMENT", IPPROTO_UDP, UDP_SEGMENT, integer, 0, 65535},
      {attach_filter, "SO_ATTACH_FILTER", SOL_SOCKET, SO_ATTACH_FILTER, program, 1, BPF_MAXINSNS},
      {detach_filter, "SO_DETACH_FILTER", SOL_SOCKET, SO_DETACH_FILTER, integer, 0, 0},
      {attach_reuse_port_filter, "SO_ATTACH_REUSEPORT_CBPF", SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program, 1,
       BPF_MAXINSNS},
      {icmp_filter, "ICMPV6_FILTER", IPPROTO_ICMPV6, ICMP6_FILTER, bytes, 32, 32},
      {no_delay, "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, integer, 0, 1},
      {keep_alive, "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, integer, 0, 1},
      {keep_alive_idle, "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, integer, 1, 32767},
      {keep_alive_interval, "TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, integer, 1, 32767},
      {keep_alive_count, "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, integer, 1, 127},
      {socket_domain, "SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, integer, 0, none},
      {socket_type, "SO_TYPE", SOL_SOCKET, SO_TYPE, integer, 0, none},
      {socket_protocol, "SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, integer, 0, none},
      {socket_listens, "SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, integer, 0, none},
      {pending_error, "SO_ERROR", SOL_SOCKET, SO_ERROR, integer, 0, none},
  };
};

consteval bool in_order() {
  for (std::size_t i = 0; i < std::size(options::table); ++i) {
    if (options::table[i].id != static_cast<option>(i)) return false;
  }
  return options::table[std::size(options::table) - 1].id == option::pending_error;
}
static_assert(in_order(), "describe() indexes the table by option");

result<void> set_raw(int fd, const option_info& row, const void* value, std::size_t length) noexcept {
  if (::setsockopt(fd, row.level, row.number, value, static_cast<socklen_t>(length)) != 0) {
    // For every option in the table ENODEV means that the interface does not exist.
    if (errno == ENODEV) return fail(errc::unknown_zone);
    return fail_errno(errno);
  }
  return {};
}

result<std::size_t> get_raw(int fd, const option_info& row, void* value, std::size_t length) noexcept {
  auto written = static_cast<socklen_t>(length);
  if (::getsockopt(fd, row.level, row.number, value, &written) != 0) return fail_errno(errno);
  assert(written <= length && "the kernel wrote beyond the caller's memory");
  return written;
}

bool takes_integer(const option_info& row) noexcept {
  return row.kind != payload::bytes && row.kind != payload::program;
}

result<int> set_buffer(int fd, std::int64_t bytes, option forced, option plain) noexcept {
  result<void> set = set_option(fd, forced, bytes);
  // Without CAP_NET_ADMIN the kernel silently limits the size to net.core.rmem_max or wmem_max.
  if (!set && set.error() == std::errc::operation_not_permitted) set = set_option(fd, plain, bytes);
  if (!set) return fail(set.error());
  return get_option(fd, plain);
}

}  // namespace

std::span<const option_info> option_table() noexcept {
  return options::table;
}

const option_info& describe(option id) noexcept {
  assert(static_cast<std::size_t>(id) < std::size(options::table));
  return options::table[static_cast<std::size_t>(id)];
}

result<void> detail::set_integer_option(int fd, option id, std::int64_t value) noexcept {
  const option_info& row = describe(id);
  if (!takes_integer(row) || !row.allows(value)) return fail(errc::out_of_range);
  auto given = static_cast<int>(value);
  if (row.kind == payload::network_order) given = static_cast<int>(htonl(static_cast<std::uint32_t>(given)));
  return set_raw(fd, row, &given, sizeof given);
}

result<int> get_option(int fd, option id) noexcept {
  const option_info& row = describe(id);
  if (!takes_integer(row)) return fail(errc::out_of_range);
  int value = 0;
  const result<std::size_t> got = get_raw(fd, row, &value, sizeof value);
  if (!got) return fail(got.error());
  switch (row.kind) {
    case payload::network_order:
      return static_cast<int>(ntohl(static_cast<std::uint32_t>(value)));
    case payload::buffer_size:
      return value / 2;
    default:
      return value;
  }
}

result<void> set_option(int fd, option id, std::span<const std::byte> value) noexcept {
  const option_info& row = describe(id);
  if (row.kind != payload::bytes || !row.allows(std::ssize(value))) return fail(errc::out_of_range);
  return set_raw(fd, row, value.data(), value.size());
}

result<std::size_t> get_option(int fd, option id, std::span<std::byte> value) noexcept {
  const option_info& row = describe(id);
  if (row.kind != payload::bytes) return fail(errc::out_of_range);
  return get_raw(fd, row, value.data(), value.size());
}

result<void> set_option(int fd, option id, std::span<const sock_filter> program) noexcept {
  const option_info& row = describe(id);
  if (row.kind != payload::program || !row.allows(std::ssize(program))) return fail(errc::out_of_range);
  sock_fprog given;
  std::memset(&given, 0, sizeof given);  // the padding behind the length, too, which the kernel is given
  given.len = static_cast<unsigned short>(program.size());
  given.filter = const_cast<sock_filter*>(program.data());  // the kernel only reads the program
  return set_raw(fd, row, &given, sizeof given);
}

result<int> set_receive_buffer(int fd, std::int64_t bytes) noexcept {
  return set_buffer(fd, bytes, option::receive_buffer_force, option::receive_buffer);
}

result<int> set_send_buffer(int fd, std::int64_t bytes) noexcept {
  return set_buffer(fd, bytes, option::send_buffer_force, option::send_buffer);
}

result<void> set_bound_device(int fd, std::string_view name) noexcept {
  if (!describe(option::bind_to_device).allows(std::ssize(name)) || name.find('\0') != name.npos) {
    return fail(errc::unknown_zone);
  }
  return set_option(fd, option::bind_to_device, std::as_bytes(std::span(name)));
}

result<std::string> bound_device(int fd) {
  std::array<char, IFNAMSIZ> name{};
  const result<std::size_t> got = get_option(fd, option::bind_to_device, std::as_writable_bytes(std::span(name)));
  if (!got) return fail(got.error());
  return std::string(name.data());
}

result<std::uint32_t> path_mtu(int fd) noexcept {
  ip6_mtuinfo info{};
  const result<std::size_t> got = get_option(fd, option::path_mtu, std::as_writable_bytes(std::span(&info, 1)));
  if (!got) return fail(got.error());
  if (*got != sizeof info) return fail(errc::malformed);
  return info.ip6m_mtu;
}

}  // namespace uring6::inline v0
