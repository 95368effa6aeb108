// Against Go's net and golang.org/x/net/ipv6: each control field that one sends arrives at the other, by UDP and by raw
// ICMPv6, to one address, to a group and to a group of one source, singly and in batches.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "go_peer.hpp"
#include "support/case/coroutines.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr int own_traffic_class = 0x77;  // the traffic class of datagrams that are sent without one, on both sides

struct way {
  bool raw = false;
  const char* group = "";  // none: to the other's first address
  bool source_specific = false;
  bool batch = false;

  [[nodiscard]] const char* network() const { return raw ? "ip6:ipv6-icmp" : "udp6"; }
  [[nodiscard]] const char* any() const { return raw ? "::" : "[::]:0"; }
  /// The bind address of the receiver. The kernel checks a raw socket's sources only if it is bound to an address.
  [[nodiscard]] std::string ear(const veth_end& end) const {
    return raw && source_specific ? end.address.to_string() : any();
  }
  [[nodiscard]] bool to_group() const { return *group != '\0'; }
  [[nodiscard]] int hop_limit() const { return to_group() ? 1 : 64; }
  [[nodiscard]] ip_address destination(const veth_end& end) const { return to_group() ? parse(group) : end.address; }
};

constexpr const char* asm_group = "ff05::1234";
constexpr const char* ssm_group = "ff35::1234";

struct sample {
  std::optional<int> traffic_class{};
  std::optional<int> hop_limit{};
  bool from_second = false;
  bool by_interface = false;
  bool stranger = false;  // from an address that the source-specific membership excludes
};

// Each field alone, all together, and the limits; Go cannot send 0.
std::vector<sample> samples_for(const way& by) {
  std::vector<sample> all{
      {1, {}},  {0x28, {}},           {255, {}}, {{}, 1}, {{}, 128}, {{}, 255}, {{}, {}, true}, {{}, {}, false, true},
      {{}, {}}, {0xb8, 7, true, true}};
  if (by.source_specific) all.insert(all.begin(), {.by_interface = true, .stranger = true});
  return all;
}

std::string heading(const way& by) {
  return by.raw ? std::string("\xc8\0\0\0", 4) : std::string();
}  // type 200

void go_hears(const way& by) {
  need_go();
  neighbours net;
  const veth_end& here = net.cable.near;
  const veth_end& there = net.cable.far;
  run(net.loop, [&]() -> task<> {
    auto from = net.open(by.network(), by.any());
    REQUIRE(from.set_traffic_class(own_traffic_class));
    std::vector<sample> all = samples_for(by);
    all.push_back({0, 0, false, false});  // uring6 can
    const auto strangers = static_cast<std::size_t>(std::ranges::count(all, true, &sample::stranger));
    std::vector<std::string> words{"receive", by.network(), by.ear(there)};
    const std::string join = "join," + std::string(by.group) + "," + there.link.name;
    if (by.source_specific) {
      for (const ip_address& each : {here.address, net.near_second}) words.push_back(join + "," + each.to_string());
    } else if (by.to_group()) {
      words.push_back(join);
    }
    words.push_back((by.batch ? "batch," : "read,") + std::to_string(all.size() - strangers));
    auto go = net.start(words);
    const endpoint to{by.destination(there), go.port()};

    std::vector<std::string> payloads;
    std::vector<write_slot> messages;
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < all.size(); ++i) {
      payloads.push_back(heading(by) + "uring6-" + std::to_string(i));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const sample& each = all[i];
      control_message control{.traffic_class = each.traffic_class, .hop_limit = each.hop_limit};
      if (each.from_second) control.source = net.near_second;
      if (each.stranger) control.source = here.link_local;
      if (each.by_interface) control.interface_index = here.link.index;
      messages.push_back({as_payload(payloads[i]), control, to, {}});
      if (each.stranger) continue;
      const std::string source = (each.from_second ? net.near_second : here.address).to_string();
      expected.push_back("uring6-" + std::to_string(i) +
                         " tclass=" + std::to_string(each.traffic_class.value_or(own_traffic_class)) +
                         " hoplim=" + std::to_string(each.hop_limit.value_or(by.hop_limit())) + " src=" + source +
                         " dst=" + to.address.to_string() + " ifindex=" + std::to_string(there.link.index) + " from " +
                         (by.raw ? source : "[" + source + "]:" + std::to_string(name_of(from).port)));
    }
    if (by.batch) {
      const auto sent = co_await from.write_batch(messages);
      REQUIRE(sent);
      CHECK(*sent == messages.size());
    } else {
      for (const write_slot& each : messages) {
        const auto sent = co_await from.write_to(each.payload, each.control, each.destination);
        REQUIRE(sent);
      }
    }
    CHECK(go.lines() == expected);
  });
}

void go_sends(const way& by) {
  need_go();
  neighbours net;
  const veth_end& here = net.cable.near;
  const veth_end& there = net.cable.far;
  run(net.loop, [&]() -> task<> {
    auto to = net.open(by.network(), by.ear(here));
    const ip_address destination = by.destination(here);
    if (by.source_specific) {
      for (const ip_address& each : {there.address, net.far_second}) {
        REQUIRE(to.join_source_specific_group(here.link, destination, each));
      }
    } else if (by.to_group()) {
      REQUIRE(to.join_group(here.link, destination));
    }
    const std::string name =
        by.raw ? destination.to_string() : "[" + destination.to_string() + "]:" + std::to_string(name_of(to).port);
    std::vector<std::string> words{by.batch ? "sendbatch" : "send", by.network(), name};
    const std::vector<sample> all = samples_for(by);
    for (const sample& each : all) {
      const auto number = [](const std::optional<int>& value) { return value ? std::to_string(*value) : "-"; };
      const std::string source = each.stranger      ? there.link_local.with_zone(0).to_string()
                                 : each.from_second ? net.far_second.to_string()
                                                    : "-";
      words.push_back(number(each.traffic_class) + "," + number(each.hop_limit) + "," + source + "," +
                      (each.by_interface ? there.link.name : "-"));
    }
    auto go = net.start(words);
    const std::uint16_t port = go.port();

    std::array<std::array<std::byte, 64>, 16> room;
    std::array<read_slot, 16> messages;
    std::size_t next = 0;
    while (next < all.size()) {
      std::size_t count = 1;
      for (std::size_t i = 0; i < messages.size(); ++i) messages[i].buffer = room[i];
      if (by.batch) {
        const auto got = co_await to.read_batch(messages);
        REQUIRE(got);
        count = *got;
      } else {
        const auto got = co_await to.read_from(room[0]);
        REQUIRE(got);
        messages[0].received = *got;
      }
      for (const read_slot& message : std::span(messages).first(count)) {
        const datagram& got = message.received;
        // Raw ICMPv6 receives neighbor discovery, too.
        if (by.raw && (got.payload.size() < 4 || got.payload[0] != std::byte{200})) continue;
        while (next < all.size() && all[next].stranger) ++next;
        REQUIRE(next < all.size());
        const sample& each = all[next];
        INFO("sample " << next);
        CHECK(as_text(got.payload.subspan(heading(by).size())) == "go-" + std::to_string(next));
        CHECK(got.control.traffic_class == each.traffic_class.value_or(own_traffic_class));
        CHECK(got.control.hop_limit == each.hop_limit.value_or(by.hop_limit()));
        const ip_address source = each.from_second ? net.far_second : there.address;
        CHECK(got.source == endpoint{source, by.raw ? std::uint16_t{0} : port});
        CHECK(got.control.source == source);
        CHECK(got.control.destination == destination);
        CHECK(got.control.interface_index == here.link.index);
        ++next;
      }
    }
    CHECK(go.lines().empty());
  });
}

TEST_CASE("Go receives each control field that uring6 sends by UDP") {
  go_hears({});
}
TEST_CASE("uring6 receives each control field that Go sends by UDP") {
  go_sends({});
}
TEST_CASE("Go receives each control field that uring6 sends by raw ICMPv6") {
  go_hears({.raw = true});
}
TEST_CASE("uring6 receives each control field that Go sends by raw ICMPv6") {
  go_sends({.raw = true});
}

TEST_CASE("Go receives uring6 in a group, and uring6 receives Go") {
  for (const bool raw : {false, true}) {
    INFO((raw ? "raw ICMPv6" : "UDP"));
    go_hears({.raw = raw, .group = asm_group});
    go_sends({.raw = raw, .group = asm_group});
  }
}

TEST_CASE("source-specific members receive their source and no other, Go and uring6 alike") {
  for (const bool raw : {false, true}) {
    INFO((raw ? "raw ICMPv6" : "UDP"));
    go_hears({.raw = raw, .group = ssm_group, .source_specific = true});
    go_sends({.raw = raw, .group = ssm_group, .source_specific = true});
  }
}

TEST_CASE("batches go both ways between Go and uring6") {
  for (const bool raw : {false, true}) {
    for (const char* group : {"", asm_group, ssm_group}) {
      INFO((raw ? "raw ICMPv6" : "UDP") << ' ' << group);
      const way by{.raw = raw, .group = group, .source_specific = group == ssm_group, .batch = true};
      go_hears(by);
      go_sends(by);
    }
  }
}

}  // namespace
