// A claim's owner may be asked for by any thread, without another agreement between the two. The thread sanitizer sees
// whether what the owner wrote before is the asking thread's to read: tests/mutants/run.py builds this file with it.
#include "uring/thread_claim.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <thread>

namespace {

using uring6::detail::thread_claim;

TEST_CASE("a thread that sees a claim sees whose it is, and whether that thread has ended", "[threads]") {
  thread_claim claim;
  CHECK_FALSE(claim.made());
  CHECK_FALSE(claim.held_elsewhere());
  // Relaxed, so that this thread learns of the claim by the claim alone.
  std::atomic<bool> seen{false};
  bool prepared = false;
  bool was_mine = false;
  std::thread owner([&] {
    prepared = claim.prepare();
    if (!prepared) return;
    claim.make();
    was_mine = claim.is_mine() && !claim.held_elsewhere();
    while (!seen.load(std::memory_order_relaxed)) std::this_thread::yield();
  });
  while (!claim.held_elsewhere()) std::this_thread::yield();
  CHECK(claim.made());
  CHECK_FALSE(claim.is_mine());
  seen.store(true, std::memory_order_relaxed);
  owner.join();
  CHECK(prepared);
  CHECK(was_mine);
  CHECK(claim.made());
  CHECK_FALSE(claim.held_elsewhere());
}

}  // namespace
