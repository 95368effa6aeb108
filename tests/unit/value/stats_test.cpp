// The counters' one list, and their text and JSON.
#include "uring6/stats.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "uring6/format.hpp"

namespace service {

/// The statistics of a program.
struct door_stats {
  std::uint64_t opened = 0;
  std::uint64_t slammed = 0;
};

struct uncounted {
  std::uint64_t value = 0;
};

struct half_listed {
  std::uint64_t listed = 0;
  std::uint64_t forgotten = 0;
};

}  // namespace service

template <>
inline constexpr auto uring6::counters_of<service::door_stats> =
    std::to_array<uring6::named_counter<service::door_stats>>({
        {"opened", &service::door_stats::opened},
        {"slammed", &service::door_stats::slammed},
    });

template <>
inline constexpr auto uring6::counters_of<service::half_listed> =
    std::to_array<uring6::named_counter<service::half_listed>>({{"listed", &service::half_listed::listed}});

namespace {

using namespace uring6;

static_assert(has_counters<service::door_stats>);
static_assert(!has_counters<service::uncounted>);
static_assert(!has_counters<service::half_listed>);
static_assert(!has_counters<int>);

/// Gives each counter its own number, so that no two can be confused.
template <class Stats>
Stats all_different() {
  Stats stats;
  std::uint64_t number = 1;
  for (const auto& [name, value] : counters_of<Stats>) stats.*value = number++;
  return stats;
}

template <class Stats>
void check_both_forms() {
  const Stats stats = all_different<Stats>();
  const auto object = nlohmann::ordered_json::parse(fmt::format("{:j}", stats));
  REQUIRE(object.size() == counters_of<Stats>.size());
  std::string line;
  std::uint64_t number = 1;
  for (const auto& [name, value] : object.items()) {
    CHECK(value == number++);  // a member that is listed twice has the later number
    if (!line.empty()) line += ' ';
    line += name + '=' + value.dump();
  }
  CHECK(fmt::format("{}", stats) == line);
  CHECK(to_json(stats) == object.dump());
}

TEST_CASE("statistics: text and JSON have the same counters with the same values") {
  check_both_forms<loop_stats>();
  check_both_forms<pool_stats>();
  check_both_forms<packet_stats>();
  check_both_forms<tcp_stats>();
  check_both_forms<service::door_stats>();
}

TEST_CASE("statistics: the names are those of the members") {
  const packet_stats some{.received_bytes = 7, .kernel_drops = 2, .failed_after_write = 1};
  CHECK(to_string(some) == "received_bytes=7 kernel_drops=2 failed_after_write=1");
  const loop_stats loop{.enters = 3, .overflows = 1, .idle_spins = 18'446'744'073'709'551'615U};
  CHECK(to_string(loop) == "enters=3 overflows=1 idle_spins=18446744073709551615");
  CHECK(to_json(tcp_stats{.received_bytes = 0, .sent_bytes = 5}) == R"({"received_bytes":0,"sent_bytes":5})");
}

TEST_CASE("statistics: a line leaves out counters that are 0, JSON does not") {
  CHECK(fmt::format("{}", loop_stats()) == "none");
  CHECK(nlohmann::json::parse(to_json(loop_stats())).size() == counters_of<loop_stats>.size());
}

TEST_CASE("statistics: the line is formatted like a string, and j stands alone") {
  const service::door_stats door{.opened = 1};
  CHECK(fmt::format("[{:>10}]", door) == "[  opened=1]");
  CHECK(fmt::format("{:j}", door) == R"({"opened":1,"slammed":0})");
  CHECK_THROWS_AS(fmt::format(fmt::runtime("{:j>9}"), door), fmt::format_error);
}

}  // namespace
