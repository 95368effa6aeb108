#include "uring6/signals.hpp"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <string>
#include <thread>

#include "runtime/loop/loop_core.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/stop.hpp"

namespace uring6::inline v0 {
namespace detail {
namespace {

bool can_be_awaited(int number) noexcept {
  switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
      return false;
    default:
      // The C library uses the real-time signals from 32 up to SIGRTMIN itself.
      return number > 0 && number <= SIGRTMAX && (number < 32 || number >= SIGRTMIN);
  }
}

}  // namespace

/// The signals that one thread blocks for its `signals` objects, with a count of these objects for each signal.
class blocked_signals {
 public:
  void block(const sigset_t& set) noexcept {
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &set, &before);
    for_each(set, [&](int number, unsigned& holders) {
      assert(can_be_awaited(number) && "`signals::open` has refused the number");
      if (holders++ == 0) blocked_here_[static_cast<std::size_t>(number)] = ::sigismember(&before, number) == 0;
    });
  }

  void unblock(const sigset_t& set) noexcept {
    sigset_t free;
    ::sigemptyset(&free);
    for_each(set, [&](int number, unsigned& holders) {
      assert(holders > 0);
      if (--holders == 0 && blocked_here_[static_cast<std::size_t>(number)]) ::sigaddset(&free, number);
    });
    ::pthread_sigmask(SIG_UNBLOCK, &free, nullptr);
  }

 private:
  template <class F>
  void for_each(const sigset_t& set, F&& f) noexcept {
    for (int number = 1; number < NSIG; ++number) {
      if (::sigismember(&set, number) == 1) f(number, holders_[static_cast<std::size_t>(number)]);
    }
  }

  std::array<unsigned, NSIG> holders_{};
  std::array<bool, NSIG> blocked_here_{};  // not blocked before: unblocked with the last holder
};

namespace {

// A pointer, because the thread-local variables of a library that dlopen loads must be few octets (see frame.cpp). The
// signal_source objects of the thread own it: one with static storage duration outlives the thread's own variables.
thread_local std::weak_ptr<blocked_signals> blocked_here;

std::shared_ptr<blocked_signals> blocked_by_this_thread() {
  auto known = blocked_here.lock();
  if (!known) blocked_here = known = std::make_shared<blocked_signals>();
  return known;
}

}  // namespace

class signal_source {
 public:
  signal_source(std::shared_ptr<loop_core> loop, file_descriptor fd, const sigset_t& set)
      : loop_(std::move(loop)), fd_(std::move(fd)), set_(set), blocked_(blocked_by_this_thread()) {
    blocked_->block(set_);
  }

  void end() noexcept {
    if (made_on_ == std::this_thread::get_id()) blocked_->unblock(set_);
  }

  /// Takes a pending signal without blocking; nullopt if there is none.
  result<std::optional<signal_event>> take() const noexcept {
    assert(fd_ && blocked_);
    signalfd_siginfo info;
    for (;;) {
      if (::read(fd_.get(), &info, sizeof info) == sizeof info) {
        return signal_event{.number = static_cast<int>(info.ssi_signo),
                            .code = info.ssi_code,
                            .sender = static_cast<int>(info.ssi_pid),
                            .user = info.ssi_uid,
                            .value = info.ssi_int};
      }
      if (errno == EAGAIN) return std::nullopt;
      if (errno != EINTR) return fail_errno(errno);
    }
  }

  loop_core& loop() const noexcept { return *loop_; }
  int fd() const noexcept { return fd_.get(); }

 private:
  std::shared_ptr<loop_core> loop_;
  file_descriptor fd_;
  sigset_t set_;
  std::shared_ptr<blocked_signals> blocked_;  // of the thread `made_on_`
  std::thread::id made_on_ = std::this_thread::get_id();
};

namespace {

// The signal stays pending in the kernel until the coroutine runs and takes it. So a coroutine that is stopped before
// it runs loses no signal.
task<result<signal_event>> next_of(std::shared_ptr<signal_source> from) {
  if (!from) co_return fail(errc::closed);
  if (!from->loop().runs_here()) co_return fail(errc::wrong_thread);
  const auto token = co_await this_task::stop_token();
  for (;;) {
    if (token.stop_requested()) co_return fail(errc::canceled);
    if (from->loop().spend()) {
      const auto taken = from->take();
      if (!taken) co_return fail(taken.error());
      if (*taken) co_return **taken;
    }
    const auto ready = co_await fd::poll(from->fd(), poll_events::readable);
    if (!ready) co_return fail(ready.error());
  }
}

}  // namespace
}  // namespace detail

namespace {

std::string joined_numbers(std::span<const int> numbers) {
  std::string text;
  for (const int number : numbers) text.append(text.empty() ? "" : " ").append(std::to_string(number));
  return text;
}

}  // namespace

result<signals> signals::open(event_loop& loop, std::span<const int> numbers) {
  return detail::noted(open_numbers(loop, numbers), "signals::open", [numbers] { return joined_numbers(numbers); });
}

result<signals> signals::open_numbers(event_loop& loop, std::span<const int> numbers) {
  if (!loop.core()) return fail(errc::closed);
  if (numbers.empty()) return fail(std::errc::invalid_argument);
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : numbers) {
    if (!detail::can_be_awaited(number)) return fail(errc::out_of_range);
    ::sigaddset(&set, number);
  }
  file_descriptor fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno(errno);
  return signals(std::make_shared<detail::signal_source>(loop.core(), std::move(fd), set));
}

signals::signals(event_loop& loop, std::initializer_list<int> numbers)
    : signals(or_throw(open(loop, {numbers.begin(), numbers.size()}))) {}

signals::signals(std::shared_ptr<detail::signal_source> source) noexcept : source_(std::move(source)) {}
signals::signals(signals&&) noexcept = default;
signals::~signals() {
  if (source_) source_->end();
}

task<result<signal_event>> signals::next() {
  return detail::next_of(source_);
}

}  // namespace uring6::inline v0
