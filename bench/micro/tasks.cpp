// event_loop::tasks of ten thousand: readers of one conn, which each make two system calls for their addresses, and
// sleepers, which make none.
#include <array>
#include <catch2/benchmark/catch_benchmark.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <string>

#include "uring6/event_loop.hpp"
#include "uring6/listen.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/scope.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;

constexpr std::size_t tasks = 10'000;

task<> sleep_long() {
  (void)co_await sleep_for(std::chrono::hours(1));
}

task<> read_one(packet_conn& from) {
  std::array<std::byte, 8> buffer;
  (void)co_await from.read_from(buffer);
}

task<> look(event_loop& loop, scope& all) {
  for (int turn = 0; turn < 100; ++turn) co_await this_task::yield();
  BENCHMARK("list") {
    return loop.tasks().size();
  };
  const auto listed = loop.tasks();
  CHECK(listed.size() == tasks + 1);
  BENCHMARK("text of the list") {
    return to_string(listed).size();
  };
  BENCHMARK("JSON of the list") {
    return to_json(listed).size();
  };
  all.request_stop();
  co_await all.join();
}

TEST_CASE("tasks: ten thousand sleepers are listed") {
  event_loop loop;
  auto body = [&]() -> task<> {
    scope all;
    for (std::size_t i = 0; i < tasks; ++i) all.spawn(sleep_long());
    co_await look(loop, all);
  };
  loop.run(body());
}

TEST_CASE("tasks: ten thousand readers are listed") {
  event_loop loop;
  auto pc = or_throw(listen_packet(loop, "udp6", "[::1]:0"));
  auto body = [&]() -> task<> {
    scope all;
    for (std::size_t i = 0; i < tasks; ++i) all.spawn(read_one(pc));
    co_await look(loop, all);
  };
  loop.run(body());
}

}  // namespace
