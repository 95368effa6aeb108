// For any machine, also one without io_uring or IPv6, or with both forbidden: uring6 works, or reports the reason.
// `tools/test --kernels` starts kernels like that.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/probe.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

/// The error of creating a loop, or nothing.
std::optional<std::string> refusal_of_a_loop(loop_driver driver = loop_driver::automatic) {
  try {
    event_loop loop({.driver = driver});
    loop.run([]() -> task<> { co_await sleep_for(1ms); }());
    return std::nullopt;
  } catch (const std::system_error& refused) {
    return refused.what();
  }
}

TEST_CASE("environment: a loop of io_uring works, or its error names what forbids it", "[environment]") {
  if (!reason_against_loops()) need_io_uring();
  const std::optional<std::string> refusal = refusal_of_a_loop(loop_driver::io_uring);
  INFO("the refusal: " << refusal.value_or("none"));
  if (const auto reason = reason_against_loops()) {
    REQUIRE(refusal.has_value());
    CHECK_THAT(*refusal, ContainsSubstring(*reason));
  } else if (!memory_may_be_locked() && refusal) {
    CHECK_THAT(*refusal, ContainsSubstring("RLIMIT_MEMLOCK"));
  } else {
    CHECK_FALSE(refusal.has_value());
  }
}

TEST_CASE("environment: a loop works where io_uring is forbidden, and names what forbids it", "[environment]") {
  const std::optional<std::string> refusal = refusal_of_a_loop();
  INFO("the refusal: " << refusal.value_or("none"));
  if (!memory_may_be_locked() && refusal) {
    CHECK_THAT(*refusal, ContainsSubstring("RLIMIT_MEMLOCK"));
    return;
  }
  REQUIRE_FALSE(refusal.has_value());
  const event_loop loop;
  if (const auto reason = reason_against_loops(); reason && !std::getenv("URING6_DRIVER")) {
    CHECK(loop.driver() == loop_driver::readiness);
    CHECK_THAT(std::string(loop.driver_reason()), ContainsSubstring(*reason));
  }
}

TEST_CASE("environment: datagrams cross ::1, or the conn's error is the missing IPv6", "[environment]") {
  if (refusal_of_a_loop()) SKIP("no loop can be made here");
  event_loop loop;
  const auto opened = listen_packet(loop, "udp6", "[::1]:0");
  if (!has_ipv6()) {
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error() == std::errc::address_family_not_supported);
    return;
  }
  REQUIRE(opened.has_value());
  run(loop, [&]() -> task<> {
    // Long enough for a zero-copy send, which needs memory that may be locked.
    auto to = open_conn(loop);
    auto from = dial(loop, name_of(to), {.zero_copy_from = 1024});
    const std::vector<std::byte> sent(8192, std::byte{6});
    std::vector<std::byte> buffer(sent.size());
    for (int i = 0; i < 100; ++i) {
      const auto written = co_await from.write(sent);
      REQUIRE(written.has_value());
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got.has_value());
      REQUIRE(got->payload.size() == sent.size());
    }
  });
}

TEST_CASE("environment: probe reports ready exactly if a loop and IPv6 work, and else the reason", "[environment]") {
  const probe_report report = probe();
  const std::optional<std::string> refusal = refusal_of_a_loop();
  INFO(to_string(report));
  INFO("the refusal: " << refusal.value_or("none"));
  CHECK(report.ready() == (!refusal && has_ipv6()));
  std::string missing;
  for (const std::string& each : report.missing) missing += each + "\n";
  if (!has_ipv6()) CHECK_THAT(missing, ContainsSubstring("ipv6.disable=1"));
  std::string degraded;
  for (const std::string& each : report.degraded) degraded += each + "\n";
  const auto reason = reason_against_loops();
  if (reason && !std::getenv("URING6_DRIVER")) CHECK_THAT(degraded, ContainsSubstring(*reason));
}

}  // namespace
