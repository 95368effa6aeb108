// Sends without a copy: the kernel reads the payload where it lies, and says when it has let go of it.

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/bytes.hpp"
#include "support/capabilities.hpp"
#include "support/conns.hpp"
#include "support/coroutines.hpp"
#include "support/forked.hpp"
#include "support/link_control.hpp"
#include "support/veth_pair.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

constexpr std::size_t long_enough = 1000;

packet_options without_copy() {
  return {.zero_copy_from = long_enough};
}

// --- where the kernel copies after all ---

/// Writes a datagram to `there` and reads it at `to`, whole.
task<> send_one(packet_conn& from, packet_conn& to, const endpoint& there, std::span<const std::byte> payload) {
  bytes buffer(payload.size() + 1);
  const auto sent = co_await from.write_to(payload, there);
  REQUIRE(sent);
  REQUIRE(*sent == payload.size());
  const auto got = co_await to.read_from(buffer);
  REQUIRE(got);
  REQUIRE(std::ranges::equal(got->payload, payload));
}

TEST_CASE("what is sent without a copy arrives whole, and a destination where the kernel copies is sent copies") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, without_copy());
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, long_enough - 1}) {
      co_await send_one(from, to, there, counting(length));
    }
    CHECK(from.stats().zero_copy_sends == 0);
    for (const std::size_t length : {long_enough, std::size_t{40'000}, max_udp_payload}) {
      co_await send_one(from, to, there, counting(length, 3));
      CHECK(from.stats().zero_copy_sends == 1);
      CHECK(from.stats().copied_sends == 1);
    }
    CHECK(from.stats().sent_datagrams == 6);
    CHECK(from.stats().failed_datagrams == 0);
  });
}

TEST_CASE("of a destination where the kernel copies it is asked again after 1024 sends") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, without_copy());
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    const bytes payload = counting(long_enough);
    const bytes small = counting(10);
    co_await send_one(from, to, there, payload);
    for (int i = 0; i < 1024; ++i) {
      co_await send_one(from, to, there, payload);
      if (i < 10) co_await send_one(from, to, there, small);  // these do not count
    }
    CHECK(from.stats().zero_copy_sends == 1);
    co_await send_one(from, to, there, payload);
    CHECK(from.stats().zero_copy_sends == 2);
    co_await send_one(from, to, there, payload);
    CHECK(from.stats().zero_copy_sends == 2);
    CHECK(from.stats().copied_sends == 2);
  });
}

TEST_CASE("64 destinations where the kernel copies are remembered, the oldest goes first") {
  constexpr std::uint8_t count = 70;
  // All of 127.0.0.0/8 is this host.
  std::vector<ip_address> addresses;
  for (std::uint8_t i = 1; i <= count; ++i) {
    addresses.push_back(ip_address({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, i}));
  }
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = or_throw(listen_packet(loop, "udp", "[::]:0", without_copy()));
    auto to = or_throw(listen_packet(loop, "udp", "[::]:0"));
    const std::uint16_t port = name_of(to).port;
    const bytes payload = counting(long_enough);
    const auto asked = [&](const ip_address& where) -> task<bool> {
      const auto before = from.stats().zero_copy_sends;
      co_await send_one(from, to, {where, port}, payload);
      co_return from.stats().zero_copy_sends > before;
    };
    for (const ip_address& each : addresses) {
      const bool first = co_await asked(each);
      CHECK(first);
    }
    for (std::size_t i = count - 64; i < count; ++i) {
      const bool known = !co_await asked(addresses[i]);
      CHECK(known);
    }
    const bool forgotten = co_await asked(addresses[0]);
    CHECK(forgotten);
  });
}

// --- trains ---

/// Equal datagrams that lie behind each other.
std::vector<outgoing> pieces_of(std::span<const std::byte> all, std::size_t length, const endpoint& there) {
  std::vector<outgoing> batch;
  for (std::size_t at = 0; at < all.size(); at += length) {
    batch.push_back({all.subspan(at, std::min(length, all.size() - at)), {}, there, {}});
  }
  return batch;
}

TEST_CASE("the size that counts is that of the train") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_options options;
    options.zero_copy_from = 10'000;
    auto from = open_conn(loop, options);
    auto to = open_conn(loop);
    const bytes all = counting(12'300, 7);
    const std::span<const std::byte> whole = all;
    auto few = pieces_of(whole.first(9'000), 1000, name_of(to));
    auto many = pieces_of(whole, 1000, name_of(to));
    const auto sent_few = co_await from.write_batch(few);
    REQUIRE(sent_few == 9);
    CHECK(from.stats().zero_copy_sends == 0);
    const auto sent = co_await from.write_batch(many);
    REQUIRE(sent == 13);
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().sent_trains == 2);
    CHECK(from.stats().sent_bytes == 21'300);
    bytes buffer(2000);
    for (std::size_t i = 0; i < 22; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      const auto& expected = i < 9 ? few[i] : many[i - 9];
      REQUIRE(std::ranges::equal(got->payload, expected.payload));
      CHECK_FALSE(expected.error);
    }
  });
}

TEST_CASE("a train whose payload lies in more pages than the kernel takes is copied, and stays a train") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, without_copy());
    auto to = open_conn(loop);
    const bytes all = counting(40 * 4096);
    std::vector<outgoing> batch;
    for (std::size_t i = 0; i < 40; ++i) {
      batch.push_back({std::span(all).subspan(i * 4096 + i, 500), {}, name_of(to), {}});
    }
    co_await send_one(from, to, name_of(to), counting(10));  // which arms the read
    const auto before = loop.stats().submissions;
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent == 40);
    CHECK(loop.stats().submissions - before == 1);  // it was not tried
    CHECK(from.stats().zero_copy_sends == 0);
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().refused_trains == 0);
    bytes buffer(2000);
    for (const outgoing& each : batch) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(std::ranges::equal(got->payload, each.payload));
    }
  });
}

TEST_CASE("an echo out of a lent batch sends the buffers of the pool themselves") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto client = open_conn(loop);
    auto server = open_conn(loop, without_copy());
    const bytes all = counting(12'000, 9);
    auto batch = pieces_of(all, 1000, name_of(server));
    const auto sent = co_await client.write_batch(batch);
    REQUIRE(sent == 12);
    datagram_batch lent;
    std::vector<outgoing> answers;
    const auto received = co_await server.receive(lent);
    REQUIRE(received == 12);
    for (const datagram& each : lent) answers.push_back({each.payload, {}, each.source, {}});
    const auto answered = co_await server.write_batch(answers);
    REQUIRE(answered == 12);
    lent.clear();
    CHECK(server.stats().zero_copy_sends == 1);
    CHECK(server.stats().sent_trains == 1);
    bytes buffer(2000);
    for (const outgoing& each : batch) {
      const auto got = co_await client.read_from(buffer);
      REQUIRE(got);
      CHECK(std::ranges::equal(got->payload, each.payload));
    }
  });
}

TEST_CASE("what was written ahead goes without a copy, too, out of the slab") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_options options = without_copy();
    options.coalesce_writes = true;
    auto from = open_conn(loop, options);
    auto to = open_conn(loop);
    for (unsigned round = 0; round < 5; ++round) {
      bytes payload = counting(600, round);
      for (int i = 0; i < 20; ++i) {
        const auto sent = co_await from.write_to(payload, name_of(to));
        REQUIRE(sent);
      }
      std::ranges::fill(payload, std::byte{0});
      const auto flushed = co_await from.flush();
      REQUIRE(flushed);
      bytes buffer(2000);
      for (int i = 0; i < 20; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        CHECK(std::ranges::equal(got->payload, counting(600, round)));
      }
    }
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().sent_datagrams == 100);
  });
}

// --- kernels and limits that forbid it ---

/// From its first turn on the loop's ring takes every operation but SENDMSG_ZC.
void forbid_zero_copy(event_loop& loop) {
  std::vector<io_uring_restriction> allowed;
  const auto allow = [&](std::uint16_t kind, unsigned what) {
    io_uring_restriction one{};
    one.opcode = kind;
    one.sqe_op = static_cast<std::uint8_t>(what);
    allowed.push_back(one);
  };
  for (unsigned op = 0; op < IORING_OP_LAST; ++op) {
    if (op != IORING_OP_SENDMSG_ZC) allow(IORING_RESTRICTION_SQE_OP, op);
  }
  for (unsigned op = 0; op < IORING_REGISTER_LAST; ++op) allow(IORING_RESTRICTION_REGISTER_OP, op);
  allow(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, 0xff);
  const auto fd = static_cast<unsigned>(loop.core()->ring().native().ring_fd);
  REQUIRE(::io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, allowed.data(),
                              static_cast<unsigned>(allowed.size())) == 0);
}

TEST_CASE("a ring that does not take the operation sends copies, and is asked once") {
  event_loop loop;
  forbid_zero_copy(loop);
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, without_copy());
    auto to = open_conn(loop);
    co_await send_one(from, to, name_of(to), counting(10));  // which arms the read
    const auto before = loop.stats().submissions;
    co_await send_one(from, to, name_of(to), counting(5000));
    const auto first = loop.stats().submissions;
    co_await send_one(from, to, name_of(to), counting(5000, 1));
    const auto second = loop.stats().submissions;
    CHECK(from.stats().zero_copy_sends == 0);
    CHECK(from.stats().failed_datagrams == 0);
    CHECK(from.stats().sent_datagrams == 3);
    CHECK(first - before == 2);
    CHECK(second - first == 1);
  });
}

TEST_CASE("memory that may not be locked is sent as a copy") {
  const std::string said = in_child([] {
    drop_capabilities();  // CAP_IPC_LOCK: such a user's memory is not counted
    event_loop loop;
    std::string text;
    run(loop, [&]() -> task<> {
      auto before = open_conn(loop, without_copy());
      auto after = open_conn(loop, without_copy());
      auto to = open_conn(loop);
      co_await send_one(before, to, name_of(to), counting(5000));
      const rlimit nothing{.rlim_cur = 0, .rlim_max = 0};
      REQUIRE(::setrlimit(RLIMIT_MEMLOCK, &nothing) == 0);
      for (unsigned i = 0; i < 3; ++i) co_await send_one(after, to, name_of(to), counting(5000, i));
      text = to_string(before.stats()) + "\n" + to_string(after.stats());
    });
    return text;
  });
  CHECK(said == "sent_datagrams=1 sent_bytes=5000 zero_copy_sends=1 copied_sends=1\nsent_datagrams=3 sent_bytes=15000");
}

TEST_CASE("what the network reports is told once, also by a send without a copy") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    endpoint nobody;
    {
      auto gone = open_conn(loop);
      nobody = name_of(gone);
    }
    auto from = dial(loop, nobody, without_copy());
    const bytes payload = counting(5000);
    const auto sent = co_await from.write(as_payload("anybody there?"));
    REQUIRE(sent);
    const auto refused = co_await from.write(payload);
    CHECK(refused.error() == std::errc::connection_refused);
    CHECK(from.stats().failed_datagrams == 1);
    CHECK(from.stats().sent_datagrams == 1);
    co_return;
  });
}

// --- until the kernel has let go of it ---

/// Two hosts; what leaves the near one stands in a queue, and what is sent without a copy is not copied before it
/// leaves that.
struct queued_link {
  explicit queued_link(std::uint32_t octets_per_second) {
    // First the neighbours get to know each other.
    send_plainly(as_payload("hello"));
    CHECK(read() == bytes(as_payload("hello").begin(), as_payload("hello").end()));
    hold(octets_per_second);
  }

  void hold(std::uint32_t octets_per_second) {
    cable.near.space.run([&] { limit_rate(cable.near.link.index, octets_per_second); });
    // Two leave at once.
    for (int i = 0; i < 4; ++i) send_plainly(filling);
  }

  void send_plainly(std::span<const std::byte> payload) {
    run(other_loop, [&]() -> task<> {
      const auto sent = co_await other.write_to(payload, there);
      REQUIRE(sent);
    });
  }

  bytes read() {
    bytes all;
    run(other_loop, [&]() -> task<> {
      bytes buffer(2000);
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      all.assign(got->payload.begin(), got->payload.end());
    });
    return all;
  }

  /// The first that is no filling.
  bytes read_signal() {
    for (;;) {
      bytes got = read();
      if (got != filling) return got;
    }
  }

  packet_conn open(event_loop& loop) {
    packet_options options = without_copy();
    options.send_buffer = 4 * 1024 * 1024;
    return cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
  }

  /// Throws away what is in the queue. The kernel does not copy it for that.
  void let_go() {
    cable.near.space.run([&] { drop_queue(cable.near.link.index); });
  }

  veth_pair cable;
  event_loop other_loop;
  packet_conn other = cable.near.space.run([&] { return or_throw(listen_packet(other_loop, "udp6", "[::]:0")); });
  packet_conn to = cable.far.space.run([&] { return or_throw(listen_packet(other_loop, "udp6", "[::]:0")); });
  endpoint there{cable.far.address, name_of(to).port};
  bytes filling = counting(1400, 1);
};

constexpr std::uint32_t stands_still = 1;
constexpr std::uint32_t flows = 20'000;

task<> some_turns() {
  for (int i = 0; i < 50; ++i) co_await yield();
}

TEST_CASE("a write without a copy ends when the kernel has let go of the payload, not before") {
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    std::optional<result<std::size_t>> outcome;
    beside writer(loop, [&]() -> task<> { outcome = co_await from.write_to(payload, link.there); });
    co_await some_turns();
    CHECK_FALSE(writer.ended());
    CHECK(from.stats().zero_copy_sends == 0);
    link.let_go();
    co_await writer.join();
    REQUIRE(*outcome);
    CHECK(**outcome == 1400);
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().copied_sends == 0);
    CHECK(from.stats().sent_datagrams == 1);
  });
  // Nothing was copied, so the next one goes like this, too.
  link.hold(stands_still);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    beside writer(loop, [&]() -> task<> { (void)co_await from.write_to(payload, link.there); });
    co_await some_turns();
    CHECK_FALSE(writer.ended());
    link.let_go();
    co_await writer.join();
    CHECK(from.stats().zero_copy_sends == 2);
    CHECK(from.stats().copied_sends == 0);
  });
}

TEST_CASE("writers whose datagrams go as one train without a copy all end when the kernel has let go, stopped or not") {
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(700);
    std::array<std::optional<result<std::size_t>>, 3> outcomes;
    std::vector<std::unique_ptr<beside>> writers;
    for (auto& outcome : outcomes) {
      writers.push_back(
          std::make_unique<beside>(loop, [&]() -> task<> { outcome = co_await from.write_to(payload, link.there); }));
    }
    co_await some_turns();
    writers[1]->request_stop();
    co_await some_turns();
    for (const auto& each : outcomes) CHECK_FALSE(each);
    link.let_go();
    for (const auto& each : writers) co_await each->join();
    for (const auto& each : outcomes) {
      REQUIRE(each);
      CHECK(*each == std::size_t{700});
    }
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().sent_datagrams == 3);
  });
}

TEST_CASE("the child of a fork does not wait for what the parent sends without a copy") {
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    auto writer = std::make_unique<beside>(loop, [&]() -> task<> {
      const auto sent = co_await from.write_to(payload, link.there);
      CHECK(sent);
    });
    co_await some_turns();
    const std::string said = in_child([&]() -> std::string {
      writer.reset();
      return from.close() ? "closed" : "an error";
    });
    CHECK(said == "closed");
    CHECK_FALSE(writer->ended());
    link.let_go();
    co_await writer->join();
    CHECK(from.stats().zero_copy_sends == 1);
  });
}

TEST_CASE("stops and deadlines do not end a write without a copy before the kernel has let go") {
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    std::array<std::optional<result<std::size_t>>, 2> outcomes;
    beside stopped(loop, [&]() -> task<> { outcomes[0] = co_await from.write_to(payload, link.there); });
    co_await some_turns();
    stopped.request_stop();
    co_await some_turns();
    CHECK_FALSE(stopped.ended());

    beside late(loop, [&]() -> task<> { outcomes[1] = co_await from.write_to(payload, link.there); });
    co_await some_turns();
    REQUIRE(from.set_write_deadline(std::chrono::steady_clock::now()));
    co_await some_turns();
    CHECK_FALSE(stopped.ended());
    CHECK_FALSE(late.ended());

    link.let_go();
    co_await stopped.join();
    co_await late.join();
    // Both have gone to the device, and that is what they say.
    for (const auto& each : outcomes) REQUIRE(each);
    for (const auto& each : outcomes) CHECK(*each);
    CHECK(from.stats().zero_copy_sends == 2);
    const auto next = co_await from.write_to(payload, link.there);
    CHECK(next.error() == errc::deadline_exceeded);
  });
}

TEST_CASE("close waits until the kernel has let go of what is sent without a copy") {
  queued_link link(flows);
  event_loop loop;
  auto from = link.open(loop);
  bytes payload = counting(1400, 77);
  const bytes sent = payload;
  run(loop, [&]() -> task<> {
    std::optional<result<std::size_t>> outcome;
    beside writer(loop, [&]() -> task<> { outcome = co_await from.write_to(payload, link.there); });
    co_await yield();
    co_await yield();
    REQUIRE(from.close());
    std::ranges::fill(payload, std::byte{0});
    co_await writer.join();
    REQUIRE(*outcome);
    CHECK(**outcome == 1400);
    CHECK(from.stats().zero_copy_sends == 1);
  });
  CHECK(link.read_signal() == sent);
}

TEST_CASE("a frame that goes while it writes without a copy waits until the kernel has let go") {
  queued_link link(flows);
  event_loop loop;
  auto from = link.open(loop);
  bytes payload = counting(1400, 77);
  const bytes sent = payload;
  run(loop, [&]() -> task<> {
    auto writer = std::make_unique<beside>(loop, [&]() -> task<> {
      const auto unseen = co_await from.write_to(payload, link.there);
      CHECK(unseen);
    });
    co_await yield();
    co_await yield();
    writer.reset();
    std::ranges::fill(payload, std::byte{0});
    CHECK(from.stats().zero_copy_sends == 1);
  });
  CHECK(link.read_signal() == sent);
}

TEST_CASE("a train that a queue takes apart is held until its last datagram has left") {
  queued_link link(5 * flows);
  event_loop loop;
  auto from = link.open(loop);
  bytes all = counting(12 * 1201, 77);
  const bytes sent = all;
  run(loop, [&]() -> task<> {
    auto batch = pieces_of(all, 1201, link.there);
    const auto written = co_await from.write_batch(batch);
    std::ranges::fill(all, std::byte{0});
    CHECK(written == std::size_t{12});
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().zero_copy_sends == 1);
  });
  bytes arrived = link.read_signal();
  while (arrived.size() < sent.size()) arrived = join({arrived, link.read()});
  CHECK(arrived == sent);
}

TEST_CASE("a loop that goes while it writes without a copy waits until the kernel has let go") {
  queued_link link(flows);
  auto loop = std::make_unique<event_loop>();
  auto from = link.open(*loop);
  auto payload = std::make_unique<bytes>(counting(1400, 77));
  const bytes sent = *payload;
  beside writer(*loop, [&]() -> task<> { (void)co_await from.write_to(*payload, link.there); });
  run(*loop, [&]() -> task<> {
    co_await yield();
    co_await yield();
  });
  loop.reset();
  std::ranges::fill(*payload, std::byte{0});
  payload.reset();
  CHECK(from.stats().zero_copy_sends == 1);
  CHECK(link.read_signal() == sent);
}

TEST_CASE("a lent batch that is written without a copy stays lent until the kernel has let go") {
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  const endpoint self{link.cable.near.address, name_of(from).port};
  const bytes all = counting(1200);
  const auto in_use = [&] {
    std::uint64_t count = 0;
    for (const pool_stats& each : loop.pools()) count += each.in_use;
    return count;
  };
  run(loop, [&]() -> task<> {
    beside echo(loop, [&]() -> task<> {
      datagram_batch lent;
      const auto received = co_await from.receive(lent);
      REQUIRE(received == 2);
      std::vector<outgoing> answers;
      for (const datagram& each : lent) answers.push_back({each.payload, {}, link.there, {}});
      const auto sent = co_await from.write_batch(answers);
      CHECK(sent == 2);
    });
    co_await yield();
    auto source = link.cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto batch = pieces_of(all, 600, self);
    const auto sent = co_await source.write_batch(batch);
    REQUIRE(sent == 2);
    co_await until([&] { return from.stats().received_datagrams == 2; });
    co_await some_turns();
    CHECK_FALSE(echo.ended());
    CHECK(in_use() == 1);
    link.let_go();
    co_await echo.join();
    CHECK(in_use() == 0);
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().copied_sends == 0);
    CHECK(from.stats().sent_trains == 1);
  });
}

TEST_CASE("a loop sleeps while sends without a copy wait for their device") {
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    constexpr std::size_t count = 100;
    constexpr std::size_t most = 64;  // sends of one conn on their way; the others wait
    const bytes payload = counting(1400);
    std::vector<std::unique_ptr<beside>> writers;
    for (std::size_t i = 0; i < count; ++i) {
      writers.push_back(std::make_unique<beside>(loop, [&, i]() -> task<> {
        // Each longer than the one before: no trains.
        const auto sent = co_await from.write_to(std::span(payload).first(1200 + i), link.there);
        CHECK(sent);
      }));
    }
    co_await some_turns();
    const auto before = loop.stats().turns;
    co_await sleep_for(20ms);
    CHECK(loop.stats().turns - before < 10);
    link.let_go();
    for (const auto& each : writers) co_await each->join();
    CHECK(from.stats().sent_datagrams == count);
    CHECK(from.stats().zero_copy_sends - from.stats().copied_sends == most);
  });
}

}  // namespace
