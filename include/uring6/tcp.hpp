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
#include "uring6/detail/stream_operations.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/export.hpp"
#include "uring6/opening_hook.hpp"
#include "uring6/result.hpp"
#include "uring6/stats.hpp"
#include "uring6/task.hpp"

namespace uring6 {

/// When a connection on which nothing moves is asked whether it is alive, and given up (RFC 9293, 3.8.4). Go:
/// KeepAliveConfig, with the same defaults.
struct keep_alive {
  std::chrono::seconds idle{15};      ///< Silence before the first probe, 1 to 32,767. TCP_KEEPIDLE.
  std::chrono::seconds interval{15};  ///< Between probes, 1 to 32,767. TCP_KEEPINTVL.
  int probes = 9;                     ///< Unanswered ones until the connection is given up, 1 to 127. TCP_KEEPCNT.

  friend bool operator==(const keep_alive&, const keep_alive&) = default;
};

/// What must be known before a TCP socket is opened. Accepted connections inherit it. Trivially destructible, because
/// GCC 12 destroys other temporaries in co_await expressions twice.
struct tcp_options {
  /// Several listeners share the port; the kernel spreads the connections. SO_REUSEPORT.
  bool reuse_port = false;
  /// Bind to an address that this host does not have (yet). IPV6_FREEBIND.
  bool freebind = false;
  /// Hear and speak by this interface only. SO_BINDTODEVICE.
  std::string_view device{};
  /// Connections that may wait for `accept`; the kernel takes at most net.core.somaxconn. listen(2)
  int backlog = 65'535;
  /// Connections that a listener accepts at most before an `accept` asks for them, so that one system call serves many;
  /// those that nobody takes are closed with the listener. 0: each `accept` takes one connection, and the others stay
  /// in the kernel's queue, for other processes that share the socket, too. At most 65,535.
  std::size_t accept_ahead = 64;
  /// Probes on a silent connection; none: no probes.
  std::optional<keep_alive> probes = keep_alive{};
  /// Small segments leave at once, without waiting for more (RFC 896). TCP_NODELAY. Go: the same default.
  bool no_delay = true;
  /// To dial from; none: the kernel chooses. With port 0 it chooses the port when it connects, so that connections to
  /// several peers can share it. IP_BIND_ADDRESS_NO_PORT
  std::optional<endpoint> local{};
  /// How long a dial waits for one address before it tries the next one, too (RFC 8305, 5: 250 ms). At least 10 ms,
  /// else it is 10 ms; `milliseconds::max()`: only when that one has failed.
  std::chrono::milliseconds attempt_delay{250};
  /// Called with the socket of a listener before it is bound, and with that of each attempt to dial before it is bound
  /// and connected. Must live until the dial has ended. Go: ListenConfig.Control, Dialer.Control.
  opening_hook control{};
};

/// A connection without a conn, as `tcp_conn::release` gives it and `adopt_tcp` takes it. Its members can be sent to
/// another process: the descriptor by SCM_RIGHTS.
struct released_tcp {
  /// The caller's, open.
  int fd = -1;
  /// The stream's next octets: read from the kernel, and not handed out. The kernel has those that follow.
  std::vector<std::byte> unread{};
  /// What ended the connection, if the kernel has said it (it does so once) and no read was told it.
  std::error_code error{};
};

/// Which half of a connection `shutdown` ends.
enum class stream_half : std::uint8_t { read, write, both };

/// A TCP connection over IPv6 or, on a dual-stack socket, IPv4. Made by `accept` and `dial_tcp`.
///
/// All of it belongs to the thread that runs the conn's loop, and its end as that of a packet_conn does: on another
/// thread operations and options are `errc::wrong_thread`, and destroying it there ends the program. The conn must
/// outlive the operations that wait on it, or be closed first; destroying it closes it. A moved-from or closed conn
/// answers everything with `errc::closed`.
///
/// What an awaited operation can end with, besides what it says itself: `errc::closed`, `errc::canceled` (a stop was
/// requested), `errc::deadline_exceeded`, `errc::wrong_thread`, and the kernel's errno (ECONNRESET, ETIMEDOUT, …).
/// A read that has octets returns them although a deadline has passed or the conn was closed meanwhile. A read that is
/// stopped, loses a race (`when_any`) or is destroyed before its coroutine was resumed leaves its octets to the next
/// read, in order. If there is no memory to keep them, the stream has a gap: all later reads are
/// `std::errc::not_enough_memory`. An error of the connection (ECONNRESET, ETIMEDOUT, …), which the kernel says once,
/// is kept for the next read in the same way, also when a write was told it: no read takes a reset for the end.
class URING6_EXPORT tcp_conn {
 public:
  tcp_conn() noexcept;
  tcp_conn(tcp_conn&&) noexcept;
  tcp_conn& operator=(tcp_conn&&) noexcept;
  ~tcp_conn();

  /// Waits until there is something to read, and reads at most as much as `into` holds. Returns how many octets; 0 when
  /// the peer has ended its writing half (or `into` is empty). Several readers are served in the order in which they
  /// came. `into` must live until then. In a race nothing is lost. Go: Read.
  [[nodiscard("co_await it")]] detail::stream_read_operation read(std::span<std::byte> into) noexcept {
    return {socket(), into};
  }

  /// Writes all of `from`; waits until the kernel has taken it. Writes of several coroutines go one after the other,
  /// never mixed. Returns the length. On an error a part may have gone: `stats` counts it. `from` must stay as it is
  /// until then. EPIPE after the connection has ended (no SIGPIPE). A write that is stopped or loses a race may have
  /// sent a part, too: what `stats().sent_bytes` has grown by. Go: Write.
  [[nodiscard("co_await it")]] detail::stream_write_operation write(std::span<const std::byte> from) noexcept {
    return {socket(), from, true};
  }

  /// The same of characters: a string, a view of one, a literal (without its end), a span of char.
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::stream_write_operation write(Text&& from) noexcept {
    return write(detail::octets_of(from));
  }

  /// Writes as much of `from` as the kernel takes in one piece. Returns how many octets, at least 1 (0 of nothing). In
  /// a race as `write`.
  [[nodiscard("co_await it")]] detail::stream_write_operation write_some(std::span<const std::byte> from) noexcept {
    return {socket(), from, false};
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::stream_write_operation write_some(Text&& from) noexcept {
    return write_some(detail::octets_of(from));
  }

  /// Ends a half of the connection: after `write` the peer reads its end, after `read` our reads do. Writes that still
  /// wait end with EPIPE. ENOTCONN if the peer is gone. shutdown(2). Go: CloseWrite, CloseRead.
  [[nodiscard]] result<void> shutdown(stream_half which);

  /// Ends everything: whoever waits gets `errc::closed` (or what it had got already), the connection is closed in
  /// order, or reset if something arrived that nobody read. `errc::closed` if it was closed before. Go: Close.
  result<void> close();
  bool is_open() const noexcept;

  /// Sticky: for the operations that wait and all that come, with `errc::deadline_exceeded`, until set anew; nullopt
  /// clears. Go: SetDeadline, SetReadDeadline, SetWriteDeadline.
  using time_point = std::chrono::steady_clock::time_point;
  [[nodiscard]] result<void> set_deadline(std::optional<time_point> when);
  [[nodiscard]] result<void> set_read_deadline(std::optional<time_point> when);
  [[nodiscard]] result<void> set_write_deadline(std::optional<time_point> when);

  /// Whether small segments leave at once. TCP_NODELAY. Go: SetNoDelay.
  [[nodiscard]] result<bool> no_delay() const;
  [[nodiscard]] result<void> set_no_delay(bool on);

  /// The probes on a silent connection; none: there are none. `errc::out_of_range` outside of the ranges. SO_KEEPALIVE.
  /// Go: SetKeepAliveConfig.
  [[nodiscard]] result<std::optional<keep_alive>> probes() const;
  [[nodiscard]] result<void> set_probes(const std::optional<keep_alive>& when);

  /// How much may wait in the kernel to be read, and to be sent, octets as they are asked for: the kernel takes twice
  /// as much memory. Until one is set, the kernel adapts it to the connection. SO_RCVBUF, SO_SNDBUF.
  [[nodiscard]] result<std::size_t> receive_buffer() const;
  [[nodiscard]] result<std::size_t> send_buffer() const;
  /// As of packet_conn: asks for another size, and returns what was granted. Go: SetReadBuffer, SetWriteBuffer.
  [[nodiscard]] result<std::size_t> set_receive_buffer(std::size_t octets);
  [[nodiscard]] result<std::size_t> set_send_buffer(std::size_t octets);

  /// This end. Go: LocalAddr.
  [[nodiscard]] result<endpoint> local_endpoint() const;
  /// The other end, also when it is gone; v4-mapped if it speaks IPv4. Go: RemoteAddr.
  [[nodiscard]] result<endpoint> peer_endpoint() const;

  /// The descriptor, still the conn's; -1 when closed. For options that have no method here; `conn` has those of IPv6.
  int native_handle() const noexcept;

  /// Ends all operations with `errc::closed` and gives the connection to the caller; the conn is closed then. Octets
  /// that were read and that no coroutine has looked at are in `unread`, also those of a read that was waiting to be
  /// resumed. A write that waits may have sent a part, as `stats` tells. not_enough_memory if octets were lost (see
  /// above): then the conn stays open. Go: TCPConn.File.
  [[nodiscard]] result<released_tcp> release();

  /// On a closed conn what it was at the end; all 0 if moved from, and on another thread than the loop's
  /// while that lives.
  tcp_stats stats() const noexcept;

  /// For the library's own rooms.
  explicit tcp_conn(std::unique_ptr<detail::stream_socket> inside) noexcept;

 private:
  detail::stream_socket* socket() const noexcept { return inside_.get(); }
  [[nodiscard]] result<int> descriptor() const;
  std::error_code check_thread() const noexcept;

  std::unique_ptr<detail::stream_socket> inside_;
};

/// A TCP socket that connections come in by. Made by `listen_tcp`. Threads and lifetime as of tcp_conn.
class URING6_EXPORT tcp_listener {
 public:
  tcp_listener() noexcept;
  tcp_listener(tcp_listener&&) noexcept;
  tcp_listener& operator=(tcp_listener&&) noexcept;
  ~tcp_listener();

  /// Waits for a connection. Several coroutines are served in the order in which they came. One that is stopped, loses
  /// a race, times out or is destroyed takes nothing: the connection is the next one's. While a coroutine waits, up to
  /// `tcp_options::accept_ahead` more connections are accepted for the calls that follow. One whose peer has reset it
  /// is given all the same, with the peer's name.
  ///
  /// Errors: EMFILE, ENFILE, ENOBUFS, ENOMEM, … after which it may be tried again at once: the listener asks the kernel
  /// again after 5 ms, and after twice as long for each further refusal, at most 1 s; `accept` waits until then.
  /// accept(2). Go: Accept.
  [[nodiscard("co_await it")]] detail::accept_operation accept() noexcept {
    return detail::accept_operation(inside_.get());
  }

  /// As of tcp_conn, for `accept`. Go: SetDeadline.
  [[nodiscard]] result<void> set_deadline(std::optional<std::chrono::steady_clock::time_point> when);

  /// The address and the port that was chosen. Go: Addr.
  [[nodiscard]] result<endpoint> local_endpoint() const;

  /// Whoever waits gets `errc::closed`, and the port is free when it returns. Go: Close.
  result<void> close();
  bool is_open() const noexcept;

  /// The descriptor, still the listener's; -1 when closed.
  int native_handle() const noexcept;

  /// Ends all waits with `errc::closed` and gives the descriptor to the caller, open: connections wait in it for its
  /// next owner. Those that the kernel had accepted ahead are still this listener's: `accept` gives them, and then ends
  /// with `errc::closed`. Go: TCPListener.File.
  [[nodiscard]] result<int> release();

  /// For the library's own rooms.
  explicit tcp_listener(std::unique_ptr<detail::accept_queue> inside) noexcept;

 private:
  std::unique_ptr<detail::accept_queue> inside_;
};

/// Opens a listener at `address`.
///
/// `network`: "tcp6" (IPv6 only) or "tcp" (dual stack: IPv4 peers appear as v4-mapped addresses). `address`:
/// "[::1]:80",
/// "[fe80::1%eth0]:80", "[::]:0" (the kernel chooses the port), ":80" for any address. The port may be taken as soon as
/// the listener before it has gone (SO_REUSEADDR). Errors: `errc::wrong_thread`, `errc::unknown_network`,
/// `errc::bad_address`, `errc::missing_port`, `errc::unknown_zone`, EADDRINUSE, EADDRNOTAVAIL, EACCES, … Go:
/// net.Listen.
[[nodiscard]] URING6_EXPORT result<tcp_listener> listen_tcp(event_loop& loop, std::string_view network,
                                                            std::string_view address, const tcp_options& options = {});
/// The same at an endpoint.
[[nodiscard]] URING6_EXPORT result<tcp_listener> listen_tcp(event_loop& loop, std::string_view network,
                                                            const endpoint& address, const tcp_options& options = {});

/// Takes a listening socket over that somebody else has opened (socket activation, `release`), of TCP and AF_INET6. The
/// listener owns it and closes it. Of `options` only `accept_ahead` counts. After an error, or std::bad_alloc, it is
/// still the caller's. The socket is made blocking, as io_uring wants it (O_NONBLOCK is shared by all its descriptors).
///
/// Errors: EBADF, ENOTSOCK; address_family_not_supported for other than AF_INET6; wrong_protocol_type for other than
/// TCP; `std::errc::invalid_argument` if it does not listen. Go: net.FileListener.
[[nodiscard]] URING6_EXPORT result<tcp_listener> adopt_listener(event_loop& loop, int fd,
                                                                const tcp_options& options = {});

/// Takes a connection over that somebody else has made or accepted, also a conn of another loop (`tcp_conn::release`),
/// in the same way. Errors: as of `adopt_listener`, ENOTCONN. Go: net.FileConn.
[[nodiscard]] URING6_EXPORT result<tcp_conn> adopt_tcp(event_loop& loop, int fd);

/// The same for what `tcp_conn::release` has given: reads give its octets first. After an error all of it is still the
/// caller's.
URING6_EXPORT result<tcp_conn> adopt_tcp(event_loop& loop, const released_tcp& from);

/// Connects to `address`. Network words, addresses and errors as of `listen_tcp`; ECONNREFUSED, ENETUNREACH, ETIMEDOUT,
/// … A connection to itself, which comes of a port that the kernel chose and on which nothing listens, is ECONNREFUSED;
/// with a port in `tcp_options::local` it is taken as meant. Stopping it (`with_timeout(5s, dial_tcp(…))`) gives it up;
/// a dial that loses a race closes what it has connected. Go: net.Dialer.
[[nodiscard("co_await it")]] URING6_EXPORT detail::dial_operation dial_tcp(event_loop& loop, std::string_view network,
                                                                           std::string_view address,
                                                                           const tcp_options& options = {});
/// The same to an endpoint.
[[nodiscard("co_await it")]] URING6_EXPORT detail::dial_operation dial_tcp(event_loop& loop, std::string_view network,
                                                                           const endpoint& address,
                                                                           const tcp_options& options = {});

/// Connects to one of `addresses`, as they were found for a name, the best first: "happy eyeballs" (RFC 8305, sections
/// 4 and 5). IPv6 and IPv4 take turns, beginning with the family of the first; the next one is tried when one has
/// failed or `attempt_delay` has passed, and the first one that answers is taken, the others are given up. If none
/// answers, the error of the first one. No addresses: `std::errc::invalid_argument`. With "tcp6" IPv4 addresses are
/// left out.
[[nodiscard("co_await it")]] URING6_EXPORT detail::dial_operation dial_tcp(event_loop& loop, std::string_view network,
                                                                           std::span<const endpoint> addresses,
                                                                           const tcp_options& options = {});

/// Connects to `service` of `host`, as `resolve` finds them, by the rules above. Errors: also those of `resolve`. The
/// device that the options name must live until then. Go: net.Dial("tcp", "example.org:https").
[[nodiscard("co_await it")]] URING6_EXPORT task<result<tcp_conn>> dial_tcp(event_loop& loop, std::string_view network,
                                                                           std::string_view host,
                                                                           std::string_view service,
                                                                           const tcp_options& options = {});

}  // namespace uring6
