// Loops that spin, and what to ask them: is it the spin that reads a conn, or the ring?
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

/// Sends when the loop has spun for a while.
inline task<> later(plain_sender& from, std::span<const std::byte> payload) {
  const auto slept = co_await sleep_for(std::chrono::microseconds(100));
  CHECK(slept);
  from.send(payload);
}

/// One datagram of `to`'s peer, which the loop waits for.
inline task<bool> gets_one(event_loop& loop, packet_conn& to, plain_sender& from, std::uint64_t number) {
  std::array<std::byte, 64> buffer;
  const numbered payload(number);
  beside sending(loop, later(from, payload));
  const auto got = co_await to.read_from(buffer);
  const bool sent = co_await sending.join();
  const bool right = sent && got && number_in(got->payload) == number;
  co_return right;
}

/// What a spin, and what the ring was asked so far.
struct numbers {
  std::uint64_t looks = 0;
  std::uint64_t submissions = 0;
};
inline numbers counted(const event_loop& loop) {
  const auto stats = loop.stats();
  return {stats.looks, stats.submissions};
}

/// How many operations are the kernel's: reads that are armed, and from its first wait on one of the loop's `own`.
inline std::size_t in_ring(const event_loop& loop) {
  return loop.core()->ring().in_flight();
}
inline constexpr std::size_t own = 1;

/// After the conns have gone all are back.
inline void check_buffers(const event_loop& loop) {
  for (const auto& pool : loop.core()->pool_statistics()) CHECK(pool.in_use == 0);
}

}  // namespace uring6::test
