// Conns that write ahead: a write is copied at once, and leaves in a train when the coroutine next waits.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <memory>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/trains.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

packet_conn open_ahead(event_loop& loop) {
  return open_conn(loop, {.coalesce_writes = true});
}

TEST_CASE("writes ahead arrive in order, whatever their lengths, although the caller reuses their memory") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    if (!trains_are_received()) need_room_for(2000, to);
    bytes buffer(66'000);
    std::vector<std::size_t> lengths;
    for (std::size_t i = 0; i < 2000; ++i) lengths.push_back(i % 97 == 0 ? 0 : i % 89 == 0 ? 9000 : 8 + (i / 50) % 5);
    beside reader(loop, [&]() -> task<> {
      for (std::size_t i = 0; i < lengths.size(); ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(got->payload.size() == lengths[i]);
        if (lengths[i] > 0) REQUIRE(number_in(got->payload) == i);
      }
    });
    bytes payload(9000);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const std::uint64_t number = i;
      std::memcpy(payload.data(), &number, sizeof number);
      const auto sent = co_await from.write_to(std::span(payload).first(lengths[i]), name_of(to));
      REQUIRE(sent);
      REQUIRE(*sent == lengths[i]);
      std::memset(payload.data(), 0xee, payload.size());
    }
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    co_await reader.join();
    CHECK(from.stats().sent_trains > 20);
    CHECK(from.stats().sent_datagrams == lengths.size());
  });
}

TEST_CASE("writes ahead leave when the coroutine waits for anything, without a flush") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    for (std::uint64_t i = 0; i < 10; ++i) {
      const auto sent = co_await from.write_to(numbered(i), name_of(to));
      REQUIRE(sent);
    }
    CHECK(from.stats().sent_datagrams == 0);
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < 10; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
    }
    CHECK(from.stats().sent_trains == 1);
  });
}

TEST_CASE("a run that ends right after a write sends it") {
  event_loop loop;
  auto from = open_ahead(loop);
  auto to = open_conn(loop);
  const auto write = [&]() -> task<> {
    const auto sent = co_await from.write_to(as_payload("last words"), name_of(to));
    REQUIRE(sent);
  };
  loop.run(write());  // without the guard of other cases, which takes one more turn
  std::array<char, 16> text{};
  REQUIRE(::recv(to.native_handle(), text.data(), text.size(), MSG_DONTWAIT) == 10);
}

TEST_CASE("flush waits until all writes have left, and wakes without any other event") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    auto nothing = co_await from.flush();
    CHECK(nothing);
    for (std::uint64_t i = 0; i < 500; ++i) {
      const auto sent = co_await from.write_to(numbered(i), name_of(to));
      REQUIRE(sent);
    }
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().sent_datagrams == 500);
    nothing = co_await to.flush();  // a conn that does not write ahead has nothing to flush
    CHECK(nothing);
  });
}

TEST_CASE("flush reports a refusal once") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    const control_message bad{.interface_index = 9999};
    auto sent = co_await from.write_to(as_payload("lost"), bad, name_of(to));
    CHECK(sent);
    sent = co_await from.write_to(as_payload("good"), name_of(to));
    CHECK(sent);
    auto flushed = co_await from.flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error() == std::errc::no_such_device);
    flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().failed_datagrams == 1);
    CHECK(from.stats().failed_after_write == 1);
    CHECK(from.stats().sent_datagrams == 1);
    std::array<std::byte, 16> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "good");
  });
}

TEST_CASE("the next write reports a refusal once, and is not sent") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    const control_message bad{.interface_index = 9999};
    auto sent = co_await from.write_to(as_payload("lost"), bad, name_of(to));
    CHECK(sent);
    co_await sleep_for(1ms);
    sent = co_await from.write_to(as_payload("not sent"), name_of(to));
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::no_such_device);
    sent = co_await from.write_to(as_payload("sent"), name_of(to));
    CHECK(sent);
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    std::array<std::byte, 16> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "sent");
  });
}

TEST_CASE("the next write to the same destination reports a refusal, and writes to other destinations are sent") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    const endpoint nowhere{ip_address::loopback(), 0};  // the kernel refuses port 0
    auto sent = co_await from.write_to(as_payload("lost"), nowhere);
    CHECK(sent);
    co_await sleep_for(1ms);
    sent = co_await from.write_to(as_payload("single"), name_of(to));
    CHECK(sent);
    std::array<write_slot, 3> batch;
    batch[0] = {as_payload("batch"), {}, name_of(to), {}};
    batch[1] = {as_payload("told"), {}, nowhere, {}};
    batch[2] = {as_payload("batch"), {}, name_of(to), {}};
    const auto taken = co_await from.write_batch(batch);
    CHECK(taken == 2U);
    CHECK_FALSE(batch[0].error);
    CHECK(batch[1].error == std::errc::invalid_argument);
    CHECK_FALSE(batch[2].error);
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().failed_datagrams == 1);
    CHECK(from.stats().failed_after_write == 1);
    std::array<std::byte, 16> buffer;
    for (const char* expected : {"single", "batch", "batch"}) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == expected);
    }
  });
}

TEST_CASE("of two refusals that no write has reported, flush reports the last one") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    auto sent = co_await from.write_to(as_payload("lost"), {ip_address::loopback(), 0});
    CHECK(sent);
    co_await sleep_for(1ms);
    sent = co_await from.write_to(as_payload("lost"), {.interface_index = 9999}, name_of(to));
    CHECK(sent);
    const auto flushed = co_await from.flush();
    CHECK(flushed.error() == std::errc::no_such_device);
    CHECK(from.stats().failed_after_write == 2);
  });
}

TEST_CASE("an ICMP error of a connected conn that writes ahead is reported, and writing goes on") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto gone = std::make_unique<packet_conn>(open_conn(loop));
    const endpoint there = name_of(*gone);
    auto from = dial(loop, there, {.coalesce_writes = true});
    REQUIRE(gone->close());
    auto sent = co_await from.write(as_payload("knock"));
    CHECK(sent);
    auto flushed = co_await from.flush();
    CHECK(flushed);  // the kernel accepted the datagram; the error comes later
    sent = co_await from.write(as_payload("knock"));
    CHECK(sent);
    flushed = co_await from.flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error() == std::errc::connection_refused);
    auto back = or_throw(listen_packet(loop, "udp6", there.to_string()));
    sent = co_await from.write(as_payload("again"));
    CHECK(sent);
    std::array<std::byte, 16> buffer;
    const auto got = co_await back.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "again");
  });
}

TEST_CASE("a write ahead reports at once: too long, a bad control message, no destination") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    auto sent = co_await from.write_to(bytes(max_udp_payload + 1), name_of(to));
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == errc::too_long);
    sent = co_await from.write_to(as_payload("x"), {.traffic_class = 256}, name_of(to));
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == errc::out_of_range);
    sent = co_await from.write(as_payload("x"));
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::destination_address_required);
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().failed_after_write == 0);
  });
}

TEST_CASE("a full slab suspends the writer until the kernel has taken datagrams out of it") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_ahead(loop);
    auto to = open_conn(loop);
    const bytes payload = counting(60'000);
    // 30 MB in one turn: the slab holds far less.
    for (int i = 0; i < 500; ++i) {
      const auto sent = co_await from.write_to(payload, name_of(to));
      REQUIRE(sent);
    }
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().sent_datagrams == 500);

    std::vector<write_slot> batch(300, {payload, {}, name_of(to), {}});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 300);
    for (const write_slot& each : batch) CHECK_FALSE(each.error);
  });
}

TEST_CASE("conns share the slab, and each of them is served when it is full") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    std::deque<packet_conn> conns;
    std::deque<beside> writers;
    for (int i = 0; i < 40; ++i) {
      conns.push_back(open_ahead(loop));
      writers.emplace_back(loop, [&from = conns.back(), &to]() -> task<> {
        for (int round = 0; round < 3; ++round) {
          const auto sent = co_await from.write_to(as_payload("mine"), name_of(to));
          REQUIRE(sent);
          const auto flushed = co_await from.flush();
          REQUIRE(flushed);
        }
      });
    }
    for (auto& each : writers) co_await each.join();
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 120; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
    }
  });
}

TEST_CASE("a refused write returns its part of the slab") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    for (int i = 0; i < 40; ++i) {
      auto from = open_ahead(loop);
      const auto sent = co_await from.write_to(as_payload("bad"), {.traffic_class = 256}, name_of(to));
      CHECK_FALSE(sent);
    }
    auto from = open_ahead(loop);
    const auto sent = co_await from.write_to(as_payload("good"), name_of(to));
    CHECK(sent);
    const auto flushed = co_await from.flush();
    CHECK(flushed);
  });
}

TEST_CASE("conns with refused writes only keep nothing of the slab") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    // More conns than the slab has blocks, and all stay open.
    std::deque<packet_conn> conns;
    for (int i = 0; i < 70; ++i) {
      conns.push_back(open_ahead(loop));
      const auto sent = co_await conns.back().write_to(as_payload("bad"), {.traffic_class = 256}, name_of(to));
      CHECK(sent.error() == errc::out_of_range);
    }
    auto from = open_ahead(loop);
    const auto sent = co_await from.write_to(as_payload("good"), name_of(to));
    CHECK(sent);
    CHECK(from.stats().sent_datagrams == 0);  // written ahead: the kernel has not got it yet
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().sent_datagrams == 1);
  });
}

TEST_CASE("closing sends the writes ahead") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    std::array<std::byte, 16> buffer;
    for (const bool explicitly : {true, false}) {
      {
        auto from = open_ahead(loop);
        for (std::uint64_t i = 0; i < 300; ++i) {
          const auto sent = co_await from.write_to(numbered(i), name_of(to));
          REQUIRE(sent);
        }
        if (explicitly) REQUIRE(from.close());
      }
      for (std::uint64_t i = 0; i < 300; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
      }
    }
  });
}

TEST_CASE("closing sends the writes ahead, also where the route refuses trains") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{cable.far.address, name_of(to).port};
    bytes payload(2000);
    bytes buffer(3000);
    for (const bool explicitly : {true, false}) {
      {
        auto from = cable.near.space.run(
            [&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", {.coalesce_writes = true})); });
        for (std::uint64_t i = 0; i < 50; ++i) {
          std::memcpy(payload.data(), &i, sizeof i);
          const auto sent = co_await from.write_to(payload, there);
          REQUIRE(sent);
        }
        if (explicitly) {
          REQUIRE(from.close());
          CHECK(from.stats().refused_trains > 0);  // the route must have refused trains for this case to test anything
          CHECK(from.stats().sent_datagrams == 50);
          CHECK(from.stats().failed_datagrams == 0);
        }
      }
      std::vector<bool> seen(50, false);
      for (int i = 0; i < 50; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        CHECK(got->payload.size() == 2000);
        const auto number = number_in(got->payload);
        REQUIRE(number < 50);
        CHECK_FALSE(seen[number]);
        seen[number] = true;
      }
    }
  });
}

TEST_CASE("a conn may be destroyed while another coroutine's flush is about to return") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    for (int round = 0; round < 50; ++round) {
      auto from = std::make_unique<packet_conn>(open_ahead(loop));
      auto sent = co_await from->write_to(as_payload("x"), {.interface_index = 9999}, name_of(to));
      CHECK(sent);
      beside flusher(loop, [&]() -> task<> {
        const auto flushed = co_await from->flush();
        CHECK_FALSE(flushed);
      });
      for (int turns = 0; turns < round % 4; ++turns) co_await yield();
      from.reset();
      if (round % 4 > 0) co_await flusher.join();
    }
  });
}

TEST_CASE("trains of writes ahead that their route refuses arrive one by one") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = cable.near.space.run(
        [&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", {.coalesce_writes = true})); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{cable.far.address, name_of(to).port};
    bytes payload(2000);
    for (std::uint64_t i = 0; i < 100; ++i) {
      std::memcpy(payload.data(), &i, sizeof i);
      const auto sent = co_await from.write_to(payload, there);
      REQUIRE(sent);
    }
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().refused_trains > 0);
    CHECK(from.stats().sent_datagrams == 100);
    CHECK(from.stats().failed_datagrams == 0);
    bytes buffer(3000);
    std::vector<bool> seen(100, false);
    for (int i = 0; i < 100; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(got->payload.size() == 2000);
      const auto number = number_in(got->payload);
      REQUIRE(number < 100);
      CHECK_FALSE(seen[number]);
      seen[number] = true;
    }
  });
}

}  // namespace
