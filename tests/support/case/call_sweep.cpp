#include "support/case/call_sweep.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "support/process/pipe.hpp"
#include "uring/asan.hpp"

namespace uring6::test {
namespace {

struct watched_call {
  std::uint32_t number;
  const char* name;
  int error;
};

constexpr std::array calls{
    watched_call{SYS_socket, "socket", EMFILE},
    watched_call{SYS_eventfd2, "eventfd2", EMFILE},
    watched_call{SYS_signalfd4, "signalfd4", EMFILE},
    watched_call{SYS_epoll_create1, "epoll_create1", EMFILE},
    watched_call{SYS_epoll_ctl, "epoll_ctl", ENOMEM},
    watched_call{SYS_io_uring_setup, "io_uring_setup", EMFILE},
    watched_call{SYS_io_uring_register, "io_uring_register", ENOMEM},
    watched_call{SYS_mmap, "mmap", ENOMEM},
    watched_call{SYS_madvise, "madvise", ENOMEM},
    watched_call{SYS_bind, "bind", ENOMEM},
    watched_call{SYS_connect, "connect", ENOMEM},
    watched_call{SYS_listen, "listen", ENOMEM},
    watched_call{SYS_setsockopt, "setsockopt", ENOMEM},
    watched_call{SYS_getsockopt, "getsockopt", ENOMEM},
    watched_call{SYS_getsockname, "getsockname", ENOMEM},
    watched_call{SYS_getpeername, "getpeername", ENOMEM},
    watched_call{SYS_fcntl, "fcntl", EMFILE},
    watched_call{SYS_sendto, "sendto", ENOMEM},
    watched_call{SYS_sendmsg, "sendmsg", ENOMEM},
    watched_call{SYS_recvmsg, "recvmsg", ENOMEM},
    watched_call{SYS_recvfrom, "recvfrom", ENOMEM},
};

std::atomic<std::size_t> until_failure{0};  // 0: none fails
std::atomic<const watched_call*> failed{nullptr};

/// The entry of this call if it is the one that is to fail, else nullptr.
/// The address sanitizer makes these two calls itself, and ends the program if they fail: they are not counted.
bool is_sanitizers(std::uint32_t number) noexcept {
  return detail::poisons && (number == SYS_mmap || number == SYS_madvise);
}

const watched_call* judge(std::uint32_t number) noexcept {
  if (is_sanitizers(number)) return nullptr;
  const auto which = std::ranges::find(calls, number, &watched_call::number);
  return which != calls.end() && until_failure.load() == 1 ? &*which : nullptr;
}

void count(const watched_call* failing) noexcept {
  if (failing) failed.store(failing);
  if (until_failure.load() > 0) until_failure.fetch_sub(1);
}

/// Undoes `count` for a call that was not answered: the kernel asks for it again.
void take_back(const watched_call* failing) noexcept {
  if (failing) failed.store(nullptr);
  if (failing || until_failure.load() > 0) until_failure.fetch_add(1);
}

// Runs on a thread that began before the filter was installed: the filter does not stop its own calls.
void answer_all(int listener) noexcept {
  for (;;) {
    seccomp_notif question{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) != 0) {
      // ENOENT: the kernel took the call back, for example for task work, and asks again.
      if (errno == EINTR || errno == ENOENT) continue;
      return;
    }
    const auto number = static_cast<std::uint32_t>(question.data.nr);
    const watched_call* const failing = judge(number);
    seccomp_notif_resp answer{};
    answer.id = question.id;
    answer.error = failing ? -failing->error : 0;
    if (!failing) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    const bool counts = !is_sanitizers(number);
    if (counts) count(failing);  // before the answer, because the caller may ask for the failed call after it
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) != 0 && errno == ENOENT && counts) take_back(failing);
  }
}

}  // namespace

void watch_set_up_calls() {
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const watched_call& each : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, each.number, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};

  // No std::promise: its wake-up could wait for the allocator's lock, which the thread that waits for the answer may
  // hold.
  static std::atomic<int> listener{-1};
  std::thread([] {
    listener.wait(-1);
    answer_all(listener.load());
  }).detach();
  require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
  const long made = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  require(made >= 0, "SECCOMP_FILTER_FLAG_NEW_LISTENER");
  listener.store(static_cast<int>(made));
  listener.notify_one();
}

void fail_call(std::size_t nth) noexcept {
  failed.store(nullptr);
  until_failure.store(nth);
}

std::string failed_call() noexcept {
  until_failure.store(0);
  const watched_call* const which = failed.exchange(nullptr);
  return which ? which->name : "";
}

}  // namespace uring6::test
