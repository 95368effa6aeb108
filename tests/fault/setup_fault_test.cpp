// Rings that the kernel refuses in their wanted form: unknown flags, too little memory, a sysctl that is off. Each
// refusal is real, and made in a child process.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/ring_judge.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring/kernel/setup.hpp"
#include "uring6/probe.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

void expect(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

/// The loop's main operations: writes, reads, a read that is armed again, timers, a post of another thread, a read that
/// is stopped, a close. Throws if one does not work.
void exercise(event_loop& loop) {
  const auto body = [&]() -> task<> {
    constexpr std::uint64_t count = 500;
    auto to = open_conn(loop);
    auto from = dial(loop, name_of(to));
    std::array<std::byte, 16> buffer;
    // The kernel charges some 768 octets for a short datagram. All of them wait at once, except with a buffer of
    // net.core.rmem_max octets, 212,992 by default, which is what the kernel grants without privilege.
    const auto granted = to.receive_buffer();
    const std::uint64_t at_once = granted && *granted > 1024 * count ? count : count / 5;
    for (std::uint64_t next = 0; next < count; next += at_once) {
      for (std::uint64_t i = 0; i < at_once; ++i) {
        const auto sent = co_await from.write(numbered(next + i));
        expect(sent.has_value(), "a write failed");
      }
      for (std::uint64_t i = 0; next + at_once < count && i < at_once; ++i) {
        const auto got = co_await to.read_from(buffer);
        expect(got && number_in(got->payload) == next + i, "a datagram is missing");
      }
    }
    const auto empty = co_await from.write(as_payload(""));
    expect(empty.has_value(), "an empty write failed");
    for (std::uint64_t i = count - at_once; i < count; ++i) {
      const auto got = co_await to.read_from(buffer);
      expect(got && number_in(got->payload) == i, "a datagram is missing");
    }
    const auto nothing = co_await to.read_from(buffer);
    expect(nothing && nothing->payload.empty(), "the empty datagram is missing");

    for (int i = 0; i < 20; ++i) {
      const auto late = co_await with_timeout(100us, to.read_from(buffer));
      expect(!late && late.error() == errc::deadline_exceeded, "a read out of nothing");
    }
    bool posted = false;
    std::thread other([&] { loop.post([&] { posted = true; }); });
    while (!posted) co_await sleep_for(1ms);
    other.join();

    const auto sent = co_await from.write(numbered(7));
    expect(sent.has_value(), "a late write failed");
    const auto got = co_await to.read_from(buffer);
    expect(got && number_in(got->payload) == 7, "a late datagram is missing");
    beside reader(loop, [&]() -> task<> {
      const auto end = co_await to.read_from(buffer);
      expect(!end && end.error() == errc::closed, "a reader outlived its conn");
    });
    co_await yield();
    expect(to.close().has_value(), "close failed");
    co_await reader.join();
  };
  run(loop, body);
}

/// The setup of a loop with these options, after it has worked, and what the kernel refused before.
std::string worked(const loop_options& options = {}) {
  const probe_report report = probe(options);
  std::string text = report.ready() ? "ready\n" : "not ready: " + report.missing.front() + "\n";
  for (const std::string& each : report.setup_flags) text += each + " ";
  text += std::to_string(report.submission_entries) + "/" + std::to_string(report.completion_entries) + "\n";
  for (const std::string& each : report.degraded) text += each + "\n";
  event_loop loop(options);
  exercise(loop);
  return text + "works";
}

std::string worked_before(setup_judge judge) {
  return in_child([&] {
    judge_ring_setup(judge);
    return worked();
  });
}

// --- flags: the ladder ---

TEST_CASE("a kernel that knows all flags gives the best ring") {
  need_io_uring();
  need_ipv6();
  const std::string said = worked_before([](unsigned, std::uint32_t) { return 0; });
  CHECK_THAT(said, StartsWith("ready\n") && ContainsSubstring("DEFER_TASKRUN"));
  CHECK_THAT(said, !ContainsSubstring("refused"));
  CHECK_THAT(said, ContainsSubstring("works"));
}

TEST_CASE("a loop works without DEFER_TASKRUN, and the probe reports that it is slower") {
  need_io_uring();
  need_ipv6();
  const std::string said = worked_before([](unsigned, std::uint32_t flags) {
    return flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER) ? EINVAL : 0;
  });
  CHECK_THAT(said, StartsWith("ready\n") && ContainsSubstring("COOP_TASKRUN TASKRUN_FLAG") &&
                       ContainsSubstring(" 256/4096\n"));  // newer versions of liburing ask for NO_SQARRAY in between
  CHECK_THAT(said, ContainsSubstring("the kernel refused DEFER_TASKRUN"));
  CHECK_THAT(said, ContainsSubstring("works"));
}

TEST_CASE("a loop works on the plainest ring") {
  need_io_uring();
  need_ipv6();
  const std::string said = worked_before([](unsigned, std::uint32_t flags) {
    return flags & ~static_cast<std::uint32_t>(IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE) ? EINVAL : 0;
  });
  CHECK_THAT(said, StartsWith("ready\nCQSIZE CLAMP 256/4096\n"));
  CHECK_THAT(said, ContainsSubstring("refused DEFER_TASKRUN") && ContainsSubstring("refused COOP_TASKRUN"));
  CHECK_THAT(said, ContainsSubstring("works"));
}

TEST_CASE("a kernel that refuses every rung ends the ladder with its error, and leaves no descriptor") {
  need_io_uring();
  need_ipv6();
  const std::string said = in_child([] {
    judge_ring_setup([](unsigned, std::uint32_t) { return EINVAL; });
    const std::size_t before = open_descriptors();
    const auto loop = event_loop::create();
    expect(!loop && loop.error() == std::errc::invalid_argument, "a ring after all");
    expect(open_descriptors() == before, "a descriptor was left behind");
    return probe({.driver = loop_driver::io_uring}).missing.at(0);
  });
  CHECK_THAT(said, ContainsSubstring("Invalid argument"));
}

// --- memory ---

TEST_CASE("a ring is made smaller until there is memory for it, and the probe reports that") {
  need_io_uring();
  need_ipv6();
  const std::string said = worked_before([](unsigned entries, std::uint32_t) { return entries > 32 ? ENOMEM : 0; });
  CHECK_THAT(said, StartsWith("ready\n") && ContainsSubstring(" 32/512\n"));
  CHECK_THAT(said, ContainsSubstring("refused a ring of 256 and 4096 entries: out of memory"));
  CHECK_THAT(said, ContainsSubstring("refused a ring of 64 and 1024 entries: out of memory"));
  CHECK_THAT(said, ContainsSubstring("works"));
}

TEST_CASE("a ring has its wanted size if memory is there a moment later") {
  need_io_uring();
  need_ipv6();
  const std::string said =
      worked_before([calls = 0](unsigned, std::uint32_t) mutable { return ++calls <= 3 ? ENOMEM : 0; });
  CHECK_THAT(said, StartsWith("ready\n") && ContainsSubstring(" 256/4096\n"));
  CHECK_THAT(said, !ContainsSubstring("refused") && ContainsSubstring("works"));
}

/// The result of `worked` for an unprivileged user with this RLIMIT_MEMLOCK; newer kernels charge a ring to the
/// user.
std::string worked_within(rlim_t octets) {
  return in_child([octets] {
    const rlimit limit{.rlim_cur = octets, .rlim_max = octets};
    expect(::setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "setrlimit");
    // In a user namespace the first namespace already sees an unprivileged user. Each call takes another user: the
    // kernel returns the memory of a ring some milliseconds after its end.
    const uid_t user = 60'000 + static_cast<uid_t>(::getpid() % 5'000);
    (void)!::setresuid(user, user, user);
    try {
      return worked();
    } catch (const std::system_error& thrown) {
      return std::string("threw ") + thrown.what();
    }
  });
}

TEST_CASE("with little lockable memory a loop works on a smaller ring, or its error names RLIMIT_MEMLOCK") {
  need_ipv6();
  for (const rlim_t kibibytes : {0, 8, 12, 24, 32, 64, 88, 8192}) {
    CAPTURE(kibibytes);
    const std::string said = worked_within(kibibytes * 1024);
    if (said.starts_with("ready\n")) {
      CHECK_THAT(said, ContainsSubstring("works"));
    } else {
      // A ring and its buffers take at least three pages.
      CHECK(kibibytes < 12 * static_cast<unsigned long>(::sysconf(_SC_PAGESIZE)) / 4096);
      CHECK_THAT(said, StartsWith("threw ") && ContainsSubstring("RLIMIT_MEMLOCK"));
    }
  }
}

// --- refusals: the text of the constructor's exception ---

TEST_CASE("the exception of a loop that cannot be created names the reason and the remedy") {
  struct refusal {
    int error_number;
    const char* said;
  };
  for (const auto& [error_number, said] :
       {refusal{EPERM, "seccomp profile forbids io_uring"}, refusal{ENOSYS, "seccomp profile hides it"},
        refusal{ENOMEM, "RLIMIT_MEMLOCK"}, refusal{EMFILE, "RLIMIT_NOFILE"}, refusal{ENFILE, "fs.file-max"}}) {
    const std::string told = in_child([error_number] {
      forbid_system_call(SYS_io_uring_setup, error_number);
      const loop_options options{.driver = loop_driver::io_uring};
      const auto loop = event_loop::create(options);
      expect(!loop && loop.error().value() == error_number, "another error");
      try {
        const event_loop thrown(options);
        return std::string("nothing");
      } catch (const std::system_error& thrown) {
        expect(thrown.code().value() == error_number, "another code");
        return std::string(thrown.what());
      }
    });
    CHECK_THAT(told, ContainsSubstring(said));
  }
}

// --- kernel.io_uring_disabled ---

constexpr const char* sysctl_path = "/proc/sys/kernel/io_uring_disabled";

/// The explanation of a refused ring under this value of the sysctl; or "unmountable: " and the reason. The kernel's
/// own value stays: only this process sees another file in its place.
std::string explained_with(const char* value, bool privileged) {
  return in_child([=]() -> std::string {
    std::string path = std::filesystem::temp_directory_path() / "uring6-sysctl-XXXXXX";
    const file_descriptor file(::mkstemp(path.data()));
    expect(file.get() >= 0 && ::write(file.get(), value, 2) == 2 && ::fchmod(file.get(), 0644) == 0, "mkstemp");
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount(path.c_str(), sysctl_path, nullptr, MS_BIND, nullptr) == 0;
    const int error = errno;
    ::unlink(path.c_str());
    if (!mounted) return "unmountable: " + std::system_category().message(error);
    if (!privileged && ::setresuid(65534, 65534, 65534) != 0) return "unmountable: no other user to become";
    forbid_system_call(SYS_io_uring_setup, EPERM);
    return probe({.driver = loop_driver::io_uring}).missing.at(0);
  });
}

TEST_CASE("a ring that kernel.io_uring_disabled forbids is explained by it") {
  need_ipv6();
  if (!std::filesystem::exists(sysctl_path)) SKIP("this kernel has no kernel.io_uring_disabled (Linux 6.6)");
  const std::string off = explained_with("2\n", true);
  if (off.starts_with("unmountable")) SKIP(off);
  CHECK_THAT(off, StartsWith("io_uring is switched off: kernel.io_uring_disabled is 2"));
  CHECK_THAT(off, ContainsSubstring("sysctl -w kernel.io_uring_disabled=0"));

  // The value 1 forbids io_uring to users without CAP_SYS_ADMIN: the refusal of an administrator has another reason.
  if (is_administrator()) CHECK_THAT(explained_with("1\n", true), ContainsSubstring("seccomp"));
  CHECK_THAT(explained_with("0\n", true), ContainsSubstring("seccomp"));

  const std::string ordinary = explained_with("1\n", false);
  if (ordinary.starts_with("unmountable")) SKIP(ordinary);
  CHECK_THAT(ordinary, StartsWith("io_uring is for privileged users only: kernel.io_uring_disabled is 1"));
  CHECK_THAT(ordinary, ContainsSubstring("kernel.io_uring_group"));
}

}  // namespace
