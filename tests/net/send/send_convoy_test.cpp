// Datagrams to many destinations: one system call takes all of them, and each has its own result.

#include <sys/syscall.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/send/send_convoy.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/scope.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::size_t min_members = detail::send_convoy::min_members;

struct many_conns {
  explicit many_conns(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) conns.push_back(open_conn(loop));
    for (std::uint64_t i = 0; i < count; ++i) numbers.emplace_back(i);
  }

  /// One datagram for each destination, with its number as payload.
  std::vector<write_slot> batch() const {
    std::vector<write_slot> all;
    for (std::size_t i = 0; i < conns.size(); ++i) all.push_back({numbers[i], {}, name_of(conns[i]), {}});
    return all;
  }

  std::uint64_t handed_to_ring() const { return loop.stats().submissions; }

  event_loop loop;
  packet_conn from = open_conn(loop);
  std::vector<packet_conn> conns;
  std::vector<numbered> numbers;
};

task<> expect_number(packet_conn& at, std::uint64_t number) {
  std::array<std::byte, 16> buffer;
  const auto got = co_await at.read_from(buffer);
  REQUIRE(got);
  CHECK(number_in(got->payload) == number);
}

TEST_CASE("many destinations: one sendmmsg takes many datagrams, the ring takes a few") {
  for (const std::size_t count : {min_members - 1, min_members, detail::send_convoy::capacity}) {
    CAPTURE(count);
    many_conns to(count);
    run(to.loop, [&]() -> task<> {
      auto batch = to.batch();
      const auto sent = co_await to.from.write_batch(batch);
      CHECK(to.loop.stats().sends == (count < min_members ? 0 : 1));
      CHECK(to.handed_to_ring() == (count < min_members ? count : 0));
      REQUIRE(sent);
      CHECK(*sent == count);
      for (std::size_t i = 0; i < count; ++i) co_await expect_number(to.conns[i], i);
    });
    CHECK(to.from.stats().sent_datagrams == count);
    CHECK(to.from.stats().sent_bytes == 8 * count);
  }
}

TEST_CASE("a train of many leaves by a call of its own, a train of a few by the ring") {
  constexpr std::size_t many = detail::send_convoy::min_datagrams;
  for (const std::size_t count : {many - 1, many}) {
    CAPTURE(count);
    many_conns to(1);
    run(to.loop, [&]() -> task<> {
      std::vector<numbered> numbers;
      for (std::uint64_t i = 0; i < count; ++i) numbers.emplace_back(i);
      std::vector<write_slot> batch;
      for (const numbered& each : numbers) batch.push_back({each, {}, name_of(to.conns[0]), {}});
      const auto sent = co_await to.from.write_batch(batch);
      CHECK(to.loop.stats().sends == (count < many ? 0 : 1));
      CHECK(to.handed_to_ring() == (count < many ? 1 : 0));
      REQUIRE(sent);
      CHECK(*sent == count);
      for (std::size_t i = 0; i < count; ++i) co_await expect_number(to.conns[0], i);
    });
    CHECK(to.from.stats().sent_trains == 1);
  }
}

TEST_CASE("many destinations: a batch that is longer than one call takes is sent whole, each order kept") {
  constexpr std::size_t rounds = 20;
  many_conns to(min_members);
  run(to.loop, [&]() -> task<> {
    std::vector<numbered> numbers;
    for (std::uint64_t i = 0; i < rounds * min_members; ++i) numbers.emplace_back(i / min_members);
    std::vector<write_slot> batch;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      batch.push_back({numbers[i], {}, name_of(to.conns[i % min_members]), {}});
    }
    const auto before = to.handed_to_ring();
    const auto sent = co_await to.from.write_batch(batch);
    CHECK(to.handed_to_ring() == before);
    REQUIRE(sent);
    CHECK(*sent == batch.size());
    for (auto& conn : to.conns) {
      for (std::uint64_t round = 0; round < rounds; ++round) co_await expect_number(conn, round);
    }
  });
}

TEST_CASE("many destinations: a refused datagram has its own error, and no other one has it") {
  constexpr std::size_t count = 2 * min_members;
  many_conns to(count);
  run(to.loop, [&]() -> task<> {
    auto batch = to.batch();
    for (const std::size_t bad : {std::size_t{0}, std::size_t{5}, std::size_t{6}, count - 1}) {
      batch[bad].destination.port = 0;  // EINVAL
    }
    const std::vector<std::byte> too_much(max_udp_payload + 1);
    batch[8].payload = too_much;
    const auto sent = co_await to.from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == count - 5);
    for (std::size_t i = 0; i < count; ++i) {
      CAPTURE(i);
      if (i == 8) {
        CHECK(batch[i].error == errc::too_long);
      } else if (batch[i].destination.port == 0) {
        CHECK(batch[i].error == std::errc::invalid_argument);
      } else {
        CHECK_FALSE(batch[i].error);
        co_await expect_number(to.conns[i], i);
      }
    }
  });
  CHECK(to.from.stats().sent_datagrams == count - 5);
  CHECK(to.from.stats().failed_datagrams == 5);
}

TEST_CASE(
    "many destinations: a datagram longer than the path's MTU is refused, and the reader gets the path MTU event") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    REQUIRE(from.set_dont_fragment(true));
    REQUIRE(from.set_control_message(control_flags::path_mtu, true));
    std::array<std::byte, 64> buffer;
    std::optional<std::uint32_t> heard;
    beside reader(loop, [&]() -> task<> {
      const auto got = co_await from.read_from(buffer);
      CHECK(got.error() == errc::path_mtu_event);
      if (const auto news = or_throw(from.read_path_mtu_event())) heard = news->mtu;
    });
    co_await yield();
    co_await yield();  // the read is armed before the event

    const std::vector<std::byte> longer(1500);
    std::vector<write_slot> batch;
    for (std::uint16_t i = 0; i < min_members; ++i) {
      const auto port = static_cast<std::uint16_t>(4000 + i);
      batch.push_back({longer, {}, {cable.far.address, port}, {}});
    }
    batch.push_back({as_payload("short"), {}, {cable.far.address, 4000}, {}});
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent == 1U);
    for (std::size_t i = 0; i < min_members; ++i) CHECK(batch[i].error == std::errc::message_size);
    CHECK(loop.stats().sends > 0);
    co_await reader.join();
    CHECK(heard == 1500U);
  });
}

TEST_CASE("many destinations: each datagram has its own control message") {
  many_conns to(min_members);
  for (auto& each : to.conns) REQUIRE(each.set_control_message(control_flags::hop_limit, true));
  run(to.loop, [&]() -> task<> {
    auto batch = to.batch();
    for (std::size_t i = 1; i < min_members; ++i) batch[i].control.hop_limit = static_cast<std::uint8_t>(i);
    const auto sent = co_await to.from.write_batch(batch);
    CHECK(sent == min_members);
    CHECK(to.loop.stats().sends == 1);
    std::array<std::byte, 16> buffer;
    for (std::size_t i = 0; i < min_members; ++i) {
      const auto got = co_await to.conns[i].read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
      CHECK(got->control.hop_limit == (i == 0 ? 64 : i));
    }
  });
}

TEST_CASE("many destinations: a seccomp filter that allows the ring only keeps no datagram back") {
  for (const int error_number : {EPERM, ENOSYS}) {
    const std::string said = in_child([&] {
      forbid_system_call(SYS_sendmmsg, error_number);
      many_conns to(min_members);
      std::string errors;
      to.loop.run([](many_conns& here, std::string& text) -> task<> {
        auto batch = here.batch();
        const auto sent = co_await here.from.write_batch(batch);
        if (!sent) text = sent.error().message();
        if (sent && *sent != min_members) text = "not all";
        for (std::size_t i = 0; i < min_members; ++i) {
          std::array<std::byte, 16> buffer;
          const auto got = co_await here.conns[i].read_from(buffer);
          if (!got || number_in(got->payload) != i) text = "another one came";
        }
      }(to, errors));
      return errors + "done";
    });
    CHECK(said == "done");
  }
}

TEST_CASE("many destinations: a message has the result of this write, not of an earlier one") {
  many_conns to(min_members);
  run(to.loop, [&]() -> task<> {
    auto batch = to.batch();
    for (write_slot& each : batch) each.error = errc::canceled;
    const auto sent = co_await to.from.write_batch(batch);
    CHECK(sent == min_members);
    for (const write_slot& each : batch) CHECK_FALSE(each.error);
  });
}

TEST_CASE("many destinations: an unknown zone is refused, the other datagrams are sent") {
  constexpr std::size_t which = min_members / 2;
  many_conns to(min_members);
  run(to.loop, [&]() -> task<> {
    auto batch = to.batch();
    batch[which].destination.address = ip_address::loopback().with_zone(0x7fff'fff0);
    const auto sent = co_await to.from.write_batch(batch);
    CHECK(sent == min_members - 1);
    for (std::size_t i = 0; i < min_members; ++i) {
      CAPTURE(i);
      CHECK(batch[i].error == (i == which ? make_error_code(errc::unknown_zone) : std::error_code()));
      if (i != which) co_await expect_number(to.conns[i], i);
    }
  });
}

TEST_CASE("many destinations: on a connected conn all datagrams go to its peer") {
  many_conns to(min_members);
  run(to.loop, [&]() -> task<> {
    auto peer = open_conn(to.loop);
    auto from = dial(to.loop, name_of(peer));
    auto batch = to.batch();
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent == min_members);
    for (std::size_t i = 0; i < min_members; ++i) co_await expect_number(peer, i);
  });
}

TEST_CASE("one destination: a connected conn reports each ICMP error, also of a long batch") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const endpoint nobody = name_of(open_conn(loop));
    auto from = dial(loop, nobody, {.send_offload = false});
    std::vector<write_slot> batch(2 * min_members, {as_payload("knock"), {}, {}, {}});
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent == min_members);
    // The answer refuses every second one.
    for (std::size_t i = 0; i < batch.size(); ++i) {
      CAPTURE(i);
      if (i % 2 == 0) {
        CHECK_FALSE(batch[i].error);
      } else {
        CHECK(batch[i].error == std::errc::connection_refused);
      }
    }
  });
}

TEST_CASE("many destinations: single writes of one turn leave together as well") {
  many_conns to(min_members);
  run(to.loop, [&]() -> task<> {
    const auto before = to.handed_to_ring();
    scope all;
    for (std::size_t i = 0; i < min_members; ++i) {
      all.spawn([](many_conns& here, std::size_t which) -> task<> {
        const auto sent = co_await here.from.write_to(here.numbers[which], name_of(here.conns[which]));
        CHECK(sent);
      }(to, i));
    }
    co_await all.join();
    CHECK(to.handed_to_ring() == before);
    for (std::size_t i = 0; i < min_members; ++i) co_await expect_number(to.conns[i], i);
  });
}

TEST_CASE("many destinations: writes ahead leave together, too") {
  many_conns to(min_members);
  auto ahead = open_conn(to.loop, {.coalesce_writes = true});
  run(to.loop, [&]() -> task<> {
    const auto before = to.handed_to_ring();
    for (std::size_t i = 0; i < min_members; ++i) {
      const auto sent = co_await ahead.write_to(to.numbers[i], name_of(to.conns[i]));
      CHECK(sent);
    }
    const auto flushed = co_await ahead.flush();
    CHECK(flushed);
    CHECK(to.handed_to_ring() == before);
    for (std::size_t i = 0; i < min_members; ++i) co_await expect_number(to.conns[i], i);
  });
}

}  // namespace
