// The sockets that listen_packet opens: address, port, and the options that must be set before the bind.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string_view>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/trains.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/icmp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

int value_of(const packet_conn& pc, option which) {
  return or_throw(get_option(pc.native_handle(), which));
}

TEST_CASE("a conn listens at the given address, and reports its port") {
  event_loop loop;
  struct place {
    const char* network;
    const char* address;
    ip_address expected;
  };
  for (const place& each : {place{"udp6", "[::1]:0", ip_address::loopback()},
                            {"udp6", "[::]:0", {}},
                            {"udp6", ":0", {}},
                            {"udp", "[::]:0", {}},
                            {"udp", "127.0.0.1:0", ip_address::v4_mapped({127, 0, 0, 1})}}) {
    INFO(each.network << ' ' << each.address);
    const auto pc = or_throw(listen_packet(loop, each.network, each.address));
    CHECK(name_of(pc).address == each.expected);
    CHECK(name_of(pc).port != 0);
    CHECK(value_of(pc, option::only_v6) == (std::string_view(each.network) == "udp6"));
  }
}

TEST_CASE("each option that must be set before the bind is on when it was requested, and only then") {
  event_loop loop;
  const auto plain = open_conn(loop);
  CHECK(value_of(plain, option::reuse_port) == 0);
  CHECK(value_of(plain, option::reuse_address) == 0);
  CHECK(value_of(plain, option::freebind) == 0);
  CHECK(or_throw(bound_device(plain.native_handle())).empty());
  CHECK(value_of(plain, option::multicast_all) == 0);
  CHECK(value_of(plain, option::udp_receive_offload) == (trains_are_received() ? 1 : 0));
  const auto chosen = open_conn(loop, {.reuse_port = true,
                                       .reuse_address = true,
                                       .freebind = true,
                                       .device = "lo",
                                       .joined_groups_only = false,
                                       .receive_offload = false});
  CHECK(value_of(chosen, option::reuse_port) == 1);
  CHECK(value_of(chosen, option::reuse_address) == 1);
  CHECK(value_of(chosen, option::freebind) == 1);
  CHECK(or_throw(bound_device(chosen.native_handle())) == "lo");
  CHECK(value_of(chosen, option::multicast_all) == 1);
  CHECK(value_of(chosen, option::udp_receive_offload) == 0);
}

TEST_CASE("an unprivileged ICMP conn takes the options that must be set before the bind") {
  const veth_pair cable;
  event_loop loop;
  const auto inside = cable.near.space.enter();
  write_sysctl("net/ipv4/ping_group_range", "0 0");
  CHECK(listen_packet(loop, "icmp6", "::", {.device = "nosuch0"}).error() == errc::unknown_zone);
  run(loop, [&]() -> task<> {
    const packet_options options{.reuse_port = true, .freebind = true, .device = "near0"};
    auto at = or_throw(listen_packet(loop, "icmp6", "[::]:77", options));
    CHECK(or_throw(bound_device(at.native_handle())) == "near0");
    CHECK(value_of(at, option::reuse_port) == 1);
    CHECK(value_of(at, option::freebind) == 1);

    bytes request(64);
    request.resize(or_throw(icmp::encode(icmp::echo_request{.sequence = 3}, request)));
    const endpoint there{cable.far.address, 0};
    const auto sent = co_await at.write_to(request, there);
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(std::get<icmp::echo_reply>(or_throw(icmp::parse(got->payload)).body).identifier == 77);
    // The kernel sends by the bound device only.
    const control_message by_loopback{.interface_index = loopback_index};
    const auto refused = co_await at.write_to(request, by_loopback, there);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::invalid_argument);
  });
}

TEST_CASE("supported networks of a host are those that can be opened on it") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  const auto v6 = [&] { return listen_packet(loop, "udp6", "[::1]:0"); };
  const auto v4_mapped = [&] { return listen_packet(loop, "udp", "127.0.0.1:0"); };
  CHECK(v6());
  CHECK(v4_mapped());
  write_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
  CHECK(v6().error() == std::errc::address_not_available);
  CHECK(v4_mapped());
  write_sysctl("net/ipv6/conf/lo/disable_ipv6", "0");
  CHECK(v6());
}

}  // namespace
