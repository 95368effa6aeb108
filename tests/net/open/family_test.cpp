// An IPv4 address where only IPv6 can go: the error names the family, not a route or an argument.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <span>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/interface.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

const endpoint over_v4 = or_throw(endpoint::parse("127.0.0.1:1024"));

TEST_CASE("a write to an IPv4 address on a conn of IPv6 names the family, alone, in a batch and written ahead") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = open_conn(loop);
    const endpoint self = name_of(pc);
    const auto sent = co_await pc.write_to(as_payload("x"), over_v4);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == errc::ipv4_address);
    CHECK(sent.error() == std::errc::invalid_argument);

    std::vector<write_slot> batch{{as_payload("x"), {}, self, {}},
                                  {as_payload("x"), {}, over_v4, {}},
                                  {as_payload("y"), {}, over_v4, {}},
                                  {as_payload("x"), {}, self, {}}};
    (void)co_await pc.write_batch(batch);
    CHECK_FALSE(batch[0].error);
    CHECK(batch[1].error == errc::ipv4_address);
    CHECK(batch[2].error == errc::ipv4_address);
    CHECK_FALSE(batch[3].error);

    auto ahead = open_conn(loop, {.coalesce_writes = true});
    (void)co_await ahead.write_to(as_payload("x"), over_v4);
    const auto flushed = co_await ahead.flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error() == errc::ipv4_address);
  });
}

TEST_CASE("a write to an IPv4 address goes on a conn of both families") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = or_throw(listen_packet(loop, "udp", ":0"));
    const auto sent = co_await pc.write_to(as_payload("x"), over_v4);
    CHECK(sent);
  });
}

TEST_CASE("a dial of tcp6 to IPv4 addresses alone names the family, and so does one from an IPv4 address") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto text = co_await dial_tcp(loop, "tcp6", "127.0.0.1:1024");
    CHECK(text.error() == errc::ipv4_address);
    const auto one = co_await dial_tcp(loop, "tcp6", over_v4);
    CHECK(one.error() == errc::ipv4_address);
    const std::array<endpoint, 2> only_v4{over_v4, over_v4};
    const std::span<const endpoint> those(only_v4);
    const auto several = co_await dial_tcp(loop, "tcp6", those);
    CHECK(several.error() == errc::ipv4_address);
    const std::span<const endpoint> none;
    const auto empty = co_await dial_tcp(loop, "tcp6", none);
    CHECK(empty.error() == std::errc::invalid_argument);
    CHECK(empty.error() != errc::ipv4_address);

    auto listener = open_listener(loop);
    const endpoint there = name_of(listener);
    const tcp_options from{.local = endpoint{over_v4.address, 0}};
    const auto local = co_await dial_tcp(loop, "tcp6", there, from);
    CHECK(local.error() == errc::ipv4_address);
    CHECK(listen_tcp(loop, "tcp6", over_v4).error() == errc::ipv4_address);
    // Beside one of IPv6 they are left out.
    const std::array<endpoint, 2> both{over_v4, there};
    const std::span<const endpoint> mixed(both);
    const auto connected = co_await dial_tcp(loop, "tcp6", mixed);
    CHECK(connected);
  });
}

TEST_CASE("an IPv4 group on a conn of IPv6 names the family, with sources, too") {
  need_ipv6();
  event_loop loop;
  auto pc = open_conn(loop);
  const auto lo = or_throw(interface::by_name("lo"));
  const ip_address group = or_throw(ip_address::parse("224.0.0.114"));
  const ip_address source = over_v4.address;
  CHECK(pc.join_group(lo, group).error() == errc::ipv4_address);
  CHECK(pc.join_group(group).error() == errc::ipv4_address);
  CHECK(pc.leave_group(lo, group).error() == errc::ipv4_address);
  CHECK(pc.join_source_specific_group(lo, group, source).error() == errc::ipv4_address);
  CHECK(pc.leave_source_specific_group(lo, group, source).error() == errc::ipv4_address);
  CHECK(pc.exclude_source_specific_group(lo, group, source).error() == errc::ipv4_address);
  CHECK(pc.include_source_specific_group(lo, group, source).error() == errc::ipv4_address);
}

}  // namespace
