#include "uring6/resolve.hpp"

#include <net/if.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/machine/private_files.hpp"
#include "support/machine/user_namespace.hpp"
#include "support/process/forked.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using family = resolve_options::family;

TEST_CASE("resolve: addresses of any kind, with ports by number and by name", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto v6 = co_await resolve("2001:db8::1", "443");
    REQUIRE(v6.has_value());
    REQUIRE(v6->size() == 1);
    CHECK(v6->front().to_string() == "[2001:db8::1]:443");
    const auto v4 = co_await resolve("192.0.2.1", "80");
    REQUIRE(v4.has_value());
    REQUIRE(v4->size() == 1);
    CHECK(v4->front().to_string() == "[::ffff:192.0.2.1]:80");
    const auto unnamed = co_await resolve("::1");
    REQUIRE(unnamed.has_value());
    CHECK(unnamed->front().port == 0);
    const auto here = co_await resolve("", "53");
    REQUIRE(here.has_value());
    CHECK(std::all_of(here->begin(), here->end(),
                      [](const endpoint& e) { return e.port == 53 && e.address.is_loopback(); }));
  });
}

TEST_CASE("resolve: the zone is kept, and an unknown zone is an error", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto scoped = co_await resolve("fe80::1%lo", "53");
    REQUIRE(scoped.has_value());
    CHECK(scoped->front().address.zone() == ::if_nametoindex("lo"));
    const auto unknown = co_await resolve("fe80::1%nosuch0", "53");
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error() == errc::unknown_zone);
  });
}

// The C library accepts no zone in the hosts file (its inet_pton knows none) and skips the line. resolve reports that
// and never loses a zone: a name gives an address with its zone, or an error.
TEST_CASE("resolve: a line of the hosts file with a zone gives no address, the lines beside it do") {
  if (const std::string how = user_namespace_outcome(); how != "privileged" && how != "in a user namespace") {
    SKIP("no mount namespace: " + how);
  }
  if (!can_have_private_files()) SKIP(no_private_files);
  const std::string outcome = in_child([] {
    use_hosts("fe80::1%lo scoped\nfe80::2 unscoped scoped-too\nfe80::3%lo scoped-too\n");
    const auto ask = [](const char* name) {
      const auto found = detail::resolve_call{name, "7", {}}();
      if (!found) return found.error().message() + '\n';
      std::string all;
      for (const endpoint& each : *found) all += each.to_string() + ' ';
      return all + '\n';
    };
    return ask("unscoped") + ask("scoped") + ask("scoped-too") + ask("fe80::1%lo");
  });
  CHECK(outcome ==
        "[fe80::2]:7 \n"
        "no such host name or service\n"
        "[fe80::2]:7 \n"
        "[fe80::1%lo]:7 \n");
}

TEST_CASE("resolve: a name gives each endpoint once, of the requested family", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    resolve_options only_v4;
    only_v4.addresses = family::v4;
    const auto found = co_await resolve("localhost", "7", only_v4);
    REQUIRE(found.has_value());
    CHECK(found->size() == 1);
    CHECK(found->front().to_string() == "[::ffff:127.0.0.1]:7");
  });
}

TEST_CASE("resolve: a failure gives its reason", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    resolve_options numeric;
    numeric.numeric_only = true;
    const auto name = co_await resolve("localhost", "7", numeric);
    REQUIRE_FALSE(name.has_value());
    CHECK(name.error() == resolve_errc::not_found);
    CHECK(name.error().message() == "no such host name or service");
    CHECK(std::string(name.error().category().name()) == "uring6::resolve");

    const auto service = co_await resolve("::1", "no-such-service-at-all");
    REQUIRE_FALSE(service.has_value());
    CHECK(service.error() == resolve_errc::unknown_service);

    using namespace std::string_view_literals;
    const auto cut = co_await resolve("::1\0.example"sv, "7");
    REQUIRE_FALSE(cut.has_value());
    CHECK(cut.error() == resolve_errc::not_found);

    resolve_options only_v4;
    only_v4.addresses = family::v4;
    const auto other = co_await resolve("::1", "7", only_v4);
    REQUIRE_FALSE(other.has_value());
    CHECK(other.error() == std::errc::address_family_not_supported);
  });
  CHECK(make_error_code(resolve_errc::try_again) == std::errc::resource_unavailable_try_again);
  CHECK(make_error_code(resolve_errc::out_of_memory) == std::errc::not_enough_memory);
}

TEST_CASE("resolve: a number is an address only if ip_address::parse takes it", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool numeric_only : {true, false}) {
      resolve_options options;
      options.numeric_only = numeric_only;
      for (const char* text :
           {"0177.0.0.1", "127.1", "0x7f000001", "2130706433", "127.0.1", "0x7f.0.0.1", "1", "08.1.1"}) {
        CAPTURE(text, numeric_only);
        if (std::string_view(text) == "08.1.1" && !numeric_only) continue;  // a name, which would be asked of servers
        const auto found = co_await resolve(text, "7", options);
        REQUIRE_FALSE(found.has_value());
        CHECK(found.error() == resolve_errc::not_found);
      }
      for (const char* text : {"127.0.0.1", "::1", "fe80::1%lo", "::ffff:127.0.0.1"}) {
        CAPTURE(text, numeric_only);
        const auto found = co_await resolve(text, "7", options);
        REQUIRE(found.has_value());
        CHECK(found->front() == endpoint{or_throw(ip_address::parse(text)), 7});
      }
      const auto zone = co_await resolve("fe80::1%nosuch0", "7", options);
      CHECK(zone.error() == errc::unknown_zone);
      const auto here = co_await resolve("", "7", options);
      CHECK(here.has_value());
    }
  });
}

TEST_CASE("resolve: a wait for a name can be stopped at any time", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (int i = 0; i < 50; ++i) {
      const auto found = co_await with_timeout(std::chrono::microseconds(i * 10), resolve("localhost", "7"));
      if (!found) CHECK(found.error() == errc::deadline_exceeded);
    }
  });
}

}  // namespace
