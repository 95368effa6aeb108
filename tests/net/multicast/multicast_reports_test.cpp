// MLDv2 on the wire (RFC 3810, section 5.2): this host's reports of its memberships, captured at the other end of the
// cable.

#include <netinet/in.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <iterator>
#include <optional>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/packet_capture.hpp"

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
  friend std::ostream& operator<<(std::ostream& out, const record& r) {
    out << static_cast<int>(r.type) << ' ' << r.group.to_string() << " {";
    for (const ip_address& each : r.sources) out << ' ' << each.to_string();
    return out << " }";
  }
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
  return packet.size() >= report_start + 8 && packet[6] == IPPROTO_HOPOPTS && packet[fixed_header] == IPPROTO_ICMPV6 &&
         packet[report_start] == 143;
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

const ip_address group = or_throw(ip_address::parse("ff05::1234"));
const ip_address first = or_throw(ip_address::parse("2001:db8::77"));
const ip_address second = or_throw(ip_address::parse("2001:db8::78"));

// A conn at the near end, and a capture at the far end.
struct reporter {
  // A device that comes up, or finds its carrier, reports all its groups and repeats that within a second (RFC 3810,
  // 6.1). The constructor waits until the device has sent no such report during two changes of other groups: after that
  // it sends none by itself. The end of duplicate address detection is such an event, and its report would stand for
  // the changes of a test: here an address is usable at once.
  reporter() {
    set_link(link.index, link_state::down);
    for (const char* const device : {"all", "near0"}) {
      write_sysctl(std::string("net/ipv6/conf/") + device + "/accept_dad", "0");
    }
    write_sysctl("net/ipv6/conf/near0/mldv2_unsolicited_report_interval", "1");
    REQUIRE(marker.join_group(link, mark(0)));
    set_link(link.index, link_state::up);
    REQUIRE(eventually([&] { return is_operational(link.index); }));
    for (int quiet_changes = 0; quiet_changes < 2;) quiet_changes = quiet_for_a_change() ? quiet_changes + 1 : 0;
  }

  packet_conn open() { return or_throw(listen_packet(loop, "udp6", "[::]:0")); }

  // Returns the records on `of` since the last call, in order, a repeated one once. The kernel sends each change as
  // often as the robustness variable says (RFC 3810, 9.1: twice), together with earlier changes of other groups: once
  // it has sent the change of `mark` that is made here, it has sent all earlier ones.
  std::vector<record> told(const ip_address& of = group) {
    std::vector<record> found;
    for (const std::vector<record>& report : reports_of_a_change()) {
      // A report of all groups of the device: no change.
      if (std::ranges::count(report, mark(0), &record::group) > 0) continue;
      std::ranges::copy_if(report, std::back_inserter(found), [&](const record& each) { return each.group == of; });
    }
    const auto repeated = std::ranges::unique(found);
    found.erase(repeated.begin(), repeated.end());
    return found;
  }

  // Whether the kernel reports nothing else until it has reported a change that is made here.
  bool quiet_for_a_change() {
    return std::ranges::none_of(reports_of_a_change(), [](const std::vector<record>& report) {
      return std::ranges::count(report, mark(0), &record::group) > 0;
    });
  }

  // Joins one more group, and returns all reports until the second one about that group.
  std::vector<std::vector<record>> reports_of_a_change() {
    const ip_address last = mark(++marks);
    REQUIRE(marker.join_group(link, last));
    std::vector<std::vector<record>> all;
    int seen = 0;
    const auto end = wire.find([&](const packet& p) {
      if (!is_report(p)) return false;
      all.push_back(records_of(p));
      seen += std::ranges::count(all.back(), last, &record::group) > 0 ? 1 : 0;
      return seen == 2;
    });
    REQUIRE(end);
    return all;
  }

  static ip_address mark(int number) {
    ip_address::bytes_type bytes = or_throw(ip_address::parse("ff05::aa00")).bytes();
    bytes.back() = static_cast<std::uint8_t>(number);
    return ip_address(bytes);
  }

  veth_pair cable;
  packet_capture wire{cable.far};
  network_namespace::visit inside = cable.near.space.enter();
  interface link = cable.near.link;
  event_loop loop;
  packet_conn conn = open();
  packet_conn marker = open();
  int marks = 0;
};

std::vector<record> only(record_type type, std::vector<ip_address> sources = {}) {
  return {record{type, group, std::move(sources)}};
}

TEST_CASE("a join is reported as a change to EXCLUDE mode without sources") {
  reporter near;
  REQUIRE(near.conn.join_group(near.link, group));
  CHECK(near.told() == only(record_type::to_exclude));
}

TEST_CASE("a leave is reported as a change to INCLUDE mode without sources") {
  reporter near;
  REQUIRE(near.conn.join_group(near.link, group));
  REQUIRE(near.told() == only(record_type::to_exclude));
  REQUIRE(near.conn.leave_group(near.link, group));
  CHECK(near.told() == only(record_type::to_include));
}

TEST_CASE("closing the socket is reported as a leave") {
  reporter near;
  REQUIRE(near.conn.join_group(near.link, group));
  REQUIRE(near.told() == only(record_type::to_exclude));
  REQUIRE(near.conn.close());
  CHECK(near.told() == only(record_type::to_include));
}

TEST_CASE("a source-specific join reports its source as allowed, and never changes to EXCLUDE mode") {
  reporter near;
  REQUIRE(near.conn.join_source_specific_group(near.link, group, first));
  CHECK(near.told() == only(record_type::allow_new, {first}));
  REQUIRE(near.conn.join_source_specific_group(near.link, group, second));
  CHECK(near.told() == only(record_type::allow_new, {second}));
}

TEST_CASE("leaving a source reports it as blocked") {
  reporter near;
  REQUIRE(near.conn.join_source_specific_group(near.link, group, first));
  REQUIRE(near.conn.join_source_specific_group(near.link, group, second));
  near.told();
  REQUIRE(near.conn.leave_source_specific_group(near.link, group, first));
  CHECK(near.told() == only(record_type::block_old, {first}));
  REQUIRE(near.conn.leave_source_specific_group(near.link, group, second));
  CHECK(near.told() == only(record_type::block_old, {second}));
}

TEST_CASE("excluding a source reports it as blocked, and including it again as allowed") {
  reporter near;
  REQUIRE(near.conn.join_group(near.link, group));
  REQUIRE(near.told() == only(record_type::to_exclude));
  REQUIRE(near.conn.exclude_source_specific_group(near.link, group, first));
  CHECK(near.told() == only(record_type::block_old, {first}));
  REQUIRE(near.conn.include_source_specific_group(near.link, group, first));
  CHECK(near.told() == only(record_type::allow_new, {first}));
}

TEST_CASE("a conn that hears all sources and then one source only changes its own filter") {
  reporter near;
  REQUIRE(near.conn.join_group(near.link, group));
  REQUIRE(near.told() == only(record_type::to_exclude));
  REQUIRE(near.conn.join_source_specific_group(near.link, group, first));
  CHECK(near.told() == only(record_type::to_include, {first}));
  REQUIRE(near.conn.leave_source_specific_group(near.link, group, first));
  CHECK(near.told() == only(record_type::block_old, {first}));
}

TEST_CASE("a second socket that hears all sources changes the filter of the host, and back") {
  reporter near;
  REQUIRE(near.conn.join_source_specific_group(near.link, group, first));
  REQUIRE(near.told() == only(record_type::allow_new, {first}));
  packet_conn everybody = near.open();
  REQUIRE(everybody.join_group(near.link, group));
  CHECK(near.told() == only(record_type::to_exclude));
  REQUIRE(everybody.close());
  CHECK(near.told() == only(record_type::to_include, {first}));
}

TEST_CASE("a report is sent to all routers of the link, with hop limit 1 and a router alert") {
  reporter near;
  REQUIRE(near.conn.join_group(near.link, group));
  const std::optional<packet> report = near.wire.find([](const packet& p) { return is_report(p); });
  REQUIRE(report);
  CHECK((*report)[7] == 1);
  CHECK(address_at(*report, 8) == near.cable.near.link_local.with_zone(0));
  CHECK(address_at(*report, 24) == or_throw(ip_address::parse("ff02::16")));
  const std::vector<std::uint8_t> options(report->begin() + fixed_header, report->begin() + report_start);
  CHECK(options == std::vector<std::uint8_t>{IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0});  // RFC 2711, value 0, PadN.
}

TEST_CASE("a group of interface-local scope is not reported") {
  reporter near;
  const ip_address local = or_throw(ip_address::parse("ff01::1234"));
  REQUIRE(near.conn.join_group(near.link, local));
  CHECK(near.told(local).empty());
  REQUIRE(near.conn.leave_group(near.link, local));
  CHECK(near.told(local).empty());
}

}  // namespace
