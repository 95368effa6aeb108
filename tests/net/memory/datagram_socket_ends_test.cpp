// How the operations of a datagram_socket end: stops, deadlines, close, the wrong thread. For packet_conn and
// memory_socket alike.
#include "uring6/datagram_socket.hpp"

#include <array>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "net/memory/both_worlds.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

// --- how reads end ---

template <class Socket>
struct reader {
  std::optional<std::error_code> error;
  std::optional<std::uint64_t> number;

  task<> read(Socket& from) {
    std::array<std::byte, 16> buffer;
    const auto got = co_await from.read_from(buffer);
    if (got) {
      number = number_in(got->payload);
    } else {
      error = got.error();
    }
  }
};

TEMPLATE_LIST_TEST_CASE("datagram_socket: a stopped reader takes nothing, whenever the stop comes", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    std::uint64_t next = 0;
    for (std::uint64_t round = 0; round < 100; ++round) {
      const numbered payload(round);
      reader<typename TestType::socket> stopped;
      beside waiting(world.loop, [&]() -> task<> { co_await stopped.read(one); });
      if (round % 4 >= 1) co_await this_task::yield();
      const auto sent = co_await one.write_to(payload, end_of(one));
      REQUIRE(sent);
      if (round % 4 >= 2) co_await this_task::yield();
      if (round % 4 == 3) co_await until([&] { return waiting.ended(); });
      waiting.request_stop();
      co_await until([&] { return waiting.ended(); });
      if (stopped.number) {
        REQUIRE(*stopped.number == next++);
      } else {
        REQUIRE(stopped.error == errc::canceled);
      }
      while (next <= round) {
        reader<typename TestType::socket> other;
        co_await other.read(one);
        REQUIRE(other.number == next++);
      }
    }
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a reader that is destroyed loses no datagram", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    for (std::uint64_t round = 0; round < 20; ++round) {
      reader<typename TestType::socket> gone;
      auto waiting = std::make_unique<beside>(world.loop, [&]() -> task<> { co_await gone.read(one); });
      co_await this_task::yield();
      const numbered payload(round);
      const auto sent = co_await one.write_to(payload, end_of(one));
      REQUIRE(sent);
      waiting.reset();
      reader<typename TestType::socket> next;
      if (!gone.number) co_await next.read(one);
      CHECK((gone.number ? gone.number : next.number) == round);
    }
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: readers are served in the order in which they came", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    std::array<reader<typename TestType::socket>, 4> readers;
    std::vector<std::unique_ptr<beside>> waiting;
    for (auto& each : readers) {
      waiting.push_back(std::make_unique<beside>(world.loop, [&]() -> task<> { co_await each.read(one); }));
      co_await this_task::yield();
    }
    waiting[1]->request_stop();
    co_await until([&] { return waiting[1]->ended(); });
    for (std::uint64_t i = 0; i < 3; ++i) {
      const numbered payload(i);
      const auto sent = co_await one.write_to(payload, end_of(one));
      REQUIRE(sent);
    }
    co_await until([&] { return waiting[0]->ended() && waiting[2]->ended() && waiting[3]->ended(); });
    CHECK(readers[0].number == 0);
    CHECK(readers[1].error == errc::canceled);
    CHECK(readers[2].number == 1);
    CHECK(readers[3].number == 2);
  });
}

TEMPLATE_LIST_TEST_CASE(
    "datagram_socket: a datagram that is kept for a reader that leaves goes to the reader behind it", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    std::array<reader<typename TestType::socket>, 2> readers;
    beside first(world.loop, [&]() -> task<> { co_await readers[0].read(one); });
    beside second(world.loop, [&]() -> task<> { co_await readers[1].read(one); });
    co_await this_task::yield();
    const numbered payload(1);
    auto sent = co_await one.write_to(payload, end_of(one));
    REQUIRE(sent);
    first.request_stop();
    co_await until([&] { return first.ended(); });
    if (readers[0].number) sent = co_await one.write_to(payload, end_of(one));
    REQUIRE(sent);
    co_await until([&] { return second.ended(); });
    CHECK((readers[0].number == 1 || readers[0].error == errc::canceled));
    CHECK(readers[1].number == 1);
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a later reader does not overtake one that is about to get its datagram", "",
                        both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    reader<typename TestType::socket> older;
    beside waiting(world.loop, [&]() -> task<> { co_await older.read(one); });
    co_await this_task::yield();
    const numbered payload(1);
    const auto sent = co_await one.write_to(payload, end_of(one));
    REQUIRE(sent);
    std::array<std::byte, 16> buffer;
    const auto got = co_await one.read_from(buffer, read_flags::dont_wait);
    CHECK_FALSE(got);
    co_await until([&] { return waiting.ended(); });
    CHECK(older.number == 1);
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a stop that was requested before ends reads and writes", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    const endpoint self = end_of(one);
    std::optional<std::error_code> read;
    std::optional<std::error_code> written;
    const auto body = [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto sent = co_await one.write_to(as_payload("x"), self);
      written = sent ? std::error_code() : sent.error();
      const auto got = co_await one.read_from(buffer);
      read = got ? std::error_code() : got.error();
    };
    beside stopped(world.loop, body());
    stopped.request_stop();
    co_await until([&] { return stopped.ended(); });
    CHECK(read == errc::canceled);
    CHECK(written == errc::canceled);
    std::array<std::byte, 16> buffer;
    const auto none = co_await one.read_from(buffer, read_flags::dont_wait);
    REQUIRE_FALSE(none);
    CHECK(none.error() == std::errc::resource_unavailable_try_again);
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a read without waiting takes what is there, and leaves it to older readers",
                        "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    std::array<std::byte, 16> buffer;
    auto got = co_await one.read_from(buffer, read_flags::dont_wait);
    REQUIRE_FALSE(got);
    CHECK(got.error() == std::errc::resource_unavailable_try_again);
    auto sent = co_await one.write_to(as_payload("x"), end_of(one), write_flags::dont_wait);
    REQUIRE(sent);
    while (!got) got = co_await one.read_from(buffer, read_flags::dont_wait);
    CHECK(as_text(got->payload) == "x");
    reader<typename TestType::socket> older;
    beside waiting(world.loop, [&]() -> task<> { co_await older.read(one); });
    co_await this_task::yield();
    got = co_await one.read_from(buffer, read_flags::dont_wait);
    CHECK_FALSE(got);
    const numbered payload(7);
    sent = co_await one.write_to(payload, end_of(one));
    REQUIRE(sent);
    co_await until([&] { return waiting.ended(); });
    CHECK(older.number == 7);
  });
}

// --- deadlines ---

TEMPLATE_LIST_TEST_CASE(
    "datagram_socket: a deadline ends the reads that wait and all later operations, until it is set "
    "anew",
    "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    const auto begin = this_task::now();
    std::array<std::byte, 16> buffer;
    REQUIRE(one.set_read_deadline(begin + 1h));
    auto got = co_await one.read_from(buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == errc::deadline_exceeded);
    CHECK(this_task::now() == begin + 1h);
    got = co_await one.read_from(buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == errc::deadline_exceeded);
    auto sent = co_await one.write_to(as_payload("x"), end_of(one));
    CHECK(sent);
    REQUIRE(one.set_deadline(begin));
    sent = co_await one.write_to(as_payload("y"), end_of(one));
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == errc::deadline_exceeded);
    REQUIRE(one.set_write_deadline(std::nullopt));
    sent = co_await one.write_to(as_payload("y"), end_of(one));
    CHECK(sent);
    REQUIRE(one.set_deadline(std::nullopt));
    for (const char* text : {"x", "y"}) {
      got = co_await one.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == text);
    }
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a deadline that is set between two runs of the loop goes by its clock", "",
                        both) {
  TestType world;
  play(world.loop, []() -> task<> { co_await sleep_for(24h * 365); });
  auto one = world.open();
  const auto begin = world.loop.now();
  REQUIRE(one.set_deadline(begin + 1h));
  play(world.loop, [&]() -> task<> {
    std::array<std::byte, 16> buffer;
    const auto got = co_await one.read_from(buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == errc::deadline_exceeded);
    CHECK(this_task::now() == begin + 1h);
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a read loses to a timer without taking anything", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    std::array<std::byte, 16> buffer;
    const auto late = co_await with_timeout(1h, one.read_from(buffer));
    REQUIRE_FALSE(late);
    CHECK(late.error() == errc::deadline_exceeded);
    auto first = co_await when_any(sleep_for(1h), one.read_from(buffer));
    CHECK(first.index == 0);
    const auto sent = co_await one.write_to(as_payload("x"), end_of(one));
    REQUIRE(sent);
    const auto got = co_await one.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "x");
  });
}

// --- the end ---

TEMPLATE_LIST_TEST_CASE("datagram_socket: close ends waiting readers, and every later call gives closed", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    const endpoint self = end_of(one);
    std::array<reader<typename TestType::socket>, 2> readers;
    std::vector<std::unique_ptr<beside>> waiting;
    for (auto& each : readers) {
      waiting.push_back(std::make_unique<beside>(world.loop, [&]() -> task<> { co_await each.read(one); }));
    }
    co_await this_task::yield();
    CHECK(one.is_open());
    CHECK(one.close());
    CHECK_FALSE(one.is_open());
    co_await until([&] { return waiting[0]->ended() && waiting[1]->ended(); });
    for (const auto& each : readers) CHECK(each.error == errc::closed);
    typename TestType::socket moved(std::move(one));
    typename TestType::socket never;
    for (auto* socket : {&moved, &one, &never}) {
      CHECK(socket->close().error() == errc::closed);
      CHECK(socket->set_control_message(control_flags::hop_limit, true).error() == errc::closed);
      CHECK(socket->set_deadline(std::nullopt).error() == errc::closed);
      CHECK(socket->set_read_deadline(std::nullopt).error() == errc::closed);
      CHECK(socket->set_write_deadline(std::nullopt).error() == errc::closed);
      CHECK(socket->local_endpoint().error() == errc::closed);
      CHECK(socket->enabled_control().error() == errc::closed);
      std::array<std::byte, 4> buffer;
      const auto got = co_await socket->read_from(buffer);
      CHECK(got.error() == errc::closed);
      const auto sent = co_await socket->write_to(as_payload("x"), self);
      CHECK(sent.error() == errc::closed);
    }
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a reader whose datagram waits for it hears of the close", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    reader<typename TestType::socket> served;
    beside waiting(world.loop, [&]() -> task<> { co_await served.read(one); });
    co_await this_task::yield();
    const numbered payload(1);
    const auto sent = co_await one.write_to(payload, end_of(one));
    REQUIRE(sent);
    one = {};
    co_await until([&] { return waiting.ended(); });
    CHECK((served.number == 1 || served.error == errc::closed));
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: the end of the loop closes its sockets", "", both) {
  std::optional<typename TestType::socket> survivor;
  {
    TestType world;
    survivor.emplace(world.open());
    CHECK(survivor->is_open());
  }
  CHECK_FALSE(survivor->is_open());
  CHECK(survivor->close().error() == errc::closed);
}

// --- threads and values ---

TEMPLATE_LIST_TEST_CASE("datagram_socket: another loop and another thread are refused", "[threads]", both) {
  TestType world;
  auto one = world.open();
  play(world.loop, []() -> task<> { co_return; });
  const endpoint self = end_of(one);
  const auto misuse = [&]() -> task<> {
    std::array<std::byte, 4> buffer;
    const auto got = co_await one.read_from(buffer);
    if (got || got.error() != errc::wrong_thread) throw std::runtime_error("the read was not refused");
    const auto sent = co_await one.write_to(as_payload("x"), self);
    if (sent || sent.error() != errc::wrong_thread) throw std::runtime_error("the write was not refused");
  };
  event_loop other;
  play(other, misuse);
  std::exception_ptr failed;
  std::thread([&] {
    try {
      event_loop third;
      third.run(misuse());
      if (one.set_deadline(std::nullopt).error() != errc::wrong_thread || one.close().error() != errc::wrong_thread ||
          one.set_control_message(control_flags::hop_limit, true).error() != errc::wrong_thread)
        throw std::runtime_error("an option was not refused");
    } catch (...) {
      failed = std::current_exception();
    }
  }).join();
  if (failed) std::rethrow_exception(failed);
  CHECK(one.close());
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: operations are values until they are awaited, and are awaited once", "",
                        both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    std::array<std::byte, 16> buffer;
    auto write = one.write_to(as_payload("moved"), end_of(one));
    auto read = one.read_from(buffer);
    auto moved_write = std::move(write);
    auto moved_read = std::move(read);
    const auto sent = co_await moved_write;
    REQUIRE(sent);
    const auto got = co_await moved_read;
    REQUIRE(got);
    CHECK(as_text(got->payload) == "moved");
    const bool write_refuses = co_await refuses_a_second_await(moved_write);
    CHECK(write_refuses);
    const bool read_refuses = co_await refuses_a_second_await(moved_read);
    CHECK(read_refuses);
  });
}

}  // namespace
