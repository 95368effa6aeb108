#include "uring6/asio.hpp"

#include <catch2/catch_test_macros.hpp>

#if URING6_HAS_ASIO

#include <array>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/drain_on_stop.hpp"
#include "uring6/run_blocking.hpp"
#include "uring6/scope.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

struct host {
  explicit host(const loop_options& options = {}) : loop(options) {}

  asio::io_context io{1};
  event_loop loop;
  asio_bridge bridge{loop, io.get_executor()};

  /// Runs the task to its end, and the context until it has nothing to do.
  void run(asio::awaitable<void> main) {
    std::exception_ptr failure;
    asio::co_spawn(io, std::move(main), [&](std::exception_ptr error) { failure = error; });
    io.run();
    io.restart();
    if (failure) std::rethrow_exception(failure);
  }
};

TEST_CASE("asio: an awaitable reads and writes datagrams, and the context ends with it") {
  need_ipv6();
  host h;
  packet_conn pc = open_conn(h.loop);
  const endpoint self = name_of(pc);
  int seen = 0;
  const auto main = [&]() -> asio::awaitable<void> {
    std::array<std::byte, 64> buffer{};
    for (std::uint64_t i = 0; i < 200; ++i) {
      const numbered payload(i);
      const auto sent = co_await h.bridge.await(pc.write_to(payload, self));
      CHECK(sent.has_value());
      const auto got = co_await h.bridge.await(pc.read_from(buffer));
      if (got && number_in(got->payload) == i) ++seen;
    }
  };
  h.run(main());
  CHECK(seen == 200);
}

TEST_CASE("asio: work of the context and of the loop runs side by side", "[threads]") {
  need_ipv6();
  host h;
  packet_conn pc = open_conn(h.loop);
  int ticks = 0;
  int answers = 0;
  const auto ticking = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      asio::steady_timer timer(co_await asio::this_coro::executor, 100us);
      co_await timer.async_wait(asio::use_awaitable);
      ++ticks;
    }
  };
  const auto asking = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      const auto slept = co_await h.bridge.await(sleep_for(100us));
      CHECK(slept.has_value());
      const auto answer = co_await h.bridge.await(run_blocking([] { return 1; }));
      answers += answer.value_or(0);
    }
  };
  asio::co_spawn(h.io, ticking(), asio::detached);
  h.run(asking());
  CHECK(ticks == 20);
  CHECK(answers == 20);
}

TEST_CASE("asio: a task returns its value or its exception, and the loop's tasks run along") {
  host h;
  bool beside = false;
  scope tasks(h.loop);
  const auto other = [&]() -> task<> {
    co_await sleep_for(1ms);
    beside = true;
  };
  tasks.spawn(other());
  const auto value = []() -> task<std::string> {
    co_await sleep_for(2ms);
    co_return "a string that is longer than the short ones";
  };
  const auto thrower = []() -> task<> {
    co_await sleep_for(1ms);
    throw std::runtime_error("out of the task");
  };
  std::string got;
  std::string what;
  const auto main = [&]() -> asio::awaitable<void> {
    got = co_await h.bridge.await(value());
    try {
      co_await h.bridge.await(thrower());
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
  };
  h.run(main());
  CHECK(got == "a string that is longer than the short ones");
  CHECK(what == "out of the task");
  CHECK(beside);
}

TEST_CASE("asio: a cancellation stops the operation, which takes no datagram") {
  need_ipv6();
  host h;
  packet_conn pc = open_conn(h.loop);
  asio::cancellation_signal signal;
  std::error_code how;
  const auto reader = [&]() -> asio::awaitable<void> {
    std::array<std::byte, 64> buffer{};
    const auto got = co_await h.bridge.await(pc.read_from(buffer));
    if (!got) how = got.error();
  };
  asio::co_spawn(h.io, reader(), asio::bind_cancellation_slot(signal.slot(), asio::detached));
  const auto main = [&]() -> asio::awaitable<void> {
    (void)co_await h.bridge.await(sleep_for(1ms));
    signal.emit(asio::cancellation_type::terminal);
  };
  h.run(main());
  CHECK(how == errc::canceled);
}

TEST_CASE("asio: after a cancellation the coroutine's next co_await throws, unless it resets its state") {
  need_ipv6();
  for (const bool resets : {false, true}) {
    host h;
    packet_conn pc = open_conn(h.loop);
    asio::cancellation_signal signal;
    std::error_code of_read;
    std::error_code thrown;
    bool slept = false;
    const auto reader = [&]() -> asio::awaitable<void> {
      std::array<std::byte, 64> buffer{};
      const auto got = co_await h.bridge.await(pc.read_from(buffer));
      if (!got) of_read = got.error();
      try {
        if (resets) co_await asio::this_coro::reset_cancellation_state();
        const auto later = co_await h.bridge.await(sleep_for(1us));
        slept = later.has_value();
      } catch (const std::system_error& error) {
        thrown = error.code();
      }
    };
    asio::co_spawn(h.io, reader(), asio::bind_cancellation_slot(signal.slot(), asio::detached));
    const auto main = [&]() -> asio::awaitable<void> {
      co_await h.bridge.await(this_task::yield());  // the read waits
      signal.emit(asio::cancellation_type::terminal);
    };
    h.run(main());
    CHECK(of_read == errc::canceled);
    CHECK(slept == resets);
    CHECK((thrown == asio::error::operation_aborted) == !resets);
  }
}

TEST_CASE("asio: a close ends the read of its conn, and the coroutine goes on with another conn") {
  need_ipv6();
  host h;
  packet_conn pc = open_conn(h.loop);
  packet_conn other = open_conn(h.loop);
  std::error_code of_read;
  bool wrote = false;
  const auto reader = [&]() -> asio::awaitable<void> {
    std::array<std::byte, 64> buffer{};
    const auto got = co_await h.bridge.await(pc.read_from(buffer));
    if (!got) of_read = got.error();
    const auto sent = co_await h.bridge.await(other.write_to("after the end", name_of(other)));
    wrote = sent.has_value();
  };
  const auto closer = [&]() -> asio::awaitable<void> {
    co_await h.bridge.await(this_task::yield());  // the read waits
    pc.close();
    h.bridge.wake();
  };
  asio::co_spawn(h.io, closer(), asio::detached);
  h.run(reader());
  CHECK(of_read == errc::closed);
  CHECK(wrote);
}

TEST_CASE("asio: by readiness the loop notices a close from outside at wake, not before, and ends the read") {
  need_ipv6();
  host h({.driver = loop_driver::readiness});
  packet_conn pc = open_conn(h.loop);
  std::error_code of_read;
  const auto reader = [&]() -> asio::awaitable<void> {
    std::array<std::byte, 64> buffer{};
    const auto got = co_await h.bridge.await(pc.read_from(buffer));
    if (!got) of_read = got.error();
  };
  asio::co_spawn(h.io, reader(), asio::detached);
  h.io.poll();
  REQUIRE(pc.close());
  h.io.poll();
  CHECK_FALSE(of_read);
  h.bridge.wake();
  h.io.run_for(60s);  // until the coroutine has ended
  CHECK(of_read == errc::closed);
}

TEST_CASE("asio: a deadline inside of the bridge ends its operation, and a scope's tasks end in order at its stop") {
  need_ipv6();
  host h;
  packet_conn pc = open_conn(h.loop);
  std::error_code of_read;
  std::error_code of_task;
  bool said_goodbye = false;
  scope tasks(h.loop);
  const auto serving = [&]() -> task<> {
    std::array<std::byte, 64> buffer{};
    const auto got = co_await pc.read_from(buffer);
    if (!got) of_task = got.error();
    const auto sent = co_await pc.write_to("goodbye", name_of(pc));
    said_goodbye = sent.has_value();
  };
  const auto main = [&]() -> asio::awaitable<void> {
    std::array<std::byte, 64> buffer{};
    const auto got = co_await h.bridge.await(with_timeout(1ms, pc.read_from(buffer)));
    if (!got) of_read = got.error();
    tasks.spawn(drain_on_stop(pc, 10s, serving()));
    co_await h.bridge.await(this_task::yield());  // the task's read waits
    tasks.request_stop();
    co_await h.bridge.await(tasks.join());
  };
  h.run(main());
  CHECK(of_read == errc::deadline_exceeded);
  CHECK(of_task == errc::closed);
  CHECK(said_goodbye);
}

TEST_CASE("asio: a context that is destroyed with an operation in flight ends it") {
  need_ipv6();
  const std::size_t before = open_descriptors();
  {
    event_loop loop;
    packet_conn pc = open_conn(loop);
    auto io = std::make_unique<asio::io_context>(1);
    auto bridge = std::make_unique<asio_bridge>(loop, io->get_executor());
    const auto reader = [&]() -> asio::awaitable<void> {
      std::array<std::byte, 64> buffer{};
      (void)co_await bridge->await(pc.read_from(buffer));
    };
    asio::co_spawn(*io, reader(), asio::detached);
    io->run_for(2ms);
    // The bridge's descriptor must be closed before the context, which destroys the frames.
    bridge.reset();
    io.reset();
  }
  CHECK(open_descriptors() == before);
}

}  // namespace

#endif
