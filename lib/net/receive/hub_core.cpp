#include "net/receive/hub_core.hpp"

#include <algorithm>
#include <new>
#include <span>
#include <utility>

#include "uring/buffer_pool.hpp"

namespace uring6::inline v0::detail {

// --- a member ---

hub_member::hub_member(std::shared_ptr<hub_core> core, const subscription_options& options) noexcept
    : core_(std::move(core)), limit_(options.buffers), behind_(options.behind) {
  core_->members_.push_back(*this);
  ++core_->member_count_;
}

hub_member::~hub_member() {
  core_->loop().must_end_here("a subscription");
  release();
  while (next_) miss_oldest();
  end(errc::closed);
  list_hook::unlink();
  --core_->member_count_;
}

error_slot hub_member::check_receive() const noexcept {
  if (waiter_) return make_error_code(std::errc::operation_in_progress);
  if (has_pending()) return {};
  if (is_cut_off_) return errc::fell_behind;
  return core_->ending();
}

void hub_member::release() noexcept {
  if (!received_) return;
  hub_batch& what = *std::exchange(received_, nullptr);
  stats_.buffers -= what.cost;
  core_->let_go(what);
}

result<shared_batch> hub_member::take() noexcept {
  assert(next_ && !received_);
  hub_batch& what = *next_;
  next_ = hub_core::behind(what, core_->log_);
  received_ = &what;
  if (what.error) {
    const std::error_code error = what.error;
    release();
    return fail(error);
  }
  stats_.datagrams += what.datagrams.size();
  ++stats_.batches;
  return hub_core::view_of(what, std::exchange(missed_before_, 0));
}

bool hub_member::is_woken() const noexcept {
  return waiter_ && static_cast<const ready_node&>(*waiter_).linked();
}

void hub_member::offer(hub_batch& what) noexcept {
  if (is_cut_off_) return miss(what);
  if (!has_room(what.cost) && behind_ == when_behind::cut_off) return cut_off(what);
  while (!has_room(what.cost) && next_) miss_oldest();
  if (!has_room(what.cost)) return miss(what);
  stats_.buffers += what.cost;
  ++what.holders;
  if (!next_) next_ = &what;
  if (waiter_) waiter_->wake({});
}

void hub_member::miss(const hub_batch& what) noexcept {
  if (what.error) {
    ++stats_.missed_errors;
  } else {
    stats_.missed += what.datagrams.size();
    missed_before_ += what.datagrams.size();
  }
}

void hub_member::miss_oldest() noexcept {
  assert(next_);
  hub_batch& oldest = *next_;
  next_ = hub_core::behind(oldest, core_->log_);
  stats_.buffers -= oldest.cost;
  miss(oldest);
  core_->let_go(oldest);
}

void hub_member::cut_off(const hub_batch& unheld) noexcept {
  while (next_) miss_oldest();
  miss(unheld);
  is_cut_off_ = true;
  end(errc::fell_behind);
}

/// A waiting coroutine that nothing is pending for gets this error.
void hub_member::end(error_slot why) noexcept {
  if (waiter_ && !next_) waiter_->wake(why);
}

// --- the hub ---

hub_core::hub_core(std::shared_ptr<loop_core> loop) : loop_(std::move(loop)) {
  loop_->add(*this);
}

hub_core::~hub_core() {
  assert(members_.empty() && log_.empty() && "a member owns its hub");
  while (!unused_.empty()) delete &unused_.pop_front();
}

void hub_core::begin_run() noexcept {
  assert(!is_running_);
  is_running_ = true;
  ending_ = {};
}

void hub_core::end_run(error_slot why) noexcept {
  assert(why);
  is_running_ = false;
  ending_ = why;
  members_.for_each([&](hub_member& each) { each.end(why); });
}

void hub_core::abandon() noexcept {
  if (!is_running_) end_run(errc::closed);
}

bool hub_core::outruns_a_woken_member(const datagram_batch& coming) const noexcept {
  const auto cost = static_cast<std::uint32_t>(std::min<std::size_t>(coming.buffer_count_, hub_batch::most_buffers));
  bool outruns = false;
  members_.for_each([&](const hub_member& each) { outruns |= each.is_woken() && !each.has_room(cost); });
  return outruns;
}

void hub_core::publish(datagram_batch& from) noexcept {
  assert(!from.empty());
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(from.buffer_count_, hub_batch::most_buffers));
  hub_batch* const made = unused_batch();
  if (!made) {
    // Without memory all datagrams are missed: those behind these would seem to follow the ones before.
    members_.for_each([&](hub_member& each) {
      each.stats_.missed += from.size();
      each.missed_before_ += from.size();
    });
    return from.clear();
  }
  move_buffers(from, made->datagrams, count);
  list_pieces(*made);
  made->error = {};
  made->cost = count;
  offer(*made);
}

void hub_core::publish(const std::error_code& error) noexcept {
  assert(error);
  hub_batch* const made = unused_batch();
  if (!made) return members_.for_each([](hub_member& each) { ++each.stats_.missed_errors; });
  made->error = error;
  made->cost = 1;
  offer(*made);
}

hub_batch* hub_core::unused_batch() noexcept {
  return unused_.empty() ? new (std::nothrow) hub_batch : &unused_.pop_front();
}

/// The batch joins the log when all members have been asked: the last batch that a member lets go for this one must not
/// seem to have one behind it.
void hub_core::offer(hub_batch& what) noexcept {
  assert(what.holders == 0);
  members_.for_each([&](hub_member& each) { each.offer(what); });
  if (what.holders > 0) return log_.push_back(what);
  what.datagrams.clear();
  unused_.push_front(what);
}

void hub_core::let_go(hub_batch& what) noexcept {
  assert(what.holders > 0 && what.linked());
  if (--what.holders > 0) return;
  what.datagrams.clear();
  static_cast<list_hook&>(what).unlink();
  unused_.push_front(what);
}

/// The batch that came after `what`; nullptr if it is the last one.
hub_batch* hub_core::behind(const hub_batch& what, const intrusive_list<hub_batch>& log) noexcept {
  return log.is_end(what.next) ? nullptr : static_cast<hub_batch*>(what.next);
}

void hub_core::move_buffers(datagram_batch& from, datagram_batch& to, std::uint32_t count) noexcept {
  assert(to.empty() && count > 0 && count <= from.buffer_count_);
  if (count == from.buffer_count_) {
    // Keeps the pool of `to`, which nearly always is the same, so that no count of owners is touched.
    if (to.pool_ != from.pool_) to.pool_ = from.pool_;
    to.buffers_.splice_back(from.buffers_);
    to.buffer_count_ = std::exchange(from.buffer_count_, 0);
    to.size_ = std::exchange(from.size_, 0);
    to.all_pooled_ = std::exchange(from.all_pooled_, true);
    return;
  }
  list_hook* end = from.buffers_.first();
  std::size_t datagrams = 0;
  for (std::uint32_t i = 0; i < count; ++i, end = end->next) datagrams += static_cast<const buffer&>(*end).datagrams();
  if (to.pool_ != from.pool_) to.pool_ = from.pool_;
  to.buffers_.splice_back(from.buffers_, *end);
  to.buffer_count_ = count;
  to.size_ = datagrams;
  to.all_pooled_ = from.all_pooled_;
  from.buffer_count_ -= count;
  from.size_ -= datagrams;
}

void hub_core::list_pieces(hub_batch& of) noexcept {
  shared_piece* into = of.pieces.data();
  of.datagrams.buffers_.for_each([&into](const buffer& each) {
    *into++ = {.begin = each.payload,
               .end = each.payload + each.remaining,
               .head = &each.first,
               .segment = std::min(each.segment, each.remaining)};
  });
  assert(into == of.pieces.data() + of.datagrams.buffer_count_);
}

shared_batch hub_core::view_of(const hub_batch& what, std::uint64_t missed) noexcept {
  return {std::span(what.pieces).first(what.datagrams.buffer_count_), what.datagrams.size(), missed};
}

}  // namespace uring6::inline v0::detail
