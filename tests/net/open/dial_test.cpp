// Dialing: one address, and several at once (RFC 8305).

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "net/tcp/dial_race.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/resolve.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

endpoint at(const char* text) {
  return or_throw(endpoint::parse(text));
}

TEST_CASE("the families take turns, beginning with that of the first address") {
  const std::array given{at("[2001:db8::1]:1"), at("[2001:db8::2]:1"), at("192.0.2.1:1"), at("[2001:db8::3]:1"),
                         at("192.0.2.2:1")};
  CHECK(detail::interleave_families(given) == std::vector{given[0], given[2], given[1], given[4], given[3]});
  const std::array v4_first{given[2], given[0], given[1]};
  CHECK(detail::interleave_families(v4_first) == std::vector{given[2], given[0], given[1]});
  CHECK(detail::interleave_families({}).empty());
}

TEST_CASE("a dial that is refused, has no route or is malformed gives its error") {
  const network_namespace empty;
  event_loop loop;
  const auto inside = empty.enter();
  run(loop, [&]() -> task<> {
    const auto expect = [&](const char* network, const char* address, auto why) -> task<> {
      INFO(network << ' ' << address);
      const auto got = co_await dial_tcp(loop, network, address);
      REQUIRE_FALSE(got);
      CHECK(got.error() == why);
    };
    co_await expect("tcp6", "[::1]:1", std::errc::connection_refused);
    co_await expect("tcp6", "[2001:db8::1]:1", std::errc::network_unreachable);
    co_await expect("tcp", "127.0.0.1:1", std::errc::connection_refused);
    co_await expect("tcp6", "127.0.0.1:1", errc::ipv4_address);
    co_await expect("tcp6", "[::1]", errc::missing_port);
    co_await expect("tcp7", "[::1]:1", errc::unknown_network);
    co_await expect("tcp6", "[fe80::1%nosuch0]:1", errc::unknown_zone);
    co_await expect("tcp6", "[fe80::1%4711]:1", errc::unknown_zone);
    const tcp_options bad{.device = "nosuch0"};
    auto got = co_await dial_tcp(loop, "tcp6", "[::1]:1", bad);
    CHECK(got.error() == errc::unknown_zone);
    const tcp_options foreign{.local = at("[2001:db8::9]:0")};
    got = co_await dial_tcp(loop, "tcp6", "[::1]:1", foreign);
    CHECK(got.error() == std::errc::address_not_available);
    const std::span<const endpoint> none;
    got = co_await dial_tcp(loop, "tcp6", none);
    CHECK(got.error() == std::errc::invalid_argument);
  });
}

TEST_CASE("a dial from a chosen address, over a link-local zone") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = cable.far.space.run([&] { return or_throw(listen_tcp(loop, "tcp6", "[::]:0")); });
    const std::uint16_t port = or_throw(listener.local_endpoint()).port;
    const std::array there{endpoint{cable.far.link_local.with_zone(cable.near.link.index), port}};
    const tcp_options from{.local = endpoint{cable.near.link_local.with_zone(cable.near.link.index), 0}};
    // The socket is made when the dial begins: in the thread's namespace of that moment.
    const auto inside = cable.near.space.enter();
    auto here = co_await dial_tcp(loop, "tcp6", there, from);
    REQUIRE(here);
    auto accepted = co_await listener.accept();
    REQUIRE(accepted);
    CHECK(or_throw(accepted->peer_endpoint()).address == cable.near.link_local.with_zone(cable.far.link.index));
    CHECK(or_throw(here->peer_endpoint()) == there[0]);
  });
}

TEST_CASE("a listener bound to a device accepts by that device only, and a dial bound to one leaves by it") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = cable.near.space.enter();
    const tcp_options by_cable{.device = "near0"};
    const tcp_options by_loopback{.device = "lo"};
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::]:0", by_cable));
    const std::uint16_t port = or_throw(listener.local_endpoint()).port;
    CHECK(or_throw(bound_device(listener.native_handle())) == "near0");

    // The loopback interface leads to no listener.
    const std::array own{endpoint{ip_address::loopback(), port}};
    auto here = co_await dial_tcp(loop, "tcp6", own, by_loopback);
    REQUIRE_FALSE(here);
    CHECK(here.error() == std::errc::connection_refused);

    const std::array there{endpoint{cable.near.address, port}};
    const tcp_options by_far{.device = "far0"};
    {
      const auto at_far = cable.far.space.enter();
      here = co_await dial_tcp(loop, "tcp6", there, by_far);
    }
    REQUIRE(here);
    CHECK(or_throw(bound_device(here->native_handle())) == "far0");
    auto accepted = co_await listener.accept();
    REQUIRE(accepted);
    CHECK(or_throw(bound_device(accepted->native_handle())) == "near0");
    CHECK(or_throw(accepted->peer_endpoint()).address == cable.far.address);
  });
}

/// A host with first addresses that do not answer neighbor discovery.
struct silent_network {
  veth_pair cable;
  event_loop loop;
  network_namespace::visit inside = cable.near.space.enter();
  tcp_listener listener = cable.far.space.run([this] { return or_throw(listen_tcp(loop, "tcp", "[::]:0")); });
  std::uint16_t port = or_throw(listener.local_endpoint()).port;
  endpoint answers{cable.far.address, port};
  endpoint refuses{cable.far.address, 1};
  endpoint silent{or_throw(ip_address::parse("2001:db8::dead")), port};
};

TEST_CASE("the next address is tried while one stays silent, and the silent attempt is given up") {
  silent_network net;
  const std::size_t before = open_descriptors();
  run(net.loop, [&]() -> task<> {
    const std::array addresses{net.silent, net.silent, net.answers};
    const tcp_options soon{.attempt_delay = 20ms};
    const auto start = steady_clock::now();
    auto here = co_await dial_tcp(net.loop, "tcp6", addresses, soon);
    REQUIRE(here);
    CHECK(steady_clock::now() - start >= 40ms);
    CHECK(or_throw(here->peer_endpoint()) == net.answers);
    auto there = co_await net.listener.accept();
    REQUIRE(there);
    const auto sent = co_await here->write(as_payload("found"));
    CHECK(sent);
    std::array<std::byte, 8> buffer;
    const auto got = co_await there->read(buffer);
    CHECK(got == 5U);
  });
  CHECK(open_descriptors() == before);
}

TEST_CASE("a delay between attempts that the clock cannot represent never ends") {
  silent_network net;
  run(net.loop, [&]() -> task<> {
    const std::array addresses{net.silent, net.answers};
    const tcp_options never{.attempt_delay = std::chrono::milliseconds::max()};
    const auto got = co_await with_timeout(50ms, dial_tcp(net.loop, "tcp6", addresses, never));
    REQUIRE_FALSE(got);
    CHECK(got.error() == errc::deadline_exceeded);
  });
}

TEST_CASE("after an address has failed the next one is tried at once, whatever the delay") {
  silent_network net;
  run(net.loop, [&]() -> task<> {
    const std::array addresses{net.refuses, net.refuses, net.answers, net.silent};
    const tcp_options late{.attempt_delay = 1h};
    auto here = co_await dial_tcp(net.loop, "tcp6", addresses, late);
    REQUIRE(here);
    CHECK(or_throw(here->peer_endpoint()) == net.answers);
  });
}

TEST_CASE("if no address answers, the dial gives the first one's error") {
  silent_network net;
  run(net.loop, [&]() -> task<> {
    const std::array addresses{net.refuses, at("[2001:db8:9::1]:1")};  // to the second one there is no route
    const auto got = co_await dial_tcp(net.loop, "tcp6", addresses);
    REQUIRE_FALSE(got);
    CHECK(got.error() == std::errc::connection_refused);
  });
}

TEST_CASE("IPv4 and IPv6 addresses race on one dual-stack dial") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp", "127.0.0.1:0"));
    const std::uint16_t port = or_throw(listener.local_endpoint()).port;
    const std::array addresses{endpoint{ip_address::loopback(), port},
                               endpoint{ip_address::v4_mapped({127, 0, 0, 1}), port}};
    auto here = co_await dial_tcp(loop, "tcp", addresses);
    REQUIRE(here);
    CHECK(or_throw(here->peer_endpoint()) == addresses[1]);
    // Without IPv4 the dial has only the address that refuses.
    const auto only = co_await dial_tcp(loop, "tcp6", addresses);
    REQUIRE_FALSE(only);
    CHECK(only.error() == std::errc::connection_refused);
  });
}

TEST_CASE("a host is dialed by its name, and any of its addresses that answers is taken", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp", "127.0.0.1:0"));
    const std::string port = std::to_string(or_throw(listener.local_endpoint()).port);
    auto here = co_await dial_tcp(loop, "tcp", "localhost", port);
    REQUIRE(here);
    CHECK(or_throw(here->peer_endpoint()).address == ip_address::v4_mapped({127, 0, 0, 1}));
    auto there = co_await listener.accept();
    CHECK(there);
    auto wrong = co_await dial_tcp(loop, "udp6", "localhost", port);
    CHECK(wrong.error() == errc::unknown_network);
    wrong = co_await dial_tcp(loop, "tcp6", "::1", "no-such-service");
    CHECK_FALSE(wrong);
  });
}

TEST_CASE("a waiting dial ends with a stop, a timeout, its destruction or its loop, and leaves no descriptor open") {
  const std::size_t before = open_descriptors();
  {
    silent_network net;
    std::optional<beside> forgotten;
    std::vector<std::error_code> ends;
    const std::array addresses{net.silent, net.silent};
    const tcp_options soon{.attempt_delay = 10ms};
    const auto dial = [&]() -> task<> {
      const auto got = co_await dial_tcp(net.loop, "tcp6", addresses, soon);
      ends.push_back(got ? std::error_code() : got.error());
    };
    run(net.loop, [&]() -> task<> {
      beside stopped(net.loop, dial());
      beside destroyed(net.loop, dial());
      co_await yield();
      co_await sleep_for(15ms);  // both attempts are under way
      stopped.request_stop();
      co_await stopped.join();
      CHECK(ends == std::vector<std::error_code>{errc::canceled});
      const auto late = co_await with_timeout(5ms, dial_tcp(net.loop, "tcp6", addresses, soon));
      REQUIRE_FALSE(late);
      CHECK(late.error() == errc::deadline_exceeded);
      forgotten.emplace(net.loop, dial());
      co_await yield();
    });
    forgotten.reset();
    CHECK(ends.size() == 1);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("packets are dialed from the address and port that the caller chose") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = cable.near.space.enter();
    const ip_address& mine = cable.near.address;
    auto to = open_conn(loop);
    const std::string there = name_of(to).to_string();
    std::array<std::byte, 16> buffer;
    auto from = or_throw(dial_packet(loop, "udp6", there, {.local = endpoint{mine, 4711}}));
    CHECK(from.local_endpoint() == endpoint{mine, 4711});
    const auto sent = co_await from.write(as_payload("from"));
    REQUIRE(sent);
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(got->source == endpoint{mine, 4711});
    // The answers arrive at the chosen address and port.
    const auto answered = co_await to.write_to(as_payload("back"), got->source);
    REQUIRE(answered);
    const auto answer = co_await from.read_from(buffer);
    REQUIRE(answer);
    CHECK(answer->source == name_of(to));

    // Any local port, then any local address.
    const auto any_port = or_throw(dial_packet(loop, "udp6", there, {.local = endpoint{mine, 0}}));
    CHECK(or_throw(any_port.local_endpoint()).address == mine);
    CHECK(or_throw(any_port.local_endpoint()).port != 0);
    const auto any_address = or_throw(dial_packet(loop, "udp", there, {.local = endpoint{ip_address::any(), 4712}}));
    CHECK(any_address.local_endpoint() == endpoint{ip_address::loopback(), 4712});
    auto raw = or_throw(dial_packet(loop, "ip6:253", "::1", {.local = endpoint{mine, 0}}));
    CHECK(or_throw(raw.local_endpoint()).address == mine);

    const auto refused = [&](const endpoint& local) {
      return dial_packet(loop, "udp6", there, {.local = local}).error();
    };
    CHECK(refused({mine, 4711}) == std::errc::address_in_use);
    CHECK(refused({or_throw(ip_address::parse("2001:db8::6")), 0}) == std::errc::address_not_available);
    CHECK(refused({or_throw(ip_address::parse("fe80::1%4711")), 0}) == errc::unknown_zone);
  });
}

TEST_CASE("packet conns are dialed to a name once it is resolved") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    CHECK(dial_packet(loop, "udp6", "localhost:9").error() == errc::not_an_address);
    const auto found = co_await resolve("localhost", "9");
    REQUIRE(found);
    const auto dialed = dial_packet(loop, "udp", found->front().to_string());
    REQUIRE(dialed);
    CHECK(dialed->peer_endpoint() == found->front());
  });
}

}  // namespace
