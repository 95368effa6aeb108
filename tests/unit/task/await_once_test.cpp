// An operation is awaited once: a second await neither hangs nor returns a wrong result.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>

#include "support/case/coroutines.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/uring6.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

using test::refuses_a_second_await;

struct pipe_ends {
  pipe_ends() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    reading = file_descriptor(ends[0]);
    writing = file_descriptor(ends[1]);
  }
  file_descriptor reading;
  file_descriptor writing;
};

task<> acquires(detail::acquire_operation& one, std::error_code expected) {
  const auto acquired = co_await one;
  CHECK((acquired ? std::error_code() : acquired.error()) == expected);
}

TEST_CASE("await once: waits for permits, locks, events and channels") {
  event_loop loop;
  semaphore two(2);
  event set;
  set.set();
  async_mutex mutex;
  channel<int> numbers(4);
  test::run(loop, [&]() -> task<> {
    auto acquire = two.acquire();
    const auto acquired = co_await acquire;
    CHECK(acquired.has_value());
    const bool acquired_once = co_await refuses_a_second_await(acquire);
    CHECK(acquired_once);
    CHECK(two.available() == 1);

    auto wait = set.wait();
    const auto passed = co_await wait;
    CHECK(passed.has_value());
    const bool passed_once = co_await refuses_a_second_await(wait);
    CHECK(passed_once);

    auto lock = mutex.lock();
    const auto locked = co_await lock;
    CHECK(locked.has_value());
    const bool locked_once = co_await refuses_a_second_await(lock);
    CHECK(locked_once);

    const int seven = 7;
    auto send = numbers.send(seven);
    const auto sent = co_await send;
    CHECK(sent.has_value());
    const bool sent_once = co_await refuses_a_second_await(send);
    CHECK(sent_once);
    CHECK(numbers.size() == 1);

    auto receive = numbers.receive();
    const auto received = co_await receive;
    CHECK(received == 7);
    const bool received_once = co_await refuses_a_second_await(receive);
    CHECK(received_once);
  });
}

TEST_CASE("await once: a wait that was suspended, one that was stopped, and one that still waits") {
  event_loop loop;
  semaphore none(0);
  test::run(loop, [&]() -> task<> {
    auto waited = none.acquire();
    test::beside waiter(loop, acquires(waited, {}));
    co_await test::yield();
    const bool while_it_waits = co_await refuses_a_second_await(waited);
    CHECK(while_it_waits);
    none.release();
    co_await waiter.join();
    none.release();
    const bool afterwards = co_await refuses_a_second_await(waited);
    CHECK(afterwards);
    CHECK(none.available() == 1);
    CHECK(none.try_acquire());

    auto stopped = none.acquire();
    test::beside other(loop, acquires(stopped, errc::canceled));
    co_await test::yield();
    other.request_stop();
    co_await other.join();
    const bool after_the_stop = co_await refuses_a_second_await(stopped);
    CHECK(after_the_stop);
  });
}

TEST_CASE("await once: a blocking call is made once") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::atomic<int> calls = 0;
    auto count = [&] { return ++calls; };
    auto call = run_blocking(count);
    const auto counted = co_await call;
    CHECK(counted == 1);
    const bool refused = co_await refuses_a_second_await(call);
    CHECK(refused);
    CHECK(calls == 1);
  });
}

TEST_CASE("await once: a sleep, a join, and the operations on descriptors") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    auto sleep = sleep_for(1ms);
    const auto slept = co_await sleep;
    CHECK(slept.has_value());
    const bool slept_once = co_await refuses_a_second_await(sleep);
    CHECK(slept_once);

    scope children;
    auto join = children.join();
    co_await join;
    const bool joined_once = co_await refuses_a_second_await(join);
    CHECK(joined_once);

    const pipe_ends pipe;
    std::array<std::byte, 2> octets{};
    auto write_one = fd::write(pipe.writing.get(), std::span<const std::byte>(octets).first(1));
    const auto written = co_await write_one;
    CHECK(written == 1U);
    const bool written_once = co_await refuses_a_second_await(write_one);
    CHECK(written_once);

    auto look = fd::poll(pipe.reading.get(), poll_events::readable);
    const auto seen = co_await look;
    CHECK(seen == poll_events::readable);
    const bool seen_once = co_await refuses_a_second_await(look);
    CHECK(seen_once);

    auto read_all = fd::read(pipe.reading.get(), octets);
    const auto got = co_await read_all;
    CHECK(got == 1U);
    const bool read_once = co_await refuses_a_second_await(read_all);
    CHECK(read_once);
  });
}

}  // namespace
}  // namespace uring6
