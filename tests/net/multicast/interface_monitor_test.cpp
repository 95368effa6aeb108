// Each change of a network namespace is one event of interface_monitor.
#include "uring6/interface_monitor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "net/multicast/watched_network.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using enum interface_change;
using changes = std::vector<interface_change>;

constexpr std::uint32_t seven = 77;

ip_address address(const char* text) {
  return or_throw(ip_address::parse(text));
}

const ip_address documented = address("2001:db8::7");

TEST_CASE("the first events tell all interfaces and addresses, and then that they have, by both drivers") {
  const loop_driver driver = GENERATE(loop_driver::automatic, loop_driver::readiness);
  watched_network host({}, {.driver = driver});
  host.space.run([] { add_address(loopback_index, documented, 64); });
  host.wait_for_addresses();
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    CHECK(changes_of(seen, loopback_index) == changes{created, up});
    CHECK(changes_of(seen, documented) == changes{address_added, address_usable});
    CHECK(seen.front().name.view() == "lo");
    host.space.run([&] {
      CHECK(host.monitor.interfaces() == or_throw(interface::all()));
      CHECK(host.known == known_network::of_the_kernel());
    });
    CHECK(host.monitor.stats().dumps == 1);
    CHECK(host.monitor.stats().overruns == 0);
    CHECK(host.monitor.stats().events == seen.size());
  });
}

TEST_CASE("the monitor tells an interface's life in order, and that of a new one with a former index") {
  const loop_driver driver = GENERATE(loop_driver::automatic, loop_driver::readiness);
  watched_network host({}, {.driver = driver});
  const network_namespace far;
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    seen.clear();
    host.space.run([&] {
      create_veth("eth7", far, "far7", seven);
      set_link(seven, link_state::up);
      set_mtu(seven, 1'400);
      set_link(seven, link_state::down);
      rename_link(seven, "wan");
      delete_link(seven);
      create_veth("eth7", far, "far7", seven);
    });
    co_await host.read_all(seen);
    CHECK(changes_of(seen, seven) == changes{created, up, mtu, down, renamed, removed, created});
    co_await host.read_until_all_is_known(seen);
    for (const interface_event& each : seen) {
      if (each.what == mtu) CHECK(each.mtu == 1'400);
      if (each.what == renamed) CHECK((each.name.view() == "wan" && each.previous_name.view() == "eth7"));
    }
  });
}

TEST_CASE("an interface that is moved to another namespace is removed here and created there") {
  watched_network host;
  const network_namespace far;
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    host.space.run([&] { create_veth("eth7", far, "far7", seven); });
    co_await host.read_to(synchronized, seen);
    seen.clear();
    host.space.run([&] { move_link(seven, far); });
    co_await host.read_all(seen);
    CHECK(changes_of(seen, seven) == changes{removed});
    seen.clear();
    far.run([&] { move_link(or_throw(interface::by_name("eth7")).index, host.space); });
    co_await host.read_all(seen);
    CHECK(changes_of(seen, seven) == changes{created});
  });
}

TEST_CASE("an address is told when it is added, deprecated, preferred again and removed") {
  watched_network host;
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    seen.clear();
    host.space.run([] {
      add_address(loopback_index, documented, 64);
      add_address(loopback_index, address("192.0.2.7"), 24);
    });
    host.wait_for_addresses();
    host.space.run([] {
      change_address(loopback_index, documented, 64, {.valid = 3'600, .preferred = 0});
      change_address(loopback_index, documented, 64, {.valid = 3'600, .preferred = 1'800});
      delete_address(loopback_index, documented, 64);
      delete_address(loopback_index, address("192.0.2.7"), 24);
    });
    co_await host.read_all(seen);
    CHECK(changes_of(seen, documented) ==
          changes{address_added, address_usable, address_deprecated, address_preferred, address_removed});
    CHECK(changes_of(seen, address("192.0.2.7")) == changes{address_added, address_usable, address_removed});
    for (const interface_event& each : seen) {
      if (each.address == documented) CHECK((each.prefix_length == 64 && each.name.view() == "lo"));
      if (each.address == address("192.0.2.7")) CHECK(each.prefix_length == 96 + 24);
    }
  });
}

/// Duplicate address detection is on at the near end, and is over in some ten milliseconds.
void prove_addresses(const veth_end& end) {
  end.space.run([&] {
    write_sysctl("net/ipv6/conf/" + end.link.name + "/accept_dad", "1");
    write_sysctl("net/ipv6/conf/" + end.link.name + "/router_solicitation_delay", "0");
    write_sysctl("net/ipv6/neigh/" + end.link.name + "/retrans_time_ms", "10");
  });
}

TEST_CASE("an address becomes usable when its uniqueness is proved, and duplicate when another host has it") {
  veth_pair cable;
  prove_addresses(cable.near);
  event_loop loop;
  auto monitor = cable.near.space.run([&] { return interface_monitor(loop); });
  const ip_address taken = address("2001:db8::8");
  cable.far.space.run([&] { add_address(cable.far.link.index, taken, 64); });
  run(loop, [&]() -> task<> {
    changes of_documented;
    changes of_taken;
    cable.near.space.run([&] {
      add_address(cable.near.link.index, documented, 64, {.prove_unique = true});
      add_address(cable.near.link.index, taken, 64, {.prove_unique = true});
    });
    while (of_documented.size() < 2 || of_taken.size() < 2) {
      const auto got = co_await monitor.next();
      REQUIRE(got);
      if (got->address == documented) of_documented.push_back(got->what);
      if (got->address == taken) of_taken.push_back(got->what);
      if (got->what == address_added && got->address == documented) {
        CHECK(has_all(got->address_state, address_flags::tentative));
      }
    }
    CHECK(of_documented == changes{address_added, address_usable});
    CHECK(of_taken == changes{address_added, address_duplicate});
  });
}

TEST_CASE("wait_until_usable returns when the address can be bound, which it cannot before") {
  veth_pair cable;
  prove_addresses(cable.near);
  event_loop loop;
  const auto listen = [&] {
    return cable.near.space.run([&] { return listen_packet(loop, "udp6", endpoint{documented, 0}); });
  };
  const auto waiting = [&](const ip_address& on) {
    return cable.near.space.run([&] { return wait_until_usable(loop, on); });
  };
  run(loop, [&]() -> task<> {
    std::optional<result<interface_address>> usable;
    beside waiter(loop, [&]() -> task<> { usable = co_await waiting(documented); });
    // Without the address it waits.
    for (int i = 0; i < 3; ++i) co_await yield();
    CHECK_FALSE(usable);
    cable.near.space.run([&] { add_address(cable.near.link.index, documented, 64, {.prove_unique = true}); });
    CHECK(listen().error() == std::errc::address_not_available);
    co_await waiter.join();
    REQUIRE(usable);
    REQUIRE(*usable);
    CHECK((*usable)->interface_index == cable.near.link.index);
    CHECK((*usable)->prefix_length == 64);
    CHECK(listen());

    // One that is usable already needs no wait; a link-local one needs no zone.
    const auto again = co_await waiting(documented);
    CHECK(again);
    const auto scoped = co_await waiting(cable.near.link_local.with_zone(0));
    REQUIRE(scoped);
    CHECK(scoped->address == cable.near.link_local);
  });
}

TEST_CASE("wait_until_usable says that another host has the address, that none can have it, or that it was stopped") {
  veth_pair cable;
  prove_addresses(cable.near);
  event_loop loop;
  const auto waiting = [&](const ip_address& on) {
    return cable.near.space.run([&] { return wait_until_usable(loop, on); });
  };
  run(loop, [&]() -> task<> {
    cable.near.space.run([&] { add_address(cable.near.link.index, cable.far.address, 64, {.prove_unique = true}); });
    const auto duplicate = co_await waiting(cable.far.address);
    CHECK(duplicate.error() == std::errc::address_not_available);
    const auto group = co_await waiting(ip_address::all_nodes());
    CHECK(group.error() == std::errc::invalid_argument);
    const auto any = co_await waiting(ip_address::any());
    CHECK(any.error() == std::errc::invalid_argument);
    const auto absent = co_await with_timeout(1ms, waiting(documented));
    CHECK(absent.error() == errc::deadline_exceeded);
  });
}

TEST_CASE("routes are told to a monitor that asks for them") {
  const bool asked = GENERATE(false, true);
  watched_network host({.routes = asked});
  const network_namespace far;
  const ip_address net = address("2001:db8:9::");
  run(host.loop, [&]() -> task<> {
    host.space.run([&] {
      create_veth("eth7", far, "far7", seven);
      set_link(seven, link_state::up);
      add_address(seven, documented, 64);
    });
    far.run([] { set_link(or_throw(interface::by_name("far7")).index, link_state::up); });
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    seen.clear();
    host.space.run([&] {
      add_route(seven, net, 48, address("2001:db8::1"));
      add_dead_route(dead_route::unreachable, address("2001:db8:8::"), 48);
      delete_dead_route(dead_route::unreachable, address("2001:db8:8::"), 48);
    });
    co_await host.read_all(seen);
    changes routes;
    for (const interface_event& each : seen) {
      if (each.address == address("2001:db8:8::")) routes.push_back(each.what);
      if (each.address != net) continue;
      CHECK(each.what == route_added);
      CHECK(each.prefix_length == 48);
      CHECK(each.gateway == address("2001:db8::1"));
      CHECK(each.name.view() == "eth7");
      routes.push_back(each.what);
    }
    CHECK(routes == (asked ? changes{route_added, route_added, route_removed} : changes{}));
  });
}

TEST_CASE("the event of an address that goes names the address to which a conn is bound") {
  watched_network host;
  run(host.loop, [&]() -> task<> {
    host.space.run([] { add_address(loopback_index, documented, 128); });
    auto pc = host.space.run([&] { return or_throw(listen_packet(host.loop, "udp6", endpoint{documented, 0})); });
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    host.space.run([] { delete_address(loopback_index, documented, 128); });
    co_await host.read_to(address_removed, seen);
    CHECK(seen.back().address == name_of(pc).address);
  });
}

TEST_CASE("a next that is stopped has taken no event, and one coroutine at a time waits") {
  watched_network host;
  const network_namespace far;
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    for (int i = 0; i < 3; ++i) {
      beside waiter(host.loop, [&]() -> task<> {
        const auto got = co_await host.monitor.next();
        CHECK(got.error() == errc::canceled);
      });
      co_await yield();
      co_await yield();
      const auto second = co_await host.monitor.next();
      CHECK(second.error() == std::errc::operation_in_progress);
      host.space.run([&] { create_veth("eth7", far, "far7", seven); });
      waiter.request_stop();
      co_await waiter.join();
      seen.clear();
      host.space.run([] { delete_link(seven); });
      co_await host.read_all(seen);
      CHECK(changes_of(seen, seven) == changes{created, removed});
    }
  });
}

TEST_CASE("a monitor that was moved from is closed, and another thread may not wait") {
  watched_network host;
  interface_monitor moved = std::move(host.monitor);
  CHECK(host.monitor.interfaces().empty());
  CHECK(host.monitor.addresses().empty());
  CHECK(host.monitor.stats().messages == 0);
  run(host.loop, [&]() -> task<> {
    const auto got = co_await host.monitor.next();
    CHECK(got.error() == errc::closed);
    std::error_code elsewhere;
    std::thread([&] {
      event_loop other;
      other.run([](interface_monitor& at, std::error_code& said) -> task<> {
        const auto refused = co_await at.next();
        said = refused.error();
      }(moved, elsewhere));
    }).join();
    CHECK(elsewhere == errc::wrong_thread);
  });
  event_loop gone;
  const event_loop taken = std::move(gone);
  CHECK(interface_monitor::open(gone).error() == errc::closed);
  CHECK(interface_monitor::open(host.loop, {.receive_buffer = std::size_t{1} << 40}).error() == errc::out_of_range);
}

}  // namespace
