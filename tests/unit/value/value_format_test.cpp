// Every public value is formatted by "{}".
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <system_error>

#include "uring6/format.hpp"

namespace {

using namespace uring6;

template <class... Values>
constexpr bool all_formattable = (fmt::is_formattable<Values>::value && ...);

endpoint end_of(const char* text) {
  return or_throw(endpoint::parse(text));
}

TEST_CASE("every public value has a formatter") {
  CHECK(all_formattable<ip_address, endpoint, multicast_scope, control_message, control_flags, peer_family>);
  CHECK(all_formattable<datagram, outgoing, error_report, error_origin, poll_events, signal_event, keep_alive>);
  CHECK(all_formattable<header, fragment_header, ip_protocol, stream_half>);
  CHECK(all_formattable<interface, interface_address, group_membership, group_source, address_scope>);
}

TEST_CASE("an error report prints its error, its cause and its sender") {
  error_report told;
  told.error = std::error_code(ECONNREFUSED, std::system_category());
  told.origin = error_origin::icmp6;
  told.type = 1;
  told.code = 4;
  told.offender = ip_address::loopback();
  told.destination = end_of("[::1]:9");
  CHECK(fmt::format("{}", told) == "to [::1]:9: Connection refused (icmp6 type=1 code=4 from=::1)");
  told = {};
  told.error = std::error_code(EMSGSIZE, std::system_category());
  told.origin = error_origin::local;
  told.info = 1280;
  told.destination = end_of("[2001:db8::2]:9");
  CHECK(fmt::format("{}", told) == "to [2001:db8::2]:9: Message too long (local info=1280)");
}

TEST_CASE("a datagram prints its source, its length, the octets that were cut off, and its control message") {
  std::array<std::byte, 12> octets{};
  datagram got{.payload = octets, .source = end_of("[::1]:53"), .full_length = 12};
  CHECK(fmt::format("{}", got) == "from [::1]:53 octets=12");
  got.truncated = true;
  got.full_length = 40;
  got.control.hop_limit = 64;
  CHECK(fmt::format("{}", got) == "from [::1]:53 octets=12 of 40 hoplim=64");
  outgoing one{.payload = octets, .destination = end_of("[::1]:53")};
  CHECK(fmt::format("{}", one) == "to [::1]:53 octets=12");
  one.error = std::error_code(EMSGSIZE, std::system_category());
  CHECK(fmt::format("{}", one) == "to [::1]:53 octets=12: Message too long");
}

TEST_CASE("enumerators and flags print as names, numbers without a name as numbers") {
  CHECK(fmt::format("{}", multicast_scope::link_local) == "link-local");
  CHECK(fmt::format("{}", static_cast<multicast_scope>(6)) == "6");
  CHECK(fmt::format("{}", address_scope::link) == "link");
  CHECK(fmt::format("{:>6}", peer_family::ipv4) == "  ipv4");
  CHECK(fmt::format("{}", stream_half::both) == "both");
  CHECK(fmt::format("{}", poll_events::readable | poll_events::hung_up) == "readable|hung_up");
  CHECK(fmt::format("{}", poll_events::none) == "none");
}

TEST_CASE("events, groups and fragments print in one line") {
  CHECK(fmt::format("{}", signal_event{.number = 15, .sender = 4242}) == "signal 15 code=0 sender=4242 user=0 value=0");
  CHECK(fmt::format("{}", keep_alive()) == "after 15s each 15s probes=9");
  CHECK(fmt::format("{}", fragment_header{.offset = 1448, .more = true, .identification = 7}) ==
        "fragment id=0x7 offset=1448 more");
  const group_membership joined{.interface_index = 7,
                                .group = or_throw(ip_address::parse("ff05::114")),
                                .users = 1,
                                .sources = {{or_throw(ip_address::parse("2001:db8::1")), 1, 0}}};
  CHECK(fmt::format("{}", joined) == "ff05::114 ifindex=7 users=1 source 2001:db8::1 included=1 excluded=0");
}

}  // namespace
