#include "uring6/select.hpp"

#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/process/pipe.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/channel.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/task.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

enum class next { datagram, number, tick };

template <class A>
concept can_be_an_arm = requires(A&& awaited) {
  on<next::tick>(std::forward<A>(awaited));
};
static_assert(can_be_an_arm<decltype(sleep_for(1s))>);
// A read of a descriptor would lose octets in the race.
static_assert(!can_be_an_arm<decltype(fd::read(0, std::span<std::byte>()))>);
static_assert(can_be_an_arm<decltype(discarding(fd::read(0, std::span<std::byte>())))>);

TEST_CASE("select: tells by name which operation was the first, and gives its value") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    const endpoint self = test::name_of(pc);
    channel<int> numbers(1);
    std::array<std::byte, 64> buffer;
    std::string order;
    for (int round = 0; round < 3; ++round) {
      if (round == 0) {
        const auto sent = co_await pc.write_to("text", self);
        REQUIRE(sent);
      }
      if (round == 1) REQUIRE(numbers.try_send(7));
      const auto pause = round == 2 ? 1ms : std::chrono::milliseconds(test::patience);
      auto first = co_await select(on<next::datagram>(pc.read_from(buffer)), on<next::number>(numbers.receive()),
                                   on<next::tick>(sleep_for(pause)));
      switch (first.which()) {
        case next::datagram:
          REQUIRE(first.get<next::datagram>().has_value());
          order += test::as_text(first.get<next::datagram>()->payload);
          break;
        case next::number:
          order += std::to_string(first.get<next::number>().value_or(0));
          break;
        case next::tick:
          CHECK(first.get<next::tick>().has_value());
          order += "tick";
          break;
      }
    }
    CHECK(order == "text7tick");
  });
}

TEST_CASE("select: values of one type are told apart by name") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    channel<int> empty(1);
    channel<int> full(1);
    REQUIRE(full.try_send(9));
    enum class side { left, right };
    auto first = co_await select(on<side::left>(empty.receive()), on<side::right>(full.receive()));
    REQUIRE(first.is(side::right));
    CHECK(first.get<side::right>() == 9);
    CHECK(std::as_const(first).get<side::right>() == 9);
    static_assert(std::is_same_v<decltype(std::move(first).get<side::right>()), result<int>&&>);
  });
}

TEST_CASE("select: a value that is a variant itself is given whole") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    using either = std::variant<int, std::string>;
    const auto text = []() -> task<either> { co_return "text"; };
    enum class only { one };
    auto first = co_await select(on<only::one>(text()));
    static_assert(std::is_same_v<decltype(first.get<only::one>()), either&>);
    CHECK(std::get<std::string>(first.get<only::one>()) == "text");

    auto of_two = co_await select(on<next::number>(text()), on<next::tick>(text()));
    static_assert(std::is_same_v<decltype(of_two.get<next::tick>()), either&>);
    REQUIRE(of_two.is(next::number));
    CHECK(std::get<std::string>(of_two.get<next::number>()) == "text");
  });
}

TEST_CASE("select: what a loser has not taken stays, and a stop ends all") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    const endpoint self = test::name_of(pc);
    event set;
    set.set();
    std::array<std::byte, 64> buffer;
    const auto sent = co_await pc.write_to("kept", self);
    REQUIRE(sent);
    auto first = co_await select(on<next::tick>(set.wait()), on<next::datagram>(pc.read_from(buffer)));
    CHECK(first.is(next::tick));
    const auto kept = co_await pc.read_from(buffer);
    REQUIRE(kept.has_value());
    CHECK(test::as_text(kept->payload) == "kept");

    auto racing = select(on<next::tick>(sleep_for(test::patience)), on<next::datagram>(pc.read_from(buffer)));
    const auto stopped = co_await with_timeout(1ms, std::move(racing));
    if (stopped.is(next::tick)) {
      CHECK(stopped.get<next::tick>() == fail(errc::canceled));
    } else {
      CHECK(stopped.get<next::datagram>().error() == errc::canceled);
    }
  });
}

TEST_CASE("select: an exception of the first comes through") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto throws = []() -> task<int> {
      throw std::runtime_error("first");
      co_return 1;
    };
    bool thrown = false;
    try {
      (void)co_await select(on<next::number>(throws()), on<next::tick>(sleep_for(test::patience)));
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    CHECK(thrown);
  });
}

}  // namespace
}  // namespace uring6
