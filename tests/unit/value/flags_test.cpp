// The operators that all flag enums share.

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <utility>

#include "uring6/uring6.hpp"

namespace {

using namespace uring6;

/// The smallest and the largest flag of an enum, and one between them.
template <class Flags>
struct three;
template <>
struct three<control_flags> {
  static constexpr auto low = control_flags::traffic_class, middle = control_flags::source;
  static constexpr auto high = control_flags::timestamp;
};
template <>
struct three<poll_events> {
  static constexpr auto low = poll_events::readable, middle = poll_events::hung_up, high = poll_events::peer_closed;
};
template <>
struct three<interface_flags> {
  static constexpr auto low = interface_flags::up, middle = interface_flags::running;
  static constexpr auto high = interface_flags::multicast;
};
template <>
struct three<address_flags> {
  static constexpr auto low = address_flags::temporary, middle = address_flags::tentative;
  static constexpr auto high = address_flags::stable_privacy;
};

TEMPLATE_TEST_CASE("all flag enums have the same operators", "", control_flags, poll_events, interface_flags,
                   address_flags) {
  using bits = std::underlying_type_t<TestType>;
  constexpr auto low = three<TestType>::low;
  constexpr auto middle = three<TestType>::middle;
  constexpr auto high = three<TestType>::high;
  STATIC_CHECK(static_cast<bits>(low | high) == (static_cast<bits>(low) | static_cast<bits>(high)));
  STATIC_CHECK(((low | middle) & (middle | high)) == middle);
  STATIC_CHECK(((low | middle) ^ (middle | high)) == (low | high));
  STATIC_CHECK(((low | middle | high) & ~middle) == (low | high));
  STATIC_CHECK(static_cast<bits>(~TestType::none) == static_cast<bits>(~bits{0}));

  TestType flags = low;
  flags |= high;
  CHECK(flags == (low | high));
  flags &= ~low;
  CHECK(flags == high);
  flags ^= high | middle;
  CHECK(flags == middle);
}

TEMPLATE_TEST_CASE("has_any and has_all differ for two flags of which one is set, and for none", "", control_flags,
                   poll_events, interface_flags, address_flags) {
  constexpr auto low = three<TestType>::low;
  constexpr auto middle = three<TestType>::middle;
  constexpr auto high = three<TestType>::high;
  STATIC_CHECK(has_any(low | middle, middle | high));
  STATIC_CHECK_FALSE(has_all(low | middle, middle | high));
  STATIC_CHECK(has_all(low | middle | high, middle | high));
  STATIC_CHECK_FALSE(has_any(low, middle | high));
  STATIC_CHECK_FALSE(has_any(low, TestType::none));
  STATIC_CHECK(has_all(low, TestType::none));
}

TEST_CASE("the flags of eight bits stay in eight bits") {
  STATIC_CHECK(has_any(read_flags::none | read_flags::dont_wait, read_flags::dont_wait));
  STATIC_CHECK((~write_flags::dont_wait & write_flags::dont_wait) == write_flags::none);
  STATIC_CHECK(static_cast<std::uint8_t>(~read_flags::none) == 255);
}

template <class Enum>
concept can_be_joined = requires(Enum a) {
  a | a;
};

TEST_CASE("an enum that is no set of flags has no such operators") {
  STATIC_CHECK(can_be_joined<control_flags>);
  STATIC_CHECK_FALSE(can_be_joined<errc>);
  STATIC_CHECK_FALSE(can_be_joined<steering>);
  STATIC_CHECK_FALSE(can_be_joined<stream_half>);
  STATIC_CHECK_FALSE(can_be_joined<icmp_type>);
}

}  // namespace
