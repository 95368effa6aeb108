// The waits of a ring: for completions, for several to gather, for a message of another ring.
#include "uring/ring.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "support/traffic/ring_operations.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using detail::ring;

TEST_CASE("a wait ends with its timeout, and with a completion") {
  const auto on = make_ring();
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE_FALSE(on->enter(true, 3ms));
  CHECK(std::chrono::steady_clock::now() - begin >= 3ms);
  CHECK(on->reap() == 0);

  nothing op;
  on->queue(op);
  REQUIRE_FALSE(on->enter(true, {}));
  on->reap();
  CHECK(op.idle());
}

TEST_CASE("a timeout in the past does not wait, and one too long is no error") {
  const auto on = make_ring();
  REQUIRE_FALSE(on->enter(true, -1h));
  nothing op;
  on->queue(op);
  REQUIRE_FALSE(on->enter(true, std::chrono::nanoseconds::max()));
  on->reap();
  CHECK(op.idle());
}

/// As many waits for a descriptor that never becomes readable as the submission queue holds, and one operation that
/// ends at once and finds no room beside them.
struct full_queue {
  explicit full_queue(ring& on_) : on(on_) {
    for (unsigned i = 0; i < on.features().submission_entries; ++i) {
      waits.push_back(std::make_unique<wait_readable>(silent.get()));
      on.queue(*waits.back());
    }
    on.queue(last);
  }
  void end() {
    for (auto& each : waits) on.cancel(*each);
    drive(on, [&] { return on.in_flight() == 0; });
  }

  ring& on;
  file_descriptor silent = counter();
  std::vector<std::unique_ptr<wait_readable>> waits;
  nothing last;
};

TEST_CASE("a wait does not sleep while an operation waits for room in the submission queue") {
  const auto on = make_ring(2);
  full_queue of(*on);
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE_FALSE(on->enter(true, 10s));
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(on->has_queued());
  drive(*on, [&] { return of.last.idle(); });
  CHECK(of.last.result() == 0);
  of.end();
}

std::unique_ptr<ring> make_gathering_ring() {
  auto made = or_throw(ring::create({.submission_entries = 8, .completion_entries = 64, .min_wait = true}));
  const std::error_code error = made->enable();
  REQUIRE_FALSE(error);
  if (!made->features().min_wait) SKIP("this kernel has no min-wait (Linux 6.12): " << made->features().refused.at(0));
  return made;
}

TEST_CASE("a wait that gathers takes the completions that came meanwhile, and does not wait for more") {
  const auto on = make_gathering_ring();
  const file_descriptor first = counter();
  const file_descriptor second = counter();
  wait_readable one(first.get());
  wait_readable two(second.get());
  on->queue(one);
  on->queue(two);
  REQUIRE_FALSE(on->enter(false, {}));
  const auto begin = std::chrono::steady_clock::now();
  std::jthread writer([&] {
    ::eventfd_write(first.get(), 1);
    std::this_thread::sleep_for(1ms);
    ::eventfd_write(second.get(), 1);
  });
  // Two completions are fewer than the wait wants: if they did not end it, it would sleep for an hour.
  while (one.results.empty() || two.results.empty()) {
    REQUIRE_FALSE(on->enter_and_gather({}, 100ms));
    on->reap();
    CHECK(std::chrono::steady_clock::now() - begin >= 100ms);
  }
  writer.join();
  CHECK(one.result() == POLLIN);
  CHECK(two.result() == POLLIN);
}

TEST_CASE("a wait that gathers ends with the first completion after the time to gather") {
  const auto on = make_gathering_ring();
  const file_descriptor event = counter();
  wait_readable op(event.get());
  on->queue(op);
  std::jthread writer([&] {
    std::this_thread::sleep_for(50ms);
    ::eventfd_write(event.get(), 1);
  });
  const auto enters = on->counters().enters;
  REQUIRE_FALSE(on->enter_and_gather({}, 1ms));  // the enter submits, too
  on->reap();
  CHECK(op.idle());
  CHECK(on->counters().enters - enters == 1);
  writer.join();
}

TEST_CASE("a wait that gathers ends with its timeout, also with a timeout in the past or below the time to gather") {
  const auto on = make_gathering_ring();
  for (const std::chrono::nanoseconds timeout : {20ms, 2ms, 0ms, -5ms}) {
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE_FALSE(on->enter_and_gather(timeout, 5ms));
    CHECK(std::chrono::steady_clock::now() - begin >= timeout);
    CHECK(on->reap() == 0);
  }
  nothing op;
  on->queue(op);
  REQUIRE_FALSE(on->enter_and_gather(1ms, 1s));
  on->reap();
  CHECK(op.idle());
}

TEST_CASE("waits that gather submit more operations than the submission queue holds") {
  const auto on = make_gathering_ring();
  std::vector<std::unique_ptr<nothing>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<nothing>());
    on->queue(*all.back());
  }
  for (int enters = 0; on->in_flight() > 0 || on->has_queued(); ++enters) {
    REQUIRE(enters < 1000);
    REQUIRE_FALSE(on->enter_and_gather(1ms, 100us));
    on->reap();
  }
  for (const auto& each : all) REQUIRE(each->results.size() == 1);
}

TEST_CASE("a wait that gathers does not sleep while an operation waits for room in the submission queue") {
  const auto on = make_gathering_ring();
  full_queue of(*on);
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE_FALSE(on->enter_and_gather(10s, 1ms));
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(on->has_queued());
  drive(*on, [&] { return of.last.idle(); });
  CHECK(of.last.result() == 0);
  of.end();
}

TEST_CASE("where the kernel cannot gather, a wait ends with the first completion") {
  const auto on = make_ring();  // without the option to gather
  REQUIRE_FALSE(on->features().min_wait);
  nothing op;
  on->queue(op);
  REQUIRE_FALSE(on->enter_and_gather({}, 1s));
  on->reap();
  CHECK(op.idle());
}

TEST_CASE("the ring reports whether an enter has work to do") {
  const auto on = make_ring();
  if (!(on->features().setup_flags & IORING_SETUP_TASKRUN_FLAG)) SKIP("this kernel does not tell");
  CHECK_FALSE(on->has_work());
  const file_descriptor event = counter();
  wait_readable op(event.get());
  on->queue(op);
  REQUIRE_FALSE(on->enter(false, {}));
  on->reap();
  CHECK_FALSE(on->has_work());
  REQUIRE(::eventfd_write(event.get(), 1) == 0);
  CHECK(on->has_work());
  drive(*on, [&] { return op.idle(); });
  CHECK_FALSE(on->has_work());
}

TEST_CASE("an operation that was canceled before it was submitted is work, until a reap has completed it") {
  const auto on = make_ring();
  if (!(on->features().setup_flags & IORING_SETUP_TASKRUN_FLAG)) SKIP("this kernel does not tell");
  const file_descriptor silent = counter();
  wait_readable op(silent.get());
  on->queue(op);
  on->cancel(op);
  CHECK(on->has_work());
  on->reap();
  CHECK(op.result() == -ECANCELED);
  CHECK_FALSE(on->has_work());
}

// --- messages to other rings ---

TEST_CASE("a ring that sleeps is woken by a message of another thread's ring", "[threads]") {
  const auto from = make_ring();
  if (!from->features().messages) SKIP("this kernel has no messages for rings with DEFER_TASKRUN");
  std::promise<const ring*> ready;
  std::promise<void> over;
  std::thread sleeper([&] {
    const auto to = make_ring();
    ready.set_value(to.get());
    for (int i = 0; i < 100; ++i) {
      if (to->enter(true, {})) break;
      i += static_cast<int>(to->reap()) - 1;
    }
    over.get_future().wait();  // keeps its ring until the other thread has sent its message
  });
  const ring* to = ready.get_future().get();
  for (int i = 0; i < 100; ++i) CHECK(from->wake(*to));
  over.set_value();
  sleeper.join();
  CHECK(from->counters().messages == 100);
  CHECK(from->reap() == 0);  // the message posts no completion here
}

TEST_CASE("a message that the kernel refuses gives its error at once, and leaves nothing behind") {
  const auto from = make_ring();
  if (!from->features().messages) SKIP("this kernel has no messages for rings with DEFER_TASKRUN");
  const auto disabled = or_throw(ring::create({8, 64}));
  CHECK_FALSE(from->wake(*disabled));
  CHECK(from->counters().messages == 0);
  nothing op;
  from->queue(op);
  drive(*from, [&] { return op.idle(); });
  CHECK(op.results.size() == 1);
  CHECK_FALSE(disabled->enable());
  CHECK(from->wake(*disabled));
}

// The kernel leaves entries in the submission queue when it is short of memory. They are submitted by the next enter of
// the loop, which looks at their results.
TEST_CASE("a message is refused while the submission queue holds entries of an earlier enter, and submits none") {
  const auto from = make_ring();
  if (!from->features().messages) SKIP("this kernel has no messages for rings with DEFER_TASKRUN");
  const auto to = make_ring();
  ::io_uring_sqe* const left = ::io_uring_get_sqe(&from->native());
  REQUIRE(left);
  ::io_uring_prep_nop(left);
  CHECK_FALSE(from->wake(*to));
  CHECK(from->counters().messages == 0);
  CHECK(::io_uring_sq_ready(&from->native()) == 1);
  REQUIRE_FALSE(to->enter(false, {}));
  CHECK(to->reap() == 0);
}

TEST_CASE("messages beyond the room of the completion queue are not lost, and neither is the ring's wake-up") {
  const auto from = make_ring();
  if (!from->features().messages) SKIP("this kernel has no messages for rings with DEFER_TASKRUN");
  const auto to = make_ring(2, 2);
  unsigned sent = 0;
  for (int i = 0; i < 1000; ++i) sent += from->wake(*to) ? 1 : 0;
  CHECK(sent == 1000);
  unsigned seen = 0;
  while (seen < sent) {
    REQUIRE_FALSE(to->enter(true, 5s));
    const unsigned now = to->reap();
    REQUIRE(now > 0);
    seen += now;
  }
  CHECK(seen == sent);
}

}  // namespace
