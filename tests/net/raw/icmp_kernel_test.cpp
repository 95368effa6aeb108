// The ICMPv6 codec against the kernel: the codec decodes the kernel's messages, and the kernel accepts the codec's.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <optional>
#include <span>
#include <system_error>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/packet_capture.hpp"
#include "sys/multicast/membership.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp.hpp"

namespace {

using namespace std::chrono_literals;
using namespace uring6;
using uring6::test::bytes;
using uring6::test::counting;
using uring6::test::eventually;
using uring6::test::network_namespace;
using uring6::test::packet_capture;
using uring6::test::veth_end;
using uring6::test::veth_pair;

const ip_address loopback = ip_address::loopback();

void require(bool succeeded, const char* what) {
  if (!succeeded) throw std::system_error(errno, std::system_category(), what);
}

class raw_socket {
 public:
  explicit raw_socket(int protocol) : fd_(or_throw(open_socket(AF_INET6, SOCK_RAW, protocol))) {}

  template <class T>
  void set(int level, int option, const T& value) const {
    require(::setsockopt(fd_.get(), level, option, &value, sizeof value) == 0, "setsockopt");
  }

  void send(std::span<const std::byte> packet, const ip_address& destination) const {
    const sockaddr_in6 to = endpoint{destination, 0}.to_sockaddr();
    const auto sent =
        ::sendto(fd_.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    require(sent == static_cast<ssize_t>(packet.size()), "sendto");
  }

  // Returns the next message; the test fails if none comes.
  bytes receive() const {
    pollfd readable{fd_.get(), POLLIN, 0};
    require(::poll(&readable, 1, 10000) == 1, "no message");
    bytes packet(65536);
    const auto size = ::recv(fd_.get(), packet.data(), packet.size(), 0);
    require(size >= 0, "recv");
    packet.resize(static_cast<std::size_t>(size));
    return packet;
  }

  int fd() const { return fd_.get(); }

 private:
  file_descriptor fd_;
};

bytes encoded(const icmp::message_body& body) {
  bytes area(65536);
  area.resize(or_throw(icmp::encode(body, area)));
  return area;
}

bytes encoded(const icmp::message_body& body, const ip_address& source, const ip_address& destination) {
  bytes area(65536);
  area.resize(or_throw(icmp::encode(body, area, source, destination)));
  return area;
}

// An IPv6 packet from ::1 to ::1.
bytes packet(ip_protocol next, std::span<const std::byte> payload) {
  const ipv6_header fixed{.payload_length = static_cast<std::uint16_t>(payload.size()),
                          .next_header = next,
                          .hop_limit = 64,
                          .source = loopback,
                          .destination = loopback};
  bytes front(ipv6_header::size);
  or_throw(fixed.encode(front));
  return test::join({front, payload});
}

template <class Body>
const Body* body_of(const result<icmp::message>& message) {
  return message ? std::get_if<Body>(&message->body) : nullptr;
}

TEST_CASE("the kernel fills in the checksum that encode computes") {
  const network_namespace space;
  const auto inside = space.enter();
  const raw_socket socket(IPPROTO_ICMPV6);
  for (const std::size_t size : {0U, 1U, 2U, 3U, 56U, 1001U, 60000U}) {
    INFO("data of " << size);
    const bytes data = counting(size, 3);
    const icmp::echo_request request{.identifier = 0x1234, .sequence = 1, .data = data};
    socket.send(encoded(request), loopback);
    // The raw socket reads its own request first, then the kernel's reply.
    CHECK(socket.receive() == encoded(request, loopback, loopback));
    const icmp::echo_reply reply{.identifier = 0x1234, .sequence = 1, .data = data};
    CHECK(socket.receive() == encoded(reply, loopback, loopback));
  }
}

TEST_CASE("the kernel answers a packet written by header and encode, and drops one with a wrong checksum") {
  const network_namespace space;
  const auto inside = space.enter();
  const raw_socket sender(IPPROTO_RAW);  // Takes packets with their IPv6 header.
  const raw_socket receiver(IPPROTO_ICMPV6);
  icmp_filter filter;
  filter.set_all(true);
  filter.accept(icmp_type::echo_reply);
  receiver.set(IPPROTO_ICMPV6, ICMP6_FILTER, filter);

  bytes wrong = encoded(icmp::echo_request{.identifier = 1, .sequence = 1}, loopback, loopback);
  wrong[2] ^= std::byte{0x01};
  sender.send(packet(ip_protocol::icmpv6, wrong), loopback);
  const bytes right = encoded(icmp::echo_request{.identifier = 1, .sequence = 2}, loopback, loopback);
  sender.send(packet(ip_protocol::icmpv6, right), loopback);

  const bytes answer = receiver.receive();
  const auto message = icmp::parse(answer, loopback, loopback);
  const auto* reply = body_of<icmp::echo_reply>(message);
  REQUIRE(reply);
  CHECK(reply->sequence == 2);
}

TEST_CASE("the kernel takes icmp_filter as its own") {
  const network_namespace space;
  const auto inside = space.enter();
  const raw_socket socket(IPPROTO_ICMPV6);
  icmp_filter filter;
  filter.block(icmp_type::echo_request);
  socket.set(IPPROTO_ICMPV6, ICMP6_FILTER, filter);
  icmp_filter read_back;
  read_back.set_all(true);
  socklen_t length = sizeof read_back;
  REQUIRE(::getsockopt(socket.fd(), IPPROTO_ICMPV6, ICMP6_FILTER, &read_back, &length) == 0);
  CHECK(read_back == filter);

  socket.send(encoded(icmp::echo_request{.identifier = 1}), loopback);
  const bytes first = socket.receive();
  CHECK(or_throw(icmp::parse(first)).type == icmp_type::echo_reply);
}

TEST_CASE("a port unreachable from the kernel quotes the datagram that caused it") {
  const network_namespace space;
  const auto inside = space.enter();
  const raw_socket icmp_socket(IPPROTO_ICMPV6);
  const auto udp = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const sockaddr_in6 nobody = endpoint{loopback, 9}.to_sockaddr();
  const bytes payload = counting(20);
  require(::sendto(udp.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&nobody),
                   sizeof nobody) == 20,
          "sendto");

  const bytes error = icmp_socket.receive();
  const auto message = icmp::parse(error, loopback, loopback);
  const auto* unreachable = body_of<icmp::destination_unreachable>(message);
  REQUIRE(unreachable);
  CHECK(unreachable->code == icmp::unreachable_code::port_unreachable);
  CHECK(unreachable->extensions.empty());
  const auto quoted = or_throw(ipv6_header::parse(unreachable->data));
  CHECK(quoted.source == loopback);
  CHECK(quoted.destination == loopback);
  const auto upper = or_throw(find_upper_layer(unreachable->data));
  CHECK(upper.protocol == ip_protocol::udp);
  CHECK(upper.payload.size() == 8 + payload.size());
}

TEST_CASE("a parameter problem from the kernel points where header_walk ends") {
  const network_namespace space;
  const auto inside = space.enter();
  const raw_socket sender(IPPROTO_RAW);
  const raw_socket receiver(IPPROTO_ICMPV6);
  // Destination options, then an unassigned protocol.
  const bytes odd = packet(ip_protocol::destination_options, test::from_hex("c800 0104 0000 0000 cafe"));
  sender.send(odd, loopback);

  const bytes error = receiver.receive();
  const auto message = icmp::parse(error, loopback, loopback);
  const auto* problem = body_of<icmp::parameter_problem>(message);
  REQUIRE(problem);
  CHECK(problem->code == icmp::parameter_problem_code::unrecognized_next_header);
  CHECK(std::ranges::equal(problem->data, odd));
  const auto upper = or_throw(find_upper_layer(problem->data));
  CHECK(upper.protocol == static_cast<ip_protocol>(200));
  // The pointer names the field that holds the protocol's number: the next-header field of the header before.
  CHECK(problem->pointer == upper.offset - 8);
}

// --- between two hosts

// The ICMPv6 message and addresses of a captured packet, if it is ICMPv6 with a right checksum.
struct captured {
  ipv6_header fixed;
  icmp::message message;
};

std::optional<captured> read(const test::packet& packet) {
  const auto all = std::as_bytes(std::span(packet));
  const auto upper = find_upper_layer(all);
  if (!upper || upper->protocol != ip_protocol::icmpv6) return std::nullopt;
  const auto fixed = or_throw(ipv6_header::parse(all));
  const auto message = icmp::parse(upper->payload, fixed.source, fixed.destination);
  if (!message) return std::nullopt;
  return captured{fixed, *message};
}

TEST_CASE("the kernel's neighbor solicitation and advertisement are read") {
  veth_pair cable;
  packet_capture to_far(cable.far);
  packet_capture to_near(cable.near);
  const auto inside = cable.near.space.enter();
  const raw_socket socket(IPPROTO_ICMPV6);
  socket.send(encoded(icmp::echo_request{}), cable.far.address);

  const auto mac_of = [](const veth_end& end) { return std::as_bytes(std::span(end.link.hardware_address)); };
  const auto solicitation = to_far.find([&](const test::packet& p) {
    const auto got = read(p);
    if (!got) return false;
    const auto* body = std::get_if<icmp::neighbor_solicitation>(&got->message.body);
    if (!body || body->target != cable.far.address || body->options.empty()) return false;
    CHECK(got->fixed.hop_limit == 255);
    CHECK(got->fixed.destination == cable.far.address.solicited_node());
    const auto option = *body->options.begin();
    return std::ranges::equal(std::get<icmp::source_link_layer_address>(option).address, mac_of(cable.near));
  });
  CHECK(solicitation);
  const auto advertisement = to_near.find([&](const test::packet& p) {
    const auto got = read(p);
    if (!got) return false;
    const auto* body = std::get_if<icmp::neighbor_advertisement>(&got->message.body);
    if (!body || body->target != cable.far.address || !body->solicited || body->options.empty()) return false;
    const auto option = *body->options.begin();
    return std::ranges::equal(std::get<icmp::target_link_layer_address>(option).address, mac_of(cable.far));
  });
  CHECK(advertisement);
}

TEST_CASE("the kernel configures an address by a router advertisement from encode") {
  veth_pair cable;
  const auto inside = cable.near.space.enter();
  const raw_socket socket(IPPROTO_ICMPV6);
  socket.set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255);
  const auto prefix = or_throw(ip_address::parse("2001:db8:5::"));
  const std::array<icmp::option, 3> options{
      icmp::source_link_layer_address{std::as_bytes(std::span(cable.near.link.hardware_address))}, icmp::link_mtu{1400},
      icmp::prefix_information{.prefix_length = 64,
                               .on_link = true,
                               .autonomous = true,
                               .valid_lifetime = 3600s,
                               .preferred_lifetime = 1800s,
                               .prefix = prefix}};
  const auto everybody = ip_address::all_nodes().with_zone(cable.near.link.index);
  socket.send(encoded(icmp::router_advertisement{.hop_limit = 64, .lifetime = 1800s, .options = options}), everybody);

  const auto configured = [&] {
    const auto addresses = or_throw(cable.far.link.addresses());
    return std::ranges::any_of(addresses, [&](const interface_address& a) {
      return std::ranges::equal(std::span(a.address.bytes()).first(8), std::span(prefix.bytes()).first(8)) &&
             a.prefix_length == 64 && a.valid && *a.valid <= 3600s && *a.valid > 3000s && a.preferred &&
             *a.preferred <= 1800s;
    });
  };
  const auto there = cable.far.space.enter();
  CHECK(eventually(configured));
}

TEST_CASE("the kernel answers an MLDv2 query from encode with a report that is read") {
  veth_pair cable;
  const auto group = or_throw(ip_address::parse("ff05::1234"));
  const auto source = or_throw(ip_address::parse("2001:db8::77"));
  const auto member = cable.far.space.run([] { return or_throw(open_socket(AF_INET6, SOCK_DGRAM)); });
  cable.far.space.run(
      [&] { return or_throw(join_source_specific_group(member.get(), cable.far.link.index, group, source)); });

  packet_capture to_near(cable.near);
  const auto inside = cable.near.space.enter();
  const raw_socket socket(IPPROTO_ICMPV6);
  // RFC 3810, 5: without hop limit 1 and a router alert a host ignores the query.
  socket.set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
  socket.set(IPPROTO_IPV6, IPV6_HOPOPTS, std::array<std::uint8_t, 8>{0, 0, 5, 2, 0, 0, 1, 0});
  const icmp::version2_multicast_listener_query query{.max_response_code = or_throw(icmp::max_response_code(1ms)),
                                                      .robustness = 2};
  socket.send(encoded(query), ip_address::all_nodes().with_zone(cable.near.link.index));

  // A report of the current state, which only a query brings about: the join itself was reported as a change.
  const auto report = to_near.find([&](const test::packet& p) {
    const auto got = read(p);
    if (!got) return false;
    const auto* body = std::get_if<icmp::version2_multicast_listener_report>(&got->message.body);
    if (!body) return false;
    return std::ranges::any_of(body->records, [&](const icmp::listener_record& record) {
      return record.type == icmp::record_type::mode_is_include && record.group == group &&
             std::ranges::equal(record.sources, std::array{source});
    });
  });
  CHECK(report);
}

}  // namespace
