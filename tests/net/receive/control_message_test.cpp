// Control messages against the kernel: the peer's decode reads the fields that encode wrote.
#include <poll.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/control_message.hpp"

namespace uring6 {
namespace {

constexpr control_flags everything =
    control_flags::traffic_class | control_flags::hop_limit | control_flags::destination | control_flags::interface;
constexpr ip_address v4_loopback = ip_address::v4_mapped({127, 0, 0, 1});

struct arrival {
  control_message control;
  endpoint source;
  bool control_truncated;
};

/// A dual-stack UDP socket on a port that the kernel chose, which asks for all control messages of both families.
class udp_socket {
 public:
  udp_socket() : fd_(or_throw(open_socket(AF_INET6, SOCK_DGRAM))) {
    or_throw(set_option(fd_.get(), option::only_v6, false));
    or_throw(bind_socket(fd_.get(), endpoint{}));
    for (const option id : {option::receive_packet_info, option::receive_traffic_class, option::receive_hop_limit,
                            option::receive_v4_traffic_class, option::receive_v4_hop_limit}) {
      or_throw(set_option(fd_.get(), id, true));
    }
  }

  int fd() const { return fd_.get(); }

  endpoint at(const ip_address& address) const { return {address, or_throw(local_endpoint(fd_.get())).port}; }

  result<void> send(const endpoint& to, const control_message& control, std::size_t length = 1) {
    std::array<std::byte, cmsg::max_encoded_size> area;
    const auto written = cmsg::encode(control, area, family_of(to.address));
    if (!written) return fail(written.error());
    std::vector<std::byte> payload(length);
    iovec data{payload.data(), payload.size()};
    sockaddr_in6 name = to.to_sockaddr();
    msghdr message{};
    message.msg_name = &name;
    message.msg_namelen = sizeof name;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = area.data();
    message.msg_controllen = *written;
    if (::sendmsg(fd_.get(), &message, 0) < 0) return fail_errno(errno);
    return {};
  }

  arrival receive(std::size_t control_size = cmsg::space(everything)) {
    pollfd readable{fd_.get(), POLLIN, 0};
    REQUIRE(::poll(&readable, 1, 5000) == 1);
    return receive_now(control_size);
  }

  arrival receive_now(std::size_t control_size) {
    std::array<std::byte, 1> payload{};
    iovec data{payload.data(), payload.size()};
    std::vector<std::byte> area(control_size);
    sockaddr_in6 name{};
    msghdr message{};
    message.msg_name = &name;
    message.msg_namelen = sizeof name;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = area.data();
    message.msg_controllen = area.size();
    REQUIRE(::recvmsg(fd_.get(), &message, MSG_DONTWAIT) >= 0);
    const auto control = cmsg::decode(std::span(area).first(message.msg_controllen));
    REQUIRE(control);
    return {*control, endpoint::from_sockaddr(name), (message.msg_flags & MSG_CTRUNC) != 0};
  }

 private:
  file_descriptor fd_;
};

TEST_CASE("every_field_arrives_at_an_ipv6_peer_as_it_was_sent") {
  udp_socket sender;
  udp_socket receiver;
  const control_message sent{.traffic_class = GENERATE(0, 0x28, 0xb8, 255),
                             .hop_limit = GENERATE(0, 1, 64, 255),
                             .source = ip_address::loopback()};
  REQUIRE(sender.send(receiver.at(ip_address::loopback()), sent));
  const arrival got = receiver.receive();
  CHECK(got.control.traffic_class == sent.traffic_class);
  CHECK(got.control.hop_limit == sent.hop_limit);
  CHECK(got.control.destination == ip_address::loopback());
  CHECK(got.source == sender.at(ip_address::loopback()));
  CHECK_FALSE(got.control_truncated);
}

TEST_CASE("every_field_arrives_at_an_ipv4_peer_as_it_was_sent") {
  udp_socket sender;
  udp_socket receiver;
  const ip_address source = ip_address::v4_mapped({127, 0, 0, 5});
  const control_message sent{
      .traffic_class = GENERATE(0, 0x28, 0xb8, 255), .hop_limit = GENERATE(1, 64, 255), .source = source};
  REQUIRE(sender.send(receiver.at(v4_loopback), sent));
  const arrival got = receiver.receive();
  CHECK(got.control.traffic_class == sent.traffic_class);
  CHECK(got.control.hop_limit == sent.hop_limit);
  CHECK(got.control.destination == v4_loopback);
  CHECK(got.source == sender.at(source));
  CHECK_FALSE(got.control_truncated);
}

TEST_CASE("the_interface_is_obeyed_by_either_family") {
  udp_socket sender;
  udp_socket receiver;
  const ip_address to = GENERATE(ip_address::loopback(), v4_loopback);
  REQUIRE(sender.send(receiver.at(to), {}));
  const auto loopback_interface = receiver.receive().control.interface_index;
  REQUIRE(loopback_interface);
  REQUIRE(sender.send(receiver.at(to), {.interface_index = loopback_interface}));
  CHECK(receiver.receive().control.interface_index == loopback_interface);
  CHECK(sender.send(receiver.at(to), {.interface_index = 2147483647}).error() == std::errc::no_such_device);
}

TEST_CASE("a_reply_comes_from_the_address_that_was_asked_where_the_kernel_would_choose_another") {
  udp_socket client;
  udp_socket server;
  const endpoint asked = server.at(ip_address::v4_mapped({127, 0, 0, 9}));
  REQUIRE(client.send(asked, {}));
  const arrival question = server.receive();
  REQUIRE(server.send(question.source, {}));
  CHECK(client.receive().source != asked);
  REQUIRE(server.send(question.source, question.control.reply()));
  CHECK(client.receive().source == asked);
}

TEST_CASE("a_reply_to_ipv6_is_accepted_by_the_kernel") {
  udp_socket client;
  udp_socket server;
  const endpoint asked = server.at(ip_address::loopback());
  REQUIRE(client.send(asked, {}));
  const arrival question = server.receive();
  REQUIRE(server.send(question.source, question.control.reply()));
  CHECK(client.receive().source == asked);
}

TEST_CASE("control_space_is_just_enough_for_either_family") {
  udp_socket sender;
  udp_socket receiver;
  const ip_address to = GENERATE(ip_address::loopback(), v4_loopback);
  REQUIRE(sender.send(receiver.at(to), {}));
  CHECK_FALSE(receiver.receive(cmsg::space(everything)).control_truncated);
  REQUIRE(sender.send(receiver.at(to), {}));
  CHECK(receiver.receive(cmsg::space(everything) - 8).control_truncated);
}

TEST_CASE("whatever_room_the_kernel_has_it_cuts_no_value_in_two") {
  udp_socket sender;
  udp_socket receiver;
  const ip_address to = GENERATE(ip_address::loopback(), v4_loopback);
  const control_message sent{.traffic_class = 0x28, .hop_limit = 9};
  for (std::size_t room = 0; room <= cmsg::space(everything); ++room) {
    CAPTURE(room);
    REQUIRE(sender.send(receiver.at(to), sent));
    const control_message got = receiver.receive(room).control;
    CHECK(got.traffic_class.value_or(0x28) == 0x28);
    CHECK(got.hop_limit.value_or(9) == 9);
    CHECK(got.destination.value_or(to) == to);
    CHECK(got.destination.has_value() == (room >= CMSG_LEN(sizeof(in6_pktinfo))));
  }
}

TEST_CASE("a_path_mtu_event_fits_its_space_and_says_the_mtu") {
  udp_socket sender;
  or_throw(set_option(sender.fd(), option::dont_fragment, true));
  or_throw(set_option(sender.fd(), option::receive_path_mtu, true));
  udp_socket receiver;
  // More than the 65,536 octets of the loopback interface, with the headers.
  constexpr std::size_t too_long = 65520;
  CHECK(sender.send(receiver.at(ip_address::loopback()), {}, too_long).error() == std::errc::message_size);
  // The event waits for the next recvmsg, but does not make the socket readable.
  const arrival got = sender.receive_now(cmsg::space(control_flags::path_mtu));
  CHECK_FALSE(got.control_truncated);
  CHECK(got.control.destination == ip_address::loopback());
  CHECK(got.control.path_mtu == 65536U);
}

}  // namespace
}  // namespace uring6
