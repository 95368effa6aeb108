// Source filters of memberships: the datagrams that arrive, and those that do not.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <optional>

#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "sys/multicast/membership.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

const ip_address group = or_throw(ip_address::parse("ff05::1234"));
const ip_address other_group = or_throw(ip_address::parse("ff05::5678"));

// A receiver at the near end, and senders at two addresses of the far end.
struct conversation {
  veth_pair cable;
  ip_address first = cable.far.address;
  ip_address second = or_throw(ip_address::parse("2001:db8::3"));
  file_descriptor receiver = cable.near.space.run([] { return or_throw(open_socket(AF_INET6, SOCK_DGRAM)); });
  int fd = receiver.get();
  std::uint32_t index = cable.near.link.index;
  std::uint16_t port = 0;

  conversation() {
    or_throw(bind_socket(fd, {}));
    port = or_throw(local_endpoint(fd)).port;
    cable.far.space.run([this] { add_address(cable.far.link.index, second, 64); });
  }

  void send(const ip_address& from, const ip_address& to) const {
    const file_descriptor sender = cable.far.space.run([] { return or_throw(open_socket(AF_INET6, SOCK_DGRAM)); });
    or_throw(set_option(sender.get(), option::multicast_interface, cable.far.link.index));
    or_throw(bind_socket(sender.get(), {from, 0}));
    or_throw(connect_socket(sender.get(), {to, port}));
    REQUIRE(::send(sender.get(), "x", 1, 0) == 1);
  }

  // Returns the source of the next datagram.
  [[nodiscard]] std::optional<ip_address> receive() const {
    pollfd readable{fd, POLLIN, 0};
    if (::poll(&readable, 1, 10'000) != 1) return std::nullopt;
    sockaddr_in6 name{};
    socklen_t length = sizeof name;
    char byte = 0;
    REQUIRE(::recvfrom(fd, &byte, 1, 0, reinterpret_cast<sockaddr*>(&name), &length) == 1);
    return endpoint::from_sockaddr(name).address;
  }

  // Whether a datagram to the group arrives. A second one behind it always arrives, and nothing overtakes on a cable.
  [[nodiscard]] bool hears(const ip_address& from, const ip_address& to = group) const {
    const ip_address end_mark = cable.far.link_local;
    send(from, to);
    send(end_mark, cable.near.link_local.with_zone(cable.far.link.index));
    const std::optional<ip_address> got = receive();
    REQUIRE(got);
    if (*got == end_mark.with_zone(index)) return false;
    CHECK(*got == from);
    CHECK(receive() == end_mark.with_zone(index));
    return true;
  }
};

TEST_CASE("only members hear a group") {
  const conversation talk;
  CHECK_FALSE(talk.hears(talk.first));
  REQUIRE(join_group(talk.fd, talk.index, group));
  CHECK(talk.hears(talk.first));
  CHECK_FALSE(talk.hears(talk.first, other_group));
  REQUIRE(leave_group(talk.fd, talk.index, group));
  CHECK_FALSE(talk.hears(talk.first));
}

TEST_CASE("an excluded source does not arrive until it is included again") {
  const conversation talk;
  REQUIRE(join_group(talk.fd, talk.index, group));
  REQUIRE(exclude_source_specific_group(talk.fd, talk.index, group, talk.first));
  CHECK_FALSE(talk.hears(talk.first));
  CHECK(talk.hears(talk.second));
  REQUIRE(include_source_specific_group(talk.fd, talk.index, group, talk.first));
  CHECK(talk.hears(talk.first));
}

TEST_CASE("a source-specific member reads its sources and no others") {
  const conversation talk;
  REQUIRE(join_source_specific_group(talk.fd, talk.index, group, talk.first));
  CHECK(talk.hears(talk.first));
  CHECK_FALSE(talk.hears(talk.second));
  REQUIRE(join_source_specific_group(talk.fd, talk.index, group, talk.second));
  CHECK(talk.hears(talk.second));
  REQUIRE(leave_source_specific_group(talk.fd, talk.index, group, talk.first));
  CHECK_FALSE(talk.hears(talk.first));
}

TEST_CASE("without multicast_all a group that only other sockets joined does not arrive") {
  const conversation talk;
  const file_descriptor member = talk.cable.near.space.run([] { return or_throw(open_socket(AF_INET6, SOCK_DGRAM)); });
  REQUIRE(join_group(member.get(), talk.index, group));
  CHECK(talk.hears(talk.first));
  REQUIRE(set_option(talk.fd, option::multicast_all, 0));
  CHECK_FALSE(talk.hears(talk.first));
}

}  // namespace
