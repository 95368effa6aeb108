#include "uring6/scope.hpp"

#include <fmt/core.h>

#include <cassert>
#include <cstdio>
#include <stdexcept>

#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0 {
namespace {

// Greater than 0 while a scope's destructor destroys children that have not ended: their scopes are then not joined,
// either, and that is no error of the program.
thread_local int dropping = 0;

}  // namespace

scope::scope(const stop_token& parent) : from_parent_(std::in_place, parent, relay{this}) {}

scope::scope(event_loop& loop) : loop_(loop.core()) {}

scope::~scope() {
  if (unjoined_) check_joined();
  from_parent_.reset();
  destroy_ended();
  ++dropping;
  while (!children_.empty()) {
    std::coroutine_handle<detail::child_promise>::from_promise(children_.pop_front()).destroy();
  }
  assert(dropping > 0);
  --dropping;
}

void scope::check_joined() noexcept {
  const bool left_by_running_code =
      loop_->runs_here() && !loop_->ended() && dropping == 0 && std::uncaught_exceptions() == 0;
  if (!left_by_running_code) return;
  const std::source_location& where = children_.empty() ? where_ : children_.front().where;
  fmt::print(stderr,
             "uring6: a scope was left without co_await join(); {} of its tasks still run. {}:{}: spawned "
             "here, in {}. Join it first; if exit() in a task destroyed a static scope, return from main instead, or "
             "call exit() after event_loop::run\n",
             running_, where.file_name(), where.line(), where.function_name());
  std::fflush(stderr);
  std::terminate();
}

void scope::adopt(detail::child child, const std::source_location& where) {
  if (!child) throw std::logic_error("uring6: spawned a task that was moved from or has already run");
  detail::loop_core* const here = detail::current_loop();
  if (!loop_ && here) loop_ = here->shared_from_this();
  if (!loop_) throw std::logic_error("uring6: spawned a task outside of a running loop");
  if (here && here != loop_.get()) throw std::logic_error("uring6: spawned a task from the thread of another loop");
  if (!here && loop_->check_thread())
    throw std::logic_error("uring6: spawned a task from another thread than its loop's");

  assert(running_ > 0 || children_.empty());
  detail::child_promise& promise = child.promise();
  promise.set_owner(*this, root_);
  promise.where = where;
  promise.handle = child.release();
  children_.push_back(promise);
  where_ = where;
  unjoined_ = true;
  if (!task_root::is_listed()) enter_list(*loop_);
  ++running_;
  if (joiner_) static_cast<detail::ready_node&>(*joiner_).unlink();  // the joiner may be in the ready queue already
  loop_->make_ready(promise);
}

std::coroutine_handle<> scope::ended(detail::child_promise& which) noexcept {
  assert(static_cast<detail::sibling_hook&>(which).linked() && loop_ && "the scope has adopted this child");
  destroy_ended();
  static_cast<detail::sibling_hook&>(which).unlink();
  ended_.push_back(which);
  assert(running_ > 0);
  --running_;
  if (which.exception && !failure_) {
    failure_ = std::move(which.exception);
    where_ = which.where;
    request_stop();
  }
  if (running_ == 0 && joiner_) loop_->make_ready(*joiner_);
  return std::noop_coroutine();
}

void scope::list_tasks(detail::wait_listing& to) const {
  children_.for_each([&to](const detail::child_promise& each) { to.child(each); });
}

// Destroys the frames of children that have ended. A frame cannot be destroyed by the code that it runs: so the frame
// of the last child waits in `ended_` for the end of the next child, or for the join.
void scope::destroy_ended() noexcept {
  while (!ended_.empty()) {
    const auto child = std::coroutine_handle<detail::child_promise>::from_promise(ended_.pop_front());
    assert(child.done() && "only a frame at its end is in the list");
    child.destroy();
  }
}

namespace detail {

join_operation::~join_operation() {
  if (!joins_) return;
  assert(scope_->joiner_ == this);
  scope_->joiner_ = nullptr;
  scope_->from_joiner_.reset();
}

bool join_operation::suspend(std::coroutine_handle<> joining, stop_root& stop) {
  if (scope_->joiner_) throw std::logic_error("uring6: a scope was joined twice at the same time");
  begin_wait(joining);
  if (scope_->running_ == 0) return false;
  scope_->joiner_ = this;
  joins_ = true;
  if (stop.token().stop_possible()) scope_->from_joiner_.emplace(stop.token(), scope::relay{scope_});
  return true;
}

void join_operation::tell_wait(wait_listing& to) const {
  to.joins(*scope_);
  to.ready_if(ready_node::linked());
}

void join_operation::await_resume() {
  assert(scope_->running_ == 0 && scope_->children_.empty() && "a join returns when no task runs");
  scope_->joiner_ = nullptr;
  joins_ = false;
  scope_->from_joiner_.reset();
  scope_->destroy_ended();
  scope_->unjoined_ = false;
  scope_->leave_list();
  if (scope_->failure_) std::rethrow_exception(std::exchange(scope_->failure_, nullptr));
}

}  // namespace detail
}  // namespace uring6::inline v0
