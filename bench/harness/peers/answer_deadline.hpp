// How long, and in which way, the harness waits for answers.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>

#include "common/clock.hpp"
#include "common/socket.hpp"

namespace bench {

/// While no answer waits: asks the kernel again, or sleeps, so that a server may use the caller's processor.
enum class idle { spin, sleep };

/// Gives up when no answer has come for a while. An answer puts it off.
class answer_deadline {
 public:
  explicit answer_deadline(std::chrono::milliseconds most, idle meanwhile = idle::spin)
      : most_(most), meanwhile_(meanwhile), last_news_(now_ns()) {}

  /// An answer has come.
  void renew() noexcept { last_news_ = now_ns(); }

  /// Call it when no answer waits at `fd`. False if none has come for the whole time.
  bool wait(int fd) const {
    if (now_ns() - last_news_ > static_cast<std::uint64_t>(std::chrono::nanoseconds(most_).count())) return false;
    if (meanwhile_ == idle::sleep) {
      pollfd wanted{fd, POLLIN, 0};
      check(::poll(&wanted, 1, static_cast<int>(most_.count())), "poll");
    }
    return true;
  }

 private:
  std::chrono::milliseconds most_;
  idle meanwhile_;
  std::uint64_t last_news_;
};

}  // namespace bench
