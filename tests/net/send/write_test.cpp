// Writing: each datagram has its own result, and equal ones leave as trains.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/trains.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/read_all.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("each datagram that is not sent is counted: refused at once, or withdrawn before it went to the kernel") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const std::vector<std::byte> too_long(max_udp_payload + 1);
    for (const bool ahead : {false, true}) {
      CAPTURE(ahead);
      auto from = open_conn(loop, {.coalesce_writes = ahead});
      auto to = open_conn(loop);
      const endpoint there = name_of(to);
      std::vector<write_slot> batch{{as_payload("one"), {}, there, {}}, {too_long, {}, there, {}}};
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == 1U);
      CHECK(batch[1].error == errc::too_long);
      const auto flushed = co_await from.flush();
      CHECK(flushed);
      CHECK(from.stats().failed_datagrams == 1);
      CHECK(from.stats().failed_after_write == 0);
      CHECK(from.stats().sent_datagrams == 1);
    }

    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    std::vector<write_slot> batch(3, {as_payload("late"), {}, there, {}});
    beside writer(loop, [&]() -> task<> {
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent.error() == errc::deadline_exceeded);
    });
    beside ender(loop, [&]() -> task<> {
      or_throw(from.set_write_deadline(std::chrono::steady_clock::now() - std::chrono::seconds(1)));
      co_return;
    });
    co_await writer.join();
    co_await ender.join();
    for (const write_slot& each : batch) CHECK(each.error == errc::deadline_exceeded);
    CHECK(from.stats().failed_datagrams == batch.size());
    CHECK(from.stats().sent_datagrams == 0);
  });
}

TEST_CASE("a batch is sent whole and in order, equal datagrams as trains") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    std::vector<bytes> payloads;
    for (std::size_t i = 0; i < 100; ++i) payloads.push_back(counting(64, static_cast<unsigned>(i)));
    payloads.push_back(counting(10));  // a shorter one ends the train
    payloads.push_back(counting(64));
    payloads.push_back({});
    payloads.push_back(counting(65));
    std::vector<write_slot> batch;
    for (const bytes& each : payloads) batch.push_back({each, {}, there, std::make_error_code(std::errc::io_error)});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == payloads.size());
    for (const write_slot& each : batch) CHECK_FALSE(each.error);
    const auto got = co_await read_all(to, payloads.size());
    CHECK(got == payloads);
    CHECK(from.stats().sent_datagrams == payloads.size());
    CHECK(from.stats().sent_trains >= 1);
    CHECK(from.stats().sent_trains <= 2);
    CHECK((to.stats().received_trains >= 1) == trains_are_received());

    const auto none = co_await from.write_batch({});
    REQUIRE(none);
    CHECK(*none == 0);
  });
}

TEST_CASE("writes of several coroutines in one turn leave in one system call, as a train") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    std::vector<std::unique_ptr<beside>> writers;
    for (std::uint64_t i = 0; i < 64; ++i) {
      writers.push_back(std::make_unique<beside>(loop, [&, i]() -> task<> {
        const auto sent = co_await from.write_to(numbered(i), there);
        REQUIRE(sent);
        CHECK(*sent == 8);
      }));
    }
    const auto enters = loop.stats().enters;
    for (auto& each : writers) co_await each->join();
    CHECK(loop.stats().enters - enters <= (loop.driver() == loop_driver::readiness ? 3 : 2));
    CHECK(from.stats().sent_trains == 1);
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < 64; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
    }
  });
}

TEST_CASE("a bad message in the middle of a batch leaves the others alone") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    const bytes too_long(max_udp_payload + 1);
    std::vector<write_slot> batch(20, {as_payload("good"), {}, there, {}});
    batch[3].payload = too_long;
    batch[7].control.traffic_class = 256;
    batch[11].control.interface_index = 9999;
    batch[12].control.source = or_throw(ip_address::parse("2001:db8::1"));
    batch[19].destination.port = 0;
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 15);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const bool bad = i == 3 || i == 7 || i == 11 || i == 12 || i == 19;
      CHECK(static_cast<bool>(batch[i].error) == bad);
    }
    CHECK(batch[3].error == errc::too_long);
    CHECK(batch[7].error == errc::out_of_range);
    CHECK(batch[11].error == std::errc::no_such_device);
    CHECK(batch[12].error == std::errc::invalid_argument);
    CHECK(batch[19].error == std::errc::invalid_argument);
    co_await read_all(to, 15);
    CHECK(from.stats().failed_datagrams == 5);

    // If no message is sent, the batch fails with the first error.
    std::array<write_slot, 2> bad;
    bad[0] = {too_long, {}, there, {}};
    bad[1] = {as_payload("x"), {.hop_limit = 300}, there, {}};
    const auto none = co_await from.write_batch(bad);
    REQUIRE_FALSE(none);
    CHECK(none.error() == errc::too_long);
    CHECK(bad[1].error == errc::out_of_range);
  });
}

// Since 6.14 the kernel refuses a train of datagrams that are longer than the MTU; it fragments single ones.
TEST_CASE(
    "the datagrams of a train that its route refuses are sent again one by one, once, and the route is remembered") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{cable.far.address, name_of(to).port};
    const bytes longer = counting(2000);
    std::vector<write_slot> batch(10, {longer, {}, there, {}});
    const auto send = [&]() -> task<> {
      for (write_slot& each : batch) each.error = std::make_error_code(std::errc::io_error);
      const auto sent = co_await from.write_batch(batch);
      REQUIRE(sent);
      CHECK(*sent == 10);
      for (const write_slot& each : batch) CHECK_FALSE(each.error);
      const auto got = co_await read_all(to, 10);
      for (const bytes& each : got) CHECK(each == longer);
    };
    co_await send();
    CHECK(from.stats().refused_trains == 1);
    CHECK(from.stats().sent_trains == 0);
    CHECK(from.stats().sent_datagrams == 10);
    co_await send();
    CHECK(from.stats().refused_trains == 1);  // no train was tried again

    // Shorter datagrams still leave as trains, to the same destination.
    const bytes shorter = counting(1000);
    for (write_slot& each : batch) each.payload = shorter;
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().refused_trains == 1);
    const auto got = co_await read_all(to, 10);
    for (const bytes& each : got) CHECK(each == shorter);
    // Each was sent exactly once: none is left to read.
    const auto last = co_await from.write_to(as_payload("last"), there);
    REQUIRE(last);
    const auto end = co_await read_all(to, 1);
    CHECK(as_text(end[0]) == "last");
  });
}

TEST_CASE("each datagram of a train that its route refuses is sent with its own length, the shorter last one, too") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{cable.far.address, name_of(to).port};
    // Three writers, so that the train has three parts.
    std::vector<bytes> payloads;
    for (unsigned i = 0; i < 9; ++i) payloads.push_back(counting(i < 8 ? 2000 : 1900, i));
    std::vector<write_slot> batch;
    for (const bytes& each : payloads) batch.push_back({each, {}, there, {}});
    const auto all = std::span(batch);
    std::vector<std::unique_ptr<beside>> writers;
    for (const auto part : {all.first(1), all.subspan(1, 5), all.subspan(6)}) {
      writers.push_back(std::make_unique<beside>(loop, [&, part]() -> task<> {
        const auto sent = co_await from.write_batch(part);
        REQUIRE(sent);
        CHECK(*sent == part.size());
      }));
    }
    for (auto& each : writers) co_await each->join();
    CHECK(from.stats().refused_trains == 1);
    CHECK(from.stats().sent_datagrams == 9);
    const auto got = co_await read_all(to, 9);
    CHECK(got == payloads);
  });
}

TEST_CASE("an ICMP error of an earlier datagram fails the first of a train, as it would a single one, and no other") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto gone = std::make_unique<packet_conn>(open_conn(loop));
    const endpoint there = name_of(*gone);
    auto from = dial(loop, there);
    auto ahead = dial(loop, there, {.coalesce_writes = true});
    REQUIRE(gone->close());
    for (packet_conn* each : {&from, &ahead}) {
      const auto knocked = co_await each->write(as_payload("knock"));
      REQUIRE(knocked);
      const auto flushed = co_await each->flush();
      REQUIRE(flushed);  // the ICMP error comes after the flush
    }
    auto back = or_throw(listen_packet(loop, "udp6", there.to_string()));

    std::vector<write_slot> batch;
    std::vector<bytes> payloads;
    for (unsigned i = 0; i < 10; ++i) payloads.push_back(counting(i < 9 ? 100 : 50, i));
    for (const bytes& each : payloads) batch.push_back({each, {}, {}, {}});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 9);
    CHECK(batch.front().error == std::errc::connection_refused);
    for (const write_slot& each : std::span(batch).subspan(1)) CHECK_FALSE(each.error);
    CHECK(from.stats().sent_trains == 1);
    auto got = co_await read_all(back, 9);
    payloads.erase(payloads.begin());
    CHECK(got == payloads);

    for (std::uint64_t i = 0; i < 10; ++i) {
      const auto written = co_await ahead.write(numbered(i));
      REQUIRE(written);
    }
    const auto late = co_await ahead.flush();
    REQUIRE_FALSE(late);
    CHECK(late.error() == std::errc::connection_refused);
    CHECK(ahead.stats().failed_after_write == 1);
    CHECK(ahead.stats().sent_datagrams == 10);  // the first datagram counts, too
    got = co_await read_all(back, 9);
    for (std::uint64_t i = 0; i < 9; ++i) CHECK(number_in(got[i]) == i + 1);
  });
}

TEST_CASE("with dont_fragment each datagram that is longer than the MTU is refused, the others are sent") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{cable.far.address, name_of(to).port};
    REQUIRE(from.set_dont_fragment(true));
    const bytes fits = counting(1452);
    const bytes too_long = counting(1453);
    std::vector<write_slot> batch;
    for (int i = 0; i < 9; ++i) batch.push_back({i / 3 == 1 ? too_long : fits, {}, there, {}});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 6);
    for (std::size_t i = 0; i < 9; ++i) {
      if (i / 3 == 1) {
        CHECK(batch[i].error == std::errc::message_size);
      } else {
        CHECK_FALSE(batch[i].error);
      }
    }
    co_await read_all(to, 6);
  });
}

TEST_CASE("a conn without send_offload sends one by one") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, {.send_offload = false});
    auto to = open_conn(loop);
    std::vector<write_slot> batch(30, {as_payload("same"), {}, name_of(to), {}});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 30);
    CHECK(from.stats().sent_trains == 0);
    co_await read_all(to, 30);
  });
}

TEST_CASE("more datagrams than the submission queue and the train pool hold are all sent, in order") {
  constexpr std::size_t count = 3000;
  event_loop loop(loop_options{.submission_entries = 4});
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, {.send_offload = false});
    auto second = open_conn(loop, {.send_offload = false});
    auto to = open_conn(loop);
    need_room_for(2 * count, to);
    std::vector<numbered> payloads;
    for (std::uint64_t i = 0; i < count; ++i) payloads.emplace_back(i);
    std::vector<write_slot> batch;
    for (const numbered& each : payloads) batch.push_back({each, {}, name_of(to), {}});
    // Two conns want the whole pool at the same time, and neither starves.
    beside other(loop, [&]() -> task<> {
      std::vector<write_slot> same(batch);
      const auto sent = co_await second.write_batch(same);
      REQUIRE(sent);
      CHECK(*sent == count);
    });
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == count);
    co_await other.join();
    std::array<std::uint64_t, 2> next{};
    std::array<std::byte, 16> buffer;
    for (std::size_t i = 0; i < 2 * count; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      const bool first = got->source.port == name_of(from).port;
      REQUIRE(number_in(got->payload) == next[first ? 0 : 1]++);
    }
  });
}

TEST_CASE("an invalid control message is refused with its reason, and nothing is sent") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const auto expect_refusal = [&](control_message control, auto why) -> task<> {
      const auto sent = co_await from.write_to(as_payload("bad"), control, name_of(to));
      REQUIRE_FALSE(sent);
      CHECK(sent.error() == why);
      CHECK_FALSE(sent.error().message().empty());
    };
    co_await expect_refusal({.traffic_class = 256}, errc::out_of_range);
    co_await expect_refusal({.traffic_class = -1}, errc::out_of_range);
    co_await expect_refusal({.hop_limit = 256}, errc::out_of_range);
    co_await expect_refusal({.hop_limit = -1}, errc::out_of_range);
    co_await expect_refusal({.interface_index = 9999}, std::errc::no_such_device);
    co_await expect_refusal({.interface_index = 0xffffffff}, errc::out_of_range);
    const auto parse = [](const char* text) { return or_throw(ip_address::parse(text)); };
    co_await expect_refusal({.source = parse("2001:db8::1")}, std::errc::invalid_argument);
    co_await expect_refusal({.source = parse("fe80::1")}, std::errc::invalid_argument);
    co_await expect_refusal({.source = parse("ff02::1")}, std::errc::invalid_argument);
    co_await expect_refusal({.source = parse("127.0.0.1")}, std::errc::address_family_not_supported);
    co_await expect_refusal({.next_hop = parse("::1")}, std::errc::not_supported);

    const auto sent = co_await from.write_to(as_payload("good"), name_of(to));
    REQUIRE(sent);
    const auto got = co_await read_all(to, 1);
    CHECK(as_text(got[0]) == "good");
  });
}

}  // namespace
