// packet_conn: datagrams in and out, each with its IPv6 control message. Go: ipv6.PacketConn.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "uring6/address.hpp"
#include "uring6/bpf/instruction.hpp"
#include "uring6/control_message.hpp"
#include "uring6/datagram.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/detail/characters.hpp"
#include "uring6/detail/packet_operations.hpp"
#include "uring6/error_report.hpp"
#include "uring6/export.hpp"
#include "uring6/icmp/filter.hpp"
#include "uring6/released_packet.hpp"
#include "uring6/result.hpp"
#include "uring6/stats.hpp"

namespace uring6 {

struct interface;

/// A socket for datagrams: UDP or raw IP, over IPv6 or dual stack. Made by `listen_packet` and `dial_packet`.
///
/// All operations and options belong to the thread that runs the conn's loop: on another they are
/// `errc::wrong_thread`. Only `is_open`, `native_handle` and the endpoints may be asked for by any thread, while nobody
/// closes the conn.
///
/// The conn must outlive the operations that wait on it, or be closed first; destroying it, or assigning another one to
/// it, closes it. Doing that on another thread, while the loop's still lives, ends the program with a message that says
/// so: the kernel may still write to memory that would be gone. A moved-from or closed conn answers everything with
/// `errc::closed`.
///
/// What an awaited operation can end with, besides what it says itself: `errc::closed`, `errc::canceled` (a stop was
/// requested), `errc::deadline_exceeded`, and the kernel's errno.
class URING6_EXPORT packet_conn {
 public:
  packet_conn() noexcept;
  packet_conn(packet_conn&&) noexcept;
  packet_conn& operator=(packet_conn&&) noexcept;
  ~packet_conn();

  // --- reading ---

  /// Waits for a datagram and copies it into `buffer`, of any length: a longer datagram is cut and says so
  /// (`truncated`, `full_length`). Several readers are served in the order in which they came. A reader that is
  /// stopped or times out takes nothing: the datagram stays for the next one.
  ///
  /// Returns the datagram, its control message and its source. Errors of the socket, such as ECONNREFUSED on a
  /// connected conn, are reported once, to one reader; the next read goes on. Go: ReadFrom.
  [[nodiscard("co_await it")]] detail::read_from_operation read_from(std::span<std::byte> buffer) noexcept {
    return {socket(), buffer};
  }

  /// Waits for at least one datagram and copies out as many as are there, one for each message, which tells what
  /// became of it (`truncated`, `control_truncated`, `full_length`). Returns how many: 1 to all.
  ///
  /// Any number will do, and nothing is allocated. No messages: `std::errc::invalid_argument`. With
  /// `read_flags::dont_wait` it lets the others run and the kernel deliver what it has, and ends with
  /// `std::errc::resource_unavailable_try_again` if that is nothing. Go: ReadBatch, which panics without messages.
  [[nodiscard("co_await it")]] detail::read_batch_operation read_batch(std::span<incoming> messages,
                                                                       read_flags flags = read_flags::none) noexcept {
    return {socket(), messages, flags == read_flags::dont_wait};
  }

  /// Waits for at least one datagram and lends all that are there, without a copy. Returns how many. What `batch`
  /// held goes back to the pool at once.
  [[nodiscard("co_await it")]] detail::receive_operation receive(datagram_batch& batch) noexcept {
    return {socket(), batch};
  }

  // --- writing ---

  /// Sends one datagram to `destination`, with this control message. Waits until the kernel has taken it (on a conn
  /// that coalesces writes: until it is copied). `payload` must stay as it is until then.
  ///
  /// That wait is a system call of its own when the loop has nothing else to do: an echo takes two a round trip, on a
  /// conn that coalesces writes one.
  ///
  /// Returns the length. Errors: `errc::too_long`; those of `encode`; already_connected on a connected conn; the
  /// kernel's: EINVAL for a source address that is not this host's, ENODEV, ENETUNREACH, EMSGSIZE with
  /// `set_dont_fragment`, … Go: WriteTo.
  [[nodiscard("co_await it")]] detail::write_operation write_to(std::span<const std::byte> payload,
                                                                const control_message& control,
                                                                const endpoint& destination) noexcept {
    return {socket(), payload, control, &destination};
  }
  [[nodiscard("co_await it")]] detail::write_operation write_to(std::span<const std::byte> payload,
                                                                const endpoint& destination) noexcept {
    return {socket(), payload, {}, &destination};
  }

  /// The same of characters: a string, a view of one, a literal (without its end), a span of char.
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::write_operation write_to(Text&& payload, const control_message& control,
                                                                const endpoint& destination) noexcept {
    return write_to(detail::octets_of(payload), control, destination);
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::write_operation write_to(Text&& payload, const endpoint& destination) noexcept {
    return write_to(detail::octets_of(payload), destination);
  }

  /// Sends one datagram to the peer of a connected conn. As `write_to`; destination_address_required if there is
  /// none. Go: WriteTo with a nil address.
  [[nodiscard("co_await it")]] detail::write_operation write(std::span<const std::byte> payload,
                                                             const control_message& control = {}) noexcept {
    return {socket(), payload, control, nullptr};
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::write_operation write(Text&& payload,
                                                             const control_message& control = {}) noexcept {
    return write(detail::octets_of(payload), control);
  }

  /// Sends all the messages; consecutive ones of equal length, destination and control message (as far as it is sent)
  /// leave as one train. Each message's `error` tells what became of it; one that is refused keeps none of the others
  /// back. Returns how many were sent; if none was, the first error. Any number will do, 0 too, and nothing is
  /// allocated. The messages and their payloads must stay until then.
  ///
  /// With `write_flags::dont_wait` a message for which the socket has no room ends with
  /// `std::errc::resource_unavailable_try_again`; those behind it are tried, too. Go: WriteBatch, which ends at the
  /// first refusal and after 1024.
  [[nodiscard("co_await it")]] detail::write_batch_operation write_batch(
      std::span<outgoing> messages, write_flags flags = write_flags::none) noexcept {
    return {socket(), messages, !connected(), flags == write_flags::dont_wait};
  }

  /// Waits until all that was written ahead (`coalesce_writes`) has been taken by the kernel; an error if a datagram
  /// was refused since the last time one was reported.
  [[nodiscard("co_await it")]] detail::flush_operation flush() noexcept { return detail::flush_operation(socket()); }

  // --- control messages ---

  /// What comes with each datagram read from now on; those already received keep what they have. On a dual-stack
  /// conn also for IPv4 peers. A bit that is no flag: `std::errc::invalid_argument`, and nothing is changed. Go:
  /// SetControlMessage.
  [[nodiscard]] result<void> set_control_message(control_flags flags, bool on);
  /// The flags that are on: those that `set_control_message` was asked for and, on an adopted conn, those that its
  /// socket came with (`destination` and `interface`, which are one option of the kernel, both). Go: missing.
  [[nodiscard]] result<control_flags> enabled_control() const;

  // --- multicast (RFC 3493 5.2, RFC 3678) ---

  // On a dual-stack conn groups and sources may be IPv4 ones (v4-mapped); on others those are
  // `std::errc::address_family_not_supported`.

  /// Hears `group` on `on`. Errors: `errc::not_multicast`, `errc::already_joined`, `errc::unknown_zone`,
  /// `errc::zone_mismatch` (the group has the zone of another interface), `errc::bound_to_group` (the conn is bound to
  /// another group, `packet_options::bind_to_group`), ENOMEM (net.core.optmem_max). MCAST_JOIN_GROUP. Go: JoinGroup.
  ///
  /// An interface that loses IPv6 (its MTU falls below 1280, it is deleted, it is moved to another network namespace)
  /// forgets its groups, and a conn stays deaf when it is back. Join again: where the kernel still says that the group
  /// is joined, and the interface does not have it, the group is left and joined again, with the sources that were
  /// joined or excluded, and the call succeeds. `errc::already_joined` is answered only while the interface has the
  /// group. IPv6 groups only; leave an IPv4 one and join it again.
  [[nodiscard]] result<void> join_group(const interface& on, const ip_address& group);
  /// On the interface that the group's zone names, or else on the one that the routing table chooses.
  [[nodiscard]] result<void> join_group(const ip_address& group);

  /// Leaves a group, with all sources. `errc::not_joined`. MCAST_LEAVE_GROUP. Go: LeaveGroup.
  [[nodiscard]] result<void> leave_group(const interface& on, const ip_address& group);
  [[nodiscard]] result<void> leave_group(const ip_address& group);

  /// Hears `group`, but only what `source` sends; once for each source. MCAST_JOIN_SOURCE_GROUP. Go: the same.
  [[nodiscard]] result<void> join_source_specific_group(const interface& on, const ip_address& group,
                                                        const ip_address& source);
  /// No longer hears `source`; with the last one the group is left. MCAST_LEAVE_SOURCE_GROUP. Go: the same.
  [[nodiscard]] result<void> leave_source_specific_group(const interface& on, const ip_address& group,
                                                         const ip_address& source);
  /// In a group that was joined whole: does not hear `source`. MCAST_BLOCK_SOURCE. Go: the same.
  [[nodiscard]] result<void> exclude_source_specific_group(const interface& on, const ip_address& group,
                                                           const ip_address& source);
  /// Hears it again. MCAST_UNBLOCK_SOURCE. Go: the same.
  [[nodiscard]] result<void> include_source_specific_group(const interface& on, const ip_address& group,
                                                           const ip_address& source);

  /// The interface that multicast leaves by; none: the routing table chooses. IPV6_MULTICAST_IF, on a dual-stack conn
  /// IP_MULTICAST_IF, too. Go: the same.
  [[nodiscard]] result<std::optional<interface>> multicast_interface() const;
  [[nodiscard]] result<void> set_multicast_interface(const interface& by);
  [[nodiscard]] result<void> clear_multicast_interface();

  /// Hop limit of multicast, 0 to 255 (0: does not leave the host), or -1: the default, 1. IPV6_MULTICAST_HOPS,
  /// on a dual-stack conn IP_MULTICAST_TTL, too.
  [[nodiscard]] result<int> multicast_hop_limit() const;
  [[nodiscard]] result<void> set_multicast_hop_limit(int hops);

  /// Whether this host's members hear what this conn sends to a group. Default on. IPV6_MULTICAST_LOOP, on a
  /// dual-stack conn IP_MULTICAST_LOOP, too.
  [[nodiscard]] result<bool> multicast_loopback() const;
  [[nodiscard]] result<void> set_multicast_loopback(bool on);

  // --- what is sent ---
  //
  // On a dual-stack conn these act for IPv4 peers, too; what is read back is the value for IPv6.

  /// Traffic class of what has none in its control message, 0 to 255, or -1: the system's, 0. IPV6_TCLASS, IP_TOS. Go:
  /// TrafficClass.
  [[nodiscard]] result<int> traffic_class() const;
  [[nodiscard]] result<void> set_traffic_class(int traffic_class);

  /// Hop limit of unicast that has none in its control message, 0 to 255 (on a dual-stack conn 1 to 255: IPv4 has no
  /// 0), or -1: the system's. IPV6_UNICAST_HOPS, IP_TTL.
  [[nodiscard]] result<int> hop_limit() const;
  [[nodiscard]] result<void> set_hop_limit(int hops);

  /// Whether a datagram longer than the path MTU is refused (EMSGSIZE, and a path MTU event if asked for) instead of
  /// fragmented. IPV6_DONTFRAG; for IPv4 peers IP_MTU_DISCOVER (IP_PMTUDISC_DO, and IP_PMTUDISC_WANT when off).
  [[nodiscard]] result<bool> dont_fragment() const;
  [[nodiscard]] result<void> set_dont_fragment(bool on);

  /// The MTU of the path to the peer of a connected conn, octets; ENOTCONN of another. IPV6_PATHMTU. Go:
  /// Conn.PathMTU, which PacketConn lacks.
  [[nodiscard]] result<std::uint32_t> path_mtu() const;

  // --- errors that the network reports (RFC 4443, section 3) ---

  /// Whether the kernel keeps a report of each error that the network, or this host, finds with what was sent, also on
  /// a conn that is not connected. Off at first; switching it off throws the reports away. On a dual-stack conn also
  /// of IPv4 peers. The error itself still ends a read, once; on a connected conn a read or a write, whichever meets it
  /// first (a write that it ends was not sent). On a conn that is not connected it may be another destination's: a
  /// write that meets it is made again, and the error is left to a read. It costs: writes leave by the ring alone; a
  /// device that drops what it is to send then says so (ENOBUFS); and reports that nobody takes keep buffer memory, and
  /// the kernel looks in vain with each wake-up. IPV6_RECVERR, IP_RECVERR.
  [[nodiscard]] result<bool> error_reports() const;
  [[nodiscard]] result<void> set_error_reports(bool on);

  /// Takes as many reports as there are, one for each element, oldest first. Returns how many, 0 if there are none: it
  /// does not wait. The time to ask is when a read, or on a connected conn a write, has ended with an error of the
  /// network; a coroutine that does not read can wait for `poll(native_handle(), poll_events::error)`, to be stopped
  /// before the conn is closed. No elements: `std::errc::invalid_argument`. MSG_ERRQUEUE. Go: missing
  /// (golang/go#47926).
  [[nodiscard]] result<std::size_t> read_errors(std::span<error_report> reports);

  // --- the kernel's buffers ---

  /// How much may wait in the kernel to be read, and to be sent, octets as they are asked for: the kernel takes twice
  /// as much memory, and counts its own bookkeeping (some 800 octets for a small datagram) into it. SO_RCVBUF,
  /// SO_SNDBUF.
  [[nodiscard]] result<std::size_t> receive_buffer() const;
  [[nodiscard]] result<std::size_t> send_buffer() const;

  /// Asks for another size, octets, and returns what was granted: at most net.core.rmem_max (wmem_max) without
  /// CAP_NET_ADMIN, and never less than the kernel needs. `errc::out_of_range` from 1 GiB on. SO_RCVBUFFORCE,
  /// SO_SNDBUFFORCE. Go: SetReadBuffer, SetWriteBuffer, which do not say what was granted.
  [[nodiscard]] result<std::size_t> set_receive_buffer(std::size_t octets);
  [[nodiscard]] result<std::size_t> set_send_buffer(std::size_t octets);

  // --- raw IP and ICMPv6 (RFC 3542, sections 3.1 and 3.2) ---

  /// Where in the payload the kernel writes and verifies the checksum, octets; nothing: nowhere. Raw IP only,
  /// ENOPROTOOPT of others. ICMPv6 has 2. IPV6_CHECKSUM. Go: Checksum, which cannot say that it is off.
  [[nodiscard]] result<std::optional<int>> checksum() const;
  /// An even offset from 0 (an odd one: EINVAL), or nothing. A payload that ends before it is refused when sent
  /// (EINVAL); what arrives with a wrong checksum is dropped. Go: SetChecksum.
  [[nodiscard]] result<void> set_checksum(std::optional<int> offset);

  /// Which ICMPv6 messages are delivered. On a conn of "ip6:ipv6-icmp" only: EOPNOTSUPP of other raw ones, else
  /// ENOPROTOOPT. ICMPV6_FILTER. Go: ICMPFilter, SetICMPFilter.
  [[nodiscard]] result<uring6::icmp_filter> icmp_filter() const;
  [[nodiscard]] result<void> set_icmp_filter(const uring6::icmp_filter& filter);

  /// Runs a classic BPF program on what arrives from now on: it returns how many octets to keep, 0 to drop. It sees the
  /// payload of raw conns, the UDP header before the payload of UDP ones. Replaces the one before.
  ///
  /// Errors: what is wrong with the program (`bpf::errc`, equal to EINVAL); EPERM (SO_LOCK_FILTER), ENOMEM
  /// (net.core.optmem_max). SO_ATTACH_FILTER. Go: SetBPF, which panics on an empty program.
  [[nodiscard]] result<void> attach_bpf(std::span<const bpf::raw_instruction> program);
  [[nodiscard]] result<void> attach_bpf(std::span<const bpf::instruction> program);
  /// Takes the program off; ENOENT if there is none. SO_DETACH_FILTER. Go: missing (golang/go#14974).
  [[nodiscard]] result<void> detach_bpf();

  // --- time, ends ---

  /// Deadlines are sticky: they end the operations that wait and all that come, with `errc::deadline_exceeded`,
  /// until set anew; nullopt clears. Go: SetDeadline, SetReadDeadline, SetWriteDeadline.
  using time_point = std::chrono::steady_clock::time_point;
  [[nodiscard]] result<void> set_deadline(std::optional<time_point> when);
  [[nodiscard]] result<void> set_read_deadline(std::optional<time_point> when);
  [[nodiscard]] result<void> set_write_deadline(std::optional<time_point> when);

  /// The address this conn is bound to, with the port that was chosen. Go: LocalAddr.
  [[nodiscard]] result<endpoint> local_endpoint() const;
  /// The peer of a connected conn; ENOTCONN of another. Go: RemoteAddr.
  [[nodiscard]] result<endpoint> peer_endpoint() const;

  /// Ends everything: whoever waits gets `errc::closed`, what was written ahead is sent, the groups are left, and the
  /// port is free when it returns. It does not wait for room in the socket's buffer: what was written ahead and finds
  /// none is lost, and counted in `failed_after_write`; `flush` first to wait for it. `errc::closed` if it was closed
  /// before.
  result<void> close();
  bool is_open() const noexcept;

  /// The descriptor, still the conn's; -1 when closed. For options that have no method here.
  ///
  /// A datagram's `source` is what the kernel says of that datagram, with one exception: a conn that was dialed without
  /// receive_offload, and has no control flag on, reads payloads alone and shows the peer that it was dialed to. If you
  /// connect(2) the descriptor of such a conn elsewhere, turn `control_flags::source` on first. Adopted and borrowed
  /// conns always show what the kernel says, also after their owner has connected the socket elsewhere; `write` sends
  /// to the peer that the socket has then.
  int native_handle() const noexcept;

  /// Ends all operations and gives the open descriptor to the caller, with the datagrams that were received and not
  /// handed to a reader: `adopt_packet` takes both, on any loop. Nothing is lost: what arrives later waits in the
  /// socket. The conn is closed then.
  ///
  /// Errors: `std::errc::not_enough_memory`, and nothing has changed; `errc::closed`, `errc::wrong_thread`,
  /// `errc::forked` in the child of a fork, whose parent has the datagrams. Go: PacketConn.File, which keeps nothing
  /// ahead.
  [[nodiscard]] result<released_packet> release();

  /// On a closed conn what it was at the end; all 0 if moved from, and on another thread than the loop's
  /// while that lives.
  packet_stats stats() const noexcept;

  /// For the library's own rooms.
  explicit packet_conn(std::unique_ptr<detail::packet_socket> inside) noexcept;

 private:
  detail::packet_socket* socket() const noexcept { return inside_.get(); }
  bool connected() const noexcept;
  [[nodiscard]] result<int> descriptor() const;
  std::error_code check_thread() const noexcept;

  std::unique_ptr<detail::packet_socket> inside_;
};

}  // namespace uring6
