// packet_conn: sends and receives datagrams, each with its IPv6 control message. Go: ipv6.PacketConn.
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
#include "uring6/detail/lifetime.hpp"
#include "uring6/detail/packet_operations.hpp"
#include "uring6/error_report.hpp"
#include "uring6/export.hpp"
#include "uring6/icmp/filter.hpp"
#include "uring6/interface.hpp"
#include "uring6/read_write_flags.hpp"
#include "uring6/released_packet.hpp"
#include "uring6/result.hpp"
#include "uring6/source_filter.hpp"
#include "uring6/stats.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

/// A socket for datagrams: UDP or raw IP, over IPv6 or dual stack. `listen_packet` and `dial_packet` make one. It
/// models `datagram_socket`, of which a service is a template that is to be tested without a network.
///
/// Threads: a conn belongs to the thread that runs its loop. On another thread its operations and options return
/// `errc::wrong_thread`. Any thread may call `is_open`, `native_handle` and the endpoints while the loop's thread
/// does not close the conn.
///
/// Lifetime: the conn must outlive the operations that wait on it, or be closed first. The destructor and the
/// assignment close the conn. On another thread, while the loop's thread lives, both end the program with a message
/// that says so: the kernel may still write to memory that the conn would free. A moved-from or closed conn answers
/// every call with `errc::closed`.
///
/// Every awaited operation can end with `errc::closed`, `errc::canceled` (a stop was requested),
/// `errc::deadline_exceeded` or the kernel's errno. The errors named at an operation come in addition.
class URING6_EXPORT packet_conn {
 public:
  packet_conn() noexcept;
  packet_conn(packet_conn&&) noexcept;
  packet_conn& operator=(packet_conn&&) noexcept;
  ~packet_conn();

  // --- reading ---

  /// Waits for a datagram and copies it into `buffer`, which may have any length. A datagram longer than `buffer` is
  /// cut, and the result says so (`truncated`, `full_length`). Several readers are served in the order in which they
  /// came. A reader that is stopped or times out takes no datagram: the next reader gets it.
  ///
  /// Returns the datagram, its control message and its source. An error of the socket, such as ECONNREFUSED on a
  /// connected conn or `errc::path_mtu_event`, ends one read only; the next read goes on (`is_transient`).
  ///
  /// With `read_flags::dont_wait` the other coroutines run once and the kernel delivers what it has. If the kernel
  /// has nothing, the call ends with `std::errc::resource_unavailable_try_again`. So do `read_batch` and `receive`. Go:
  /// ReadFrom.
  [[nodiscard("co_await it")]] detail::read_from_operation read_from(std::span<std::byte> buffer URING6_LIFETIMEBOUND,
                                                                     read_flags flags = read_flags::none) noexcept {
    return {socket(), buffer, has_any(flags, read_flags::dont_wait)};
  }

  /// Waits for at least one datagram and copies out as many as have arrived, one for each message. Each message tells
  /// what became of its datagram (`truncated`, `control_truncated`, `full_length`). Returns the number of messages
  /// filled: 1 to `messages.size()`. `messages` may have any length, but 0 is `std::errc::invalid_argument`. Nothing
  /// is allocated. Go: ReadBatch, which panics without messages.
  [[nodiscard("co_await it")]] detail::read_batch_operation read_batch(std::span<read_slot> messages,
                                                                       read_flags flags = read_flags::none) noexcept {
    return {socket(), messages, has_any(flags, read_flags::dont_wait)};
  }

  /// Waits for at least one datagram and lends all that have arrived, without a copy. Returns how many. The buffers
  /// that `batch` held before go back to the pool at once.
  [[nodiscard("co_await it")]] detail::receive_operation receive(datagram_batch& batch,
                                                                 read_flags flags = read_flags::none) noexcept {
    return {socket(), batch, has_any(flags, read_flags::dont_wait)};
  }

  // --- writing ---
  //
  // Order: the datagrams of a conn to one destination (address, zone and port) leave in the order in which they were
  // written, except for those that have to wait for room in the socket, and those of a connected conn whose train a
  // route refuses: later ones may leave before them. Between destinations no order is promised: the writes of a turn
  // of the loop are grouped by destination, so that datagrams which go to many destinations in turn leave as one train
  // for each. A conn fills 64 trains at a time; a message to a further destination lets the older half of them leave,
  // or, on a conn that coalesces writes, all of them.

  /// Sends one datagram to `destination` with the control message `control`. Waits until the kernel has taken the
  /// datagram (on a conn that coalesces writes: until it is copied). The caller must keep `payload` unchanged until
  /// then.
  ///
  /// When the loop has nothing else to do, this wait costs a system call of its own: an echo costs two system calls a
  /// round trip, and one on a conn that coalesces writes.
  ///
  /// With `write_flags::dont_wait` a write for which the socket has no room ends with
  /// `std::errc::resource_unavailable_try_again`.
  ///
  /// Returns the length of `payload`, octets: a datagram is sent whole or not at all, so the value tells nothing new.
  /// It makes the call fit where Go's WriteTo, sendto(2) and `tcp_conn::write` fit. Errors: `errc::too_long`; those of
  /// `encode`; already_connected on a connected conn; `errc::needless_zone`, `errc::unknown_zone`, `errc::ipv4_address`
  /// (on a conn of IPv6 only) for the destination; the kernel's: EINVAL for a source address that this host does not
  /// have, ENODEV, ENETUNREACH, EMSGSIZE with `set_dont_fragment`, … Go: WriteTo.
  [[nodiscard("co_await it")]] detail::write_operation write_to(std::span<const std::byte> payload URING6_LIFETIMEBOUND,
                                                                const control_message& control,
                                                                const endpoint& destination,
                                                                write_flags flags = write_flags::none) noexcept {
    return {socket(), payload, control, &destination, has_any(flags, write_flags::dont_wait)};
  }
  [[nodiscard("co_await it")]] detail::write_operation write_to(std::span<const std::byte> payload URING6_LIFETIMEBOUND,
                                                                const endpoint& destination,
                                                                write_flags flags = write_flags::none) noexcept {
    return {socket(), payload, {}, &destination, has_any(flags, write_flags::dont_wait)};
  }

  /// The same for characters: a string, a string view, a literal (its final NUL is not sent), a span of char. Await an
  /// operation on a temporary string in the same expression.
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::write_operation write_to(Text&& payload URING6_LIFETIMEBOUND,
                                                                const control_message& control,
                                                                const endpoint& destination,
                                                                write_flags flags = write_flags::none) noexcept {
    return write_to(detail::octets_of(payload), control, destination, flags);
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::write_operation write_to(Text&& payload URING6_LIFETIMEBOUND,
                                                                const endpoint& destination,
                                                                write_flags flags = write_flags::none) noexcept {
    return write_to(detail::octets_of(payload), destination, flags);
  }

  /// Sends one datagram to the peer of a connected conn, as `write_to` does. destination_address_required on a conn
  /// that is not connected. Go: WriteTo with a nil address.
  [[nodiscard("co_await it")]] detail::write_operation write(std::span<const std::byte> payload URING6_LIFETIMEBOUND,
                                                             const control_message& control = {},
                                                             write_flags flags = write_flags::none) noexcept {
    return {socket(), payload, control, nullptr, has_any(flags, write_flags::dont_wait)};
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::write_operation write(Text&& payload URING6_LIFETIMEBOUND,
                                                             const control_message& control = {},
                                                             write_flags flags = write_flags::none) noexcept {
    return write(detail::octets_of(payload), control, flags);
  }

  /// Sends all the messages. Messages to one destination leave as one train, also with messages to other destinations
  /// between them, as long as their lengths (the last one may be shorter) and their control messages (in the fields
  /// that are sent) are equal. Nothing is copied: messages may share a payload. `messages` may have any length, 0 too.
  /// Nothing is allocated. The caller must keep the messages and their payloads unchanged until the call ends.
  ///
  /// Each message's `error` tells what became of it; a refused message does not hold back the others. Returns how many
  /// datagrams were sent, or the first error if none was sent.
  ///
  /// A message with a `segment` is a train by itself. A conn that coalesces writes does not copy it, and the call waits
  /// until the kernel has taken it. `std::errc::operation_not_supported` on a conn of raw IP or ICMPv6.
  ///
  /// With `write_flags::dont_wait` a message for which the socket has no room ends with
  /// `std::errc::resource_unavailable_try_again`; the messages behind it are tried, too. Go: WriteBatch, which ends
  /// at the first refusal and after 1024 messages.
  [[nodiscard("co_await it")]] detail::write_batch_operation write_batch(
      std::span<write_slot> messages, write_flags flags = write_flags::none) noexcept {
    return {socket(), messages, !connected(), has_any(flags, write_flags::dont_wait)};
  }

  /// Waits until the kernel has taken all that was written ahead (`coalesce_writes`). Returns the last error if a
  /// datagram was refused since the last error that a write or a flush reported.
  [[nodiscard("co_await it")]] detail::flush_operation flush() noexcept { return detail::flush_operation(socket()); }

  // --- control messages ---

  /// Chooses the control information that comes with each datagram read from now on, on a dual-stack conn also from
  /// IPv4 peers. Datagrams already received keep what they have. `std::errc::invalid_argument` for a bit that is no
  /// flag; then nothing is changed. Go: SetControlMessage.
  result<void> set_control_message(control_flags flags, bool on);
  /// The flags that are on: those that `set_control_message` switched on and, on an adopted conn, those that its
  /// socket came with. `destination` and `interface` are one option of the kernel, so an adopted socket has both or
  /// neither. Go: missing.
  result<control_flags> enabled_control() const;

  // --- multicast (RFC 3493 5.2, RFC 3678) ---

  // On a dual-stack conn groups and sources may be IPv4 addresses (v4-mapped); on other conns an IPv4 group is
  // `errc::ipv4_address`. A source of another family than its group is `std::errc::address_family_not_supported`.

  /// Joins `group` on the interface `on`. MCAST_JOIN_GROUP. Go: JoinGroup.
  ///
  /// Errors: `errc::not_multicast`, `errc::already_joined`, `errc::unknown_zone`, `errc::zone_mismatch` (the group
  /// has the zone of another interface), `errc::bound_to_group` (the conn is bound to another group,
  /// `packet_options::bind_to_group`), ENOMEM (net.core.optmem_max).
  ///
  /// An interface that loses IPv6 forgets its groups: its MTU fell below 1280 octets, it was deleted, or it was moved
  /// to another network namespace. When the interface has IPv6 again, the kernel still counts the conn as a member,
  /// but the conn receives nothing: call `join_group` again. It then leaves the group and joins it anew, with the
  /// sources that were joined or excluded, and succeeds. If the kernel refuses a part of that (ENOBUFS, ENOMEM), the
  /// call returns that error, and the conn has left the group with all its sources.
  ///
  /// `errc::already_joined` means that the interface really has
  /// the group. This holds for IPv6 groups; a program must leave an IPv4 group and join it again.
  result<void> join_group(const interface& on, const ip_address& group);
  /// Joins on the interface that the group's zone names; without a zone, on the one that the routing table chooses.
  result<void> join_group(const ip_address& group);

  /// Leaves a group and all its sources. `errc::not_joined`. MCAST_LEAVE_GROUP. Go: LeaveGroup.
  result<void> leave_group(const interface& on, const ip_address& group);
  result<void> leave_group(const ip_address& group);

  /// Receives from `group` only what `source` sends. Call once for each source: the first call joins the group. A
  /// group that was joined for all sources, and has no excluded one, becomes a group of named sources. A group that its
  /// interface has forgotten is joined again with all its sources, as by `join_group`. MCAST_JOIN_SOURCE_GROUP. Go: the
  /// same.
  ///
  /// Errors: those of `join_group` but `errc::already_joined`; EADDRNOTAVAIL if that source is joined already; EINVAL
  /// for a source that is no unicast address, and if the group has excluded sources; `errc::zone_mismatch` also if the
  /// source has the zone of another interface; ENOBUFS above net.ipv6.mld_max_msf sources (64; of an IPv4 group
  /// net.ipv4.igmp_max_msf, 10).
  result<void> join_source_specific_group(const interface& on, const ip_address& group, const ip_address& source);
  /// Stops receiving from `source`. Leaving the last source leaves the group. MCAST_LEAVE_SOURCE_GROUP. Go: the same.
  ///
  /// Errors: `errc::not_joined` if that source is not joined; EINVAL if the group is not.
  result<void> leave_source_specific_group(const interface& on, const ip_address& group, const ip_address& source);
  /// Stops receiving from `source` in a group that `join_group` joined. MCAST_BLOCK_SOURCE. Go: the same.
  ///
  /// Errors: EADDRNOTAVAIL if it is excluded already; EINVAL if the group is not joined, or is joined for single
  /// sources; ENOBUFS as `join_source_specific_group`.
  result<void> exclude_source_specific_group(const interface& on, const ip_address& group, const ip_address& source);
  /// Receives again from a source that was excluded. MCAST_UNBLOCK_SOURCE. Go: the same.
  ///
  /// Errors: EADDRNOTAVAIL if it is not excluded; EINVAL as `exclude_source_specific_group`.
  result<void> include_source_specific_group(const interface& on, const ip_address& group, const ip_address& source);

  /// The sources of a group that the conn has joined on that interface. Errors: `errc::not_joined`,
  /// `errc::not_multicast`, `errc::zone_mismatch`. MCAST_MSFILTER, RFC 3678, getsourcefilter. Go: missing.
  result<uring6::source_filter> source_filter(const interface& on, const ip_address& group) const;
  /// Replaces all sources of a group in one call, and joins the group if the conn has not joined it: so a list of
  /// sources takes effect as a whole. For the instant of such a join the conn receives from the first source of an
  /// `include` filter, or from all sources of an `exclude` one. `include` without sources leaves the group.
  ///
  /// Errors: those of `join_group`; EINVAL for a source that is no unicast address; ENOBUFS above
  /// net.ipv6.mld_max_msf sources (64; of an IPv4 group net.ipv4.igmp_max_msf, 10). After an error the filter is as it
  /// was; a group that this call joined is left. MCAST_MSFILTER, RFC 3678, setsourcefilter. Go: missing.
  result<void> set_source_filter(const interface& on, const ip_address& group, const uring6::source_filter& filter);

  /// The interface by which multicast leaves; nullopt: the routing table chooses. IPV6_MULTICAST_IF, on a dual-stack
  /// conn IP_MULTICAST_IF, too. Go: the same.
  result<std::optional<interface>> multicast_interface() const;
  result<void> set_multicast_interface(const std::optional<interface>& by);
  [[deprecated("call set_multicast_interface(std::nullopt)")]] result<void> clear_multicast_interface();

  /// Hop limit of multicast, 0 to 255; nullopt: the default, 1. With 0 a datagram does not leave the host.
  /// IPV6_MULTICAST_HOPS, on a dual-stack conn IP_MULTICAST_TTL, too.
  result<int> multicast_hop_limit() const;
  result<void> set_multicast_hop_limit(std::optional<int> hops);

  /// Whether members on this host receive what this conn sends to a group. On by default. IPV6_MULTICAST_LOOP, on a
  /// dual-stack conn IP_MULTICAST_LOOP, too.
  result<bool> multicast_loopback() const;
  result<void> set_multicast_loopback(bool on);

  // --- what is sent ---
  //
  // On a dual-stack conn the setters act for IPv4 peers, too; the getters return the value for IPv6.

  /// Traffic class of a datagram without one in its control message: 0 to 255; nullopt: the system's, 0.
  /// IPV6_TCLASS, IP_TOS. Go: TrafficClass.
  result<int> traffic_class() const;
  result<void> set_traffic_class(std::optional<int> traffic_class);

  /// Hop limit of a unicast datagram without one in its control message: 0 to 255; nullopt: the system's. On a
  /// dual-stack conn 1 to 255, because IPv4 has no 0. IPV6_UNICAST_HOPS, IP_TTL.
  result<int> hop_limit() const;
  result<void> set_hop_limit(std::optional<int> hops);

  /// Whether the kernel refuses a datagram longer than the path MTU instead of fragmenting it. The write ends with
  /// EMSGSIZE, and a read ends with `errc::path_mtu_event` if the conn asks for `path_mtu`. IPV6_DONTFRAG; for IPv4
  /// peers IP_MTU_DISCOVER (IP_PMTUDISC_DO when on, IP_PMTUDISC_WANT when off).
  result<bool> dont_fragment() const;
  result<void> set_dont_fragment(bool on);

  /// The MTU of the path to the peer of a connected conn, octets. ENOTCONN on a conn that is not connected.
  /// IPV6_PATHMTU. Go: Conn.PathMTU; PacketConn has none.
  result<std::uint32_t> path_mtu() const;

  /// Takes the path MTU event that ended a read with `errc::path_mtu_event`; nullopt if there is none. Does not wait.
  /// Of several events that no call has taken the conn keeps the last one, as the kernel does. Without memory for an
  /// event the read ends with not_enough_memory instead. Events come only while
  /// `control_flags::path_mtu` is on, and only from a datagram of this conn that was too long for its path.
  /// IPV6_RECVPATHMTU, RFC 3542, section 11.3. Go: ControlMessage.MTU of a ReadFrom that returns 0 octets.
  result<std::optional<uring6::path_mtu_event>> read_path_mtu_event();

  // --- errors that the network reports (RFC 4443, section 3) ---

  /// Whether the kernel keeps a report of each error that the network or this host finds with a sent datagram, also on
  /// an unconnected conn. Off at first; switching it off discards the reports. A dual-stack conn keeps those about IPv4
  /// peers, too. IPV6_RECVERR, IP_RECVERR.
  ///
  /// The error itself still ends one call: a read on an unconnected conn, a read or a write on a connected one,
  /// whichever meets it first (a write that it ends was not sent). On an unconnected conn the error may be about
  /// another destination, so the conn repeats a write that meets it, and a read gets the error. The same holds on any
  /// conn for the report of a path MTU that meets a train; the train's datagrams then go singly.
  ///
  /// Costs: each turn that writes asks the socket for errors first. On an unconnected conn all writes leave by the
  /// ring. A device that drops a datagram reports ENOBUFS. Reports that no coroutine takes keep buffer memory, and each
  /// wake-up looks for them in vain.
  result<bool> error_reports() const;
  result<void> set_error_reports(bool on);

  /// Takes as many reports as there are, oldest first, at most one for each element. Does not wait: returns the
  /// number taken, 0 if there are none. `std::errc::invalid_argument` without elements. MSG_ERRQUEUE. Go: missing
  /// (golang/go#47926).
  ///
  /// Call it when a read (on a connected conn also a write) has ended with an error of the network. A coroutine that
  /// does not read can await `fd::poll(native_handle(), poll_events::error)`; stop it before the conn is closed.
  result<std::size_t> read_errors(std::span<error_report> reports);

  // --- the kernel's buffers ---

  /// How many octets may wait in the kernel to be read, and to be sent, as the program asked for them. The kernel
  /// takes twice as much memory and counts its own bookkeeping into it, about 800 octets for a small datagram.
  /// SO_RCVBUF, SO_SNDBUF.
  result<std::size_t> receive_buffer() const;
  result<std::size_t> send_buffer() const;

  /// Asks for a size in octets and returns the size that the kernel granted: at most net.core.rmem_max (wmem_max)
  /// without CAP_NET_ADMIN, and never less than the kernel needs. `errc::out_of_range` from 1 GiB on. SO_RCVBUFFORCE,
  /// SO_SNDBUFFORCE. Go: SetReadBuffer, SetWriteBuffer, which do not return the granted size.
  result<std::size_t> set_receive_buffer(std::size_t octets);
  result<std::size_t> set_send_buffer(std::size_t octets);

  // --- raw IP and ICMPv6 (RFC 3542, sections 3.1 and 3.2) ---

  /// The offset in the payload, octets, at which the kernel writes and verifies the checksum; nullopt: it does
  /// neither. ICMPv6 conns have 2. ENOPROTOOPT on a conn that is not raw IP. IPV6_CHECKSUM. Go: Checksum, which
  /// cannot say "off".
  result<std::optional<int>> checksum() const;
  /// An even offset from 0 (EINVAL for an odd one), or nullopt for off. The kernel refuses to send a payload that
  /// ends before the checksum (EINVAL), and drops an arriving packet with a wrong checksum. Go: SetChecksum.
  result<void> set_checksum(std::optional<int> offset);

  /// Which ICMPv6 messages the kernel delivers. Only on a conn of "ip6:ipv6-icmp": other raw conns give EOPNOTSUPP,
  /// all other conns ENOPROTOOPT. ICMPV6_FILTER. Go: ICMPFilter, SetICMPFilter.
  result<uring6::icmp_filter> icmp_filter() const;
  result<void> set_icmp_filter(const uring6::icmp_filter& filter);

  /// Runs a classic BPF program on each packet that arrives from now on. The program returns how many octets to keep,
  /// 0 to drop the packet. On a raw conn it sees the payload, on a UDP conn the UDP header and then the payload. It
  /// replaces the program before it.
  ///
  /// Errors: what is wrong with the program (`bpf::errc`, equal to EINVAL); EPERM (SO_LOCK_FILTER), ENOMEM
  /// (net.core.optmem_max). SO_ATTACH_FILTER. Go: SetBPF, which panics on an empty program.
  result<void> attach_bpf(std::span<const bpf::raw_instruction> program);
  result<void> attach_bpf(std::span<const bpf::instruction> program);
  /// Removes the program; ENOENT if there is none. SO_DETACH_FILTER. Go: missing (golang/go#14974).
  result<void> detach_bpf();

  // --- time, ends ---

  /// Stops taking datagrams in, and keeps what has arrived: the first step of an orderly end. Returns when the kernel
  /// has queued the last datagram for this conn, after 10 to 60 ms. From then on reads return what has arrived, and end
  /// with `errc::closed` when nothing is left; reads that wait end so, too. Writes go on. `close` comes after that.
  ///
  /// `drain_on_stop` calls it when a stop is requested.
  ///
  ///     (void)co_await pc.stop_receiving();  // new datagrams go to the other sockets of the port
  ///     co_await answer_all(pc);             // until a read ends with errc::closed
  ///
  /// A UDP conn that shares its port (`packet_options::reuse_port`, `listen_group`) leaves the group: the kernel
  /// delivers new datagrams to the other sockets of the port, also of another process, and no datagram is lost. Without
  /// another socket senders get an ICMPv6 error, as after a close. On every other conn (connected, raw, alone at its
  /// port) the kernel drops new datagrams, in place of a filter of `attach_bpf`. connect, SO_ATTACH_FILTER
  ///
  /// A conn that left its group at a wildcard address asks the kernel for the source address of each datagram that is
  /// written without one, which takes four system calls; `write_batch` writes it into the messages. Groups stay joined,
  /// but nothing is received from them. `release` gives a socket away that receives nothing, and another process
  /// that shares the socket (`listen_inherited`) receives nothing from it either.
  ///
  /// Errors: `errc::closed`, `errc::wrong_thread`; operation_in_progress while `handover` gives the socket away;
  /// `errc::canceled` if a stop is requested before the return: the conn takes no datagram in, but may miss one that
  /// was being delivered, so await this in a `shield`. EPERM (SO_LOCK_FILTER), ENOMEM, ENETUNREACH where lo is down,
  /// and nothing has changed. The conn must outlive the call. Go: missing.
  [[nodiscard("co_await it")]] task<result<void>> stop_receiving();

  /// A deadline ends the operations that wait, and all later ones, with `errc::deadline_exceeded` until it is set
  /// anew; nullopt clears it. By the loop's clock. Go: SetDeadline, SetReadDeadline, SetWriteDeadline.
  /// The setters throw std::bad_alloc, and then change no deadline.
  using time_point = std::chrono::steady_clock::time_point;
  result<void> set_deadline(std::optional<time_point> when);
  result<void> set_read_deadline(std::optional<time_point> when);
  result<void> set_write_deadline(std::optional<time_point> when);

  /// The address that the conn is bound to, with the port that the kernel or the caller chose. Go: LocalAddr.
  result<endpoint> local_endpoint() const;
  /// The peer of a connected conn; ENOTCONN on a conn that is not connected. Go: RemoteAddr.
  result<endpoint> peer_endpoint() const;

  /// Closes the conn: waiting operations end with `errc::closed`, what was written ahead is sent, the groups are
  /// left. The port is free when the call returns. `errc::closed` if the conn was closed before.
  ///
  /// `close` does not wait for room in the socket's buffer: a datagram that was written ahead and finds none is lost
  /// and counted in `failed_after_write`. Call `flush` first to wait for it.
  droppable_result<void> close();
  bool is_open() const noexcept;

  /// The descriptor, for options that have no method here; -1 on a closed conn. The conn still owns it.
  ///
  /// A datagram's `source` is what the kernel reports for that datagram, with one exception: a conn that was dialed
  /// without receive_offload and has no control flag on reads payloads only, and shows the peer that it was dialed
  /// to. Before you connect(2) the descriptor of such a conn to another peer, turn `control_flags::source` on.
  ///
  /// An adopted or borrowed conn always shows the kernel's source, also after its owner has connected the socket to
  /// another peer; `write` sends to the peer that the socket has then.
  int native_handle() const noexcept;

  /// Ends all operations, closes the conn, and returns the open descriptor with the datagrams that were received and
  /// not read; `adopt_packet` takes both, on any loop. Nothing is lost: what arrives later waits in the socket.
  ///
  /// Errors: `std::errc::not_enough_memory`, which leaves the conn as it was; `errc::closed`, also of a conn that
  /// `handover` has given away; operation_in_progress while it does; `errc::wrong_thread`; `errc::forked` in the child
  /// of a fork, because the parent has the datagrams. Go: PacketConn.File, with nothing read ahead.
  ///
  /// The socket keeps its options. With `packet_options::receive_offload` UDP_GRO may be on: a plain recvmsg then
  /// returns several datagrams in one buffer, and their length in a control message. Turn it off with setsockopt(2) for
  /// a program that does not expect this. Control messages that `set_control_message` turned on stay on, too.
  result<released_packet> release();

  /// The conn's counters. A closed conn keeps its last values. All are 0 on a moved-from conn, and on another thread
  /// while the loop's thread lives.
  packet_stats stats() const noexcept;

  /// For the library's own code.
  URING6_HIDDEN explicit packet_conn(std::unique_ptr<detail::packet_socket> inside) noexcept;

 private:
  friend class handover;

  detail::packet_socket* socket() const noexcept { return inside_.get(); }
  bool connected() const noexcept;
  result<int> descriptor() const;
  std::error_code check_thread() const noexcept;

  std::unique_ptr<detail::packet_socket> inside_;
};

}  // namespace uring6::inline v0
