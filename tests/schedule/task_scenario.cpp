// Tasks without a conn: channels, semaphores, events, posts, scopes, timers and descriptors, stopped and dropped at any
// moment.
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "schedule/stage.hpp"
#include "support/case/coroutines.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/channel.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event.hpp"
#include "uring6/scope.hpp"
#include "uring6/semaphore.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace uring6::seeds {
namespace {

using namespace std::chrono_literals;

struct play {
  stage& with;
  event_loop& loop;
  channel<unsigned> values;
  semaphore permits{2};
  event go{};
  std::vector<bool> sent{};  // by value
  std::vector<bool> received{};
  unsigned holders = 0;
  unsigned posts = 0;
  unsigned posts_run = 0;
  unsigned last_post = 0;
  std::size_t records = 0;  // that a socket pair took
  std::size_t records_read = 0;
  std::multiset<std::chrono::steady_clock::time_point> sleeping{};  // when each sleep that nothing stops shall end
  unsigned advances = 0;                                            // of the clock, by the program
};

task<> some_turns(play& in, unsigned most) {
  for (unsigned turns = in.with.below(most); turns > 0; --turns) co_await this_task::yield();
}

task<> send_one(play& in, unsigned value) {
  const waiting_for noted("sender of value", value, "channel::send");
  const auto done = co_await in.values.send(value);
  if (done) {
    in.sent[value] = true;
  } else {
    in.with.note(done.error());
    require(done.error() == errc::canceled, "a send ended with", done.error().value());
  }
}

task<> sender(play& in, unsigned first, unsigned count) {
  for (unsigned value = first; value < first + count; ++value) {
    if (in.with.once_in(4)) {
      scope other;
      other.spawn(send_one(in, value));
      co_await some_turns(in, 4);
      other.request_stop();
      co_await other.join();
    } else {
      co_await send_one(in, value);
    }
    co_await some_turns(in, 3);
  }
}

void take(play& in, unsigned value) {
  in.with.note(value);
  require(value < in.received.size() && !in.received[value], "a value came twice or was not sent:", value);
  in.received[value] = true;
}

task<> receive_one(play& in, bool& closed) {
  const waiting_for noted("receiver", 0, "channel::receive");
  const auto got = co_await in.values.receive();
  if (got) co_return take(in, *got);
  in.with.note(got.error());
  closed = got.error() == errc::closed;
  require(closed || got.error() == errc::canceled, "a receive ended with", got.error().value());
}

task<> receiver(play& in) {
  for (bool closed = false; !closed;) {
    if (in.with.once_in(3)) {
      auto first = co_await when_any(in.values.receive(), sleep_for(in.with.a_while()));
      in.with.note(first.index);
      if (first.index != 0) continue;
      const auto& got = std::get<0>(first.value);
      if (got) {
        take(in, *got);
      } else {
        closed = got.error() == errc::closed;
      }
    } else if (in.with.once_in(3)) {
      scope other;
      other.spawn(receive_one(in, closed));
      co_await some_turns(in, 4);
      other.request_stop();
      co_await other.join();
    } else {
      co_await receive_one(in, closed);
    }
  }
}

task<> hold(play& in) {
  const waiting_for noted("a holder", 0, "semaphore::acquire");
  const auto got = co_await in.permits.acquire();
  if (!got) {
    in.with.note(got.error());
    co_return require(got.error() == errc::canceled, "an acquire ended with", got.error().value());
  }
  ++in.holders;
  require(in.holders <= 2, "a semaphore gave more permits than it has:", in.holders);
  co_await some_turns(in, 4);
  --in.holders;
  in.permits.release();
}

task<> holder(play& in) {
  for (unsigned left = in.with.below(6); left > 0; --left) {
    scope other;
    other.spawn(hold(in));
    co_await some_turns(in, 5);
    if (in.with.once_in(3)) other.request_stop();
    co_await other.join();
  }
}

task<> wait_for_go(play& in) {
  const waiting_for noted("a waiter", 0, "event::wait");
  const auto done = co_await in.go.wait();
  require(done || done.error() == errc::canceled, "a wait for an event failed");
  in.with.note(static_cast<bool>(done));
}

task<> poster(play& in) {
  for (unsigned left = in.with.below(6); left > 0; --left) {
    const unsigned number = ++in.posts;
    in.loop.post([&in, number] {
      require(number == in.last_post + 1, "posts ran in another order:", number);
      in.last_post = number;
      ++in.posts_run;
    });
    co_await some_turns(in, 3);
  }
}

task<> sleeper(play& in) {
  for (unsigned left = in.with.below(6); left > 0; --left) {
    const waiting_for noted("a sleeper", 0, "with_timeout, when_all");
    const auto limit = in.with.a_while();
    const auto begun = in.loop.now();
    const auto timed = co_await with_timeout(limit, in.go.wait());
    in.with.note(timed.has_value());
    require(timed || in.loop.now() >= begun + limit, "a timeout came before its time");
    co_await when_all(sleep_for(in.with.a_while()), some_turns(in, 3));
  }
}

/// Sleeps end at their times, not before and not later, in the order of these times.
task<> timekeeper(play& in) {
  for (unsigned left = in.with.below(6); left > 0; --left) {
    const waiting_for noted("a timekeeper", 0, "sleep_until");
    const auto due = in.loop.now() + in.with.a_while();
    const unsigned advances = in.advances;
    const auto mine = in.sleeping.insert(due);
    const auto slept = co_await sleep_until(due);
    require(static_cast<bool>(slept), "a sleep failed");
    in.sleeping.erase(mine);
    require(in.sleeping.empty() || *in.sleeping.begin() >= due, "a sleep ended before one that ends earlier");
    require(in.loop.now() >= due, "a sleep ended before its time");
    const bool exact = in.with.simulated() && in.advances == advances;
    require(!exact || in.loop.now() == due, "a sleep ended after its time, by a clock that stands still meanwhile");
    co_await some_turns(in, 3);
  }
}

/// The process is held up.
task<> advance(play& in) {
  for (unsigned left = in.with.below(3); left > 0; --left) {
    co_await some_turns(in, 6);
    const auto before = in.loop.now();
    const auto by = in.with.a_while();
    const auto done = in.loop.advance(by);
    require(static_cast<bool>(done) == in.with.simulated(), "only a simulated clock is set forward");
    if (!done) continue;
    require(in.loop.now() == before + by, "a clock was set forward by another time");
    ++in.advances;
  }
}

/// Records through a socket pair: each read gets one, in order.
task<> write_records(play& in, int fd, std::uint32_t count) {
  for (std::uint32_t number = 0; number < count; ++number) {
    const waiting_for noted("writer of record", number, "fd::write");
    const auto bytes = std::as_bytes(std::span(&number, 1));
    const auto done = co_await fd::write(fd, bytes);
    if (!done) throw broken("fd::write: " + done.error().message());
    require(*done == bytes.size(), "fd::write wrote", *done);
    ++in.records;
    co_await some_turns(in, 3);
  }
}

task<> read_records(play& in, int fd, std::uint32_t count) {
  for (std::uint32_t number = 0; number < count; ++number) {
    const waiting_for noted("reader of record", number, "fd::poll, fd::read");
    if (in.with.once_in(2)) {
      const auto first = co_await when_any(fd::poll(fd, poll_events::readable), sleep_for(in.with.a_while()));
      in.with.note(first.index);
    }
    std::uint32_t told = 0;
    const auto got = co_await fd::read(fd, std::as_writable_bytes(std::span(&told, 1)));
    if (!got) throw broken("fd::read: " + got.error().message());
    require(*got == sizeof told && told == number, "a record is lost or doubled: told, expected", told, number);
    ++in.records_read;
  }
}

task<> forever(play& in, int fd) {
  const waiting_for noted("a task that is dropped", 0, "a read of an empty socket");
  std::array<std::byte, 8> memory;
  (void)co_await fd::read(fd, memory);
  (void)in.with.below(2);
  throw broken("a read of an empty socket has ended");
}

task<> act(play& in, unsigned values, int writing, int reading) {
  scope receivers;
  scope others;
  const unsigned senders = 1 + in.with.below(3);
  in.sent.resize(senders * values);
  in.received.resize(senders * values);
  for (unsigned i = 1 + in.with.below(3); i > 0; --i) receivers.spawn(receiver(in));
  scope sending;
  for (unsigned i = 0; i < senders; ++i) sending.spawn(sender(in, i * values, values));
  for (unsigned i = in.with.below(5); i > 0; --i) others.spawn(holder(in));
  for (unsigned i = in.with.below(3); i > 0; --i) others.spawn(poster(in));
  for (unsigned i = in.with.below(3); i > 0; --i) others.spawn(sleeper(in));
  for (unsigned i = in.with.below(3); i > 0; --i) others.spawn(wait_for_go(in));
  for (unsigned i = in.with.below(4); i > 0; --i) others.spawn(timekeeper(in));
  others.spawn(advance(in));
  const std::uint32_t records = in.with.below(12);
  others.spawn(write_records(in, writing, records));
  others.spawn(read_records(in, reading, records));
  {
    const waiting_for noted("the play", 0, "its senders");
    co_await sending.join();
  }
  in.values.close();
  in.go.set();
  {
    const waiting_for noted("the play", 0, "its receivers");
    co_await receivers.join();
  }
  const waiting_for noted("the play", 0, "its other tasks");
  co_await others.join();
  while (in.posts_run < in.posts) co_await this_task::yield();
  require(in.sent == in.received, "values are lost");
}

}  // namespace

void run_tasks(stage& with, std::uint64_t) {
  int pair[4];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 ||
      ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair + 2) != 0)
    throw broken("socketpair failed");
  const file_descriptor ends[]{file_descriptor(pair[0]), file_descriptor(pair[1]), file_descriptor(pair[2]),
                               file_descriptor(pair[3])};
  event_loop loop(with.options());
  play in{with, loop, channel<unsigned>(1 + with.below(3))};
  {
    // Tasks outside of the run: they are dropped where they wait, before or with the loop.
    scope outside(loop);
    for (unsigned i = with.below(3); i > 0; --i) outside.spawn(forever(in, ends[2].get()));
    loop.run(act(in, 1 + with.below(8), ends[0].get(), ends[1].get()));
    with.note(loop.core()->ring().trace());
    if (with.once_in(2)) const event_loop ending = std::move(loop);
  }
}

}  // namespace uring6::seeds
