#include "uring6/icmp/neighbor_discovery.hpp"

#include <fmt/format.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "support/traffic/icmp.hpp"
#include "uring6/icmp/format.hpp"

namespace icmp = uring6::icmp;
using namespace std::chrono_literals;
using uring6::errc;
using uring6::ip_address;
using uring6::test::bytes;
using uring6::test::check_truncations;
using uring6::test::check_wire;
using uring6::test::encode_error;
using uring6::test::encoded;
using uring6::test::from_hex;
using uring6::test::parsed;

namespace {

const ip_address neighbor = ip_address::parse("fe80::1").value();
const ip_address host = ip_address::parse("2001:db8::1").value();
const ip_address group = ip_address::parse("ff02::1").value();
const bytes ethernet = from_hex("020000000001");
const std::array<icmp::option, 2> options{icmp::source_link_layer_address{ethernet}, icmp::link_mtu{1500}};

constexpr std::string_view options_hex = "0101 020000000001 0501 0000 000005dc";
constexpr std::string_view neighbor_hex = "fe800000000000000000000000000001";
constexpr std::string_view host_hex = "20010db8000000000000000000000001";
constexpr std::string_view group_hex = "ff020000000000000000000000000001";

std::string hex(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const auto part : parts) all += part;
  return all;
}

bool is_malformed(std::initializer_list<std::string_view> parts) {
  const bytes packet = from_hex(hex(parts));
  const auto read = icmp::parse(packet);
  return !read && read.error() == errc::malformed;
}

}  // namespace

TEST_CASE("neighbor discovery messages are laid out as in RFC 4861") {
  check_wire(icmp::router_solicitation{options}, hex({"8500 0000 00000000", options_hex}));
  check_wire(icmp::router_advertisement{.hop_limit = 64,
                                        .managed = true,
                                        .other = true,
                                        .home_agent = true,
                                        .preference = icmp::router_preference::low,
                                        .proxy = true,
                                        .lifetime = 1800s,
                                        .reachable_time = 30000ms,
                                        .retransmit_timer = 1000ms,
                                        .options = options},
             hex({"8600 0000 40 fc 0708 00007530 000003e8", options_hex}));
  check_wire(icmp::neighbor_solicitation{.target = neighbor, .options = options},
             hex({"8700 0000 00000000", neighbor_hex, options_hex}));
  check_wire(
      icmp::neighbor_advertisement{
          .router = true, .solicited = true, .override_cache = true, .target = neighbor, .options = options},
      hex({"8800 0000 e0000000", neighbor_hex, options_hex}));
  check_wire(icmp::redirect{.target = neighbor, .destination = host, .options = options},
             hex({"8900 0000 00000000", neighbor_hex, host_hex, options_hex}));
}

TEST_CASE("each flag of neighbor discovery has its own bit") {
  const auto advertisement = [](icmp::router_advertisement body, std::string_view flags) {
    check_wire(body, hex({"8600 0000 00", flags, "0000 00000000 00000000"}));
  };
  advertisement({.managed = true}, "80");
  advertisement({.other = true}, "40");
  advertisement({.home_agent = true}, "20");
  advertisement({.preference = icmp::router_preference::high}, "08");
  advertisement({.preference = icmp::router_preference::low}, "18");
  advertisement({.proxy = true}, "04");
  check_wire(icmp::neighbor_advertisement{.router = true}, "8800 0000 80000000" + std::string(32, '0'));
  check_wire(icmp::neighbor_advertisement{.solicited = true}, "8800 0000 40000000" + std::string(32, '0'));
  check_wire(icmp::neighbor_advertisement{.override_cache = true}, "8800 0000 20000000" + std::string(32, '0'));
}

TEST_CASE("neighbor discovery messages read their fields and options") {
  const bytes packet = from_hex(hex({"8600 0000 40 88 ffff ffffffff 00000001", options_hex}));
  const auto body = parsed<icmp::router_advertisement>(packet);
  CHECK(body.hop_limit == 64);
  CHECK(body.managed);
  CHECK_FALSE(body.other);
  CHECK(body.preference == icmp::router_preference::high);
  CHECK(body.lifetime == 65535s);
  CHECK(body.reachable_time == 4294967295ms);
  CHECK(body.retransmit_timer == 1ms);
  REQUIRE(body.options.size() == 2);
  auto at = body.options.begin();
  CHECK(std::get<icmp::source_link_layer_address>(*at).address.size() == 6);
  CHECK(std::get<icmp::link_mtu>(*++at).mtu == 1500);
}

TEST_CASE("neighbor discovery messages refuse every truncation but one between options") {
  const auto check = [](const icmp::message_body& body, std::size_t fixed) {
    const bytes whole = encoded(body);
    REQUIRE(whole.size() == fixed + 16);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const bytes cut = uring6::test::exact(std::span(whole).first(size));
      INFO("cut to " << size);
      CHECK(icmp::parse(cut).has_value() == (size == fixed || size == fixed + 8));
      bytes area(size);
      CHECK(icmp::encode(body, area).error() == std::errc::no_buffer_space);
    }
  };
  check(icmp::router_solicitation{options}, 8);
  check(icmp::router_advertisement{.options = options}, 16);
  check(icmp::neighbor_solicitation{.target = neighbor, .options = options}, 24);
  check(icmp::neighbor_advertisement{.target = neighbor, .options = options}, 24);
  check(icmp::redirect{.target = neighbor, .destination = host, .options = options}, 40);
}

TEST_CASE("an option of length 0, or one that is longer than the message, makes it malformed") {
  for (const std::string_view bad : {"0100 020000000001", "0102 020000000001", "05ff 0000 000005dc"}) {
    CHECK(is_malformed({"8500 0000 00000000", bad}));
    CHECK(is_malformed({"8500 0000 00000000", options_hex, bad}));
    CHECK(is_malformed({"8600 0000 00 00 0000 00000000 00000000", bad}));
    CHECK(is_malformed({"8700 0000 00000000", neighbor_hex, bad}));
    CHECK(is_malformed({"8800 0000 00000000", neighbor_hex, bad}));
    CHECK(is_malformed({"8900 0000 00000000", neighbor_hex, host_hex, bad}));
  }
}

TEST_CASE("neighbor discovery with a code other than 0 is malformed") {
  CHECK(is_malformed({"8501 0000 00000000"}));
  CHECK(is_malformed({"8601 0000 00 00 0000 00000000 00000000"}));
  CHECK(is_malformed({"8701 0000 00000000", neighbor_hex}));
  CHECK(is_malformed({"8801 0000 00000000", neighbor_hex}));
  CHECK(is_malformed({"8901 0000 00000000", neighbor_hex, host_hex}));
}

TEST_CASE("neighbor discovery accepts unicast addresses only, in both directions") {
  CHECK(is_malformed({"8700 0000 00000000", group_hex}));
  CHECK(is_malformed({"8800 0000 00000000", group_hex}));
  CHECK(is_malformed({"8900 0000 00000000", neighbor_hex, group_hex}));
  CHECK(encode_error(icmp::neighbor_solicitation{.target = group}) == errc::out_of_range);
  CHECK(encode_error(icmp::neighbor_advertisement{.target = group}) == errc::out_of_range);
  CHECK(encode_error(icmp::redirect{.target = neighbor, .destination = group}) == errc::out_of_range);
}

TEST_CASE("a redirect leads to a link-local router or to the destination itself") {
  CHECK(is_malformed({"8900 0000 00000000", host_hex, neighbor_hex}));
  CHECK(encode_error(icmp::redirect{.target = host, .destination = neighbor}) == errc::out_of_range);
  check_wire(icmp::redirect{.target = host, .destination = host}, hex({"8900 0000 00000000", host_hex, host_hex}));
}

TEST_CASE("a router advertisement refuses what its fields cannot hold") {
  using body = icmp::router_advertisement;
  CHECK(encode_error(body{.lifetime = 65536s}) == errc::out_of_range);
  CHECK(encode_error(body{.lifetime = -1s}) == errc::out_of_range);
  CHECK(encode_error(body{.reachable_time = 4294967296ms}) == errc::out_of_range);
  CHECK(encode_error(body{.retransmit_timer = 4294967296ms}) == errc::out_of_range);
  CHECK(encode_error(body{.preference = static_cast<icmp::router_preference>(4)}) == errc::out_of_range);
}

TEST_CASE("neighbor discovery messages print in one line") {
  CHECK(fmt::format("{}", icmp::router_solicitation{options}) ==
        "router solicitation [source link-layer address 02:00:00:00:00:01] [mtu 1500]");
  CHECK(fmt::format("{}", icmp::router_advertisement{.hop_limit = 64, .other = true, .lifetime = 1800s}) ==
        "router advertisement hoplim=64 flags=O preference=medium lifetime=1800s reachable=0ms retransmit=0ms");
  CHECK(fmt::format("{}", icmp::neighbor_solicitation{.target = neighbor}) == "neighbor solicitation target=fe80::1");
  CHECK(fmt::format("{}", icmp::neighbor_advertisement{.solicited = true, .target = neighbor}) ==
        "neighbor advertisement target=fe80::1 flags=S");
  CHECK(fmt::format("{}", icmp::redirect{.target = neighbor, .destination = host}) ==
        "redirect message target=fe80::1 dst=2001:db8::1");
}
