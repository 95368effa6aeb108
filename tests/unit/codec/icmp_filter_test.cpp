#include "uring6/icmp/filter.hpp"

#include <netinet/icmp6.h>

#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cstring>

using uring6::icmp_filter;
using uring6::icmp_type;

namespace {

icmp_type type(unsigned number) {
  return static_cast<icmp_type>(number);
}

}  // namespace

TEST_CASE("icmp_filter accepts every type by default") {
  const icmp_filter filter;
  for (unsigned number = 0; number < 256; ++number) CHECK_FALSE(filter.will_block(type(number)));
}

TEST_CASE("icmp_filter blocks and accepts exactly the type it is given") {
  for (unsigned chosen = 0; chosen < 256; ++chosen) {
    icmp_filter blocking;
    blocking.block(type(chosen));
    icmp_filter accepting;
    accepting.set_all(true);
    accepting.accept(type(chosen));
    for (unsigned number = 0; number < 256; ++number) {
      REQUIRE(blocking.will_block(type(number)) == (number == chosen));
      REQUIRE(accepting.will_block(type(number)) == (number != chosen));
    }
    blocking.accept(type(chosen));
    REQUIRE(blocking == icmp_filter());
  }
}

TEST_CASE("icmp_filter resets all types") {
  icmp_filter filter;
  filter.block(icmp_type::echo_reply);
  filter.set_all(false);
  CHECK(filter == icmp_filter());
}

TEST_CASE("icmp_filter has the layout of the C library's icmp6_filter") {
  static_assert(sizeof(icmp_filter) == sizeof(icmp6_filter));
  icmp_filter ours;
  icmp6_filter theirs;
  ICMP6_FILTER_SETPASSALL(&theirs);
  for (const unsigned number : {0U, 1U, 31U, 32U, 128U, 143U, 255U}) {
    ours.block(type(number));
    ICMP6_FILTER_SETBLOCK(number, &theirs);
  }
  CHECK(std::memcmp(&ours, &theirs, sizeof ours) == 0);
}
