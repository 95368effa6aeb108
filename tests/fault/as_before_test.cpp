// A call that throws std::bad_alloc, or ends with not_enough_memory, leaves the conn as it was before.
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <system_error>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// Whether `call` throws std::bad_alloc where the first operator new in it, and all that follow, fail.
template <class Call>
bool lacks_memory(Call call) {
  fail_allocation(1, true);
  bool lacked = false;
  try {
    call();
  } catch (const std::bad_alloc&) {
    lacked = true;
  }
  fail_allocation(0);
  return lacked;
}

void need_refusals() {
  need_ipv6();
  if (!fail_allocation(0)) SKIP("the sanitizer has operators of its own");
}

TEST_CASE("a deadline that there is no memory for leaves the one that had passed before") {
  need_refusals();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = open_conn(loop);
    auto pair = co_await connect(loop);
    auto listener = open_listener(loop);
    const auto now = std::chrono::steady_clock::now();
    REQUIRE(pc.set_read_deadline(now));
    REQUIRE(pair.here.set_read_deadline(now));
    REQUIRE(listener.set_deadline(now));
    CHECK(lacks_memory([&] { (void)pc.set_read_deadline(now + 1h); }));
    CHECK(lacks_memory([&] { (void)pair.here.set_read_deadline(now + 1h); }));
    CHECK(lacks_memory([&] { (void)listener.set_deadline(now + 1h); }));
    // What would wait without the deadline ends by this one.
    beside stopper(loop, [&]() -> task<> {
      for (int turns = 0; turns < 10; ++turns) co_await yield();
      (void)pc.close();
      (void)pair.here.close();
      (void)listener.close();
    });
    std::array<std::byte, 16> buffer;
    const auto datagram = co_await pc.read_from(buffer);
    CHECK(datagram.error() == errc::deadline_exceeded);
    const auto octets = co_await pair.here.read(buffer);
    CHECK(octets.error() == errc::deadline_exceeded);
    const auto accepted = co_await listener.accept();
    CHECK(accepted.error() == errc::deadline_exceeded);
    co_await stopper.join();
  });
}

TEST_CASE("set_deadline without memory for both of its deadlines sets neither") {
  need_refusals();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = open_conn(loop);
    auto pair = co_await connect(loop);
    const auto now = std::chrono::steady_clock::now();
    REQUIRE(pc.set_deadline(now));
    REQUIRE(pair.here.set_deadline(now));
    const endpoint self = name_of(pc);
    // The loop has room for one timer, and for no second one.
    auto other = open_conn(loop);
    REQUIRE(other.set_read_deadline(now + 1h));
    REQUIRE(other.set_read_deadline(std::nullopt));
    CHECK(lacks_memory([&] { (void)pc.set_deadline(now + 1h); }));
    CHECK(lacks_memory([&] { (void)pair.here.set_deadline(now + 1h); }));
    beside stopper(loop, [&]() -> task<> {
      for (int turns = 0; turns < 10; ++turns) co_await yield();
      (void)pc.close();
      (void)pair.here.close();
    });
    std::array<std::byte, 16> buffer;
    const auto datagram = co_await pc.read_from(buffer);
    CHECK(datagram.error() == errc::deadline_exceeded);
    const auto sent = co_await pc.write_to(as_payload("x"), self);
    CHECK(sent.error() == errc::deadline_exceeded);
    const auto octets = co_await pair.here.read(buffer);
    CHECK(octets.error() == errc::deadline_exceeded);
    co_await stopper.join();
  });
}

/// A read that is stopped when the kernel has filled its buffer, without memory to keep its octets.
task<> lose_octets(event_loop& loop, tcp_conn& from) {
  std::array<std::byte, 8> buffer;
  beside reader(loop, [&]() -> task<> {
    const auto got = co_await from.read(buffer);
    CHECK(got.error() == errc::canceled);
  });
  co_await yield();
  co_await yield();
  fail_allocation(1, true);
  reader.request_stop();
  fail_allocation(0);
  co_await reader.join();
}

TEST_CASE("a release that is refused because octets were lost ends no operation") {
  need_refusals();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    REQUIRE(::send(pair.here.native_handle(), "octets", 6, 0) == 6);
    co_await lose_octets(loop, pair.there);
    const bytes much(std::size_t{8} << 20);
    std::optional<std::error_code> ended;
    beside writer(loop, [&]() -> task<> {
      const auto sent = co_await pair.there.write(much);
      ended = sent ? std::error_code() : sent.error();
    });
    co_await yield();
    const auto refused = pair.there.release();
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::not_enough_memory);
    CHECK(pair.there.is_open());
    const bytes all = co_await read_exactly(pair.here, much.size());
    CHECK(all.size() == much.size());
    co_await writer.join();
    CHECK(ended == std::error_code());
  });
}

TEST_CASE("a release without memory to keep a waiting read's octets lets that read have them, and loses none") {
  need_refusals();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    std::array<std::byte, 16> buffer;
    std::string read;
    beside reader(loop, [&]() -> task<> {
      const auto got = co_await pair.there.read(buffer);
      read = got ? std::string(as_text(std::span(buffer).first(*got))) : got.error().message();
    });
    co_await yield();
    REQUIRE(::send(pair.here.native_handle(), "octets", 6, 0) == 6);
    co_await yield();  // the reader has them, and stands behind this one in the ready queue
    fail_allocation(1, true);
    auto released = pair.there.release();
    fail_allocation(0);
    co_await reader.join();
    REQUIRE(released);
    CHECK(read == "octets");
    CHECK(released->unread.empty());
    REQUIRE(::send(pair.here.native_handle(), "more", 4, 0) == 4);
    auto next = or_throw(adopt_tcp(loop, *released));
    const bytes more = co_await read_exactly(next, 4);
    CHECK(as_text(more) == "more");
  });
}

}  // namespace
