#include "uring6/loop_group.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "runtime/loop/loop_core.hpp"
#include "runtime/service/quiet_thread.hpp"
#include "uring/kernel/setup.hpp"
#include "uring6/event.hpp"
#include "uring6/scope.hpp"
#include "uring6/stop.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0 {

namespace detail {

/// The tasks of one kind (work, listeners) that a loop accepts. The group's mutex guards all members but `tasks`.
struct intake {
  bool open = true;
  std::size_t under_way = 0;  // tasks that were posted and have not begun
  scope* tasks = nullptr;     // used by the loop's thread only; nullptr when it runs none
};

}  // namespace detail

struct loop_group::member {
  member(const loop_options& options, std::vector<int> its_cpus) : loop(options), cpus(std::move(its_cpus)) {}

  event_loop loop;
  std::vector<int> cpus;
  event finishing;
  detail::intake work;
  detail::intake listeners;
  bool ended = false;  // guarded by the group's mutex
  std::jthread thread;
};

struct loop_group::shared_state {
  std::mutex mutex;
  std::condition_variable one_ended;
  std::exception_ptr failure;
  bool stopped = false;
};

namespace {

std::vector<std::vector<int>> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0)
    throw std::system_error(errno, std::system_category(), "sched_getaffinity");
  std::vector<std::vector<int>> all;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) all.push_back({cpu});
  }
  return all;
}

void check(const std::vector<std::vector<int>>& sets) {
  for (const std::vector<int>& set : sets) {
    const bool bad =
        set.empty() || std::any_of(set.begin(), set.end(), [](int cpu) { return cpu < 0 || cpu >= CPU_SETSIZE; });
    if (bad) throw std::system_error(errc::out_of_range, "uring6::loop_group_options::cpus");
  }
}

struct pinning {
  std::error_code error;
  int refused = -1;  // the first CPU on which the thread may not run; -1: none, or the call itself failed
};

pinning pin_to(const std::vector<int>& cpus) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) {
    assert(cpu >= 0 && cpu < CPU_SETSIZE && "`check` has refused the number");
    CPU_SET(cpu, &set);
  }
  const pthread_t self = ::pthread_self();
  const int code = ::pthread_setaffinity_np(self, sizeof set, &set);
  if (code != 0 && code != EINVAL) return {{code, std::system_category()}};
  // The kernel drops CPUs that do not exist or are not allowed without an error; if none is left, it returns EINVAL.
  CPU_ZERO(&set);
  if (code == 0) ::pthread_getaffinity_np(self, sizeof set, &set);
  for (const int cpu : cpus) {
    if (!CPU_ISSET(cpu, &set)) return {{EINVAL, std::system_category()}, cpu};
  }
  return {};
}

/// How a thread's start went: its CPUs, and whether it could claim its loop.
struct beginning {
  pinning pinned;
  std::error_code claimed;
};

std::string refusal_of(const pinning& what) {
  assert(what.error);
  if (what.refused < 0) return "uring6::loop_group: sched_setaffinity";
  return "uring6::loop_group: CPU " + std::to_string(what.refused) + " is not there or not allowed";
}

/// Throws the error that keeps the thread from running its loop, if there is one.
void check(const beginning& what) {
  if (what.pinned.error) throw std::system_error(what.pinned.error, refusal_of(what.pinned));
  if (what.claimed)
    throw std::system_error(what.claimed, detail::explain_use_failure("io_uring_register", what.claimed.value()));
}

}  // namespace

loop_group::loop_group(const loop_group_options& options) : shared_(std::make_unique<shared_state>()) {
  check(options.cpus);
  const auto sets = options.cpus.empty() ? allowed_cpus() : options.cpus;
  const std::size_t count = options.loops > 0 ? options.loops : sets.size();
  for (std::size_t i = 0; i < count; ++i)
    members_.push_back(std::make_unique<member>(options.loop, sets[i % sets.size()]));
  try {
    for (const auto& each : members_) {
      std::promise<beginning> started;
      auto ready = started.get_future();
      member& self = *each;
      self.thread = detail::start_quiet_thread([this, &self, &started, pin = options.pin] {
        const pinning pinned = pin ? pin_to(self.cpus) : pinning();
        const std::error_code claimed = self.loop.core()->claim();  // before another thread can claim the loop
        started.set_value({pinned, claimed});
        if (pinned.error || claimed) return;
        try {
          self.loop.run(run_member(self));
        } catch (...) {
          fail(std::current_exception());
        }
        {
          const std::scoped_lock lock(shared_->mutex);
          close(self);
        }
        self.loop.core()->shut_down();  // on this thread, for which the kernel cancels; later posts are dropped
        const std::scoped_lock lock(shared_->mutex);
        self.ended = true;
        shared_->one_ended.notify_all();
      });
      check(ready.get());
    }
  } catch (...) {
    request_stop();
    join();
    throw;
  }
}

loop_group::~loop_group() {
  request_stop();
  join();
}

std::size_t loop_group::size() const noexcept {
  return members_.size();
}
event_loop& loop_group::operator[](std::size_t index) const noexcept {
  return members_[index]->loop;
}
std::span<const int> loop_group::cpus(std::size_t index) const noexcept {
  return members_[index]->cpus;
}

bool loop_group::ended(std::size_t index) const {
  const std::scoped_lock lock(shared_->mutex);
  return members_[index]->ended;
}

// Every accepted task begins: an intake closes before its scope ends, and only when no posted task has yet to begin.
task<> loop_group::run_member(member& self) {
  assert(!self.work.tasks && !self.listeners.tasks && "a member runs once");
  const stop_token stop = co_await this_task::stop_token();
  scope work(stop);
  scope listeners(stop);
  self.work.tasks = &work;
  self.listeners.tasks = &listeners;
  (void)co_await self.finishing.wait();
  // The posted tasks begin in the next turn.
  while (!close_listeners(self)) co_await this_task::yield();
  listeners.request_stop();
  co_await listeners.join();
  self.listeners.tasks = nullptr;
  for (bool closed = false; !closed;) {
    co_await work.join();
    closed = close_work(self);
    if (!closed) co_await this_task::yield();
  }
  self.work.tasks = nullptr;
}

/// Accepts no listeners any more. True: none that was posted has yet to begin.
bool loop_group::close_listeners(member& self) noexcept {
  const std::scoped_lock lock(shared_->mutex);
  self.listeners.open = false;
  return self.listeners.under_way == 0;
}

/// Closes the intake for work, unless a posted task has yet to begin, which may start more. True: it is closed.
bool loop_group::close_work(member& self) noexcept {
  const std::scoped_lock lock(shared_->mutex);
  assert(!self.listeners.open && self.listeners.under_way == 0 && "the listeners end before the work");
  if (self.work.under_way > 0) return false;
  self.work.open = false;
  return true;
}

/// Closes both intakes: the group was stopped, or the loop could not run. The caller has locked the mutex.
void loop_group::close(member& self) noexcept {
  self.listeners.open = false;
  self.work.open = false;
}

task<> loop_group::guard(task<> one) {
  try {
    co_await std::move(one);
  } catch (...) {
    fail(std::current_exception());
  }
}

/// A task on its way to its loop. Once it is made, the loop's thread destroys it, as long as the loop lives: the
/// callable may hold a conn, which must end there. Without memory for it, the caller's thread destroys the callable.
struct loop_group::given_task final : detail::inbox_message {
  given_task(loop_group& by_, detail::intake& to_, std::function<task<>()>&& make_) noexcept
      : by(by_), to(to_), make(std::move(make_)) {}

  void run() noexcept override {
    if (!taken) return;
    {
      const std::scoped_lock taking(by.shared_->mutex);
      assert(to.under_way > 0);
      --to.under_way;
    }
    if (!to.tasks) return;
    try {
      to.tasks->spawn(by.guard(make()));
    } catch (...) {
      by.fail(std::current_exception());  // treated as an exception of the task
    }
  }

  loop_group& by;
  detail::intake& to;
  std::function<task<>()> make;
  bool taken = false;
};

// Posts with the mutex locked, so that `under_way` counts messages that are in the loop's inbox. With the mutex locked
// nothing is done that can fail or that calls the program (the callable's destructor).
bool loop_group::start_task(std::size_t index, kind of, std::function<task<>()> make) {
  member& self = *members_[index];
  detail::intake& to = of == kind::work ? self.work : self.listeners;
  auto message = std::make_unique<given_task>(*this, to, std::move(make));
  {
    const std::scoped_lock lock(shared_->mutex);
    if (to.open) {
      assert(!message->taken);
      message->taken = true;
      self.loop.core()->post(std::move(message));
      ++to.under_way;
      return true;
    }
  }
  self.loop.core()->post(std::move(message));
  return false;
}

void loop_group::fail(std::exception_ptr what) noexcept {
  {
    const std::scoped_lock lock(shared_->mutex);
    if (!shared_->failure) shared_->failure = std::move(what);
  }
  request_stop();
}

void loop_group::request_stop() noexcept {
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->stopped = true;
    for (const auto& each : members_) close(*each);
  }
  for (const auto& each : members_) each->loop.request_stop();
}

void loop_group::join() noexcept {
  for (const auto& each : members_) {
    if (each->thread.joinable()) each->thread.join();
  }
}

bool loop_group::drain_until(std::chrono::steady_clock::time_point deadline) {
  for (const auto& each : members_) {
    if (each->thread.get_id() == std::this_thread::get_id())
      throw std::system_error(make_error_code(std::errc::resource_deadlock_would_occur), "loop_group::drain");
  }
  {
    const std::scoped_lock lock(shared_->mutex);
    for (const auto& each : members_) each->listeners.open = false;
  }
  // By `post`, so that `finishing` is set after all tasks that were started before.
  for (const auto& each : members_) each->loop.post([&finishing = each->finishing] { finishing.set(); });
  bool in_time = false;
  {
    std::unique_lock lock(shared_->mutex);
    const auto all_ended = [this] {
      return std::all_of(members_.begin(), members_.end(), [](const auto& each) { return each->ended; });
    };
    in_time = shared_->one_ended.wait_until(lock, deadline, all_ended) && !shared_->stopped;
  }
  request_stop();
  join();
  if (const auto failure = std::exchange(shared_->failure, nullptr)) std::rethrow_exception(failure);
  return in_time;
}

}  // namespace uring6::inline v0
