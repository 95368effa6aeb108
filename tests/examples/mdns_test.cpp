// The multicast DNS responder, octet by octet (RFC 6762): its announcements, its answers, and the questions without an
// answer.
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "examples/plain_socket.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "support/traffic/packet_capture.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/header.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// A responder at the near end of a cable, which has announced its name; the far end captures its packets.
struct mdns_network {
  veth_pair cable;
  packet_capture wire{cable.far};
  network_namespace::visit inside = cable.near.space.enter();
  program responder{{EXAMPLE_MDNS_RESPONDER, cable.near.link.name, "Host.local", "2001:db8::77"}};
  ip_address group = parse("ff02::fb").with_zone(cable.far.link.index);

  /// A socket at the far end to send questions from; port 0: any.
  file_descriptor asker(std::uint16_t port) const {
    return cable.far.space.run([&] {
      file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
      or_throw(bind_socket(fd.get(), {ip_address::any(), port}));
      return fd;
    });
  }

  static void send(const file_descriptor& from, const ip_address& to, const std::string& message) {
    const sockaddr_in6 name = endpoint{to, 5353}.to_sockaddr();
    REQUIRE(::sendto(from.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&name),
                     sizeof name) == std::ssize(message));
  }

  /// The next multicast DNS message of the responder, from its IPv6 header on.
  std::optional<packet> next_said() {
    const auto said = wire.find([&](const packet& p) {
      const auto fixed = ipv6_header::parse(std::as_bytes(std::span(p)));
      return fixed && p[6] == 17 && (p[40] << 8 | p[41]) == 5353 && fixed->source == cable.near.link_local.with_zone(0);
    });
    return said;
  }

  /// Reads all announcements that come before answers.
  void wait_for_announcements() {
    for (int i = 0; i < 5; ++i) REQUIRE(next_said());
  }

  /// SIGTERM ends the responder with exit status 0.
  void end_responder() {
    responder.send_signal(SIGTERM);
    const program_end how = responder.wait();
    CHECK(how.exit_status == 0);
    CHECK(how.errors == "");
  }
};

std::string dns_of(const packet& p) {
  return {p.begin() + 48, p.end()};
}

bool is_multicast_at_255(const packet& p) {
  const ipv6_header fixed = or_throw(ipv6_header::parse(std::as_bytes(std::span(p))));
  return fixed.hop_limit == 255 && fixed.destination == parse("ff02::fb") && (p[42] << 8 | p[43]) == 5353;
}

std::string question_for(std::string_view id, std::string_view name, std::string_view type = {"\0\x1c", 2},
                         std::string_view of_class = {"\0\1", 2}) {
  std::string query(id);
  query += std::string_view("\0\0\0\1\0\0\0\0\0\0", 10);
  return query.append(name).append(type).append(of_class);
}

constexpr std::string_view host_name("\4hOsT\5local\0", 12);

/// The address record of the responder's name, without the name: AAAA, class, lifetime, the address.
std::string address_record(std::string_view class_and_lifetime) {
  std::string record("\0\x1c", 2);
  record.append(class_and_lifetime).append("\0\x10", 2);
  const auto octets = parse("2001:db8::77").bytes();
  return record.append(octets.begin(), octets.end());
}

const std::string multicast_answer = std::string("\0\0\x84\0\0\0\0\1\0\0\0\0", 12) +
                                     std::string("\4Host\5local\0", 12) + address_record({"\x80\1\0\0\0\x78", 6});

TEST_CASE("the multicast DNS responder probes for its name, announces it, and withdraws it at its end") {
  mdns_network net;
  const std::string probe = std::string("\0\0\0\0\0\1\0\0\0\1\0\0", 12) + std::string("\4Host\5local\0", 12) +
                            std::string("\0\xff\x80\1", 4) + std::string("\4Host\5local\0", 12) +
                            address_record({"\0\1\0\0\0\x78", 6});
  for (int i = 0; i < 5; ++i) {
    INFO(i);
    const auto said = net.next_said();
    REQUIRE(said);
    CHECK(is_multicast_at_255(*said));
    CHECK(dns_of(*said) == (i < 3 ? probe : multicast_answer));
  }
  net.end_responder();
  const auto said = net.next_said();
  REQUIRE(said);
  CHECK(is_multicast_at_255(*said));
  std::string goodbye = multicast_answer;
  goodbye[31] = 0;  // the lifetime
  CHECK(dns_of(*said) == goodbye);
}

TEST_CASE("the multicast DNS responder answers one-shot questions to its group for its name, and no others") {
  mdns_network net;
  net.wait_for_announcements();
  const file_descriptor client = net.asker(0);
  // No answer to any of these: to the host itself, for another name, another type, cut short.
  net.send(client, net.cable.near.address, question_for("a1", host_name));
  net.send(client, net.group, question_for("a2", std::string_view("\5other\5local\0", 13)));
  net.send(client, net.group, question_for("a3", host_name, {"\0\1", 2}));
  net.send(client, net.group, question_for("a4", host_name).substr(0, 20));
  net.send(client, net.group, question_for("a5", std::string_view("\xc0\x0c", 2)));  // a name that points to itself
  net.send(client, net.group, question_for("ok", host_name));
  endpoint source;
  const std::string got = receive(client, source);
  CHECK(source == endpoint{net.cable.near.link_local.with_zone(net.cable.far.link.index), 5353});
  CHECK(got == std::string("ok\x84\0\0\1\0\1\0\0\0\0", 12).append(host_name) + std::string("\0\x1c\0\1", 4) +
                   std::string("\4Host\5local\0", 12) + address_record({"\0\1\0\0\0\x0a", 6}));
  const auto said = net.next_said();
  REQUIRE(said);
  CHECK(or_throw(ipv6_header::parse(std::as_bytes(std::span(*said)))).hop_limit == 255);
  net.end_responder();
}

TEST_CASE("the multicast DNS responder answers a resolver's question to the group, unless the resolver knows it") {
  mdns_network net;
  net.wait_for_announcements();
  const file_descriptor resolver = net.asker(5353);
  // A second must pass between two multicasts of a record.
  std::optional<packet> said;
  const bool heard = eventually([&] {
    net.send(resolver, net.group, question_for("\1\1", host_name));
    said = net.wire.find([&](const packet& p) { return p[6] == 17 && dns_of(p) == multicast_answer; },
                         std::chrono::seconds(1));
    return said.has_value();
  });
  REQUIRE(heard);
  CHECK(is_multicast_at_255(*said));
  // A question that accepts a unicast answer gets one, with the question's number, because the record was multicast not
  // long ago. The first of these lists the answer, and gets none.
  const auto by_unicast = [](std::string_view id) { return question_for(id, host_name, {"\0\xff", 2}, {"\x80\1", 2}); };
  std::string known = by_unicast("\1\2") + multicast_answer.substr(12);
  known[7] = 1;
  net.send(resolver, net.group, known);
  net.send(resolver, net.group, by_unicast("\1\3"));
  endpoint source;
  CHECK(receive(resolver, source) == "\1\3" + multicast_answer.substr(2));
  net.end_responder();
}

TEST_CASE("the multicast DNS responder gives its name up to a host that has it") {
  mdns_network net;
  net.wait_for_announcements();
  const file_descriptor other = net.asker(5353);
  std::string claim = multicast_answer;
  net.send(other, net.group, claim);  // the same address: no conflict
  claim.back() = 0x78;
  net.send(net.asker(0), net.group, claim);  // not from port 5353, so no multicast DNS
  const file_descriptor client = net.asker(0);
  net.send(client, net.group, question_for("ok", host_name));
  endpoint source;
  CHECK(receive(client, source).starts_with("ok"));
  net.send(other, net.group, claim);
  const program_end how = net.responder.wait();
  CHECK(how.exit_status == 1);
  CHECK(how.errors == "mdns_responder: another host has the name\n");
}

}  // namespace
