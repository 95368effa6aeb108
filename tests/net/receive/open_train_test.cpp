// The open train: everything that can happen between the reads of two of its datagrams.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <deque>
#include <optional>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::size_t length = 64;

/// A conn, and the trains that are sent to it. The datagrams begin with their number, from 0 on.
struct station {
  explicit station(event_loop& loop, std::uint64_t datagrams = 20) : at(open_conn(loop)), sender(name_of(at)) {
    std::vector<std::byte> all(datagrams * length);
    for (std::uint64_t i = 0; i < datagrams; ++i) std::memcpy(all.data() + i * length, &i, sizeof i);
    sender.send_train(all, length);
  }

  /// Reads the next datagram; returns its number, or the error.
  task<result<std::uint64_t>> read() {
    const auto got = co_await at.read_from(room);
    if (!got) co_return fail(got.error());
    co_return got->payload.size() == length ? number_in(got->payload) : ~std::uint64_t{0};
  }

  /// Reads up to the datagram with this number.
  task<> read_to(std::uint64_t last) {
    for (; next <= last; ++next) {
      const auto number = co_await read();
      REQUIRE(number == next);
    }
  }

  packet_conn at;
  plain_sender sender;
  std::array<std::byte, length> room;
  std::uint64_t next = 0;
};

TEST_CASE("every way of reading continues the train where the last one left it, and the counters follow") {
  need_received_trains();
  event_loop loop;
  run(loop, [&]() -> task<> {
    station s(loop);
    co_await s.read_to(4);
    CHECK(s.at.stats().received_datagrams == 5);
    CHECK(s.at.stats().received_bytes == 5 * length);
    co_await s.read_to(6);

    std::array<std::array<std::byte, length>, 3> rooms;
    std::array<read_slot, 3> messages;
    for (std::size_t i = 0; i < 3; ++i) messages[i].buffer = rooms[i];
    const auto count = co_await s.at.read_batch(messages);
    REQUIRE(count == 3);
    for (const read_slot& each : messages) CHECK(number_in(each.received.payload) == s.next++);
    co_await s.read_to(12);

    std::array<std::byte, 10> narrow;
    const auto cut = co_await s.at.read_from(narrow);
    REQUIRE(cut);
    CHECK(number_in(cut->payload) == s.next++);
    CHECK(cut->truncated);
    CHECK(cut->full_length == length);
    co_await s.read_to(15);

    datagram_batch rest;
    const auto lent = co_await s.at.receive(rest);
    REQUIRE(lent == 4);
    for (const datagram& each : rest) CHECK(number_in(each.payload) == s.next++);
    CHECK(s.at.stats().received_datagrams == 20);
    CHECK(s.at.stats().received_bytes == 20 * length);
    CHECK(s.at.stats().received_trains == 1);
  });
}

TEST_CASE("a stop between two datagrams of a train ends the next read, and the rest stays for other readers") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    station s(loop);
    std::error_code ended;
    std::optional<beside> reader;
    reader.emplace(loop, [&]() -> task<> {
      co_await s.read_to(3);
      reader->request_stop();
      const auto refused = co_await s.read();
      ended = refused ? std::error_code() : refused.error();
    });
    REQUIRE(co_await reader->join());
    CHECK(ended == errc::canceled);
    co_await s.read_to(19);
  });
}

TEST_CASE("a deadline that passes between two datagrams of a train ends the next read, and the rest stays") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    station s(loop);
    co_await s.read_to(3);
    REQUIRE(s.at.set_read_deadline(std::chrono::steady_clock::now()));
    const auto late = co_await s.read();
    REQUIRE_FALSE(late);
    CHECK(late.error() == errc::deadline_exceeded);
    REQUIRE(s.at.set_read_deadline(std::nullopt));
    co_await s.read_to(19);
  });
}

TEST_CASE("a conn that closes in the midst of a train gives no more of it, and counts what it gave") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    station s(loop);
    co_await s.read_to(3);
    REQUIRE(s.at.close());
    const auto closed = co_await s.read();
    REQUIRE_FALSE(closed);
    CHECK(closed.error() == errc::closed);
    CHECK(s.at.stats().received_datagrams == 4);
  });
}

TEST_CASE("a conn at the address of one that was destroyed in the midst of a train reads its own datagrams") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (int i = 0; i < 10; ++i) {
      {
        station gone(loop);
        co_await gone.read_to(3);
      }
      station s(loop, 2);
      co_await s.read_to(1);
    }
  });
}

TEST_CASE("trains of two conns are read in turn, and a conn may move meanwhile") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    station a(loop);
    station b(loop);
    for (std::uint64_t i = 0; i < 10; ++i) {
      co_await a.read_to(2 * i);
      co_await b.read_to(i);
      co_await a.read_to(2 * i + 1);
    }
    CHECK(a.at.stats().received_datagrams == 20);
    CHECK(b.at.stats().received_datagrams == 10);

    packet_conn moved = std::move(b.at);
    const auto gone = co_await b.read();
    REQUIRE_FALSE(gone);
    CHECK(gone.error() == errc::closed);
    b.at = std::move(moved);
    co_await b.read_to(19);
  });
}

TEST_CASE("a second reader gets its datagram of a train in its turn") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    station s(loop);
    co_await s.read_to(3);
    bool came = false;
    beside second(loop, [&]() -> task<> {
      co_await s.read_to(4);
      came = true;
    });
    while (!came) co_await yield();
    co_await s.read_to(19);
    REQUIRE(co_await second.join());
  });
}

TEST_CASE("an open train is not read on another thread, in another loop, or in the child of a fork", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    station s(loop);
    const auto refusal_elsewhere = [&s] {
      event_loop other;
      std::error_code why;
      const auto read = [&]() -> task<> {
        const auto got = co_await s.read();
        if (!got) why = got.error();
      };
      other.run(read());
      return why;
    };
    co_await s.read_to(3);
    std::error_code on_thread;
    std::thread([&] { on_thread = refusal_elsewhere(); }).join();
    CHECK(on_thread == errc::wrong_thread);
    co_await s.read_to(5);
    CHECK(refusal_elsewhere() == errc::wrong_thread);
    co_await s.read_to(7);

    const pid_t child = ::fork();
    if (child == 0) {
      const auto got = co_await s.read();
      ::_exit(!got && got.error() == errc::forked ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    co_await s.read_to(19);
  });
}

TEST_CASE("a run that ends in the midst of a train leaves the rest to the next run, or to the end of the conn",
          "[threads]") {
  event_loop loop;
  std::optional<station> s(loop);
  run(loop, [&]() -> task<> { co_await s->read_to(3); });
  run(loop, [&]() -> task<> { co_await s->read_to(5); });
  s.reset();

  event_loop other;
  s.emplace(other);
  const auto read_four = [&]() -> task<> {
    for (int i = 0; i < 4; ++i) (void)co_await s->read();
  };
  std::thread([&] { other.run(read_four()); }).join();
  CHECK(s->at.stats().received_datagrams == 4);
}

TEST_CASE("a train that is moved out of the pool for other conns continues where it was") {
  need_received_trains();
  event_loop loop({.receive_buffers = 4});
  run(loop, [&]() -> task<> {
    std::deque<station> holders;
    for (int i = 0; i < 4; ++i) {
      holders.emplace_back(loop);
      co_await holders.back().read_to(0);
    }
    auto starved = open_conn(loop);
    plain_sender sender(name_of(starved));
    sender.send("at last");
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> room;
      const auto got = co_await starved.read_from(room);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "at last");
    });
    for (station& each : holders) {
      while (each.next < 19) {
        co_await each.read_to(each.next);
        co_await yield();
      }
    }
    REQUIRE(co_await reader.join());
    CHECK(loop.pools()[1].moved_out > 0);
    for (station& each : holders) {
      co_await each.read_to(19);
      CHECK(each.at.stats().received_datagrams == 20);
      each.sender.send("behind it");
      const auto got = co_await each.at.read_from(each.room);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "behind it");
    }
  });
}

TEST_CASE("reads of a train count against the turn's budget, which all coroutines share") {
  constexpr unsigned budget = 8;
  event_loop loop({.budget = budget});
  run(loop, [&]() -> task<> {
    station a(loop, 64);
    std::uint64_t turns_of_others = 0;
    bool over = false;
    beside other(loop, [&]() -> task<> {
      while (!over) {
        ++turns_of_others;
        co_await yield();
      }
    });
    co_await a.read_to(63);
    over = true;
    CHECK(turns_of_others >= 64 / budget - 1);
    REQUIRE(co_await other.join());

    // The budget that one open train has not used is left for the other train.
    station b(loop, 64);
    station c(loop, 64);
    co_await b.read_to(0);
    co_await c.read_to(0);
    const std::uint64_t before = loop.stats().turns;
    for (std::uint64_t i = 1; i < 64; ++i) {
      co_await b.read_to(i);
      co_await c.read_to(i);
    }
    CHECK(loop.stats().turns - before <= 2 * 64 / budget + 2);

    // A train that stays open into the next turn gets that turn's budget, and no more.
    station d(loop, 64);
    co_await d.read_to(0);
    co_await yield();
    const std::uint64_t turn = loop.stats().turns;
    while (loop.stats().turns == turn) co_await d.read_to(d.next);
    CHECK(d.next - 2 <= budget);
  });
}

}  // namespace
