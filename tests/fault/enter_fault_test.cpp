// A kernel that is short of memory for a moment: operations that one enter does not submit are submitted by the next
// one.
#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/ring_judge.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a send that the kernel has no memory for is submitted a moment later, and its writer gets the result") {
  need_io_uring();
  need_ipv6();
  const std::string said = in_child([] {
    static std::atomic<unsigned> refusals = 0;
    judge_ring_enter([](unsigned submissions) {
      if (submissions == 0 || refusals == 0) return 0;
      --refusals;
      return EAGAIN;
    });
    event_loop loop;
    std::uint64_t sent = 0;
    run(loop, [&]() -> task<> {
      auto to = open_conn(loop);
      auto from = open_conn(loop);
      const endpoint there = name_of(to);
      auto written = co_await from.write_to(as_payload("before"), there);
      refusals = 3;
      written = co_await from.write_to(as_payload("during"), there);
      auto ahead = open_conn(loop, {.coalesce_writes = true});
      refusals = 3;
      written = co_await ahead.write_to(as_payload("ahead"), there);
      (void)co_await ahead.flush();
      refusals = 3;
      written = co_await ahead.write_to(as_payload("closing"), there);
      (void)ahead.close();
      sent = from.stats().sent_datagrams + ahead.stats().sent_datagrams;
    });
    return std::to_string(sent) + " sent, " + std::to_string(refusals) + " refusals left";
  });
  CHECK(said == "4 sent, 0 refusals left");
}

}  // namespace
