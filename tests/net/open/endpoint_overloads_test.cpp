// Conns are opened at the endpoints that `resolve` gives; text is written as the octets that it consists of.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/listen.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;

std::string text_of(std::span<const std::byte> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

constexpr endpoint loopback_any{ip_address::loopback(), 0};

TEST_CASE("packet conns are opened at endpoints, as at their text") {
  event_loop loop;
  const auto listening = or_throw(listen_packet(loop, "udp6", loopback_any));
  const endpoint here = or_throw(listening.local_endpoint());
  CHECK(here.address == ip_address::loopback());
  const auto dialed = or_throw(dial_packet(loop, "udp6", here));
  CHECK(or_throw(dialed.local_endpoint()).address == ip_address::loopback());
  CHECK(listen_packet(loop, "udp7", loopback_any).error() == errc::unknown_network);
  CHECK(dial_packet(loop, "udp7", loopback_any).error() == errc::unknown_network);
  // Raw and ICMP conns have no ports and no IPv4.
  CHECK(listen_packet(loop, "ip6:89", endpoint{ip_address::loopback(), 53}).error() == errc::out_of_range);
  CHECK(dial_packet(loop, "ip6:89", endpoint{ip_address::loopback(), 53}).error() == errc::out_of_range);
  const endpoint v4{ip_address::v4_mapped({127, 0, 0, 1}), 0};
  CHECK(listen_packet(loop, "ip6:89", v4).error() == std::errc::invalid_argument);
  CHECK(dial_packet(loop, "icmp6", v4).error() == std::errc::invalid_argument);
}

template <class Text>
concept written = requires(packet_conn& pc, Text&& text, const endpoint& to) {
  pc.write_to(std::forward<Text>(text), to);
};

TEST_CASE("text is written as octets: literals without their terminating zero, strings, views, spans") {
  event_loop loop;
  auto receiver = or_throw(listen_packet(loop, "udp6", loopback_any));
  auto sender = or_throw(dial_packet(loop, "udp6", or_throw(receiver.local_endpoint())));
  auto anywhere = or_throw(listen_packet(loop, "udp6", loopback_any));
  const auto converse = [](packet_conn& from, packet_conn& free, packet_conn& to) -> task<std::vector<std::string>> {
    const endpoint there = or_throw(to.local_endpoint());
    const std::string string("a string");
    const std::string_view view("a\0view", 6);
    const std::vector<char> characters{'s', 'p', 'a', 'n'};
    const control_message control{.hop_limit = 7};
    or_throw(co_await from.write("a literal"));
    or_throw(co_await free.write_to(string, there));
    or_throw(co_await free.write_to(view, control, there));
    or_throw(co_await from.write(characters, control));
    std::vector<std::string> heard;
    std::array<std::byte, 64> buffer{};
    for (int i = 0; i < 4; ++i) {
      const auto got = or_throw(co_await to.read_from(buffer));
      heard.push_back(text_of(got.payload));
    }
    co_return heard;
  };
  CHECK(loop.run(converse(sender, anywhere, receiver)) ==
        std::vector<std::string>{"a literal", "a string", std::string("a\0view", 6), "span"});
  CHECK(written<const char(&)[3]>);
  CHECK_FALSE(written<char(&)[1500]>);  // a buffer or a string: the caller has to say which
  CHECK(written<std::span<char>>);
  CHECK_FALSE(written<std::vector<int>&>);
}

TEST_CASE("TCP listens and dials at endpoints, and writes text") {
  event_loop loop;
  auto listener = or_throw(listen_tcp(loop, "tcp6", loopback_any));
  CHECK(listen_tcp(loop, "udp6", loopback_any).error() == errc::unknown_network);
  const auto converse = [](event_loop& on, tcp_listener& at) -> task<std::string> {
    const endpoint there = or_throw(at.local_endpoint());
    auto dialed = co_await dial_tcp(on, "tcp6", there);
    tcp_conn client = or_throw(std::move(dialed));
    auto accepted = co_await at.accept();
    tcp_conn server = or_throw(std::move(accepted));
    const std::string string("string");
    or_throw(co_await client.write("a literal, a "));
    or_throw(co_await client.write_some(string));
    or_throw(client.shutdown(stream_half::write));
    std::string heard;
    std::array<std::byte, 64> buffer{};
    for (std::size_t got = 1; got > 0; heard += text_of(std::span(buffer).first(got))) {
      got = or_throw(co_await server.read(buffer));
    }
    co_return heard;
  };
  CHECK(loop.run(converse(loop, listener)) == "a literal, a string");
}

}  // namespace
