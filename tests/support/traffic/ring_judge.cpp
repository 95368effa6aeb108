#include "support/traffic/ring_judge.hpp"

#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "support/process/pipe.hpp"

namespace uring6::test {
namespace {

using arguments = decltype(seccomp_data::args);
/// Nothing: the kernel decides. Otherwise the result of the call, negative for an errno.
using call_judge = std::function<std::optional<int>(const arguments&)>;

void answer_all(int listener, const call_judge& judge) {
  for (;;) {
    seccomp_notif question{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) != 0) {
      // ENOENT: a signal (or task work of a ring) interrupted the call; the kernel repeats it, and asks again.
      if (errno == EINTR || errno == ENOENT) continue;
      return;
    }
    const std::optional<int> verdict = judge(question.data.args);
    seccomp_notif_resp answer{};
    answer.id = question.id;
    if (!verdict) {
      answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (*verdict < 0) {
      answer.error = *verdict;
    } else {
      answer.val = *verdict;
    }
    ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

void judge_calls(long system_call, call_judge judge) {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(system_call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
  const long listener = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  require(listener >= 0, "SECCOMP_FILTER_FLAG_NEW_LISTENER");
  // Runs as long as the process: a child that ends with _exit.
  std::thread(answer_all, static_cast<int>(listener), std::move(judge)).detach();
}

/// An errno, 0 for none, as a verdict.
std::optional<int> refuse_with(int error) {
  return error == 0 ? std::nullopt : std::optional(-error);
}

}  // namespace

// The filter cannot read the caller's memory, so the judge's thread does; the caller is in the same process, and waits.
void judge_ring_setup(setup_judge judge) {
  judge_calls(SYS_io_uring_setup, [judge = std::move(judge)](const arguments& given) {
    const auto* const parameters = reinterpret_cast<const io_uring_params*>(given[1]);
    return refuse_with(judge(static_cast<unsigned>(given[0]), parameters->flags));
  });
}

void judge_ring_enter(enter_judge judge) {
  judge_calls(SYS_io_uring_enter, [judge = std::move(judge)](const arguments& given) {
    return refuse_with(judge(static_cast<unsigned>(given[1])));
  });
}

void judge_ring_register(register_judge judge) {
  judge_calls(SYS_io_uring_register, [judge = std::move(judge)](const arguments& given) {
    return judge(static_cast<unsigned>(given[1]), reinterpret_cast<void*>(given[2]));
  });
}

}  // namespace uring6::test
