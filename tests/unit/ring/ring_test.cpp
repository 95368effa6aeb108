// The way of an operation through a ring: it gets its completion once, and can be canceled.
#include "uring/ring.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <vector>

#include "support/machine/environment.hpp"
#include "support/traffic/ring_operations.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using detail::completion;
using detail::operation;
using detail::ring;

/// A multishot poll of a readable descriptor; records how many completions came together.
struct watch_readable final : noting_operation {
  explicit watch_readable(int fd_) : fd(fd_) {}
  void prepare(io_uring_sqe& entry) noexcept override { ::io_uring_prep_poll_multishot(&entry, fd, POLLIN); }
  void complete_run(const io_uring_cqe* first, std::size_t count) noexcept override {
    runs.push_back(count);
    operation::complete_run(first, count);
  }
  int fd;
  std::vector<std::size_t> runs;
};

/// A read that does not wait; its success posts no completion.
struct quiet_read final : noting_operation {
  explicit quiet_read(int fd_) : fd(fd_) {}
  void prepare(io_uring_sqe& entry) noexcept override {
    ::io_uring_prep_read(&entry, fd, &value, sizeof value, 0);
    entry.rw_flags = RWF_NOWAIT;
    entry.flags |= IOSQE_CQE_SKIP_SUCCESS;
  }
  int fd;
  std::uint64_t value = 0;
};

/// Lets the kernel post completions without taking any off the queue.
void overflow(ring& on) {
  for (int enters = 0; !(*on.native().sq.kflags & IORING_SQ_CQ_OVERFLOW); ++enters) {
    REQUIRE(enters < 10'000);
    REQUIRE_FALSE(on.enter(false, {}));
  }
}

TEST_CASE("an operation gets its result once, and can be queued again") {
  const auto on = make_ring();
  nothing op;
  for (std::size_t round = 1; round <= 3; ++round) {
    CHECK(op.idle());
    on->queue(op);
    CHECK_FALSE(op.idle());
    drive(*on, [&] { return op.idle(); });
    CHECK(op.results.size() == round);
    CHECK(op.result() == 0);
  }
  CHECK(on->in_flight() == 0);
}

TEST_CASE("a thousand operations go through a submission queue of four, in order") {
  const auto on = make_ring(4, 16);
  REQUIRE(on->features().submission_entries == 4);
  std::vector<int> order;
  struct ordered final : operation {
    void prepare(io_uring_sqe& entry) noexcept override { ::io_uring_prep_nop(&entry); }
    void complete(completion) noexcept override { order->push_back(number); }
    std::vector<int>* order = nullptr;
    int number = 0;
  };
  std::vector<std::unique_ptr<ordered>> all;
  for (int i = 0; i < 1000; ++i) {
    all.push_back(std::make_unique<ordered>());
    all.back()->order = &order;
    all.back()->number = i;
    on->queue(*all.back());
  }
  drive(*on, [&] { return order.size() == 1000; });
  for (int i = 0; i < 1000; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
  CHECK_FALSE(on->has_queued());
  CHECK(on->counters().submissions == 1000);
}

// All completions arrive when there are more than the queue holds, each at its own operation.
TEST_CASE("a completion queue that overflows loses nothing") {
  need_io_uring();  // a ring by readiness posts no more than fit
  const auto on = make_ring(64, 64);
  const file_descriptor event = counter();
  std::vector<std::unique_ptr<wait_readable>> all;
  for (int i = 0; i < 1000; ++i) {
    all.push_back(std::make_unique<wait_readable>(event.get()));
    on->queue(*all.back());
  }
  while (on->has_queued()) {
    REQUIRE_FALSE(on->enter(false, {}));
    on->reap();
  }
  CHECK(on->in_flight() == 1000);
  REQUIRE(::eventfd_write(event.get(), 1) == 0);
  overflow(*on);
  drive(*on, [&] { return on->in_flight() == 0; });
  for (const auto& each : all) {
    REQUIRE(each->results.size() == 1);
    REQUIRE(each->result() == POLLIN);
  }
  CHECK(on->counters().overflows > 0);
}

// --- canceling ---

TEST_CASE("an operation that is only queued is removed and never reaches the kernel") {
  const auto on = make_ring();
  wait_readable op(counter().get());
  on->queue(op);
  on->cancel(op);
  on->cancel(op);
  CHECK(on->has_queued());
  drive(*on, [&] { return op.idle(); });
  CHECK(op.results.size() == 1);
  CHECK(op.result() == -ECANCELED);
  CHECK(on->counters().submissions == 0);
}

TEST_CASE("a cancel of an operation in flight brings one last completion") {
  const auto on = make_ring();
  const file_descriptor event = counter();
  wait_readable op(event.get());
  wait_readable other(event.get());
  on->queue(op);
  on->queue(other);
  REQUIRE_FALSE(on->enter(false, {}));
  on->reap();
  REQUIRE(op.in_flight());
  on->cancel(op);
  on->cancel(op);
  drive(*on, [&] { return op.idle(); });
  CHECK(op.results.size() == 1);
  CHECK(op.result() == -ECANCELED);
  CHECK(other.in_flight());
  on->cancel(other);
  drive(*on, [&] { return other.idle(); });
}

TEST_CASE("a multishot operation gets its completions in runs, and the last one alone") {
  const auto on = make_ring(8, 64);
  const file_descriptor one = counter(), other = counter();
  watch_readable op(one.get()), beside(other.get());
  on->queue(op);
  on->queue(beside);
  REQUIRE_FALSE(on->enter(false, {}));
  const auto happen = [&](const file_descriptor& event, int times) {
    for (int i = 0; i < times; ++i) {
      REQUIRE(::eventfd_write(event.get(), 1) == 0);
      REQUIRE_FALSE(on->enter(false, {}));
    }
  };

  happen(one, 3);
  happen(other, 1);
  happen(one, 2);
  on->reap();
  CHECK(op.runs == std::vector<std::size_t>{3, 2});
  CHECK(beside.runs == std::vector<std::size_t>{1});

  // One run to the end of the queue, and one from its beginning.
  for (const int times : {20, 20, 30}) {
    happen(one, times);
    on->reap();
  }
  CHECK(op.runs == std::vector<std::size_t>{3, 2, 20, 20, 18, 12});

  happen(one, 2);
  on->cancel(op);
  on->cancel(beside);
  drive(*on, [&] { return op.idle() && beside.idle(); });
  CHECK(op.runs.back() == 2);
  CHECK(op.results.size() == 3 + 2 + 20 + 20 + 30 + 2 + 1);
  CHECK(op.results.back().result == -ECANCELED);
  CHECK(beside.results.size() == 2);
}

TEST_CASE("a late cancel reaches no other operation, not even the next one in the slot") {
  const auto on = make_ring();
  const file_descriptor event = counter();
  wait_readable first(event.get());
  on->queue(first);
  REQUIRE_FALSE(on->enter(false, {}));
  on->reap();
  on->cancel(first);  // the cancel is on its way ...
  REQUIRE(::eventfd_write(event.get(), 1) == 0);
  drive(*on, [&] { return first.idle(); });
  on->cancel(first);  // idle: there is nothing to cancel

  const file_descriptor silent = counter();
  wait_readable second(silent.get());
  on->queue(second);
  for (int i = 0; i < 3; ++i) {
    REQUIRE_FALSE(on->enter(false, {}));
    on->reap();
  }
  CHECK(second.in_flight());  // it has the slot of the first operation
  on->cancel(second);
  drive(*on, [&] { return second.idle(); });
  CHECK(second.result() == -ECANCELED);
}

TEST_CASE("more cancels than the submission queue holds all reach the kernel") {
  const auto on = make_ring(4, 64);
  const file_descriptor event = counter();
  std::vector<std::unique_ptr<wait_readable>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<wait_readable>(event.get()));
    on->queue(*all.back());
  }
  while (on->has_queued()) {
    REQUIRE_FALSE(on->enter(false, {}));
    on->reap();
  }
  for (auto& each : all) on->cancel(*each);
  drive(*on, [&] { return on->in_flight() == 0; });
  for (const auto& each : all) REQUIRE(each->result() == -ECANCELED);
}

// --- quiet operations ---

TEST_CASE("a quiet operation that succeeds has ended after the enter that submits it, without a completion") {
  const auto on = make_ring();
  const file_descriptor event = counter(7);
  quiet_read op(event.get());
  on->queue(op);
  REQUIRE_FALSE(on->enter(false, {}));
  CHECK(::io_uring_cq_ready(&on->native()) == 0);
  on->reap();
  REQUIRE(op.results.size() == 1);
  CHECK(op.result() == 0);
  CHECK(op.value == 7);
}

TEST_CASE("a quiet operation that fails gets its error") {
  const auto on = make_ring();
  quiet_read bad(-1);
  const file_descriptor event = counter(7);
  quiet_read good(event.get());
  on->queue(good);
  on->queue(bad);
  REQUIRE_FALSE(on->enter(false, {}));
  on->reap();
  REQUIRE(bad.results.size() == 1);
  CHECK(bad.result() == -EBADF);
  REQUIRE(good.results.size() == 1);
  CHECK(good.result() == 0);
}

// The failure of a quiet operation can be among the completions that overflowed: until the ring has reaped it, a
// missing completion does not mean success.
TEST_CASE("the failure of a quiet operation is not taken as success when the completion queue is full") {
  need_io_uring();  // a ring by readiness posts no more than fit
  const auto on = make_ring(64, 64);
  const file_descriptor event = counter();
  std::vector<std::unique_ptr<wait_readable>> crowd;
  for (int i = 0; i < 500; ++i) {
    crowd.push_back(std::make_unique<wait_readable>(event.get()));
    on->queue(*crowd.back());
  }
  while (on->has_queued()) {
    REQUIRE_FALSE(on->enter(false, {}));
    on->reap();
  }
  REQUIRE(::eventfd_write(event.get(), 1) == 0);
  overflow(*on);
  std::vector<std::unique_ptr<quiet_read>> bad;
  for (int i = 0; i < 32; ++i) {
    bad.push_back(std::make_unique<quiet_read>(-1));
    on->queue(*bad.back());
  }
  drive(*on, [&] { return on->in_flight() == 0 && !on->has_queued(); });
  for (const auto& each : bad) {
    REQUIRE(each->results.size() == 1);
    REQUIRE(each->result() == -EBADF);
  }
  for (const auto& each : crowd) REQUIRE(each->results.size() == 1);
}

// --- waiting ---

TEST_CASE("the ring reports its options") {
  const auto on = make_ring(128, 512);
  CHECK(on->features().submission_entries == 128);
  CHECK(on->features().completion_entries == 512);
  if (on->features().driver == loop_driver::readiness) return;
  CHECK(on->features().registered_fd);
  CHECK((on->features().setup_flags & IORING_SETUP_CQSIZE) != 0);
}

}  // namespace
