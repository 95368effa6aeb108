// Counters that the harness and its subjects share, in memory that both have mapped.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/socket.hpp"

namespace bench {

/// The descriptor of the board's memory in every subject's process.
constexpr int board_descriptor = 3;

/// Exit status of a program that does not have the requested subject.
constexpr int no_such_subject = 3;

struct board {
  /// Datagrams that the receiver of a stream has consumed: the sender's credit.
  alignas(64) std::atomic<std::uint64_t> consumed{0};
  /// Calls of malloc, calloc, realloc and aligned allocation since the subject began.
  alignas(64) std::atomic<std::uint64_t> allocations{0};
};

/// A board's memory, behind a descriptor that processes inherit.
class board_memory {
 public:
  board_memory();
  board_memory(const board_memory&) = delete;
  board_memory& operator=(const board_memory&) = delete;
  ~board_memory();

  int fd() const noexcept { return fd_.get(); }
  board& words() noexcept { return *words_; }

 private:
  descriptor fd_;
  board* words_;
};

/// Maps the board behind `fd`, for as long as the process lives.
board* map_board(int fd);

}  // namespace bench
