#include "net/kernel/kernel_limits.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "net/kernel/receive_merging.hpp"
#include "sys/socket/kernel_release.hpp"
#include "uring/kernel/completion_order.hpp"
#include "uring/kernel/read_trials.hpp"
#include "uring/kernel/trial_ring.hpp"
#include "uring6/probe.hpp"

namespace {

using namespace uring6;
using Catch::Matchers::ContainsSubstring;

std::vector<std::string> told(const detail::kernel_limits& limits) {
  std::vector<std::string> sentences{"what was told before"};
  detail::append_sentences(limits, sentences);
  CHECK(sentences.front() == "what was told before");
  sentences.erase(sentences.begin());
  return sentences;
}

TEST_CASE("a kernel without limits has an empty list, and each limit is one sentence") {
  CHECK(told({}).empty());
  struct limit {
    detail::kernel_limits what;
    const char* said;
  };
  const limit limits[] = {
      {{.bounded_reads = false}, "Linux 6.8: 32 datagrams"}, {{.errors_leave_buffers = false}, "gives the buffer back"},
      {{.ordered_completions = false}, "in order"},          {{.ring_messages = false}, "Linux 6.3"},
      {{.min_wait = false}, "min_wait has no effect"},       {{.merges_only_equals = false}, "UDP_GRO"},
  };
  for (const limit& each : limits) {
    const auto sentences = told(each.what);
    REQUIRE(sentences.size() == 1);
    CHECK_THAT(sentences.front(), ContainsSubstring(each.said));
  }
}

// The trials give the truth where it is known, and the probe must report what they find.
TEST_CASE("probe reports each limit that the running kernel shows when it is tried") {
  const probe_report report = probe();
  if (!report.ring) SKIP("there is no ring to try anything on");
  const auto tells = [&](const char* part) {
    return std::ranges::any_of(report.degraded, [&](const auto& each) { return each.find(part) != std::string::npos; });
  };
  const auto bounded = detail::try_multishot_bound();
  const auto left = detail::try_error_leaves_buffer();
  const auto ordered = detail::try_completion_order(detail::posting_flags & ~IORING_SETUP_COOP_TASKRUN);
  REQUIRE(bounded);
  REQUIRE(left);
  REQUIRE(ordered);
  CHECK(tells("32 datagrams at a time") == !*bounded);
  CHECK(tells("the loop gives the buffer back") == !*left);
  CHECK(tells("an empty datagram after the data") == !*ordered);
  CHECK(tells("UDP_GRO") == !detail::kernel_merges_only_equals());

  // Limits of mainline kernels; a vendor's kernel may have more.
  const auto version = version_of(read_kernel_names());
  REQUIRE(version);
  if (*version >= kernel_version{6, 12, 0}) {
    CHECK(*bounded);
    CHECK(*left);
    CHECK(*ordered);
    CHECK_FALSE(tells("min_wait has no effect"));
    CHECK_FALSE(tells("by an eventfd"));
  }
  if (version->major == 6 && version->minor == 1) {
    CHECK_FALSE(*bounded);
    CHECK_FALSE(*left);
    CHECK_FALSE(*ordered);
    CHECK(tells("min_wait has no effect"));
    CHECK(tells("by an eventfd"));
  }
}

}  // namespace
