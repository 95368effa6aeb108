#include "output.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

#include "build_info.hpp"

namespace uring6::tool {

void output::write(std::string_view line) {
  if (error_ != 0) return;
  errno = 0;
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fputc('\n', stdout) == EOF) {
    error_ = errno;
  }
}

void output::object(const nlohmann::ordered_json& fields) {
  if (!json_) return;
  nlohmann::ordered_json whole{{"schema", 1}, {"uring6", build_info::version}};
  whole.update(fields);
  // An interface's name need not be UTF-8.
  write(whole.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void output::error(const std::string& command, exit_status status, const std::string& message) {
  using value = nlohmann::ordered_json;
  object({{"command", command.empty() ? value() : value(command)},
          {"error", {{"kind", to_string(status)}, {"exit_status", static_cast<int>(status)}, {"message", message}}}});
}

void output::flush() {
  if (error_ == 0 && std::fflush(stdout) != 0) error_ = errno;
  if (error_ != 0) {
    throw failure(exit_status::system, "cannot write to standard output: " + std::system_category().message(error_));
  }
}

void occupy_standard_descriptors() {
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(standard, F_GETFD) >= 0) continue;
    // open returns the lowest free descriptor, which is this one. The mode is the wrong one, so that using it is an
    // error and not silent.
    const int mode = standard == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (::open("/dev/null", mode) != standard) std::abort();
  }
}

}  // namespace uring6::tool
