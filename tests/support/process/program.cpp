#include "support/process/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <utility>

#include "support/process/pipe.hpp"

namespace uring6::test {
namespace {

constexpr std::chrono::seconds patience{60};

void redirect_output(const program_settings& settings, int channel) {
  if (settings.output_closed) {
    ::close(STDOUT_FILENO);
  } else if (settings.output_file.empty()) {
    require(::dup2(channel, STDOUT_FILENO) >= 0, "dup2");
  } else {
    const int file = ::open(settings.output_file.c_str(), O_WRONLY | O_CLOEXEC);
    require(file >= 0, settings.output_file.c_str());
    require(::dup2(file, STDOUT_FILENO) >= 0, "dup2");
  }
}

[[noreturn]] void become(const std::vector<std::string>& words, const program_settings& settings, int output,
                         int errors) {
  try {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    require(::dup2(errors, STDERR_FILENO) >= 0, "dup2");
    redirect_output(settings, output);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    if (settings.prepare) settings.prepare();
    ::execv(arguments[0], arguments.data());
    std::perror(arguments[0]);
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "%s\n", thrown.what());
  }
  ::_exit(127);
}

}  // namespace

program::program(const std::vector<std::string>& words, const program_settings& settings) {
  pipe_ends output = make_pipe();
  pipe_ends errors = make_pipe();
  child_ = ::fork();
  require(child_ >= 0, "fork");
  if (child_ == 0) become(words, settings, output.write.get(), errors.write.get());
  output_ = std::move(output.read);
  errors_ = std::move(errors.read);
}

program::~program() {
  if (child_ < 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

void program::send_signal(int signal) {
  require(::kill(child_, signal) == 0, "kill");
}

bool program::writes(std::size_t octets) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (read_.size() < octets) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now());
    pollfd readable{output_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) != 1) return false;
    if (!read_some(output_, read_)) return false;
  }
  return true;
}

program_end program::wait() {
  program_end end;
  end.output = std::exchange(read_, {});
  const auto limit = std::chrono::steady_clock::now() + patience;
  std::array<pollfd, 2> streams{{{output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}}};
  const std::array<const file_descriptor*, 2> sources{&output_, &errors_};
  const std::array<std::string*, 2> texts{&end.output, &end.errors};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      ::kill(child_, SIGKILL);
      end.errors += "(killed by the test: it did not end)";
      break;
    }
    require(::poll(streams.data(), streams.size(), static_cast<int>(left.count())) >= 0, "poll");
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (streams[i].revents != 0 && !read_some(*sources[i], *texts[i])) streams[i].fd = -1;
    }
  }
  int status = 0;
  const pid_t ended = ::waitpid(std::exchange(child_, -1), &status, 0);
  require(ended >= 0, "waitpid");
  if (WIFEXITED(status)) end.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

program_end run_program(const std::vector<std::string>& words, const program_settings& settings) {
  return program(words, settings).wait();
}

}  // namespace uring6::test
