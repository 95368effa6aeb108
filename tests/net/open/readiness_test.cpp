// Conns of a loop that runs by readiness: what a socket's error queue, a full pool and many sockets do to it.
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

const loop_options by_readiness{.driver = loop_driver::readiness};

TEST_CASE("by readiness an error queue that is not read does not keep the loop awake") {
  need_ipv6();
  event_loop loop(by_readiness);
  run(loop, [&]() -> task<> {
    auto gone = std::make_unique<packet_conn>(open_conn(loop));
    const endpoint nobody = name_of(*gone);
    REQUIRE(gone->close());
    auto at = open_conn(loop);
    const int on = 1;
    REQUIRE(::setsockopt(at.native_handle(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0);
    std::array<std::byte, 16> buffer;
    beside reader(loop, [&]() -> task<> {
      for (;;) {  // each port unreachable message is an error of the socket, too
        const auto got = co_await at.read_from(buffer);
        if (got) break;
      }
    });
    for (int i = 0; i < 3; ++i) {
      const auto sent = co_await at.write_to(as_payload("knock"), nobody);
      (void)sent;
      co_await sleep_for(1ms);
    }
    const auto before = loop.stats().turns;
    for (int i = 0; i < 10; ++i) co_await sleep_for(1ms);
    CHECK(loop.stats().turns - before <= 60);  // a few for each sleep
    plain_sender(name_of(at)).send("data");
    co_await reader.join();
  });
}

TEST_CASE("by readiness every datagram arrives once and in order, from many sockets and through a small pool") {
  need_ipv6();
  static constexpr std::uint64_t each_gets = 200;
  constexpr std::size_t sockets = 20;
  event_loop loop({.driver = loop_driver::readiness, .completion_entries = 8, .receive_buffers = 4});
  run(loop, [&]() -> task<> {
    std::deque<packet_conn> conns;
    std::vector<std::unique_ptr<beside>> readers;
    for (std::size_t i = 0; i < sockets; ++i) {
      packet_conn& at = conns.emplace_back(open_conn(loop));
      plain_sender sender(name_of(at));
      for (std::uint64_t number = 0; number < each_gets; ++number) sender.send(numbered(number));
    }
    for (packet_conn& each : conns) {
      readers.push_back(std::make_unique<beside>(loop, [at = &each]() -> task<> {
        std::array<std::byte, 16> buffer;
        for (std::uint64_t number = 0; number < each_gets; ++number) {
          const auto got = co_await at->read_from(buffer);
          REQUIRE(got);
          REQUIRE(number_in(got->payload) == number);
        }
      }));
    }
    for (const auto& each : readers) co_await each->join();
  });
  CHECK(loop.stats().readiness == 1);
  CHECK(loop.stats().overflows == 0);
}

}  // namespace
