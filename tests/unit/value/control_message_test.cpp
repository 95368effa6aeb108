#include "uring6/control_message.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include "ipv6/value/cmsg.hpp"
#include "support/traffic/control_bytes.hpp"

namespace uring6 {
namespace {

static_assert(std::is_trivially_copyable_v<control_message> && std::is_aggregate_v<control_message>);
static_assert(std::is_trivially_destructible_v<control_message>);

using test::append;
using test::bytes;
using test::pktinfo;

constexpr ip_address group = ip_address::all_nodes();
constexpr ip_address here = ip_address::loopback();
constexpr ip_address v4_here = ip_address::v4_mapped({192, 0, 2, 1});

std::array<std::byte, cmsg::max_encoded_size> area;

bytes encoded(const control_message& message, peer_family peer = peer_family::ipv6) {
  const result<std::size_t> size = cmsg::encode(message, area, peer);
  REQUIRE(size);
  return {area.begin(), area.begin() + static_cast<std::ptrdiff_t>(*size)};
}

TEST_CASE("decodes_what_it_encodes") {
  control_message message;
  message.traffic_class = GENERATE(std::optional<int>(), 0, 0x28, 255);
  message.hop_limit = GENERATE(std::optional<int>(), 0, 1, 255);
  message.interface_index = GENERATE(std::optional<std::uint32_t>(), 1U, 2147483647U);
  message.source = GENERATE(std::optional<ip_address>(), here);
  const bytes written = encoded(message);
  CHECK(written.size() == cmsg::encoded_size(message));
  const result<control_message> read = cmsg::decode(written);
  REQUIRE(read);
  CHECK(read->traffic_class == message.traffic_class);
  CHECK(read->hop_limit == message.hop_limit);
  CHECK(read->interface_index == message.interface_index);
  // One option has both: the address of a received message is the destination.
  CHECK(read->destination.value_or(ip_address::any()) == message.source.value_or(ip_address::any()));
}

TEST_CASE("an_empty_message_has_no_bytes") {
  CHECK(cmsg::encode(control_message{}, {}) == 0U);
  CHECK(cmsg::encoded_size({}) == 0);
  CHECK(cmsg::decode({}) == control_message{});
}

TEST_CASE("receive_only_fields_are_not_sent") {
  CHECK(cmsg::encode({.path_mtu = 1280, .destination = group}, {}) == 0U);
  CHECK(cmsg::encode({.received_at = std::chrono::sys_time<std::chrono::nanoseconds>()}, {}) == 0U);
}

TEST_CASE("writes_the_kernels_layout") {
  // RFC 3542 and the Linux ABI, parsed here by hand.
  const bytes written = encoded({.traffic_class = 0x28, .hop_limit = 64, .interface_index = 3, .source = here});
  alignas(cmsghdr) std::array<std::byte, cmsg::max_encoded_size> aligned{};
  std::copy(written.begin(), written.end(), aligned.begin());
  msghdr header{};
  header.msg_control = aligned.data();
  header.msg_controllen = written.size();
  cmsghdr* message = CMSG_FIRSTHDR(&header);
  REQUIRE(message);
  CHECK((message->cmsg_level == 41 && message->cmsg_type == 67 && message->cmsg_len == CMSG_LEN(sizeof(int))));
  CHECK(*reinterpret_cast<const int*>(CMSG_DATA(message)) == 0x28);
  message = CMSG_NXTHDR(&header, message);
  REQUIRE(message);
  CHECK((message->cmsg_level == 41 && message->cmsg_type == 52 && message->cmsg_len == CMSG_LEN(sizeof(int))));
  CHECK(*reinterpret_cast<const int*>(CMSG_DATA(message)) == 64);
  message = CMSG_NXTHDR(&header, message);
  REQUIRE(message);
  CHECK((message->cmsg_level == 41 && message->cmsg_type == 50 && message->cmsg_len == CMSG_LEN(20)));
  const auto* const info = reinterpret_cast<const in6_pktinfo*>(CMSG_DATA(message));
  CHECK(IN6_IS_ADDR_LOOPBACK(&info->ipi6_addr));
  CHECK(info->ipi6_ifindex == 3);
  CHECK(CMSG_NXTHDR(&header, message) == nullptr);
}

TEST_CASE("leaves_no_stale_byte_in_the_padding") {
  const control_message message{.traffic_class = 1, .hop_limit = 2, .interface_index = 3};
  area.fill(std::byte{0xff});
  const bytes first = encoded(message);
  area.fill(std::byte{0});
  CHECK(encoded(message) == first);
}

TEST_CASE("to_a_v4_peer_it_writes_v4_control_messages") {
  const bytes written =
      encoded({.traffic_class = 0x28, .hop_limit = 9, .interface_index = 3, .source = v4_here}, peer_family::ipv4);
  CHECK(written.size() == 2 * cmsg::space(sizeof(int)) + cmsg::space(sizeof(in_pktinfo)));
  cmsg_reader reader(written);
  cmsg_view view;
  int value = 0;
  REQUIRE(reader.next(view));
  CHECK((view.level == IPPROTO_IP && view.type == IP_TOS && view.read(value) && value == 0x28));
  REQUIRE(reader.next(view));
  CHECK((view.level == IPPROTO_IP && view.type == IP_TTL && view.read(value) && value == 9));
  REQUIRE(reader.next(view));
  in_pktinfo info{};
  CHECK((view.level == IPPROTO_IP && view.type == IP_PKTINFO && view.read(info)));
  CHECK(info.ipi_ifindex == 3);
  CHECK(std::bit_cast<ip_address::v4_bytes_type>(info.ipi_spec_dst) == v4_here.to_v4());
  CHECK_FALSE(reader.next(view));
}

TEST_CASE("v4_control_messages_fill_the_same_fields") {
  // The kernel's order on a dual-stack socket: the v6 packet information comes first. TOS is one byte.
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_PKTINFO, pktinfo(v4_here, 3));
  append(control, IPPROTO_IP, IP_TTL, 64);
  append(control, IPPROTO_IP, IP_TOS, std::uint8_t{0xb9});
  const control_message expected{.traffic_class = 0xb9, .hop_limit = 64, .interface_index = 3, .destination = v4_here};
  CHECK(cmsg::decode(control) == expected);

  bytes v4_only;
  in_pktinfo info{};
  info.ipi_ifindex = 3;
  info.ipi_addr = std::bit_cast<in_addr>(*v4_here.to_v4());
  append(v4_only, IPPROTO_IP, IP_PKTINFO, info);
  append(v4_only, IPPROTO_IP, IP_TTL, 64);
  append(v4_only, IPPROTO_IP, IP_TOS, std::uint8_t{0xb9});
  CHECK(cmsg::decode(v4_only) == expected);
}

struct refused {
  control_message message;
  peer_family peer;
  std::error_code expected;
};

TEST_CASE("refuses_what_cannot_be_sent_and_says_why") {
  using enum peer_family;
  const auto unsupported = std::make_error_code(std::errc::not_supported);
  const auto wrong_family = std::make_error_code(std::errc::address_family_not_supported);
  const auto number = GENERATE_COPY(values<refused>({
      {{.traffic_class = 256}, ipv6, errc::out_of_range},
      {{.traffic_class = -1}, ipv6, errc::out_of_range},
      {{.traffic_class = 256}, ipv4, errc::out_of_range},
      {{.traffic_class = std::numeric_limits<int>::min()}, ipv6, errc::out_of_range},
      {{.hop_limit = 256}, ipv6, errc::out_of_range},
      {{.hop_limit = -1}, ipv6, errc::out_of_range},
      {{.hop_limit = std::numeric_limits<int>::max()}, ipv6, errc::out_of_range},
      {{.hop_limit = 0}, ipv4, errc::out_of_range},
      {{.hop_limit = 256}, ipv4, errc::out_of_range},
      {{.interface_index = 2147483648U}, ipv6, errc::out_of_range},
      {{.interface_index = 4294967295U}, ipv4, errc::out_of_range},
      {{.source = here.with_zone(2147483648U)}, ipv6, errc::out_of_range},
      {{.source = v4_here}, ipv6, wrong_family},
      {{.source = here}, ipv4, wrong_family},
      {{.interface_index = 2, .source = here.with_zone(3)}, ipv6, errc::zone_mismatch},
      {{.next_hop = here}, ipv6, unsupported},
      {{.next_hop = v4_here}, ipv4, unsupported},
  }));
  CHECK(cmsg::encode(number.message, area, number.peer) == fail(number.expected));
}

TEST_CASE("a_buffer_that_is_too_short_is_not_touched") {
  const control_message message{.traffic_class = 1, .hop_limit = 2, .interface_index = 3};
  for (std::size_t size = 0; size < cmsg::encoded_size(message); ++size) {
    bytes exact(size, std::byte{0xaa});
    CHECK(cmsg::encode(message, exact) == fail(std::errc::no_buffer_space));
    CHECK(exact == bytes(size, std::byte{0xaa}));
  }
}

TEST_CASE("an_unspecified_source_leaves_the_choice_to_the_kernel_in_either_family") {
  const control_message message{.interface_index = 3, .source = ip_address::any()};
  CHECK(cmsg::decode(encoded(message))->interface_index == 3U);
  CHECK(cmsg::decode(encoded(message, peer_family::ipv4))->interface_index == 3U);
}

TEST_CASE("a_source_with_a_zone_leaves_by_it") {
  CHECK(cmsg::decode(encoded({.source = here.with_zone(3)}))->interface_index == 3U);
  CHECK(cmsg::decode(encoded({.interface_index = 3, .source = here.with_zone(3)}))->interface_index == 3U);
}

TEST_CASE("of_repeated_messages_the_last_counts") {
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, 1);
  append(control, IPPROTO_IPV6, IPV6_PKTINFO, pktinfo(here, 2));
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, 2);
  append(control, IPPROTO_IPV6, IPV6_PKTINFO, pktinfo(group, 3));
  const control_message expected{.hop_limit = 2, .interface_index = 3, .destination = group};
  CHECK(cmsg::decode(control) == expected);
  // A value that is too short is ignored, so that the earlier one counts.
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, 3, sizeof(cmsghdr) + 3);
  CHECK(cmsg::decode(control) == expected);
}

TEST_CASE("passes_over_what_it_does_not_know") {
  bytes control;
  append(control, IPPROTO_IPV6, 9999, std::array<std::byte, 100>{});
  append(control, -1, IPV6_HOPLIMIT, 1);
  append(control, SOL_SOCKET, IPV6_TCLASS, 1);
  append(control, IPPROTO_UDP, IPV6_PKTINFO, pktinfo(here, 1));
  append(control, IPPROTO_IPV6, -IPV6_HOPLIMIT, 1);
  CHECK(cmsg::decode(control) == control_message{});
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, 64);
  CHECK(cmsg::decode(control) == control_message{.hop_limit = 64});
}

TEST_CASE("a_value_longer_than_expected_counts_by_its_front") {
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, std::array<int, 4>{64, -1, -1, -1});
  append(control, IPPROTO_IPV6, IPV6_TCLASS, 3);
  CHECK(cmsg::decode(control) == control_message{.traffic_class = 3, .hop_limit = 64});
}

TEST_CASE("a_message_longer_than_its_area_or_shorter_than_its_front_is_malformed") {
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_TCLASS, 3);
  const std::size_t last = control.size();
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, 64);
  const std::span<const std::byte> all(control);
  const std::size_t whole = last + CMSG_LEN(sizeof(int));  // without the padding
  for (std::size_t length = last + sizeof(cmsghdr); length < whole; ++length) {
    CHECK(cmsg::decode(all.first(length)).error() == errc::malformed);
  }
  CHECK(cmsg::decode(all.first(whole)) == control_message{.traffic_class = 3, .hop_limit = 64});
  const std::size_t too_short = sizeof(cmsghdr) - 1;
  std::memcpy(control.data() + last, &too_short, sizeof too_short);  // cmsg_len is the first field
  CHECK(cmsg::decode(control).error() == errc::malformed);
}

TEST_CASE("decoding_clears_what_an_earlier_datagram_has_left") {
  received_control of;
  of.message = {.traffic_class = 1,
                .hop_limit = 2,
                .interface_index = 3,
                .path_mtu = 1280,
                .source = here,
                .destination = here,
                .next_hop = here,
                .received_at = std::chrono::sys_time<std::chrono::nanoseconds>()};
  of.gro_segment_size = 4;
  CHECK(decode_received({}, of));
  CHECK(of.message == control_message{});
  CHECK(of.gro_segment_size == 0);
}

TEST_CASE("a_value_out_of_range_is_not_given") {
  const int value = GENERATE(-1, 256, 0x12345678, std::numeric_limits<int>::min());
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, value);
  append(control, IPPROTO_IP, IP_TTL, value);
  append(control, IPPROTO_IPV6, IPV6_TCLASS, value);
  CHECK(cmsg::decode(control) == control_message{});
}

TEST_CASE("interface_0_is_none_and_a_negative_one_neither") {
  const std::uint32_t index = GENERATE(0U, 0x80000000U, 0xffffffffU);
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_PKTINFO, pktinfo(here, index));
  CHECK(cmsg::decode(control) == control_message{.destination = here});
}

TEST_CASE("a_path_mtu_event_names_its_destination") {
  ip6_mtuinfo info{};
  info.ip6m_addr.sin6_family = AF_INET6;
  info.ip6m_addr.sin6_addr = in6addr_loopback;
  info.ip6m_addr.sin6_scope_id = 3;
  info.ip6m_mtu = 1280;
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_PATHMTU, info);
  CHECK(cmsg::decode(control) == control_message{.interface_index = 3, .path_mtu = 1280, .destination = here});
}

TEST_CASE("a_timestamp_is_the_time_since_1970_in_nanoseconds") {
  using namespace std::chrono;
  const int type = GENERATE(SO_TIMESTAMPNS_NEW, SO_TIMESTAMPNS_OLD);
  const auto at = [&](std::int64_t seconds, std::int64_t rest) {
    bytes control;
    append(control, SOL_SOCKET, type, std::array{seconds, rest});
    return cmsg::decode(control).value().received_at;
  };
  CHECK(at(1'700'000'000, 999'999'999) == sys_time<nanoseconds>(nanoseconds(1'700'000'000'999'999'999)));
  CHECK(at(0, 0) == sys_time<nanoseconds>());
  CHECK(at(9'223'372'035, 999'999'999) == sys_time<nanoseconds>(nanoseconds(9'223'372'035'999'999'999)));
  // Times outside of the representable range.
  CHECK_FALSE(at(-1, 0));
  CHECK_FALSE(at(1, -1));
  CHECK_FALSE(at(1, 1'000'000'000));
  CHECK_FALSE(at(9'223'372'036, 0));
  CHECK_FALSE(at(std::numeric_limits<std::int64_t>::max(), 0));

  bytes cut;
  append(cut, SOL_SOCKET, type, std::array<std::int64_t, 2>{1, 1}, sizeof(cmsghdr) + 15);
  CHECK(cmsg::decode(cut) == control_message{});
}

TEST_CASE("a_reply_comes_from_the_address_that_was_asked") {
  const control_message question{.traffic_class = 0x28,
                                 .hop_limit = 63,
                                 .interface_index = 3,
                                 .path_mtu = 1280,
                                 .source = here,
                                 .destination = v4_here,
                                 .next_hop = here,
                                 .received_at = std::chrono::sys_time<std::chrono::nanoseconds>()};
  CHECK(question.reply() == control_message{.interface_index = 3, .source = v4_here});
  CHECK(control_message{}.reply() == control_message{});
}

TEST_CASE("a_reply_to_a_group_leaves_the_source_to_the_kernel") {
  const ip_address asked = GENERATE(group, ip_address::v4_mapped({224, 0, 0, 1}),
                                    ip_address::v4_mapped({255, 255, 255, 255}), ip_address::any());
  const control_message question{.interface_index = 3, .destination = asked};
  CHECK(question.reply() == control_message{.interface_index = 3});
}

TEST_CASE("a_traffic_class_is_a_code_point_and_ecn") {
  const control_message expedited{.traffic_class = 0xb9};
  CHECK(expedited.dscp() == 46);
  CHECK(expedited.ecn() == 1);
  CHECK(control_message{.traffic_class = 0}.dscp() == 0);
  CHECK(control_message{.traffic_class = 255}.ecn() == 3);
  CHECK(control_message{}.dscp() == std::nullopt);
  CHECK(control_message{}.ecn() == std::nullopt);
  CHECK(control_message{.traffic_class = 256}.dscp() == std::nullopt);
  CHECK(control_message{.traffic_class = -1}.ecn() == std::nullopt);
}

TEST_CASE("setting_one_half_of_a_traffic_class_keeps_the_other") {
  control_message message;
  message.set_ecn(2);
  CHECK(message.traffic_class == 2);
  message.set_dscp(46);
  CHECK(message.traffic_class == 0xba);
  message.set_ecn(0);
  CHECK(message.traffic_class == 0xb8);
}

TEST_CASE("setting_half_a_traffic_class_out_of_range_is_an_error_when_sent") {
  const int dscp = GENERATE(-1, 64, std::numeric_limits<int>::max());
  control_message message{.traffic_class = 3};
  message.set_dscp(dscp);
  CHECK(cmsg::encode(message, area) == fail(errc::out_of_range));
  control_message other{.traffic_class = 3};
  other.set_ecn(dscp == 64 ? 4 : dscp);
  CHECK(cmsg::encode(other, area) == fail(errc::out_of_range));
}

TEST_CASE("control_flags_are_a_set") {
  control_flags flags = control_flags::hop_limit | control_flags::interface;
  CHECK(static_cast<unsigned>(flags) == 18);
  flags |= control_flags::source;
  flags &= ~control_flags::hop_limit;
  CHECK(flags == (control_flags::interface | control_flags::source));
  CHECK(has_any(flags, control_flags::interface | control_flags::path_mtu));
  CHECK_FALSE(has_any(flags, control_flags::hop_limit | control_flags::path_mtu));
  CHECK_FALSE(has_any(flags, control_flags::none));
}

TEST_CASE("control_space_is_what_the_macros_say") {
  using enum control_flags;
  STATIC_CHECK(cmsg::space(none) == 0);
  STATIC_CHECK(cmsg::space(source) == 0);
  STATIC_CHECK(cmsg::space(control_flags::traffic_class) == CMSG_SPACE(sizeof(int)));
  STATIC_CHECK(cmsg::space(control_flags::hop_limit) == CMSG_SPACE(sizeof(int)));
  STATIC_CHECK(cmsg::space(control_flags::destination) == CMSG_SPACE(sizeof(in6_pktinfo)));
  STATIC_CHECK(cmsg::space(interface) == CMSG_SPACE(sizeof(in6_pktinfo)));
  STATIC_CHECK(cmsg::space(interface | control_flags::destination) == CMSG_SPACE(sizeof(in6_pktinfo)));
  STATIC_CHECK(cmsg::space(control_flags::timestamp) == CMSG_SPACE(sizeof(timespec)));
  STATIC_CHECK(cmsg::space(path_mtu) == CMSG_SPACE(sizeof(ip6_mtuinfo)));
  STATIC_CHECK(cmsg::space(~none) == 2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo)) +
                                         CMSG_SPACE(sizeof(ip6_mtuinfo)) + CMSG_SPACE(sizeof(timespec)));
  for (std::size_t size = 0; size < 64; ++size) CHECK(cmsg::space(size) == CMSG_SPACE(size));
}

}  // namespace
}  // namespace uring6
