#include "uring6/detail/guest.hpp"

#include <cassert>
#include <new>
#include <utility>

#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

struct guest::arrival final : inbox_message {
  explicit arrival(guest& of) noexcept : guest_(&of) {}
  ~arrival() override {
    if (guest_) guest_->turned_away();
  }
  void run() noexcept override {
    assert(guest_ && "a message runs once");
    std::exchange(guest_, nullptr)->begin();
  }

 private:
  guest* guest_;
};

guest::guest(std::shared_ptr<loop_core> loop) noexcept : loop_(std::move(loop)) {}

guest::~guest() {
  if (running_) running_.destroy();
}

void guest::enter(stop_token stop) noexcept {
  assert(!running_ && !resident::linked() && "a guest enters once");
  stop_.follow(std::move(stop));
  if (!loop_) return turned_away();  // the event_loop was moved from
  if (loop_->runs_here()) return begin();
  auto message = std::unique_ptr<inbox_message>(new (std::nothrow) arrival(*this));
  if (!message) return turned_away();
  // The loop's thread may run the message, and destroy this guest, before `post` returns.
  const std::shared_ptr<loop_core> loop = loop_;
  loop->post(std::move(message));
}

void guest::begin() noexcept {
  assert(!running_);
  if (loop_->ended()) return turned_away();
  try {
    running_ = work().handle;
  } catch (...) {
    return finished(std::current_exception());
  }
  loop_->add(*this);
  enter_list(*loop_);
  running_.promise().owner = this;
  running_.promise().handle = running_;
  running_.promise().inherit_stop(stop_);
  running_.resume();
}

void guest_promise::tell(std::coroutine_handle<guest_promise> ended) noexcept {
  assert(ended.done() && ended.promise().owner);
  ended.promise().owner->end();
}

void guest::end() noexcept {
  assert(running_);
  resident::unlink();
  leave_list();
  guest_promise& promise = std::exchange(running_, nullptr).promise();
  std::exception_ptr failure = std::move(promise.exception);
  loop_->destroy_later(promise);
  stop_.close();
  finished(std::move(failure));
}

void guest::loop_ends() noexcept {
  assert(running_ && "a guest without work is no resident of the loop");
  leave_list();
  std::exchange(running_, nullptr).destroy();
  stop_.close();
  turned_away();
}

void guest::list_tasks(wait_listing& to) const {
  if (running_) to.task(running_.promise(), "sender", {});
}

}  // namespace uring6::inline v0::detail
