// More changes than a netlink socket has room for: an interface_monitor tells in the end what there is.
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "net/multicast/watched_network.hpp"
#include "support/process/long_run.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using enum interface_change;
using changes = std::vector<interface_change>;

ip_address numbered_address(std::uint32_t number) {
  ip_address::bytes_type bytes{0x20, 0x01, 0x0d, 0xb8};
  for (std::size_t i = 0; i < 4; ++i) bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return ip_address(bytes);
}

// The least that the kernel grants: room for two or three messages.
constexpr interface_monitor_options short_of_room{.receive_buffer = 1};

TEST_CASE("after an overrun the events tell the differences, also of an interface that was replaced meanwhile") {
  const loop_driver driver = GENERATE(loop_driver::automatic, loop_driver::readiness);
  watched_network host(short_of_room, {.driver = driver});
  const network_namespace far;
  constexpr std::uint32_t replaced = 70;
  constexpr std::uint32_t deleted = 71;
  constexpr std::uint32_t kept = 72;
  run(host.loop, [&]() -> task<> {
    host.space.run([&] {
      for (const std::uint32_t index : {replaced, deleted, kept}) {
        create_veth("eth" + std::to_string(index), far, "far" + std::to_string(index), index);
      }
      for (std::uint32_t i = 0; i < 100; ++i) add_address(loopback_index, numbered_address(i), 128);
    });
    host.wait_for_addresses();
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);

    host.space.run([&] {
      for (std::uint32_t i = 0; i < 50; ++i) delete_address(loopback_index, numbered_address(i), 128);
      for (std::uint32_t i = 100; i < 150; ++i) add_address(loopback_index, numbered_address(i), 128);
      delete_link(deleted);
      delete_link(replaced);
      create_veth("eth70", far, "far70", replaced);
      set_mtu(kept, 1'280);
      rename_link(kept, "other");
    });
    host.wait_for_addresses();
    seen.clear();
    co_await host.read_to(overrun, seen);
    co_await host.read_to(synchronized, seen);
    CHECK(changes_of(seen, replaced) == changes{removed, created});
    CHECK(changes_of(seen, deleted) == changes{removed});
    CHECK(changes_of(seen, kept) == changes{renamed, mtu});
    CHECK(changes_of(seen, numbered_address(7)) == changes{address_removed});
    CHECK(changes_of(seen, numbered_address(77)).empty());
    CHECK(changes_of(seen, numbered_address(107)) == changes{address_added, address_usable});
    host.space.run([&] { CHECK(host.known == known_network::of_the_kernel()); });
  });
}

TEST_CASE("nothing is missed while another thread changes the network faster than the monitor has room for") {
  watched_network host(short_of_room);
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    std::atomic<bool> is_over = false;
    const std::jthread changer([&] {
      const auto inside = host.space.enter();
      const std::uint32_t rounds = long_run() ? 100'000 : 1'000;
      constexpr std::uint32_t at_most = 300;  // addresses that stay
      for (std::uint32_t i = 0; i < rounds; ++i) {
        add_address(loopback_index, numbered_address(i), 128);
        if (i >= at_most) delete_address(loopback_index, numbered_address(i - at_most), 128);
      }
      is_over = true;
    });
    // A fast reader keeps up with the other thread. These changes come before it reads, so the kernel drops some, and
    // the monitor lists the network.
    const auto overrun_once = [&] {
      host.space.run([] {
        for (std::uint32_t mtu = 40'000; mtu < 40'020; ++mtu) set_mtu(loopback_index, mtu);
      });
      return host.read_to(synchronized, seen);
    };
    while (!is_over) {
      seen.clear();
      co_await overrun_once();
    }
    host.wait_for_addresses();
    co_await overrun_once();
    host.space.run([&] { CHECK(host.known == known_network::of_the_kernel()); });
    CHECK(host.monitor.stats().overruns > 0);
    CHECK(host.known.addresses.size() > 300);
  });
}

TEST_CASE("many interfaces come and go, and each is told", "[long]") {
  const std::uint32_t pairs = long_run() ? 5'000 : 100;  // two interfaces each
  watched_network host;
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    seen.clear();
    host.space.run([&] {
      for (std::uint32_t i = 0; i < pairs; ++i) {
        create_veth("a" + std::to_string(i), host.space, "b" + std::to_string(i));
      }
    });
    auto begin = std::chrono::steady_clock::now();
    co_await host.read_all(seen);
    const auto followed = std::chrono::steady_clock::now() - begin;
    host.space.run([&] { CHECK(host.known == known_network::of_the_kernel()); });
    CHECK(host.known.names.size() == 2 * pairs + 1);

    auto later = host.space.run([&] { return interface_monitor(host.loop); });
    begin = std::chrono::steady_clock::now();
    std::size_t told = 0;
    for (;;) {
      const auto got = co_await later.next();
      REQUIRE(got);
      if (got->what == created) ++told;
      if (got->what == synchronized) break;
    }
    const auto listed = std::chrono::steady_clock::now() - begin;
    CHECK(told == 2 * pairs + 1);
    const auto in_ms = [](auto time) { return std::chrono::duration<double, std::milli>(time).count(); };
    std::printf("# %u interfaces: %.1f ms to read of each change, %.1f ms to list them\n", 2 * pairs, in_ms(followed),
                in_ms(listed));
  });
}

}  // namespace
