#include "uring6/resume_on.hpp"

#include <cassert>
#include <utility>

#include "runtime/loop/loop_core.hpp"
#include "uring6/event_loop.hpp"

namespace uring6::inline v0::detail {

/// The message that takes the coroutine to the loop. Destroyed unrun when the loop has ended.
struct resume_on_operation::arrival final : inbox_message {
  explicit arrival(resume_on_operation& of) noexcept : operation(&of) {}
  ~arrival() override {
    if (operation) operation->turn_away();
  }
  void run() noexcept override {
    if (operation) std::exchange(operation, nullptr)->arrive();
  }

  resume_on_operation* operation;  // nullptr: its coroutine was destroyed, or has arrived
};

resume_on_operation::resume_on_operation(const event_loop& loop) noexcept : loop_(loop.core()) {}

resume_on_operation::resume_on_operation(resume_on_operation&& from) noexcept = default;

resume_on_operation::~resume_on_operation() {
  if (under_way_) under_way_->operation = nullptr;
}

bool resume_on_operation::await_suspend(std::coroutine_handle<> waiting, const environment&) {
  begin_wait(waiting);
  if (current_loop() && !(loop_ && loop_->runs_here())) {
    error_ = errc::wrong_thread;
    return false;
  }
  return suspend();
}

bool resume_on_operation::await_suspend(std::coroutine_handle<> waiting) {
  begin_wait(waiting);
  return suspend();
}

// The loop's thread may resume the coroutine, and destroy this object, before `post` returns.
bool resume_on_operation::suspend() {
  if (!loop_ || (loop_->runs_here() && loop_->ended())) {  // the event_loop was moved from, or ends at this moment
    error_ = errc::closed;
    return false;
  }
  if (loop_->runs_here()) {
    queue_turn();
    return true;
  }
  auto message = std::make_unique<arrival>(*this);
  under_way_ = message.get();
  const std::shared_ptr<loop_core> loop = loop_;
  loop->post(std::move(message));
  return true;
}

void resume_on_operation::arrive() noexcept {
  assert(under_way_);
  under_way_ = nullptr;
  queue_turn();
}

void resume_on_operation::queue_turn() noexcept {
  loop_->add(*this);  // the loop may end before that turn
  loop_->make_ready(*this);
}

// The loop has ended, before or after the arrival.
void resume_on_operation::turn_away() noexcept {
  under_way_ = nullptr;
  ready_node::unlink();
  error_ = errc::closed;
  handle.resume();
}

}  // namespace uring6::inline v0::detail
