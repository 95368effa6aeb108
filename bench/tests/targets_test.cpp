#include "harness/targets.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace bench;

namespace {

result measured(const std::string& contest, const std::string& subject, double value) {
  result r;
  r.contest = contest;
  r.who.subject = subject;
  r.values = std::vector<double>(6, value);
  return r;
}

contest_report report_of(const std::string& contest, std::vector<result> results) {
  return {.contest = contest, .results = std::move(results), .around = {}};
}

const verdict* find(const std::vector<verdict>& all, const std::string& what) {
  for (const verdict& v : all) {
    if (v.goal.what.find(what) != std::string::npos) return &v;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("a_ratio_at_its_limit_is_met_and_one_above_is_not") {
  const auto at = [](double ours) {
    return judge({report_of("drain-64-cm", {measured("drain-64-cm", "uring6 read_from", ours),
                                            measured("drain-64-cm", "go ReadFrom", 1000)})});
  };
  REQUIRE(at(250).size() == 1);
  CHECK(at(250)[0].met);
  CHECK_FALSE(at(251)[0].met);
}

TEST_CASE("the_better_build_of_a_peer_counts") {
  const auto all = judge({report_of("drain-64-cm", {measured("drain-64-cm", "uring6 read_from", 700),
                                                    measured("drain-64-cm", "asio epoll", 1000),
                                                    measured("drain-64-cm", "asio io_uring", 2000)})});
  const verdict* asio = find(all, "Asio");
  REQUIRE(asio != nullptr);
  CHECK(asio->against == "asio epoll");
  CHECK(asio->ratio.median == 0.7);
}

TEST_CASE("a_limit_in_nanoseconds_counts_beside_the_ratio") {
  const auto all = judge({report_of("drain-64-cm", {measured("drain-64-cm", "uring6 receive", 1020),
                                                    measured("drain-64-cm", "raw multishot", 1000)})});
  const verdict* receive = find(all, "multishot");
  REQUIRE(receive != nullptr);
  CHECK(receive->ratio.median < 1.03);
  CHECK(receive->more == 20);
  CHECK_FALSE(receive->met);
}

TEST_CASE("a_void_result_is_no_side_of_a_ratio") {
  auto theirs = measured("drain-64-cm", "go ReadFrom", 1000);
  theirs.void_because = "lost";
  CHECK(judge({report_of("drain-64-cm", {measured("drain-64-cm", "uring6 read_from", 1), theirs})}).empty());
}
