#include "uring6/icmp/option.hpp"

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
using uring6::test::counting;
using uring6::test::encode_error;
using uring6::test::encoded;
using uring6::test::from_hex;
using uring6::test::to_hex;

namespace {

const ip_address server = ip_address::parse("2001:db8::53").value();
constexpr const char* server_hex = "20010db8000000000000000000000053";

icmp::domain_name name(std::string_view text) {
  return icmp::domain_name::parse(text).value();
}

// The option alone, as it stands in a router solicitation.
std::string option_hex(const icmp::option& one) {
  const std::array<icmp::option, 1> options{one};
  const bytes packet = encoded(icmp::router_solicitation{options});
  return to_hex(std::span(packet).subspan(8));
}

std::error_code error_of(const icmp::option& one) {
  const std::array<icmp::option, 1> options{one};
  return encode_error(icmp::router_solicitation{options});
}

icmp::option read(const bytes& area) {
  const auto list = icmp::list<icmp::option>::in_packet(area);
  REQUIRE(list.size() == 1);
  return *list.begin();
}

// The option encodes to these bytes, they decode to the same type, and that encodes to them again.
void check_option(const icmp::option& one, std::string_view hex) {
  const bytes expected = from_hex(hex);
  CHECK(option_hex(one) == to_hex(expected));
  const icmp::option back = read(expected);
  CHECK(back.index() == one.index());
  CHECK(option_hex(back) == to_hex(expected));
}

}  // namespace

TEST_CASE("link-layer addresses are laid out as in RFC 4861") {
  const bytes ethernet = from_hex("020000000001");
  check_option(icmp::source_link_layer_address{ethernet}, "01 01 020000000001");
  check_option(icmp::target_link_layer_address{ethernet}, "02 01 020000000001");
}

TEST_CASE("a link-layer address of another size is filled up to eight bytes") {
  const bytes eui64 = from_hex("0200000000000001");
  CHECK(option_hex(icmp::source_link_layer_address{eui64}) ==
        "0102"
        "0200000000000001"
        "000000000000");
  CHECK(error_of(icmp::source_link_layer_address{}) == errc::out_of_range);
  const bytes longest(2038);
  const bytes longer(2039);
  CHECK(error_of(icmp::target_link_layer_address{longest}) == std::error_code());
  CHECK(error_of(icmp::target_link_layer_address{longer}) == errc::too_long);
}

TEST_CASE("prefix information is laid out as in RFC 4861") {
  const icmp::prefix_information prefix{.prefix_length = 64,
                                        .on_link = true,
                                        .autonomous = true,
                                        .valid_lifetime = 2592000s,
                                        .preferred_lifetime = icmp::infinite_lifetime,
                                        .prefix = ip_address::parse("2001:db8::").value()};
  check_option(prefix, "03 04 40 c0 00278d00 ffffffff 00000000 20010db8000000000000000000000000");
  CHECK(std::get<icmp::prefix_information>(
            read(from_hex("03 04 40 c0 00278d00 ffffffff 00000000 20010db8000000000000000000000000"))) == prefix);
  check_option(icmp::prefix_information{.prefix_length = 128, .router_address = true},
               "03 04 80 20 00000000 00000000 00000000" + std::string(32, '0'));
}

TEST_CASE("prefix information refuses what its fields cannot hold") {
  CHECK(error_of(icmp::prefix_information{.prefix_length = 129}) == errc::out_of_range);
  CHECK(error_of(icmp::prefix_information{.valid_lifetime = -1s}) == errc::out_of_range);
  CHECK(error_of(icmp::prefix_information{.valid_lifetime = icmp::infinite_lifetime + 1s}) == errc::out_of_range);
  CHECK(error_of(icmp::prefix_information{.preferred_lifetime = icmp::infinite_lifetime + 1s}) == errc::out_of_range);
}

TEST_CASE("the redirected header is filled up to eight bytes") {
  const bytes data = counting(16, 1);
  check_option(icmp::redirected_header{data}, "04 03 0000 00000000" + to_hex(data));
  CHECK(option_hex(icmp::redirected_header{std::span(data).first(1)}) ==
        "0402000000000000"
        "0100000000000000");
  const bytes longest(2032);
  const bytes longer(2033);
  CHECK(error_of(icmp::redirected_header{longest}) == std::error_code());
  CHECK(error_of(icmp::redirected_header{longer}) == errc::too_long);
}

TEST_CASE("the MTU option is laid out as in RFC 4861") {
  check_option(icmp::link_mtu{9000}, "05 01 0000 00002328");
  CHECK(std::get<icmp::link_mtu>(read(from_hex("05 01 0000 ffffffff"))).mtu == 0xffffffff);
}

TEST_CASE("DNS servers are laid out as in RFC 8106") {
  const std::array<ip_address, 2> servers{server, ip_address::loopback()};
  check_option(icmp::recursive_dns_servers{.lifetime = 600s, .servers = servers},
               std::string("19 05 0000 00000258") + server_hex + "00000000000000000000000000000001");
  CHECK(error_of(icmp::recursive_dns_servers{}) == errc::out_of_range);
  CHECK(error_of(icmp::recursive_dns_servers{.lifetime = -1s, .servers = servers}) == errc::out_of_range);
  const std::vector<ip_address> most(127, server);
  const std::vector<ip_address> more(128, server);
  CHECK(error_of(icmp::recursive_dns_servers{.servers = most}) == std::error_code());
  CHECK(error_of(icmp::recursive_dns_servers{.servers = more}) == errc::too_long);
}

TEST_CASE("the DNS search list is laid out as in RFC 8106") {
  const std::array domains{name("example.org"), name("a.b")};
  check_option(icmp::dns_search_list{.lifetime = icmp::infinite_lifetime, .domains = domains},
               "1f 04 0000 ffffffff 07 6578616d706c65 03 6f7267 00  01 61 01 62 00  000000 000000");
  const std::array fitting{name("abcdef")};
  check_option(icmp::dns_search_list{.domains = fitting}, "1f 02 0000 00000000 06 616263646566 00");
  CHECK(error_of(icmp::dns_search_list{}) == errc::out_of_range);
  const auto long_name =
      name(std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(61, 'd'));
  const std::vector<icmp::domain_name> most(7, long_name);
  const std::vector<icmp::domain_name> more(8, long_name);
  CHECK(error_of(icmp::dns_search_list{.domains = most}) == std::error_code());
  CHECK(error_of(icmp::dns_search_list{.domains = more}) == errc::too_long);
}

TEST_CASE("the DNS search list reads its names back") {
  const bytes area = from_hex("1f 04 0000 00000001 07 6578616d706c65 03 6f7267 00  01 61 01 62 00  000000 000000");
  const auto list = std::get<icmp::dns_search_list>(read(area));
  CHECK(list.lifetime == 1s);
  CHECK(std::vector<icmp::domain_name>(list.domains.begin(), list.domains.end()) ==
        std::vector{name("example.org"), name("a.b")});
}

TEST_CASE("an option that does not have the form of its type is given raw") {
  const auto zeros = [](std::size_t count) { return std::string(2 * count, '0'); };
  for (const std::string& hex : {
           "0301400000000000" + zeros(0),                  // prefix too short
           "03058000" + zeros(36),                         // prefix too long
           "03048100" + zeros(28),                         // prefix length 129
           "0502000000000000" + zeros(8),                  // MTU too long
           "1901000000000000" + zeros(0),                  // no server
           "1902000000000000" + zeros(8),                  // half a server
           "1f01000000000000" + zeros(0),                  // no domain
           "1f020000000000000561626364650066" + zeros(0),  // a byte other than 0 behind the first byte of the padding
           "1f020000000000000761626364656667" + zeros(0),  // a name without its terminating 0
           "1f020000000000004061626364656600" + zeros(0),  // a label of 64
           "1f02000000000000c000000000000000" + zeros(0),  // a compressed name
           "2a01616263646566" + zeros(0),                  // an unknown type
       }) {
    INFO(hex);
    const bytes area = from_hex(hex);
    const icmp::option one = read(area);
    REQUIRE(std::holds_alternative<icmp::raw_option>(one));
    CHECK(std::get<icmp::raw_option>(one).data.size() == area.size() - 2);
    CHECK(option_hex(one) == hex);
  }
}

TEST_CASE("a raw option is units of eight bytes, as many as its length can count") {
  const bytes uneven(7);
  const bytes longest(2038);
  const bytes longer(2046);
  CHECK(error_of(icmp::raw_option{.type = icmp::option_type::nonce, .data = uneven}) == errc::out_of_range);
  CHECK(error_of(icmp::raw_option{.type = icmp::option_type::nonce, .data = longest}) == std::error_code());
  CHECK(error_of(icmp::raw_option{.type = icmp::option_type::nonce, .data = longer}) == errc::too_long);
}

TEST_CASE("options print in one line") {
  const bytes ethernet = from_hex("020000000001");
  CHECK(fmt::format("{}", icmp::source_link_layer_address{ethernet}) == "source link-layer address 02:00:00:00:00:01");
  CHECK(fmt::format("{}", icmp::target_link_layer_address{ethernet}) == "target link-layer address 02:00:00:00:00:01");
  CHECK(fmt::format("{}", icmp::prefix_information{.prefix_length = 64,
                                                   .on_link = true,
                                                   .valid_lifetime = icmp::infinite_lifetime,
                                                   .preferred_lifetime = 3600s,
                                                   .prefix = ip_address::parse("2001:db8::").value()}) ==
        "prefix 2001:db8::/64 flags=L valid=infinite preferred=3600s");
  CHECK(fmt::format("{}", icmp::redirected_header{ethernet}) == "redirected header data=6");
  CHECK(fmt::format("{}", icmp::link_mtu{1500}) == "mtu 1500");
  const std::array<ip_address, 1> servers{server};
  CHECK(fmt::format("{}", icmp::recursive_dns_servers{.lifetime = 600s, .servers = servers}) ==
        "dns servers lifetime=600s 2001:db8::53");
  const std::array domains{name("example.org")};
  CHECK(fmt::format("{}", icmp::dns_search_list{.lifetime = 600s, .domains = domains}) ==
        "dns search list lifetime=600s example.org");
  CHECK(fmt::format("{}", icmp::raw_option{.type = icmp::option_type::nonce, .data = ethernet}) == "option 14 data=6");
}

TEST_CASE("domain_name reads and writes text") {
  const auto example = name("example.org");
  CHECK(to_hex(example.wire()) == "076578616d706c65036f726700");
  CHECK(name("example.org.") == name("example.org"));
  CHECK(to_string(name("example.org")) == "example.org");
  const std::string label(63, 'a');
  CHECK(to_string(name(label)) == label);
}

TEST_CASE("domain_name refuses text that is no name") {
  for (const std::string& text : {std::string(), std::string("."), std::string("a..b"), std::string(".a"),
                                  std::string("a.."), std::string(64, 'a'), std::string("a b"), std::string("\x80")}) {
    INFO(text);
    CHECK(icmp::domain_name::parse(text).error() == errc::malformed);
  }
  // 255 bytes on the wire are 253 characters of text.
  std::string longest = std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + ".";
  longest += std::string(253 - longest.size(), 'd');
  const auto whole = name(longest);
  CHECK(whole.wire().size() == 255);
  CHECK(icmp::domain_name::decode(whole.wire()) == whole);
  CHECK(icmp::domain_name::parse(longest + "d").error() == errc::malformed);
}

TEST_CASE("domain_name refuses every truncation of its bytes") {
  const bytes wire = from_hex("07 6578616d706c65 03 6f7267 00");
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const bytes cut = uring6::test::exact(std::span(wire).first(size));
    CHECK(icmp::domain_name::decode(cut).error() == errc::malformed);
  }
  CHECK(icmp::domain_name::decode(wire) == name("example.org"));
  CHECK(icmp::domain_name::decode(from_hex("00")).error() == errc::malformed);
}

TEST_CASE("domain_name escapes hostile labels when it prints them") {
  const bytes wire = from_hex("04 2e5c0aff 01 62 00");
  CHECK(to_string(icmp::domain_name::decode(wire).value()) == "\\.\\\\\\010\\255.b");
}
