// Opening conns: listen_packet and dial_packet, with Go's network words.
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

namespace uring6 {

/// What must be known before a conn is opened.
struct packet_options {
  /// Several sockets share the port; the kernel spreads the flows. SO_REUSEPORT.
  bool reuse_port = false;
  /// The port may be taken while another socket has it, as listeners of a multicast group do. On by itself for a
  /// multicast address. SO_REUSEADDR.
  bool reuse_address = false;
  /// Bind to an address that this host does not have (yet). IPV6_FREEBIND.
  bool freebind = false;
  /// To dial from, with the port (0: any); none: the kernel chooses. Without effect on `listen_packet`. Go:
  /// Dialer.LocalAddr.
  std::optional<endpoint> local{};
  /// UDP with a multicast address: bind to that group itself, so that nothing else is heard, no unicast and no other
  /// group (joining one is `errc::bound_to_group`). A group of link-local scope needs its zone then. Off: the
  /// wildcard address, as in Go. Raw conns are bound to the group, or to any address if link-local without a zone.
  bool bind_to_group = false;
  /// Hear and send by this interface only. SO_BINDTODEVICE.
  std::string device{};
  /// Size of the kernel's receive buffer, octets; 0: the system's. Beyond net.core.rmem_max with privilege only;
  /// `packet_conn::receive_buffer` tells what was granted. A small datagram takes about 800 octets of it.
  std::size_t receive_buffer = 4 * 1024 * 1024;
  /// Size of the kernel's send buffer, octets; 0: the system's.
  std::size_t send_buffer = 0;
  /// Deliver multicast only for groups that this conn has joined, not for all that the host has. IPV6_MULTICAST_ALL
  /// and, for the IPv4 groups of a dual-stack conn, IP_MULTICAST_ALL off. The kernel heeds neither this nor sources on
  /// raw conns bound to any address; bound to one of the host's, a raw conn hears what is sent to that and what it has
  /// joined.
  bool joined_groups_only = true;
  /// Let the kernel hand over runs of equal datagrams as one; the conn takes them apart again. Left off where the
  /// kernel merges datagrams of different ECN and tells one's for all: before Linux 6.9, and 6.8.10, 6.6.31 and 6.1.91
  /// of the stable series, as `probe` says. UDP_GRO. A dialed conn without it has the kernel write payloads alone as
  /// long as no control message is asked for by `set_control_message`, which is the fastest way to read datagrams that
  /// come singly.
  bool receive_offload = true;
  /// Send runs of equal datagrams as one. UDP_SEGMENT.
  bool send_offload = true;
  /// The longest datagram that will come, octets; 0: any. With 1 to 1,728 and no receive_offload the conn reads into
  /// buffers of 2,048 octets, and what is longer than 1,728 is cut (`truncated`). Above 1,728, or with receive_offload,
  /// it has no effect.
  std::size_t longest_datagram = 0;
  /// Writes complete as soon as they are copied, and leave together when the loop next enters the kernel. An error is
  /// then reported by the next write (which is not sent), by `flush`, and in the counters. What there is no room to
  /// copy (2 MiB for a conn, 16 MiB for all of a loop) is written as without this.
  bool coalesce_writes = false;
  /// Octets from which a send (a datagram, or a train of them) goes without a copy: the device fetches the payload from
  /// the caller's memory. 0: never. Worth while for trains of at least some 16 KiB on devices that gather and compute
  /// checksums. Where the kernel copies nevertheless (loopback, veth, datagrams that it must fragment) it is asked once
  /// in 1024 sends to that address only, and a kernel that cannot (before 6.2) never.
  ///
  /// A write then ends when the kernel has let go of the payload, which is up to the device and its queue. Neither a
  /// stop request nor a deadline is faster than that (the write says that it was sent), and closing the conn or
  /// destroying a coroutine that writes blocks for so long. UDP only. IORING_OP_SENDMSG_ZC
  std::size_t zero_copy_from = 0;
  /// Called with the socket before it is bound or connected; not by `adopt_packet`. By `listen_group` for each socket,
  /// on the thread of its loop, one after the other. Go: ListenConfig.Control, Dialer.Control.
  opening_hook control{};
};

/// Opens a conn that receives at `address`.
///
/// `network`:
/// - "udp6" (IPv6 only) or "udp" (dual stack: IPv4 peers appear as v4-mapped addresses);
/// - "ip6:ipv6-icmp", "ip6:ospf", "ip6:89", …: raw IPv6, the payload behind the IPv6 header and its extension headers
/// of
///   packets of one protocol, by name (/etc/protocols) or number. CAP_NET_RAW (EPERM). Endpoints have port 0. "ip6:255"
///   only sends: whole packets, whose header the caller writes (`header::encode`).
/// - "icmp6": ICMPv6 echo without a privilege: requests out, their replies in. The kernel writes the identifier, which
///   is `local_endpoint().port`, and delivers what bears it. EACCES unless a group of the process is in
///   net.ipv4.ping_group_range. Go: icmp.ListenPacket("udp6", …).
///
/// `address` with a port for UDP: "[::1]:1024", "[fe80::1%eth0]:53", "[::]:0" (the kernel chooses the port, see
/// `local_endpoint`), or ":53" for any address; else without: "::", "fe80::1%eth0", or "" for any; for "icmp6" also
/// "[::]:77", which chooses the identifier.
///
/// A multicast address for UDP ("[ff02::]:1024", "[ff05::114]:7777", "224.0.0.0:1024") means: listen at the wildcard
/// address of its family, and share the port with other listeners. It makes the conn a member of no group; join those
/// to hear, of any prefix (`bind_to_group` binds to the one group instead). With `joined_groups_only`, which is on, the
/// conn hears no group that others on this host have joined.
///
/// The conn belongs to `loop` and must be opened and used on its thread (on any, until the loop is first run). Errors:
/// `errc::wrong_thread`, `errc::unknown_network`, `errc::bad_address`, `errc::missing_port`, `errc::unknown_zone`,
/// `errc::needless_zone`, `errc::ipv4_address` for one where only IPv6 can go, `errc::no_ipv6`, EADDRINUSE,
/// EADDRNOTAVAIL, EACCES (a port below 1024), … Go: net.ListenPacket.
[[nodiscard]] URING6_EXPORT result<packet_conn> listen_packet(event_loop& loop, std::string_view network,
                                                              std::string_view address,
                                                              const packet_options& options = {});
/// The same at an endpoint, such as one of `resolve`. Where there are no ports its port is 0 (for "icmp6" the
/// identifier or 0), else `errc::out_of_range`.
[[nodiscard]] URING6_EXPORT result<packet_conn> listen_packet(event_loop& loop, std::string_view network,
                                                              const endpoint& address,
                                                              const packet_options& options = {});

/// Opens a conn that talks to `address` only, and hears that address only, from its first datagram on: what strangers
/// send to the socket before it is connected is dropped. `write` needs no destination, and errors that the peer's host
/// reports (ICMP) are seen. `address` has an address and no name: `resolve` finds those of a name, which takes time.
/// Network words and errors as of `listen_packet`; ENETUNREACH. Go: net.Dial, net.DialUDP.
[[nodiscard]] URING6_EXPORT result<packet_conn> dial_packet(event_loop& loop, std::string_view network,
                                                            std::string_view address,
                                                            const packet_options& options = {});
[[nodiscard]] URING6_EXPORT result<packet_conn> dial_packet(event_loop& loop, std::string_view network,
                                                            const endpoint& address,
                                                            const packet_options& options = {});

/// Takes a socket over that somebody else has opened (socket activation, another library, `release`): AF_INET6, and
/// UDP, raw or ICMPv6, bound or connected as it is. The conn owns it and closes it; after an error, or std::bad_alloc,
/// it is still the caller's. Control messages that its socket was asked for stay on (`packet_conn::enabled_control`).
/// Each datagram's source is the kernel's, also after the socket is connected elsewhere. `packet_stats::kernel_drops`
/// counts from the adoption on.
///
/// Of `options` only those count that can be set on an open socket: receive_offload, send_offload, longest_datagram,
/// coalesce_writes, zero_copy_from. Where UDP_GRO is on it stays on, because trains may wait in the socket already;
/// UDP_SEGMENT is switched off. A raw or ICMPv6 socket that another program has connected is taken for one that is not:
/// the kernel does not tell its peer. The socket is made blocking, as io_uring wants it (O_NONBLOCK is shared by all
/// its descriptors).
///
/// Errors: EBADF, ENOTSOCK; address_family_not_supported for other than AF_INET6; wrong_protocol_type for a stream or a
/// protocol that is no conn's. Go: net.FilePacketConn.
[[nodiscard]] URING6_EXPORT result<packet_conn> adopt_packet(event_loop& loop, int fd,
                                                             const packet_options& options = {});

/// The same for what `packet_conn::release` gave out: the datagrams that were read ahead come first, and the drops of
/// the kernel are counted from where the old conn left off. `from` keeps nothing of value after success; after an error
/// the descriptor and the datagrams are still the caller's. Errors: the same, and `std::errc::not_enough_memory`.
[[nodiscard]] URING6_EXPORT result<packet_conn> adopt_packet(event_loop& loop, const released_packet& from,
                                                             const packet_options& options = {});

/// The same for a socket that stays the caller's: the conn works on a duplicate of the descriptor, and closing either
/// leaves the other open. The socket's options stay as they are (receive_offload has no effect), but it is made
/// blocking, for its owner's reads, too (MSG_DONTWAIT helps). Both read the same datagrams, each of which goes to one
/// of them. The conn reads ahead of its reader, as all conns do: `release` it instead of closing it to get the
/// datagrams that its reader has not taken; closing counts them as `packet_stats::discarded`. Errors: as
/// `adopt_packet`, EMFILE.
[[nodiscard]] URING6_EXPORT result<packet_conn> borrow_packet(event_loop& loop, int fd,
                                                              const packet_options& options = {});

}  // namespace uring6
