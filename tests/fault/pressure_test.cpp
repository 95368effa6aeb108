// Queues and pools that are far too small for their load: everything takes longer, nothing is lost, and each operation
// ends once.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/receive_room.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// The smallest value of each option.
constexpr loop_options tiny{.submission_entries = 1, .completion_entries = 1, .receive_buffers = 2, .budget = 1};

TEST_CASE("thousands of writes of one turn pass a submission queue of a few entries, and each ends once") {
  need_ipv6();
  constexpr std::size_t writers = 2000;
  constexpr std::size_t writes = 5;
  // A train takes one entry, and so does a single datagram: with a budget of 512 a turn queues more than fit.
  for (const bool trains : {false, true}) {
    for (const unsigned entries : {1U, 4U}) {
      CAPTURE(trains, entries);
      event_loop loop(loop_options{.submission_entries = entries, .completion_entries = 2});
      run(loop, [&]() -> task<> {
        auto to = open_conn(loop);
        need_room_for(writers * writes, to);
        const endpoint there = name_of(to);
        const endpoint nowhere{ip_address::loopback(), 0};  // port 0: the kernel refuses it with EINVAL
        std::vector<packet_conn> from;
        for (int i = 0; i < 8; ++i) from.push_back(open_conn(loop, {.send_offload = trains}));

        std::vector<unsigned> ended(writers * writes);
        std::size_t refused = 0;
        const auto write = [&](std::size_t who) -> task<> {
          for (std::size_t i = 0; i < writes; ++i) {
            const std::size_t number = who * writes + i;
            const bool good = number % 7 != 0;
            const auto sent = co_await from[who % from.size()].write_to(numbered(number), good ? there : nowhere);
            ++ended[number];
            refused += sent ? 0 : 1;
            if (sent.has_value() != good) throw std::runtime_error("a write ended as another one");
          }
        };
        scope all;
        for (std::size_t who = 0; who < writers; ++who) all.spawn(write(who));

        std::vector<unsigned> arrived(writers * writes);
        std::array<std::byte, 16> buffer;
        for (std::size_t i = 0; i < writers * writes; ++i) {
          if (i % 7 == 0) continue;
          const auto got = co_await to.read_from(buffer);
          REQUIRE(got);
          ++arrived.at(number_in(got->payload));
        }
        co_await all.join();
        CHECK(refused == (writers * writes + 6) / 7);
        for (std::size_t number = 0; number < ended.size(); ++number) {
          REQUIRE(ended[number] == 1);
          REQUIRE(arrived[number] == (number % 7 == 0 ? 0U : 1U));
        }
        CHECK(to.stats().kernel_drops == 0);
      });
    }
  }
}

TEST_CASE("many conns with waiting datagrams overflow a small completion queue, and nothing is lost") {
  need_ipv6();
  constexpr std::size_t conns = 32;
  constexpr std::uint64_t each = 200;
  event_loop loop(loop_options{.submission_entries = 4, .completion_entries = 4, .receive_buffers = 1024});
  run(loop, [&]() -> task<> {
    std::vector<packet_conn> open;
    for (std::size_t i = 0; i < conns; ++i) {
      open.push_back(open_conn(loop, {.receive_offload = false}));
      plain_sender sender(name_of(open.back()));
      for (std::uint64_t number = 0; number < each; ++number) sender.send(numbered(number));
    }
    const auto read_all = [&](packet_conn& from) -> task<> {
      std::array<std::byte, 16> buffer;
      for (std::uint64_t number = 0; number < each; ++number) {
        const auto got = co_await from.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == number);
      }
    };
    scope all;
    for (packet_conn& from : open) all.spawn(read_all(from));
    co_await all.join();
    std::uint64_t received = 0;
    for (const packet_conn& from : open) {
      received += from.stats().received_datagrams;
      CHECK(from.stats().malformed == 0);
    }
    CHECK(received == conns * each);
    if (loop.driver() == loop_driver::io_uring)
      CHECK(loop.stats().overflows > 0);  // the queue must have overflowed for this case to test anything
  });
}

TEST_CASE("conns that share a pool of two buffers are all read in turn, and nothing is lost") {
  need_ipv6();
  constexpr std::size_t conns = 16;
  constexpr std::uint64_t each = 300;
  event_loop loop(loop_options{.receive_buffers = 2});
  run(loop, [&]() -> task<> {
    std::vector<packet_conn> open;
    std::vector<plain_sender> senders;
    for (std::size_t i = 0; i < conns; ++i) {
      open.push_back(open_conn(loop));
      senders.emplace_back(name_of(open.back()));
    }
    for (std::uint64_t number = 0; number < each; ++number) {
      for (plain_sender& sender : senders) sender.send(numbered(number));
    }
    const auto read_all = [&](packet_conn& from) -> task<> {
      std::array<std::byte, 16> buffer;
      for (std::uint64_t number = 0; number < each; ++number) {
        const auto got = co_await from.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == number);
      }
    };
    scope all;
    for (packet_conn& from : open) all.spawn(read_all(from));
    co_await all.join();
    std::uint64_t out_of_buffers = 0;
    for (const packet_conn& from : open) {
      out_of_buffers += from.stats().out_of_buffers;
      CHECK(from.stats().kernel_drops == 0);
    }
    CHECK(out_of_buffers > 0);
  });
}

TEST_CASE("empty datagrams between others arrive by every way of reading, with the smallest queues and pool") {
  need_ipv6();
  constexpr std::uint64_t pairs = 1000;
  event_loop loop(tiny);
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    need_room_for(2 * pairs, at);
    plain_sender sender(name_of(at));
    std::uint64_t empties = 0;
    std::uint64_t next = 0;
    const auto note = [&](std::span<const std::byte> payload) {
      if (payload.empty()) {
        ++empties;
        return;
      }
      REQUIRE(number_in(payload) == next);
      ++next;
    };
    std::array<std::byte, 16> buffer;
    std::array<std::array<std::byte, 16>, 8> buffers;
    std::array<read_slot, 8> messages;
    for (std::size_t i = 0; i < messages.size(); ++i) messages[i].buffer = buffers[i];
    datagram_batch batch;

    for (std::uint64_t i = 0; i < pairs; ++i) {
      sender.send("");
      sender.send(numbered(i));
    }
    const auto all_came = [&] { return next == pairs && empties == pairs; };
    for (int way = 0; !all_came(); ++way) {
      if (way % 3 == 0) {
        const auto got = co_await at.read_from(buffer);
        REQUIRE(got);
        note(got->payload);
      } else if (way % 3 == 1) {
        const auto got = co_await at.read_batch(messages);
        REQUIRE(got);
        for (std::size_t i = 0; i < *got; ++i) note(messages[i].received.payload);
      } else {
        const auto got = co_await at.receive(batch);
        REQUIRE(got);
        for (const datagram& each : batch) note(each.payload);
        batch.clear();
      }
    }
    CHECK(empties == pairs);
    CHECK(at.stats().received_datagrams == 2 * pairs);
    CHECK(at.stats().malformed == 0);
    CHECK(at.stats().kernel_drops == 0);
  });
}

TEST_CASE("a loop of the smallest size echoes, sleeps and destroys conns with everything in flight") {
  need_ipv6();
  constexpr std::uint64_t rounds = 200;
  constexpr std::size_t clients = 24;
  event_loop loop(tiny);
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop);
    const endpoint there = name_of(server);
    const auto serve = [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      for (;;) {
        const auto got = co_await server.read_from(buffer);
        if (!got) co_return;
        const auto sent = co_await server.write_to(got->payload, got->source);
        REQUIRE(sent);
      }
    };
    std::uint64_t answers = 0;
    const auto ask = [&](std::size_t who) -> task<> {
      auto client = dial(loop, there, {.coalesce_writes = who % 2 == 0});
      std::array<std::byte, 16> buffer;
      for (std::uint64_t i = 0; i < rounds; ++i) {
        const std::uint64_t number = who * rounds + i;
        const auto sent = co_await client.write(numbered(number));
        REQUIRE(sent);
        if (i % 16 == 0) co_await sleep_for(std::chrono::microseconds(who));
        const auto got = co_await client.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == number);
        ++answers;
      }
      // The client is destroyed with its read armed and this datagram on its way.
      const auto last = co_await client.write(numbered(~std::uint64_t{0}));
      REQUIRE(last);
    };
    beside serving(loop, serve);
    scope all;
    for (std::size_t who = 0; who < clients; ++who) all.spawn(ask(who));
    co_await all.join();
    CHECK(answers == clients * rounds);
    REQUIRE(server.close());
    co_await serving.join();
  });
}

}  // namespace
