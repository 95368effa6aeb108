// A sandbox that forbids io_uring_enter while a loop runs: `run` says so, nothing waits for ever, and the kernel writes
// to no memory of an operation whose frame has gone.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <system_error>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "support/process/last_words.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/ring_judge.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

/// Of an enter, or of both, as a profile that has no io_uring.
enum class forbidden { enter, enter_and_register };

void forbid(forbidden which) {
  forbid_system_call(SYS_io_uring_enter, EPERM);
  if (which == forbidden::enter_and_register) forbid_system_call(SYS_io_uring_register, EPERM);
}

/// Completions interrupt the thread in any system call, as on a kernel without DEFER_TASKRUN.
void refuse_deferred_work() {
  judge_ring_setup([](unsigned, std::uint32_t flags) { return flags & IORING_SETUP_DEFER_TASKRUN ? EINVAL : 0; });
}

/// What lives longer than the loop's run: two ends of a connection, a conn, and what is read into.
struct outlasting {
  std::optional<ends> pair;
  std::optional<packet_conn> pc;
  std::array<std::byte, 8> octets{};
};

task<> read_and_be_forbidden(event_loop& loop, outlasting& of, forbidden which) {
  of.pair = co_await connect(loop);
  of.pc = open_conn(loop);
  beside stream(loop, [&]() -> task<> { (void)co_await of.pair->there.read(of.octets); });
  std::array<std::byte, 8> datagram;
  beside packets(loop, [&]() -> task<> { (void)co_await of.pc->read_from(datagram); });
  for (int turns = 0; turns < 5; ++turns) co_await yield();
  forbid(which);
  (void)co_await sleep_for(1h);
}

std::string error_of_run(event_loop& loop, task<> main) {
  try {
    loop.run(std::move(main));
  } catch (const std::system_error& thrown) {
    return thrown.what();
  }
  return "no error";
}

/// Runs until enters are forbidden, and looks for what the kernel does afterwards.
std::string what_follows(forbidden which) {
  outlasting of;
  event_loop loop;
  std::string said = error_of_run(loop, read_and_be_forbidden(loop, of, which));
  // The read's frame has gone. What comes now is not written to its buffer, and is not lost.
  if (::send(of.pair->here.native_handle(), "octets", 6, 0) != 6) said += "; nothing could be sent";
  for (int calls = 0; calls < 100; ++calls) (void)::getppid();
  const bool touched = std::ranges::any_of(of.octets, [](std::byte each) { return each != std::byte{}; });
  said += touched ? "; the buffer was written to" : "; the buffer is as it was";
  std::array<char, 16> got{};
  const ssize_t length = ::recv(of.pair->there.native_handle(), got.data(), got.size(), MSG_DONTWAIT);
  said += "; the socket has " + std::string(got.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  // A second run is refused again.
  said += "; again: " + error_of_run(loop, []() -> task<> { (void)co_await sleep_for(1h); }());
  return said;
}

void check_all_is_well(const std::string& said) {
  CHECK_THAT(said, ContainsSubstring("io_uring_enter") && ContainsSubstring("seccomp profile"));
  CHECK_THAT(said, ContainsSubstring("the buffer is as it was; the socket has octets; again: event_loop::run: "));
}

TEST_CASE("operations in flight when enters are forbidden end, and the kernel touches their memory no more") {
  need_io_uring();
  need_ipv6();
  check_all_is_well(in_child([] { return what_follows(forbidden::enter); }));
  check_all_is_well(in_child([] { return what_follows(forbidden::enter_and_register); }));
}

TEST_CASE("operations in flight when enters are forbidden end on a ring that does not defer its work, too") {
  need_io_uring();
  need_ipv6();
  check_all_is_well(in_child([] {
    refuse_deferred_work();
    return what_follows(forbidden::enter);
  }));
}

TEST_CASE("a ring that does not defer its work ends the program where the kernel cannot be kept from its memory") {
  need_io_uring();
  need_ipv6();
  const std::string words = last_words([] {
    refuse_deferred_work();
    (void)what_follows(forbidden::enter_and_register);
  });
  CHECK_THAT(words, ContainsSubstring("io_uring_enter") && ContainsSubstring("io_uring_register") &&
                        ContainsSubstring("still read"));
}

// A loop that has never slept has no read of its own with the kernel.
TEST_CASE("a write that the kernel did not take does not end the program where io_uring_register is forbidden, too") {
  need_io_uring();
  need_ipv6();
  const std::string said = in_child([] {
    refuse_deferred_work();
    event_loop loop;
    const auto write = [&]() -> task<> {
      auto conn = open_conn(loop);
      const endpoint self = name_of(conn);
      forbid(forbidden::enter_and_register);
      (void)co_await conn.write_to(as_payload("x"), self);
    };
    return error_of_run(loop, write());
  });
  CHECK_THAT(said, ContainsSubstring("event_loop::run: ") && ContainsSubstring("io_uring_enter"));
}

TEST_CASE("the last writes of a task, which cannot leave because enters are forbidden, make its run fail") {
  need_io_uring();
  need_ipv6();
  const std::string said = in_child([] {
    event_loop loop;
    std::optional<packet_conn> ahead;
    const auto write = [&]() -> task<> {
      ahead = open_conn(loop, {.coalesce_writes = true});
      const endpoint self = name_of(*ahead);
      forbid(forbidden::enter_and_register);
      const auto written = co_await ahead->write_to(as_payload("x"), self);
      if (!written) throw std::system_error(written.error());
    };
    return error_of_run(loop, write());
  });
  CHECK_THAT(said, ContainsSubstring("event_loop::run: ") && ContainsSubstring("io_uring_enter"));
}

}  // namespace
