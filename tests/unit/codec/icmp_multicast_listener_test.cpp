#include "uring6/icmp/multicast_listener.hpp"

#include <fmt/format.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

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
using uring6::test::refusal_of;

namespace {

const ip_address group = ip_address::parse("ff02::114").value();
const ip_address first_source = ip_address::parse("2001:db8::1").value();
const ip_address second_source = ip_address::parse("2001:db8::2").value();
const std::array<ip_address, 2> sources{first_source, second_source};

constexpr const char* group_hex = "ff020000000000000000000000000114";
constexpr const char* first_source_hex = "20010db8000000000000000000000001";
constexpr const char* second_source_hex = "20010db8000000000000000000000002";

std::string hex(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const auto part : parts) all += part;
  return all;
}

std::vector<ip_address> values(const icmp::list<ip_address>& list) {
  return {list.begin(), list.end()};
}

}  // namespace

TEST_CASE("MLDv1 messages are laid out as in RFC 2710") {
  check_wire(icmp::multicast_listener_query{.max_response_delay = 10000ms},
             "8200 0000 2710 0000 " + std::string(32, '0'));
  check_wire(icmp::multicast_listener_query{.max_response_delay = 65535ms, .group = group},
             hex({"8200 0000 ffff 0000", group_hex}));
  check_wire(icmp::multicast_listener_report{.group = group}, hex({"8300 0000 0000 0000", group_hex}));
  check_wire(icmp::multicast_listener_done{.group = group}, hex({"8400 0000 0000 0000", group_hex}));
}

TEST_CASE("MLDv1 messages refuse every truncation") {
  check_truncations(icmp::multicast_listener_query{.group = group}, 24);
  check_truncations(icmp::multicast_listener_report{.group = group}, 24);
  check_truncations(icmp::multicast_listener_done{.group = group}, 24);
}

TEST_CASE("MLDv1 refuses a delay that its field cannot hold") {
  CHECK(encode_error(icmp::multicast_listener_query{.max_response_delay = 65536ms}) == errc::out_of_range);
  CHECK(encode_error(icmp::multicast_listener_query{.max_response_delay = -1ms}) == errc::out_of_range);
}

TEST_CASE("MLD messages accept multicast addresses only, in both directions") {
  CHECK(encode_error(icmp::multicast_listener_query{.group = first_source}) == errc::out_of_range);
  CHECK(encode_error(icmp::multicast_listener_report{}) == errc::out_of_range);
  CHECK(encode_error(icmp::multicast_listener_done{.group = first_source}) == errc::out_of_range);
  CHECK(encode_error(icmp::version2_multicast_listener_query{.group = first_source}) == errc::out_of_range);
  const std::array<icmp::listener_record, 1> records{icmp::listener_record{.group = first_source}};
  CHECK(encode_error(icmp::version2_multicast_listener_report{records}) == errc::out_of_range);
  for (const auto* front : {"8200 0000 0000 0000", "8300 0000 0000 0000", "8400 0000 0000 0000"}) {
    CHECK(refusal_of(from_hex(hex({front, first_source_hex}))) == errc::malformed);
  }
  CHECK(refusal_of(from_hex(hex({"8200 0000 0000 0000", first_source_hex, "00000000"}))) == errc::malformed);
  CHECK(refusal_of(from_hex(hex({"8f00 0000 0000 0001 01000000", first_source_hex}))) == errc::malformed);
}

TEST_CASE("the MLDv2 query is laid out as in RFC 3810") {
  check_wire(icmp::version2_multicast_listener_query{.max_response_code = 0x8123,
                                                     .group = group,
                                                     .suppress_router_processing = true,
                                                     .robustness = 7,
                                                     .query_interval_code = 0x7d,
                                                     .sources = sources},
             hex({"8200 0000 8123 0000", group_hex, "0f 7d 0002", first_source_hex, second_source_hex}));
  check_wire(icmp::version2_multicast_listener_query{.robustness = 2},
             "8200 0000 0000 0000 " + std::string(32, '0') + "02 00 0000");
}

TEST_CASE("the MLDv2 query reads its sources in place") {
  const bytes packet =
      from_hex(hex({"8200 0000 0000 0000", group_hex, "02 7d 0002", first_source_hex, second_source_hex}));
  const auto query = parsed<icmp::version2_multicast_listener_query>(packet);
  CHECK(values(query.sources) == std::vector<ip_address>{first_source, second_source});
  CHECK_FALSE(query.suppress_router_processing);
  CHECK(query.robustness == 2);
}

TEST_CASE("the length of a query decides its version") {
  const bytes query = encoded(icmp::version2_multicast_listener_query{.group = group, .sources = sources});
  for (std::size_t size = 0; size < query.size(); ++size) {
    const bytes cut = uring6::test::exact(std::span(query).first(size));
    const auto read = icmp::parse(cut);
    INFO("cut to " << size);
    if (size == 24) {
      CHECK(std::holds_alternative<icmp::multicast_listener_query>(read.value().body));
    } else {
      CHECK((!read && read.error() == errc::malformed));
    }
  }
}

TEST_CASE("a query with fewer sources than its count is malformed") {
  CHECK(refusal_of(from_hex(hex({"8200 0000 0000 0000", group_hex, "02 7d ffff", first_source_hex}))) ==
        errc::malformed);
}

TEST_CASE("octets behind the sources of a query are ignored") {
  const bytes packet = from_hex(hex({"8200 0000 0000 0000", group_hex, "02 7d 0001", first_source_hex, "dead"}));
  CHECK(parsed<icmp::version2_multicast_listener_query>(packet).sources.size() == 1);
}

TEST_CASE("the MLDv2 query refuses a robustness of more than three bits") {
  CHECK(encode_error(icmp::version2_multicast_listener_query{.robustness = 8}) == errc::out_of_range);
}

TEST_CASE("a maximum response code is a number below 32768 and a float above") {
  const auto delay = [](std::uint16_t code) {
    return icmp::version2_multicast_listener_query{.max_response_code = code}.max_response_delay();
  };
  CHECK(delay(0) == 0ms);
  CHECK(delay(32767) == 32767ms);
  CHECK(delay(0x8000) == 32768ms);
  CHECK(delay(0x8001) == 32776ms);
  CHECK(delay(0x9000) == 65536ms);
  CHECK(delay(0xffff) == 8387584ms);
  CHECK(icmp::max_response_code(10000ms) == 10000);
  CHECK(icmp::max_response_code(32768ms) == 0x8000);
  CHECK(icmp::max_response_code(32775ms) == 0x8000);
  CHECK(icmp::max_response_code(8387584ms) == 0xffff);
  CHECK(icmp::max_response_code(8387585ms).error() == errc::out_of_range);
  CHECK(icmp::max_response_code(-1ms).error() == errc::out_of_range);
  for (unsigned code = 0; code <= 0xffff; ++code) {
    const auto narrow = static_cast<std::uint16_t>(code);
    REQUIRE(icmp::max_response_code(delay(narrow)) == narrow);
  }
}

TEST_CASE("a query interval code is a number below 128 and a float above") {
  const auto interval = [](std::uint8_t code) {
    return icmp::version2_multicast_listener_query{.query_interval_code = code}.query_interval();
  };
  CHECK(interval(125) == 125s);
  CHECK(interval(0x80) == 128s);
  CHECK(interval(0xff) == 31744s);
  CHECK(icmp::query_interval_code(129s) == 0x80);
  CHECK(icmp::query_interval_code(31744s) == 0xff);
  CHECK(icmp::query_interval_code(31745s).error() == errc::out_of_range);
  CHECK(icmp::query_interval_code(-1s).error() == errc::out_of_range);
  for (unsigned code = 0; code <= 0xff; ++code) {
    const auto narrow = static_cast<std::uint8_t>(code);
    REQUIRE(icmp::query_interval_code(interval(narrow)) == narrow);
  }
}

TEST_CASE("the MLDv2 report is laid out as in RFC 3810") {
  const bytes auxiliary = from_hex("01020304 05060708");
  const std::array<icmp::listener_record, 2> records{
      icmp::listener_record{.type = icmp::record_type::change_to_exclude, .group = group},
      icmp::listener_record{
          .type = icmp::record_type::block_old_sources, .group = group, .sources = sources, .auxiliary = auxiliary}};
  check_wire(icmp::version2_multicast_listener_report{records},
             hex({"8f00 0000 0000 0002", "04 00 0000", group_hex, "06 02 0002", group_hex, first_source_hex,
                  second_source_hex, "01020304 05060708"}));
  check_wire(icmp::version2_multicast_listener_report{}, "8f00 0000 0000 0000");
}

TEST_CASE("the MLDv2 report reads its records in place") {
  const bytes packet = from_hex(hex(
      {"8f00 0000 0000 0002", "05 00 0001", group_hex, first_source_hex, "c8 01 0000", group_hex, "deadbeef", "ffff"}));
  const auto report = parsed<icmp::version2_multicast_listener_report>(packet);
  REQUIRE(report.records.size() == 2);
  auto at = report.records.begin();
  CHECK((*at).type == icmp::record_type::allow_new_sources);
  CHECK((*at).group == group);
  CHECK(values((*at).sources) == std::vector<ip_address>{first_source});
  ++at;
  CHECK((*at).type == static_cast<icmp::record_type>(200));
  CHECK((*at).sources.empty());
  CHECK((*at).auxiliary.size() == 4);
  CHECK(++at == report.records.end());
}

TEST_CASE("the MLDv2 report refuses every truncation") {
  const std::array<icmp::listener_record, 2> records{
      icmp::listener_record{.group = group, .sources = sources},
      icmp::listener_record{.type = icmp::record_type::change_to_include, .group = group}};
  const icmp::version2_multicast_listener_report report{records};
  check_truncations(report, encoded(report).size());
}

TEST_CASE("the MLDv2 report refuses counts that exceed its length") {
  for (const auto* front : {"8f00 0000 0000 ffff 01 00 0000", "8f00 0000 0000 0001 01 00 ffff",
                            "8f00 0000 0000 0001 01 ff 0000", "8f00 0000 0000 0002 01 00 0000"}) {
    CHECK(refusal_of(from_hex(hex({front, group_hex}))) == errc::malformed);
  }
}

TEST_CASE("the MLDv2 report refuses auxiliary data that its length cannot count") {
  const auto error = [](std::size_t size) {
    const bytes auxiliary(size);
    const std::array<icmp::listener_record, 1> records{icmp::listener_record{.group = group, .auxiliary = auxiliary}};
    return encode_error(icmp::version2_multicast_listener_report{records});
  };
  CHECK(error(1020) == std::error_code());
  CHECK(error(1024) == errc::too_long);
  CHECK(error(3) == errc::out_of_range);
}

TEST_CASE("lists longer than a packet are an error, not a cut") {
  const std::vector<ip_address> many(65536, first_source);
  CHECK(encode_error(icmp::version2_multicast_listener_query{.sources = many}) == errc::too_long);
  const std::array<icmp::listener_record, 1> one{icmp::listener_record{.group = group, .sources = many}};
  CHECK(encode_error(icmp::version2_multicast_listener_report{one}) == errc::too_long);
  const std::vector<icmp::listener_record> records(65536, icmp::listener_record{.group = group});
  CHECK(encode_error(icmp::version2_multicast_listener_report{records}) == errc::too_long);
  // As many as the count can express, but more than a packet can hold.
  const std::vector<ip_address> fewer(4095, first_source);
  CHECK(encode_error(icmp::version2_multicast_listener_query{.sources = fewer}) == errc::too_long);
}

TEST_CASE("MLD messages print in one line") {
  CHECK(fmt::format("{}", icmp::multicast_listener_query{.max_response_delay = 1000ms, .group = group}) ==
        "multicast listener query delay=1000ms group=ff02::114");
  CHECK(fmt::format("{}", icmp::multicast_listener_done{.group = group}) == "multicast listener done group=ff02::114");
  CHECK(fmt::format("{}", icmp::version2_multicast_listener_query{.max_response_code = 1000,
                                                                  .group = group,
                                                                  .robustness = 2,
                                                                  .query_interval_code = 125,
                                                                  .sources = sources}) ==
        "multicast listener query version=2 delay=1000ms group=ff02::114 suppress=false robustness=2 "
        "interval=125s "
        "sources 2001:db8::1 2001:db8::2");
  const std::array<icmp::listener_record, 1> records{
      icmp::listener_record{.type = icmp::record_type::change_to_exclude, .group = group, .sources = sources}};
  CHECK(fmt::format("{}", icmp::version2_multicast_listener_report{records}) ==
        "version 2 multicast listener report [change to exclude ff02::114 sources 2001:db8::1 2001:db8::2]");
}
