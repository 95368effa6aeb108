// Programs that a test starts: what they say, how they end, and that they do not outlive the test.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "sys/socket/file_descriptor.hpp"

namespace uring6::test {

/// How a program is started.
struct program_settings {
  /// Called in the child before the program is executed: limits, filters, identity.
  std::function<void()> prepare{};
  /// Where its standard output goes: to the test, to this file, or nowhere, the descriptor being closed.
  std::string output_file{};
  bool output_closed = false;
};

/// How a program ended, and what it said.
struct program_end {
  int exit_status = -1;  ///< -1 if it was ended by a signal.
  int signal = 0;        ///< The signal.
  std::string output;
  std::string errors;
};

/// A program that runs. It is in the network namespace of the thread that starts it. One that is still there when
/// this goes is killed.
class program {
 public:
  /// `words`: its path and its arguments. Throws std::system_error.
  explicit program(const std::vector<std::string>& words, const program_settings& settings = {});
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program();

  pid_t id() const noexcept { return child_; }
  void send_signal(int signal);

  /// Reads what it says until it ends. One that has not ended after a minute is killed. Once.
  program_end wait();

 private:
  pid_t child_ = -1;
  file_descriptor output_;
  file_descriptor errors_;
};

/// Runs a program to its end.
program_end run_program(const std::vector<std::string>& words, const program_settings& settings = {});

}  // namespace uring6::test
