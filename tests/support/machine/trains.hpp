// Received trains: datagrams of equal size that the kernel delivers in one piece (UDP_GRO).
#pragma once

#include <catch2/catch_test_macros.hpp>

#include "uring6/probe.hpp"

namespace uring6::test {

/// Whether conns receive trains on this kernel. They do not on kernels that merge datagrams that differ; the tests of
/// `probe` compare that with the kernel's behavior.
inline bool trains_are_received() {
  static const bool received = probe().receive_trains;
  return received;
}

/// Skips a case that needs a received train.
inline void need_received_trains() {
  if (!trains_are_received()) SKIP("conns receive no trains here: this kernel merges datagrams that differ (UDP_GRO)");
}

}  // namespace uring6::test
