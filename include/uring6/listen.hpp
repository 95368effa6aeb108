// listen_packet and dial_packet open conns, with Go's network words.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "uring6/event_loop.hpp"
#include "uring6/opening_hook.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/released_packet.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Options that a conn needs before it is opened.
struct packet_options {
  /// Several sockets share the port; the kernel spreads the flows. SO_REUSEPORT.
  bool reuse_port = false;
  /// Other sockets may bind the same port at the same time, as listeners of a multicast group do. Always on for a
  /// multicast address. SO_REUSEADDR.
  bool reuse_address = false;
  /// Allows an address that this host does not have (yet). IPV6_FREEBIND.
  bool freebind = false;
  /// The address to dial from, with its port (0: any); nullopt: the kernel chooses. No effect on `listen_packet`. Go:
  /// Dialer.LocalAddr.
  std::optional<endpoint> local{};
  /// For UDP with a multicast address: binds to the group itself instead of the wildcard address, so that the conn
  /// receives neither unicast nor other groups (`join_group` of another group is `errc::bound_to_group`). A
  /// link-local group then needs its zone. Off: the wildcard address, as in Go.
  ///
  /// A raw conn is always bound to the group, or to any address if the group is link-local and has no zone.
  bool bind_to_group = false;
  /// Receives and sends by this interface only. SO_BINDTODEVICE.
  std::string device{};
  /// Size of the kernel's receive buffer, octets; 0: the system's. Beyond net.core.rmem_max with CAP_NET_ADMIN only;
  /// `packet_conn::receive_buffer` tells what was granted. The kernel takes twice the size as memory and about 800
  /// octets for a small datagram, so 4 MiB hold about 10,000 of them.
  std::size_t receive_buffer = 4 * 1024 * 1024;
  /// Size of the kernel's send buffer, octets; 0: the system's.
  std::size_t send_buffer = 0;
  /// Delivers multicast only for the groups that this conn has joined, not for all groups of the host. Switches off
  /// IPV6_MULTICAST_ALL and, for the IPv4 groups of a dual-stack conn, IP_MULTICAST_ALL.
  ///
  /// On a raw conn that is bound to any address the kernel ignores this option and the sources. A raw conn that is
  /// bound to one of the host's addresses receives what is sent to that address and to the groups that the conn has
  /// joined.
  bool joined_groups_only = true;
  /// Lets the kernel deliver runs of equal datagrams as one train; the conn takes the train apart again. UDP_GRO.
  ///
  /// The conn leaves it off on kernels that merge datagrams of different ECN and report one value for all: before
  /// Linux 6.9, and before 6.8.10, 6.6.31 and 6.1.91 of the stable series. `probe` says so.
  ///
  /// A dialed conn without it reads payloads only, until `set_control_message` asks for control messages. This is the
  /// fastest way to read datagrams that come singly.
  bool receive_offload = true;
  /// Sends datagrams of equal length to one destination as one train. UDP_SEGMENT.
  bool send_offload = true;
  /// The longest datagram that the program expects, octets; 0: any. With 1 to 1,728 and no receive_offload the conn
  /// reads into buffers of 2,048 octets, and a datagram longer than 1,728 octets is cut (`truncated`). Above 1,728,
  /// or with receive_offload, the option has no effect.
  std::size_t longest_datagram = 0;
  /// Writes complete as soon as they are copied, and leave together when the loop next enters the kernel: at the latest
  /// when the coroutine next waits for anything, or ends. A datagram for which there is no room to copy is written as
  /// without this option; room is 2 MiB for a conn and 16 MiB for all conns of a loop. A payload that is written to
  /// several destinations one after the other is copied once.
  ///
  /// If the kernel then refuses the datagram, the next write to the same destination gets the error and is not sent, or
  /// `flush` gets it; writes to other destinations are sent. The conn keeps the last such error;
  /// `packet_stats::failed_after_write` counts them all. What can be told without the kernel (a payload that is too
  /// long, a bad control message) is an error of the write itself.
  bool coalesce_writes = false;
  /// Octets from which a send (a datagram or a train) goes without a copy: the device reads the payload from the
  /// caller's memory. 0: never. It pays for trains of at least 16 KiB, on devices that gather and compute checksums.
  /// UDP only. IORING_OP_SENDMSG_ZC.
  ///
  /// Where the kernel copies nevertheless (loopback, veth, datagrams that it must fragment) the conn tries it for
  /// only one in 1024 sends to that address. Kernels before 6.2 cannot report a copy; on them all sends are normal.
  ///
  /// Such a write ends when the kernel has released the payload, which depends on the device and its queue. A stop
  /// request or a deadline does not end the write earlier (the write then returns that it was sent). Closing the
  /// conn, or destroying a coroutine that writes, blocks for that time.
  std::size_t zero_copy_from = 0;
  /// Called with the socket before the socket is bound or connected. `adopt_packet` does not call it. `listen_group`
  /// calls it for each socket, on the thread of the socket's loop, one after the other. Go: ListenConfig.Control,
  /// Dialer.Control.
  opening_hook control{};
};

/// Opens a conn that receives at `address`. Go: net.ListenPacket.
///
/// `network`:
/// - "udp6" (IPv6 only) or "udp" (dual stack: IPv4 peers appear as v4-mapped addresses);
/// - "ip6:ipv6-icmp", "ip6:ospf", "ip6:89", …: raw IPv6 packets of one protocol, by name (/etc/protocols) or number.
///   The payload is what follows the IPv6 header and its extension headers. Needs CAP_NET_RAW (EPERM). Endpoints have
///   port 0. "ip6:255" only sends: whole packets including the IPv6 header, which the caller writes
///   (`ipv6_header::encode`).
/// - "icmp6": ICMPv6 echo without a privilege. The conn sends requests and receives their replies. The kernel writes
///   the identifier, which is `local_endpoint().port`, and delivers replies with that identifier. EACCES unless a group
///   of the process is in net.ipv4.ping_group_range. Go: icmp.ListenPacket("udp6", …).
///
/// `address` for UDP has a port: "[::1]:1024", "[fe80::1%eth0]:53", ":53" for any address, "[::]:0" for a port that
/// the kernel chooses (see `local_endpoint`). Otherwise it has none: "::", "fe80::1%eth0", "" for any address. For
/// "icmp6" "[::]:77" chooses the identifier.
///
/// A multicast address for UDP ("[ff02::]:1024", "[ff05::114]:7777", "224.0.0.0:1024") means the wildcard address of
/// its family, with a port that other listeners share; `bind_to_group` binds to the group instead. The conn is then a
/// member of no group: `join_group` joins those to receive, of any prefix. With `joined_groups_only`, which is on by
/// default, the conn receives no group that only other sockets of this host have joined.
///
/// The conn belongs to `loop` and must be opened and used on the loop's thread (until the loop is first run: any
/// thread).
///
/// Errors: `errc::wrong_thread`, `errc::unknown_network`, `errc::not_an_address`, `errc::missing_port`,
/// `errc::unknown_zone`, `errc::needless_zone`, `errc::ipv4_address` (only an IPv6 address is possible),
/// `errc::no_ipv6`, EADDRINUSE, EADDRNOTAVAIL, EACCES (a port below 1024), …
URING6_EXPORT result<packet_conn> listen_packet(event_loop& loop, std::string_view network, std::string_view address,
                                                const packet_options& options = {});
/// The same at an endpoint, such as one that `resolve` found. For a network without ports the endpoint's port must be
/// 0 (for "icmp6" the identifier or 0); else `errc::out_of_range`.
URING6_EXPORT result<packet_conn> listen_packet(event_loop& loop, std::string_view network, const endpoint& address,
                                                const packet_options& options = {});

/// Opens a conn that sends to `address` only and receives from `address` only. The conn discards datagrams that other
/// hosts send to the socket before it is connected. `write` needs no destination, and ICMP errors from the peer's
/// host are reported. `address` is an address, not a name: `resolve` finds the addresses of a name.
///
/// Network words and errors as of `listen_packet`; ENETUNREACH. Go: net.Dial, net.DialUDP.
URING6_EXPORT result<packet_conn> dial_packet(event_loop& loop, std::string_view network, std::string_view address,
                                              const packet_options& options = {});
URING6_EXPORT result<packet_conn> dial_packet(event_loop& loop, std::string_view network, const endpoint& address,
                                              const packet_options& options = {});

/// Takes over a socket that another program or library has opened (socket activation, `release`): AF_INET6, and UDP,
/// raw or ICMPv6, bound or connected as it is. The conn owns the socket and closes it. After an error, or
/// std::bad_alloc, the caller still owns it.
///
/// Control messages that the socket was asked for stay on (`packet_conn::enabled_control`). Each datagram's source is
/// the kernel's, also after the owner has connected the socket to another peer. `packet_stats::kernel_drops` counts
/// from the adoption on.
///
/// Of `options` only those apply that can be set on an open socket: receive_offload, send_offload, longest_datagram,
/// coalesce_writes, zero_copy_from. UDP_GRO stays on if it is on, because trains may already wait in the socket.
/// UDP_SEGMENT is switched off. The socket becomes blocking, because io_uring needs it so; all descriptors of the
/// socket share O_NONBLOCK.
///
/// A raw or ICMPv6 socket that another program has connected counts as unconnected, because the kernel does not tell
/// its peer.
///
/// Errors: EBADF, ENOTSOCK; address_family_not_supported if the socket is not AF_INET6; wrong_protocol_type for a
/// stream or an unsupported protocol. Go: net.FilePacketConn.
URING6_EXPORT result<packet_conn> adopt_packet(event_loop& loop, int fd, const packet_options& options = {});

/// The same for what `packet_conn::release` returned: the datagrams that the old conn had read ahead come first, and
/// the count of the kernel's drops goes on from the old conn's. After success `from` holds nothing of value. After an
/// error the caller still owns the descriptor and the datagrams.
///
/// Until they are read, the copies of the datagrams count against `loop_options::moved_out_limit`. Errors: the same;
/// `std::errc::no_buffer_space` if the copies do not fit into that limit (a loop with a higher limit takes them, or the
/// caller hands over a part of them); `std::errc::not_enough_memory`. Each datagram is charged with its description, so
/// a loop with the same limit may refuse a backlog of many short ones.
URING6_EXPORT result<packet_conn> adopt_packet(event_loop& loop, const released_packet& from,
                                               const packet_options& options = {});

/// The same for a socket that the caller keeps: the conn works on a duplicate of the descriptor, and closing one
/// leaves the other open. The socket's options stay as they are (receive_offload has no effect), but the socket
/// becomes blocking, for its owner's reads, too (they can use MSG_DONTWAIT). Errors: as `adopt_packet`, EMFILE.
///
/// The owner and the conn read the same socket; each datagram goes to one of them. The conn reads ahead of its
/// reader: use `release` instead of `close` to get the datagrams not yet taken, which `close` counts as
/// `packet_stats::discarded`.
URING6_EXPORT result<packet_conn> borrow_packet(event_loop& loop, int fd, const packet_options& options = {});

}  // namespace uring6::inline v0
