// What a datagram_socket sends, receives and refuses: packet_conn on ::1 and memory_socket alike.
#include "uring6/datagram_socket.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "net/memory/both_worlds.hpp"
#include "support/traffic/bytes.hpp"
#include "uring6/tcp.hpp"
#include "uring6/text.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

static_assert(datagram_socket<packet_conn>);
static_assert(datagram_socket<memory_socket>);
static_assert(!datagram_socket<tcp_conn>);
static_assert(!datagram_socket<event_loop>);

// --- what a datagram brings ---

TEMPLATE_LIST_TEST_CASE("datagram_socket: a datagram arrives whole or cut, and says so", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto from = world.open();
    auto to = world.open();
    const bytes payload = counting(10);
    for (const std::size_t room : {11, 10, 9, 1, 0}) {
      const auto sent = co_await from.write_to(payload, end_of(to));
      REQUIRE(sent);
      CHECK(*sent == 10);
      std::vector<std::byte> buffer(room);
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      const std::size_t copied = std::min<std::size_t>(room, 10);
      CHECK(std::ranges::equal(got->payload, std::span(payload).first(copied)));
      CHECK((copied == 0 || got->payload.data() == buffer.data()));
      CHECK(got->truncated == (room < 10));
      CHECK(got->full_length == 10);
      CHECK(got->source == end_of(from));
      CHECK(got->control == control_message{.source = end_of(from).address});
    }
    const auto sent = co_await from.write_to(std::span<const std::byte>(), end_of(to));
    REQUIRE(sent);
    CHECK(*sent == 0);
    std::array<std::byte, 4> buffer;
    const auto empty = co_await to.read_from(buffer);
    REQUIRE(empty);
    CHECK(empty->payload.empty());
    CHECK_FALSE(empty->truncated);
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: the longest datagram arrives, and order is kept", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto from = world.open();
    auto to = world.open();
    const bytes longest = counting(max_udp_payload);
    bytes buffer(max_udp_payload);
    const auto sent = co_await from.write_to(longest, end_of(to));
    REQUIRE(sent);
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(std::ranges::equal(got->payload, longest));
    for (std::uint64_t i = 0; i < 100; ++i) {
      const numbered payload(i);
      const auto one = co_await from.write_to(payload, end_of(to));
      REQUIRE(one);
    }
    for (std::uint64_t i = 0; i < 100; ++i) {
      const auto one = co_await to.read_from(buffer);
      REQUIRE(one);
      REQUIRE(number_in(one->payload) == i);
    }
  });
}

/// The control messages that a reader gets, for each choice of flags and each control message of a writer.
template <class World>
std::vector<std::string> control_messages() {
  std::vector<std::string> log;
  World world;
  play(world.loop, [&]() -> task<> {
    const control_message written[] = {{},
                                       {.traffic_class = 0},
                                       {.traffic_class = 0xb8, .hop_limit = 1},
                                       {.hop_limit = 0},
                                       {.hop_limit = 255},
                                       {.interface_index = 1},
                                       {.source = ip_address::loopback()},
                                       {.traffic_class = 3, .hop_limit = 7, .interface_index = 1}};
    const control_flags known[] = {control_flags::traffic_class, control_flags::hop_limit, control_flags::destination,
                                   control_flags::interface, control_flags::source};
    auto from = world.open();
    std::array<std::byte, 64> buffer;
    for (unsigned choice = 0; choice < 1U << std::size(known); ++choice) {
      auto to = world.open();
      for (unsigned i = 0; i < std::size(known); ++i) {
        REQUIRE(to.set_control_message(known[i], (choice >> i & 1) != 0));
      }
      for (const control_message& each : written) {
        const auto sent = co_await from.write_to(as_payload("x"), each, end_of(to));
        REQUIRE(sent);
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        log.push_back(to_string(got->control));
        log.push_back(to_string(got->control.reply()));
      }
    }
  });
  return log;
}

TEST_CASE("datagram_socket: a memory_socket tells the control messages that the kernel tells") {
  const auto by_kernel = control_messages<kernel_world>();
  CHECK(by_kernel.size() == 2 * 8 * 32);
  CHECK(control_messages<memory_world>() == by_kernel);
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: an answer by reply() comes from the address that was asked", "", both) {
  TestType world;
  play(world.loop, [&]() -> task<> {
    auto client = world.open();
    auto server = world.open();
    REQUIRE(server.set_control_message(control_flags::destination | control_flags::interface, true));
    std::array<std::byte, 64> buffer;
    const auto asked = co_await client.write_to(as_payload("question"), end_of(server));
    REQUIRE(asked);
    const auto question = co_await server.read_from(buffer);
    REQUIRE(question);
    const control_message answer = question->control.reply();
    CHECK(answer.source == end_of(server).address);
    const auto answered = co_await server.write_to(question->payload, answer, question->source);
    REQUIRE(answered);
    const auto got = co_await client.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "question");
    CHECK(got->source == end_of(server));
  });
}

TEMPLATE_LIST_TEST_CASE("datagram_socket: a timestamp is the system's time", "", both) {
  TestType world;
  const auto before = std::chrono::system_clock::now() - 1s;  // the kernel's stamp is of a coarser clock
  play(world.loop, [&]() -> task<> {
    auto one = world.open();
    REQUIRE(one.set_control_message(control_flags::timestamp, true));
    const auto sent = co_await one.write_to(as_payload("x"), end_of(one));
    REQUIRE(sent);
    std::array<std::byte, 4> buffer;
    const auto got = co_await one.read_from(buffer);
    REQUIRE(got);
    REQUIRE(got->control.received_at);
    CHECK(*got->control.received_at >= before);
    CHECK(*got->control.received_at <= std::chrono::system_clock::now() + 1s);
  });
}

// --- what is refused ---

/// The errors of writes that no network can carry out.
template <class World>
std::vector<std::string> refusals() {
  std::vector<std::string> log;
  World world;
  play(world.loop, [&]() -> task<> {
    auto from = world.open();
    const endpoint self = end_of(from);
    const auto at = [](const char* text) { return or_throw(endpoint::parse(text)); };
    const ip_address foreign = or_throw(ip_address::parse("2001:db8::4711"));
    const bytes too_long = counting(max_udp_payload + 1);
    const struct {
      control_message control{};
      endpoint there;
      std::span<const std::byte> payload = as_payload("x");
    } writes[] = {{{}, self},
                  {{}, self, too_long},
                  {{}, at("127.0.0.1:9")},
                  {{}, at("[fe80::1%4711]:9")},
                  {{}, at("[ff02::1%4711]:9")},
                  {{}, {ip_address::loopback().with_zone(1), 9}},
                  {{}, {ip_address::loopback().with_zone(4711), 9}},
                  {{}, {ip_address::loopback(), 0}},
                  {{.traffic_class = 256}, self},
                  {{.traffic_class = -1}, self},
                  {{.hop_limit = 256}, self},
                  {{.interface_index = 4711}, self},
                  {{.source = foreign}, self},
                  {{.source = or_throw(ip_address::parse("192.0.2.1"))}, self},
                  {{.next_hop = foreign}, self}};
    for (const auto& each : writes) {
      const auto sent = co_await from.write_to(each.payload, each.control, each.there);
      log.push_back(sent ? "sent" : sent.error().category().name() + std::to_string(sent.error().value()));
    }
    for (const auto flags :
         {control_flags::none, control_flags(1U << 20), all_control_flags & ~control_flags::path_mtu}) {
      const auto set = from.set_control_message(flags, true);
      log.push_back(set ? "set" : set.error().message());
    }
    log.push_back(to_string(or_throw(from.enabled_control())));
  });
  return log;
}

TEST_CASE("datagram_socket: a memory_socket refuses what a packet_conn refuses, with the same errors") {
  const auto by_kernel = refusals<kernel_world>();
  REQUIRE(by_kernel.size() == 19);
  CHECK(by_kernel.front() == "sent");
  CHECK(std::ranges::count(by_kernel, "sent") == 1);
  CHECK(refusals<memory_world>() == by_kernel);
}

}  // namespace
