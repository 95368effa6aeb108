#include "uring6/channel.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/case/counted.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;
using uring6::test::counted;

namespace uring6 {
namespace {

task<> send_numbers(channel<int>& to, int from, int count) {
  for (int i = 0; i < count; ++i) {
    const int number = from + i;
    const auto sent = co_await to.send(number);
    or_throw(sent);
  }
}

// Collects the values in the order of arrival, until the channel is closed.
task<> collect(channel<int>& from, std::vector<int>& into) {
  for (;;) {
    const auto got = co_await from.receive();
    if (!got) co_return;
    into.push_back(*got);
  }
}

}  // namespace

TEST_CASE("channel: delivers each value once, in order, through a small buffer") {
  event_loop loop;
  channel<int> numbers(3);
  std::vector<int> got;
  auto send_and_close = [&]() -> task<> {
    co_await send_numbers(numbers, 0, 1000);
    numbers.close();
  };
  auto body = [&]() -> task<> {
    scope both;
    both.spawn(collect(numbers, got));
    both.spawn(send_and_close());
    co_await both.join();
  };
  loop.run(body());
  REQUIRE(got.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(got[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("channel: a sender waits while the channel is full") {
  event_loop loop;
  channel<int> numbers(2);
  auto body = [&]() -> task<> {
    scope senders;
    senders.spawn(send_numbers(numbers, 0, 5));
    co_await sleep_for(1ms);
    CHECK(numbers.size() == 2);
    CHECK(senders.running() == 1);
    for (int i = 0; i < 5; ++i) {
      const auto got = co_await numbers.receive();
      CHECK(got == i);
    }
    co_await senders.join();
  };
  loop.run(body());
}

TEST_CASE("channel: values in it at close are received, then receives give closed") {
  event_loop loop;
  channel<int> numbers(2);
  auto body = [&]() -> task<> {
    scope senders;
    result<void> waiting_send;
    auto one_too_many = [&]() -> task<> {
      const int number = 3;
      waiting_send = co_await numbers.send(number);
    };
    CHECK(numbers.try_send(1));
    CHECK(numbers.try_send(2));
    CHECK_FALSE(numbers.try_send(3));
    senders.spawn(one_too_many());
    co_await sleep_for(0s);
    numbers.close();
    CHECK_FALSE(numbers.is_open());
    co_await senders.join();
    CHECK(waiting_send.error() == errc::closed);

    const int late = 4;
    const auto sent = co_await numbers.send(late);
    CHECK(sent.error() == errc::closed);
    const auto first = co_await numbers.receive();
    CHECK(first == 1);
    CHECK_FALSE(numbers.try_send(5));
    CHECK(numbers.try_receive() == 2);
    CHECK_FALSE(numbers.try_receive().has_value());
    const auto none = co_await numbers.receive();
    CHECK(none.error() == errc::closed);
  };
  loop.run(body());
}

TEST_CASE("channel: close wakes a receiver, and refuses a sender that has a place reserved but has not resumed") {
  event_loop loop;
  channel<int> numbers(1);
  auto body = [&]() -> task<> {
    result<int> received;
    result<void> sent;
    auto receive = [&]() -> task<> { received = co_await numbers.receive(); };
    auto send = [&]() -> task<> {
      const int number = 2;
      sent = co_await numbers.send(number);
    };
    scope both;
    CHECK(numbers.try_send(1));
    both.spawn(send());
    co_await sleep_for(0s);
    CHECK(numbers.try_receive() == 1);
    numbers.close();
    both.spawn(receive());
    co_await both.join();
    CHECK(sent.error() == errc::closed);
    CHECK(received.error() == errc::closed);
  };
  loop.run(body());
}

TEST_CASE("channel: a value that was not sent is returned to the sender") {
  event_loop loop;
  channel<std::unique_ptr<int>> owners(1);
  auto body = [&]() -> task<> {
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    const auto sent = co_await owners.send(std::move(first));
    CHECK(sent.has_value());
    CHECK(first == nullptr);
    const auto timed_out = co_await with_timeout(1ms, owners.send(std::move(second)));
    CHECK(timed_out.error() == errc::deadline_exceeded);
    REQUIRE(second != nullptr);
    CHECK_FALSE(owners.try_send(std::move(second)));
    REQUIRE(second != nullptr);
    auto got = co_await owners.receive();
    REQUIRE(got.has_value());
    CHECK(**got == 1);
    owners.close();
    const auto closed = co_await owners.send(std::move(second));
    CHECK(closed.error() == errc::closed);
    CHECK(*second == 2);
  };
  loop.run(body());
}

TEST_CASE("channel: values that own memory are destroyed once, also those that were not received") {
  event_loop loop;
  {
    channel<std::shared_ptr<counted>> values(4);
    auto body = [&]() -> task<> {
      for (int i = 0; i < 6; ++i) {
        const auto sent = co_await values.send(std::make_shared<counted>());
        CHECK(sent.has_value());
        if (i % 2 == 0) {
          auto got = co_await values.receive();
          CHECK(got->use_count() == 1);
        }
      }
    };
    loop.run(body());
    CHECK(counted::alive == 3);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("channel: a receive that is stopped takes nothing, neither before a value is reserved for it nor after") {
  event_loop loop;
  channel<int> numbers(4);
  std::vector<int> got;
  auto body = [&]() -> task<> {
    const auto none = co_await with_timeout(1ms, numbers.receive());
    CHECK(none.error() == errc::deadline_exceeded);

    scope stopped;
    stopped.spawn(collect(numbers, got));
    co_await sleep_for(0s);
    CHECK(numbers.try_send(1));  // a value is reserved for it,
    stopped.request_stop();      // and the stop comes before it resumes
    co_await stopped.join();
    CHECK(got.empty());
    CHECK(numbers.try_receive() == 1);
  };
  loop.run(body());
}

TEST_CASE("channel: when_any of a receive and a timer loses no value") {
  constexpr int count = 20'000;
  event_loop loop;
  channel<int> numbers(4);
  int timeouts = 0;
  auto sender = [&]() -> task<> {
    for (int i = 0; i < count; ++i) {
      const auto sent = co_await numbers.send(i);
      or_throw(sent);
      if (i % 16 == 0) co_await sleep_for(1us);
    }
  };
  auto body = [&]() -> task<> {
    scope senders;
    senders.spawn(sender());
    for (int expected = 0; expected < count;) {
      const auto first = co_await when_any(numbers.receive(), sleep_for(0s));
      if (first.index == 1) {
        ++timeouts;
      } else if (*std::get<0>(first.value) != expected++) {
        throw std::runtime_error("a value is missing");
      }
    }
    co_await senders.join();
  };
  loop.run(body());
  CHECK(timeouts > 0);
}

TEST_CASE("channel: refuses a capacity of 0") {
  CHECK_THROWS_AS(channel<int>(0), std::invalid_argument);
}

TEST_CASE("channel: a receiver that always finds a value lets other coroutines run") {
  event_loop loop(loop_options{.budget = 8});
  channel<int> numbers(1000);
  for (int i = 0; i < 1000; ++i) CHECK(numbers.try_send(int{i}));
  bool other_ran = false;
  auto other = [&]() -> task<> {
    other_ran = true;
    co_return;
  };
  auto body = [&]() -> task<> {
    scope others;
    others.spawn(other());
    for (int i = 0; i < 100; ++i) {
      const auto got = co_await numbers.receive();
      CHECK(got == i);
    }
    CHECK(other_ran);
    co_await others.join();
  };
  loop.run(body());
}

TEST_CASE("channel: between loops, each value is received once", "[threads]") {
  constexpr int per_sender = 5'000;
  channel<int> numbers(8);
  std::vector<int> got;
  std::thread other([&] {
    event_loop loop;
    auto body = [&]() -> task<> {
      scope senders;
      for (int i = 0; i < 4; ++i) senders.spawn(send_numbers(numbers, i * per_sender, per_sender));
      co_await senders.join();
    };
    loop.run(body());
  });
  event_loop loop;
  auto body = [&]() -> task<> {
    while (got.size() < std::size_t{4} * per_sender) {
      const auto first = co_await when_any(numbers.receive(), sleep_for(5us));
      if (first.index == 0) got.push_back(*std::get<0>(first.value));
    }
  };
  loop.run(body());
  other.join();
  std::vector<int> seen(std::size_t{4} * per_sender);
  for (const int number : got) ++seen[static_cast<std::size_t>(number)];
  for (const int times : seen) CHECK(times == 1);
  CHECK(numbers.size() == 0);
}

TEST_CASE("channel: a thread without a loop may fill and drain it", "[threads]") {
  constexpr int count = 5'000;
  channel<int> there(4);
  channel<int> back(4);
  std::thread plain([&] {
    for (int sent = 0, received = 0; received < count;) {
      if (sent < count && there.try_send(int{sent})) ++sent;
      if (const auto got = back.try_receive()) {
        if (*got != received++) throw std::runtime_error("a value is missing");
      }
    }
  });
  event_loop loop;
  auto body = [&]() -> task<> {
    for (int i = 0; i < count; ++i) {
      auto got = co_await there.receive();
      const auto sent = co_await back.send(std::move(*got));
      CHECK(sent.has_value());
    }
  };
  loop.run(body());
  plain.join();
}

}  // namespace uring6
