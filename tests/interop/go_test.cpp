// Against Go's net and golang.org/x/net/ipv6: what one sends the other receives, each field in each direction.
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/bytes.hpp"
#include "support/conns.hpp"
#include "support/coroutines.hpp"
#include "support/eventually.hpp"
#include "support/link_control.hpp"
#include "support/program.hpp"
#include "support/veth_pair.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address parse(std::string_view text) { return or_throw(ip_address::parse(text)); }

/// The peer at work. It is in the network namespace of the thread that starts it.
class go_peer {
 public:
  explicit go_peer(std::vector<std::string> words) {
    words.insert(words.begin(), GO_PEER);
    program_.emplace(words, program_settings{.output_file = file_.name});
  }

  /// Waits until it can be spoken to, and gives its port.
  std::uint16_t port() {
    std::string word;
    unsigned number = 0;
    const bool ready = eventually(
        [&] {
          std::ifstream in(file_.name);
          return static_cast<bool>(in >> word >> number) && in.get() == '\n';
        },
        std::chrono::seconds(60));
    if (!ready) FAIL("the Go peer does not start: " << program_->wait().errors);
    return static_cast<std::uint16_t>(number);
  }

  /// Waits for its end, and gives what it said after that it was ready.
  std::vector<std::string> lines() {
    const program_end end = program_->wait();
    CHECK(end.errors == "");
    CHECK(end.exit_status == 0);
    std::vector<std::string> all;
    std::ifstream in(file_.name);
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("ready ")) all.push_back(line);
    }
    return all;
  }

 private:
  struct temporary_file {
    temporary_file() { (void)::close(::mkstemp(name.data())); }
    ~temporary_file() { (void)::unlink(name.c_str()); }
    std::string name = "/tmp/uring6-go-XXXXXX";
  };
  temporary_file file_;
  std::optional<program> program_;
};

/// uring6 at the near end of a cable, Go at the far one. Both have two addresses.
struct neighbours {
  neighbours() {
    // Deprecated: the kernel does not choose it itself.
    const address_options asked_for_only{.preferred = 0};
    cable.near.space.run([&] { add_address(cable.near.link.index, near_second, 64, asked_for_only); });
    cable.far.space.run([&] { add_address(cable.far.link.index, far_second, 64, asked_for_only); });
  }
  packet_conn open(const char* network, const char* address) {
    auto pc = cable.near.space.run([&] { return or_throw(listen_packet(loop, network, address)); });
    or_throw(pc.set_control_message(all_control, true));
    return pc;
  }
  go_peer start(const std::vector<std::string>& words) {
    return cable.far.space.run([&] { return go_peer(words); });
  }
  std::string near_name(const packet_conn& pc) const {
    return "[" + cable.near.address.to_string() + "]:" + std::to_string(name_of(pc).port);
  }

  ip_address near_second = parse("2001:db8::11");
  ip_address far_second = parse("2001:db8::22");
  veth_pair cable;
  event_loop loop;
};

void need_go() {
  if (std::string_view(GO_PEER).empty()) SKIP("no Go (Debian, Ubuntu: golang-go golang-golang-x-net-dev)");
}

struct sample {
  std::optional<int> traffic_class;
  std::optional<int> hop_limit;
  bool from_second = false;
  bool by_interface = false;
};

// Every field alone, all together, and the limits; Go cannot send 0.
const std::vector<sample> samples{{1, {}},   {0x28, {}}, {255, {}},        {{}, 1},
                                  {{}, 128}, {{}, 255},  {{}, {}, true},   {{}, {}, false, true},
                                  {{}, {}},  {0xb8, 7, true, true}};

void go_hears_each_field(const char* network, const char* go_address, bool raw) {
  need_go();
  neighbours net;
  run(net.loop, [&]() -> task<> {
    auto from = net.open(network, raw ? "::" : "[::]:0");
    std::vector<sample> all = samples;
    all.push_back({0, 0, false, false});  // which uring6 can
    auto go = net.start({"receive", network, go_address, std::to_string(all.size())});
    const endpoint to{net.cable.far.address, go.port()};
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const sample& each = all[i];
      control_message control{.traffic_class = each.traffic_class, .hop_limit = each.hop_limit};
      if (each.from_second) control.source = net.near_second;
      if (each.by_interface) control.interface_index = net.cable.near.link.index;
      const std::string text = "uring6-" + std::to_string(i);
      const std::string payload = (raw ? std::string("\xc8\0\0\0", 4) : std::string()) + text;
      const auto sent = co_await from.write_to(as_payload(payload), control, to);
      REQUIRE(sent);
      const std::string source = (each.from_second ? net.near_second : net.cable.near.address).to_string();
      expected.push_back(text + " tclass=" + std::to_string(each.traffic_class.value_or(0)) +
                         " hoplim=" + std::to_string(each.hop_limit.value_or(64)) + " src=" + source +
                         " dst=2001:db8::2 ifindex=" + std::to_string(net.cable.far.link.index) + " from " +
                         (raw ? source : "[" + source + "]:" + std::to_string(name_of(from).port)));
    }
    CHECK(go.lines() == expected);
  });
}

void go_sends_each_field(const char* network, bool raw) {
  need_go();
  neighbours net;
  run(net.loop, [&]() -> task<> {
    auto to = net.open(network, raw ? "::" : "[::]:0");
    std::vector<std::string> words{"send", network, raw ? net.cable.near.address.to_string() : net.near_name(to)};
    for (const sample& each : samples) {
      const auto number = [](const std::optional<int>& value) { return value ? std::to_string(*value) : "-"; };
      words.push_back(number(each.traffic_class) + "," + number(each.hop_limit) + "," +
                      (each.from_second ? net.far_second.to_string() : "-") + "," +
                      (each.by_interface ? net.cable.far.link.name : "-"));
    }
    auto go = net.start(words);
    const std::uint16_t port = go.port();
    std::array<std::byte, 64> buffer;
    for (std::size_t i = 0; i < samples.size();) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      // Raw ICMPv6 hears of the neighbourhood, too.
      if (raw && (got->payload.size() < 4 || got->payload[0] != std::byte{200})) continue;
      const sample& each = samples[i];
      INFO("sample " << i);
      CHECK(as_text(got->payload.subspan(raw ? 4 : 0)) == "go-" + std::to_string(i));
      CHECK(got->control.traffic_class == each.traffic_class.value_or(0));
      CHECK(got->control.hop_limit == each.hop_limit.value_or(64));
      const ip_address source = each.from_second ? net.far_second : net.cable.far.address;
      CHECK(got->source == endpoint{source, raw ? std::uint16_t{0} : port});
      CHECK(got->control.source == source);
      CHECK(got->control.destination == net.cable.near.address);
      CHECK(got->control.interface_index == net.cable.near.link.index);
      ++i;
    }
    CHECK(go.lines().empty());
  });
}

TEST_CASE("Go hears each control field that uring6 sends by UDP") { go_hears_each_field("udp6", "[::]:0", false); }
TEST_CASE("uring6 hears each control field that Go sends by UDP") { go_sends_each_field("udp6", false); }
TEST_CASE("Go hears each control field that uring6 sends by raw ICMPv6") {
  go_hears_each_field("ip6:ipv6-icmp", "::", true);
}
TEST_CASE("uring6 hears each control field that Go sends by raw ICMPv6") { go_sends_each_field("ip6:ipv6-icmp", true); }

TEST_CASE("Go hears uring6 in a group, and uring6 hears Go") {
  need_go();
  neighbours net;
  run(net.loop, [&]() -> task<> {
    const ip_address group = parse("ff05::1234");
    {
      auto from = net.open("udp6", "[::]:0");
      auto go = net.start({"receive", "udp6", "[::]:0", "1", "ff05::1234", net.cable.far.link.name});
      const endpoint to{group, go.port()};
      const control_message control{.hop_limit = 3, .interface_index = net.cable.near.link.index};
      const auto sent = co_await from.write_to(as_payload("to all"), control, to);
      REQUIRE(sent);
      const auto lines = go.lines();
      REQUIRE(lines.size() == 1);
      CHECK(lines[0].starts_with("to all tclass=0 hoplim=3 "));
      CHECK(lines[0].find(" dst=ff05::1234 ") != std::string::npos);
    }
    auto to = net.open("udp6", "[::]:0");
    REQUIRE(to.join_group(net.cable.near.link, group));
    auto go = net.start({"send", "udp6", "[ff05::1234]:" + std::to_string(name_of(to).port),
                         "-,5,-," + net.cable.far.link.name});
    std::array<std::byte, 64> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "go-0");
    CHECK(got->control.destination == group);
    CHECK(got->control.hop_limit == 5);
    CHECK(go.lines().empty());
  });
}

TEST_CASE("source-specific members hear their source and no other, Go and uring6 alike") {
  need_go();
  neighbours net;
  run(net.loop, [&]() -> task<> {
    const ip_address group = parse("ff35::1234");
    {
      auto from = net.open("udp6", "[::]:0");
      auto go = net.start({"receive", "udp6", "[::]:0", "1", "ff35::1234", net.cable.far.link.name, "2001:db8::11"});
      const endpoint to{group, go.port()};
      for (const auto& [source, text] : {std::pair{net.cable.near.address, "stranger"}, {net.near_second, "friend"}}) {
        const control_message control{.interface_index = net.cable.near.link.index, .source = source};
        const auto sent = co_await from.write_to(as_payload(text), control, to);
        REQUIRE(sent);
      }
      const auto lines = go.lines();
      REQUIRE(lines.size() == 1);
      CHECK(lines[0].starts_with("friend "));
    }
    auto to = net.open("udp6", "[::]:0");
    REQUIRE(to.join_source_specific_group(net.cable.near.link, group, net.far_second));
    const std::string link = net.cable.far.link.name;
    auto go = net.start({"send", "udp6", "[ff35::1234]:" + std::to_string(name_of(to).port), "-,-,2001:db8::2," + link,
                         "-,-,2001:db8::22," + link});
    std::array<std::byte, 64> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "go-1");
    CHECK(got->source.address == net.far_second);
    CHECK(go.lines().empty());
  });
}

TEST_CASE("batches go both ways between Go and uring6") {
  need_go();
  neighbours net;
  run(net.loop, [&]() -> task<> {
    constexpr std::size_t many = 100;
    {
      auto from = net.open("udp6", "[::]:0");
      auto go = net.start({"batch", "udp6", "[::]:0", std::to_string(many)});
      const endpoint to{net.cable.far.address, go.port()};
      std::vector<std::string> texts;
      for (std::size_t i = 0; i < many; ++i) texts.push_back("uring6-" + std::to_string(i));
      std::vector<outgoing> batch;
      const control_message control{.traffic_class = 0x28, .hop_limit = 9};
      for (const std::string& each : texts) batch.push_back({as_payload(each), control, to, {}});
      const auto sent = co_await from.write_batch(batch);
      REQUIRE(sent);
      CHECK(*sent == many);
      const auto lines = go.lines();
      REQUIRE(lines.size() == many);
      for (std::size_t i = 0; i < many; ++i) CHECK(lines[i].starts_with(texts[i] + " tclass=40 hoplim=9 "));
    }
    auto to = net.open("udp6", "[::]:0");
    auto go = net.start({"burst", "udp6", net.near_name(to), std::to_string(many)});
    std::vector<std::array<std::byte, 64>> room(many);
    std::vector<incoming> batch(many);
    for (std::size_t i = 0; i < many; ++i) batch[i].buffer = room[i];
    for (std::size_t seen = 0; seen < many;) {
      const auto count = co_await to.read_batch(std::span(batch).subspan(seen));
      REQUIRE(count);
      seen += *count;
    }
    for (std::size_t i = 0; i < many; ++i) {
      CHECK(as_text(batch[i].received.payload) == "go-" + std::to_string(i));
      CHECK(batch[i].received.control.traffic_class == 0x28);
      CHECK(batch[i].received.control.hop_limit == 9);
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
