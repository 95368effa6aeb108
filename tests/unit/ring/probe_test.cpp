#include "uring6/probe.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "uring/kernel/feature_names.hpp"
#include "uring6/format.hpp"

namespace {

using namespace uring6;

bool holds(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

TEST_CASE("probe finds a ring that reads from ::1") {
  test::need_ipv6();
  test::need_io_uring();
  const probe_report report = probe();
  INFO(to_string(report));
  CHECK(report.ready());
  CHECK(report.driver == loop_driver::io_uring);
  CHECK(report.ring);
  CHECK(report.buffer_rings);
  CHECK(report.multishot_receive == true);
  CHECK(report.ipv6);
  CHECK(report.ipv6_loopback);
  CHECK(holds(report.setup_flags, "CQSIZE"));
  CHECK(holds(report.ring_features, "NODROP"));
  CHECK(report.largest_receive_buffer > 0);
  CHECK(report.largest_send_buffer > 0);
  // Linux has both since 5.0; uring6 requires 6.1.
  CHECK((report.longest_train == 64 || report.longest_train == 128));
  CHECK(report.receive_trains);
  CHECK(report.zero_copy_send);
}

TEST_CASE("probe finds that a loop by readiness reads from ::1, and what it lacks") {
  test::need_ipv6();
  const probe_report report = probe({.driver = loop_driver::readiness, .min_wait = std::chrono::milliseconds(1)});
  INFO(to_string(report));
  CHECK(report.ready());
  CHECK(report.driver == loop_driver::readiness);
  CHECK_FALSE(report.ring);
  CHECK_FALSE(report.multishot_receive);
  CHECK(report.completion_entries == 4096);
  CHECK(report.degraded ==
        std::vector<std::string>{"min_wait (io_uring only): the loop wakes for the first completion"});
  CHECK(to_string(report).find("\ndriver             readiness\n") != std::string::npos);
}

TEST_CASE("probe names the running kernel") {
  utsname name{};
  REQUIRE(::uname(&name) == 0);
  CHECK(probe().kernel == name.release);
}

TEST_CASE("probe uses the options it is given") {
  const probe_report report = probe({.submission_entries = 16, .completion_entries = 64});
  CHECK(report.submission_entries == 16);
  CHECK(report.completion_entries == 64);
}

TEST_CASE("probe leaves no descriptor open") {
  const std::size_t before = test::open_descriptors();
  (void)probe();
  CHECK(test::open_descriptors() == before);
}

TEST_CASE("probe can be called while a loop runs") {
  test::need_ipv6();
  event_loop loop;
  const bool ready = loop.run([]() -> task<bool> { co_return probe().ready(); }());
  CHECK(ready);
}

TEST_CASE("a report prints its reasons") {
  probe_report report;
  report.kernel = "5.10.0";
  report.missing = {"one thing", "another"};
  report.degraded = {"a third"};
  const std::string text = fmt::format("{}", report);
  CHECK(text.starts_with("kernel             5.10.0\ndriver             none\nio_uring           no\n"));
  CHECK(text.find("\nslower for         a third\n") != std::string::npos);
  CHECK(text.ends_with("\nmissing            one thing\nmissing            another"));
  CHECK_FALSE(report.ready());
}

TEST_CASE("flags print with the kernel's names, and unknown ones with their number") {
  CHECK(detail::setup_flag_names(1U << 12 | 1U << 13) == std::vector<std::string>{"SINGLE_ISSUER", "DEFER_TASKRUN"});
  CHECK(detail::ring_feature_names(1U << 1 | 1U << 31) == std::vector<std::string>{"NODROP", "bit 31"});
  CHECK(detail::setup_flag_names(0).empty());
}

}  // namespace
