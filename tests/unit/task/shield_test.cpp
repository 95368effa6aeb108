#include "uring6/shield.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "uring6/event.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/listen.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/scope.hpp"
#include "uring6/stop.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_stop.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr auto no_limit = steady_clock::duration::max();

/// The loop's clock stands still while a task runs, so each duration here is exact.
loop_options simulated() {
  return {.clock = loop_clock::simulated};
}

struct outcome {
  std::error_code error;
  nanoseconds after;  // from the start of the body
};

/// Sleeps an hour and tells how that ended, and when.
task<outcome> sleep_an_hour() {
  const auto began = this_task::now();
  const auto slept = co_await sleep_for(1h);
  co_return outcome{slept ? std::error_code() : slept.error(), this_task::now() - began};
}

task<> keep(task<outcome> from, outcome& into) {
  into = co_await std::move(from);
}

task<> run_beside(task<> body, nanoseconds stop_after) {
  scope tasks;
  tasks.spawn(std::move(body));
  [[maybe_unused]] const auto slept = co_await sleep_for(stop_after);
  tasks.request_stop();
  co_await tasks.join();
}

/// Runs `body` in a scope of which a stop is requested after that time.
void run_and_stop(task<> body, nanoseconds stop_after) {
  event_loop loop(simulated());
  loop.run(run_beside(std::move(body), stop_after));
}

template <class Rep, class Period>
task<> sleep_in_shield(std::chrono::duration<Rep, Period> limit, outcome& into) {
  into = co_await shield(limit, sleep_an_hour());
}

TEST_CASE("shield: a stop reaches what runs in it when the limit has passed since the stop") {
  outcome got{};
  run_and_stop(sleep_in_shield(10s, got), 60s);
  CHECK(got.error == errc::canceled);
  CHECK(got.after == 70s);
}

TEST_CASE("shield: what ends before the limit ends as if there were no stop") {
  outcome got{};
  run_and_stop(sleep_in_shield(2h, got), 60s);
  CHECK_FALSE(got.error);
  CHECK(got.after == 1h);
}

TEST_CASE("shield: without a limit the stop is never seen") {
  outcome got{};
  run_and_stop(sleep_in_shield(no_limit, got), 60s);
  CHECK_FALSE(got.error);
  run_and_stop(sleep_in_shield(std::chrono::hours::max(), got), 60s);
  CHECK_FALSE(got.error);
}

TEST_CASE("shield: a limit of 0 or less holds nothing back") {
  outcome got{};
  run_and_stop(sleep_in_shield(0s, got), 60s);
  CHECK(got.error == errc::canceled);
  CHECK(got.after == 60s);
  run_and_stop(sleep_in_shield(-1h, got), 60s);
  CHECK(got.error == errc::canceled);
  CHECK(got.after == 60s);
}

TEST_CASE("shield: nothing ends without a stop request, not even at the limit") {
  event_loop loop(simulated());
  outcome got{};
  loop.run(sleep_in_shield(1s, got));
  CHECK_FALSE(got.error);
  CHECK(got.after == 1h);
}

task<> sleep_then_shield(outcome& into) {
  const auto slept = co_await sleep_for(1h);
  CHECK(slept.error() == errc::canceled);
  into = co_await shield(10s, sleep_an_hour());
}

TEST_CASE("shield: begun after the stop, it counts its limit from its begin") {
  outcome got{};
  run_and_stop(sleep_then_shield(got), 60s);
  CHECK(got.error == errc::canceled);
  CHECK(got.after == 10s);
}

TEST_CASE("shield: begun after the stop with a limit of 0, what runs in it finds the stop requested") {
  outcome got{};
  const auto body = [](outcome& into) -> task<> {
    (void)co_await sleep_for(1h);
    into = co_await shield(0s, sleep_an_hour());
  };
  run_and_stop(body(got), 60s);
  CHECK(got.error == errc::canceled);
  CHECK(got.after == 0s);
}

TEST_CASE("shield_until: shields in a row end together") {
  std::array<outcome, 3> got{};
  const auto body = [](std::array<outcome, 3>& into) -> task<> {
    const auto deadline = this_task::now() + 90s;
    into[0] = co_await shield_until(deadline, sleep_an_hour());
    into[1] = co_await shield_until(deadline, sleep_an_hour());
    into[2] = co_await shield_until(deadline + 5s, sleep_an_hour());
  };
  run_and_stop(body(got), 60s);
  for (const outcome& each : got) CHECK(each.error == errc::canceled);
  CHECK(got[0].after == 90s);
  CHECK(got[1].after == 0s);
  CHECK(got[2].after == 5s);
}

TEST_CASE("shield_until: the end of time is no limit") {
  outcome got{};
  const auto body = [](outcome& into) -> task<> {
    into = co_await shield_until(steady_clock::time_point::max(), sleep_an_hour());
  };
  run_and_stop(body(got), 60s);
  CHECK_FALSE(got.error);
}

TEST_CASE("shield: nested ones add up, and one without a limit holds for good") {
  outcome got{};
  const auto nested = [](outcome& into) -> task<> { into = co_await shield(3s, shield(2s, sleep_an_hour())); };
  run_and_stop(nested(got), 60s);
  CHECK(got.error == errc::canceled);
  CHECK(got.after == 65s);

  const auto inner_holds = [](outcome& into) -> task<> {
    into = co_await shield(3s, shield(no_limit, sleep_an_hour()));
  };
  run_and_stop(inner_holds(got), 60s);
  CHECK_FALSE(got.error);
  const auto outer_holds = [](outcome& into) -> task<> {
    into = co_await shield(no_limit, shield(0s, sleep_an_hour()));
  };
  run_and_stop(outer_holds(got), 60s);
  CHECK_FALSE(got.error);
}

TEST_CASE("shield: the token in it tells of the stop when the stop is seen, a token from before at once") {
  struct seen {
    bool outside = false;
    bool inside = false;
    bool inside_at_the_end = false;
  };
  seen got;
  const auto inner = [](seen& into, stop_token before) -> task<> {
    const stop_token own = co_await this_task::stop_token();
    CHECK_FALSE(before.stop_requested());
    const auto slept = co_await with_stop(before, sleep_for(1h));  // ends with the stop, also in the shield
    CHECK(slept.error() == errc::canceled);
    into.outside = before.stop_requested();
    into.inside = own.stop_requested();
    (void)co_await sleep_for(1h);
    into.inside_at_the_end = own.stop_requested();
  };
  const auto body = [&inner](seen& into) -> task<> {
    const stop_token before = co_await this_task::stop_token();
    co_await shield(10s, inner(into, before));
  };
  run_and_stop(body(got), 60s);
  CHECK(got.outside);
  CHECK_FALSE(got.inside);
  CHECK(got.inside_at_the_end);
}

TEST_CASE("shield: scopes and combinators in it hear of the stop when it does") {
  outcome in_scope{};
  outcome in_race{};
  const auto inner = [](outcome& first, outcome& second) -> task<> {
    scope follows(co_await this_task::stop_token());
    follows.spawn(keep(sleep_an_hour(), first));
    const auto [slept, raced] = co_await when_all(sleep_for(1h), with_timeout(2h, sleep_an_hour()));
    CHECK(slept.error() == errc::canceled);
    second = raced;
    co_await follows.join();
  };
  const auto body = [&inner](outcome& first, outcome& second) -> task<> { co_await shield(10s, inner(first, second)); };
  run_and_stop(body(in_scope, in_race), 60s);
  CHECK(in_scope.error == errc::canceled);
  CHECK(in_scope.after == 70s);
  CHECK(in_race.error == errc::canceled);
  CHECK(in_race.after == 70s);
}

TEST_CASE("shield: a lost race waits for the shield of the loser") {
  event_loop loop(simulated());
  const auto body = []() -> task<> {
    const auto began = this_task::now();
    const auto first = co_await when_any(sleep_for(1s), shield(10s, sleep_for(1h)));
    CHECK(first.index == 0);
    CHECK(this_task::now() - began == 11s);
  };
  loop.run(body());
}

TEST_CASE("shield: a timeout around it takes effect when the limit has passed, one in it as ever") {
  event_loop loop(simulated());
  const auto body = []() -> task<> {
    auto began = this_task::now();
    const auto outer = co_await with_timeout(1s, shield(10s, sleep_for(1h)));
    CHECK(outer.error() == errc::deadline_exceeded);
    CHECK(this_task::now() - began == 11s);
    began = this_task::now();
    const auto inner = co_await shield(10s, with_timeout(1s, sleep_for(1h)));
    CHECK(inner.error() == errc::deadline_exceeded);
    CHECK(this_task::now() - began == 1s);
  };
  loop.run(body());
}

TEST_CASE("shield: a stop of the loop waits for it, and run returns what it returns") {
  event_loop loop(simulated());
  const auto body = [](event_loop& on) -> task<nanoseconds> {
    const auto began = this_task::now();
    on.post([&on] { on.request_stop(); });
    const auto slept = co_await shield(10s, sleep_for(1h));
    CHECK(slept.error() == errc::canceled);
    co_return this_task::now() - began;
  };
  CHECK(loop.run(body(loop)) == 10s);
}

TEST_CASE("shield: the end of a loop, and of a frame, does not wait for it") {
  outcome got{errc::closed, 0s};
  bool destroyed = false;
  struct note {
    bool* to;
    ~note() { *to = true; }
  };
  const auto body = [](outcome& into, bool& end) -> task<> {
    const note at_end{&end};
    into = co_await shield(no_limit, sleep_an_hour());
  };
  {
    event_loop loop;
    scope tasks(loop);
    tasks.spawn(body(got, destroyed));
    for (int i = 0; i < 5; ++i) REQUIRE(loop.poll());
    CHECK_FALSE(destroyed);
    tasks.request_stop();
    for (int i = 0; i < 5; ++i) REQUIRE(loop.poll());
    CHECK_FALSE(destroyed);
  }
  CHECK(destroyed);
  CHECK(got.error == errc::closed);  // the sleep has not returned
}

TEST_CASE("shield: the drain of a group lets it end in time, and waits for it after its own limit", "[threads]") {
  loop_group group({.loops = 1});
  std::optional<bool> said_goodbye;
  const auto listen = [](std::optional<bool>& into) -> task<> {
    (void)co_await sleep_for(1h);
    const auto said = co_await shield(60s, sleep_for(10ms));
    into = said.has_value();
  };
  REQUIRE(group.spawn_listener(0, [&] { return listen(said_goodbye); }));
  CHECK(group.drain(60s));
  CHECK(said_goodbye == true);

  loop_group late({.loops = 1});
  said_goodbye.reset();
  const auto work = [](std::optional<bool>& into) -> task<> {
    const auto said = co_await shield(60s, sleep_for(50ms));
    into = said.has_value();
  };
  REQUIRE(late.spawn_on(0, [&] { return work(said_goodbye); }));
  CHECK_FALSE(late.drain(0s));
  CHECK(said_goodbye == true);
}

TEST_CASE("shield: hears of a stop that another thread requests", "[threads]") {
  event_loop loop;
  stop_source source;
  const auto body = [](stop_source& from) -> task<> {
    std::jthread other([&from] { from.request_stop(); });
    const auto stopped = co_await with_stop(from.get_token(), shield(1ms, sleep_for(1h)));
    CHECK(stopped.error() == errc::canceled);
    const auto held = co_await with_stop(from.get_token(), shield(1h, sleep_for(1ms)));
    CHECK(held.has_value());
  };
  loop.run(body(source));
}

TEST_CASE("shield: a stop that a task in it requests of the outside reaches it after the limit") {
  event_loop loop(simulated());
  const auto inner = [](stop_source& from) -> task<outcome> {
    from.request_stop();
    const auto ended = co_await sleep_an_hour();
    co_return ended;
  };
  const auto body = [&inner]() -> task<> {
    stop_source source;
    const auto ended = co_await with_stop(source.get_token(), shield(3s, inner(source)));
    CHECK(ended.error == errc::canceled);
    CHECK(ended.after == 3s);
  };
  loop.run(body());
}

TEST_CASE("shield: a write in it leaves, and a read keeps its datagram, although a stop was requested") {
  need_ipv6();
  event_loop loop;
  auto pc = listen_packet(loop, "udp6", "[::1]:0").value();
  const auto body = [](packet_conn& on, event_loop& in) -> task<> {
    const endpoint self = on.local_endpoint().value();
    std::array<std::byte, 16> buffer;
    in.request_stop();
    const auto refused = co_await on.write_to("?", self);
    CHECK(refused.error() == errc::canceled);
    const auto sent = co_await shield(60s, on.write_to("bye", self));
    CHECK(sent == 3U);
    const auto got = co_await shield(60s, on.read_from(buffer));
    REQUIRE(got);
    CHECK(got->payload.size() == 3);
  };
  loop.run(body(pc, loop));
}

TEST_CASE("shield: exceptions and values that can only be moved come through") {
  event_loop loop;
  const auto make = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  const auto thrower = []() -> task<> {
    (void)co_await sleep_for(0s);
    throw std::runtime_error("inside");
  };
  const auto body = [&]() -> task<> {
    const auto seven = co_await shield(1s, make());
    CHECK(*seven == 7);
    co_await shield(1s, thrower());
  };
  CHECK_THROWS_AS(loop.run(body()), std::runtime_error);
}

TEST_CASE("shield: is a value until it is awaited, once") {
  event_loop loop;
  const auto body = []() -> task<> {
    auto later = shield(1s, sleep_for(0s));
    auto moved = std::move(later);
    const auto slept = co_await std::move(moved);
    CHECK(slept);
    bool thrown = false;
    try {
      (void)co_await std::move(moved);
    } catch (const std::logic_error&) {
      thrown = true;
    }
    CHECK(thrown);
  };
  loop.run(body());
}

TEST_CASE("shield: allocates nothing once its frames are allocated, also when the stop comes") {
  event_loop loop;
  run(loop, []() -> task<> {
    const auto round = []() -> task<> {
      const auto kept = co_await shield(1h, sleep_for(0s));
      CHECK(kept);
      const auto late = co_await with_timeout(0s, shield(0s, sleep_for(1h)));
      CHECK(late.error() == errc::deadline_exceeded);
      const auto held = co_await with_timeout(0s, shield(1ms, sleep_for(1h)));
      CHECK(held.error() == errc::deadline_exceeded);
    };
    for (int i = 0; i < 5; ++i) co_await round();
    const allocation_count before;
    for (int i = 0; i < 20; ++i) co_await round();
    CHECK(before.since() == 0);
  });
}

}  // namespace
