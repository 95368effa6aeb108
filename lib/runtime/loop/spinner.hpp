// How a loop waits without a sleep: for a bounded time it asks again and again whether there is something to do. The
// kernel's wake-up of a sleeping thread takes longer than many waits. A spin also reads watched sockets by system
// calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/detail/waiting.hpp"

namespace uring6::inline v0::detail {

/// A socket for which a coroutine waits, and which spins read by system calls instead of the ring.
class watched_socket : public list_hook {
 public:
  /// Reads the socket without blocking. True ends the spin: a datagram or an error arrived, or the ring has to be
  /// entered. The implementation has then unlinked the socket, unless another coroutine waits for it.
  virtual bool try_read() noexcept = 0;

  /// The spinner has unlinked the socket: its next datagram has to come by the ring.
  virtual void return_to_ring() noexcept = 0;

 protected:
  ~watched_socket() { unlink(); }

 private:
  friend class spinner;
  unsigned spins_without_data_ = 0;  // spins that ended with news of something else
};

class spinner {
 public:
  /// A spin lasts at most `longest`; 0: the loop does not spin. A loop with a simulated clock does not spin.
  explicit spinner(std::chrono::nanoseconds longest) noexcept : longest_(longest) {}

  /// Do this loop's waits end within spins? Then a turn need not enter the ring, and system calls outside of the ring
  /// (spun reads, sendmmsg) are faster than its operations.
  bool helps() const noexcept {
    return longest_.count() > 0 && failed_spins_ == 0 && turns_without_wait_ < max_turns_without_wait;
  }

  /// Shall the next wait begin with a spin?
  bool worthwhile() noexcept;

  /// Spins until `news()` is true, a watched socket has data, or `timer` is due. False: none of these within the
  /// longest spin; the loop then sleeps.
  template <class News>
  bool spin(std::optional<clock::time_point> timer, News&& news) noexcept {
    std::optional<clock::time_point> end;
    bool until_timer = false;
    for (;;) {
      // Passes between two readings of the clock, which costs a tenth of a short wait. Reading a watched socket is a
      // system call: so fewer passes, and no pause between them.
      const bool calls = !watched_.empty();
      for (int left = calls ? 8 : 64; left > 0; --left) {
        if (read_watched() || news()) {
          return_idle_sockets();
          return ended(true);
        }
        if (!calls) relax();
      }
      const auto now = std::chrono::steady_clock::now();
      if (!end) {
        end = now + longest_;
        until_timer = timer && *timer < *end;
        if (until_timer) end = *timer;
      }
      if (now >= *end) return ended(until_timer);
    }
  }

  /// Called when a turn does not wait. Reads each watched socket once, because no spin will do it this turn. After
  /// `max_turns_without_wait` such turns the loop is busy, and the sockets go back to the ring, which delivers more at
  /// once.
  void read_watched_once() noexcept;

  /// Are fewer than four sockets watched?
  bool has_place() const noexcept;

  /// Spins shall read this socket. False: four are watched already.
  bool watch(watched_socket& what) noexcept;

  /// The loop sleeps, or must not spin: hands every watched socket back to the ring. `helps` is false until the next
  /// spin.
  void stop_watching() noexcept;

  std::uint64_t spins() const noexcept { return spins_; }
  std::uint64_t idle_spins() const noexcept { return idle_spins_; }

 private:
  // Turns in a row without a wait after which the loop counts as busy.
  static constexpr unsigned max_turns_without_wait = 4;

  static void relax() noexcept;
  bool read_watched() noexcept;
  bool ended(bool in_time) noexcept;
  void return_idle_sockets() noexcept;

  std::chrono::nanoseconds longest_;
  intrusive_list<watched_socket> watched_;
  unsigned failed_spins_ = 0;        // in a row
  unsigned waits_not_spun_ = 0;      // counts waits without a spin: every eighth wait tries one
  unsigned turns_without_wait_ = 0;  // in a row
  std::uint64_t spins_ = 0;
  std::uint64_t idle_spins_ = 0;
};

}  // namespace uring6::inline v0::detail
