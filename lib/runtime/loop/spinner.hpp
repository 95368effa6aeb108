// How a loop waits without a sleep: for a bounded time it looks for news itself, where that has helped before. A
// wake-up takes longer than many a wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/detail/waiting.hpp"

namespace uring6::detail {

/// A socket that somebody waits for, and that a spin looks at without the ring, which takes longer to tell.
class watched_socket : public list_hook {
 public:
  /// Takes in what is there. True: there was something, or the ring has to be entered for it; unless somebody else
  /// waits, it is watched no more.
  virtual bool try_read() noexcept = 0;

  /// It is watched no more: the ring is to tell.
  virtual void return_to_ring() noexcept = 0;

 protected:
  ~watched_socket() { unlink(); }

 private:
  friend class spinner;
  unsigned spins_without_data_ = 0;  // spins that had news of something else
};

class spinner {
 public:
  /// Spins last at most so long; 0: there are none.
  explicit spinner(std::chrono::nanoseconds longest) noexcept : longest_(longest) {}

  /// Do waits end while it spins? Then the ring is entered for nothing else, and what need not go by it is faster.
  bool helps() const noexcept {
    return longest_.count() > 0 && failed_spins_ == 0 && turns_without_wait_ < max_turns_without_wait;
  }

  /// Is the next wait to begin with a spin?
  bool worthwhile() noexcept;

  /// Spins until there is news, something of what is watched, or this time (of a timer) has come. False: in vain, it is
  /// time to sleep.
  template <class News>
  bool spin(std::optional<clock::time_point> timer, News&& news) noexcept {
    std::optional<clock::time_point> end;
    bool until_timer = false;
    for (;;) {
      // A look at a socket is a system call, and time enough until the next one.
      const bool calls = !watched_.empty();
      for (int left = calls ? 8 : 64; left > 0; --left) {
        if (read_watched() || news()) {
          return_idle_sockets();
          return ended(true);
        }
        if (!calls) relax();
      }
      // The clock takes a tenth of a short wait.
      const auto now = clock::now();
      if (!end) {
        end = now + longest_;
        until_timer = timer && *timer < *end;
        if (until_timer) end = *timer;
      }
      if (now >= *end) return ended(until_timer);
    }
  }

  /// The loop goes on without a wait: one look, so that who is watched is not forgotten. Of one that is always busy the
  /// ring takes in more at once.
  void read_watched_once() noexcept;

  /// Can another one be watched?
  bool has_place() const noexcept;

  /// A spin is to look at this one. False: it looks at enough already.
  bool watch(watched_socket& what) noexcept;

  /// There is no spin. What is watched goes by the ring, and so does all until the next one.
  void stop_watching() noexcept;

  std::uint64_t spins() const noexcept { return spins_; }
  std::uint64_t idle_spins() const noexcept { return idle_spins_; }

 private:
  static constexpr unsigned max_turns_without_wait = 4;

  static void relax() noexcept;
  bool read_watched() noexcept;
  bool ended(bool in_time) noexcept;
  void return_idle_sockets() noexcept;

  std::chrono::nanoseconds longest_;
  intrusive_list<watched_socket> watched_;
  unsigned failed_spins_ = 0;  // since the last one that found something
  unsigned waits_not_spun_ = 0;
  unsigned turns_without_wait_ = 0;  // since the last spin
  std::uint64_t spins_ = 0;
  std::uint64_t idle_spins_ = 0;
};

}  // namespace uring6::detail
