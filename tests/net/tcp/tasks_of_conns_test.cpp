// event_loop::tasks: the descriptor and the addresses of the socket that a task waits for.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/scope.hpp"
#include "uring6/tasks.hpp"
#include "uring6/this_task.hpp"
#include "uring6/with_timeout.hpp"

namespace uring6 {
namespace {

using namespace uring6::test;
using namespace std::chrono_literals;

/// The tasks that wait for that operation.
std::vector<task_info> that_wait(const std::vector<task_info>& in, std::string_view operation) {
  std::vector<task_info> found;
  std::copy_if(in.begin(), in.end(), std::back_inserter(found),
               [=](const task_info& one) { return one.operation == operation; });
  return found;
}

TEST_CASE("tasks: a read tells its conn's descriptor and address, and the peer of a connected one") {
  event_loop loop;
  auto open = open_conn(loop);
  auto dialed = dial(loop, name_of(open));
  auto read_one = [&]() -> task<> {
    std::array<std::byte, 64> buffer;
    (void)co_await open.read_from(buffer);
  };
  auto read_some = [&]() -> task<> {
    std::array<std::byte, 64> buffer;
    std::array<read_slot, 1> slots{read_slot{.buffer = buffer}};
    (void)co_await dialed.read_batch(slots);
  };
  auto borrow = [&]() -> task<> {
    datagram_batch lent;
    (void)co_await open.receive(lent);
  };
  auto limited = [&]() -> task<> {
    std::array<std::byte, 64> buffer;
    (void)co_await with_timeout(1h, open.read_from(buffer));
  };
  auto body = [&]() -> task<> {
    scope readers;
    readers.spawn(read_one());
    readers.spawn(read_some());
    readers.spawn(borrow());
    readers.spawn(limited());
    for (int turn = 0; turn < 3; ++turn) co_await this_task::yield();
    const auto tasks = loop.tasks();
    CHECK(tasks.size() == 6);
    const auto first = that_wait(tasks, "read_from");
    CHECK(first.size() == 2);
    for (const task_info& each : first) {
      CHECK(each.descriptor == open.native_handle());
      CHECK(each.local == name_of(open));
      CHECK(!each.peer);
      CHECK(each.state == task_state::waiting);
    }
    const auto second = that_wait(tasks, "read_batch");
    REQUIRE(second.size() == 1);
    CHECK(second[0].descriptor == dialed.native_handle());
    CHECK(second[0].peer == name_of(open));
    CHECK(that_wait(tasks, "receive").size() == 1);
    const std::string line = to_string(second[0]);
    CHECK(line.find(", fd " + std::to_string(dialed.native_handle()) + " [::1]:") != line.npos);
    CHECK(line.ends_with(" with " + name_of(open).to_string()));
    readers.request_stop();
    co_await readers.join();
  };
  loop.run(body());
}

TEST_CASE("tasks: a reader with a datagram at hand is ready") {
  event_loop loop;
  auto open = open_conn(loop);
  auto dialed = dial(loop, name_of(open));
  auto read_one = [&]() -> task<> {
    std::array<std::byte, 64> buffer;
    (void)co_await open.read_from(buffer);
  };
  bool seen = false;
  auto body = [&]() -> task<> {
    scope readers;
    readers.spawn(read_one());
    co_await this_task::yield();
    CHECK(::send(dialed.native_handle(), "?", 1, 0) == 1);  // past the loop: this task is resumed before the reader
    while (readers.running() > 0) {
      const auto waiting = that_wait(loop.tasks(), "read_from");
      seen = seen || (!waiting.empty() && waiting[0].state == task_state::ready);
      co_await this_task::yield();
    }
    co_await readers.join();
  };
  loop.run(body());
  CHECK(seen);
}

TEST_CASE("tasks: accept and the reads of a connection tell their sockets") {
  event_loop loop;
  auto body = [&]() -> task<> {
    auto listener = open_listener(loop);
    auto pair = co_await connect(loop);
    auto read_one = [](tcp_conn& from) -> task<> {
      std::array<std::byte, 64> buffer;
      (void)co_await from.read(buffer);
    };
    auto accept_one = [](tcp_listener& at) -> task<> { (void)co_await at.accept(); };
    scope children;
    children.spawn(read_one(pair.there));
    children.spawn(accept_one(listener));
    for (int turn = 0; turn < 3; ++turn) co_await this_task::yield();
    const auto tasks = loop.tasks();
    const auto reads = that_wait(tasks, "read");
    REQUIRE(reads.size() == 1);
    CHECK(reads[0].descriptor == pair.there.native_handle());
    CHECK(reads[0].peer == or_throw(pair.here.local_endpoint()));
    const auto accepts = that_wait(tasks, "accept");
    REQUIRE(accepts.size() == 1);
    CHECK(accepts[0].local == name_of(listener));
    children.request_stop();
    co_await children.join();
  };
  loop.run(body());
}

}  // namespace
}  // namespace uring6
