// A thousand flaps, renames and re-creations (URING6_LONG=1; some otherwise): how long a kept membership is deaf, and
// how often it is joined.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>

#include "net/multicast/forgetful_hosts.hpp"
#include "support/process/long_run.hpp"
#include "uring6/group_keeper.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using std::chrono::steady_clock;

const ip_address group = or_throw(ip_address::parse("ff05::114"));

/// The times for which the conn heard nothing although its interface was there.
class deafness {
 public:
  void from(steady_clock::time_point begin) {
    const auto lasted = steady_clock::now() - begin;
    longest_ = std::max(longest_, lasted);
    sum_ += lasted;
    ++count_;
  }
  void print(const char* after, std::uint64_t joins) const {
    const auto in_ms = [](auto time) { return std::chrono::duration<double, std::milli>(time).count(); };
    std::printf("# %d %s: %llu joins, deaf for at most %.3f ms, %.3f ms in the mean\n", count_, after,
                static_cast<unsigned long long>(joins), in_ms(longest_), count_ ? in_ms(sum_) / count_ : 0.0);
  }

 private:
  steady_clock::duration longest_{};
  steady_clock::duration sum_{};
  int count_ = 0;
};

TEST_CASE("a kept membership is joined once after each re-creation and each return of its name, and after no flap",
          "[long]") {
  const int rounds = long_run() ? 1'000 : 20;
  forgetful_hosts hosts;
  const auto in = [&](auto f) { return hosts.cable.far.space.run(f); };
  const std::string name = hosts.link.name;
  group_keeper keeper = in([&] { return group_keeper(hosts.loop, hosts.at); });
  or_throw(in([&] { return keeper.keep(name, group); }));

  run(hosts.loop, [&]() -> task<> {
    beside running(hosts.loop, [&]() -> task<> {
      const auto end = co_await keeper.run();
      CHECK(end.error() == errc::canceled);
    });

    for (int i = 0; i < rounds; ++i) {
      in([&] {
        set_link(hosts.link.index, link_state::down);
        set_link(hosts.link.index, link_state::up);
      });
      REQUIRE(hosts.has(group));
      co_await yield();
    }
    deafness().print("flaps", keeper.stats().joins - 1);
    CHECK(keeper.stats().joins == 1);

    deafness of_renames;
    for (int i = 0; i < rounds; ++i) {
      in([&] {
        set_link(hosts.link.index, link_state::down);
        rename_link(hosts.link.index, "other");
      });
      co_await until([&] { return !keeper.memberships().front().joined; });
      const auto begin = steady_clock::now();
      in([&] { rename_link(hosts.link.index, name); });
      co_await until([&] { return keeper.memberships().front().joined; });
      of_renames.from(begin);
      in([&] { set_link(hosts.link.index, link_state::up); });
    }
    of_renames.print("renames", keeper.stats().renamed);
    const auto wanted = static_cast<std::uint64_t>(rounds);
    CHECK(keeper.stats().renamed == wanted);

    deafness of_creations;
    for (int i = 0; i < rounds; ++i) {
      in([&] { delete_link(hosts.link.index); });
      const auto begin = steady_clock::now();
      // Every other time with the index that it had, which the kernel counts as joined still unless it was left.
      in([&] { create_veth(name, hosts.cable.near.space, "near0", i % 2 == 0 ? hosts.link.index : 0); });
      const auto before = keeper.stats().recreated;
      co_await until([&] { return keeper.stats().recreated > before; });
      of_creations.from(begin);
      hosts.link = in([&] { return or_throw(interface::by_name(name)); });
      REQUIRE(hosts.has(group));
    }
    of_creations.print("re-creations", keeper.stats().recreated);
    CHECK(keeper.stats().recreated == wanted);

    in([&] { set_link(hosts.link.index, link_state::up); });
    deafness of_dips;
    for (int i = 0; i < rounds; ++i) {
      in([&] { set_mtu(hosts.link.index, 1'279); });
      const auto begin = steady_clock::now();
      in([&] { set_mtu(hosts.link.index, 1'500); });
      const auto before = static_cast<std::uint64_t>(i);
      co_await until([&] { return keeper.stats().mtu_restored > before; });
      of_dips.from(begin);
      REQUIRE(hosts.has(group));
    }
    of_dips.print("dips of the MTU", keeper.stats().mtu_restored);
    CHECK(keeper.stats().mtu_restored == wanted);
    CHECK(keeper.stats().joins == 1 + 3 * wanted);
    CHECK(keeper.stats().overruns == 0);

    running.request_stop();
    co_await running.join();
  });
}

}  // namespace
