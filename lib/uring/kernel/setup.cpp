#include "uring/kernel/setup.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "sys/socket/kernel_release.hpp"
#include "sys/socket/refusal.hpp"
#include "uring/kernel_abi.hpp"

namespace uring6::inline v0::detail {
namespace {

struct rung {
  std::uint32_t flags;
  const char* loses;
};

// In every step: the kernel clamps the number of entries to its limits, and takes the size of the completion queue from
// us.
constexpr std::uint32_t always = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;

// The flags to try, the best first. DEFER_TASKRUN needs Linux 6.1, COOP_TASKRUN 5.19, SUBMIT_ALL 5.18; a sandbox may
// refuse any of them.
constexpr rung ladder[] = {
    {always | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
         IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
     "DEFER_TASKRUN (Linux 6.1): completions interrupt the thread, slower"},
    {always | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
     "COOP_TASKRUN (Linux 5.19): completions interrupt the thread, slower"},
    {always, "CQSIZE, CLAMP (Linux 5.6): nothing plainer can be tried"},
};

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Is the process root in the initial user namespace, in which the kernel asks for CAP_SYS_ADMIN? Root of a container
/// is not.
bool is_root_of_the_machine() {
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  const bool first = map >> inside >> outside >> count && inside == 0 && outside == 0 && count == 0xffff'ffff;
  return first && ::geteuid() == 0;
}

/// Waits for locked memory. The kernel releases the memory of a closed ring from its user's limit only after some
/// milliseconds (newer kernels account for it again; 6.18 does). So ENOMEM may pass.
class memory_wait {
 public:
  /// Waits 1, 2, 4 … 128 ms. False, without a wait, after these: a quarter of a second in all.
  bool once_more() {
    if (pause_ > std::chrono::milliseconds(128)) return false;
    std::this_thread::sleep_for(pause_);
    pause_ *= 2;
    return true;
  }

 private:
  std::chrono::milliseconds pause_{1};
};

/// Registers a ring of receive buffers, one page long, and unregisters it. Returns 0 or the negative errno. The kernel
/// counts the page against the user's limit of locked memory.
int try_buffer_ring(::io_uring& ring) {
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return -ENOMEM;
  ::io_uring_buf_reg trial{};
  trial.ring_addr = reinterpret_cast<std::uint64_t>(page);
  trial.ring_entries = static_cast<std::uint32_t>(size / sizeof(::io_uring_buf));
  const int code = ::io_uring_register_buf_ring(&ring, &trial, 0);
  if (code == 0) ::io_uring_unregister_buf_ring(&ring, 0);
  ::munmap(page, size);
  return code;
}

/// Enters the ring without submitting or waiting. Returns 0, also for a ring that is still disabled, or the negative
/// errno.
int try_to_enter(const ::io_uring& ring) {
  const int code = ::io_uring_enter2(static_cast<unsigned>(ring.ring_fd), 0, 0, 0, nullptr, 0);
  return code == -EBADFD ? 0 : code;
}

struct attempt {
  int code = 0;          // negative errno
  bool final = false;    // neither fewer flags nor a smaller ring can help
  bool set_up = false;   // io_uring_setup itself succeeded
  std::string reason{};  // a sentence for the user, if `set_up`; else explain_setup_failure(code)
};

attempt too_old(std::string_view lacks) {
  return {-EOPNOTSUPP, true, true,
          fmt::format("kernel {} has no {}: uring6 needs Linux 6.1 or later", kernel_release(), lacks)};
}

attempt cannot_use(std::string_view call, int code) {
  return {code, true, true, explain_use_failure(call, -code)};
}

/// Tries whether a ring that was set up can be used, by three kinds of system calls. (To set up and end a ring takes
/// 100 us of processor time on Linux 6.18, the enter 0.1 us.)
attempt try_to_use(::io_uring& ring, ring_features& features) {
  switch (const int code = try_buffer_ring(ring)) {
    case 0:
      break;
    case -ENOMEM:
      return {code, false, true};
    case -EINVAL:
      return too_old("rings of receive buffers (Linux 5.19)");
    default:
      return cannot_use("io_uring_register", code);
  }
  const std::unique_ptr<::io_uring_probe, void (*)(::io_uring_probe*)> known(::io_uring_get_probe_ring(&ring),
                                                                             ::io_uring_free_probe);
  if (known) {
    // The probe lists operations, not their flags. IORING_OP_SEND_ZC came with the same release (6.0) as multishot
    // recvmsg: a kernel without the one has not the other.
    if (!::io_uring_opcode_supported(known.get(), IORING_OP_SEND_ZC))
      return too_old("reads that stay armed (multishot recvmsg, Linux 6.0)");
    features.zero_copy_send = ::io_uring_opcode_supported(known.get(), IORING_OP_SENDMSG_ZC);
  }
  if (const int code = try_to_enter(ring); code < 0) return cannot_use("io_uring_enter", code);
  return {};
}

attempt try_to_set_up(unsigned submissions, ::io_uring& ring, io_uring_params& parameters, ring_features& features) {
  if (const int code = ::io_uring_queue_init_params(submissions, &ring, &parameters); code != 0) return {code};
  attempt usable = try_to_use(ring, features);
  if (usable.code != 0) ::io_uring_queue_exit(&ring);
  return usable;
}

}  // namespace

std::string explain_setup_failure(int error_number) {
  const std::string sysctl = first_line("/proc/sys/kernel/io_uring_disabled");
  switch (error_number) {
    case ENOSYS:
      return fmt::format(
          "io_uring is missing: kernel {} was built without it{}. uring6 needs Linux 6.1 or later, outside of a "
          "sandbox that hides io_uring_setup.",
          kernel_release(), seccomp_is_on() ? " or a seccomp profile hides it" : "");
    case EPERM:
    case EACCES:
      if (sysctl == "2")
        return "io_uring is switched off: kernel.io_uring_disabled is 2. Run: sysctl -w kernel.io_uring_disabled=0";
      if (sysctl == "1" && !is_root_of_the_machine())
        return "io_uring is for privileged users only: kernel.io_uring_disabled is 1. Run as root, join the group of "
               "kernel.io_uring_group, or run: sysctl -w kernel.io_uring_disabled=0";
      if (seccomp_is_on())
        return "a seccomp profile forbids io_uring (containers' default profiles do). Allow io_uring_setup, "
               "io_uring_enter and io_uring_register in it; for Docker: --security-opt seccomp=PROFILE";
      return "a security module forbids io_uring to this process";
    case ENOMEM: {
      rlimit limit{};
      ::getrlimit(RLIMIT_MEMLOCK, &limit);
      return fmt::format(
          "not enough memory for the ring: RLIMIT_MEMLOCK is {} bytes (hard limit {}). Raise it (ulimit -l) or "
          "lower submission_entries and completion_entries.",
          limit.rlim_cur, limit.rlim_max);
    }
    case EMFILE:
    case ENFILE:
      return explain_too_many_descriptors(error_number);
    default:
      return fmt::format("io_uring_setup: {}", std::strerror(error_number));
  }
}

std::string explain_use_failure(std::string_view call, int error_number) {
  switch (error_number) {
    case ENOSYS:
    case EPERM:
    case EACCES:
      return fmt::format(
          "io_uring_setup is allowed, but {} is refused ({}) by {}: allow io_uring_setup, io_uring_enter and "
          "io_uring_register together",
          call, std::strerror(error_number), seccomp_is_on() ? "a seccomp profile" : "a security module");
    case EINVAL:
      return fmt::format("kernel {} does not know what uring6 asks of the ring ({}): it needs Linux 6.1 or later",
                         kernel_release(), call);
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return explain_setup_failure(error_number);
    default:
      return fmt::format("{}: {}", call, std::strerror(error_number));
  }
}

std::string explain_no_busy_poll(int error_number) {
  switch (error_number) {
    case EINVAL:
      return fmt::format("busy_poll (Linux 6.9; this is {}): devices are not polled", kernel_release());
    case EOPNOTSUPP:
      return "busy_poll: the kernel was built without CONFIG_NET_RX_BUSY_POLL; devices are not polled";
    default:
      return fmt::format("busy_poll ({}): devices are not polled", std::strerror(error_number));
  }
}

result<void> set_up_ring(const ring_options& options, ::io_uring& ring, ring_features& features, std::string& reason) {
  unsigned submissions = options.submission_entries;
  unsigned completions =
      std::max(options.completion_entries, submissions);  // the kernel refuses fewer completions than submissions
  attempt last;
  for (const rung& step : ladder) {
    memory_wait wait;
    do {
      io_uring_params parameters{};
      parameters.flags = step.flags;
      parameters.cq_entries = completions;
      last = try_to_set_up(submissions, ring, parameters, features);
      if (last.code == 0) {
        ::io_uring_ring_dontfork(&ring);
        features.setup_flags = parameters.flags;
        features.kernel_features = parameters.features;
        // IORING_OP_MSG_RING is older than this feature bit (Linux 6.3), but was not tried on older kernels with a ring
        // of DEFER_TASKRUN: there the eventfd wakes the loop.
        features.messages = parameters.features & kernel_abi::feat_reg_reg_ring;
        features.submission_entries = parameters.sq_entries;
        features.completion_entries = parameters.cq_entries;
        features.min_wait = options.min_wait && (parameters.features & kernel_abi::feat_min_timeout);
        if (options.min_wait && !features.min_wait) {
          features.refused.push_back(fmt::format(
              "min_wait (Linux 6.12; this is {}): the loop wakes for the first completion", kernel_release()));
        }
        return {};
      }
      if (last.final || last.code != -ENOMEM) break;
      if (wait.once_more()) continue;
      if (submissions <= 8) break;
      features.refused.push_back(fmt::format("a ring of {} and {} entries: out of memory", submissions, completions));
      submissions /= 2;
      completions /= 2;
      if (last.set_up) wait = {};  // that ring's locked memory is released late, too: wait again
    } while (true);
    if (last.final || last.code != -EINVAL) break;
    features.refused.push_back(step.loses);
  }
  reason = last.reason.empty() ? explain_setup_failure(-last.code) : std::move(last.reason);
  return fail_errno(-last.code);
}

}  // namespace uring6::inline v0::detail
