// The clients of a TCP server against servers that do not echo what they should.
#include "harness/peers/stream_clients.hpp"

#include <netinet/tcp.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "harness/process.hpp"

using namespace bench;

namespace {

using octets = std::vector<std::byte>;
/// What is sent back for what was read; nothing ends the connection.
using answering = std::function<std::optional<octets>(const octets&)>;

/// Serves one connection on a thread of its own, and sends each answer octet by octet; `once`: ends the connection
/// after the first one.
class server {
 public:
  explicit server(answering answer, bool once = false)
      : listener_(open_listener()), thread_([this, once, wanted = std::move(answer)] { serve(wanted, once); }) {}
  ~server() { thread_.join(); }

  std::uint16_t port() const { return port_of(listener_.get()); }

 private:
  void serve(const answering& answer, bool once) {
    int fd = -1;
    while (fd < 0) fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);  // the listener does not block
    const descriptor peer(fd);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    for (;;) {
      octets piece(4096);
      const auto got = ::recv(fd, piece.data(), piece.size(), 0);
      if (got <= 0) return;
      piece.resize(static_cast<std::size_t>(got));
      const auto back = answer(piece);
      if (!back) return;
      for (const std::byte& each : *back) {
        if (::send(fd, &each, 1, MSG_NOSIGNAL) < 0) return;
      }
      if (once) return;
    }
  }

  descriptor listener_;
  std::thread thread_;
};

constexpr std::size_t size = 64;
constexpr std::chrono::milliseconds span{5};

struct figures {
  loss_account account{};
  histogram latencies{};
};

/// What one connection with two messages in flight finds.
figures visit(const server& at, std::uint64_t untimed = 0) {
  figures found;
  stream_clients clients({.name = "", .connections = 1, .size = size, .in_flight = 2}, at.port(), false);
  clients.run(span, untimed, found.account, found.latencies);
  return found;
}

}  // namespace

TEST_CASE("an_echo_in_pieces_is_whole_and_each_exchange_but_the_untimed_ones_is_a_latency") {
  const server honest([](const octets& piece) { return piece; });
  const figures found = visit(honest, 1);
  CHECK(found.account.explained());
  CHECK(found.account.received >= 2);
  CHECK(found.latencies.total() == found.account.received - 1);
}

TEST_CASE("an_octet_that_was_changed_is_seen_in_the_stamp_and_behind_it") {
  for (const std::size_t place : {std::size_t{3}, size - 1}) {
    bool first = true;
    const server changes([&](octets piece) {
      if (std::exchange(first, false)) piece[place] ^= std::byte{1};
      return piece;
    });
    CHECK(visit(changes).account.bad == 1);
  }
}

TEST_CASE("two_messages_that_come_back_in_the_other_order_are_seen") {
  octets kept;
  bool swapped = false;
  const server swaps([&](const octets& piece) {
    if (swapped) return piece;
    kept.insert(kept.end(), piece.begin(), piece.end());
    if (kept.size() < 2 * size) return octets();
    swapped = true;
    std::rotate(kept.begin(), kept.begin() + size, kept.end());
    return kept;
  });
  CHECK(visit(swaps).account.bad == 2);
}

TEST_CASE("a_server_that_ends_the_connection_or_does_not_answer_voids_the_window") {
  const server ends([](const octets&) { return std::optional<octets>(); });
  CHECK_THROWS(visit(ends));
  const server swallows([](const octets&) { return octets(); });
  CHECK_THROWS_AS(visit(swallows), void_run);
}

TEST_CASE("a_connection_of_one_exchange_ends_right_behind_its_echo") {
  const auto exchange = [](const answering& answer) {
    const server once(answer, true);
    figures found;
    const stream_shape shape{.name = "", .connections = 1, .size = size, .connects_each_time = true};
    stream_clients(shape, once.port(), false).run(std::chrono::nanoseconds(0), 0, found.account, found.latencies);
    return found.account;
  };
  CHECK(exchange([](const octets& piece) { return piece; }).explained());
  const answering longer = [](octets piece) {
    piece.push_back(std::byte{1});
    return piece;
  };
  CHECK_THROWS_AS(exchange(longer), void_run);
  const answering shorter = [](octets piece) {
    piece.pop_back();
    return piece;
  };
  CHECK_THROWS_AS(exchange(shorter), void_run);
}
