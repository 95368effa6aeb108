#include "uring6/event_loop.hpp"

#include <cassert>
#include <new>
#include <string>

#include "runtime/loop/loop_core.hpp"
#include "runtime/loop/main_task.hpp"
#include "sys/socket/refusal.hpp"
#include "uring/kernel/setup.hpp"
#include "uring6/environment.hpp"
#include "uring6/this_task.hpp"

namespace uring6::inline v0 {

std::error_code detail::check_thread(const event_loop& loop) noexcept {
  return loop.core() ? loop.core()->check_thread() : make_error_code(errc::closed);
}

namespace {

struct posted_call final : detail::inbox_message {
  posted_call(void (*call_)(void*), void (*drop_)(void*), void* state_) noexcept
      : call(call_), drop(drop_), state(state_) {
    assert(call && drop && state);
  }
  ~posted_call() override { drop(state); }
  void run() noexcept override { call(state); }

  void (*call)(void*);
  void (*drop)(void*);
  void* state;
};

/// The text of the exception that `run` throws. An errno comes from io_uring_enter, or, at the first run, from
/// io_uring_register (both calls worked when the loop was created); by readiness from epoll_wait.
std::string why_not_run(std::error_code error, loop_driver driver) {
  if (error.category() != std::system_category()) return "event_loop::run";
  if (driver == loop_driver::readiness)
    return "event_loop::run: " + explain_refused_call("epoll_wait", "epoll_pwait2 and epoll_wait", error.value());
  return "event_loop::run: " + detail::explain_use_failure("io_uring_enter or io_uring_register", error.value());
}

}  // namespace

event_loop::event_loop(std::shared_ptr<detail::loop_core> core) : core_(std::move(core)) {
  core_->set_handle(this);
}

event_loop::event_loop(const loop_options& options) {
  std::string reason;
  auto made = detail::loop_core::create(options, reason);
  if (!made) throw std::system_error(made.error(), reason);
  core_ = std::move(*made);
  core_->set_handle(this);
}

result<event_loop> event_loop::create(const loop_options& options) {
  try {
    std::string reason;
    return create(options, reason);
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

result<event_loop> event_loop::create(const loop_options& options, std::string& reason) {
  try {
    auto made = detail::loop_core::create(options, reason);
    if (!made) return fail(made.error());
    return event_loop(std::move(*made));
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

event_loop::event_loop(event_loop&& other) noexcept : core_(std::move(other.core_)) {
  if (core_) core_->set_handle(this);
}
event_loop& event_loop::operator=(event_loop&& other) noexcept {
  std::swap(core_, other.core_);
  for (event_loop* each : {this, &other}) {
    if (each->core_) each->core_->set_handle(each);
  }
  return *this;
}

event_loop::~event_loop() {
  if (!core_) return;
  core_->shut_down();
  core_->set_handle(nullptr);
}

event_loop* environment::loop() const noexcept {
  detail::loop_core* const here = detail::current_loop();
  return here ? here->handle() : nullptr;
}

event_loop& detail::loop_of(const environment& in) {
  event_loop* const found = in.loop();
  if (!found) throw std::system_error(errc::wrong_thread, "uring6::this_task::loop");
  return *found;
}

void event_loop::drive(std::coroutine_handle<> handle, const detail::promise_base& promise, const bool& done,
                       const std::source_location& where) {
  if (!core_) throw std::system_error(errc::closed, "event_loop::run");
  assert(handle && !handle.done() && !done && "a run begins with a coroutine that has work to do");
  detail::ready_node root;
  root.handle = handle;
  const detail::main_task listed(*core_, promise, done, where);
  core_->make_ready(root);
  if (const auto error = core_->run_until(done)) throw std::system_error(error, why_not_run(error, driver()));
}

void event_loop::request_stop() noexcept {
  if (core_) core_->stop().request_stop();
}

stop_token event_loop::token() const noexcept {
  return core_ ? core_->stop().get_token() : stop_token();
}

void event_loop::post_call(void (*call)(void*), void (*drop)(void*), void* state) {
  auto message = std::make_unique<posted_call>(call, drop, state);
  if (core_) core_->post(std::move(message));
}

std::chrono::steady_clock::time_point event_loop::now() const noexcept {
  return core_ ? core_->now() : std::chrono::steady_clock::now();
}

result<void> event_loop::set_forward(std::chrono::steady_clock::duration by) noexcept {
  if (!core_) return fail(errc::closed);
  if (const auto error = core_->check_thread()) return fail(error);
  if (core_->options().clock != loop_clock::simulated) return fail(std::errc::operation_not_supported);
  if (by < by.zero()) return fail(errc::out_of_range);
  constexpr auto latest = std::chrono::steady_clock::time_point::max();
  core_->go_to(by < latest - now() ? now() + by : latest);
  return {};
}

result<int> event_loop::descriptor() {
  if (!core_) return fail(errc::closed);
  return core_->ring().notify();
}

result<std::optional<std::chrono::steady_clock::time_point>> event_loop::poll() {
  if (!core_) return fail(errc::closed);
  return core_->poll();
}

loop_stats event_loop::stats() const noexcept {
  if (!core_ || core_->busy_elsewhere()) return {};
  return core_->stats();
}

loop_driver event_loop::driver() const noexcept {
  return core_ ? core_->ring().features().driver : loop_driver::automatic;
}

std::string_view event_loop::driver_reason() const noexcept {
  return core_ ? std::string_view(core_->ring().features().why_readiness) : std::string_view();
}

turn_times event_loop::measured_turns() const noexcept {
  if (!core_ || core_->busy_elsewhere()) return {};
  return core_->measured();
}

bool event_loop::measures_turns() const noexcept {
  return core_ && core_->options().measure_turns;
}

std::array<pool_stats, 2> event_loop::pools() const noexcept {
  if (!core_ || core_->busy_elsewhere()) return {};
  return core_->pool_statistics();
}

}  // namespace uring6::inline v0
