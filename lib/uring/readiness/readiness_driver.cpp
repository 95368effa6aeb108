#include "uring/readiness/readiness_driver.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "sys/socket/refusal.hpp"
#include "uring/readiness/attempts.hpp"
#include "uring/readiness/provided_read.hpp"

namespace uring6::inline v0::detail {

result<std::unique_ptr<ring_driver>> readiness_driver::create(const ring_options& options, ::io_uring& ring,
                                                              ring_features& features, std::string& reason) {
  constexpr unsigned fewest_completions = 8;  // a choice: an operation may need two places at once
  std::unique_ptr<readiness_driver> made(new readiness_driver(ring));
  if (const auto error = made->create_queues(options, fewest_completions, features, reason)) return fail(error);
  if (const int code = made->interest_.open(); code < 0) {
    reason = explain_refused_call("epoll", "epoll_create1", -code);
    return fail_errno(-code);
  }
  // What is ready is not shown before an enter (no TASKRUN_FLAG).
  ring.ring_fd = ring.enter_ring_fd = made->interest_.descriptor();
  features.ordered_completions = true;
  if (options.min_wait) features.refused.push_back("min_wait (io_uring only): the loop wakes for the first completion");
  if (options.busy_poll.count() > 0) features.refused.push_back("busy_poll (io_uring only): devices are not polled");
  return std::unique_ptr<ring_driver>(std::move(made));
}

int readiness_driver::enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept {
  submit();
  go_on();
  const bool may_sleep = wait_for > 0 && runnable_.empty() && queues_.empty();
  const int count = interest_.collect(may_sleep ? timeout : std::chrono::nanoseconds(0));
  for (const epoll_event& each : interest_.ready(std::max(count, 0))) {
    interest_.serve(
        each, [this](request& what) { run_again(what); },
        [this](request& what, int code) { fail_waiting(what, code); });
  }
  queues_.show_work(!runnable_.empty() || queues_.submission_head() != ring_.sq.sqe_tail);
  return std::min(count, 0);
}

// Stops where a completion might not fit: the rest goes with the next enter, as on a ring of the kernel.
void readiness_driver::submit() noexcept {
  unsigned& head = queues_.submission_head();
  for (; head != ring_.sq.sqe_tail && queues_.room() > 1; __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE)) {
    start(ring_.sq.sqes[head & ring_.sq.ring_mask]);
  }
  ring_.sq.sqe_head = head;
}

void readiness_driver::start(const ::io_uring_sqe& entry) noexcept {
  if (entry.user_data == without_operation::completed) {
    if (entry.opcode == IORING_OP_ASYNC_CANCEL) cancel(entry.addr);
    return;  // else an entry that was withdrawn
  }
  request* const what = place_in(requests_, entry.user_data);
  if (!what) return queues_.post(entry.user_data, -ENOMEM, 0);
  assert(what->where == request::state::idle && "the number is of an operation in flight");
  what->entry = entry;
  what->connecting = false;
  what->transferred = 0;
  if (const int code = check_entry(entry); code < 0) return finish(*what, attempt_result::end(code));
  if (entry.flags & IOSQE_BUFFER_SELECT) begin_provided_read(*what);
  run(*what, false);
}

void readiness_driver::cancel(std::uint64_t user_data) noexcept {
  const auto index = static_cast<std::uint32_t>(user_data);
  if (index >= requests_.size()) return;
  request& what = requests_[index];
  if (what.where == request::state::idle || what.entry.user_data != user_data) return;  // it has ended
  if (what.where == request::state::waiting) {
    interest_.leave(what);
  } else {
    what.unlink();
  }
  finish(what, attempt_result::end(what.transferred > 0 ? static_cast<int>(what.transferred) : -ECANCELED));
}

attempt_result readiness_driver::attempt_any(request& what, bool is_ready) noexcept {
  if (!(what.entry.flags & IOSQE_BUFFER_SELECT)) {
    ++calls_;
    return attempt_call(what, is_ready);
  }
  buffer_group* const group = groups_.find(what.entry.buf_group);
  return group ? attempt_provided_read(what, *group, queues_, calls_) : attempt_result::end(-ENOBUFS);
}

void readiness_driver::run(request& what, bool is_ready) noexcept {
  const attempt_result came_to = attempt_any(what, is_ready);
  switch (came_to.what) {
    case attempt_result::kind::ended:
      return finish(what, came_to);
    case attempt_result::kind::not_ready:
      return wait(what, came_to.events);
    case attempt_result::kind::more:
      return run_later(what);
  }
}

void readiness_driver::wait(request& what, std::uint32_t events) noexcept {
  const int code = interest_.wait(what, events);
  if (code >= 0) {
    what.become(request::state::waiting);
  } else if (code == -EPERM) {
    finish(what, attempt_blocking(what));
  } else {
    finish(what, attempt_result::end(code));
  }
}

// A poll that stays armed tells of each edge and goes on, unless it cannot wait.
void readiness_driver::finish(request& what, const attempt_result& how) noexcept {
  assert(!what.linked());
  if (how.result > 0 && what.entry.opcode == IORING_OP_POLL_ADD && what.stays_armed() &&
      interest_.wait(what, what.polled_events()) >= 0) {
    what.become(request::state::waiting);
    return queues_.post(what.entry.user_data, how.result, IORING_CQE_F_MORE);
  }
  what.become(request::state::idle);
  const bool quiet = (what.entry.flags & IOSQE_CQE_SKIP_SUCCESS) && how.result >= 0;
  if (!quiet) queues_.post(what.entry.user_data, how.result, how.flags);
}

// Without room for a completion the request finds out once more that it cannot wait.
void readiness_driver::fail_waiting(request& what, int code) noexcept {
  if (queues_.room() > 1) return finish(what, attempt_result::end(code));
  run_later(what);
}

// Without room for a completion the request waits for the next enter; the reaper makes room before.
void readiness_driver::run_again(request& what) noexcept {
  if (queues_.room() > 1) return run(what, true);
  run_later(what);
}

void readiness_driver::run_later(request& what) noexcept {
  runnable_.push_back(what);
  what.become(request::state::runnable);
}

// Those that find no room for a completion come first the next time, so that a busy socket in front of them cannot take
// all the room each time.
void readiness_driver::go_on() noexcept {
  intrusive_list<request> round;
  round.splice_back(runnable_);
  while (!round.empty() && queues_.room() > 1) run(round.pop_front(), true);
  round.splice_back(runnable_);
  runnable_.splice_back(round);
}

}  // namespace uring6::inline v0::detail
