#include "uring6/stdexec.hpp"

#include <catch2/catch_test_macros.hpp>

#if URING6_HAS_STDEXEC

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/process/remote_loop.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/stop.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// How often the receiver was completed, and with what the last time.
struct completions {
  std::atomic<int> values{0}, errors{0}, stops{0};
  int total() const { return values + errors + stops; }
};

struct counting_receiver {
  using receiver_concept = stdexec::receiver_t;
  struct env {
    stdexec::inplace_stop_token token;
    stdexec::inplace_stop_token query(stdexec::get_stop_token_t) const noexcept { return token; }
  };
  template <class... Values>
  void set_value(Values&&...) noexcept {
    ++to->values;
  }
  void set_error(std::exception_ptr) noexcept { ++to->errors; }
  void set_stopped() noexcept { ++to->stops; }
  env get_env() const noexcept { return {token}; }

  completions* to;
  stdexec::inplace_stop_token token{};
};

task<std::string> greeting() {
  const auto slept = co_await sleep_for(1ms);
  co_return slept ? "slept" : "stopped";
}

TEST_CASE("stdexec: a task is a sender, and composes with others", "[threads]") {
  remote_loop there;
  std::thread::id ran_on;
  auto work = stdexec::when_all(as_sender(there.loop, greeting()), stdexec::just(2)) |
              stdexec::then([&](const std::string& text, int number) {
                ran_on = std::this_thread::get_id();
                return text + std::to_string(number);
              });
  const auto got = stdexec::sync_wait(std::move(work));
  REQUIRE(got);
  CHECK(std::get<0>(*got) == "slept2");
  CHECK(ran_on == there.thread());
}

TEST_CASE("stdexec: operations of conns are senders that may be connected again; their results are values",
          "[threads]") {
  remote_loop there;
  std::optional<packet_conn> pc;
  REQUIRE(stdexec::sync_wait(as_sender(there.loop, [&]() -> task<> {
    pc = open_conn(there.loop);
    co_return;
  })));
  plain_sender sender(name_of(*pc));
  std::array<std::byte, 64> buffer{};
  const auto reading = as_sender(there.loop, [&] { return pc->read_from(buffer); });
  for (std::uint64_t i = 0; i < 20; ++i) {
    sender.send(numbered(i));
    const auto got = stdexec::sync_wait(reading);
    REQUIRE(got);
    const result<datagram>& read = std::get<0>(*got);
    REQUIRE(read);
    CHECK(number_in(read->payload) == i);
  }
  REQUIRE(stdexec::sync_wait(as_sender(there.loop, [&]() -> task<> {
    or_throw(pc->close());
    co_return;
  })));
  const auto closed = stdexec::sync_wait(reading);
  REQUIRE(closed);
  CHECK(std::get<0>(*closed).error() == errc::closed);
  REQUIRE(stdexec::sync_wait(as_sender(there.loop, [&]() -> task<> {
    pc.reset();
    co_return;
  })));
}

TEST_CASE("stdexec: an exception of the task is the sender's error", "[threads]") {
  remote_loop there;
  const auto thrower = []() -> task<int> {
    co_await yield();
    throw std::runtime_error("out of the task");
  };
  CHECK_THROWS_AS(stdexec::sync_wait(as_sender(there.loop, thrower())), std::runtime_error);
  const auto no_task = []() -> task<int> { throw std::logic_error("before there was a task"); };
  CHECK_THROWS_AS(stdexec::sync_wait(as_sender(there.loop, no_task)), std::logic_error);
}

TEST_CASE("stdexec: the receiver's stop ends the operation as stopped, also one that came before the start",
          "[threads]") {
  remote_loop there;
  for (const bool before : {true, false}) {
    completions seen;
    stdexec::inplace_stop_source stop;
    auto operation = stdexec::connect(as_sender(there.loop, [] { return sleep_for(1h); }),
                                      counting_receiver{&seen, stop.get_token()});
    if (before) stop.request_stop();
    stdexec::start(operation);
    if (!before) stop.request_stop();
    while (seen.total() == 0) std::this_thread::yield();
    CHECK(seen.stops == 1);
    CHECK(seen.total() == 1);
  }
  // Without a result<T> the task ends with its own value.
  completions seen;
  stdexec::inplace_stop_source stop;
  stop.request_stop();
  auto operation = stdexec::connect(as_sender(there.loop, greeting()), counting_receiver{&seen, stop.get_token()});
  stdexec::start(operation);
  while (seen.total() == 0) std::this_thread::yield();
  CHECK(seen.values == 1);
}

TEST_CASE("stdexec: a stop that races with the end completes the receiver once", "[threads]") {
  remote_loop there;
  completions seen;
  for (int round = 1; round <= 500; ++round) {
    stdexec::inplace_stop_source stop;
    const std::chrono::microseconds while_it_sleeps(round % 50);
    auto operation = stdexec::connect(as_sender(there.loop, [=] { return sleep_for(while_it_sleeps); }),
                                      counting_receiver{&seen, stop.get_token()});
    stdexec::start(operation);
    stop.request_stop();
    while (seen.total() < round) std::this_thread::yield();
    CHECK(seen.total() == round);
  }
  CHECK(seen.errors == 0);
}

TEST_CASE("stdexec: a stop after the end does nothing to the operation") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = open_conn(loop);
    plain_sender(name_of(pc)).send("here");
    std::array<std::byte, 64> buffer{};
    completions seen;
    stdexec::inplace_stop_source stop;
    auto operation = stdexec::connect(as_sender(loop, [&] { return pc.read_from(buffer); }),
                                      counting_receiver{&seen, stop.get_token()});
    stdexec::start(operation);
    while (seen.total() == 0) co_await yield();
    CHECK(seen.values == 1);
    stop.request_stop();
    co_await yield();
    CHECK(seen.total() == 1);
  });
}

TEST_CASE("stdexec: a loop that is destroyed before the operation ends completes it as stopped") {
  completions seen;
  std::optional<event_loop> loop(std::in_place);
  packet_conn pc = open_conn(*loop);  // the conn outlives the loop
  std::array<std::byte, 64> buffer{};
  const auto connect = [&](auto sender) { return stdexec::connect(std::move(sender), counting_receiver{&seen}); };
  auto sleeping = connect(as_sender(*loop, [] { return sleep_for(1h); }));
  auto reading = connect(as_sender(*loop, [&] { return pc.read_from(buffer); }));
  auto unbegun = connect(as_sender(*loop, [] { return sleep_for(1h); }));
  auto late = connect(as_sender(*loop, [] { return sleep_for(1h); }));
  auto never_started = connect(as_sender(*loop, greeting()));
  (void)never_started;
  run(*loop, [&]() -> task<> {
    stdexec::start(sleeping);
    stdexec::start(reading);
    co_await yield();
  });
  stdexec::start(unbegun);
  CHECK(seen.total() == 0);
  loop.reset();
  CHECK(seen.stops == 3);
  stdexec::start(late);
  CHECK(seen.stops == 4);
  CHECK(seen.total() == 4);
}

TEST_CASE("stdexec: a sender is awaited: its value, its error, its stop") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto one = co_await from_sender(stdexec::just(1));
    CHECK(one == 1);
    const auto nothing = co_await from_sender(stdexec::just());
    CHECK(nothing.has_value());
    const auto two = co_await from_sender(stdexec::just(1, std::string("two")));
    REQUIRE(two);
    CHECK(*two == std::tuple(1, std::string("two")));
    const auto failed = co_await from_sender(stdexec::just_error(make_error_code(errc::closed)));
    CHECK(failed.error() == errc::closed);
    const auto stopped = co_await from_sender(stdexec::just_stopped());
    CHECK(stopped.error() == errc::canceled);
    // A sender out of an operation, and an awaitable out of that sender.
    const auto slept = co_await from_sender(as_sender(loop, [] { return sleep_for(1ms); }));
    static_assert(std::is_same_v<decltype(slept), const result<void>>);
    CHECK(slept.has_value());
    std::string what;
    try {
      auto throwing = stdexec::just() | stdexec::then([]() -> int { throw std::runtime_error("thrown"); });
      (void)co_await from_sender(std::move(throwing));
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    CHECK(what == "thrown");
    int thrown = 0;
    try {
      (void)co_await from_sender(stdexec::just_error(42));
    } catch (int number) {
      thrown = number;
    }
    CHECK(thrown == 42);
  });
}

TEST_CASE("stdexec: a sender that completes on another thread brings the task back to its loop", "[threads]") {
  stdexec::run_loop elsewhere;
  std::thread worker([&] { elsewhere.run(); });
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto here = std::this_thread::get_id();
    for (int i = 0; i < 300; ++i) {
      auto there =
          stdexec::schedule(elsewhere.get_scheduler()) | stdexec::then([] { return std::this_thread::get_id(); });
      const auto where = co_await from_sender(std::move(there));
      CHECK(where == worker.get_id());
      CHECK(std::this_thread::get_id() == here);
    }
  });
  elsewhere.finish();
  worker.join();
}

TEST_CASE("stdexec: the stop of a task reaches its awaited sender", "[threads]") {
  remote_loop there;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto limited = co_await with_timeout(1ms, from_sender(as_sender(there.loop, [] { return sleep_for(1h); })));
    CHECK(limited.error() == errc::deadline_exceeded);
    beside stopped(loop, [&]() -> task<> {
      const auto got = co_await from_sender(as_sender(there.loop, [] { return sleep_for(1h); }));
      CHECK(got.error() == errc::canceled);
    });
    co_await yield();
    stopped.request_stop();
    co_await stopped.join();
  });
}

TEST_CASE("stdexec: a task that is destroyed while it awaits a sender stops it and waits for its end", "[threads]") {
  remote_loop there;
  event_loop loop;
  run(loop, [&]() -> task<> {
    std::atomic<bool> ended{false};
    std::atomic<bool> begun{false};
    {
      beside waiting(loop, [&]() -> task<> {
        auto sender = as_sender(there.loop, [&]() -> task<> {
          begun = true;
          (void)co_await sleep_for(1h);
          ended = true;
        });
        (void)co_await from_sender(std::move(sender));
      });
      while (!begun) co_await yield();
    }
    CHECK(ended);
  });
}

TEST_CASE("stdexec: outside of a loop a sender is not started") {
  int started = 0;
  const auto body = [&]() -> task<std::error_code> {
    auto sender = stdexec::just() | stdexec::then([&] { ++started; });
    const auto got = co_await from_sender(std::move(sender));
    co_return got.error();
  };
  auto one = body();
  one.handle().resume();
  CHECK(one.done());
  CHECK(one.handle().promise().take() == errc::wrong_thread);
  CHECK(started == 0);
}

}  // namespace

#else

TEST_CASE("stdexec: operations are senders, and senders are awaited") {
  SKIP("there is no <stdexec/execution.hpp>");
}

#endif
