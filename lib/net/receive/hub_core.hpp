// What a datagram_hub and its subscriptions share: the batches that some subscription has not given back yet, in the
// order of their arrival, and the subscriptions ("members"), each with its place among the batches.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>

#include "runtime/loop/loop_core.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/datagram_hub.hpp"
#include "uring6/detail/intrusive_list.hpp"

namespace uring6::inline v0::detail {

/// Datagrams, or an error of the conn, that members hold. The hook links it into the hub's log or its unused batches.
struct hub_batch : list_hook {
  /// Buffers of a batch: what a run of a multishot read takes (MULTISHOT_MAX_RETRY). So the smallest limit of a member
  /// holds one batch, and a member that works on one keeps few buffers from the kernel.
  static constexpr std::uint32_t most_buffers = 32;

  datagram_batch datagrams;
  std::array<shared_piece, most_buffers> pieces;  // one for each buffer
  std::error_code error;  // of the conn; empty if the batch has datagrams
  std::uint32_t holders = 0;
  std::uint32_t cost = 0;  // what it counts of a member's limit: its buffers; 1 for an error
};

/// A subscription. Its batches that it has not received ("pending") are the last ones of the log: `next_` and all
/// behind it, because a member that misses batches misses the oldest ones, or one for which it has no room at all.
class hub_member final : public list_hook {
 public:
  hub_member(std::shared_ptr<hub_core> core, const subscription_options& options) noexcept;
  hub_member(const hub_member&) = delete;
  hub_member& operator=(const hub_member&) = delete;
  ~hub_member();

  hub_core& core() const noexcept { return *core_; }
  const subscription_stats& stats() const noexcept { return stats_; }

  /// Why a `receive` cannot begin to wait; empty if it can, or need not.
  error_slot check_receive() const noexcept;
  bool has_pending() const noexcept { return next_ != nullptr; }

  /// Gives the batch that was received back.
  void release() noexcept;

  /// The oldest pending batch is received: the member holds it until `release`. Precondition (asserted): there is one,
  /// and no received batch.
  result<shared_batch> take() noexcept;

  void wait(subscription_receive_operation& waiter) noexcept {
    assert(!waiter_ && "one receive waits at a time");
    waiter_ = &waiter;
  }
  void end_wait([[maybe_unused]] subscription_receive_operation& waiter) noexcept {
    assert(waiter_ == &waiter);
    waiter_ = nullptr;
  }

 private:
  friend class hub_core;

  /// Is its coroutine about to resume? Then it is not behind, however much is pending.
  bool is_woken() const noexcept;
  bool has_room(std::uint32_t cost) const noexcept { return stats_.buffers + cost <= limit_; }
  void offer(hub_batch& what) noexcept;
  void miss(const hub_batch& what) noexcept;
  void miss_oldest() noexcept;
  void cut_off(const hub_batch& unheld) noexcept;
  void end(error_slot why) noexcept;

  std::shared_ptr<hub_core> core_;
  subscription_receive_operation* waiter_ = nullptr;
  hub_batch* received_ = nullptr;    // what the last `receive` returned
  hub_batch* next_ = nullptr;        // the oldest pending batch
  std::size_t limit_;                // buffers
  std::uint64_t missed_before_ = 0;  // datagrams missed since the last received batch
  when_behind behind_;
  bool is_cut_off_ = false;
  subscription_stats stats_;
};

class hub_core final : resident {
 public:
  explicit hub_core(std::shared_ptr<loop_core> loop);
  hub_core(const hub_core&) = delete;
  hub_core& operator=(const hub_core&) = delete;
  ~hub_core();

  loop_core& loop() const noexcept { return *loop_; }
  std::size_t members() const noexcept { return member_count_; }

  // --- the reader ---

  bool is_running() const noexcept { return is_running_; }
  /// From now on the members wait for what the reader publishes.
  void begin_run() noexcept;
  /// Nothing more comes: members get this error when they have received everything.
  void end_run(error_slot why) noexcept;

  /// Would a member that only waits to be resumed miss something if `coming` were published now?
  bool outruns_a_woken_member(const datagram_batch& coming) const noexcept;

  /// Lends the first `hub_batch::most_buffers` buffers of `from` to all members. Precondition (asserted): it has some.
  void publish(datagram_batch& from) noexcept;
  void publish(const std::error_code& error) noexcept;

  // --- the hub and its members ---

  /// The hub has gone: no run begins any more.
  void abandon() noexcept;
  /// Why nothing more comes; empty while a run brings something, or may begin.
  const error_slot& ending() const noexcept { return ending_; }

 private:
  friend class hub_member;

  void loop_ends() noexcept override { end_run(errc::closed); }
  hub_batch* unused_batch() noexcept;
  void offer(hub_batch& what) noexcept;
  void let_go(hub_batch& what) noexcept;
  static void move_buffers(datagram_batch& from, datagram_batch& to, std::uint32_t count) noexcept;
  static void list_pieces(hub_batch& of) noexcept;
  static hub_batch* behind(const hub_batch& what, const intrusive_list<hub_batch>& log) noexcept;
  static shared_batch view_of(const hub_batch& what, std::uint64_t missed) noexcept;

  std::shared_ptr<loop_core> loop_;
  intrusive_list<hub_member> members_;
  std::size_t member_count_ = 0;
  intrusive_list<hub_batch> log_;     // batches with a holder, the oldest first
  intrusive_list<hub_batch> unused_;  // memory for batches
  error_slot ending_;
  bool is_running_ = false;
};

}  // namespace uring6::inline v0::detail
