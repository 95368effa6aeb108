#include "uring/buffer_pool.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

#include "support/traffic/bytes.hpp"
#include "support/traffic/ring_operations.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using detail::buffer;
using detail::buffer_pool;
using detail::intrusive_list;
using detail::ring;

constexpr std::size_t moved_out_limit = 1 << 20;  // octets: more than any case here moves out

struct pool_of_a_ring {
  explicit pool_of_a_ring(std::size_t count, std::size_t size = detail::buffer_layout::small)
      : pool(or_throw(buffer_pool::create(*on, 0, count, size, moved_out_limit))) {}
  ~pool_of_a_ring() { pool->detach(); }

  std::unique_ptr<ring> on = or_throw(ring::create({}));
  std::shared_ptr<buffer_pool> pool;
};

struct waiter final : detail::buffer_waiter {
  void buffers_are_back() noexcept override { ++woken; }
  [[nodiscard]] bool starves() const noexcept override { return empty; }
  int woken = 0;
  bool empty = true;
};

struct holder final : detail::buffer_holder {
  void move_out() noexcept override {
    ++asked;
    for (auto*& each : held) {
      buffer* copy = pool->move_out(*each);
      REQUIRE(copy);
      pool->give_back(*each);
      each = copy;
    }
    unlink();
  }
  buffer_pool* pool = nullptr;
  std::vector<buffer*> held;
  int asked = 0;
};

TEST_CASE("a pool is a power of two of buffers") {
  const auto on = or_throw(ring::create({}));
  for (const std::size_t bad : {0, 1, 3, 48, 65'536}) {
    CHECK(buffer_pool::create(*on, 0, bad, 2048, moved_out_limit).error() == errc::out_of_range);
  }
  const auto good = or_throw(buffer_pool::create(*on, 0, 2, 2048, moved_out_limit));
  CHECK(buffer_pool::create(*on, 0, 2, 2048, moved_out_limit).error() == std::errc::file_exists);  // the group is taken
  CHECK(good->count() == 2);
  CHECK(good->available() == 2);
}

TEST_CASE("buffers are reused: a buffer that is given back is received again, each with its own memory") {
  pool_of_a_ring of(8);
  for (int round = 0; round < 5; ++round) {
    std::set<std::byte*> memory;
    std::vector<buffer*> taken;
    for (std::uint16_t id = 0; id < 8; ++id) {
      taken.push_back(&of.pool->received(id));
      memory.insert(taken.back()->memory);
      std::memset(taken.back()->memory, 1, of.pool->size());
    }
    CHECK(memory.size() == 8);
    CHECK(of.pool->available() == 0);
    for (buffer* each : taken) of.pool->give_back(*each);
    CHECK(of.pool->available() == 0);
    of.pool->publish();
    CHECK(of.pool->available() == 8);
  }
}

TEST_CASE("buffers that are given back together are reused like those that are given back one by one") {
  pool_of_a_ring of(8);
  std::array<std::uint16_t, 5> taken{0, 1, 2, 3, 4};
  for (int round = 0; round < 5; ++round) {
    intrusive_list<buffer> together;
    for (const std::uint16_t id : taken) together.push_back(of.pool->received(id));
    CHECK(of.pool->stats().in_use == 5);
    of.pool->give_back(together, taken.size());
    CHECK(together.empty());
    CHECK(of.pool->stats().in_use == 0);
    of.pool->publish();
    CHECK(of.pool->available() == 8);
  }
}

/// A pool of 256 buffers, and what the kernel and the readers do with it.
struct pool_in_use {
  pool_in_use() { hand_over(); }

  /// One turn: the kernel fills so many buffers, each with a train of so many octets (0: none is a train), and the
  /// readers give them back.
  void use(int count, std::size_t octets_of_train = 0) {
    for (int i = 0; i < count; ++i) {
      ours.push_front(kernels.front());
      kernels.pop_front();
      buffer& filled = pool->received(ours.front());
      if (octets_of_train > 0) pool->count_train(octets_of_train);
      pool->give_back(filled);
    }
    hand_over();
  }

  void hand_over() {
    pool->publish();
    while (kernels.size() < pool->available()) {
      kernels.push_back(ours.front());
      ours.pop_front();
    }
  }

  pool_of_a_ring of = pool_of_a_ring(256);
  buffer_pool* pool = of.pool.get();
  // Both queues are in the order of the next use.
  std::deque<std::uint16_t> ours = [] {
    std::deque<std::uint16_t> all(256);
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    return all;
  }();
  std::deque<std::uint16_t> kernels;
};

TEST_CASE("the kernel gets more buffers when it ran out, and fewer again when it does not use them") {
  pool_in_use in;
  const pool_of_a_ring& of = in.of;
  const auto use = [&in](int count) { in.use(count); };
  waiter who;
  of.pool->wait_for_buffers(who, true);
  of.pool->wait_for_buffers(who, true);
  use(64);
  REQUIRE(of.pool->available() == 256);

  // Ten buffers at a time: the pool window halves, and buffers beyond it are taken back as they are used.
  int rounds = 0;
  for (; rounds < 1000 && of.pool->available() > 64; ++rounds) use(10);
  CHECK(of.pool->available() <= 64);
  CHECK(rounds < 1000);
  // The window stays at 64 or more, and 64 buffers are enough for a burst of that length.
  for (int i = 0; i < 200; ++i) use(10);
  CHECK(of.pool->available() == 64);
  use(60);
  CHECK(of.pool->available() == 64);

  // Bursts in between keep the window wide.
  of.pool->wait_for_buffers(who, true);
  use(10);
  REQUIRE(of.pool->available() == 128);
  for (int i = 0; i < 200; ++i) use(i % 32 == 0 ? 100 : 10);
  CHECK(of.pool->available() == 128);
}

TEST_CASE("with long trains the kernel gets as many buffers as the cache holds, and more when the trains are over") {
  pool_in_use in;
  constexpr std::size_t longest = 64'000;  // octets
  for (int i = 0; i < 20; ++i) in.use(8, longest);
  CHECK(in.pool->available() == 8);

  // A read that ends because the window is small widens it no further.
  waiter who;
  for (int i = 0; i < 10; ++i) in.pool->wait_for_buffers(who, true);
  in.use(8, longest);
  CHECK(in.pool->available() == 8);
  CHECK(in.pool->stats().exhausted == 0);  // the pool had free buffers

  for (int i = 0; i < 20; ++i) in.use(8, 16'000);
  CHECK(in.pool->available() == 32);
  for (int i = 0; i < 20; ++i) in.use(32, 50 * 64);  // 160 of them would fit
  CHECK(in.pool->available() == 64);
  for (int i = 0; i < 20; ++i) in.use(8, longest);
  for (int i = 0; i < 20; ++i) in.use(8);
  CHECK(in.pool->available() == 64);
}

TEST_CASE("a small pool of long trains gives the kernel all that it has") {
  pool_of_a_ring of(4);
  for (int i = 0; i < 20; ++i) {
    for (std::uint16_t id = 0; id < 4; ++id) {
      buffer& filled = of.pool->received(id);
      of.pool->count_train(64'000);
      of.pool->give_back(filled);
    }
    of.pool->publish();
    REQUIRE(of.pool->available() == 4);
  }
}

TEST_CASE("of the starved reads those that took no buffer are armed first") {
  pool_of_a_ring of(2);
  struct numbered_waiter final : detail::buffer_waiter {
    numbered_waiter(int number, std::vector<int>& order) : number_(number), order_(order) {}
    void buffers_are_back() noexcept override { order_.push_back(number_); }
    [[nodiscard]] bool starves() const noexcept override { return true; }
    int number_;
    std::vector<int>& order_;
  };
  std::vector<int> order;
  order.reserve(4);
  numbered_waiter flooded(1, order);
  numbered_waiter quiet(2, order);
  numbered_waiter quiet_too(3, order);
  of.pool->wait_for_buffers(flooded, true);
  of.pool->wait_for_buffers(quiet, false);
  of.pool->wait_for_buffers(quiet_too, false);
  // Two buffers are enough for two reads.
  CHECK(of.pool->publish());
  CHECK(order == std::vector{2, 3});
  CHECK_FALSE(of.pool->publish());
  CHECK(order == std::vector{2, 3, 1});
}

TEST_CASE("a buffer that the kernel took for a failed read is free again, and counted as unfilled") {
  pool_of_a_ring of(8);
  const auto before = of.pool->stats();
  of.pool->return_unfilled(0);
  const auto after = of.pool->stats();
  CHECK(after.in_use == before.in_use);
  CHECK(after.filled == before.filled);
  CHECK(after.in_kernel + 1 == before.in_kernel);
  of.pool->publish();
  CHECK(of.pool->available() == 8);
}

// A read without a completion for the pool: the pool believes that the kernel still has its buffer.
struct unheard_read final : noting_operation {
  explicit unheard_read(int from) : fd(from) {}
  void prepare(io_uring_sqe& entry) noexcept override {
    ::io_uring_prep_recv(&entry, fd, nullptr, 0, MSG_DONTWAIT);
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.buf_group = 0;
  }
  int fd;
};

TEST_CASE(
    "buffers that the kernel took without a completion are written off, and reads do not fail with ENOBUFS for ever") {
  const auto on = make_ring();
  const auto pool = or_throw(buffer_pool::create(*on, 0, 4, detail::buffer_layout::small, moved_out_limit));
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const file_descriptor reader(ends[0]);
  const file_descriptor writer(ends[1]);
  const auto read_unheard = [&] {
    unheard_read read(reader.get());
    on->queue(read);
    drive(*on, [&] { return !read.results.empty(); });
    return read.results.front();
  };
  for (int i = 0; i < 8; ++i) REQUIRE(::send(writer.get(), "x", 1, 0) == 1);
  for (int i = 0; i < 4; ++i) CHECK(read_unheard().result == 1);
  REQUIRE(pool->available() == 4);  // by the pool's own count

  // Each read that ends with ENOBUFS is armed again, as often as the pool wakes the waiter.
  waiter waits;
  int armed = 0;
  for (; armed < 10; ++armed) {
    REQUIRE(read_unheard().result == -ENOBUFS);
    pool->wait_for_buffers(waits, false);
    pool->publish();
    if (waits.woken == armed) break;
  }
  CHECK(armed < 10);
  CHECK(pool->stats().lost == 4);
  CHECK(pool->stats().in_use == 0);
  CHECK(pool->available() == 0);

  // A late completion returns its buffer, and the starved read goes on.
  pool->give_back(pool->received(2));
  pool->publish();
  CHECK(waits.woken == armed + 1);
  CHECK(pool->stats().in_use == 0);
  CHECK(pool->stats().lost == 4);
  const auto last = read_unheard();
  CHECK(last.result == 1);
  CHECK(last.buffer_id() == 2);
  pool->detach();
}

TEST_CASE("a read that waits for buffers is woken once enough of them are back") {
  pool_of_a_ring of(8);
  std::vector<buffer*> taken;
  for (std::uint16_t id = 0; id < 8; ++id) taken.push_back(&of.pool->received(id));
  holder at_work;  // a holder still has buffers, so that waiting for more makes sense
  of.pool->add_holder(at_work);
  waiter who;
  who.empty = false;
  of.pool->wait_for_buffers(who, true);
  of.pool->publish();
  CHECK(who.woken == 0);

  for (int i = 0; i < 2; ++i) of.pool->give_back(*taken[static_cast<std::size_t>(i)]);
  of.pool->publish();
  CHECK(who.woken == 0);  // a quarter of the buffers is not more than the low-water mark
  of.pool->give_back(*taken[2]);
  of.pool->publish();
  CHECK(who.woken == 1);
  of.pool->publish();
  CHECK(who.woken == 1);
  CHECK(of.pool->stats().exhausted == 1);
}

TEST_CASE("without a holder that could return more buffers one is enough to wake") {
  pool_of_a_ring of(8);
  std::vector<buffer*> lent;
  for (std::uint16_t id = 0; id < 8; ++id) lent.push_back(&of.pool->received(id));
  waiter who;
  of.pool->wait_for_buffers(who, true);
  of.pool->publish();
  CHECK(who.woken == 0);
  of.pool->give_back(*lent[0]);
  of.pool->publish();
  CHECK(who.woken == 1);
}

TEST_CASE("waiting reads are woken as the buffers come, and all of them are") {
  pool_of_a_ring of(8);
  std::vector<buffer*> taken;
  for (std::uint16_t id = 0; id < 8; ++id) taken.push_back(&of.pool->received(id));
  std::vector<waiter> crowd(20);
  for (waiter& each : crowd) of.pool->wait_for_buffers(each, true);
  for (buffer* each : taken) of.pool->give_back(*each);
  bool again = true;
  for (int turn = 0; again; ++turn) {
    REQUIRE(turn < 10);
    again = of.pool->publish();
  }
  for (const waiter& each : crowd) CHECK(each.woken == 1);
}

TEST_CASE("the backlog of an absent reader is moved out for a starved read, after one round") {
  pool_of_a_ring of(4);
  holder away;
  away.pool = of.pool.get();
  for (std::uint16_t id = 0; id < 4; ++id) {
    buffer& each = of.pool->received(id);
    each.payload = each.memory;
    std::memcpy(each.payload, "abc", 3);
    each.remaining = 3;
    each.segment = 2;
    each.cut_off = 5;
    each.first.truncated = true;
    each.first.source.port = id;
    away.held.push_back(&each);
  }
  of.pool->add_holder(away);
  waiter starving;
  of.pool->wait_for_buffers(starving, true);
  CHECK(of.pool->publish());  // asks for another round: the readers have one to catch up
  CHECK(away.asked == 0);
  of.pool->publish();
  CHECK(away.asked == 1);
  CHECK(starving.woken == 1);
  CHECK(of.pool->available() == 4);
  CHECK(of.pool->stats().moved_out == 4);

  std::uint16_t port = 0;
  for (buffer* each : away.held) {
    CHECK(std::memcmp(each->payload, "abc", 3) == 0);
    CHECK(each->remaining == 3);
    CHECK(each->segment == 2);
    CHECK(each->cut_off == 5);
    CHECK(each->first.truncated);
    CHECK(each->first.source.port == port++);
    CHECK(each->first.payload.data() == each->payload);
    CHECK(each->first.payload.size() == 2);
    of.pool->give_back(*each);  // a second deletion would end the sanitized test
  }
  CHECK(of.pool->available() == 4);
}

TEST_CASE("each time the pool is dry readers get a turn to give buffers back, not only the first time") {
  pool_of_a_ring of(4);
  holder away;
  away.pool = of.pool.get();
  waiter starving;
  for (int time = 1; time <= 2; ++time) {
    for (std::uint16_t id = 0; id < 4; ++id) {
      buffer& each = of.pool->received(id);
      each.payload = each.memory;
      each.remaining = each.segment = 1;
      away.held.push_back(&each);
    }
    of.pool->add_holder(away);
    of.pool->wait_for_buffers(starving, true);
    CHECK(of.pool->publish());
    CHECK(away.asked == time - 1);
    of.pool->publish();
    CHECK(away.asked == time);
    CHECK(starving.woken == time);
    for (buffer* each : away.held) of.pool->give_back(*each);
    away.held.clear();
    CHECK(of.pool->stats().moved_out_bytes == 0);
  }
}

TEST_CASE("a read that waits while it has datagrams itself moves no backlog out") {
  pool_of_a_ring of(4);
  holder away;
  away.pool = of.pool.get();
  for (std::uint16_t id = 0; id < 4; ++id) {
    buffer& each = of.pool->received(id);
    each.payload = each.memory;
    away.held.push_back(&each);
  }
  of.pool->add_holder(away);
  waiter busy;
  busy.empty = false;
  of.pool->wait_for_buffers(busy, true);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(of.pool->publish());
  CHECK(away.asked == 0);
  for (buffer* each : away.held) of.pool->give_back(*each);
}

TEST_CASE("buffers may be given back after the ring was destroyed") {
  std::shared_ptr<buffer_pool> pool;
  buffer* lent = nullptr;
  {
    pool_of_a_ring of(2);
    pool = of.pool;
    lent = &pool->received(1);
    std::memset(lent->memory, 1, pool->size());
  }
  lent->memory[0] = std::byte{2};
  pool->give_back(*lent);
  CHECK_FALSE(pool->publish());
}

}  // namespace
