// Options that need a privilege or a device, in a namespace that has both.

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <span>
#include <thread>

#include "support/machine/capabilities.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/user_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr int ospf = 89;

TEST_CASE("the checksum of a raw socket is off, on at an even offset, and off again") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_RAW, ospf));
  CHECK(get_option(fd.get(), option::checksum) == -1);
  for (const int offset : {0, 2, 12, 65534}) {
    REQUIRE(set_option(fd.get(), option::checksum, offset));
    CHECK(get_option(fd.get(), option::checksum) == offset);
  }
  CHECK(set_option(fd.get(), option::checksum, 13).error() == std::errc::invalid_argument);
  CHECK(get_option(fd.get(), option::checksum) == 65534);
  REQUIRE(set_option(fd.get(), option::checksum, -1));
  CHECK(get_option(fd.get(), option::checksum) == -1);
}

TEST_CASE("the checksum of ICMPv6 is at offset 2") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  CHECK(get_option(fd.get(), option::checksum) == 2);
  CHECK(set_option(fd.get(), option::checksum, 2));
}

TEST_CASE("the ICMPv6 filter reads back as it was set, on ICMPv6 sockets only") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor icmp = or_throw(open_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  icmp6_filter wanted;
  ICMP6_FILTER_SETBLOCKALL(&wanted);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &wanted);
  REQUIRE(set_option(icmp.get(), option::icmp_filter, std::as_bytes(std::span(&wanted, 1))));
  icmp6_filter found{};
  CHECK(get_option(icmp.get(), option::icmp_filter, std::as_writable_bytes(std::span(&found, 1))) == sizeof found);
  for (int type = 0; type < 256; ++type) {
    CHECK(ICMP6_FILTER_WILLPASS(type, &found) == (type == ICMP6_ECHO_REPLY));
  }
  const std::array<std::byte, 33> longer{};
  CHECK(set_option(icmp.get(), option::icmp_filter, std::span(longer).first(31)).error() == errc::out_of_range);
  CHECK(set_option(icmp.get(), option::icmp_filter, std::span<const std::byte>(longer)).error() == errc::out_of_range);

  const file_descriptor other = or_throw(open_socket(AF_INET6, SOCK_RAW, ospf));
  CHECK(set_option(other.get(), option::icmp_filter, std::as_bytes(std::span(&wanted, 1))).error() ==
        std::errc::operation_not_supported);
}

TEST_CASE("a socket bound to one device takes no other for its multicast") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  REQUIRE(set_bound_device(fd.get(), "near0"));
  CHECK(set_option(fd.get(), option::multicast_interface, loopback_index).error() == std::errc::invalid_argument);
  REQUIRE(set_option(fd.get(), option::multicast_interface, cable.near.link.index));
  CHECK(get_option(fd.get(), option::bind_to_interface) == static_cast<int>(cable.near.link.index));
}

TEST_CASE("an interface that was deleted is no unicast interface") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  REQUIRE(set_option(fd.get(), option::unicast_interface, cable.near.link.index));
  CHECK(get_option(fd.get(), option::unicast_interface) == static_cast<int>(cable.near.link.index));
  delete_link(cable.near.link.index);
  CHECK(set_option(fd.get(), option::unicast_interface, cable.near.link.index).error() ==
        std::errc::address_not_available);
}

TEST_CASE("the path MTU is the device's MTU") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  REQUIRE(connect_socket(fd.get(), {cable.far.address, 9}));
  CHECK(path_mtu(fd.get()) == cable.near.link.mtu);
}

// Larger than any usual net.core.rmem_max and wmem_max.
constexpr int large = 1 << 28;

TEST_CASE("with privilege a buffer may be larger than the limit") {
  if (user_namespace_outcome() != "privileged") SKIP("CAP_NET_ADMIN is needed, outside of user namespaces");
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  CHECK(set_receive_buffer(fd.get(), large) == large);
  CHECK(set_send_buffer(fd.get(), large) == large);
}

TEST_CASE("without privilege a buffer has the limit's size, and the caller gets that size") {
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  result<int> receive = 0;
  result<int> send = 0;
  std::thread([&] {
    drop_capabilities();
    receive = set_receive_buffer(fd.get(), large);
    send = set_send_buffer(fd.get(), large);
  }).join();
  REQUIRE(receive);
  CHECK(*receive > 0);
  CHECK(*receive < large);
  CHECK(get_option(fd.get(), option::receive_buffer) == *receive);
  REQUIRE(send);
  CHECK(*send > 0);
  CHECK(*send < large);
}

}  // namespace
