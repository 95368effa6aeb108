// Errors that a conn meets: an endpoint without a listener, and room for reports of errors.
#pragma once

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>

#include "support/traffic/conns.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/error_report.hpp"

namespace uring6::test {

/// Room for some reports, each with a buffer.
struct reports {
  std::array<std::array<std::byte, 64>, 4> memory{};
  std::array<error_report, 4> all{};
  reports() {
    for (std::size_t i = 0; i < all.size(); ++i) all[i].buffer = memory[i];
  }
};

/// An endpoint of this host without a listener.
inline endpoint nobody(event_loop& loop, const char* network = "udp6", const char* address = "[::1]:0") {
  auto gone = or_throw(listen_packet(loop, network, address));
  return name_of(gone);
}

/// Waits until the conn has a report.
inline task<> await_report(packet_conn& of) {
  const auto found = co_await fd::poll(of.native_handle(), poll_events::error);
  REQUIRE(found);
  CHECK(has_any(*found, poll_events::error));
}

}  // namespace uring6::test
