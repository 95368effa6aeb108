// A loop that was moved from, and every call to it.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <memory>
#include <system_error>
#include <utility>

#include "support/case/coroutines.hpp"
#include "uring6/uring6.hpp"

namespace uring6 {
namespace {

task<int> answer() {
  co_return 42;
}

TEST_CASE("a loop that was moved from gives closed, and destroys posts") {
  event_loop loop;
  event_loop elsewhere(std::move(loop));
  try {
    (void)loop.run(answer());
    FAIL("ran without a ring");
  } catch (const std::system_error& error) {
    CHECK(error.code() == errc::closed);
  }
  CHECK(loop.poll().error() == errc::closed);
  CHECK(loop.descriptor().error() == errc::closed);
  CHECK(loop.stats().turns == 0);
  CHECK(loop.pools()[0].buffers == 0);
  loop.request_stop();
  const auto dropped = std::make_shared<int>();
  loop.post([dropped] { FAIL("ran without a loop"); });
  CHECK(dropped.use_count() == 1);

  const std::array numbers{SIGUSR1};
  CHECK(signals::open(loop, numbers).error() == errc::closed);
  CHECK(listen_packet(loop, "udp6", "[::1]:0").error() == errc::closed);
  CHECK(dial_packet(loop, "udp6", "[::1]:9").error() == errc::closed);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0").error() == errc::closed);
  test::run(elsewhere, [&]() -> task<> {
    const auto dialed = co_await dial_tcp(loop, "tcp6", "[::1]:9");
    CHECK(dialed.error() == errc::closed);
  });
  CHECK(elsewhere.run(answer()) == 42);
}

}  // namespace
}  // namespace uring6
