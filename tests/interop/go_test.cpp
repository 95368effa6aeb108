// Against Go's net and golang.org/x/net: source filters, IPv4 on dual-stack sockets, TCP.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "go_peer.hpp"
#include "support/case/coroutines.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("an excluded source does not arrive until it is included again, in Go and uring6 alike") {
  need_go();
  neighbours net;
  run(net.loop, [&]() -> task<> {
    const ip_address group = parse("ff05::1234");
    const interface& here = net.cable.near.link;
    const std::string there = net.cable.far.link.name;
    {
      auto from = net.open("udp6", "[::]:0");
      const std::string words = ",ff05::1234," + there + ",2001:db8::11";
      auto go = net.start({"receive", "udp6", "[::]:0", "join,ff05::1234," + there, "exclude" + words, "read,1",
                           "include" + words, "read,2"});
      const endpoint to{group, go.port()};
      const auto send = [&](const ip_address& source, std::string_view text) -> task<> {
        const control_message control{.interface_index = here.index, .source = source};
        const auto sent = co_await from.write_to(as_payload(text), control, to);
        REQUIRE(sent);
      };
      co_await send(net.near_second, "excluded");
      co_await send(net.cable.near.address, "other");
      go.port(2);
      co_await send(net.near_second, "included");
      co_await send(net.cable.near.address, "other");
      const auto lines = go.lines();
      REQUIRE(lines.size() == 3);
      CHECK(lines[0].starts_with("other tclass=0 hoplim=1 src=2001:db8::1 dst=ff05::1234 "));
      CHECK(lines[1].starts_with("included tclass=0 hoplim=1 src=2001:db8::11 dst=ff05::1234 "));
      CHECK(lines[2].starts_with("other "));
    }
    auto to = net.open("udp6", "[::]:0");
    REQUIRE(to.join_group(here, group));
    REQUIRE(to.exclude_source_specific_group(here, group, net.far_second));
    const std::string name = "[ff05::1234]:" + std::to_string(name_of(to).port);
    const std::vector<std::string> both{"send", "udp6", name, "-,-,2001:db8::22," + there, "-,-,2001:db8::2," + there};
    std::array<std::byte, 64> buffer;
    const auto expect = [&](std::string_view text, const ip_address& source) -> task<> {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == text);
      CHECK(got->source.address == source);
    };
    CHECK(net.start(both).lines().empty());
    co_await expect("go-1", net.cable.far.address);
    REQUIRE(to.include_source_specific_group(here, group, net.far_second));
    CHECK(net.start(both).lines().empty());
    co_await expect("go-0", net.far_second);
    co_await expect("go-1", net.cable.far.address);
  });
}

TEST_CASE(
    "an IPv4 peer in Go exchanges control fields with a dual-stack conn, which Go's own dual-stack socket does not") {
  need_go();
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto here = or_throw(listen_packet(loop, "udp", "[::]:0"));
    REQUIRE(here.set_control_message(all_control, true));
    const std::string port = std::to_string(name_of(here).port);
    const auto v4 = [](std::uint8_t last) { return ip_address::v4_mapped({127, 0, 0, last}); };
    const control_message control{
        .traffic_class = 0x28, .hop_limit = 9, .interface_index = loopback_index, .source = v4(7)};
    {
      go_peer go({"receive4", "127.0.0.1:0", "1"});
      const endpoint to{v4(1), go.port()};
      const auto sent = co_await here.write_to(as_payload("four"), control, to);
      REQUIRE(sent);
      CHECK(go.lines() ==
            std::vector<std::string>{"four ttl=9 src=127.0.0.7 dst=127.0.0.1 ifindex=1 from 127.0.0.7:" + port});
    }
    {
      // On a dual-stack socket Go receives the destination only, ...
      go_peer go({"receive", "udp", "[::]:0", "read,1"});
      const endpoint to{v4(1), go.port()};
      const auto sent = co_await here.write_to(as_payload("four"), control, to);
      REQUIRE(sent);
      CHECK(go.lines() == std::vector<std::string>{"four tclass=0 hoplim=0 src=<nil> dst=127.0.0.1 ifindex=1 from "
                                                   "127.0.0.7:" +
                                                   port});
    }
    {
      // ... and cannot send a control message by it (golang/go#70640).
      go_peer go({"send", "udp", "127.0.0.1:" + port, "-,-,-,lo"});
      CHECK(go.failure().find("invalid argument") != std::string::npos);
    }
    go_peer go({"send4", "127.0.0.9:" + port, "40,33", "0,255"});
    const endpoint source{v4(1), go.port()};
    std::array<std::byte, 64> buffer;
    for (const auto& [text, traffic_class, hop_limit] : {std::tuple{"go-0", 40, 33}, {"go-1", 0, 255}}) {
      const auto got = co_await here.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == text);
      CHECK(got->source == source);
      CHECK(got->control.traffic_class == traffic_class);
      CHECK(got->control.hop_limit == hop_limit);
      CHECK(got->control.destination == v4(9));
      CHECK(got->control.interface_index == loopback_index);
    }
    CHECK(go.lines().empty());
  });
}

TEST_CASE("a TCP conversation with Go, each half ended in turn") {
  need_go();
  neighbours net;
  run(net.loop, [&]() -> task<> {
    auto listener = net.cable.near.space.run([&] { return or_throw(listen_tcp(net.loop, "tcp6", "[::]:0")); });
    const endpoint name{net.cable.near.address, or_throw(listener.local_endpoint()).port};
    auto go = net.start({"dial", name.to_string()});
    auto peer = co_await listener.accept();
    REQUIRE(peer);
    std::string heard;
    std::array<std::byte, 64> buffer;
    for (;;) {
      const auto got = co_await peer->read(buffer);
      REQUIRE(got);
      if (*got == 0) break;
      heard += as_text(std::span(buffer).first(*got));
    }
    CHECK(heard == "hello from Go");
    const auto sent = co_await peer->write(as_payload("hello from uring6"));
    REQUIRE(sent);
    REQUIRE(peer->close());
    CHECK(go.lines() == std::vector<std::string>{"hello from uring6"});
  });
}

}  // namespace
