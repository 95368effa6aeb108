#include "uring6/loop_group.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "runtime/loop_core.hpp"
#include "runtime/quiet_thread.hpp"
#include "uring6/event.hpp"
#include "uring6/scope.hpp"
#include "uring6/stop.hpp"
#include "uring6/timer.hpp"

namespace uring6 {

struct loop_group::member {
  member(const loop_options& options, std::vector<int> its_cpus) : loop(options), cpus(std::move(its_cpus)) {}

  event_loop loop;
  std::vector<int> cpus;
  event finishing;
  // While the loop runs, on its thread.
  scope* work = nullptr;
  scope* listeners = nullptr;
  bool ended = false;  // under the group's mutex
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
  int refused = -1;  // the first CPU that the thread cannot have
};

pinning pin_to(const std::vector<int>& cpus) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  const pthread_t self = ::pthread_self();
  const int code = ::pthread_setaffinity_np(self, sizeof set, &set);
  if (code != 0 && code != EINVAL) return {{code, std::system_category()}};
  // The kernel drops silently what is not there or not allowed, as long as anything is left: EINVAL if nothing is.
  CPU_ZERO(&set);
  if (code == 0) ::pthread_getaffinity_np(self, sizeof set, &set);
  for (const int cpu : cpus) {
    if (!CPU_ISSET(cpu, &set)) return {{EINVAL, std::system_category()}, cpu};
  }
  return {};
}

std::string refusal_of(const pinning& what) {
  if (what.refused < 0) return "uring6::loop_group: sched_setaffinity";
  return "uring6::loop_group: CPU " + std::to_string(what.refused) + " is not there or not allowed";
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
      std::promise<pinning> started;
      auto ready = started.get_future();
      member& self = *each;
      self.thread = detail::start_quiet_thread([this, &self, &started, pin = options.pin] {
        const pinning pinned = pin ? pin_to(self.cpus) : pinning();
        (void)self.loop.core()->claim();  // before anybody else can use the loop; the run says what is wrong
        started.set_value(pinned);
        if (pinned.error) return;
        try {
          self.loop.run(run_member(self));
        } catch (...) {
          fail(std::current_exception());
        }
        self.loop.core()->shut_down();  // here, where the kernel obeys; what comes later is dropped at once
        const std::scoped_lock lock(shared_->mutex);
        self.ended = true;
        shared_->one_ended.notify_all();
      });
      if (const pinning pinned = ready.get(); pinned.error) throw std::system_error(pinned.error, refusal_of(pinned));
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

task<> loop_group::run_member(member& self) {
  const std::stop_token stop = co_await this_task::stop_token();
  scope work(stop);
  scope listeners(stop);
  self.work = &work;
  self.listeners = &listeners;
  (void)co_await self.finishing.wait();
  listeners.request_stop();
  co_await listeners.join();
  self.listeners = nullptr;
  co_await work.join();
  self.work = nullptr;
}

task<> loop_group::guard(task<> one) {
  try {
    co_await std::move(one);
  } catch (...) {
    fail(std::current_exception());
  }
}

void loop_group::start_task(std::size_t index, kind of, std::function<task<>()> make) {
  member& self = *members_[index];
  self.loop.post([this, &self, of, make = std::move(make)] {
    scope* const where = of == kind::work ? self.work : self.listeners;
    if (!where) return;
    try {
      where->spawn(guard(make()));
    } catch (...) {
      fail(std::current_exception());  // as one out of the task
    }
  });
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
  }
  for (const auto& each : members_) each->loop.stop();
}

void loop_group::join() noexcept {
  for (const auto& each : members_) {
    if (each->thread.joinable()) each->thread.join();
  }
}

bool loop_group::drain(std::chrono::nanoseconds limit) {
  for (const auto& each : members_) {
    if (each->thread.get_id() == std::this_thread::get_id())
      throw std::system_error(make_error_code(std::errc::resource_deadlock_would_occur), "loop_group::drain");
  }
  const auto deadline = detail::deadline_after(limit);
  // By post, behind all the work that was given before.
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

}  // namespace uring6
