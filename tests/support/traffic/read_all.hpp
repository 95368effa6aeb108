// Reads several datagrams.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <vector>

#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"

namespace uring6::test {

/// Reads `count` datagrams and returns their payloads.
inline task<std::vector<bytes>> read_all(packet_conn& at, std::size_t count) {
  std::vector<bytes> all;
  bytes buffer(66'000);
  while (all.size() < count) {
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    all.emplace_back(got->payload.begin(), got->payload.end());
  }
  co_return all;
}

}  // namespace uring6::test
