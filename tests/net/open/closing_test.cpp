// Deadlines, close, and everything that can be destroyed while an operation waits on it.

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/descriptors.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

task<> expect_read_error(packet_conn& at, std::error_code expected) {
  std::array<std::byte, 16> buffer;
  const auto got = co_await at.read_from(buffer);
  REQUIRE_FALSE(got);
  CHECK(got.error() == expected);
}

// --- deadlines ---

TEST_CASE("a read deadline ends the reads that wait and later ones, until it is set anew") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    beside one(loop, [&]() -> task<> { co_await expect_read_error(at, errc::deadline_exceeded); });
    beside two(loop, [&]() -> task<> { co_await expect_read_error(at, errc::deadline_exceeded); });
    co_await yield();
    const auto when = steady_clock::now() + 5ms;
    REQUIRE(at.set_read_deadline(when));  // while the reads wait
    co_await one.join();
    co_await two.join();
    CHECK(steady_clock::now() >= when);
    co_await expect_read_error(at, errc::deadline_exceeded);
    co_await expect_read_error(at, errc::deadline_exceeded);

    // A read deadline does not concern writes.
    const auto sent = co_await at.write_to(as_payload("x"), name_of(at));
    CHECK(sent);

    // A datagram that has arrived is not read either before the deadline is set anew; then it is.
    REQUIRE(at.set_read_deadline({}));
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "x");

    REQUIRE(at.set_read_deadline(steady_clock::now() - 1h));
    co_await expect_read_error(at, errc::deadline_exceeded);
    REQUIRE(at.set_deadline(steady_clock::now() + 2ms));
    co_await expect_read_error(at, errc::deadline_exceeded);
    const auto refused = co_await at.write_to(as_payload("x"), name_of(at));
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == errc::deadline_exceeded);
    CHECK(refused.error() == std::errc::timed_out);
    REQUIRE(at.set_deadline({}));
    const auto accepted = co_await at.write_to(as_payload("y"), name_of(at));
    CHECK(accepted);
  });
}

TEST_CASE("once a deadline that has passed is lifted, a datagram that has arrived is read without a suspension") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    REQUIRE(at.set_read_deadline(steady_clock::now() - 1h));
    co_await expect_read_error(at, errc::deadline_exceeded);
    REQUIRE(at.set_read_deadline({}));
    for (const char* each : {"first", "second"}) sender.send(each);
    std::array<std::byte, 16> buffer;
    const auto waited_for = co_await at.read_from(buffer);
    REQUIRE(waited_for);
    const auto resumptions = loop.stats().resumptions;
    const auto at_hand = co_await at.read_from(buffer);
    REQUIRE(at_hand);
    CHECK(as_text(at_hand->payload) == "second");
    CHECK(loop.stats().resumptions == resumptions);
  });
}

TEST_CASE("a deadline that is moved or cleared in time ends nothing") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    bool read = false;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      CHECK(got);
      read = true;
    });
    co_await yield();
    REQUIRE(at.set_read_deadline(steady_clock::now() + 2ms));
    REQUIRE(at.set_read_deadline(steady_clock::now() + 1h));
    co_await sleep_for(4ms);
    REQUIRE(at.set_read_deadline(steady_clock::now() + 2ms));
    REQUIRE(at.set_read_deadline({}));
    co_await sleep_for(4ms);
    CHECK_FALSE(read);
    sender.send("x");
    co_await reader.join();
    CHECK(read);
  });
}

// --- close ---

TEST_CASE("close wakes all waiting coroutines, and all later operations give closed") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    std::vector<std::unique_ptr<beside>> readers;
    for (int i = 0; i < 5; ++i) {
      readers.push_back(
          std::make_unique<beside>(loop, [&]() -> task<> { co_await expect_read_error(at, errc::closed); }));
    }
    readers.push_back(std::make_unique<beside>(loop, [&]() -> task<> {
      datagram_batch batch;
      const auto count = co_await at.receive(batch);
      REQUIRE_FALSE(count);
      CHECK(count.error() == errc::closed);
    }));
    co_await yield();
    co_await sleep_for(1ms);
    CHECK(at.is_open());
    REQUIRE(at.close());
    for (auto& each : readers) co_await each->join();

    CHECK_FALSE(at.is_open());
    CHECK(at.native_handle() == -1);
    CHECK(at.close().error() == errc::closed);
    CHECK(at.close().error() == std::errc::bad_file_descriptor);
    co_await expect_read_error(at, errc::closed);
    std::array<read_slot, 1> into;
    const auto read = co_await at.read_batch(into);
    CHECK(read.error() == errc::closed);
    const auto sent = co_await at.write_to(as_payload("x"), {ip_address::loopback(), 9});
    CHECK(sent.error() == errc::closed);
    std::array<write_slot, 1> out;
    const auto batch = co_await at.write_batch(out);
    CHECK(batch.error() == errc::closed);
    const auto flushed = co_await at.flush();
    CHECK(flushed.error() == errc::closed);
    CHECK(at.set_deadline({}).error() == errc::closed);
    CHECK(at.set_control_message(all_control, true).error() == errc::closed);
    CHECK(at.join_group(ip_address::all_nodes()).error() == errc::closed);
    CHECK(at.set_hop_limit(1).error() == errc::closed);
    // A closed conn gives `closed` also where the argument is out of range.
    CHECK(at.set_hop_limit(1000).error() == errc::closed);
    CHECK(at.set_checksum(-1).error() == errc::closed);
    const std::array<bpf::instruction, 1> wrong{bpf::load_scratch{.slot = 99}};
    CHECK(at.attach_bpf(wrong).error() == errc::closed);
    CHECK(at.attach_bpf(std::span<const bpf::raw_instruction>{}).error() == errc::closed);
    CHECK(at.local_endpoint().error() == errc::closed);
    CHECK(at.release().error() == errc::closed);
    (void)at.stats();
  });
}

TEST_CASE("a conn that was never opened or was moved from gives closed") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn never;
    auto opened = open_conn(loop);
    packet_conn moved(std::move(opened));
    CHECK(moved.is_open());
    for (packet_conn* each : {&never, &opened}) {
      CHECK_FALSE(each->is_open());
      co_await expect_read_error(*each, errc::closed);
      const auto sent = co_await each->write_to(as_payload("x"), {ip_address::loopback(), 9});
      CHECK(sent.error() == errc::closed);
      const auto flushed = co_await each->flush();
      CHECK(flushed.error() == errc::closed);
      CHECK(each->close().error() == errc::closed);
      CHECK(each->set_traffic_class(1).error() == errc::closed);
      CHECK(each->stats().received_datagrams == 0);
    }
    never = std::move(moved);
    CHECK(never.is_open());
    never = open_conn(loop);  // closes the conn before
    CHECK(never.is_open());
  });
}

TEST_CASE("a reader closes the conn that other readers wait on, and itself continues") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    beside closer(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(at.close());
      co_await expect_read_error(at, errc::closed);
    });
    // A datagram is reserved for this reader when the other one closes the conn.
    beside promised(loop, [&]() -> task<> { co_await expect_read_error(at, errc::closed); });
    beside waiting(loop, [&]() -> task<> { co_await expect_read_error(at, errc::closed); });
    co_await yield();
    sender.send("one");
    sender.send("two");
    co_await closer.join();
    co_await promised.join();
    co_await waiting.join();
  });
}

TEST_CASE("a conn is destroyed with reads in flight, at every stage of a read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (int turns = 0; turns < 6; ++turns) {
      for (const bool data : {false, true}) {
        auto at = std::make_unique<packet_conn>(open_conn(loop));
        plain_sender sender(name_of(*at));
        std::vector<std::unique_ptr<beside>> readers;
        int ended = 0;
        for (int i = 0; i < 3; ++i) {
          readers.push_back(std::make_unique<beside>(loop, [&]() -> task<> {
            std::array<std::byte, 16> buffer;
            const auto got = co_await at->read_from(buffer);
            if (!got) CHECK(got.error() == errc::closed);
            ++ended;
          }));
        }
        co_await yield();
        if (data) sender.send("one");
        for (int i = 0; i < turns; ++i) co_await yield();
        at.reset();
        for (auto& each : readers) co_await each->join();
        CHECK(ended == 3);
      }
    }
  });
}

TEST_CASE("a port can be bound again at once after close, and no old datagram arrives") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto first = open_conn(loop);
    const endpoint name = name_of(first);
    REQUIRE(first.close());
    for (int round = 0; round < 500; ++round) {
      auto at = or_throw(listen_packet(loop, "udp6", name.to_string()));
      CHECK(name_of(at) == name);
      beside reader(loop, [&]() -> task<> { co_await expect_read_error(at, errc::closed); });
      for (int i = 0; i < round % 3; ++i) co_await yield();  // the read is queued, or armed
      if (round % 2) {
        REQUIRE(at.close());
        if (round % 3 == 0) continue;  // the reader's frame is destroyed before it runs
        co_await reader.join();
      } else {
        beside closer(loop, [&]() -> task<> {
          at = packet_conn();
          co_return;
        });
        co_await closer.join();
        co_await reader.join();
      }
    }
  });
}

TEST_CASE("a descriptor number that is used again at once never gets operations of the old descriptor") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    std::array<std::byte, 16> buffer;
    for (std::uint64_t round = 0; round < 300; ++round) {
      auto old = std::make_unique<packet_conn>(open_conn(loop));
      const int number = old->native_handle();
      beside reader(loop, [&]() -> task<> { co_await expect_read_error(*old, errc::closed); });
      co_await yield();
      co_await yield();
      REQUIRE(old->close());
      auto fresh = open_conn(loop);
      CHECK(fresh.native_handle() == number);
      plain_sender(name_of(fresh)).send(numbered(round));
      const auto got = co_await fresh.read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == round);
      co_await reader.join();
    }
  });
}

TEST_CASE("release gives the descriptor away, usable, and ends the conn's operations") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    const endpoint name = name_of(at);
    beside reader(loop, [&]() -> task<> { co_await expect_read_error(at, errc::closed); });
    co_await yield();
    const auto released = at.release();
    REQUIRE(released);
    const file_descriptor mine(released->fd);
    co_await reader.join();
    CHECK_FALSE(at.is_open());
    plain_sender(name).send("mine");
    std::array<char, 8> text{};
    CHECK(::recv(mine.get(), text.data(), text.size(), 0) == 4);
  });
}

// --- the end of a loop ---

TEST_CASE("a loop that is destroyed closes its conns, which give closed from then on") {
  auto loop = std::make_unique<event_loop>();
  auto at = open_conn(*loop);
  auto idle = open_conn(*loop);
  const endpoint name = name_of(at);
  std::unique_ptr<beside> waiting;
  run(*loop, [&]() -> task<> {
    waiting = std::make_unique<beside>(*loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      (void)got;
    });
    co_await sleep_for(1ms);
  });
  CHECK(at.is_open());
  loop.reset();
  CHECK_FALSE(at.is_open());
  CHECK_FALSE(idle.is_open());
  CHECK(at.set_deadline(steady_clock::now()).error() == errc::closed);
  waiting.reset();  // a frame that waited on the conn

  event_loop second;
  auto again = or_throw(listen_packet(second, "udp6", name.to_string()));
  CHECK(name_of(again) == name);
}

TEST_CASE("a loop that was never run is destroyed in order, too") {
  auto loop = std::make_unique<event_loop>();
  auto at = open_conn(*loop);
  const endpoint name = name_of(at);
  loop.reset();
  event_loop second;
  CHECK(listen_packet(second, "udp6", name.to_string()));
}

TEST_CASE("a loop that another thread ran and left can be destroyed here, with reads in flight", "[threads]") {
  for (int round = 0; round < 10; ++round) {
    auto loop = std::make_unique<event_loop>();
    auto at = std::make_unique<packet_conn>(open_conn(*loop));
    const endpoint name = name_of(*at);
    std::unique_ptr<beside> waiting;
    std::thread([&] {
      run(*loop, [&]() -> task<> {
        waiting = std::make_unique<beside>(*loop, [&]() -> task<> {
          std::array<std::byte, 16> buffer;
          const auto got = co_await at->read_from(buffer);
          CHECK_FALSE(got);
        });
        co_await sleep_for(1ms);
      });
    }).join();
    CHECK(at->close().error() == errc::wrong_thread);
    CHECK(at->set_deadline({}).error() == errc::wrong_thread);
    if (round % 2) at.reset();
    loop.reset();
    at.reset();
    waiting.reset();
    // The kernel canceled the read when its thread ended: it frees the port some time later.
    event_loop second;
    CHECK(eventually([&] { return listen_packet(second, "udp6", name.to_string()).has_value(); }));
  }
}

TEST_CASE("a conn is not awaited in another loop, even of the same thread") {
  event_loop first;
  event_loop second;
  auto at = open_conn(first);
  run(first, [&]() -> task<> {
    run(second, [&]() -> task<> {
      co_await expect_read_error(at, errc::wrong_thread);
      const auto sent = co_await at.write_to(as_payload("x"), name_of(at));
      CHECK(sent.error() == errc::wrong_thread);
    });
    co_return;
  });
}

TEST_CASE("a conn is not awaited in the loop of another thread, and still works in its own", "[threads]") {
  event_loop loop;
  auto at = open_conn(loop);
  const endpoint name = name_of(at);
  run(loop, [&]() -> task<> { co_return; });  // the loop belongs to this thread now
  std::error_code reading, writing, receiving;
  std::thread([&] {
    event_loop other;
    run(other, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      reading = got.error();
      const auto sent = co_await at.write_to(as_payload("x"), name);
      writing = sent.error();
      datagram_batch batch;
      const auto lent = co_await at.receive(batch);
      receiving = lent.error();
    });
  }).join();
  CHECK(reading == errc::wrong_thread);
  CHECK(writing == errc::wrong_thread);
  CHECK(receiving == errc::wrong_thread);
  run(loop, [&]() -> task<> {
    const auto sent = co_await at.write_to(as_payload("ours"), name);
    CHECK(sent.has_value());
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "ours");
  });
}

TEST_CASE("conns that were read, written, refused or released leave no descriptor open") {
  const auto work = [] {
    event_loop loop;
    run(loop, [&]() -> task<> {
      auto at = open_conn(loop);
      auto from = dial(loop, name_of(at), {.coalesce_writes = true});
      const auto sent = co_await from.write(as_payload("x"));
      CHECK(sent);
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      CHECK(got);
      CHECK_FALSE(listen_packet(loop, "udp6", name_of(at).to_string()));
      CHECK_FALSE(listen_packet(loop, "udp6", "[::1]:0", {.device = "no such device"}));
      CHECK_FALSE(dial_packet(loop, "udp6", "[fe80::1]:9"));
    });
  };
  work();  // opens descriptors that stay open for the process
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 10; ++i) work();
  CHECK(open_descriptors() == before);
}

}  // namespace
