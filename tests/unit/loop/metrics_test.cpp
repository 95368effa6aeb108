// The counters as Prometheus' text and as OpenMetrics, and the histograms of turns.
#include "uring6/metrics.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/case/exposition.hpp"
#include "support/process/program.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/format.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"

using namespace std::chrono_literals;

namespace service {

struct gate_stats {
  std::uint64_t opened = 0;
  std::uint64_t inside = 0;
};

}  // namespace service

template <>
inline constexpr auto uring6::counters_of<service::gate_stats> =
    std::to_array<uring6::named_counter<service::gate_stats>>({
        {"opened", &service::gate_stats::opened},
        {"inside", &service::gate_stats::inside},
    });
template <>
inline constexpr auto uring6::gauges_of<service::gate_stats> = std::to_array<std::string_view>({"inside"});

namespace uring6 {
namespace {

using Catch::Matchers::ContainsSubstring;
using test::exposition;
using test::read_exposition;

constexpr metrics_format both[] = {metrics_format::prometheus, metrics_format::open_metrics};

exposition read(const metrics_page& page, metrics_format format) {
  return read_exposition(page.text(), format == metrics_format::open_metrics);
}

/// Each gauge is a counter of the table: a name that is misspelt would be a counter.
template <class Stats>
bool knows_gauges() {
  for (const std::string_view gauge : gauges_of<Stats>) {
    bool found = false;
    for (const auto& each : counters_of<Stats>) found |= each.name == gauge;
    if (!found) return false;
  }
  return true;
}

std::size_t bucket_of(std::chrono::nanoseconds duration) {
  time_histogram times;
  times.record(duration);
  for (std::size_t i = 0; i < times.counts.size(); ++i) {
    if (times.counts[i] == 1) return i;
  }
  return times.counts.size();
}

}  // namespace

TEST_CASE("metrics: each counter of each statistics type is a sample with its value and labels") {
  for (const metrics_format format : both) {
    CAPTURE(format);
    metrics_page page(format);
    const loop_stats one{.enters = 3, .readiness = 1};
    const loop_stats other{.enters = 18'446'744'073'709'551'615U};
    page.add("uring6_loop", one, {{"loop", "0"}});
    page.add("uring6_conn", packet_stats{.rearms = 5}, {{"loop", "0"}, {"conn", "dns"}});
    page.add("uring6_loop", other, {{"loop", "1"}});
    page.add("uring6_pool", pool_stats{.in_kernel = 64});
    page.add("uring6_tcp", tcp_stats{.sent_bytes = 7});
    page.add("door", service::gate_stats{.opened = 2, .inside = 1});
    const exposition got = read(page, format);
    CHECK(got.values.size() == 2 * counters_of<loop_stats>.size() + counters_of<packet_stats>.size() +
                                   counters_of<pool_stats>.size() + counters_of<tcp_stats>.size() + 2);
    CHECK(got.values.at("uring6_loop_enters_total{loop=\"0\"}") == "3");
    CHECK(got.values.at("uring6_loop_enters_total{loop=\"1\"}") == "18446744073709551615");
    CHECK(got.values.at("uring6_conn_rearms_total{loop=\"0\",conn=\"dns\"}") == "5");
    CHECK(got.values.at("uring6_loop_readiness{loop=\"0\"}") == "1");
    CHECK(got.values.at("uring6_pool_in_kernel") == "64");
    CHECK(got.values.at("door_opened_total") == "2");
    CHECK(got.kinds.at("uring6_pool_in_kernel") == "gauge");
    CHECK(got.kinds.at("door_inside") == "gauge");
    CHECK(got.kinds.at(format == metrics_format::open_metrics ? "door_opened" : "door_opened_total") == "counter");
    CHECK_THAT(page.text(), ContainsSubstring("door_opened") && ContainsSubstring(" service::gate_stats::opened\n") &&
                                ContainsSubstring(" uring6::packet_stats::rearms\n"));
  }
  CHECK((knows_gauges<loop_stats>() && knows_gauges<pool_stats>()));
}

TEST_CASE("metrics: values of labels are escaped") {
  for (const metrics_format format : both) {
    metrics_page page(format);
    page.add("door", service::gate_stats{}, {{"name", "a\"b\\c\nd"}});
    CHECK(read(page, format).values.contains("door_inside{name=\"a\\\"b\\\\c\\nd\"}"));
  }
}

TEST_CASE("metrics: a page that a scraper would refuse cannot be made") {
  metrics_page page;
  page.add("door", service::gate_stats{}, {{"loop", "0"}});
  const std::string before = page.text();
  const auto add = [&](std::string_view prefix, std::initializer_list<metric_label> labels) {
    page.add(prefix, service::gate_stats{}, labels);
  };
  CHECK_THROWS_AS(add("", {}), std::invalid_argument);
  CHECK_THROWS_AS(add("1door", {}), std::invalid_argument);
  CHECK_THROWS_AS(add("the door", {}), std::invalid_argument);
  CHECK_THROWS_AS(add("door", {{"", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(add("door", {{"__name__", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(add("door", {{"le", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(add("door", {{"a:b", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(add("door", {{"a", "x"}, {"a", "y"}}), std::invalid_argument);
  CHECK_THROWS_AS(add("door", {{"loop", "0"}}), std::invalid_argument);
  CHECK(page.text() == before);
  add("door", {{"loop", "1"}});
  add("the:door", {});
  CHECK_NOTHROW(read_exposition(page.text()));
}

TEST_CASE("metrics: the types of contents are those that the formats ask for") {
  CHECK(metrics_page().content_type() == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics_page(metrics_format::open_metrics).content_type() ==
        "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK(metrics_page(metrics_format::open_metrics).text() == "# EOF\n");
  CHECK(metrics_page().text().empty());
  std::string kept = "before ";
  metrics_page(metrics_format::open_metrics).append_to(kept);
  CHECK(kept == "before # EOF\n");
  CHECK(fmt::format("{}", metrics_format::open_metrics) == "open_metrics");
}

TEST_CASE("a histogram of times counts each duration below the first bound that is not shorter") {
  CHECK(bucket_of(-1s) == 0);
  CHECK(bucket_of(0ns) == 0);
  CHECK(bucket_of(1us) == 0);
  CHECK(bucket_of(1001ns) == 1);
  CHECK(bucket_of(2us) == 1);
  CHECK(bucket_of(2001ns) == 2);
  CHECK(bucket_of(1ms) == 10);
  CHECK(bucket_of(1h) == time_histogram::bounds);
  for (std::size_t i = 0; i < time_histogram::bounds; ++i) {
    CHECK(bucket_of(time_histogram::bound(i)) == i);
    CHECK(bucket_of(time_histogram::bound(i) + 1ns) == i + 1);
  }
}

TEST_CASE("a histogram of times is a line of text") {
  turn_times times;
  CHECK(fmt::format("{}", times) == "took: none; late: none");
  times.took.record(2us);
  times.took.record(3500ns);
  CHECK(fmt::format("{}", times.took) == "count=2 mean_us=2.8 longest_us<=4");
  times.late.record(1h);
  CHECK(to_string(times).ends_with("longest_us<=inf"));
}

TEST_CASE("metrics: a histogram has cumulative buckets, its sum in seconds and its count") {
  for (const metrics_format format : both) {
    time_histogram times;
    for (const auto each : {1us, 3us, 3us, 1'500'000us}) times.record(each);
    times.record(1h);
    metrics_page page(format);
    page.add("turn_seconds", times, "How long.", {{"loop", "0"}});
    page.add("turn_seconds", times, "How long.", {{"loop", "1"}});
    page.add("other_seconds", times, "How long.");
    const exposition got = read(page, format);
    CHECK(got.values.at("turn_seconds_bucket{loop=\"0\",le=\"0.000001\"}") == "1");
    CHECK(got.values.at("turn_seconds_bucket{loop=\"0\",le=\"0.000002\"}") == "1");
    CHECK(got.values.at("turn_seconds_bucket{loop=\"0\",le=\"0.000004\"}") == "3");
    CHECK(got.values.at("turn_seconds_bucket{loop=\"1\",le=\"2.097152\"}") == "4");
    CHECK(got.values.at("other_seconds_bucket{le=\"+Inf\"}") == "5");
    CHECK(got.values.at("turn_seconds_count{loop=\"0\"}") == "5");
    CHECK(got.values.at("other_seconds_sum") == "3601.500007");
    CHECK(got.kinds.at("turn_seconds") == "histogram");
  }
}

TEST_CASE("a loop that measures its turns counts each, and tells how late its timers fired") {
  event_loop loop({.clock = loop_clock::simulated, .measure_turns = true});
  CHECK(loop.measures_turns());
  auto body = [&]() -> task<> {
    auto late = [](event_loop& at) -> task<> {
      or_throw(at.advance(7ms));  // as if the process had been held up
      co_return;
    };
    auto both_of_them = [&]() -> task<> { co_await when_all(sleep_for(1ms), late(loop)); };
    co_await both_of_them();
    (void)co_await sleep_for(1s);
  };
  loop.run(body());
  const turn_times times = loop.measured_turns();
  CHECK(times.late.count() == 2);
  CHECK(times.late.total_ns == 6'000'000);
  CHECK(times.late.counts[bucket_of(6ms)] == 1);
  CHECK(times.late.counts[0] == 1);
  CHECK(times.took.count() >= 1);  // before the sleep of a second; the other timer was due at once
  CHECK(times.took.count() <= loop.stats().turns);

  metrics_page page;
  page.add(loop, {{"loop", "0"}});
  const exposition got = read_exposition(page.text());
  CHECK(got.values.at("uring6_loop_timer_late_seconds_sum{loop=\"0\"}") == "0.006");
  CHECK(got.values.at("uring6_loop_turn_seconds_count{loop=\"0\"}") == std::to_string(times.took.count()));
  CHECK(got.values.at("uring6_loop_turns_total{loop=\"0\"}") == std::to_string(loop.stats().turns));
}

TEST_CASE("a turn takes as long as the task in it, and the wait behind it does not count") {
  event_loop loop({.measure_turns = true});
  auto body = [&]() -> task<> {
    co_await this_task::yield();
    const auto busy_until = std::chrono::steady_clock::now() + 3ms;
    while (std::chrono::steady_clock::now() < busy_until) continue;
    (void)co_await sleep_for(1ms);
  };
  loop.run(body());
  const turn_times times = loop.measured_turns();
  CHECK(times.took.total_ns >= 3'000'000);
  std::uint64_t long_ones = 0;
  for (std::size_t i = bucket_of(3ms); i < times.took.counts.size(); ++i) long_ones += times.took.counts[i];
  CHECK(long_ones >= 1);
}

TEST_CASE("a loop that does not measure its turns has no histogram, and no metric of one") {
  event_loop loop;
  auto body = []() -> task<> { (void)co_await sleep_for(1ms); };
  loop.run(body());
  CHECK(!loop.measures_turns());
  CHECK(loop.measured_turns() == turn_times());
  metrics_page page;
  page.add(loop);
  CHECK_THAT(page.text(), ContainsSubstring("uring6_loop_turns_total ") && !ContainsSubstring("seconds"));
}

TEST_CASE("metrics: promtool accepts the page") {
  const bool there = std::system("command -v promtool >/dev/null 2>&1") == 0;
  if (!there) SKIP("promtool is not installed (package prometheus)");
  event_loop loop({.measure_turns = true});
  auto body = []() -> task<> { (void)co_await sleep_for(1ms); };
  loop.run(body());
  metrics_page page;
  page.add(loop, {{"loop", "0"}});
  page.add("uring6_conn", packet_stats{.rearms = 5}, {{"conn", "a \"b\" \\ c"}});
  page.add("uring6_pool", pool_stats{}, {{"loop", "0"}, {"pool", "any"}});
  const test::program_end end =
      test::run_program({"/bin/sh", "-c", "printf '%s' \"$1\" | promtool check metrics", "sh", page.text()});
  CHECK(end.errors == "");
  CHECK(end.exit_status == 0);
}

TEST_CASE("the strict reader of metrics refuses what a scraper refuses") {
  const auto refused = [](std::string_view text) {
    try {
      read_exposition(text);
      return false;
    } catch (const std::runtime_error&) {
      return true;
    }
  };
  const std::string head = "# HELP a_total x\n# TYPE a_total counter\n";
  CHECK(!refused(head + "a_total 1\n"));
  CHECK(refused(head + "a_total 1"));
  CHECK(refused(head + "a_total 1\n\n"));
  CHECK(refused(head));
  CHECK(refused("a_total 1\n"));
  CHECK(refused(head + "a_total 1\na_total 2\n"));
  CHECK(refused(head + "a_total -1\n"));
  CHECK(refused(head + "b_total 1\n"));
  CHECK(refused(head + "a_total{x=\"1\",x=\"2\"} 1\n"));
  CHECK(refused(head + "a_total{x=\"\\q\"} 1\n"));
  CHECK(refused(head + "a_total 1\n" + head + "a_total{x=\"1\"} 1\n"));
}

}  // namespace uring6
