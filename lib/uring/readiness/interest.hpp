// Which requests wait for which descriptors, and what epoll has been asked for.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "sys/socket/file_descriptor.hpp"
#include "uring/readiness/request.hpp"

namespace uring6::inline v0::detail {

/// A read that stays armed is registered edge-triggered: it always reads until nothing is left, and a level, such as
/// that of an error queue which is not read, would wake the loop for ever. Other requests are registered for one event,
/// so that a descriptor without waiting requests wakes nothing; and edge-triggered, too, while they wait for a
/// descriptor with an error or a hang-up that has not ended them.
///
/// A descriptor with waiting requests must stay open. One without may be closed and its number used again: epoll is
/// asked anew for each wait.
class interest {
 public:
  /// Negative errno: EMFILE, ENFILE, ENOMEM, or that of a sandbox.
  int open() noexcept;
  int descriptor() const noexcept { return epoll_.get(); }

  /// The request waits for `events` of its descriptor. Negative errno, and it does not wait: EPERM for a descriptor
  /// that is always ready (a regular file), EBADF, ENOMEM, ENOSPC (fs.epoll.max_user_watches).
  int wait(request& what, std::uint32_t events) noexcept;

  /// The request does not wait any more.
  void leave(request& what) noexcept;

  /// Calls of epoll_ctl so far.
  std::uint64_t calls() const noexcept { return calls_; }

  /// Sleeps until descriptors are ready or the timeout has passed; without a timeout until they are. Returns them, or
  /// the negative errno. The span is good until the next call.
  int collect(std::optional<std::chrono::nanoseconds> timeout) noexcept;
  std::span<const epoll_event> ready(int count) const noexcept { return {events_, static_cast<std::size_t>(count)}; }

  /// Calls `attempt` for each request that waits for the event's descriptor and for what has become ready. Requests
  /// that wait again are registered together afterwards; for those that cannot be, `refused` is called with the
  /// negative errno.
  template <class Attempt, class Refused>
  void serve(const epoll_event& event, Attempt&& attempt, Refused&& refused) noexcept;

 private:
  /// What epoll knows of a descriptor. It may be out of date for `none` and `fired`: the descriptor may have been
  /// closed.
  enum class registration : std::uint8_t {
    none,
    once,      // for one event
    fired,     // that event has come: epoll reports no other
    standing,  // for every edge
  };

  struct watched {
    intrusive_list<request> waiting;
    std::uint32_t events = 0;
    registration how = registration::none;
    bool has_error = false;  // it has shown an error or a hang-up, and requests wait nevertheless
  };

  // Descriptors that one system call reports: a choice; the rest comes with the next call.
  static constexpr int most_events = 256;

  watched* find(int fd) noexcept;
  int update(int fd, watched& of) noexcept;
  int control(int fd, watched& of, std::uint32_t events) noexcept;

  file_descriptor epoll_;
  std::uint64_t calls_ = 0;
  std::deque<watched> watched_;  // by descriptor; its elements do not move
  watched* serving_ = nullptr;   // it is brought up to date when all its requests have been served
  bool has_nanoseconds_ = true;  // epoll_pwait2 is there (Linux 5.11), and no sandbox refuses it
  epoll_event events_[most_events];
};

template <class Attempt, class Refused>
void interest::serve(const epoll_event& event, Attempt&& attempt, Refused&& refused) noexcept {
  const int fd = static_cast<int>(event.data.u64);
  watched& of = watched_[static_cast<std::size_t>(fd)];
  if (of.how == registration::once) of.how = registration::fired;
  intrusive_list<request> round;
  round.splice_back(of.waiting);
  serving_ = &of;
  while (!round.empty()) {
    request& each = round.pop_front();
    if (event.events & (each.awaited | EPOLLERR | EPOLLHUP)) {
      attempt(each);
    } else {
      of.waiting.push_back(each);
    }
  }
  serving_ = nullptr;
  of.has_error = of.has_error || (event.events & (EPOLLERR | EPOLLHUP));
  const int code = update(fd, of);
  if (code >= 0) return;
  while (!of.waiting.empty()) refused(of.waiting.pop_front(), code);
}

}  // namespace uring6::inline v0::detail
