// The exit statuses of the command: the same for every subcommand.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace uring6::tool {

enum class exit_status : int {
  ok = 0,
  goal_failed = 1,  // it ran, and did not reach its goal
  usage = 2,        // the command line is wrong
  environment = 3,  // the machine lacks something: io_uring, IPv6, a privilege
  system = 4,       // a system call failed unexpectedly
};

/// Its word in JSON.
constexpr std::string_view to_string(exit_status status) noexcept {
  switch (status) {
    case exit_status::ok:
      return "ok";
    case exit_status::goal_failed:
      return "goal_failed";
    case exit_status::usage:
      return "usage";
    case exit_status::environment:
      return "environment";
    case exit_status::system:
      break;
  }
  return "system";
}

/// Ends the command with a message for the user.
class failure : public std::runtime_error {
 public:
  failure(exit_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  exit_status status() const noexcept { return status_; }

 private:
  exit_status status_;
};

}  // namespace uring6::tool
