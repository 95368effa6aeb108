#include "support/process/last_words.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "support/process/pipe.hpp"

namespace uring6::test {

std::string last_words(const std::function<void()>& work) {
  pipe_ends ends = make_pipe();
  const pid_t child = ::fork();
  require(child >= 0, "fork");
  if (child == 0) {
    ::dup2(ends.write.get(), STDERR_FILENO);
    ::signal(SIGABRT, SIG_DFL);  // the test framework's handler would report it as a failure
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    work();
    ::_exit(0);
  }
  (void)ends.write.close();
  std::string words = read_all(ends.read);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) throw std::runtime_error("it did not abort");
  return words;
}

}  // namespace uring6::test
