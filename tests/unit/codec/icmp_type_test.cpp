#include "uring6/icmp/type.hpp"

#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "uring6/icmp/format.hpp"

using uring6::icmp_type;

TEST_CASE("icmp_type has the numbers and the names of Go's registry") {
  const std::vector<std::pair<int, std::string>> registry{
      {1, "destination unreachable"},
      {2, "packet too big"},
      {3, "time exceeded"},
      {4, "parameter problem"},
      {128, "echo request"},
      {129, "echo reply"},
      {130, "multicast listener query"},
      {131, "multicast listener report"},
      {132, "multicast listener done"},
      {133, "router solicitation"},
      {134, "router advertisement"},
      {135, "neighbor solicitation"},
      {136, "neighbor advertisement"},
      {137, "redirect message"},
      {138, "router renumbering"},
      {139, "icmp node information query"},
      {140, "icmp node information response"},
      {141, "inverse neighbor discovery solicitation message"},
      {142, "inverse neighbor discovery advertisement message"},
      {143, "version 2 multicast listener report"},
      {144, "home agent address discovery request message"},
      {145, "home agent address discovery reply message"},
      {146, "mobile prefix solicitation"},
      {147, "mobile prefix advertisement"},
      {148, "certification path solicitation message"},
      {149, "certification path advertisement message"},
      {151, "multicast router advertisement"},
      {152, "multicast router solicitation"},
      {153, "multicast router termination"},
      {154, "fmipv6 messages"},
      {155, "rpl control message"},
      {156, "ilnpv6 locator update message"},
      {157, "duplicate address request"},
      {158, "duplicate address confirmation"},
      {159, "mpl control message"},
      {160, "extended echo request"},
      {161, "extended echo reply"},
  };
  for (const auto& [number, name] : registry) CHECK(to_string(static_cast<icmp_type>(number)) == name);
  CHECK(icmp_type::destination_unreachable == static_cast<icmp_type>(1));
  CHECK(icmp_type::version2_multicast_listener_report == static_cast<icmp_type>(143));
  CHECK(icmp_type::mpl_control == static_cast<icmp_type>(159));
}

TEST_CASE("icmp_type without a name is empty text and prints as its number") {
  CHECK(to_string(static_cast<icmp_type>(42)).empty());
  CHECK(fmt::format("{}", static_cast<icmp_type>(42)) == "42");
  CHECK(fmt::format("{:<14}|", icmp_type::echo_request) == "echo request  |");
}

TEST_CASE("the first bit of an icmp_type tells errors from the rest") {
  CHECK(is_error(icmp_type::destination_unreachable));
  CHECK(is_error(static_cast<icmp_type>(127)));
  CHECK_FALSE(is_error(icmp_type::echo_request));
}
