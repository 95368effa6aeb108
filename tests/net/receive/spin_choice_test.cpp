// The spinner's choice: which conns the loop reads by a spun read, and which by the ring. The ring is faster for
// streams, and no conn is forgotten.

#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/case/spinning.hpp"
#include "support/process/forked.hpp"
#include "uring6/descriptor.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

// One enter of the ring takes in many datagrams.
TEST_CASE(
    "a spinning loop leaves a stream to the ring, and reads the conn itself again once it is thin, without loss") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop, {.receive_offload = false});
    plain_sender from(name_of(to));
    std::array<std::byte, 64> buffer;
    std::uint64_t number = 0;
    std::uint64_t expected = 0;
    for (int round = 0; round < 3; ++round) {
      const numbers before = counted(loop);
      constexpr std::uint64_t burst = 100;
      for (std::uint64_t i = 0; i < burst; ++i) from.send(numbered(number++));
      for (std::uint64_t i = 0; i < burst; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == expected++);
      }
      CHECK(counted(loop).looks - before.looks < burst / 4);
      for (int i = 0; i < 30; ++i) {
        const bool got = co_await gets_one(loop, to, from, number++);
        REQUIRE(got);
        ++expected;
      }
      const numbers thin = counted(loop);
      for (int i = 0; i < 5; ++i) {
        const bool got = co_await gets_one(loop, to, from, number++);
        REQUIRE(got);
        ++expected;
      }
      CHECK(counted(loop).submissions == thin.submissions);
      CHECK(counted(loop).looks > thin.looks);
    }
    CHECK(to.stats().kernel_drops == 0);
    CHECK(to.stats().received_datagrams == expected);
  });
  check_buffers(loop);
}

TEST_CASE("after a spin without news the ring reads, and the loop sleeps until a datagram comes", "[threads]") {
  event_loop loop(loop_options{.spin = 50us});
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::array<std::byte, 64> buffer;
    for (std::uint64_t i = 0; i < 10; ++i) {
      bool sent = false;
      std::thread sender([&] {
        std::this_thread::sleep_for(3ms);
        sent = from.try_send(numbered(i));
      });
      const auto got = co_await to.read_from(buffer);
      sender.join();
      CHECK(sent);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
    }
    CHECK(loop.stats().idle_spins > 0);
    CHECK(loop.stats().looks > 0);
  });
  check_buffers(loop);
}

/// Conns with readers that count their datagrams.
class served_conns {
 public:
  served_conns(event_loop& loop, std::size_t count) : seen_(count) {
    for (std::size_t i = 0; i < count; ++i) conns_.push_back(open_conn(loop));
    for (std::size_t i = 0; i < count; ++i) {
      senders_.emplace_back(name_of(conns_[i]));
      readers_.push_back(std::make_unique<beside>(loop, serve(i)));
    }
  }
  ~served_conns() {
    for (packet_conn& each : conns_) each.close();
  }

  task<> send_to(std::size_t which) {
    const auto slept = co_await sleep_for(50us);
    CHECK(slept);
    senders_[which].send("x");
  }

  bool all_have(std::uint64_t count) const {
    return std::ranges::all_of(seen_, [count](auto each) { return each == count; });
  }
  std::uint64_t seen(std::size_t which) const { return seen_[which]; }

 private:
  task<> serve(std::size_t which) {
    std::array<std::byte, 64> buffer;
    for (;;) {
      const auto got = co_await conns_[which].read_from(buffer);
      if (!got) co_return;
      ++seen_[which];
    }
  }

  std::vector<packet_conn> conns_;
  std::vector<plain_sender> senders_;
  std::vector<std::uint64_t> seen_;
  std::vector<std::unique_ptr<beside>> readers_;
};

TEST_CASE("a spinning loop reads four conns itself, and the ring reads all others") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    constexpr std::size_t count = 10;
    served_conns conns(loop, count);
    for (std::uint64_t round = 1; round <= 40; ++round) {
      for (std::size_t i = count; i-- > 0;) co_await conns.send_to(i);
      for (int i = 0; i < 1000 && !conns.all_have(round); ++i) co_await sleep_for(50us);
      REQUIRE(conns.all_have(round));
    }
    for (int i = 0; i < 1000 && in_ring(loop) != own + count - 4; ++i) co_await sleep_for(50us);
    CHECK(in_ring(loop) == own + count - 4);
  });
  check_buffers(loop);
}

TEST_CASE("a conn without datagrams is left to the ring while other conns have some") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    served_conns conns(loop, 2);
    const auto both_looked_at = [&] { return in_ring(loop) == own && conns.seen(0) > 0 && conns.seen(1) > 0; };
    for (std::size_t i = 0; i < 1000 && !both_looked_at(); ++i) co_await conns.send_to(i % 2);
    REQUIRE(both_looked_at());
    for (int i = 0; i < 1000 && in_ring(loop) == own; ++i) co_await conns.send_to(0);
    CHECK(in_ring(loop) == own + 1);
    const auto before = conns.seen(1);
    co_await conns.send_to(1);
    for (int i = 0; i < 1000 && conns.seen(1) == before; ++i) co_await sleep_for(50us);
    CHECK(conns.seen(1) == before + 1);
  });
  check_buffers(loop);
}

TEST_CASE("a loop that spins but never waits, or is driven from outside, reads by the ring") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::array<std::byte, 64> buffer;
    bool got = false;
    beside reading(loop, [&]() -> task<> {
      const auto read = co_await to.read_from(buffer);
      got = read && as_text(read->payload) == "at work";
    });
    for (int i = 0; i < 20; ++i) co_await yield();
    const numbers before = counted(loop);
    CHECK(before.looks > 0);  // before the loop knows that it never waits
    for (int i = 0; i < 20; ++i) co_await yield();
    CHECK(counted(loop).looks == before.looks);
    from.send("at work");
    co_await until([&] { return got; });
    CHECK(got);
  });

  auto to = open_conn(loop);
  plain_sender from(name_of(to));
  bool got = false;
  std::array<std::byte, 64> buffer;
  beside reading(loop, [&]() -> task<> {
    const auto read = co_await to.read_from(buffer);
    got = read && as_text(read->payload) == "a turn";
  });
  for (int i = 0; i < 3; ++i) REQUIRE(loop.core()->run_once());
  from.send("a turn");
  for (int i = 0; i < 100 && !got; ++i) REQUIRE(loop.core()->run_once());
  CHECK(got);
}

// Each wait of the loop ends at once here.
TEST_CASE("a coroutine whose operations complete at once does not keep a spinning loop from its other conns") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    const file_descriptor always(::eventfd(1, EFD_CLOEXEC));
    bool done = false;
    beside greedy(loop, [&]() -> task<> {
      while (!done) {
        const auto ready = co_await fd::poll(always.get(), poll_events::readable);
        REQUIRE(ready);
      }
    });
    std::array<std::byte, 64> buffer;
    for (std::uint64_t i = 0; i < 50; ++i) {
      from.send(numbered(i));
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
    CHECK(loop.stats().looks > 0);
    done = true;
    const bool ended = co_await greedy.join();
    CHECK(ended);
  });
}

TEST_CASE("a system call that a seccomp filter refuses to the spin is left to the ring") {
  struct refused {
    long call;
    int error_number;
    bool dialed;
  };
  for (const auto& [call, error_number, dialed] :
       {refused{SYS_recvmsg, EPERM, false}, refused{SYS_recvmsg, ENOSYS, false}, refused{SYS_recvfrom, EPERM, true}}) {
    CAPTURE(call, error_number);
    const std::string report = in_child([&] {
      event_loop loop(spins);
      run(loop, [&]() -> task<> {
        auto other = open_conn(loop);
        auto to = dialed ? dial(loop, name_of(other), {.receive_offload = false}) : open_conn(loop);
        const endpoint there = name_of(to);
        forbid_system_call(call, error_number);
        forbid_system_call(SYS_sendmsg, error_number);
        std::array<std::byte, 64> buffer;
        for (std::uint64_t i = 0; i < 40; ++i) {
          beside sending(loop, [&]() -> task<> {
            const auto slept = co_await sleep_for(100us);
            const auto sent = co_await other.write_to(numbered(i), there);
            if (!slept || !sent) throw std::runtime_error("not sent");
          });
          const auto got = co_await to.read_from(buffer);
          if (!got || number_in(got->payload) != i) throw std::runtime_error("not received");
          co_await sending.join();
        }
      });
      return std::to_string(loop.stats().looks);
    });
    CHECK(report == "1");
  }
}

// Two readers of the socket could hand out a later datagram before an earlier one.
TEST_CASE("a conn is read by a spin or by the ring, never by both at once") {
  for (int turns = 0; turns < 10; ++turns) {
    CAPTURE(turns);
    event_loop loop(spins);
    run(loop, [&]() -> task<> {
      auto to = open_conn(loop);
      while (in_ring(loop) < own) co_await sleep_for(50us);
      const auto read = [&]() -> task<> {
        std::array<std::byte, 64> buffer;
        const auto got = co_await to.read_from(buffer);
        CHECK(got.error() == errc::closed);
      };
      beside one(loop, read);
      for (int i = 0; i < turns; ++i) co_await yield();
      beside two(loop, read);
      co_await yield();
      const auto looks = loop.stats().looks;
      co_await sleep_for(100us);
      CHECK((loop.stats().looks > looks) != (in_ring(loop) > own));
      to.close();
      for (beside* const each : {&one, &two}) {
        const bool ended = co_await each->join();
        CHECK(ended);
      }
    });
  }
}

TEST_CASE("a spin reads nothing while the kernel has all buffers") {
  event_loop loop(loop_options{.receive_buffers = 16, .spin = 2s});
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    for (std::uint64_t i = 0; i < 50; ++i) {
      const bool got = co_await gets_one(loop, to, from, i);
      REQUIRE(got);
    }
    CHECK(loop.stats().looks == 0);
    CHECK(to.stats().rearms == 0);
  });
}

}  // namespace
