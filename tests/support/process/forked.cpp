#include "support/process/forked.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "support/case/eventually.hpp"
#include "support/process/pipe.hpp"

namespace uring6::test {
namespace {

void write_all(int fd, const std::string& text) {
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t now = ::write(fd, text.data() + sent, text.size() - sent);
    require(now >= 0, "write");
    sent += static_cast<std::size_t>(now);
  }
}

// Ends the child without destructors and exit handlers: they belong to the parent.
[[noreturn]] void run_in_child(const std::function<std::string()>& work, int to_parent) {
  int status = 0;
  try {
    write_all(to_parent, work());
  } catch (const std::exception& thrown) {
    status = 1;
    write_all(to_parent, thrown.what());
  }
  ::_exit(status);
}

template <std::size_t size>
void install_filter(std::array<sock_filter, size> program) {
  const sock_fprog filter{.len = size, .filter = program.data()};
  require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
  require(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0, "seccomp");
}

}  // namespace

bool other_threads_sleep() {
  const std::string mine = std::to_string(::syscall(SYS_gettid));
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    if (thread.path().filename() == mine) continue;
    std::ifstream file(thread.path() / "stat");
    std::string line;
    std::getline(file, line);  // empty: the thread has ended
    const std::size_t state = line.rfind(") ");
    if (state != line.npos && line[state + 2] != 'S') return false;
  }
  return true;
}

std::string in_child(const std::function<std::string()>& work) {
  pipe_ends ends = make_pipe();
  // A thread that starts or ends holds a lock of the address sanitizer's, which a child that is forked then never gets.
  // Where a thread of the test spins, the wait ends without it.
  (void)eventually(other_threads_sleep, std::chrono::seconds(1));
  const pid_t child = ::fork();
  require(child >= 0, "fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a child that hangs ends with the test that waits for it
    run_in_child(work, ends.write.get());
  }

  (void)ends.write.close();
  const std::string said = read_all(ends.read);
  int status = 0;
  require(::waitpid(child, &status, 0) == child, "waitpid");
  if (!WIFEXITED(status)) throw std::runtime_error("the child was ended by signal " + std::to_string(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) throw std::runtime_error("in the child: " + said);
  return said;
}

void forbid_system_call(long system_call, int error_number) {
  install_filter(std::array<sock_filter, 4>{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(system_call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error_number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }});
}

void forbid_system_call(long system_call, int error_number, const call_argument& where) {
  // The lower half of the argument; seccomp_data has 64 bits of each.
  constexpr std::uint32_t lower_half = std::endian::native == std::endian::little ? 0 : 4;
  const auto argument = static_cast<std::uint32_t>(offsetof(seccomp_data, args)) + 8 * where.index + lower_half;
  install_filter(std::array<sock_filter, 6>{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(system_call), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, where.value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error_number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }});
}

}  // namespace uring6::test
