// Reading one datagram after the other, with everything that can end or disturb a read.

#include <fcntl.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <vector>

#include "net/receive/receiver.hpp"
#include "runtime/loop/loop_core.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

// --- lengths ---

TEST_CASE("a datagram is cut to the reader's buffer, and marked as cut") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const packet_options kinds[] = {
        {}, {.receive_offload = false, .longest_datagram = 1000}, {.receive_offload = false}};
    for (const packet_options& options : kinds) {
      auto at = open_conn(loop, options);
      plain_sender sender(name_of(at));
      const bytes payload = counting(10);
      for (const std::size_t room : {10, 11, 9, 1, 0}) {
        sender.send(payload);
        std::vector<std::byte> buffer(room);
        const auto got = co_await at.read_from(buffer);
        REQUIRE(got);
        const std::size_t copied = std::min<std::size_t>(room, 10);
        CHECK(got->payload.size() == copied);
        CHECK(got->payload.data() == buffer.data());
        CHECK(std::equal(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(copied), payload.begin()));
        CHECK(got->truncated == (room < 10));
        CHECK(got->full_length == 10);
      }
      sender.send(payload);
      const auto nothing = co_await at.read_from({});
      REQUIRE(nothing);
      CHECK(nothing->truncated);
      CHECK(nothing->full_length == 10);
    }
  });
}

TEST_CASE("the longest datagram goes both ways") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto one = open_conn(loop);
    auto two = open_conn(loop);
    const bytes payload = counting(max_udp_payload);
    bytes buffer(max_udp_payload + 1);
    for (int round = 0; round < 3; ++round) {
      auto& from = round % 2 ? one : two;
      auto& to = round % 2 ? two : one;
      const auto sent = co_await from.write_to(payload, name_of(to));
      REQUIRE(sent);
      CHECK(*sent == max_udp_payload);
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(std::ranges::equal(got->payload, payload));
      CHECK_FALSE(got->truncated);
      CHECK(got->full_length == max_udp_payload);
    }
  });
}

TEST_CASE("a conn that expects short datagrams cuts long ones and tells their length") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop, {.receive_offload = false, .longest_datagram = 1200});
    plain_sender sender(name_of(at));
    bytes buffer(9000);
    constexpr std::size_t fits = detail::buffer_layout::longest_in_small;
    for (const std::size_t length : {std::size_t{1200}, fits, fits + 1, std::size_t{9000}, std::size_t{1}}) {
      sender.send(counting(length));
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      CHECK(got->payload.size() == std::min(length, fits));
      CHECK(got->full_length == length);
      CHECK(got->truncated == (length > fits));
      CHECK(std::ranges::equal(got->payload, counting(got->payload.size())));
    }
  });
}

// --- ends of the kernel's read ---

TEST_CASE("an empty datagram is a datagram, and the next one comes as well") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    REQUIRE(at.set_control_message(all_control, true));
    plain_sender sender(name_of(at));
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 5; ++i) {
      // The reader waits when the empty datagram comes, and then finds the one after it.
      beside reader(loop, [&]() -> task<> {
        const auto got = co_await at.read_from(buffer);
        REQUIRE(got);
        CHECK(got->payload.empty());
        CHECK_FALSE(got->truncated);
        CHECK(got->full_length == 0);
        CHECK(got->source.address == ip_address::loopback());
        CHECK(got->source.port != 0);
        CHECK(got->control.destination == ip_address::loopback());
      });
      co_await yield();
      sender.send("");
      sender.send("data");
      co_await reader.join();
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "data");
    }
    // Each empty datagram ends a read of the kernel's.
    if (loop.driver() == loop_driver::io_uring) CHECK(at.stats().rearms >= 4);
    CHECK(at.stats().malformed == 0);
  });
}

TEST_CASE("a flood of empty datagrams neither ends the reading nor eats the buffers") {
  constexpr int pairs = 50'000;
  event_loop loop(loop_options{.receive_buffers = 8});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    need_room_for(1000, at);
    plain_sender sender(name_of(at));
    std::array<std::byte, 16> buffer;
    int sent = 0;
    std::uint64_t next = 0;
    int empties = 0;
    while (sent < pairs || next < static_cast<std::uint64_t>(pairs) || empties < pairs) {
      for (int i = 0; i < 500 && sent < pairs; ++i, ++sent) {
        sender.send("");
        sender.send(numbered(static_cast<std::uint64_t>(sent)));
      }
      for (int i = 0; i < 1000; ++i) {
        const auto got = co_await at.read_from(buffer);
        REQUIRE(got);
        if (got->payload.empty()) {
          ++empties;
        } else {
          REQUIRE(number_in(got->payload) == next);
          ++next;
        }
      }
    }
    CHECK(empties == pairs);
    CHECK(at.stats().received_datagrams == 2 * pairs);
    CHECK(at.stats().kernel_drops == 0);
  });
}

TEST_CASE("empty datagrams that wait in the socket are read many to a system call, in their order") {
  constexpr std::uint64_t count = 4000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    need_room_for(count, at);
    plain_sender sender(name_of(at));
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (i % 10 == 9)
        sender.send(numbered(i));
      else
        sender.send("");
    }
    const auto enters = loop.stats().enters;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.empty() == (i % 10 != 9));
      if (i % 10 == 9) REQUIRE(number_in(got->payload) == i);
    }
    // Where completions can be out of order, each empty datagram costs a read of its own.
    if (loop.core()->ring().features().ordered_completions) CHECK((loop.stats().enters - enters) * 8 <= count);
    CHECK(at.stats().kernel_drops == 0);

    // After the empty datagrams a datagram costs what it did before.
    for (int i = 0; i < 100; ++i) {
      if (i == 10) REQUIRE(at.stats().malformed == 0);
      sender.send(numbered(7));
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == 7);
    }
    const auto submissions = loop.stats().submissions;
    for (int i = 0; i < 100; ++i) {
      sender.send(numbered(7));
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
    }
    CHECK(loop.stats().submissions == submissions);
  });
}

TEST_CASE("an ICMP error is reported once, and reading goes on") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto gone = std::make_unique<packet_conn>(open_conn(loop));
    const endpoint there = name_of(*gone);
    auto client = dial(loop, there);
    REQUIRE(gone->close());
    std::array<std::byte, 16> buffer;

    SECTION("to the reader that waits") {
      beside reader(loop, [&]() -> task<> {
        const auto got = co_await client.read_from(buffer);
        REQUIRE_FALSE(got);
        CHECK(got.error() == std::errc::connection_refused);
      });
      co_await yield();
      co_await sleep_for(1ms);  // the reader waits in the kernel now
      const auto sent = co_await client.write(as_payload("knock"));
      CHECK(sent);
      co_await reader.join();
    }
    SECTION("to the next reader, when none waits") {
      const auto sent = co_await client.write(as_payload("knock"));
      CHECK(sent);
      const auto got = co_await client.read_from(buffer);
      REQUIRE_FALSE(got);
      CHECK(got.error() == std::errc::connection_refused);
    }
    CHECK(client.stats().receive_errors == 1);

    auto back = or_throw(listen_packet(loop, "udp6", there.to_string()));
    const auto sent = co_await client.write(as_payload("again"));
    REQUIRE(sent);
    auto got = co_await back.read_from(buffer);
    REQUIRE(got);
    const auto answered = co_await back.write_to(as_payload("answer"), got->source);
    REQUIRE(answered);
    got = co_await client.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "answer");
    CHECK(client.stats().receive_errors == 1);
  });
}

TEST_CASE("an unconnected conn hears nothing of ICMP errors") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto gone = std::make_unique<packet_conn>(open_conn(loop));
    const endpoint there = name_of(*gone);
    REQUIRE(gone->close());
    auto at = open_conn(loop);
    for (int i = 0; i < 3; ++i) {
      const auto sent = co_await at.write_to(as_payload("knock"), there);
      CHECK(sent);
    }
    plain_sender(name_of(at)).send("data");
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "data");
  });
}

TEST_CASE("a burst into a small pool without a reader waits in the socket, and costs no system calls") {
  constexpr std::uint64_t burst = 1000;
  for (const unsigned buffers : {2U, 4U}) {
    event_loop loop(loop_options{.receive_buffers = buffers});
    run(loop, [&]() -> task<> {
      auto at = open_conn(loop);
      need_room_for(burst, at);
      plain_sender sender(name_of(at));
      std::array<std::byte, 16> buffer;
      sender.send(numbered(0));
      auto got = co_await at.read_from(buffer);  // the read is armed from now on
      REQUIRE(got);
      for (std::uint64_t i = 1; i <= burst; ++i) sender.send(numbered(i));
      co_await sleep_for(1ms);
      const auto before = loop.stats();
      for (int i = 0; i < 20; ++i) co_await sleep_for(1ms);
      // One for each sleep, and by readiness one for each turn without a sleep; none for the starved read.
      CHECK(loop.stats().enters - before.enters <= (loop.driver() == loop_driver::readiness ? 45 : 25));
      for (std::uint64_t i = 1; i <= burst; ++i) {
        got = co_await at.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
      }
      CHECK(at.stats().kernel_drops == 0);
    });
  }
}

TEST_CASE("what a full receive buffer drops is counted: all that was sent was received or dropped") {
  constexpr std::uint64_t sent = 1000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop, {.receive_buffer = 20'000});
    plain_sender sender(name_of(at));
    for (std::uint64_t i = 0; i < sent; ++i) sender.send(numbered(i));  // no reader yet
    std::array<read_slot, 16> batch;
    std::array<std::array<std::byte, 16>, 16> room;
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i].buffer = room[i];
    std::uint64_t received = 0;
    for (;;) {
      const auto got = co_await at.read_batch(batch, read_flags::dont_wait);
      if (!got) {
        CHECK(got.error() == std::errc::resource_unavailable_try_again);
        break;
      }
      for (std::size_t i = 0; i < *got; ++i) CHECK(number_in(batch[i].received.payload) == received++);
    }
    CHECK(received > 0);
    CHECK(received < sent);
    CHECK(at.stats().received_datagrams == received);
    CHECK(at.stats().kernel_drops == sent - received);
  });
}

TEST_CASE("of a train that finds no room the kernel counts one entry, and without receive_offload each datagram") {
  need_received_trains();
  constexpr std::size_t trains = 100;
  constexpr std::size_t of_a_train = 64;
  constexpr std::uint64_t sent = trains * of_a_train;
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool offload : {true, false}) {
      CAPTURE(offload);
      auto at = open_conn(loop, {.receive_offload = offload});
      REQUIRE(at.set_receive_buffer(65'536));
      auto from = open_conn(loop);
      const bytes text(of_a_train * 100);
      auto train = pieces_of(text, 100, name_of(at));
      for (std::size_t i = 0; i < trains; ++i) {
        const auto taken = co_await from.write_batch(train);
        REQUIRE(taken == of_a_train);
      }
      REQUIRE(from.stats().sent_trains == trains);
      std::array<std::byte, 128> buffer;
      read_slot room{buffer, {}};
      std::uint64_t received = 0;
      for (;; ++received) {
        const auto got = co_await at.read_batch({&room, 1}, read_flags::dont_wait);
        if (!got) break;
      }
      const std::uint64_t lost = sent - received;
      const std::uint64_t k = at.stats().kernel_drops;
      CAPTURE(received, lost, k);
      CHECK(received > 0);
      CHECK(lost > 0);
      if (offload) {
        CHECK(k < lost);
        CHECK(lost <= 128 * k);
      } else {
        CHECK(k == lost);
      }
    }
  });
}

TEST_CASE("a pool that runs dry while the reader works loses nothing") {
  constexpr std::uint64_t burst = 5000;
  event_loop loop(loop_options{.receive_buffers = 2});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    need_room_for(burst, at);
    plain_sender sender(name_of(at));
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < burst; ++i) sender.send(numbered(i));
    for (std::uint64_t i = 0; i < burst; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
    CHECK(at.stats().out_of_buffers > 0);
    CHECK(at.stats().kernel_drops == 0);
  });
}

TEST_CASE("a completion queue that is far too small loses nothing") {
  constexpr std::uint64_t burst = 4000;
  event_loop loop(loop_options{.submission_entries = 1, .completion_entries = 1, .receive_buffers = 1024});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    need_room_for(burst, at);
    plain_sender sender(name_of(at));
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < burst; ++i) sender.send(numbered(i));
    for (std::uint64_t i = 0; i < burst; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
    if (loop.driver() == loop_driver::io_uring) CHECK(at.stats().rearms > 0);  // an overflow ends the kernel's read
  });
}

TEST_CASE("a socket that was made non-blocking behind the conn's back still waits") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    const int flags = ::fcntl(at.native_handle(), F_GETFL);
    REQUIRE(::fcntl(at.native_handle(), F_SETFL, flags | O_NONBLOCK) == 0);
    std::array<std::byte, 16> buffer;
    beside reader(loop, [&]() -> task<> {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "late");
    });
    const auto before = loop.stats();
    for (int i = 0; i < 5; ++i) co_await sleep_for(1ms);
    CHECK(loop.stats().enters - before.enters < 20);
    plain_sender(name_of(at)).send("late");
    co_await reader.join();
  });
}

// --- several readers ---

TEST_CASE("several readers are served in the order of their arrival") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::vector<std::unique_ptr<beside>> readers;
    std::vector<std::uint64_t> got_by(10, 99);
    for (std::size_t i = 0; i < 10; ++i) {
      readers.push_back(std::make_unique<beside>(loop, [&, i]() -> task<> {
        std::array<std::byte, 16> buffer;
        const auto got = co_await at.read_from(buffer);
        REQUIRE(got);
        got_by[i] = number_in(got->payload);
      }));
    }
    co_await yield();
    for (std::uint64_t i = 0; i < 10; ++i) sender.send(numbered(i));
    for (auto& each : readers) co_await each->join();
    for (std::uint64_t i = 0; i < 10; ++i) CHECK(got_by[i] == i);
  });
}

TEST_CASE("a later reader does not overtake one that waits") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::vector<int> order;
    const auto reader = [&](int name) {
      return std::make_unique<beside>(loop, [&, name]() -> task<> {
        std::array<std::byte, 16> buffer;
        for (int i = 0; i < 3; ++i) {
          const auto got = co_await at.read_from(buffer);
          REQUIRE(got);
          order.push_back(name);
        }
      });
    };
    const auto first = reader(1);
    const auto second = reader(2);
    const auto third = reader(3);
    co_await yield();
    for (int i = 0; i < 9; ++i) {
      sender.send("x");
      const auto want = order.size() + 1;
      co_await until([&] { return order.size() == want; });
    }
    CHECK(order == std::vector{1, 2, 3, 1, 2, 3, 1, 2, 3});
  });
}

}  // namespace
