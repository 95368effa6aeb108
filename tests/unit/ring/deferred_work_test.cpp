// How much of the deferred work (IORING_SETUP_DEFER_TASKRUN) one enter runs: all of it where many reads of datagrams
// filled the last reap, else the piece that the kernel chooses (20 operations, IO_LOCAL_TW_DEFAULT_MAX).
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "support/machine/environment.hpp"
#include "support/traffic/ring_operations.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using detail::ring;

constexpr unsigned operations = 64;
constexpr unsigned more_than_a_piece = operations / 2;

std::unique_ptr<ring> make_ring_for_all() {
  need_io_uring();
  return make_ring(operations, 4 * operations);
}

/// Enters until that many completions were reaped, and tells how many each reap had.
std::vector<unsigned> reaps_of(ring& on, unsigned completions) {
  std::vector<unsigned> all;
  for (unsigned total = 0; total < completions; total += all.back()) {
    REQUIRE_FALSE(on.enter(true, 5s));
    all.push_back(on.reap());
    REQUIRE(all.back() > 0);
  }
  if (all.front() >= more_than_a_piece) SKIP("this kernel runs all deferred work with the first enter");
  return all;
}

TEST_CASE("reads of datagrams that filled a reap make the next enter run all that is ready") {
  const auto on = make_ring_for_all();
  spare_buffers buffers(*on);
  for (unsigned i = 0; i <= operations; i += 8) buffers.refill();  // more than the reads take: none ends with ENOBUFS
  std::vector<two_ends> pairs;
  std::vector<std::unique_ptr<armed_read>> reads;
  for (unsigned i = 0; i < operations; ++i) {
    pairs.emplace_back(SOCK_SEQPACKET);
    reads.push_back(std::make_unique<armed_read>(pairs.back().here.get()));
    on->queue(*reads.back());
  }
  turn(*on);
  for (const two_ends& each : pairs) REQUIRE(::send(each.there.get(), "x", 1, 0) == 1);
  const std::vector<unsigned> reaps = reaps_of(*on, operations);
  CHECK(reaps == std::vector<unsigned>{reaps.front(), operations - reaps.front()});
  for (const auto& each : reads) {
    CHECK(each->results.size() == 1);
    on->cancel(*each);
  }
  drive(*on, [&] { return on->in_flight() == 0; });
}

TEST_CASE("operations without a buffer are reaped piece by piece, however many are ready") {
  const auto on = make_ring_for_all();
  std::vector<file_descriptor> counters;
  std::vector<std::unique_ptr<wait_readable>> waits;
  for (unsigned i = 0; i < operations; ++i) {
    counters.push_back(counter());
    waits.push_back(std::make_unique<wait_readable>(counters.back().get()));
    on->queue(*waits.back());
  }
  turn(*on);
  for (const file_descriptor& each : counters) REQUIRE(::eventfd_write(each.get(), 1) == 0);
  for (const unsigned each : reaps_of(*on, operations)) CHECK(each < more_than_a_piece);
  for (const auto& each : waits) CHECK(each->results.size() == 1);
}

}  // namespace
