// Empty datagrams end a multishot read. Whatever the kernel does around that end, the pool loses no buffer, and the
// datagrams keep the socket's order.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring/kernel/completion_order.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

packet_options options_of(bool payload_only) {
  return {.receive_offload = !payload_only};
}

TEST_CASE("datagrams keep their order around empty ones that wait in the socket with them") {
  constexpr std::uint64_t count = 400;
  const std::uint64_t period = GENERATE(2U, 3U, 10U);
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    for (std::uint64_t i = 0; i < count; ++i) {
      if (i % period == period - 1)
        sender.send(numbered(i));
      else
        sender.send("");
    }
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.empty() == (i % period != period - 1));
      if (!got->payload.empty()) REQUIRE(number_in(got->payload) == i);
    }
    CHECK(at.stats().malformed == 0);
  });
}

// The dialed conn's reads are payload-only: the kernel reports an empty datagram without a buffer then.
TEST_CASE("empty datagrams cost the pool no buffer, however many a dialed conn reads") {
  constexpr int more_than_the_pool_has = 600;
  event_loop loop(loop_options{.receive_buffers = 64});
  const bool payload_only = GENERATE(true, false);
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop);
    auto other = open_conn(loop);
    auto client = dial(loop, name_of(server), options_of(payload_only));
    const endpoint there = name_of(client);
    std::array<std::byte, 64> buffer;
    for (int i = 0; i < more_than_the_pool_has; ++i) {
      const auto sent = co_await server.write_to({}, there);
      REQUIRE(sent);
      const auto got = co_await client.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.empty());
    }
    for (packet_conn* const conn : {&client, &other}) {
      const auto sent = co_await server.write_to(as_payload("full"), name_of(*conn));
      REQUIRE(sent);
      const auto got = co_await conn->read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "full");
      CHECK(conn->stats().malformed == 0);
      CHECK(conn->stats().out_of_buffers == 0);
    }
    for (const auto& pool : loop.pools()) CHECK(pool.in_use == 0);
  });
}

TEST_CASE("reads that drain empty datagrams are not more than a small pool has buffers for") {
  need_io_uring();
  constexpr int count = 200;
  event_loop loop(loop_options{.receive_buffers = 4});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    for (int i = 0; i < count; ++i) sender.send("");
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < count; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.empty());
    }
    CHECK(at.stats().out_of_buffers == 0);
    CHECK(loop.pools()[1].exhausted == 0);
  });
}

TEST_CASE("empty datagrams between others are read without an allocation") {
  event_loop loop;
  const bool payload_only = GENERATE(true, false);
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop);
    auto client = dial(loop, name_of(server), options_of(payload_only));
    const endpoint there = name_of(client);
    std::array<std::byte, 64> buffer;
    std::size_t before = 0;
    for (int i = 0; i < 2000; ++i) {
      if (i == 200) before = allocations();
      const std::span<const std::byte> payload = i % 2 == 0 ? as_payload("full") : as_payload("");
      const auto sent = co_await server.write_to(payload, there);
      REQUIRE(sent);
      const auto got = co_await client.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.size() == payload.size());
    }
    CHECK(allocations() == before);
  });
}

TEST_CASE("the trial of the order of completions gives the same answer each time") {
  need_io_uring();
  const std::uint32_t plain_ring = 0;
  const auto tried = detail::try_completion_order(plain_ring);
  REQUIRE(tried);
  CHECK(detail::try_completion_order(plain_ring) == tried);
  CHECK(detail::completions_keep_order(plain_ring) == *tried);
}

}  // namespace
