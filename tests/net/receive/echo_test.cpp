// The cost of an echo: system calls, with a peer outside of the loop, and copies.

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/datagram_batch.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// A client without the library, on a thread of its own: each trip begins when the answer to the one before has come.
class client {
 public:
  client(const endpoint& server, std::uint64_t trips)
      : fd_(or_throw(open_socket(AF_INET6, SOCK_DGRAM))), trips_(trips) {
    const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
    REQUIRE(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    or_throw(connect_socket(fd_.get(), server));
    thread_ = std::thread([this] { run(); });
  }
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  ~client() { thread_.join(); }

 private:
  void run() const {
    for (std::uint64_t i = 0; i < trips_; ++i) {
      const numbered out(i);
      std::array<std::byte, 16> in;
      if (::send(fd_.get(), out.bytes.data(), out.bytes.size(), 0) < 0) return;
      const ssize_t length = ::recv(fd_.get(), in.data(), in.size(), 0);
      if (length < 0 || number_in(std::span(in).first(static_cast<std::size_t>(length))) != i) return;
    }
  }

  file_descriptor fd_;
  std::uint64_t trips_;
  std::thread thread_;
};

/// Returns how many system calls the trips of an echo took, without those of the first trips.
task<std::uint64_t> calls_of_trips(event_loop& loop, packet_conn& server, std::uint64_t trips) {
  constexpr std::uint64_t warm_up = 10;
  const client peer(name_of(server), warm_up + trips);
  std::array<std::byte, 64> buffer;
  std::uint64_t before = 0;
  for (std::uint64_t i = 0; i < warm_up + trips; ++i) {
    const auto got = co_await server.read_from(buffer);
    REQUIRE(got);
    REQUIRE(number_in(got->payload) == i);
    if (i == warm_up) before = loop.stats().system_calls();
    if (i + 1 == warm_up + trips) before = loop.stats().system_calls() - before;
    const auto sent = co_await server.write_to(got->payload, got->source);
    REQUIRE(sent);
  }
  const auto flushed = co_await server.flush();  // the peer waits for its last answer
  REQUIRE(flushed);
  co_return before;
}

TEST_CASE("an echo of a conn that writes ahead takes exactly one system call a round trip", "[threads]") {
  need_io_uring();
  constexpr std::uint64_t trips = 1000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop, {.coalesce_writes = true});
    const auto calls = co_await calls_of_trips(loop, server, trips);
    CHECK(calls == trips - 1);
  });
}

// The writer learns the kernel's result of the datagram before it reads again; that may take an enter of its own. A
// fast peer's next request has arrived by then, which saves the second enter.
TEST_CASE("an echo of a conn that does not write ahead takes at most two system calls a round trip", "[threads]") {
  need_io_uring();
  constexpr std::uint64_t trips = 1000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop);
    const auto calls = co_await calls_of_trips(loop, server, trips);
    CHECK(calls <= 2 * (trips - 1));
    CHECK(calls >= trips - 1);
  });
}

// --- copies ---

/// The payload of the last send that was submitted to the kernel, at its address: in one piece.
std::span<const std::byte> last_payload(event_loop& loop) {
  const ::io_uring& ring = loop.core()->ring().native();
  const unsigned mask = loop.core()->ring().features().submission_entries - 1;
  const ::io_uring_sqe& entry = ring.sq.sqes[(ring.sq.sqe_tail - 1) & mask];
  if (entry.opcode == IORING_OP_SEND) return {reinterpret_cast<const std::byte*>(entry.addr), entry.len};
  REQUIRE(entry.opcode == IORING_OP_SENDMSG);
  const auto& message = *reinterpret_cast<const msghdr*>(entry.addr);  // the loop keeps it
  REQUIRE(message.msg_iovlen == 1);
  return {static_cast<const std::byte*>(message.msg_iov->iov_base), message.msg_iov->iov_len};
}

TEST_CASE("the kernel sends from the buffers that a batch lends, a train as one piece") {
  need_received_trains();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto server = open_conn(loop);
    const bytes all = counting(2050);
    plain_sender client(name_of(server));
    client.send_train(all, 100);
    datagram_batch lent;
    const auto count = co_await server.receive(lent);
    REQUIRE(count == 21);
    const auto is_all = [&](std::span<const std::byte> payload) {
      return payload.data() == lent.begin()->payload.data() && payload.size() == all.size();
    };

    std::vector<write_slot> answers;
    for (const datagram& each : lent) answers.push_back({each.payload, {}, each.source, {}});
    const auto answered = co_await server.write_batch(answers);
    REQUIRE(answered == 21);
    CHECK(is_all(last_payload(loop)));

    // Coroutines of the same turn write these singly.
    std::vector<std::unique_ptr<beside>> writers;
    for (const datagram& each : lent) {
      writers.push_back(std::make_unique<beside>(loop, [&server, each]() -> task<> {
        const auto sent = co_await server.write_to(each.payload, each.source);
        REQUIRE(sent);
      }));
    }
    for (auto& each : writers) co_await each->join();
    CHECK(is_all(last_payload(loop)));
    CHECK(server.stats().sent_trains == 2);

    const datagram_batch::iterator second = ++lent.begin();
    const auto alone = co_await server.write_to(second->payload, second->source);
    REQUIRE(alone);
    CHECK(last_payload(loop).data() == second->payload.data());
    CHECK(last_payload(loop).size() == 100);
  });
}

}  // namespace
