#include "uring6/listen.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <span>
#include <string>

#include "net/kernel/receive_merging.hpp"
#include "net/packet/adoption.hpp"
#include "net/packet/network_word.hpp"
#include "net/packet/packet_socket.hpp"
#include "runtime/loop/loop_core.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/socket/arrivals.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0 {
namespace {

using detail::packet_kind;
using detail::packet_network;

/// A sequence of calls that ends with the first failure; `error` is the error of that call.
class steps {
 public:
  template <class Call>
  steps& then(bool wanted, Call&& call) {
    if (wanted && !error_) {
      if (const auto done = call(); !done) error_ = done.error();
    }
    return *this;
  }
  std::error_code error() const noexcept { return error_; }

 private:
  std::error_code error_;
};

std::error_code apply(int fd, const packet_network& net, const packet_options& options) {
  const bool udp = net.kind == packet_kind::udp;
  const auto on = [fd](option which, int value = 1) { return [=] { return set_option(fd, which, value); }; };
  return steps()
      .then(udp, on(option::only_v6, net.dual_stack ? 0 : 1))
      .then(options.reuse_address, on(option::reuse_address))
      .then(options.reuse_port, on(option::reuse_port))
      .then(options.freebind, on(option::freebind))
      .then(!options.device.empty(), [&] { return set_bound_device(fd, options.device); })
      .then(options.joined_groups_only, on(option::multicast_all, 0))
      // The kernel's default for this option is off on an IPv6 socket, on on an IPv4 socket.
      .then(net.dual_stack, on(option::v4_multicast_all, options.joined_groups_only ? 0 : 1))
      .then(udp && options.receive_offload, on(option::udp_receive_offload))
      .then(options.receive_buffer > 0,
            [&] { return set_receive_buffer(fd, static_cast<std::int64_t>(options.receive_buffer)); })
      .then(options.send_buffer > 0,
            [&] { return set_send_buffer(fd, static_cast<std::int64_t>(options.send_buffer)); })
      .error();
}

detail::buffer_class class_for(const packet_options& options) {
  const bool small = !options.receive_offload && options.longest_datagram > 0 &&
                     options.longest_datagram <= detail::buffer_layout::longest_in_small;
  return small ? detail::buffer_class::small : detail::buffer_class::large;
}

/// The shortest zero-copy send, octets; 0 where there are none: on raw sockets, and on a kernel without the operation.
std::size_t zero_copy_from(event_loop& loop, const packet_network& net, const packet_options& options) {
  const bool can = net.kind == packet_kind::udp && loop.core()->ring().features().zero_copy_send;
  return can ? options.zero_copy_from : 0;
}

result<file_descriptor> open_socket_for(const packet_network& net) {
  switch (net.kind) {
    case packet_kind::udp:
      return open_socket(AF_INET6, SOCK_DGRAM);
    case packet_kind::raw:
      return open_socket(AF_INET6, SOCK_RAW, static_cast<int>(net.protocol));
    case packet_kind::icmp:
      break;
  }
  return open_socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
}

/// Parses an address with or without a port. Only UDP has ports. The "port" of an ICMP conn is the identifier of its
/// echo requests; without one the kernel chooses it.
result<endpoint> parse_end(const packet_network& net, std::string_view text) {
  if (net.kind == packet_kind::udp) {
    const auto end = endpoint::parse(text);
    if (end && !net.dual_stack && end->address.is_v4_mapped()) return fail(errc::ipv4_address);
    return end;
  }
  if (text.empty()) return endpoint{};
  const auto address = ip_address::parse(text);
  if (address && address->is_v4_mapped()) return fail(errc::ipv4_address);
  if (address) return endpoint{*address, 0};
  if (net.kind == packet_kind::icmp && text.starts_with('[')) return endpoint::parse(text);
  return fail(address.error());
}

/// The address to bind to for datagrams that are sent to `given`: for a group the wildcard address of its family.
ip_address listening_address(const packet_network& net, const packet_options& options, const ip_address& given) {
  if (!given.is_multicast()) return given;
  if (net.kind == packet_kind::udp) {
    if (options.bind_to_group) return given;
    return given.is_v4_mapped() ? ip_address::v4_mapped({}) : ip_address();
  }
  // The kernel refuses to bind to a link-local group without an interface.
  const bool needs_zone = given.scope() <= multicast_scope::link_local && given.zone() == 0;
  return needs_zone ? ip_address() : given;
}

/// The checks of `parse_end`, for an endpoint that the caller did not give as text.
std::error_code check_end(const packet_network& net, const endpoint& end) {
  if (net.kind == packet_kind::udp)
    return !net.dual_stack && end.address.is_v4_mapped() ? errc::ipv4_address : std::error_code();
  if (end.address.is_v4_mapped()) return errc::ipv4_address;
  if (net.kind == packet_kind::raw && end.port != 0) return errc::out_of_range;
  return {};
}

/// Opens a conn. `address`: as the caller gave it, for the hook `options.control`. `attach` binds or connects the
/// socket.
template <class Attach>
result<packet_conn> open(event_loop& loop, const packet_network& net, packet_options options, const endpoint& address,
                         std::optional<endpoint> peer, Attach&& attach) {
  if (const auto error = detail::check_thread(loop)) return fail(error);
  options.receive_offload =
      options.receive_offload && net.kind == packet_kind::udp && detail::kernel_merges_only_equals();
  options.send_offload = options.send_offload && net.kind == packet_kind::udp;
  auto fd = open_socket_for(net);
  if (!fd) return fail(fd.error());
  if (const auto error = apply(fd->get(), net, options)) return fail(error);
  if (const auto error = options.control(fd->get(), address)) return fail(error);
  if (const result<void> attached = attach(fd->get()); !attached) return fail(attached.error());
  // Datagrams that the kernel dropped before the socket was connected do not count as the conn's drops.
  const auto drops = peer ? drop_count(fd->get()) : result<std::uint32_t>(0);
  if (!drops) return fail(drops.error());
  return packet_conn(std::make_unique<detail::packet_socket>(
      loop.core(), std::move(*fd),
      detail::packet_socket_options{.connected = peer.has_value(),
                                    .payload_alone = peer && net.kind == packet_kind::udp && !options.receive_offload,
                                    .dual_stack = net.dual_stack,
                                    .drops_seen = *drops,
                                    .receive_class = class_for(options),
                                    .send = {.coalesce = options.coalesce_writes,
                                             .trains = options.send_offload,
                                             .udp = net.kind == packet_kind::udp,
                                             .zero_copy_from = zero_copy_from(loop, net, options),
                                             .peer = peer.value_or(endpoint{})}}));
}

}  // namespace

namespace {

/// The end that an address of this network names.
result<endpoint> end_of(std::string_view network_word, std::string_view address) {
  return detail::parse_packet_network(network_word).and_then([&](const packet_network& net) {
    return parse_end(net, address);
  });
}

result<packet_conn> listen_at(event_loop& loop, std::string_view network_word, const endpoint& local,
                              const packet_options& options) {
  const auto net = detail::parse_packet_network(network_word);
  if (!net) return fail(net.error());
  if (const auto error = check_end(*net, local)) return fail(error);
  packet_options chosen = options;
  if (local.address.is_multicast()) chosen.reuse_address = true;
  return open(loop, *net, std::move(chosen), local, {}, [&](int fd) {
    const endpoint where{listening_address(*net, options, local.address), local.port};
    // Checks the zone of `local` even when `where` has none.
    return check_zone(fd, local.address).and_then([&] { return bind_socket(fd, where); });
  });
}

result<packet_conn> dial_to(event_loop& loop, std::string_view network_word, const endpoint& peer,
                            const packet_options& options) {
  const auto net = detail::parse_packet_network(network_word);
  if (!net) return fail(net.error());
  if (const auto error = check_end(*net, peer)) return fail(error);
  return open(loop, *net, options, peer, peer, [&](int fd) {
    // Until the socket is connected the kernel delivers datagrams of every sender, and the conn would show them as its
    // peer's.
    const auto before = drop_arrivals(fd);
    if (!before) return result<void>(fail(before.error()));
    return (options.local ? bind_socket(fd, *options.local) : result<void>())
        .and_then([&] { return connect_socket(fd, peer); })
        .and_then([&] { return admit_arrivals(fd, *before); });
  });
}

/// The object of a failure to open: "udp6 [::1]:53 from [::1]:1024 on eth0".
std::string object_text(std::string_view network_word, std::string_view address, const packet_options& options,
                        bool dials) {
  std::string text = fmt::format("{} {}", network_word, address);
  if (dials && options.local) text += " from " + options.local->to_string();
  if (!options.device.empty()) text += " on " + options.device;
  return text;
}
}  // namespace

result<packet_conn> listen_packet(event_loop& loop, std::string_view network_word, std::string_view address,
                                  const packet_options& options) {
  const auto listen = [&](const endpoint& local) { return listen_at(loop, network_word, local, options); };
  return detail::noted(end_of(network_word, address).and_then(listen), "listen_packet",
                       [&] { return object_text(network_word, address, options, false); });
}
result<packet_conn> listen_packet(event_loop& loop, std::string_view network_word, const endpoint& local,
                                  const packet_options& options) {
  return detail::noted(listen_at(loop, network_word, local, options), "listen_packet",
                       [&] { return object_text(network_word, local.to_string(), options, false); });
}

result<packet_conn> dial_packet(event_loop& loop, std::string_view network_word, std::string_view address,
                                const packet_options& options) {
  const auto dial = [&](const endpoint& peer) { return dial_to(loop, network_word, peer, options); };
  return detail::noted(end_of(network_word, address).and_then(dial), "dial_packet",
                       [&] { return object_text(network_word, address, options, true); });
}
result<packet_conn> dial_packet(event_loop& loop, std::string_view network_word, const endpoint& peer,
                                const packet_options& options) {
  return detail::noted(dial_to(loop, network_word, peer, options), "dial_packet",
                       [&] { return object_text(network_word, peer.to_string(), options, true); });
}

namespace {

/// The kind of a socket that the program has opened.
result<packet_network> network_of(int fd) {
  const auto family = get_option(fd, option::socket_domain);
  if (!family) return fail(family.error());
  if (*family != AF_INET6) return fail(std::errc::address_family_not_supported);
  const auto type = get_option(fd, option::socket_type);
  if (!type) return fail(type.error());
  const auto protocol = get_option(fd, option::socket_protocol);
  if (!protocol) return fail(protocol.error());
  packet_network net{};
  net.protocol = static_cast<decltype(net.protocol)>(*protocol);
  if (*type == SOCK_RAW) {
    net.kind = packet_kind::raw;
  } else if (*type == SOCK_DGRAM && *protocol == IPPROTO_ICMPV6) {
    net.kind = packet_kind::icmp;
  } else if (*type == SOCK_DGRAM && *protocol == IPPROTO_UDP) {
    net.kind = packet_kind::udp;
    const auto only_v6 = get_option(fd, option::only_v6);
    if (!only_v6) return fail(only_v6.error());
    net.dual_stack = *only_v6 == 0;
  } else {
    return fail(std::errc::wrong_protocol_type);
  }
  return net;
}

struct handed_over {
  std::span<const kept_datagram> datagrams{};
  std::optional<std::uint32_t>
      kernel_drops{};              // the count of drops at which the new conn's count is 0; empty: the present
  std::optional<endpoint> peer{};  // of a connected raw socket: the kernel does not report it
  bool is_shared = false;          // other code reads the socket, too: its options must stay
};

result<packet_conn> adopt(event_loop& loop, int fd, const packet_options& options, const handed_over& before) {
  if (const auto error = detail::check_thread(loop)) return fail(error);
  const auto net = network_of(fd);
  if (!net) return fail(net.error());
  const bool udp = net->kind == packet_kind::udp;
  // If UDP_GRO is on already, it stays on: trains may wait in the socket, and the kernel reports their segment size
  // only while it is on.
  const auto merges = udp ? get_option(fd, option::udp_receive_offload) : result<int>(0);
  if (!merges) return fail(merges.error());
  const bool to_merge = options.receive_offload && udp && !before.is_shared && detail::kernel_merges_only_equals();
  packet_options chosen = options;
  chosen.receive_offload = *merges != 0 || to_merge;
  if (const auto blocks = make_blocking(fd); !blocks) return fail(blocks.error());
  auto peer = peer_endpoint(fd);
  if (!peer && peer.error() != std::errc::not_connected) return fail(peer.error());
  // getpeername fails on a connected raw socket, which has no port.
  if (!peer && before.peer) peer = *before.peer;
  const auto drops = before.kernel_drops ? result<std::uint32_t>(*before.kernel_drops) : drop_count(fd);
  if (!drops) return fail(drops.error());
  const auto asked = detail::what_was_asked(fd, net->dual_stack);
  if (!asked) return fail(asked.error());
  // The kernel would cut each longer datagram into segments of a UDP_SEGMENT size that the socket had before.
  if (udp && !before.is_shared) {
    if (const auto set = set_option(fd, option::udp_segment, 0); !set) return fail(set.error());
  }
  if (to_merge) {
    if (const auto set = set_option(fd, option::udp_receive_offload, 1); !set) return fail(set.error());
  }
  lent_descriptor lent(fd);
  auto made = std::make_unique<detail::packet_socket>(
      loop.core(), lent.take(),
      detail::packet_socket_options{.connected = peer.has_value(),
                                    .dual_stack = net->dual_stack,
                                    .asked = *asked,
                                    .drops_seen = *drops,
                                    .receive_class = class_for(chosen),
                                    .send = {.coalesce = options.coalesce_writes,
                                             .trains = options.send_offload && udp,
                                             .udp = udp,
                                             .zero_copy_from = zero_copy_from(loop, *net, options),
                                             .peer = peer.value_or(endpoint{})}});
  if (const auto taken = made->take_in(before.datagrams); !taken) {
    made->give_up_descriptor();
    return fail(taken.error());
  }
  return packet_conn(std::move(made));
}

}  // namespace

result<packet_conn> adopt_packet(event_loop& loop, int fd, const packet_options& options) {
  return detail::noted(adopt(loop, fd, options, {}), "adopt_packet", detail::descriptor_number(fd));
}

result<packet_conn> adopt_packet(event_loop& loop, const released_packet& from, const packet_options& options) {
  const handed_over before{.datagrams = from.datagrams, .kernel_drops = from.kernel_drops, .peer = from.peer};
  return detail::noted(adopt(loop, from.fd, options, before), "adopt_packet", detail::descriptor_number(from.fd));
}

result<packet_conn> detail::adopt_handed_over(event_loop& loop, const released_packet& from,
                                              const packet_options& options) {
  return adopt(loop, from.fd, options,
               {.datagrams = from.datagrams, .kernel_drops = from.kernel_drops, .peer = from.peer, .is_shared = true});
}

result<packet_conn> borrow_packet(event_loop& loop, int fd, const packet_options& options) {
  const auto borrow = [&]() -> result<packet_conn> {
    file_descriptor own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!own) return fail_errno(errno);
    auto made = adopt(loop, own.get(), options, {.is_shared = true});
    if (made) (void)own.release();
    return made;
  };
  return detail::noted(borrow(), "borrow_packet", detail::descriptor_number(fd));
}

}  // namespace uring6::inline v0
