// A subject in a process of its own: pinned to its processor, driven over two pipes, ended with the harness.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/board.hpp"
#include "common/socket.hpp"

namespace bench {

/// A subject that this build does not have, because a package was absent.
struct missing_subject : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A run without a result: a subject failed, hung or lost datagrams.
struct void_run : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The answer to a command; see subjects/subject_main.cpp.
struct answer {
  std::uint64_t ns = 0;
  std::uint64_t datagrams = 0;
  std::uint64_t bad = 0;
  std::uint64_t sequence_sum = 0;
  std::uint64_t controls = 0;
  std::uint64_t buffers = 0;
  std::uint64_t allocations = 0;
};

class subject_process {
 public:
  /// Starts `subject` ("raw recvmsg") in `role` with KEY=VALUE words, on the given processors, and waits until it
  /// reports its ports. Both ends of a stream get the same board.
  subject_process(const std::string& subject, const std::string& role, const std::vector<std::string>& words,
                  const std::vector<int>& cpus,
                  std::shared_ptr<board_memory> shared = std::make_shared<board_memory>());
  subject_process(const subject_process&) = delete;
  subject_process& operator=(const subject_process&) = delete;
  ~subject_process();

  void tell(const std::string& command);
  answer await();
  answer ask(const std::string& command) {
    tell(command);
    return await();
  }

  /// SIGSTOP and SIGCONT: returns when the kernel has stopped or continued the process.
  void pause();
  void resume();

  /// User and system time of all its threads, exact to the nanosecond.
  std::uint64_t cpu_ns() const;

  pid_t pid() const noexcept { return pid_; }
  board& shared() noexcept { return board_->words(); }
  const std::vector<std::uint16_t>& ports() const noexcept { return ports_; }
  /// Memory of its sockets, with everything that they share.
  std::uint64_t resident_bytes() const noexcept { return resident_bytes_; }
  /// Commands and answers: two system calls each, which are the harness's and not the subject's work.
  std::uint64_t commands() const noexcept { return commands_; }

 private:
  std::string read_line(std::chrono::milliseconds patience);
  [[noreturn]] void mourn();
  [[noreturn]] void fail(const std::string& why);

  std::string name_;
  pid_t pid_ = -1;
  descriptor to_;
  descriptor from_;
  std::string pending_;
  std::shared_ptr<board_memory> board_;
  std::vector<std::uint16_t> ports_;
  std::uint64_t resident_bytes_ = 0;
  std::uint64_t commands_ = 0;
};

/// Puts the calling thread on `cpus`.
void pin(const std::vector<int>& cpus);

}  // namespace bench
