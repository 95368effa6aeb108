// A network namespace with an interface_monitor in it, and what its events say that there is.
#pragma once

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/interface_monitor.hpp"

namespace uring6::test {

/// The interfaces and addresses that a program knows which learns of them by events alone.
class known_network {
 public:
  using address = std::tuple<std::uint32_t, ip_address, std::uint8_t>;

  void learn(const interface_event& event) {
    const address of{event.interface_index, event.address, event.prefix_length};
    switch (event.what) {
      case interface_change::created:
        REQUIRE(names.emplace(event.interface_index, event.name.view()).second);
        break;
      case interface_change::removed:
        REQUIRE(names.erase(event.interface_index) == 1);
        break;
      case interface_change::renamed:
        REQUIRE(names.at(event.interface_index) == event.previous_name.view());
        names[event.interface_index] = event.name.view();
        break;
      case interface_change::address_added:
        REQUIRE(addresses.insert(of).second);
        break;
      case interface_change::address_removed:
        REQUIRE(addresses.erase(of) == 1);
        break;
      default:
        break;
    }
  }

  /// What the kernel says, in the namespace of the calling thread.
  static known_network of_the_kernel() {
    known_network all;
    for (const interface& each : or_throw(interface::all())) all.names.emplace(each.index, each.name);
    for (const interface_address& each : or_throw(interface::all_addresses())) {
      all.addresses.emplace(each.interface_index, each.address, each.prefix_length);
    }
    return all;
  }

  friend bool operator==(const known_network&, const known_network&) = default;

  std::map<std::uint32_t, std::string> names;
  std::set<address> addresses;
};

struct watched_network {
  explicit watched_network(const interface_monitor_options& options = {}, const loop_options& of_loop = {})
      : loop(of_loop), monitor(space.run([&] { return interface_monitor(loop, options); })) {}

  /// Reads up to an event of this kind, and appends the events to `into`.
  task<> read_to(interface_change what, std::vector<interface_event>& into) {
    for (;;) {
      const auto got = co_await monitor.next();
      REQUIRE(got);
      known.learn(*got);
      into.push_back(*got);
      if (got->what == what) co_return;
    }
  }

  /// Reads all events of what has happened up to now, and appends them to `into`. A change of its own, of the MTU of
  /// lo, marks the end.
  task<> read_all(std::vector<interface_event>& into) {
    const std::uint32_t mark = ++last_mark_;
    space.run([&] { set_mtu(loopback_index, mark); });
    for (;;) {
      const auto got = co_await monitor.next();
      REQUIRE(got);
      known.learn(*got);
      if (got->interface_index == loopback_index && got->what == interface_change::mtu) {
        if (got->mtu == mark) co_return;
      } else {
        into.push_back(*got);
      }
    }
  }

  /// Reads until the events have told what the kernel says. The kernel tells of an address without duplicate address
  /// detection some time after it was added; and a listing that goes on must not be interrupted by a further mark.
  task<> read_until_all_is_known(std::vector<interface_event>& into) {
    co_await read_all(into);
    while (known != space.run([] { return known_network::of_the_kernel(); })) {
      const auto got = co_await monitor.next();
      REQUIRE(got);
      known.learn(*got);
      into.push_back(*got);
    }
  }

  /// Waits until the kernel has told of all addresses that were added.
  void wait_for_addresses() const {
    space.run([] {
      REQUIRE(eventually([] {
        return std::ranges::none_of(or_throw(interface::all_addresses()),
                                    [](const interface_address& each) { return each.is(address_flags::tentative); });
      }));
    });
  }

  network_namespace space;
  event_loop loop;
  interface_monitor monitor;
  known_network known;

 private:
  std::uint32_t last_mark_ = 30'000;
};

/// What happened to one interface, without the carrier, which comes and goes in its own time, and without addresses.
inline std::vector<interface_change> changes_of(const std::vector<interface_event>& all, std::uint32_t index) {
  using enum interface_change;
  std::vector<interface_change> found;
  for (const interface_event& each : all) {
    const bool counts = each.what != running && each.what != stopped && each.what < address_added;
    if (counts && each.interface_index == index) found.push_back(each.what);
  }
  return found;
}

/// What happened to one address.
inline std::vector<interface_change> changes_of(const std::vector<interface_event>& all, const ip_address& address) {
  std::vector<interface_change> found;
  for (const interface_event& each : all) {
    if (each.address == address && each.what < interface_change::route_added) found.push_back(each.what);
  }
  return found;
}

}  // namespace uring6::test
