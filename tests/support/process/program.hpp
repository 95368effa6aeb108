// Programs that a test starts: their output, their exit, and their end with the test.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "sys/socket/file_descriptor.hpp"

namespace uring6::test {

/// How to start a program.
struct program_settings {
  /// Called in the child before exec: limits, filters, identity.
  std::function<void()> prepare{};
  /// The destination of its standard output: the test, this file, or none, with the descriptor closed.
  std::string output_file{};
  bool output_closed = false;
};

/// The exit of a program, and its output.
struct program_end {
  int exit_status = -1;  ///< -1 if a signal ended it.
  int signal = 0;        ///< The signal.
  std::string output;
  std::string errors;
};

/// A running program, in the network namespace of the thread that started it. The destructor kills it if it still runs.
class program {
 public:
  /// `words`: its path and its arguments. Throws std::system_error.
  explicit program(const std::vector<std::string>& words, const program_settings& settings = {});
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program();

  pid_t id() const noexcept { return child_; }
  void send_signal(int signal);

  /// Waits until its output is at least so long, at most a minute; false if it ends before. `wait` returns that output,
  /// too.
  bool writes(std::size_t octets);

  /// Reads its output until it ends; kills it after a minute. May be called once.
  program_end wait();

 private:
  pid_t child_ = -1;
  file_descriptor output_;
  file_descriptor errors_;
  std::string read_;  // of the output, by `writes`
};

/// Runs a program to its end.
program_end run_program(const std::vector<std::string>& words, const program_settings& settings = {});

}  // namespace uring6::test
