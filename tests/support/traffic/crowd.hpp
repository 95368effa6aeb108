// Many peers that get the same packets in turn.
#pragma once

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/task.hpp"

namespace uring6::test {

inline constexpr std::size_t trains_of_a_conn = 64;  // so many destinations at a time have a train
inline constexpr std::size_t packets_for_each = 20;  // that go to every peer

/// Many peers of one conn, on ::1, and the packets that go to each of them.
struct crowd {
  explicit crowd(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) peers.push_back(open_conn(loop));
    for (const packet_conn& each : peers) names.push_back(name_of(each));
    for (std::uint64_t i = 0; i < packets_for_each; ++i) numbers.emplace_back(i);
  }

  /// Each packet to all peers, then the next packet.
  std::vector<write_slot> in_turn() const {
    std::vector<write_slot> batch;
    for (const numbered& each : numbers) {
      for (const endpoint& peer : names) batch.push_back({each, {}, peer, {}});
    }
    return batch;
  }

  event_loop loop;
  std::vector<packet_conn> peers;
  std::vector<endpoint> names;
  std::vector<numbered> numbers;
};

/// Reads numbered datagrams, each once and in order.
inline task<> expect_packets(packet_conn& at, std::uint64_t from = 0, std::uint64_t count = packets_for_each) {
  std::array<std::byte, 64> buffer;
  for (std::uint64_t number = from; number < from + count; ++number) {
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    REQUIRE(number_in(got->payload) == number);
  }
}

}  // namespace uring6::test
