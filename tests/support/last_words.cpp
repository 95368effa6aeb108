#include "support/last_words.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <system_error>

namespace uring6::test {

std::string last_words(const std::function<void()>& work) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) throw std::system_error(errno, std::system_category(), "pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::system_category(), "fork");
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::signal(SIGABRT, SIG_DFL);  // the test framework's handler would report it as a failure
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    work();
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string words;
  std::array<char, 1024> part;
  for (ssize_t length; (length = ::read(ends[0], part.data(), part.size())) > 0;) {
    words.append(part.data(), static_cast<std::size_t>(length));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) throw std::runtime_error("it did not abort");
  return words;
}

}  // namespace uring6::test
