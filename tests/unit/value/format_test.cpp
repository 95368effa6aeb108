#include "uring6/format.hpp"

// Both headers have formatters of their own, which must not clash with ours.
#include <fmt/ranges.h>
#include <fmt/std.h>

#include <catch2/catch_test_macros.hpp>
#include <vector>

namespace uring6 {
namespace {

TEST_CASE("formats_addresses_as_their_text") {
  CHECK(fmt::format("{}", ip_address::loopback()) == "::1");
  CHECK(fmt::format("{}", ip_address::v4_mapped({192, 0, 2, 1})) == "::ffff:192.0.2.1");
  CHECK(fmt::format("{}", ip_address::all_nodes().with_zone(4000000000)) == "ff02::1%4000000000");
}

TEST_CASE("formats_endpoints_as_their_text") {
  CHECK(fmt::format("{}", endpoint{ip_address::loopback(), 53}) == "[::1]:53");
}

TEST_CASE("formats_control_flags_by_name") {
  CHECK(fmt::format("{}", control_flags::none) == "none");
  CHECK(fmt::format("{}", control_flags::hop_limit) == "hop_limit");
  constexpr control_flags all = control_flags::traffic_class | control_flags::hop_limit | control_flags::source |
                                control_flags::destination | control_flags::interface | control_flags::path_mtu |
                                control_flags::timestamp;
  CHECK(fmt::format("{}", all) == "traffic_class|hop_limit|source|destination|interface|path_mtu|timestamp");
  CHECK(fmt::format("{}", control_flags::source | static_cast<control_flags>(0x300)) == "source|0x300");
}

TEST_CASE("formats_the_fields_of_a_control_message_that_are_given") {
  using namespace std::chrono;
  control_message message;
  CHECK(fmt::format("{}", message) == "none");
  message.hop_limit = 0;
  CHECK(fmt::format("{}", message) == "hoplim=0");
  message = {.traffic_class = 0x28,
             .hop_limit = 64,
             .interface_index = 2,
             .path_mtu = 1280,
             .source = ip_address::loopback(),
             .destination = ip_address::all_nodes(),
             .next_hop = ip_address::all_routers(),
             .received_at = sys_time<nanoseconds>(nanoseconds(1'700'000'000'000'000'042))};
  CHECK(fmt::format("{}", message) ==
        "tclass=0x28 hoplim=64 src=::1 dst=ff02::1 ifindex=2 nexthop=ff02::2 mtu=1280 time=1700000000.000000042");
}

TEST_CASE("values_take_the_width_and_alignment_of_a_string") {
  CHECK(fmt::format("[{:>6}]", ip_address::loopback()) == "[   ::1]");
  CHECK(fmt::format("[{:<10}]", endpoint{ip_address::any(), 1}) == "[[::]:1    ]");
  CHECK(fmt::format("[{:*^8}]", control_flags::none) == "[**none**]");
  CHECK(fmt::format("[{:.4}]", control_message{.hop_limit = 1}) == "[hopl]");
}

TEST_CASE("values_format_inside_a_range") {
  CHECK(fmt::format("{}", std::vector{ip_address::any(), ip_address::loopback()}) == "[::, ::1]");
}

}  // namespace
}  // namespace uring6
