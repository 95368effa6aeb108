#include "harness/targets.hpp"

#include <algorithm>
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

TEST_CASE("a_ratio_is_met_only_with_its_whole_interval") {
  auto ours = measured("drain-64-cm", "uring6 read_from", 230);
  for (std::size_t i = 0; i < ours.values.size(); i += 2) ours.values[i] = 260;
  const auto all = judge({report_of("drain-64-cm", {ours, measured("drain-64-cm", "go ReadFrom", 1000)})});
  REQUIRE(all.size() == 1);
  CHECK(all[0].ratio.median < 0.25);
  CHECK(all[0].ratio.high > 0.25);
  CHECK_FALSE(all[0].met);
}

TEST_CASE("the_better_build_of_a_peer_counts") {
  const auto all = judge({report_of(
      "drain-64-cm", {measured("drain-64-cm", "uring6 read_from", 700), measured("drain-64-cm", "asio epoll", 1000),
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

TEST_CASE("plain_c_by_the_same_means_stands_beside_a_ratio") {
  const auto loops = judge({report_of(
      "two-loops", {measured("two-loops", "uring6 one loop", 100), measured("two-loops", "uring6 two loops", 70),
                    measured("two-loops", "raw one thread", 200), measured("two-loops", "raw two threads", 120)})});
  REQUIRE(loops.size() == 1);
  CHECK(loops[0].ratio.median == 0.7);
  REQUIRE(loops[0].plain);
  CHECK(loops[0].plain->median == 0.6);

  const auto spin = [](std::vector<result> results) { return judge({report_of("echo-spin", std::move(results))}); };
  const auto ours = measured("echo-spin", "uring6 echo", 120);
  const auto theirs = measured("echo-spin", "raw echo", 100);
  const auto both = spin({ours, theirs, measured("echo-spin", "raw multishot echo", 110)});
  REQUIRE(both.size() == 1);
  REQUIRE(both[0].plain);
  CHECK(both[0].plain->median == 1.1);
  CHECK_FALSE(spin({ours, theirs})[0].plain);

  const auto multishot = measured("drain-64-cm", "raw multishot", 100);
  for (const verdict& v :
       judge({report_of("drain-64-cm", {measured("drain-64-cm", "uring6 receive", 101), multishot})})) {
    CHECK_FALSE(v.plain);  // receive is measured against it
  }
}

TEST_CASE("a_ratio_of_latencies_has_its_own_baseline_and_another_one_than_that_of_processor_times") {
  const auto tcp = [](const std::string& subject, double cpu, double p50) {
    auto r = measured("tcp-echo-64", subject, cpu);
    r.p50s = std::vector<double>(6, p50);
    return r;
  };
  const auto all = judge({report_of(
      "tcp-echo-64", {tcp("uring6 tcp_conn", 700, 90), tcp("asio epoll", 1000, 100), tcp("asio io_uring", 1400, 60)})});
  REQUIRE(all.size() == 2);
  CHECK(find(all, "processor time")->against == "asio epoll");
  CHECK(find(all, "processor time")->ratio.median == 0.7);
  CHECK(find(all, "processor time")->met);
  CHECK(find(all, "p50")->against == "asio io_uring");
  CHECK(find(all, "p50")->ratio.median == 1.5);
  CHECK_FALSE(find(all, "p50")->met);
}

TEST_CASE("a_connection_for_each_exchange_may_take_memory_and_a_stream_a_call_for_each_message") {
  auto churn = measured("tcp-churn", "uring6 tcp_conn", 10);
  churn.sum.loss.received = 100;
  churn.sum.allocations = 300;
  churn.syscalls_per_datagram = 5;
  CHECK(judge_limits({report_of("tcp-churn", {churn})}).empty());
  auto echo = measured("tcp-echo-64", "uring6 tcp_conn", 10);
  echo.sum.loss.received = 100;
  echo.sum.allocations = 1;
  echo.syscalls_per_datagram = 1;
  const auto all = judge_limits({report_of("tcp-echo-64", {echo})});
  REQUIRE(all.size() == 1);
  CHECK(all[0].goal.what.starts_with("allocations"));
  CHECK_FALSE(all[0].met);
}

TEST_CASE("a_void_result_is_no_side_of_a_ratio") {
  auto theirs = measured("drain-64-cm", "go ReadFrom", 1000);
  theirs.void_because = "lost";
  CHECK(judge({report_of("drain-64-cm", {measured("drain-64-cm", "uring6 read_from", 1), theirs})}).empty());
}

TEST_CASE("a_limit_is_judged_by_uring6s_worst_result") {
  auto good = measured("train-64", "uring6 receive", 10);
  good.sum.loss.received = 100'000;
  good.sum.allocations = 1;
  good.syscalls_per_datagram = 0.01;
  auto bad = measured("stream-64", "uring6 read_from", 10);
  bad.sum.loss.received = 100'000;
  bad.sum.allocations = 1'000;
  bad.syscalls_per_datagram = 0.04;
  auto peer = measured("stream-64", "go ReadFrom", 10);
  peer.sum.loss.received = 10;
  peer.sum.allocations = 100;
  peer.syscalls_per_datagram = 1;
  const auto finding_of = [](const std::vector<finding>& all, const std::string& what) {
    const auto found = std::ranges::find_if(all, [&](const finding& f) { return f.goal.what.starts_with(what); });
    REQUIRE(found != all.end());
    return *found;
  };

  const auto all = judge_limits({report_of("train-64", {good}), report_of("stream-64", {bad, peer})});
  CHECK(all.size() == 2);  // no round trip and no memory was measured
  CHECK(finding_of(all, "allocations").subject == "uring6 read_from");
  CHECK(finding_of(all, "allocations").reached == 0.01);
  CHECK_FALSE(finding_of(all, "allocations").met);
  CHECK(finding_of(all, "system calls per datagram").contest == "stream-64");
  CHECK_FALSE(finding_of(all, "system calls per datagram").met);

  for (const finding& f : judge_limits({report_of("train-64", {good})})) CHECK(f.met);
  bad.void_because = "lost";
  for (const finding& f : judge_limits({report_of("stream-64", {bad})})) CHECK(f.met);
}

TEST_CASE("a_forwarder_with_a_coroutine_for_each_query_may_allocate_and_no_other_one") {
  const auto allocating = [](const std::string& subject) {
    auto r = measured("forward", subject, 10);
    r.sum.loss.received = 1'000;
    r.sum.allocations = 3'000;
    return judge_limits({report_of("forward", {r})});
  };
  CHECK(allocating("uring6 forward of queries").empty());
  const auto found = allocating("uring6 forward");
  REQUIRE(found.size() == 1);
  CHECK_FALSE(found[0].met);
}

TEST_CASE("an_echo_costs_one_system_call_in_the_closed_loop_and_an_idle_socket_a_kibibyte") {
  auto echo = measured("echo-block", "uring6 echo simple", 10);
  echo.syscalls_per_datagram = 1.0;
  auto open = echo;
  open.who.rate = 20'000;
  open.syscalls_per_datagram = 1.9;
  auto idle = measured("sockets-10000", "uring6 receive", 10);
  idle.bytes_per_socket = 1024;
  const auto met = [](const std::vector<finding>& all) {
    return std::ranges::all_of(all, [](const finding& f) { return f.met; });
  };
  CHECK(met(judge_limits({report_of("echo-block", {echo, open}), report_of("sockets-10000", {idle})})));
  echo.syscalls_per_datagram = 1.01;
  CHECK_FALSE(met(judge_limits({report_of("echo-block", {echo})})));
  idle.bytes_per_socket = 1025;
  CHECK_FALSE(met(judge_limits({report_of("sockets-10000", {idle})})));
}
