// Spun reads: a spinning loop calls recvmsg itself, and each read has the result that the ring would have given.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/spinning.hpp"
#include "support/machine/trains.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("a spinning loop reads the socket itself, a loop without a spin never does") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::uint64_t number = 0;
    do {
      const bool warm = co_await gets_one(loop, to, from, number++);
      REQUIRE(warm);
    } while (in_ring(loop) < own);
    const numbers before = counted(loop);
    for (int i = 0; i < 50; ++i) {
      const bool got = co_await gets_one(loop, to, from, number++);
      REQUIRE(got);
    }
    CHECK(counted(loop).submissions == before.submissions);
    CHECK(counted(loop).looks >= before.looks + 50);
    CHECK(to.stats().received_datagrams == number);
    CHECK(to.stats().rearms == 0);
  });
  check_buffers(loop);

  event_loop plain;
  run(plain, [&]() -> task<> {
    auto to = open_conn(plain);
    plain_sender from(name_of(to));
    const bool got = co_await gets_one(plain, to, from, 0);
    REQUIRE(got);
    CHECK(counted(plain).looks == 0);
    CHECK(counted(plain).submissions > 0);
  });
}

// Reads the same datagrams with a spin and without one.
TEST_CASE("a spun read gives what the ring would have given") {
  struct seen {
    std::string text;
    control_message control;
    endpoint source;
    bool truncated;
    std::size_t full_length;
  };
  const std::string longer_than_a_small_buffer(3000, 'x');
  const auto read_all = [&](const loop_options& options, bool dialed) {
    std::vector<seen> all;
    event_loop loop(options);
    run(loop, [&]() -> task<> {
      const packet_options small{.receive_offload = false, .longest_datagram = 1000};
      auto other = open_conn(loop);
      auto to = dialed ? dial(loop, name_of(other), small) : open_conn(loop, small);
      if (!dialed) REQUIRE(to.set_control_message(all_control, true));
      const endpoint there = name_of(to);
      std::array<std::byte, 16> buffer;
      for (const std::string& text :
           {std::string("one"), std::string(), longer_than_a_small_buffer, std::string("last")}) {
        beside sending(loop, [&]() -> task<> {
          const auto slept = co_await sleep_for(100us);
          CHECK(slept);
          const auto sent = co_await other.write_to(as_payload(text), there);
          CHECK(sent);
        });
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        CHECK(got->source == name_of(other));
        all.push_back(
            {std::string(as_text(got->payload)), got->control, got->source, got->truncated, got->full_length});
        const bool sent = co_await sending.join();
        CHECK(sent);
      }
      CHECK((loop.stats().looks > 0) == (options.spin > 0us));
      CHECK(to.stats().malformed == 0);
    });
    check_buffers(loop);
    return all;
  };
  for (const bool dialed : {false, true}) {
    CAPTURE(dialed);
    const auto spun = read_all(spins, dialed);
    const auto told = read_all({}, dialed);
    REQUIRE(spun.size() == told.size());
    for (std::size_t i = 0; i < spun.size(); ++i) {
      CAPTURE(i);
      CHECK(spun[i].text == told[i].text);
      CHECK(spun[i].control.traffic_class == told[i].control.traffic_class);
      CHECK(spun[i].control.hop_limit == told[i].control.hop_limit);
      CHECK(spun[i].control.destination == told[i].control.destination);
      CHECK(spun[i].control.interface_index == told[i].control.interface_index);
      CHECK(spun[i].truncated == told[i].truncated);
      CHECK(spun[i].full_length == told[i].full_length);
    }
  }
}

TEST_CASE("a spun read splits a train, and lends it") {
  need_received_trains();
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::vector<std::byte> train;
    for (std::uint64_t i = 0; i < 40; ++i) {
      const numbered each(i);
      train.insert(train.end(), each.bytes.begin(), each.bytes.end());
    }
    const auto send_train = [&]() -> task<> {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      from.send_train(train, 8);
    };
    const numbers before = counted(loop);
    std::array<std::byte, 64> buffer;
    {
      beside sending(loop, send_train);
      for (std::uint64_t i = 0; i < 40; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
      }
    }
    datagram_batch batch;
    beside sending(loop, send_train);
    const auto count = co_await to.receive(batch);
    REQUIRE(count);
    CHECK(*count == 40);
    std::uint64_t next = 0;
    for (const datagram& each : batch) CHECK(number_in(each.payload) == next++);
    CHECK(next == 40);
    CHECK(to.stats().received_trains == 2);
    CHECK(counted(loop).looks > before.looks);
  });
  check_buffers(loop);
}

TEST_CASE("a stop, a deadline and the end of the conn reach a reader that waits while the loop spins") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::array<std::byte, 64> buffer;
    std::error_code outcome;
    const auto read = [&]() -> task<> {
      const auto got = co_await to.read_from(buffer);
      outcome = got ? std::error_code{} : got.error();
    };
    {
      beside reading(loop, read);
      const auto slept = co_await sleep_for(200us);
      CHECK(slept);
      reading.request_stop();
      const bool ended = co_await reading.join();
      CHECK(ended);
      CHECK(outcome == std::errc::operation_canceled);
    }
    // No reader waits now: the spin does not read the socket, and the next datagram goes to the next reader.
    const auto looks = loop.stats().looks;
    from.send("kept");
    const auto slept = co_await sleep_for(200us);
    CHECK(slept);
    CHECK(loop.stats().looks == looks);
    const auto kept = co_await to.read_from(buffer);
    REQUIRE(kept);
    CHECK(as_text(kept->payload) == "kept");

    REQUIRE(to.set_read_deadline(std::chrono::steady_clock::now() + 300us));
    co_await read();
    CHECK(outcome == errc::deadline_exceeded);
    REQUIRE(to.set_read_deadline({}));
    const bool got = co_await gets_one(loop, to, from, 7);
    CHECK(got);

    beside reading(loop, read);
    const auto waited = co_await sleep_for(200us);
    CHECK(waited);
    to.close();
    const bool ended = co_await reading.join();
    CHECK(ended);
    CHECK(outcome == errc::closed);
  });
  CHECK(loop.stats().looks > 0);
  check_buffers(loop);
}

TEST_CASE("an ICMP error reaches the reader that waits while the loop spins, and the next reader reads on") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto gone = open_conn(loop);
    const endpoint there = name_of(gone);
    auto to = dial(loop, there);
    gone.close();
    std::array<std::byte, 64> buffer;
    beside writing(loop, [&]() -> task<> {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      const auto sent = co_await to.write(as_payload("to nobody"));
      CHECK(sent);
    });
    const auto refused = co_await to.read_from(buffer);
    CHECK(refused.error() == std::errc::connection_refused);
    const bool ended = co_await writing.join();
    CHECK(ended);

    gone = or_throw(listen_packet(loop, "udp6", there.to_string()));
    beside again(loop, [&]() -> task<> {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      const auto sent = co_await gone.write_to(as_payload("back"), name_of(to));
      CHECK(sent);
    });
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "back");
    CHECK(loop.stats().looks > 0);
    CHECK(to.stats().rearms == 0);
  });
  check_buffers(loop);
}

TEST_CASE("several readers of one conn are served in order while the loop spins") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::vector<std::uint64_t> order;
    const auto read = [&]() -> task<> {
      std::array<std::byte, 64> buffer;
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      order.push_back(number_in(got->payload));
    };
    beside one(loop, read);
    beside two(loop, read);
    beside three(loop, read);
    for (std::uint64_t i = 0; i < 3; ++i) {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      from.send(numbered(i));
    }
    const bool ended = co_await three.join();
    CHECK(ended);
    CHECK(order == std::vector<std::uint64_t>{0, 1, 2});
    CHECK(loop.stats().looks > 0);
    CHECK(to.stats().rearms == 0);
  });
  check_buffers(loop);
}

TEST_CASE("a conn that is closed while a loop spins has given its buffer back") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    std::array<std::byte, 64> buffer;
    beside reading(loop, [&]() -> task<> {
      const auto got = co_await to.read_from(buffer);
      CHECK(got.error() == errc::closed);
    });
    const auto drawn = [&] { return loop.pools()[1].in_use; };
    for (int i = 0; i < 1000 && drawn() == 0; ++i) co_await sleep_for(50us);
    CHECK(drawn() == 1);
    to.close();
    CHECK(drawn() == 0);
    const bool ended = co_await reading.join();
    CHECK(ended);
  });
}

TEST_CASE("reads of a spinning loop allocate nothing, and need no ring") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop, {.coalesce_writes = true});
    REQUIRE(server.set_control_message(all_control, true));
    plain_sender client(name_of(server));
    beside serving(loop, [&]() -> task<> {
      std::array<std::byte, 64> buffer;
      for (;;) {
        const auto got = co_await server.read_from(buffer);
        if (!got) co_return;
        const auto sent = co_await server.write_to(got->payload, got->control.reply(), got->source);
        REQUIRE(sent);
      }
    });
    const auto ask = [&](int count) -> task<> {
      for (int i = 0; i < count; ++i) {
        client.send("asked");
        const auto slept = co_await sleep_for(50us);
        CHECK(slept);
      }
    };
    co_await ask(20);
    const numbers counts = counted(loop);
    const allocation_count before;
    co_await ask(100);
    CHECK(before.since() <= 1);  // the frame of `ask`
    CHECK(counted(loop).looks > counts.looks);
    // Where a loaded machine takes the processor away, the loop stops spinning, and arms the read anew.
    CHECK(counted(loop).submissions < counts.submissions + 20);
    CHECK(server.stats().sent_datagrams == 120);
    server.close();
    const bool ended = co_await serving.join();
    CHECK(ended);
  });
  check_buffers(loop);
}

}  // namespace
