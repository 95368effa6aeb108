// fork without exec, in the middle of a running loop: the child's operations are refused, and do the parent no harm.
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/error_reports.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// The error of a task that is driven by hand, outside of any loop, and must end at once.
std::string ending_of(task<std::error_code> one) {
  one.handle().resume();
  if (!one.done()) return "it waits";
  return one.handle().promise().take() == errc::forked ? "forked" : "another error";
}

template <class F>
std::string error_of(F&& f) {
  try {
    return f() == errc::forked ? "forked" : "another error";
  } catch (const std::system_error& error) {
    return error.code() == errc::forked ? "forked" : error.what();
  }
}

/// A conn with an armed read and a lent buffer, and a sleeper; `child` runs in a child that is forked in the middle of
/// it. The parent's operations go on afterwards.
template <class Child>
std::string in_the_middle(Child child) {
  std::string said;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    datagram_batch lent;
    sender.send(numbered(0));
    const auto borrowed = co_await at.receive(lent);
    REQUIRE(borrowed == std::size_t{1});
    std::uint64_t received = 0;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      for (;;) {
        const auto got = co_await at.read_from(buffer);
        if (!got) co_return;
        CHECK(number_in(got->payload) == ++received);
      }
    });
    beside sleeper(loop, []() -> task<> { (void)co_await sleep_for(5ms); });
    sender.send(numbered(1));
    while (received < 1) co_await yield();

    said = in_child([&] { return child(loop, at, lent); });

    for (std::uint64_t i = 2; i <= 50; ++i) sender.send(numbered(i));
    while (received < 50) co_await yield();
    CHECK(number_in(lent.begin()->payload) == 0);
    co_await sleeper.join();
    reader.request_stop();
    co_await reader.join();
    CHECK(at.stats().kernel_drops == 0);
    CHECK(at.close().has_value());
  });
  return said;
}

TEST_CASE("fork: in the child every operation of the loop gives an error") {
  need_ipv6();
  CHECK(in_the_middle([](event_loop& loop, packet_conn&, datagram_batch&) {
          const auto nothing = []() -> task<std::error_code> { co_return std::error_code(); };
          return error_of([&] { return loop.run(nothing()); });
        }) == "forked");
  CHECK(in_the_middle([](event_loop& loop, packet_conn&, datagram_batch&) {
          return error_of([&] { return loop.poll().error(); });
        }) == "forked");
  CHECK(in_the_middle([](event_loop& loop, packet_conn&, datagram_batch&) {
          return error_of([&] { return loop.descriptor().error(); });
        }) == "forked");
}

TEST_CASE("fork: in the child reads and writes of the parent's conn give an error") {
  need_ipv6();
  CHECK(in_the_middle([](event_loop&, packet_conn& at, datagram_batch&) {
          std::array<std::byte, 16> buffer;
          const auto read = [&]() -> task<std::error_code> {
            const auto got = co_await at.read_from(buffer);
            co_return got ? std::error_code() : got.error();
          };
          return ending_of(read());
        }) == "forked");
  CHECK(in_the_middle([](event_loop&, packet_conn& at, datagram_batch&) {
          const endpoint self = name_of(at);
          const auto write = [&]() -> task<std::error_code> {
            const auto sent = co_await at.write_to(as_payload("x"), self);
            co_return sent ? std::error_code() : sent.error();
          };
          return ending_of(write());
        }) == "forked");
}

TEST_CASE("fork: the child may close the conn, give buffers back and destroy the loop; those of the parent work on") {
  need_ipv6();
  CHECK(in_the_middle([](event_loop&, packet_conn& at, datagram_batch& lent) {
          lent.clear();
          return at.close().has_value() ? "closed" : "not closed";
        }) == "closed");
  CHECK(in_the_middle([](event_loop&, packet_conn& at, datagram_batch&) {
          packet_conn(std::move(at));
          return "gone";
        }) == "gone");
  CHECK(in_the_middle([](event_loop& loop, packet_conn&, datagram_batch&) {
          std::optional<event_loop> gone(std::move(loop));
          gone.reset();
          return "gone";
        }) == "gone");
}

TEST_CASE("fork: the parent sends its writes ahead, and a child that closes the conn does not send them, too") {
  need_ipv6();
  constexpr std::uint64_t count = 20;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    auto from = open_conn(loop, {.send_offload = false, .coalesce_writes = true});
    for (std::uint64_t i = 0; i < count; ++i) {
      const numbered number(i);
      const auto written = co_await from.write_to(number, name_of(to));
      REQUIRE(written);
    }
    CHECK(in_child([&] { return from.close().has_value() ? "closed" : "not closed"; }) == "closed");
    std::array<std::byte, 16> buffer;
    const auto written = co_await from.write_to(numbered(count), name_of(to));
    REQUIRE(written);
    for (std::uint64_t i = 0; i <= count; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
    }
  });
}

TEST_CASE("fork: a child that closes its copy of a conn takes no error that pends for the parent") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop, {.coalesce_writes = true});
    REQUIRE(at.set_error_reports(true));
    auto listener = open_conn(loop);
    auto sent = co_await at.write_to(as_payload("heard by none"), nobody(loop));
    REQUIRE(sent);
    const auto flushed = co_await at.flush();
    REQUIRE(flushed);
    co_await await_report(at);
    sent = co_await at.write_to(as_payload("written ahead"), name_of(listener));  // the close of the child flushes it
    REQUIRE(sent);
    const std::string said = in_child([&] { return std::string(at.close() ? "closed" : "not closed"); });
    CHECK(said == "closed");
    REQUIRE(at.set_read_deadline(std::chrono::steady_clock::now() + 5s));
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    CHECK(got.error() == std::errc::connection_refused);
  });
}

TEST_CASE("fork: the child has loops of its own, also within the parent's task") {
  need_ipv6();
  CHECK(in_the_middle([](event_loop&, packet_conn& at, datagram_batch&) {
          event_loop own;
          std::string text;
          run(own, [&]() -> task<> {
            auto here = open_conn(own);
            const endpoint self = name_of(here);
            std::array<std::byte, 16> buffer;
            const auto sent = co_await here.write_to(as_payload("of the child"), self);
            const auto got = co_await here.read_from(buffer);
            if (sent && got) text = as_text(got->payload);
            // The parent's conn belongs to the child's new loop as little as to any other loop.
            const auto foreign = co_await at.read_from(buffer);
            if (foreign || foreign.error() != errc::wrong_thread) text = "read the parent's";
          });
          return text;
        }) == "of the child");
}

TEST_CASE("fork: the child cannot hand over datagrams that the parent's conn had read ahead, and the parent can") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    for (std::uint64_t i = 0; i < 5; ++i) sender.send(numbered(i));
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(in_child([&]() -> std::string {
            const auto released = at.release();
            return released ? "released" : error_of([&] { return released.error(); });
          }) == "forked");
    const auto released = at.release();
    REQUIRE(released);
    CHECK(released->datagrams.size() == 4);
    ::close(released->fd);
  });
}

}  // namespace
