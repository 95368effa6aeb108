// datagram_hub: one reader of a packet_conn, and any number of coroutines that each see every datagram.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "uring6/detail/error_slot.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/shared_batch.hpp"
#include "uring6/stats.hpp"
#include "uring6/task.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

class event_loop;
class packet_conn;

namespace detail {

class hub_core;
class hub_member;

class URING6_EXPORT subscription_receive_operation final : ready_node, stop_listener {
 public:
  static constexpr std::string_view wait_name = "subscription::receive";

  explicit subscription_receive_operation(hub_member* member) noexcept : member_(member) {}
  subscription_receive_operation(subscription_receive_operation&&) = default;
  ~subscription_receive_operation();

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) { return suspend(waiting, stop_of(in)); }
  void tell_wait(wait_listing& to) const;
  result<shared_batch> await_resume() noexcept;

 private:
  friend class hub_member;

  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  URING6_HIDDEN void stop_requested() noexcept override;
  URING6_HIDDEN void wake(error_slot why) noexcept;

  hub_member* member_;
  error_slot error_;
  bool waits_ = false;  // its member refers to it
};

}  // namespace detail

/// What becomes of a subscription that is behind: it has not received what came, and may hold no more buffers.
enum class when_behind : std::uint8_t {
  /// It misses the oldest datagrams that it has not received, and goes on with newer ones. For what loses its worth
  /// with time: measurements, audio, positions.
  skip,
  /// It ends: it misses everything from there on, and `receive` returns `errc::fell_behind`. For what is useless with a
  /// gap: the program subscribes anew and begins again.
  cut_off,
};

/// "cut_off"
URING6_EXPORT std::string to_string(when_behind value);

struct subscription_options {
  when_behind behind = when_behind::skip;
  /// The most receive buffers (`loop_options::receive_buffers`) that the subscription holds: those of the batch that it
  /// works on, and of the batches that it has not received yet. An error of the conn counts as one. 32, the most that a
  /// batch has, to 32,768. Subscriptions hold the same buffers, so many slow ones take little more than one; but
  /// each may work on another batch. The loop's other conns get what all of them leave.
  std::size_t buffers = 64;
};

/// Counters of a subscription.
struct subscription_stats {
  std::uint64_t datagrams = 0;      ///< Datagrams received.
  std::uint64_t batches = 0;        ///< Batches received.
  std::uint64_t missed = 0;         ///< Datagrams that arrived and that the subscription did not get.
  std::uint64_t missed_errors = 0;  ///< Errors of the conn that it did not get.
  std::uint64_t buffers = 0;        ///< Now: receive buffers that it holds.
};

template <>
inline constexpr auto counters_of<subscription_stats> = std::to_array<named_counter<subscription_stats>>({
    {"datagrams", &subscription_stats::datagrams},
    {"batches", &subscription_stats::batches},
    {"missed", &subscription_stats::missed},
    {"missed_errors", &subscription_stats::missed_errors},
    {"buffers", &subscription_stats::buffers},
});

static_assert(has_counters<subscription_stats>);

/// One coroutine's place among those that see every datagram of a conn. `datagram_hub::subscribe` makes one. It gets
/// what arrives from then on.
///
/// It may outlive its hub. Threads: it belongs to its loop's thread; destroyed on another one, while the loop's
/// thread lives, it ends the program with a message that says so.
class URING6_EXPORT subscription {
 public:
  subscription() noexcept;
  subscription(subscription&&) noexcept;
  subscription& operator=(subscription&&) noexcept;
  ~subscription();

  /// Gives the batch of the `receive` before back, and waits for the next one: datagrams in the order of their arrival,
  /// in at most 32 receive buffers. The buffers are lent, as `packet_conn::receive` lends them: they go back to the
  /// loop's pool when the last subscription has given its batch back. Go: missing.
  ///
  /// A `receive` that is stopped or that loses a race has taken nothing. Errors of the conn that are transient
  /// (`is_transient`) come in their place between the datagrams, once to each subscription, and the next `receive` goes
  /// on. When `datagram_hub::run` has ended, `receive` first returns what has arrived, then the error that ended it:
  /// `errc::closed` if it was stopped or destroyed; a new `run` goes on. `errc::fell_behind`: the subscription is cut
  /// off (`when_behind::cut_off`), for ever.
  ///
  /// Other errors: `errc::canceled`; `errc::closed` on a moved-from or destroyed subscription, or after the loop's end;
  /// `errc::wrong_thread`; `std::errc::operation_in_progress` while another coroutine waits for this subscription.
  [[nodiscard("co_await it")]] detail::subscription_receive_operation receive() noexcept {
    return detail::subscription_receive_operation(member_.get());
  }

  /// Gives the batch of the last `receive` back, before the next one.
  void release() noexcept;

  /// All 0 on a moved-from subscription.
  subscription_stats stats() const noexcept;

 private:
  friend class datagram_hub;
  URING6_HIDDEN explicit subscription(std::unique_ptr<detail::hub_member> member) noexcept;

  std::unique_ptr<detail::hub_member> member_;
};

/// Lets many coroutines of one loop see every datagram of a conn, without a copy: one task, `run`, reads the conn and
/// lends each buffer to all subscriptions.
///
///     uring6::datagram_hub hub(loop, pc);
///     auto all = or_throw(hub.subscribe());
///     background.spawn(hub.run(), [](result<void> end) { ... });
///     for (;;) {
///       const auto batch = co_await all.receive();
///       if (!batch && is_transient(batch.error())) continue;
///       if (!batch) co_return;
///       for (const auto each : *batch) use(each.payload(), each.source());
///     }
///
/// A batch wakes each waiting subscription once, and costs nothing for each datagram. Once every subscription has been
/// as far behind as it ever will be, nothing is allocated. A subscription that keeps up, that is one that only waits to
/// be resumed, misses nothing: the reader lets it run first. One that waits for other things meanwhile may hold
/// `subscription_options::buffers`. What it misses beyond that is counted, and no other subscription notices it.
///
/// Datagrams that arrive without a subscription are dropped. A read of the conn by another coroutine takes datagrams
/// away from all subscriptions.
///
/// The conn must outlive `run`, and must not be moved while it runs. Threads: a hub belongs to its loop's thread.
class URING6_EXPORT datagram_hub {
 public:
  /// The conn is one of `loop`. Throws std::bad_alloc. A moved-from `loop` makes a hub that is closed.
  datagram_hub(event_loop& loop, packet_conn& pc);
  datagram_hub(datagram_hub&&) noexcept;
  datagram_hub& operator=(datagram_hub&&) noexcept;
  /// Ends the subscriptions with `errc::closed`: at once, or if `run` still runs, when that ends.
  ~datagram_hub();

  /// A subscription to all datagrams that arrive from now on. Errors: `errc::out_of_range` for
  /// `subscription_options::buffers`; `std::errc::not_enough_memory`; `errc::wrong_thread`; `errc::closed` on a
  /// moved-from hub, or after the loop's end.
  result<subscription> subscribe(const subscription_options& options = {});

  /// Reads the conn until it is stopped, or a read ends with an error that is not transient, which it returns. Errors
  /// of its own: `errc::closed` on a moved-from hub; `errc::wrong_thread`; `std::errc::operation_in_progress` while
  /// another call runs. Without memory for a batch its datagrams are missed by all, and counted.
  [[nodiscard("co_await it")]] task<result<void>> run();

  /// How many subscriptions there are. 0 on a moved-from hub.
  std::size_t subscriptions() const noexcept;

 private:
  std::shared_ptr<detail::hub_core> core_;
  packet_conn* conn_;
};

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
