// memory_link: sockets for datagrams that exist in this process only, for the tests of a service.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"
#include "uring6/datagram.hpp"
#include "uring6/datagram_socket.hpp"
#include "uring6/detail/characters.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/detail/memory_operations.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/export.hpp"
#include "uring6/read_write_flags.hpp"
#include "uring6/result.hpp"
#include "uring6/stats.hpp"

namespace uring6::inline v0 {

namespace detail {

class link_medium;

}  // namespace detail

/// How a memory_link treats datagrams. The defaults: each arrives at once, in order.
struct memory_link_options {
  /// How long each datagram is under way, by the loop's clock, at most 24 h. 0 without jitter: a datagram arrives
  /// before its `write_to` returns.
  std::chrono::nanoseconds delay{0};
  /// Up to how much longer, chosen at random for each datagram, at most 24 h. A datagram may overtake an earlier one.
  std::chrono::nanoseconds jitter{0};
  /// The probability that a datagram is lost, 0 to 1. 1: the link is down.
  double loss = 0;
  /// The probability that a datagram that is not lost arrives twice, 0 to 1.
  double duplication = 0;
  /// Seed of the random numbers. Equal seeds give equal losses, delays and duplicates to the same writes.
  std::uint64_t seed = 1;
  /// How many datagrams may wait for the readers of one socket, and how many may be under way on the link. At least 1.
  /// Any more are lost and counted (`memory_link_stats::overflowed`). 256: as many as a loop has receive buffers.
  std::size_t queue = 256;
  /// The interface that all sockets of the link send and receive by: `control_message::interface_index` and the zone of
  /// link-local addresses. 1 to 2,147,483,647. It need not exist.
  std::uint32_t interface_index = 1;
};

/// Counters of a memory_link since it was made: what became of the datagrams.
struct memory_link_stats {
  std::uint64_t sent = 0;            ///< Datagrams that writes handed over.
  std::uint64_t duplicated = 0;      ///< Datagrams that the link sent twice (memory_link_options::duplication).
  std::uint64_t lost = 0;            ///< Datagrams that the link lost (memory_link_options::loss).
  std::uint64_t overflowed = 0;      ///< Datagrams that found no place (memory_link_options::queue).
  std::uint64_t without_socket = 0;  ///< Datagrams to an address that no open socket of the link had.
  std::uint64_t delivered = 0;       ///< Datagrams that a socket got for its readers.
};

template <>
inline constexpr auto counters_of<memory_link_stats> = std::to_array<named_counter<memory_link_stats>>({
    {"sent", &memory_link_stats::sent},
    {"duplicated", &memory_link_stats::duplicated},
    {"lost", &memory_link_stats::lost},
    {"overflowed", &memory_link_stats::overflowed},
    {"without_socket", &memory_link_stats::without_socket},
    {"delivered", &memory_link_stats::delivered},
});

static_assert(has_counters<memory_link_stats>);

/// A socket of a `memory_link`. It keeps the promises of `datagram_socket`, and those of `packet_conn` for the
/// functions that both have: threads, lifetime and errors are the same, and each function does what the kernel does
/// between two hosts on one link.
class URING6_EXPORT memory_socket {
 public:
  memory_socket() noexcept;
  memory_socket(memory_socket&&) noexcept;
  memory_socket& operator=(memory_socket&&) noexcept;
  ~memory_socket();

  /// As `packet_conn::read_from`.
  [[nodiscard("co_await it")]] detail::memory_read_operation read_from(std::span<std::byte> buffer URING6_LIFETIMEBOUND,
                                                                       read_flags flags = read_flags::none) noexcept {
    return {port_.get(), buffer, has_any(flags, read_flags::dont_wait)};
  }

  /// As `packet_conn::write_to`, of a conn of IPv6 only. The socket always has room, so a write does not wait, with or
  /// without `write_flags::dont_wait`. Errors besides those of any operation: `errc::too_long`; those of
  /// `cmsg::encode`; `errc::ipv4_address`, `errc::unknown_zone` and `errc::needless_zone` for the destination; EINVAL
  /// for port 0, for a link-local destination without a zone or an interface, and for a source that is not this
  /// socket's; ENODEV for another interface than the link's; not_enough_memory.
  [[nodiscard("co_await it")]] detail::memory_write_operation write_to(
      std::span<const std::byte> payload URING6_LIFETIMEBOUND, const control_message& control,
      const endpoint& destination, [[maybe_unused]] write_flags flags = write_flags::none) noexcept {
    return {port_.get(), payload, control, destination};
  }
  [[nodiscard("co_await it")]] detail::memory_write_operation write_to(
      std::span<const std::byte> payload URING6_LIFETIMEBOUND, const endpoint& destination,
      write_flags flags = write_flags::none) noexcept {
    return write_to(payload, {}, destination, flags);
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::memory_write_operation write_to(Text&& payload URING6_LIFETIMEBOUND,
                                                                       const control_message& control,
                                                                       const endpoint& destination,
                                                                       write_flags flags = write_flags::none) noexcept {
    return write_to(detail::octets_of(payload), control, destination, flags);
  }
  template <detail::characters Text>
  [[nodiscard("co_await it")]] detail::memory_write_operation write_to(Text&& payload URING6_LIFETIMEBOUND,
                                                                       const endpoint& destination,
                                                                       write_flags flags = write_flags::none) noexcept {
    return write_to(detail::octets_of(payload), {}, destination, flags);
  }

  /// As `packet_conn::set_control_message`. A datagram without a traffic class arrives with 0, one without a hop limit
  /// with 64, Linux's default. There is no news of a path MTU.
  result<void> set_control_message(control_flags flags, bool on);
  result<control_flags> enabled_control() const;

  /// As those of `packet_conn`.
  using time_point = std::chrono::steady_clock::time_point;
  result<void> set_deadline(std::optional<time_point> when);
  result<void> set_read_deadline(std::optional<time_point> when);
  result<void> set_write_deadline(std::optional<time_point> when);

  /// The address and port that `bind` gave the socket. Errors: `errc::closed`.
  result<endpoint> local_endpoint() const;

  /// Waiting reads end with `errc::closed`, and unread datagrams are discarded. `errc::closed` if the socket was closed
  /// before.
  droppable_result<void> close();
  bool is_open() const noexcept;

  /// For the library's own code.
  URING6_HIDDEN explicit memory_socket(std::unique_ptr<detail::memory_port> port) noexcept;

 private:
  std::error_code check_thread() const noexcept;

  std::unique_ptr<detail::memory_port> port_;
};

static_assert(datagram_socket<memory_socket>);

/// Carries datagrams between its sockets, in the memory of this process, by the rules of its options: a network for the
/// tests of a service. Together with `loop_clock::simulated` a test takes no time, and each run is like the one before.
///
///     event_loop loop({.clock = loop_clock::simulated});
///     memory_link link(loop, {.delay = 20ms, .loss = 0.3});
///     auto server = or_throw(link.bind("[2001:db8::1]:53"));
///     auto client = or_throw(link.bind("[2001:db8::2]:0"));
///
/// All sockets are on one link: hop limits arrive as they were sent. Nothing has joined a group, so a datagram to a
/// group reaches no socket.
///
/// Threads: as `packet_conn`. Lifetime: the sockets may outlive the link, and the loop closes them when it ends.
class URING6_EXPORT memory_link {
 public:
  /// Throws std::system_error: `errc::out_of_range` for options outside of their ranges; `errc::wrong_thread`,
  /// `errc::forked`; `errc::closed` for a loop that was moved from. Throws std::bad_alloc.
  explicit memory_link(event_loop& loop, const memory_link_options& options = {});
  memory_link(const memory_link&) = delete;
  memory_link& operator=(const memory_link&) = delete;
  ~memory_link();

  /// Opens a socket at this address and port. Port 0: a free one from 49,152 on (RFC 6335).
  ///
  /// Errors: `std::errc::address_in_use` if an open socket of the link has both; EINVAL for an address that no host can
  /// have, and for a link-local one without a zone; `errc::unknown_zone` for a zone that is not the link's interface,
  /// `errc::needless_zone`; `errc::ipv4_address`; `errc::closed` when the loop has ended; `errc::wrong_thread`,
  /// `errc::forked`. Throws std::bad_alloc.
  result<memory_socket> bind(const endpoint& local);
  /// The same for text; in addition the errors of `endpoint::parse`.
  result<memory_socket> bind(std::string_view local);

  /// Replaces the options, for all that is written from now on. The random numbers begin anew with the seed.
  ///
  /// Errors, and then nothing is changed: `errc::out_of_range`; `errc::wrong_thread`, `errc::forked`.
  result<void> set_options(const memory_link_options& options);
  const memory_link_options& options() const noexcept;

  /// On the loop's thread.
  memory_link_stats stats() const noexcept;

 private:
  std::shared_ptr<detail::link_medium> medium_;
};

}  // namespace uring6::inline v0
