// Control messages that the kernel refuses to send, and the settings that make it accept them (RFC 3542, 6).

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a conn that is bound to a device sends by no other device, whatever the control message says") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const packet_options bound{.device = cable.near.link.name};
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", bound)); });
    const endpoint to{cable.far.address, 9};
    const control_message by_loopback{.interface_index = loopback_index};
    auto sent = co_await from.write_to(as_payload("x"), by_loopback, to);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::invalid_argument);
    const control_message by_it{.interface_index = cable.near.link.index};
    sent = co_await from.write_to(as_payload("x"), by_it, to);
    CHECK(sent);
  });
}

TEST_CASE("a source of another host is refused, unless the conn is free to bind") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{cable.far.address, name_of(to).port};
    const ip_address foreign = or_throw(ip_address::parse("2001:db8::4711"));
    const control_message control{.source = foreign};
    for (const bool free : {false, true}) {
      const packet_options options{.freebind = free};
      auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
      const auto sent = co_await from.write_to(as_payload("from nowhere"), control, there);
      CHECK(sent.has_value() == free);
      if (!sent) CHECK(sent.error() == std::errc::invalid_argument);
    }
    std::array<std::byte, 16> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(got->source.address == foreign);
  });
}

TEST_CASE("a link-local source needs its interface, by number or as its zone") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{cable.far.address, name_of(to).port};
    const ip_address own = cable.near.link_local.with_zone(0);
    const control_message alone{.source = own};
    auto sent = co_await from.write_to(as_payload("x"), alone, there);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::invalid_argument);
    const control_message by_number{.interface_index = cable.near.link.index, .source = own};
    const control_message by_zone{.source = cable.near.link_local};
    std::array<std::byte, 16> buffer;
    for (const control_message& good : {by_number, by_zone}) {
      sent = co_await from.write_to(as_payload("x"), good, there);
      REQUIRE(sent);
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(got->source.address == cable.near.link_local.with_zone(cable.far.link.index));
    }
  });
}

TEST_CASE("a tentative address is no source yet") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const ip_address fresh = or_throw(ip_address::parse("2001:db8::78"));
    auto from = cable.near.space.run([&] {
      write_sysctl("net/ipv6/conf/near0/accept_dad", "1");
      write_sysctl("net/ipv6/conf/near0/dad_transmits", "100");
      add_address(cable.near.link.index, fresh, 64, {.prove_unique = true});
      return or_throw(listen_packet(loop, "udp6", "[::]:0"));
    });
    const control_message control{.source = fresh};
    const endpoint to{cable.far.address, 9};
    const auto sent = co_await from.write_to(as_payload("x"), control, to);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::invalid_argument);
  });
}

TEST_CASE("a broadcast to IPv4 hosts is refused until the option is set by hand") {
  const network_namespace space;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = space.enter();
    auto from = or_throw(listen_packet(loop, "udp", "[::]:0"));
    const control_message by_loopback{.interface_index = loopback_index};
    const endpoint everybody{ip_address::v4_mapped({255, 255, 255, 255}), 9};
    auto sent = co_await from.write_to(as_payload("x"), by_loopback, everybody);
    CHECK(sent.error() == std::errc::permission_denied);
    const int on = 1;
    REQUIRE(::setsockopt(from.native_handle(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0);
    sent = co_await from.write_to(as_payload("x"), by_loopback, everybody);
    CHECK(sent);
  });
}

TEST_CASE("a destination in an unknown zone is refused, whatever its scope, and the other datagrams are sent") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    constexpr std::uint32_t nowhere = 4711;
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const std::uint16_t port = name_of(to).port;
    const ip_address there = cable.far.link_local.with_zone(cable.near.link.index);
    for (const bool ahead : {false, true}) {
      const packet_options options{.coalesce_writes = ahead};
      auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
      const auto write = [&](const ip_address& address) -> task<result<void>> {
        const auto sent = co_await from.write_to(as_payload("x"), {address, port});
        if (!sent) co_return fail(sent.error());
        const auto flushed = co_await from.flush();
        co_return flushed;
      };
      for (const char* text : {"fe80::1", "ff02::1", "ff01::1", "ff05::1", "::1", "2001:db8::2"}) {
        INFO(text);
        const auto sent = co_await write(or_throw(ip_address::parse(text)).with_zone(nowhere));
        CHECK(sent.error() == errc::unknown_zone);
      }
      // The zone exists, but has no route.
      auto sent = co_await write(or_throw(ip_address::parse("fe80::1")).with_zone(loopback_index));
      CHECK(sent.error() == std::errc::network_unreachable);
      sent = co_await write(there);
      CHECK(sent);
    }

    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    std::array<write_slot, 3> batch;
    for (auto& each : batch) each = {as_payload("batch"), {}, {there, port}, {}};
    batch[0].destination.address = cable.far.address.with_zone(nowhere);
    batch[1].destination.address = there.with_zone(nowhere);
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent == 1U);
    CHECK(batch[0].error == errc::unknown_zone);
    CHECK(batch[1].error == errc::unknown_zone);
    CHECK_FALSE(batch[2].error);
    std::array<std::byte, 16> buffer;
    for (const char* expected : {"x", "x", "batch"}) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == expected);
    }
  });
}

TEST_CASE("a zone on an address that may have none is refused, and no datagram is sent there") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = cable.near.space.enter();
    const std::uint32_t zone = cable.near.link.index;
    for (const bool ahead : {false, true}) {
      auto from = or_throw(listen_packet(loop, "udp6", "[::]:0", {.coalesce_writes = ahead}));
      for (const char* text : {"2001:db8::2", "::1", "ff05::1", "fd00::1"}) {
        INFO(text);
        const endpoint there{or_throw(ip_address::parse(text)).with_zone(zone), 9};
        const auto sent = co_await from.write_to(as_payload("x"), there);
        CHECK(sent.error() == errc::needless_zone);
        CHECK(dial_packet(loop, "udp6", there.to_string()).error() == errc::needless_zone);
        const auto stream = co_await dial_tcp(loop, "tcp6", there.to_string());
        CHECK(stream.error() == errc::needless_zone);
      }
      CHECK(from.stats().sent_datagrams == 0);
    }
    CHECK(listen_packet(loop, "udp6", "[::1%near0]:0").error() == errc::needless_zone);
    const packet_options from_zone{.local = endpoint{cable.near.address.with_zone(zone), 0}};
    CHECK(dial_packet(loop, "udp6", "[2001:db8::2]:9", from_zone).error() == errc::needless_zone);
  });
}

TEST_CASE("a zone on an address that may have none is refused in a batch, by a raw conn and by TCP") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = cable.near.space.enter();
    const std::uint32_t zone = cable.near.link.index;
    auto to = or_throw(listen_packet(loop, "udp6", "[::1]:0"));
    auto from = or_throw(listen_packet(loop, "udp6", "[::]:0"));
    const endpoint good = name_of(to);
    const endpoint bad{good.address.with_zone(zone), good.port};
    std::array<write_slot, 3> batch{write_slot{as_payload("batch"), {}, bad, {}},
                                    write_slot{as_payload("batch"), {}, good, {}},
                                    write_slot{as_payload("batch"), {}, bad, {}}};
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent == 1U);
    CHECK(batch[0].error == errc::needless_zone);
    CHECK_FALSE(batch[1].error);
    CHECK(batch[2].error == errc::needless_zone);
    CHECK(from.stats().sent_datagrams == 1);

    auto raw = or_throw(listen_packet(loop, "ip6:253", "::"));
    const endpoint raw_destination{cable.far.address.with_zone(zone), 0};
    const auto raw_sent = co_await raw.write_to(as_payload("x"), raw_destination);
    CHECK(raw_sent.error() == errc::needless_zone);
    CHECK(raw.stats().sent_datagrams == 0);

    CHECK(listen_tcp(loop, "tcp6", "[::1%near0]:0").error() == errc::needless_zone);
    CHECK(listen_tcp(loop, "tcp6", bad).error() == errc::needless_zone);
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    const std::string there = or_throw(listener.local_endpoint()).to_string();
    const tcp_options options{.local = endpoint{ip_address::loopback().with_zone(zone), 0}};
    const auto dialed = co_await dial_tcp(loop, "tcp6", there, options);
    CHECK(dialed.error() == errc::needless_zone);
  });
}

TEST_CASE("an empty request for control messages, or one of a closed conn, changes nothing") {
  event_loop loop;
  auto at = open_conn(loop);
  CHECK(at.set_control_message(control_flags::none, true));
  CHECK(at.set_control_message(control_flags::source, true));
  CHECK(at.set_control_message(control_flags::source, false));
  REQUIRE(at.close());
  CHECK(at.set_control_message(control_flags::hop_limit, true).error() == errc::closed);
}

}  // namespace
