#include "uring/readiness/interest.hpp"

#include <time.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <limits>
#include <new>

namespace uring6::inline v0::detail {

int interest::open() noexcept {
  file_descriptor made(::epoll_create1(EPOLL_CLOEXEC));
  if (!made) return -errno;
  epoll_ = std::move(made);
  return 0;
}

// nullptr: there is no memory for it.
interest::watched* interest::find(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  try {
    while (watched_.size() <= index) watched_.emplace_back();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return &watched_[index];
}

int interest::wait(request& what, std::uint32_t events) noexcept {
  assert(!what.linked() && events != 0);
  const int fd = what.entry.fd;
  if (fd < 0) return -EBADF;
  watched* const of = find(fd);
  if (!of) return -ENOMEM;
  what.awaited = events;
  of->waiting.push_back(what);
  if (of == serving_) return 0;
  const int code = update(fd, *of);
  if (code < 0) what.unlink();
  return code;
}

void interest::leave(request& what) noexcept {
  assert(what.linked());
  what.unlink();
  watched& of = watched_[static_cast<std::size_t>(what.entry.fd)];
  if (&of != serving_) update(what.entry.fd, of);
}

// Registers what the waiting requests wait for. Epoll reports nothing of a descriptor without any, so that it may be
// closed, or handed to another process, at any time.
int interest::update(int fd, watched& of) noexcept {
  if (of.waiting.empty()) {
    of.has_error = false;
    if (of.how == registration::once || of.how == registration::standing) {
      ++calls_;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
      of.how = registration::none;
    }
    return 0;
  }
  std::uint32_t wanted = 0;
  bool stays = of.has_error;
  of.waiting.for_each([&](const request& each) {
    wanted |= each.awaited;
    stays = stays || each.stays_armed();
  });
  const auto how = stays ? registration::standing : registration::once;
  if (of.how == how && of.events == wanted) return 0;
  if (const int code = control(fd, of, wanted | (stays ? EPOLLET : EPOLLONESHOT)); code < 0) return code;
  of.how = how;
  of.events = wanted;
  return 0;
}

// Each of the two calls also looks whether the descriptor is ready now: no edge is missed.
int interest::control(int fd, watched& of, std::uint32_t events) noexcept {
  epoll_event asked{.events = events, .data = {.u64 = static_cast<std::uint64_t>(fd)}};
  if (of.how != registration::none) {
    ++calls_;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &asked) == 0) return 0;
    of.how = registration::none;
    if (errno != ENOENT) return -errno;  // ENOENT: the descriptor was closed, and its number is in use again
  }
  ++calls_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &asked) == 0) return 0;
  return -errno;
}

int interest::collect(std::optional<std::chrono::nanoseconds> timeout) noexcept {
  using namespace std::chrono;
  const nanoseconds limit = std::max(timeout.value_or(nanoseconds(0)), nanoseconds(0));
  if (has_nanoseconds_ && limit.count() > 0) {
    const timespec until{.tv_sec = static_cast<time_t>(limit / seconds(1)),
                         .tv_nsec = static_cast<long>((limit % seconds(1)).count())};
    const int count = ::epoll_pwait2(epoll_.get(), events_, most_events, &until, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES)) return count >= 0 ? count : -errno;
    has_nanoseconds_ = false;
  }
  // Milliseconds, rounded up: a loop that wakes before its timer would turn in vain.
  const auto rounded = std::min<std::int64_t>(ceil<milliseconds>(limit).count(), std::numeric_limits<int>::max());
  const int count = ::epoll_wait(epoll_.get(), events_, most_events, timeout ? static_cast<int>(rounded) : -1);
  return count >= 0 ? count : -errno;
}

}  // namespace uring6::inline v0::detail
