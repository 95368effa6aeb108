// MLDv2 as it stands on the wire (RFC 3810, section 5.2): what this host tells the routers of the link about
// its memberships, captured at the other end of the cable.

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "support/packet_capture.hpp"
#include "support/veth_pair.hpp"
#include "sys/membership.hpp"
#include "sys/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

// RFC 3810, section 5.2.12.
enum class record_type : std::uint8_t {
  is_include = 1,
  is_exclude = 2,
  to_include = 3,
  to_exclude = 4,
  allow_new = 5,
  block_old = 6,
};

struct record {
  record_type type;
  ip_address group;
  std::vector<ip_address> sources;

  friend bool operator==(const record&, const record&) = default;
};

ip_address address_at(std::span<const std::uint8_t> bytes, std::size_t offset) {
  ip_address::bytes_type address;
  std::ranges::copy(bytes.subspan(offset, address.size()), address.begin());
  return ip_address(address);
}

std::size_t number_at(std::span<const std::uint8_t> bytes, std::size_t offset) {
  return static_cast<std::size_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

constexpr std::size_t fixed_header = 40;
constexpr std::size_t options_header = 8;
constexpr std::size_t report_start = fixed_header + options_header;

// A report is IPv6 with a hop-by-hop header of one router alert, then ICMPv6 of type 143.
bool is_report(std::span<const std::uint8_t> packet) {
  return packet.size() >= report_start + 8 && packet[6] == IPPROTO_HOPOPTS &&
         packet[fixed_header] == IPPROTO_ICMPV6 && packet[report_start] == 143;
}

std::vector<record> records_of(std::span<const std::uint8_t> packet) {
  std::vector<record> records;
  std::size_t at = report_start + 8;
  for (std::size_t count = number_at(packet, report_start + 6); count > 0; --count) {
    record one{static_cast<record_type>(packet[at]), address_at(packet, at + 4), {}};
    const std::size_t sources = number_at(packet, at + 2);
    for (std::size_t n = 0; n < sources; ++n) one.sources.push_back(address_at(packet, at + 20 + 16 * n));
    at += 20 + 16 * sources + std::size_t{4} * packet[at + 1];
    std::ranges::sort(one.sources);
    records.push_back(std::move(one));
  }
  return records;
}

// A socket at the near end, and an ear at the far end.
struct reporter {
  veth_pair cable;
  packet_capture wire{cable.far};
  network_namespace::visit inside = cable.near.space.enter();
  std::uint32_t index = cable.near.link.index;
  file_descriptor socket = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  int fd = socket.get();

  // Whether a report with this record goes out. A change is reported twice, and along with other groups.
  bool reports(const record& wanted) {
    return wire
        .find([&](const packet& p) { return is_report(p) && std::ranges::count(records_of(p), wanted) > 0; })
        .has_value();
  }

  // The type of the next record on `group`.
  std::optional<record_type> next_type(const ip_address& group) {
    std::optional<record_type> type;
    wire.find([&](const packet& p) {
      if (!is_report(p)) return false;
      const std::vector<record> records = records_of(p);
      const auto at = std::ranges::find(records, group, &record::group);
      if (at == records.end()) return false;
      type = at->type;
      return true;
    });
    return type;
  }
};

const ip_address group = or_throw(ip_address::parse("ff05::1234"));
const ip_address first = or_throw(ip_address::parse("2001:db8::77"));
const ip_address second = or_throw(ip_address::parse("2001:db8::78"));

TEST_CASE("a join is reported as a change to excluding nobody") {
  reporter near;
  REQUIRE(join_group(near.fd, near.index, group));
  CHECK(near.reports({record_type::to_exclude, group, {}}));
}

TEST_CASE("a leave is reported as a change to including nobody") {
  reporter near;
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(near.reports({record_type::to_exclude, group, {}}));
  REQUIRE(leave_group(near.fd, near.index, group));
  CHECK(near.reports({record_type::to_include, group, {}}));
}

TEST_CASE("closing the socket is reported as a leave") {
  reporter near;
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(near.reports({record_type::to_exclude, group, {}}));
  REQUIRE(near.socket.close());
  CHECK(near.reports({record_type::to_include, group, {}}));
}

TEST_CASE("a source-specific join allows its source and never asks for others") {
  reporter near;
  REQUIRE(join_source_specific_group(near.fd, near.index, group, first));
  CHECK(near.next_type(group) == record_type::allow_new);
  REQUIRE(join_source_specific_group(near.fd, near.index, group, second));
  CHECK(near.reports({record_type::allow_new, group, {first, second}}));
}

TEST_CASE("leaving a source blocks it") {
  reporter near;
  REQUIRE(join_source_specific_group(near.fd, near.index, group, first));
  REQUIRE(join_source_specific_group(near.fd, near.index, group, second));
  REQUIRE(leave_source_specific_group(near.fd, near.index, group, first));
  CHECK(near.reports({record_type::block_old, group, {first}}));
  REQUIRE(leave_source_specific_group(near.fd, near.index, group, second));
  CHECK(near.reports({record_type::block_old, group, {second}}));
}

TEST_CASE("excluding a source blocks it, and including it again allows it") {
  reporter near;
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(near.reports({record_type::to_exclude, group, {}}));
  REQUIRE(exclude_source_specific_group(near.fd, near.index, group, first));
  CHECK(near.reports({record_type::block_old, group, {first}}));
  REQUIRE(include_source_specific_group(near.fd, near.index, group, first));
  CHECK(near.reports({record_type::allow_new, group, {first}}));
}

TEST_CASE("a second socket that hears everybody changes the filter of the host, and back") {
  reporter near;
  REQUIRE(join_source_specific_group(near.fd, near.index, group, first));
  REQUIRE(near.reports({record_type::allow_new, group, {first}}));
  file_descriptor everybody = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  REQUIRE(join_group(everybody.get(), near.index, group));
  CHECK(near.reports({record_type::to_exclude, group, {}}));
  REQUIRE(everybody.close());
  CHECK(near.reports({record_type::to_include, group, {first}}));
}

TEST_CASE("a report goes to all routers of the link, one hop, with a router alert") {
  reporter near;
  REQUIRE(join_group(near.fd, near.index, group));
  const std::optional<packet> report = near.wire.find([](const packet& p) { return is_report(p); });
  REQUIRE(report);
  CHECK((*report)[7] == 1);
  CHECK(address_at(*report, 8) == near.cable.near.link_local.with_zone(0));
  CHECK(address_at(*report, 24) == or_throw(ip_address::parse("ff02::16")));
  const std::vector<std::uint8_t> options(report->begin() + fixed_header, report->begin() + report_start);
  CHECK(options ==
        std::vector<std::uint8_t>{IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0});  // RFC 2711, value 0, PadN.
}

TEST_CASE("a group of interface-local scope is reported to nobody") {
  reporter near;
  const ip_address local = or_throw(ip_address::parse("ff01::1234"));
  REQUIRE(join_group(near.fd, near.index, local));
  REQUIRE(join_group(near.fd, near.index, group));
  bool told = false;
  near.wire.find([&](const packet& p) {
    if (!is_report(p)) return false;
    const std::vector<record> records = records_of(p);
    told = told || std::ranges::count(records, local, &record::group) > 0;
    return std::ranges::count(records, group, &record::group) > 0;
  });
  CHECK_FALSE(told);
}

}  // namespace
