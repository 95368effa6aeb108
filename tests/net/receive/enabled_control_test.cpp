// The control messages that a conn reports as enabled.
#include <array>
#include <catch2/catch_test_macros.hpp>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a control flag that does not exist is refused, and nothing is changed") {
  event_loop loop;
  packet_conn at = open_conn(loop);
  or_throw(at.set_control_message(control_flags::hop_limit, true));
  for (const auto unknown : {control_flags{128}, control_flags{0x8000'0000}, ~all_control_flags}) {
    for (const bool on : {true, false}) {
      const auto set = at.set_control_message(control_flags::traffic_class | control_flags::hop_limit | unknown, on);
      REQUIRE_FALSE(set);
      CHECK(set.error() == std::errc::invalid_argument);
    }
  }
  CHECK(at.enabled_control() == control_flags::hop_limit);
  CHECK(get_option(at.native_handle(), option::receive_traffic_class) == 0);
}

TEST_CASE("the control flags that are on are those that were asked for") {
  event_loop loop;
  packet_conn at = open_conn(loop);
  CHECK(at.enabled_control() == control_flags::none);
  or_throw(at.set_control_message(control_flags::destination | control_flags::source, true));
  CHECK(at.enabled_control() == (control_flags::destination | control_flags::source));
  or_throw(at.set_control_message(all_control_flags, true));
  CHECK(at.enabled_control() == all_control_flags);
  or_throw(at.set_control_message(control_flags::destination, false));
  CHECK(at.enabled_control() == (all_control_flags & ~control_flags::destination));
  or_throw(at.close());
  CHECK(at.enabled_control().error() == errc::closed);
}

TEST_CASE("an adopted conn knows the control messages that its socket was asked for, and turns them off") {
  event_loop loop;
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
  or_throw(set_option(fd.get(), option::receive_hop_limit, 1));
  or_throw(set_option(fd.get(), option::receive_packet_info, 1));
  packet_conn at = or_throw(adopt_packet(loop, fd.release()));
  CHECK(at.enabled_control() == (control_flags::hop_limit | control_flags::destination | control_flags::interface));
  or_throw(at.set_control_message(control_flags::hop_limit | control_flags::interface, false));
  CHECK(at.enabled_control() == control_flags::destination);
  run(loop, [&]() -> task<> {
    const auto sent = co_await at.write_to(as_payload("self"), name_of(at));
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK_FALSE(got->control.hop_limit);
    CHECK(got->control.destination == ip_address::loopback());
  });
}

}  // namespace
