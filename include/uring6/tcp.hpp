// TCP: listeners, connections, dialing. Go: net.TCPListener, net.TCPConn, net.Dialer.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/detail/characters.hpp"
#include "uring6/detail/hash.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/detail/stream_operations.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/export.hpp"
#include "uring6/opening_hook.hpp"
#include "uring6/read_write_flags.hpp"
#include "uring6/result.hpp"
#include "uring6/stats.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

/// When the kernel probes a silent connection, and when it gives the connection up (RFC 9293, 3.8.4). Go:
/// KeepAliveConfig, with the same defaults.
struct keep_alive {
  std::chrono::seconds idle{15};      ///< Silence before the first probe, seconds, 1 to 32,767. TCP_KEEPIDLE.
  std::chrono::seconds interval{15};  ///< Seconds between probes, 1 to 32,767. TCP_KEEPINTVL.
  int probes = 9;                     ///< Unanswered probes until the kernel gives up, 1 to 127. TCP_KEEPCNT.

  friend bool operator==(const keep_alive&, const keep_alive&) = default;
};

/// Options that a TCP socket needs before it is opened. Accepted connections inherit them. Trivially destructible,
/// because GCC 12 destroys other temporaries in co_await expressions twice.
struct tcp_options {
  /// Several listeners share the port; the kernel spreads the connections. SO_REUSEPORT.
  bool reuse_port = false;
  /// Allows an address that this host does not have (yet). IPV6_FREEBIND.
  bool freebind = false;
  /// Receives and sends by this interface only. SO_BINDTODEVICE.
  std::string_view device{};
  /// Connections that may wait for `accept`; the kernel takes at most net.core.somaxconn. The default, 65,535, leaves
  /// the limit to that sysctl. listen(2)
  int backlog = 65'535;
  /// Connections that a listener accepts at most before an `accept` asks for them, so that one system call serves
  /// many. At most 65,535. `close` closes those that no `accept` took. 0: each `accept` takes one connection; the
  /// others stay in the kernel's queue, also for other processes that share the socket. 64: twice the requests that a
  /// listener gives to the kernel at once.
  std::size_t accept_ahead = 64;
  /// Probes on a silent connection; nullopt: none.
  std::optional<uring6::keep_alive> keep_alive = uring6::keep_alive{};
  /// Sends small segments at once, without waiting for more octets (RFC 896). TCP_NODELAY. Go: the same default.
  bool no_delay = true;
  /// The address to dial from; nullopt: the kernel chooses. With port 0 the kernel chooses the port when it connects,
  /// so that connections to several peers can share a port. IP_BIND_ADDRESS_NO_PORT
  std::optional<endpoint> local{};
  /// How long a dial waits for one address before it tries the next one as well (RFC 8305, 5: 250 ms). A value below
  /// 10 ms counts as 10 ms. With `milliseconds::max()` a dial tries the next address only when the one before has
  /// failed.
  std::chrono::milliseconds attempt_delay{250};
  /// Called with a listener's socket before it is bound, and with the socket of each dial attempt before it is bound
  /// and connected. The callable must live until the dial has ended. Go: ListenConfig.Control, Dialer.Control.
  opening_hook control{};
};

/// A connection without a conn: `tcp_conn::release` returns it, `adopt_tcp` takes it. A program can send its members
/// to another process, the descriptor by SCM_RIGHTS.
struct released_tcp {
  /// The open descriptor, which the caller owns.
  int fd = -1;
  /// The stream's next octets, which the conn read from the kernel and handed to no reader. Later octets are in the
  /// kernel.
  std::vector<std::byte> unread{};
  /// The error that ended the connection, if no read has returned it. The kernel reports it once.
  std::error_code error{};
  /// The peer's address, also when the kernel has forgotten it because the connection has ended. `adopt_tcp` believes
  /// it then.
  std::optional<endpoint> peer{};
};

/// Which half of a connection `shutdown` ends.
enum class stream_half : std::uint8_t { read, write, both };

/// A TCP connection over IPv6 or, on a dual-stack socket, IPv4. `accept` and `dial_tcp` make one.
///
/// Threads: a conn belongs to the thread that runs its loop. On another thread operations and options return
/// `errc::wrong_thread`, and the destructor ends the program, as for packet_conn.
///
/// Lifetime: the conn must outlive the operations that wait on it, or be closed first; the destructor closes it. A
/// moved-from or closed conn answers every call with `errc::closed`.
///
/// Every awaited operation can end with `errc::closed`, `errc::canceled` (a stop was requested),
/// `errc::deadline_exceeded`, `errc::wrong_thread` or the kernel's errno (ECONNRESET, ETIMEDOUT, …). The errors named
/// at an operation come in addition.
///
/// No octet is lost. A read that has octets returns them although a deadline has passed or the conn was closed
/// meanwhile. A read that is stopped, loses a race (`when_any`), or is destroyed before its coroutine resumes leaves
/// its octets to the next read, in order. Without memory to keep them the stream has a gap: all later reads end with
/// `std::errc::not_enough_memory`.
///
/// The kernel reports an error of the connection (ECONNRESET, ETIMEDOUT, …) once. The conn keeps it for the next
/// read, also when a write returned it, so that no reader mistakes a reset for the orderly end.
class URING6_EXPORT tcp_conn {
 public:
  tcp_conn() noexcept;
  tcp_conn(tcp_conn&&) noexcept;
  tcp_conn& operator=(tcp_conn&&) noexcept;
  ~tcp_conn();

  /// Waits for octets and reads at most `into.size()` of them. Returns the number of octets; 0 when the peer has
  /// ended its writing half, or when `into` is empty. Several readers are served in the order in which they came.
  /// `into` must live until then. A read that loses a race loses no octets. Go: Read.
  ///
  /// With `read_flags::dont_wait` a read that would wait ends with `std::errc::resource_unavailable_try_again`.
  [[nodiscard("co_await it")]] detail::stream_read_operation read(std::span<std::byte> into URING6_LIFETIMEBOUND,
                                                                  read_flags flags = read_flags::none) noexcept {
    return {socket(), into, has_any(flags, read_flags::dont_wait)};
  }

  /// Writes all of `from`, and waits until the kernel has taken it. The writes of several coroutines go one after the
  /// other, never mixed. The caller keeps `from` unchanged until then. Returns the length. EPIPE after the connection
  /// has ended; there is no SIGPIPE. Go: Write.
  ///
  /// A write that ends with an error, is stopped, or loses a race may have sent a part: `stats().sent_bytes` has
  /// grown by it.
  [[nodiscard("co_await it")]] detail::stream_write_operation write(
      std::span<const std::byte> from URING6_LIFETIMEBOUND) noexcept {
    return {socket(), from, true};
  }

  /// The same for characters: a string, a string view, a literal (its final NUL is not sent), a span of char. Await an
  /// operation on a temporary string in the same expression.
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::stream_write_operation write(Text&& from URING6_LIFETIMEBOUND) noexcept {
    return write(detail::octets_of(from));
  }

  /// Writes as much of `from` as the kernel takes in one call. Returns the number of octets, at least 1 (0 if `from`
  /// is empty). In a race as `write`.
  ///
  /// With `write_flags::dont_wait` a write that would wait ends with `std::errc::resource_unavailable_try_again`.
  /// `write` has no such flag: after a part it could only wait, or leave the caller without the length of the part.
  [[nodiscard("co_await it")]] detail::stream_write_operation write_some(
      std::span<const std::byte> from URING6_LIFETIMEBOUND, write_flags flags = write_flags::none) noexcept {
    return {socket(), from, false, has_any(flags, write_flags::dont_wait)};
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::stream_write_operation write_some(
      Text&& from URING6_LIFETIMEBOUND, write_flags flags = write_flags::none) noexcept {
    return write_some(detail::octets_of(from), flags);
  }

  /// Ends a half of the connection: after `write` the peer reads its end of stream, after `read` this conn's reads
  /// do. Waiting writes end with EPIPE. ENOTCONN if the peer is gone. shutdown(2). Go: CloseWrite, CloseRead.
  result<void> shutdown(stream_half which);

  /// Closes the conn. Waiting operations end with `errc::closed`, or with what they had got already. The kernel
  /// closes the connection in order, or resets it if octets had arrived that the program did not read. `errc::closed`
  /// if the conn was closed before. Go: Close.
  droppable_result<void> close();
  bool is_open() const noexcept;

  /// A deadline ends the operations that wait, and all later ones, with `errc::deadline_exceeded` until it is set
  /// anew; nullopt clears it. By the loop's clock. Go: SetDeadline, SetReadDeadline, SetWriteDeadline.
  /// The setters throw std::bad_alloc, and then change no deadline.
  using time_point = std::chrono::steady_clock::time_point;
  result<void> set_deadline(std::optional<time_point> when);
  result<void> set_read_deadline(std::optional<time_point> when);
  result<void> set_write_deadline(std::optional<time_point> when);

  /// Whether small segments leave at once. TCP_NODELAY. Go: SetNoDelay.
  result<bool> no_delay() const;
  result<void> set_no_delay(bool on);

  /// The probes on a silent connection; nullopt: none. `errc::out_of_range` for values outside of the ranges of
  /// `keep_alive`. SO_KEEPALIVE. Go: SetKeepAliveConfig.
  result<std::optional<uring6::keep_alive>> keep_alive() const;
  result<void> set_keep_alive(const std::optional<uring6::keep_alive>& when);
  [[deprecated("the name is keep_alive")]] result<std::optional<uring6::keep_alive>> probes() const {
    return keep_alive();
  }
  [[deprecated("the name is set_keep_alive")]] result<void> set_probes(const std::optional<uring6::keep_alive>& when) {
    return set_keep_alive(when);
  }

  /// How many octets may wait in the kernel to be read, and to be sent, as the program asked for them; the kernel
  /// takes twice as much memory. Until the program sets a size, the kernel adapts it to the connection. SO_RCVBUF,
  /// SO_SNDBUF.
  result<std::size_t> receive_buffer() const;
  result<std::size_t> send_buffer() const;
  /// Asks for a size in octets and returns the size that the kernel granted, as packet_conn does. Go: SetReadBuffer,
  /// SetWriteBuffer.
  result<std::size_t> set_receive_buffer(std::size_t octets);
  result<std::size_t> set_send_buffer(std::size_t octets);

  /// The local address and port. Go: LocalAddr.
  result<endpoint> local_endpoint() const;
  /// The peer's address and port, also when the peer is gone; v4-mapped for an IPv4 peer. Go: RemoteAddr.
  result<endpoint> peer_endpoint() const;

  /// The descriptor, for options that have no method here or in `ip_options`, which has those of IPv6; -1 on a closed
  /// conn.
  /// The conn still owns it.
  int native_handle() const noexcept;

  /// Ends all operations with `errc::closed`, closes the conn, and gives the connection to the caller. `unread` has
  /// the octets that the conn read and no coroutine has taken, also those of a read that was about to resume. A
  /// waiting write may have sent a part, as `stats` tells. Go: TCPConn.File.
  ///
  /// not_enough_memory if octets were lost (see the class); the conn then stays open, and its operations go on. If a
  /// stopped read loses its octets during this call, the operations have ended with `errc::closed`, the
  /// deadlines are off, and the conn stays open.
  result<released_tcp> release();

  /// The conn's counters. A closed conn keeps its last values. All are 0 on a moved-from conn, and on another thread
  /// while the loop's thread lives.
  tcp_stats stats() const noexcept;

  /// For the library's own code.
  URING6_HIDDEN explicit tcp_conn(std::unique_ptr<detail::stream_socket> inside) noexcept;

 private:
  detail::stream_socket* socket() const noexcept { return inside_.get(); }
  result<int> descriptor() const;
  std::error_code check_thread() const noexcept;

  std::unique_ptr<detail::stream_socket> inside_;
};

/// A TCP socket that accepts connections. `listen_tcp` makes one. Threads and lifetime as of tcp_conn.
class URING6_EXPORT tcp_listener {
 public:
  tcp_listener() noexcept;
  tcp_listener(tcp_listener&&) noexcept;
  tcp_listener& operator=(tcp_listener&&) noexcept;
  ~tcp_listener();

  /// Waits for a connection. Several coroutines are served in the order in which they came. A coroutine that is
  /// stopped, loses a race, times out or is destroyed takes no connection: the next one gets it. While a coroutine
  /// waits, the listener accepts up to `tcp_options::accept_ahead` more connections for the calls that follow. A
  /// connection that its peer has reset is returned as well, with the peer's address. accept(2). Go: Accept.
  ///
  /// Errors: EMFILE, ENFILE, ENOBUFS, ENOMEM, … The program may call `accept` again at once: the listener asks the
  /// kernel again after 5 ms, after each further refusal it waits twice as long, at most 1 s, and `accept` waits
  /// until then.
  [[nodiscard("co_await it")]] detail::accept_operation accept() noexcept {
    return detail::accept_operation(inside_.get());
  }

  /// Sets the deadline of `accept`, as tcp_conn does for its operations. Go: SetDeadline.
  /// Throws std::bad_alloc, and then changes nothing.
  result<void> set_deadline(std::optional<std::chrono::steady_clock::time_point> when);

  /// Stops taking connections in, and cuts none: the first step of an orderly end. The kernel drops the first segment
  /// of each new connection from now on, which its peer repeats after a second (RFC 6298): by then another listener of
  /// the port should answer, in this process or another, or none does. `accept` returns what was accepted ahead, what
  /// waits in the kernel, and what completes its handshake within `handshakes`, and then ends with `errc::closed`. A
  /// `close` resets all of these. The default, 300 ms, is twice the round trip to most peers.
  ///
  /// `drain_on_stop` calls it when a stop is requested.
  ///
  ///     (void)listener.stop_accepting();
  ///     co_await accept_all(listener);  // until an accept ends with errc::closed
  ///
  /// Holds for the socket: not for one that another process goes on with (`listen_inherited`).
  ///
  /// Takes the place of the deadline of `accept`; one that is set later is the new end. Errors: `errc::closed`,
  /// `errc::wrong_thread`, EPERM (SO_LOCK_FILTER), ENOMEM; then nothing has changed, also after std::bad_alloc.
  /// SO_ATTACH_FILTER. Go: missing.
  result<void> stop_accepting(std::chrono::milliseconds handshakes = std::chrono::milliseconds(300));

  /// The listener's address, with the port that the kernel or the caller chose. Go: Addr.
  result<endpoint> local_endpoint() const;

  /// Closes the listener. Waiting coroutines get `errc::closed`. The port is free when the call returns. Go: Close.
  droppable_result<void> close();
  bool is_open() const noexcept;

  /// The descriptor, which the listener still owns; -1 on a closed listener.
  int native_handle() const noexcept;

  /// Ends all waits with `errc::closed` and gives the open descriptor to the caller. Connections that the kernel has
  /// not given to this listener wait in it for the next owner. `accept` still returns the connections that were
  /// accepted ahead, and then ends with `errc::closed`. Go: TCPListener.File.
  result<int> release();

  /// For the library's own code.
  URING6_HIDDEN explicit tcp_listener(std::unique_ptr<detail::accept_queue> inside) noexcept;

 private:
  friend class handover;

  std::unique_ptr<detail::accept_queue> inside_;
};

/// Opens a listener at `address`. Go: net.Listen.
///
/// `network`: "tcp6" (IPv6 only) or "tcp" (dual stack: IPv4 peers appear as v4-mapped addresses).
///
/// `address`: "[::1]:80", "[fe80::1%eth0]:80", "[::]:0" for a port that the kernel chooses, ":80" for any address.
/// The port is available as soon as the listener before has closed (SO_REUSEADDR).
///
/// Errors: `errc::wrong_thread`, `errc::unknown_network`, `errc::not_an_address`, `errc::missing_port`,
/// `errc::unknown_zone`, `errc::needless_zone`, `errc::ipv4_address` for an IPv4 address with "tcp6",
/// `errc::out_of_range` for `tcp_options::accept_ahead`, `errc::no_ipv6`, EADDRINUSE, EADDRNOTAVAIL, EACCES, …
URING6_EXPORT result<tcp_listener> listen_tcp(event_loop& loop, std::string_view network, std::string_view address,
                                              const tcp_options& options = {});
/// The same at an endpoint.
URING6_EXPORT result<tcp_listener> listen_tcp(event_loop& loop, std::string_view network, const endpoint& address,
                                              const tcp_options& options = {});

/// Takes over a listening TCP socket of AF_INET6 that another program or library has opened (socket activation,
/// `release`). The listener owns the socket and closes it; after an error, or std::bad_alloc, the caller still owns
/// it. Of `options` only `accept_ahead` applies. The socket becomes blocking for all of its descriptors, because
/// io_uring needs it so.
///
/// Errors: EBADF, ENOTSOCK; address_family_not_supported if the socket is not AF_INET6; wrong_protocol_type if it is
/// not TCP; `std::errc::invalid_argument` if it does not listen. Go: net.FileListener.
URING6_EXPORT result<tcp_listener> adopt_listener(event_loop& loop, int fd, const tcp_options& options = {});

/// Takes over a connection that another program, library or loop has made or accepted (`tcp_conn::release`), by the
/// same rules. Errors: as of `adopt_listener`; ENOTCONN, also for a connection that has ended, whose peer the kernel
/// has forgotten. Go: net.FileConn.
URING6_EXPORT result<tcp_conn> adopt_tcp(event_loop& loop, int fd);

/// The same for what `tcp_conn::release` returned: reads give its `unread` octets first, then those in the kernel, also
/// of a connection that has ended. After an error the caller still owns all of it.
URING6_EXPORT result<tcp_conn> adopt_tcp(event_loop& loop, const released_tcp& from);

/// Connects to `address`. Network words, addresses and errors as of `listen_tcp`, also `errc::ipv4_address` for an
/// IPv4 address in `tcp_options::local` with "tcp6"; ECONNREFUSED, ENETUNREACH,
/// ETIMEDOUT, … A stop (`with_timeout(5s, dial_tcp(…))`) gives the attempt up. A dial that loses a race closes its
/// connection. Go: net.Dialer.
///
/// When the kernel chooses the local port and nothing listens at `address`, a connection can reach itself; the dial
/// then ends with ECONNREFUSED. With a port in `tcp_options::local` such a connection is taken as meant.
[[nodiscard("co_await it")]] URING6_EXPORT detail::dial_operation dial_tcp(event_loop& loop, std::string_view network,
                                                                           std::string_view address,
                                                                           const tcp_options& options = {});
/// The same to an endpoint.
[[nodiscard("co_await it")]] URING6_EXPORT detail::dial_operation dial_tcp(event_loop& loop, std::string_view network,
                                                                           const endpoint& address,
                                                                           const tcp_options& options = {});

/// Connects to one of `addresses`, the best first, as `resolve` found them for a name: "happy eyeballs" (RFC 8305,
/// sections 4 and 5). IPv6 and IPv4 alternate, beginning with the family of the first address. The dial tries the
/// next address when one has failed or `attempt_delay` has passed, takes the first that answers, and gives up the
/// others. With "tcp6" it skips IPv4 addresses; if there are no others, the error is
/// `errc::ipv4_address`.
///
/// If none answers, the error is that of the first address. No addresses: `std::errc::invalid_argument`.
[[nodiscard("co_await it")]] URING6_EXPORT detail::dial_operation dial_tcp(event_loop& loop, std::string_view network,
                                                                           std::span<const endpoint> addresses,
                                                                           const tcp_options& options = {});

/// Connects to `service` of `host`, as `resolve` finds them, by the rules above. Errors: also those of `resolve`. The
/// text of `options.device` must live until then. Go: net.Dial("tcp", "example.org:https").
[[nodiscard("co_await it")]] URING6_EXPORT task<result<tcp_conn>> dial_tcp(event_loop& loop, std::string_view network,
                                                                           std::string_view host,
                                                                           std::string_view service,
                                                                           const tcp_options& options = {});

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::keep_alive> {
  std::size_t operator()(const uring6::keep_alive& of) const noexcept {
    return uring6::detail::hash_of(of.idle.count(), of.interval.count(), of.probes);
  }
};
