// Machines and sandboxes that give an unusable ring, or no ring, no eventfd, no socket: the constructor of a loop, a
// loop_group and probe() each name what was refused, and the remedy. Every refusal is made in a child process.
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/ring_judge.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/listen.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/probe.hpp"
#include "uring6/text.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

/// The text of the exception of `make`, or "nothing".
std::string thrown_by(const std::function<void()>& make) {
  try {
    make();
  } catch (const std::system_error& thrown) {
    return thrown.what();
  }
  return "nothing";
}

/// One line for each: the exceptions of event_loop's and loop_group's constructors, the error of create(), and the
/// sentences of probe_report::missing.
std::string told() {
  std::string text = "loop: " + thrown_by([] { const event_loop loop; });
  text += "\ngroup: " + thrown_by([] { const loop_group group({.loops = 1, .pin = false}); });
  const auto made = event_loop::create();
  text += "\ncreate: " + (made ? std::string("a loop") : made.error().message());
  for (const std::string& each : probe().missing) text += "\nprobe: " + each;
  return text;
}

std::string told_where(const std::function<void()>& refuse) {
  return in_child([&] {
    ::setenv("URING6_DRIVER", "io_uring", 1);  // otherwise a loop of readiness is made
    refuse();
    const std::size_t before = open_descriptors();
    std::string text = told();
    return text + (open_descriptors() == before ? "\nno descriptor left" : "\na descriptor is left");
  });
}

void check_all_say(const std::string& said, const std::string& what) {
  CHECK_THAT(said, ContainsSubstring("loop: " + what));
  CHECK_THAT(said, ContainsSubstring("group: " + what));
  CHECK_THAT(said, ContainsSubstring("probe: " + what));
  CHECK_THAT(said, !ContainsSubstring("create: a loop") && ContainsSubstring("no descriptor left"));
}

// --- kernels that are too old ---

TEST_CASE("a kernel without rings of receive buffers is refused by the constructor with the text of the probe") {
  need_io_uring();
  const std::string said = told_where([] {
    judge_ring_register([](unsigned opcode, void*) -> std::optional<int> {
      if (opcode == IORING_REGISTER_PBUF_RING) return -EINVAL;
      return {};
    });
  });
  check_all_say(said, "kernel ");
  CHECK_THAT(said, ContainsSubstring("has no rings of receive buffers (Linux 5.19): uring6 needs Linux 6.1 or later"));
}

TEST_CASE("a kernel without multishot reads is refused by the constructor with the text of the probe") {
  need_io_uring();
  const std::string said = told_where([] {
    judge_ring_register([](unsigned opcode, void* argument) -> std::optional<int> {
      if (opcode != IORING_REGISTER_PROBE) return {};
      // Linux 5.19's answer: all its operations, up to IORING_OP_SOCKET.
      auto* const answer = static_cast<io_uring_probe*>(argument);
      answer->last_op = IORING_OP_SOCKET;
      answer->ops_len = IORING_OP_SOCKET + 1;
      for (__u8 each = 0; each <= IORING_OP_SOCKET; ++each) {
        answer->ops[each].op = each;
        answer->ops[each].flags = IO_URING_OP_SUPPORTED;
      }
      return 0;
    });
  });
  check_all_say(said, "kernel ");
  CHECK_THAT(said,
             ContainsSubstring("has no reads that stay armed (multishot recvmsg, Linux 6.0): uring6 needs Linux 6.1"));
}

TEST_CASE("a loop is created although the kernel does not list its operations") {
  need_io_uring();
  const std::string said = told_where([] {
    judge_ring_register([](unsigned opcode, void*) -> std::optional<int> {
      if (opcode == IORING_REGISTER_PROBE) return -EINVAL;
      return {};
    });
  });
  CHECK_THAT(said, StartsWith("loop: nothing\ngroup: nothing\ncreate: a loop"));
}

// --- sandboxes ---

TEST_CASE("a sandbox that allows to set a ring up and not to register is reported by the constructor") {
  need_io_uring();
  check_all_say(told_where([] { forbid_system_call(SYS_io_uring_register, EPERM); }),
                "io_uring_setup is allowed, but io_uring_register is refused (Operation not permitted) by a seccomp "
                "profile: allow io_uring_setup, io_uring_enter and io_uring_register together");
}

TEST_CASE("a sandbox that allows to set a ring up and not to enter it is reported by the constructor") {
  need_io_uring();
  for (const int error : {EPERM, EACCES, ENOSYS}) {
    check_all_say(told_where([error] { forbid_system_call(SYS_io_uring_enter, error); }),
                  "io_uring_setup is allowed, but io_uring_enter is refused (" + std::system_category().message(error) +
                      ") by a seccomp profile");
  }
}

TEST_CASE("a loop that may not enter after its construction reports that when it runs, and so does a group of it") {
  need_io_uring();
  const std::string said = in_child([] {
    event_loop loop;
    loop_group group({.loops = 1, .pin = false});
    forbid_system_call(SYS_io_uring_enter, EPERM);
    return thrown_by([&] { loop.run([]() -> task<> { co_await sleep_for(std::chrono::hours(1)); }()); });
  });
  CHECK_THAT(said, ContainsSubstring("io_uring_enter") && ContainsSubstring("seccomp profile"));
}

TEST_CASE("a group of threads that may not enable their rings reports that at its start") {
  need_io_uring();
  const std::string said = in_child([] {
    judge_ring_register([](unsigned opcode, void*) -> std::optional<int> {
      if (opcode == IORING_REGISTER_ENABLE_RINGS) return -EPERM;
      return {};
    });
    return thrown_by([] { const loop_group group({.loops = 1, .pin = false}); });
  });
  CHECK_THAT(said, StartsWith("io_uring_setup is allowed, but io_uring_register is refused (Operation not permitted)"));
}

TEST_CASE("a refused eventfd is not reported as a refusal of io_uring") {
  need_io_uring();
  const std::string said = told_where([] { forbid_system_call(SYS_eventfd2, EPERM); });
  check_all_say(said, "eventfd is refused (Operation not permitted) by a seccomp profile: allow eventfd2 in it");
  CHECK_THAT(said, !ContainsSubstring("io_uring"));
}

TEST_CASE("a refused eventfd with the error of a missing kernel is not reported as a refusal of io_uring") {
  need_io_uring();
  const std::string said = told_where([] { forbid_system_call(SYS_eventfd2, ENOSYS); });
  check_all_say(said, "eventfd is refused (Function not implemented) by a seccomp profile: allow eventfd2 in it");
}

// --- a loop by readiness instead ---

/// How a loop came to its driver, in a process that `refuse` has prepared, and whether it delivers a datagram.
std::string driver_where(const std::function<void()>& refuse, loop_driver asked = loop_driver::automatic) {
  return in_child([&] {
    ::unsetenv("URING6_DRIVER");
    refuse();
    std::string reason;
    auto loop = event_loop::create({.driver = asked}, reason);
    if (!loop) return "no loop: " + reason;
    const loop_stats counted = loop->stats();
    std::string text = std::string(to_string(loop->driver())) + " " + std::to_string(counted.readiness) + " " +
                       std::to_string(counted.io_uring_errno) + "\n" + std::string(loop->driver_reason()) + "\n";
    for (const std::string& each : probe({.driver = asked}).missing) text += "not ready: " + each + "\n";
    const loop_group group({.loops = 1, .pin = false, .loop = {.driver = asked}});
    return text + "group";
  });
}

TEST_CASE("where io_uring is refused loops run by readiness, and say why") {
  need_io_uring();
  for (const int error : {EPERM, EACCES, ENOSYS}) {
    for (const long call : {SYS_io_uring_setup, SYS_io_uring_register, SYS_io_uring_enter}) {
      CAPTURE(error, call);
      const std::string said = driver_where([&] { forbid_system_call(call, error); });
      CHECK_THAT(said, StartsWith("readiness 1 " + std::to_string(error) + "\n"));
      CHECK_THAT(said, ContainsSubstring("seccomp") && ContainsSubstring("\ngroup"));
      CHECK_THAT(said, !ContainsSubstring("not ready"));
    }
  }
}

TEST_CASE("on a kernel that is too old for io_uring's reads loops run by readiness, and say why") {
  need_io_uring();
  const std::string said = driver_where([] {
    judge_ring_register([](unsigned opcode, void*) -> std::optional<int> {
      if (opcode == IORING_REGISTER_PBUF_RING) return -EINVAL;
      return {};
    });
  });
  CHECK_THAT(said, StartsWith("readiness 1 " + std::to_string(EOPNOTSUPP) + "\n"));
  CHECK_THAT(said, ContainsSubstring("has no rings of receive buffers (Linux 5.19)") && ContainsSubstring("\ngroup"));
}

TEST_CASE("a loop by readiness that may not wait any more reports that when it runs") {
  const std::string said = in_child([] {
    event_loop loop({.driver = loop_driver::readiness});
    for (const long call : {SYS_epoll_pwait2, SYS_epoll_wait, SYS_epoll_pwait}) forbid_system_call(call, EPERM);
    return thrown_by([&] { loop.run([]() -> task<> { co_await sleep_for(std::chrono::hours(1)); }()); });
  });
  CHECK_THAT(said, ContainsSubstring("epoll_wait") && ContainsSubstring("seccomp profile"));
  CHECK_THAT(said, !ContainsSubstring("io_uring"));
}

TEST_CASE("a loop gets the driver of its option or an error, and URING6_DRIVER changes neither") {
  const auto set = [](const char* value) { ::setenv("URING6_DRIVER", value, 1); };
  CHECK_THAT(driver_where([&] { set("io_uring"); }, loop_driver::readiness), StartsWith("readiness 1 0\n\n"));
  const std::string refused = driver_where(
      [&] {
        set("readiness");
        forbid_system_call(SYS_io_uring_setup, EPERM);
      },
      loop_driver::io_uring);
  CHECK_THAT(refused, StartsWith("no loop: a seccomp profile forbids io_uring"));
  CHECK_THAT(driver_where([] {}, static_cast<loop_driver>(7)), StartsWith("no loop: uring6::loop_options: driver 7"));
}

TEST_CASE("the environment decides on the driver where the option leaves it open") {
  const auto set = [](const char* value) { ::setenv("URING6_DRIVER", value, 1); };
  CHECK_THAT(driver_where([&] { set("readiness"); }), StartsWith("readiness 1 0\n\n"));
  const std::string refused = driver_where([&] {
    set("io_uring");
    forbid_system_call(SYS_io_uring_setup, EPERM);
  });
  CHECK_THAT(refused, StartsWith("no loop: a seccomp profile forbids io_uring"));
  const std::string automatic = driver_where([&] {
    set("automatic");
    forbid_system_call(SYS_io_uring_setup, EPERM);
  });
  CHECK_THAT(automatic, StartsWith("readiness 1 1\n"));
  CHECK_THAT(driver_where([&] { set("epoll"); }),
             StartsWith("no loop: URING6_DRIVER=epoll: no such driver; use automatic, io_uring or readiness"));
}

TEST_CASE("a seed is a number and needs a loop that leaves its driver open, or the error says so") {
  const auto set = [](const char* value) { ::setenv("URING6_DRIVER", value, 1); };
  CHECK_THAT(driver_where([&] { set("seed:18446744073709551615"); }),
             StartsWith("readiness 1 0\nthe schedule of seed 18446744073709551615"));
  for (const char* none : {"seed:", "seed:x", "seed:-1", "seed:1 ", "seed:18446744073709551616"}) {
    INFO(none);
    CHECK_THAT(driver_where([&] { set(none); }), StartsWith("no loop: URING6_DRIVER=" + std::string(none) +
                                                            ": a seed is a number from 0 to 18446744073709551615"));
  }
  for (const auto& [option, name] :
       {std::pair{loop_driver::io_uring, "io_uring"}, {loop_driver::readiness, "readiness"}}) {
    CHECK_THAT(driver_where([&] { set("seed:1"); }, option),
               StartsWith("no loop: URING6_DRIVER=seed:1: only loops with the driver automatic follow a seed; this one "
                          "asks for " +
                          std::string(name)));
  }
}

TEST_CASE("where epoll is refused, too, there is no loop, and the error names epoll") {
  const std::string said = driver_where([] {
    ::setenv("URING6_DRIVER", "automatic", 1);
    forbid_system_call(SYS_io_uring_setup, EPERM);
    forbid_system_call(SYS_epoll_create1, EPERM);
  });
  CHECK_THAT(said, StartsWith("no loop: epoll is refused (Operation not permitted) by a seccomp profile"));
}

TEST_CASE("where io_uring is refused and memory runs short, no descriptor of the program is closed") {
  const std::string said = in_child([] {
    ::setenv("URING6_DRIVER", "automatic", 1);
    forbid_system_call(SYS_io_uring_setup, EPERM);
    const std::size_t before = open_descriptors();
    for (std::size_t nth = 1;; ++nth) {
      bool made = false;
      if (!fail_allocation(nth)) return std::string("nothing was closed");  // it cannot be tried
      try {
        const event_loop loop;
        made = true;
      } catch (const std::bad_alloc&) {
        // The next round checks that nothing is lost.
      } catch (const std::system_error&) {
        // The same: a part of the loop reports the shortage as an error.
      }
      const bool failed = failed_allocations() > 0;
      fail_allocation(0);
      if (open_descriptors() != before) return "a descriptor was closed at allocation " + std::to_string(nth);
      if (made && !failed) return std::string("nothing was closed");
    }
  });
  CHECK(said == "nothing was closed");
}

// --- descriptors ---

/// The reports of a process that can open this many more descriptors. Their numbers may have gaps.
std::string told_with_descriptors(unsigned more) {
  return in_child([more] {
    std::vector<file_descriptor> taken;
    for (unsigned i = 0; i <= more; ++i) taken.emplace_back(::dup(STDERR_FILENO));
    const auto beyond = static_cast<rlim_t>(taken.back().get());
    taken.clear();
    const rlimit limit{.rlim_cur = beyond, .rlim_max = beyond};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) throw std::system_error(errno, std::system_category());
    return told();
  });
}

TEST_CASE("too few descriptors are reported as that, wherever they run out") {
  need_ipv6();
  // A ring, its eventfd, the socket of probe(): the report is about the first one without a descriptor.
  for (const unsigned more : {0U, 1U}) {
    CAPTURE(more);
    const std::string said = told_with_descriptors(more);
    CHECK_THAT(said, ContainsSubstring("loop: ") && ContainsSubstring("Raise RLIMIT_NOFILE (ulimit -n)"));
    CHECK_THAT(said, ContainsSubstring("group: ") && ContainsSubstring("probe: "));
    CHECK_THAT(said, !ContainsSubstring("create: a loop") && !ContainsSubstring("seccomp"));
    CHECK_THAT(said, !ContainsSubstring("built without IPv6"));
  }
}

// --- sockets ---

TEST_CASE("probe() distinguishes forbidden IPv6 sockets from a kernel without IPv6") {
  const auto said = [](int error) {
    return in_child([error] {
      forbid_system_call(SYS_socket, error);
      std::string text;
      for (const std::string& each : probe().missing) text += each + "\n";
      return text;
    });
  };
  CHECK_THAT(said(EAFNOSUPPORT), ContainsSubstring("ipv6.disable=1"));
  const std::string forbidden = said(EPERM);
  CHECK_THAT(forbidden,
             ContainsSubstring("a socket of AF_INET6 is refused (Operation not permitted) by a seccomp profile"));
  CHECK_THAT(forbidden, !ContainsSubstring("ipv6.disable"));
  CHECK_THAT(said(EMFILE), ContainsSubstring("RLIMIT_NOFILE") && !ContainsSubstring("ipv6.disable"));
}

TEST_CASE("an address of the wrong family is reported as that") {
  event_loop loop;
  for (const char* network : {"udp6", "icmp6", "ip6:58"}) {
    CAPTURE(network);
    const char* const address = std::string(network) == "udp6" ? "127.0.0.1:1024" : "127.0.0.1";
    const auto listened = listen_packet(loop, network, address);
    REQUIRE_FALSE(listened);
    CHECK(listened.error() == errc::ipv4_address);
    CHECK(listened.error() == std::errc::invalid_argument);
    const auto dialed = dial_packet(loop, network, address);
    REQUIRE_FALSE(dialed);
    CHECK(dialed.error() == errc::ipv4_address);
  }
  CHECK_THAT(make_error_code(errc::ipv4_address).message(), ContainsSubstring("udp6") && ContainsSubstring("IPv4"));
}

TEST_CASE("a conn without IPv6 reports what is missing") {
  const std::string said = in_child([] {
    event_loop loop;
    forbid_system_call(SYS_socket, EAFNOSUPPORT);
    const auto packet = listen_packet(loop, "udp6", "[::1]:0");
    return packet ? std::string("a conn") : packet.error().message();
  });
  CHECK_THAT(said, ContainsSubstring("IPv6") && ContainsSubstring("ipv6.disable=1"));
}

}  // namespace
