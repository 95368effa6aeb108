// Loops that spin, and checks of how a conn is read: by the spin or by the ring.
#pragma once

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace uring6::test {

inline const loop_options spins{.spin = std::chrono::seconds(2)};

/// Sends after the loop has spun for a while.
inline task<> later(plain_sender& from, std::span<const std::byte> payload) {
  const auto slept = co_await sleep_for(std::chrono::microseconds(100));
  CHECK(slept);
  from.send(payload);
}

/// Sends one datagram to `to` while the loop waits for it; true if it arrives.
inline task<bool> gets_one(event_loop& loop, packet_conn& to, plain_sender& from, std::uint64_t number) {
  std::array<std::byte, 64> buffer;
  const numbered payload(number);
  beside sending(loop, later(from, payload));
  const auto got = co_await to.read_from(buffer);
  const bool sent = co_await sending.join();
  const bool right = sent && got && number_in(got->payload) == number;
  co_return right;
}

/// The numbers of spun reads and of the ring's submissions so far.
struct numbers {
  std::uint64_t looks = 0;
  std::uint64_t submissions = 0;
};
inline numbers counted(const event_loop& loop) {
  const auto stats = loop.stats();
  return {stats.looks, stats.submissions};
}

/// The number of operations in the kernel: armed reads, and from the loop's first wait on one of the loop's `own`.
inline std::size_t in_ring(const event_loop& loop) {
  return loop.core()->ring().in_flight();
}
inline constexpr std::size_t own = 1;

/// Once the conns are destroyed, all buffers are back.
inline void check_buffers(const event_loop& loop) {
  for (const auto& pool : loop.core()->pool_statistics()) CHECK(pool.in_use == 0);
}

}  // namespace uring6::test
