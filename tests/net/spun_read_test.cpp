// Reads of a loop that spins: it asks the socket itself, and nothing of what a read gives, or ends with, is different.

#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/allocations.hpp"
#include "support/conns.hpp"
#include "support/coroutines.hpp"
#include "support/forked.hpp"
#include "support/plain_sender.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

const loop_options spins{.spin = 2s};

/// Sends when the loop has spun for a while.
task<> later(plain_sender& from, std::span<const std::byte> payload) {
  const auto slept = co_await sleep_for(100us);
  CHECK(slept);
  from.send(payload);
}

/// One datagram of `to`'s peer, which the loop waits for.
task<bool> gets_one(event_loop& loop, packet_conn& to, plain_sender& from, std::uint64_t number) {
  std::array<std::byte, 64> buffer;
  const numbered payload(number);
  beside sending(loop, later(from, payload));
  const auto got = co_await to.read_from(buffer);
  const bool sent = co_await sending.join();
  co_return sent&& got&& number_in(got->payload) == number;
}

struct numbers {
  std::uint64_t looks = 0;
  std::uint64_t submissions = 0;
};
numbers counted(const event_loop& loop) {
  const auto stats = loop.stats();
  return {stats.looks, stats.submissions};
}

/// How many operations are the kernel's: reads that are armed, and from its first wait on one of the loop's `own`.
std::size_t in_ring(const event_loop& loop) {
  return loop.core()->ring().in_flight();
}
constexpr std::size_t own = 1;

/// What is in no buffer: after the conns have gone all are back.
void check_buffers(const event_loop& loop) {
  for (const auto& pool : loop.core()->pool_statistics()) CHECK(pool.in_use == 0);
}

TEST_CASE("a loop that spins reads the socket itself, one that does not never") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::uint64_t number = 0;
    do {
      const bool warm = co_await gets_one(loop, to, from, number++);
      REQUIRE(warm);
    } while (in_ring(loop) < own);
    const numbers before = counted(loop);
    for (int i = 0; i < 50; ++i) {
      const bool got = co_await gets_one(loop, to, from, number++);
      REQUIRE(got);
    }
    CHECK(counted(loop).submissions == before.submissions);
    CHECK(counted(loop).looks >= before.looks + 50);
    CHECK(to.stats().received_datagrams == number);
    CHECK(to.stats().rearms == 0);
  });
  check_buffers(loop);

  event_loop plain;
  run(plain, [&]() -> task<> {
    auto to = open_conn(plain);
    plain_sender from(name_of(to));
    const bool got = co_await gets_one(plain, to, from, 0);
    REQUIRE(got);
    CHECK(counted(plain).looks == 0);
    CHECK(counted(plain).submissions > 0);
  });
}

// The same datagrams, read with a spin and without one.
TEST_CASE("what a spinning loop reads is what the ring would have given") {
  struct seen {
    std::string text;
    control_message control;
    endpoint source;
    bool truncated;
    std::size_t full_length;
  };
  const std::string longer_than_a_small_buffer(3000, 'x');
  const auto read_all = [&](const loop_options& options, bool dialed) {
    std::vector<seen> all;
    event_loop loop(options);
    run(loop, [&]() -> task<> {
      const packet_options small{.receive_offload = false, .longest_datagram = 1000};
      auto other = open_conn(loop);
      auto to = dialed ? dial(loop, name_of(other), small) : open_conn(loop, small);
      if (!dialed) REQUIRE(to.set_control_message(all_control, true));
      const endpoint there = name_of(to);
      std::array<std::byte, 16> buffer;
      for (const std::string& text :
           {std::string("one"), std::string(), longer_than_a_small_buffer, std::string("last")}) {
        beside sending(loop, [&]() -> task<> {
          const auto slept = co_await sleep_for(100us);
          CHECK(slept);
          const auto sent = co_await other.write_to(as_payload(text), there);
          CHECK(sent);
        });
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        CHECK(got->source == name_of(other));
        all.push_back(
            {std::string(as_text(got->payload)), got->control, got->source, got->truncated, got->full_length});
        const bool sent = co_await sending.join();
        CHECK(sent);
      }
      CHECK((loop.stats().looks > 0) == (options.spin > 0us));
      CHECK(to.stats().malformed == 0);
    });
    check_buffers(loop);
    return all;
  };
  for (const bool dialed : {false, true}) {
    CAPTURE(dialed);
    const auto spun = read_all(spins, dialed);
    const auto told = read_all({}, dialed);
    REQUIRE(spun.size() == told.size());
    for (std::size_t i = 0; i < spun.size(); ++i) {
      CAPTURE(i);
      CHECK(spun[i].text == told[i].text);
      CHECK(spun[i].control.traffic_class == told[i].control.traffic_class);
      CHECK(spun[i].control.hop_limit == told[i].control.hop_limit);
      CHECK(spun[i].control.destination == told[i].control.destination);
      CHECK(spun[i].control.interface_index == told[i].control.interface_index);
      CHECK(spun[i].truncated == told[i].truncated);
      CHECK(spun[i].full_length == told[i].full_length);
    }
  }
}

TEST_CASE("a spinning loop takes a train apart, and lends it") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::vector<std::byte> train;
    for (std::uint64_t i = 0; i < 40; ++i) {
      const numbered each(i);
      train.insert(train.end(), each.bytes.begin(), each.bytes.end());
    }
    const auto send_train = [&]() -> task<> {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      from.send_train(train, 8);
    };
    const numbers before = counted(loop);
    std::array<std::byte, 64> buffer;
    {
      beside sending(loop, send_train);
      for (std::uint64_t i = 0; i < 40; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
      }
    }
    datagram_batch batch;
    beside sending(loop, send_train);
    const auto count = co_await to.receive(batch);
    REQUIRE(count);
    CHECK(*count == 40);
    std::uint64_t next = 0;
    for (const datagram& each : batch) CHECK(number_in(each.payload) == next++);
    CHECK(next == 40);
    CHECK(to.stats().received_trains == 2);
    CHECK(counted(loop).looks > before.looks);
  });
  check_buffers(loop);
}

// The ring takes in many at once.
TEST_CASE(
    "a spinning loop leaves a stream to the ring, and looks itself again when it has become thin: nothing is lost") {
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

TEST_CASE("after a spin in vain the ring tells, and the loop sleeps until then", "[threads]") {
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

TEST_CASE("whoever waits while a loop spins is reached by a stop, a deadline and the end of the conn") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::array<std::byte, 64> buffer;
    std::error_code outcome;
    const auto read = [&]() -> task<> {
      const auto got = co_await to.read_from(buffer);
      outcome = got ? std::error_code{} : got.error();
    };
    {
      beside reading(loop, read);
      const auto slept = co_await sleep_for(200us);
      CHECK(slept);
      reading.request_stop();
      const bool ended = co_await reading.join();
      CHECK(ended);
      CHECK(outcome == std::errc::operation_canceled);
    }
    // Nobody waits now: nobody looks, and what comes is the next reader's.
    const auto looks = loop.stats().looks;
    from.send("kept");
    const auto slept = co_await sleep_for(200us);
    CHECK(slept);
    CHECK(loop.stats().looks == looks);
    const auto kept = co_await to.read_from(buffer);
    REQUIRE(kept);
    CHECK(as_text(kept->payload) == "kept");

    REQUIRE(to.set_read_deadline(std::chrono::steady_clock::now() + 300us));
    co_await read();
    CHECK(outcome == errc::deadline_exceeded);
    REQUIRE(to.set_read_deadline({}));
    const bool got = co_await gets_one(loop, to, from, 7);
    CHECK(got);

    beside reading(loop, read);
    const auto waited = co_await sleep_for(200us);
    CHECK(waited);
    to.close();
    const bool ended = co_await reading.join();
    CHECK(ended);
    CHECK(outcome == errc::closed);
  });
  CHECK(loop.stats().looks > 0);
  check_buffers(loop);
}

TEST_CASE("an answer of the network reaches whoever waits while a loop spins, and the next one reads on") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto gone = open_conn(loop);
    const endpoint there = name_of(gone);
    auto to = dial(loop, there);
    gone.close();
    std::array<std::byte, 64> buffer;
    beside writing(loop, [&]() -> task<> {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      const auto sent = co_await to.write(as_payload("to nobody"));
      CHECK(sent);
    });
    const auto refused = co_await to.read_from(buffer);
    CHECK(refused.error() == std::errc::connection_refused);
    const bool ended = co_await writing.join();
    CHECK(ended);

    gone = or_throw(listen_packet(loop, "udp6", there.to_string()));
    beside again(loop, [&]() -> task<> {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      const auto sent = co_await gone.write_to(as_payload("back"), name_of(to));
      CHECK(sent);
    });
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "back");
  });
  check_buffers(loop);
}

TEST_CASE("several who wait for one conn are served one after the other while a loop spins") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::vector<std::uint64_t> order;
    const auto read = [&]() -> task<> {
      std::array<std::byte, 64> buffer;
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      order.push_back(number_in(got->payload));
    };
    beside one(loop, read);
    beside two(loop, read);
    beside three(loop, read);
    for (std::uint64_t i = 0; i < 3; ++i) {
      const auto slept = co_await sleep_for(100us);
      CHECK(slept);
      from.send(numbered(i));
    }
    const bool ended = co_await three.join();
    CHECK(ended);
    CHECK(order == std::vector<std::uint64_t>{0, 1, 2});
    CHECK(to.stats().rearms == 0);
  });
  check_buffers(loop);
}

/// Conns whose readers count what they get.
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

TEST_CASE("a spinning loop looks at four conns, and forgets none of the others") {
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

TEST_CASE("a conn that has nothing while others have is left to the ring") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    served_conns conns(loop, 2);
    for (int i = 0; i < 1000 && (in_ring(loop) != own || conns.seen(1) == 0); ++i) co_await conns.send_to(1);
    REQUIRE(in_ring(loop) == own);  // the loop looks at both
    for (int i = 0; i < 1000 && in_ring(loop) == own; ++i) co_await conns.send_to(0);
    CHECK(in_ring(loop) == own + 1);
    const auto before = conns.seen(1);
    co_await conns.send_to(1);
    for (int i = 0; i < 1000 && conns.seen(1) == before; ++i) co_await sleep_for(50us);
    CHECK(conns.seen(1) == before + 1);
  });
  check_buffers(loop);
}

// Of which each wait of the loop ends at once.
TEST_CASE("a coroutine whose operations complete at once does not keep a spinning loop from its conns") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    const file_descriptor always(::eventfd(1, EFD_CLOEXEC));
    bool done = false;
    beside greedy(loop, [&]() -> task<> {
      while (!done) {
        const auto ready = co_await poll(always.get(), poll_events::readable);
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
    done = true;
    const bool ended = co_await greedy.join();
    CHECK(ended);
  });
}

TEST_CASE("what a filter of system calls refuses, a spinning loop asks of the ring") {
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

// Else a later datagram could be handed out before an earlier one.
TEST_CASE("a conn is read by a spin or by the ring, never by both") {
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
      const bool ended = co_await one.join() && co_await two.join();
      CHECK(ended);
    });
  }
}

TEST_CASE("a conn that is closed while a loop spins has given its buffer back") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    std::array<std::byte, 64> buffer;
    beside reading(loop, [&]() -> task<> {
      const auto got = co_await to.read_from(buffer);
      CHECK(got.error() == errc::closed);
    });
    const auto drawn = [&] { return loop.pools()[1].in_use; };
    for (int i = 0; i < 1000 && drawn() == 0; ++i) co_await sleep_for(50us);
    CHECK(drawn() == 1);
    to.close();
    CHECK(drawn() == 0);
    const bool ended = co_await reading.join();
    CHECK(ended);
  });
}

TEST_CASE("a spinning loop whose kernel has all the buffers leaves them to it") {
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

TEST_CASE("answers of a spinning loop allocate nothing, and do without the ring") {
  event_loop loop(spins);
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop, {.coalesce_writes = true});
    REQUIRE(server.set_control_message(all_control, true));
    plain_sender client(name_of(server));
    beside serving(loop, [&]() -> task<> {
      std::array<std::byte, 64> buffer;
      for (;;) {
        const auto got = co_await server.read_from(buffer);
        if (!got) co_return;
        const auto sent = co_await server.write_to(got->payload, got->control.reply(), got->source);
        REQUIRE(sent);
      }
    });
    const auto ask = [&](int count) -> task<> {
      for (int i = 0; i < count; ++i) {
        client.send("asked");
        const auto slept = co_await sleep_for(50us);
        CHECK(slept);
      }
    };
    co_await ask(20);
    const numbers counts = counted(loop);
    const allocation_count before;
    co_await ask(100);
    CHECK(before.since() <= 1);  // the frame of `ask`
    CHECK(counted(loop).looks > counts.looks);
    CHECK(counted(loop).submissions == counts.submissions);
    CHECK(server.stats().sent_datagrams == 120);
    server.close();
    const bool ended = co_await serving.join();
    CHECK(ended);
  });
  check_buffers(loop);
}

}  // namespace
