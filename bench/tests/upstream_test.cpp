// The server behind a forwarder: what it finds of the queries that reach it.
#include "harness/peers/upstream.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>

#include "harness/peers/exchange.hpp"

using namespace bench;

TEST_CASE("an_upstream_finds_an_id_that_two_queries_have_and_a_changed_query") {
  using namespace std::chrono_literals;
  const auto queries = forward_exchange(66);
  upstream server;
  const descriptor forwarder = open_socket();
  const sockaddr_in6 to = loopback(server.port());
  const auto send = [&](std::uint64_t number, std::byte change) {
    std::array<std::byte, 2048> room;
    const std::size_t size = queries->ask(room, number);
    room[20] ^= change;
    check(::sendto(forwarder.get(), room.data(), size, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), "sendto");
  };
  for (const std::uint64_t number : {0, 1, 2}) send(number, std::byte{});
  CHECK(server.take(3, 66, 1s) == 0);
  server.answer();
  std::array<std::byte, 2048> room;
  for (const std::uint64_t number : {0, 1, 2}) {
    const auto size = static_cast<std::size_t>(check(::recv(forwarder.get(), room.data(), room.size(), 0), "recv"));
    CHECK(queries->is_answer(std::span(room).first(size), number));
    CHECK_FALSE(queries->is_answer(std::span(room).first(size), number + 1));
  }
  send(64, std::byte{});
  send(64, std::byte{});
  send(128, std::byte{1});
  CHECK(server.take(3, 66, 1s) == 2);
}
