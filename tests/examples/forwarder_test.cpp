// The DNS forwarder of examples/ between plain clients and an upstream server, which is the test itself, and between
// dig, where it is installed, and that server.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../examples/dns_message.hpp"
#include "examples/plain_socket.hpp"
#include "examples/showcase.hpp"
#include "interop/daemons.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/process/program.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::uint16_t upstream_port = 5300;
constexpr std::uint16_t server_failure = 2, response_code = 0x000f, recursion_desired = 0x0100;

endpoint at(std::uint16_t port) {
  return {parse("::1"), port};
}

dns::message message_of(const std::string& octets) {
  const auto parsed = dns::parse(std::as_bytes(std::span(octets)));
  REQUIRE(parsed);
  return *parsed;
}

std::string query_of(std::uint16_t id, std::string_view name) {
  return dns::to_bytes({.id = id, .flags = recursion_desired, .questions = {{*dns::to_wire(name), dns::type_aaaa, 1}}});
}

/// The upstream's answer: an address whose last octets are the name's length and its second octet.
std::string answer_to(const std::string& query) {
  dns::message said = message_of(query);
  said.flags |= dns::flag_response;
  const std::string& name = said.questions.front().name;
  std::string address(14, '\x20');
  dns::append(address, name.size(), 1);
  address += name.size() > 1 ? name[1] : '\0';
  said.answers.push_back({name, dns::type_aaaa, dns::class_in, 60, address});
  return dns::to_bytes(said);
}

std::string with_id(std::string message, std::uint16_t id) {
  dns::set_id(message, id);
  return message;
}

bool is_failure(const std::string& answer, const std::string& query) {
  const dns::message said = message_of(answer);
  return said.id == message_of(query).id && said.questions.size() == 1 && said.answers.empty() &&
         dns::is_answer_to(message_of(query), said) && (said.flags & response_code) == server_failure;
}

/// Whether it can be read, within a minute.
bool readable(const file_descriptor& from) {
  pollfd one{from.get(), POLLIN, 0};
  return ::poll(&one, 1, 60'000) == 1;
}

/// A message of a TCP connection, without its length; empty at its end.
std::string receive_framed(const file_descriptor& from) {
  std::array<unsigned char, 2> length{};
  REQUIRE(readable(from));
  if (::recv(from.get(), length.data(), length.size(), MSG_WAITALL) != 2) return {};
  std::string message(static_cast<std::size_t>(length[0] << 8 | length[1]), '\0');
  REQUIRE(::recv(from.get(), message.data(), message.size(), MSG_WAITALL) == static_cast<ssize_t>(message.size()));
  return message;
}

void send_octets(const file_descriptor& to, std::string_view octets) {
  REQUIRE(::send(to.get(), octets.data(), octets.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(octets.size()));
}

/// The upstream server: the test answers when it wants to, or never.
struct upstream_server {
  upstream_server() {
    or_throw(bind_socket(datagrams.get(), at(upstream_port)));
    or_throw(bind_socket(listener.get(), at(upstream_port)));
    or_throw(listen_socket(listener.get(), 16));
  }
  file_descriptor accept() const {
    REQUIRE(readable(listener));
    file_descriptor accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(accepted);
    return accepted;
  }
  /// Answers the next query that comes by UDP.
  void answer_one() const {
    endpoint source;
    const std::string query = receive(datagrams, source);
    REQUIRE(send_text(datagrams, answer_to(query), source));
  }
  /// Answers the next query that comes by TCP.
  void answer_one_by_tcp() const {
    const file_descriptor stream = accept();
    send_octets(stream, dns::framed(answer_to(receive_framed(stream))));
  }

  file_descriptor datagrams = datagram_client();
  file_descriptor listener = or_throw(open_socket(AF_INET6, SOCK_STREAM));
};

/// The forwarder waits a minute for the upstream, as these tests do for everything, or for a second.
std::vector<std::string> forwarder_words(const char* patience = "60") {
  return {EXAMPLE_FORWARDER, "[::]:7777", "[::1]:" + std::to_string(upstream_port), patience};
}

/// Two loops: both have their two sockets.
bool is_ready() {
  return eventually([] { return listeners("udp6") == 2 && listeners("tcp6") == 2; });
}

/// Whether the kernel refuses what is sent to the port. The one octet is no query.
bool takes_no_datagrams() {
  const file_descriptor stranger = datagram_client();
  or_throw(connect_socket(stranger.get(), at(showcase_port)));
  REQUIRE(::send(stranger.get(), "?", 1, 0) == 1);
  return ::send(stranger.get(), "?", 1, 0) == -1 && errno == ECONNREFUSED;
}

TEST_CASE("the DNS forwarder gives each client its own answer if the upstream answers in another order") {
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  const program server(forwarder_words());
  REQUIRE(is_ready());

  constexpr std::uint16_t id = 0x1234;  // of all clients
  std::vector<file_descriptor> clients;
  std::vector<std::pair<std::string, endpoint>> asked;
  std::set<std::pair<std::uint16_t, std::uint16_t>> seen;  // port and id
  const auto name_of = [](std::size_t i) { return std::string(i + 1, 'x') + ".example"; };
  for (std::size_t i = 0; i < 20; ++i) {
    clients.push_back(datagram_client());
    REQUIRE(send_text(clients.back(), query_of(id, name_of(i)), at(showcase_port)));
    endpoint source;
    const std::string query = receive(upstream.datagrams, source);
    CHECK(message_of(query).questions.front().name == *dns::to_wire(name_of(i)));
    seen.emplace(source.port, message_of(query).id);
    asked.emplace_back(query, source);
  }
  CHECK(seen.size() == asked.size());
  std::ranges::reverse(asked);
  for (const auto& [query, source] : asked) REQUIRE(send_text(upstream.datagrams, answer_to(query), source));
  for (std::size_t i = 0; i < clients.size(); ++i) {
    endpoint source;
    CHECK(receive(clients[i], source) == answer_to(query_of(id, name_of(i))));
    CHECK(source == at(showcase_port));
  }
}

TEST_CASE("the DNS forwarder takes only the upstream's answer to the question") {
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  const program server(forwarder_words());
  REQUIRE(is_ready());
  const file_descriptor client = datagram_client();
  REQUIRE(send_text(client, query_of(7, "right.example"), at(showcase_port)));
  endpoint from;
  endpoint source;
  const std::string query = receive(upstream.datagrams, from);
  const std::uint16_t id = message_of(query).id;
  const file_descriptor stranger = datagram_client();
  REQUIRE(send_text(stranger, answer_to(with_id(query_of(0, "right.example"), id)), from));
  for (const std::string& wrong : {
           std::string(),
           query.substr(0, 2),
           query,  // no answer
           answer_to(query).substr(0, 20),
           answer_to(with_id(query, static_cast<std::uint16_t>(id ^ 1))),
           answer_to(query_of(id, "wrong.example")),
           std::string("\xff", 1),
       }) {
    REQUIRE(send_text(upstream.datagrams, wrong, from));
  }
  // The next query of the client goes to the same loop, which has looked at all of these when it answers.
  REQUIRE(send_text(client, query_of(8, "next.example"), at(showcase_port)));
  upstream.answer_one();
  CHECK(receive(client, source) == answer_to(query_of(8, "next.example")));

  std::string right = answer_to(query);
  right.back() = '!';
  REQUIRE(send_text(upstream.datagrams, right, from));
  CHECK(receive(client, source) == with_id(right, 7));
}

TEST_CASE("the DNS forwarder answers one client more queries than it lets wait at a time") {
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  const program server(forwarder_words());
  REQUIRE(is_ready());
  const file_descriptor client = datagram_client();
  for (std::uint16_t id = 0; id < 5000; ++id) {
    REQUIRE(send_text(client, query_of(id, "many.example"), at(showcase_port)));
    upstream.answer_one();
    endpoint source;
    const std::string answer = receive(client, source);
    if (answer != answer_to(query_of(id, "many.example"))) FAIL("the answer to query " << id);
  }
}

TEST_CASE("the DNS forwarder leaves octets that are no query without an answer, and closes a connection with such") {
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  const program server(forwarder_words());
  REQUIRE(is_ready());
  const std::string good = query_of(8, "good.example");
  std::string two = good;
  two[5] = 2;
  std::string pointer_to_itself = good.substr(0, 12) + std::string("\xc0\x0c\0\x1c\0\x01", 6);
  std::string long_label = good;
  long_label[12] = '\x7f';
  const std::vector<std::string> garbage{std::string(),
                                         good.substr(0, 1),
                                         good.substr(0, 11),
                                         good.substr(0, 12),
                                         good.substr(0, good.size() - 1),
                                         answer_to(good),
                                         two,
                                         long_label,
                                         std::move(pointer_to_itself),
                                         std::string(5000, '\xff')};
  const file_descriptor client = datagram_client();
  for (const std::string& each : garbage) REQUIRE(send_text(client, each, at(showcase_port)));
  REQUIRE(send_text(client, good, at(showcase_port)));
  upstream.answer_one();
  endpoint source;
  CHECK(receive(client, source) == answer_to(good));

  for (const std::string& each : garbage) {
    const file_descriptor stream = connection();
    send_octets(stream, dns::framed(each));
    CHECK(receive_framed(stream).empty());
  }
  const file_descriptor half = connection();
  send_octets(half, dns::framed(good).substr(0, 9));
  REQUIRE(::shutdown(half.get(), SHUT_WR) == 0);
  CHECK(receive_framed(half).empty());
}

TEST_CASE("the DNS forwarder asks the upstream by TCP what a client asks by TCP") {
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  const program server(forwarder_words());
  REQUIRE(is_ready());
  const file_descriptor client = connection();
  const std::string first = query_of(1, "first.example");
  const std::string second = query_of(2, "second.example");
  const std::string both = dns::framed(first) + dns::framed(second);
  send_octets(client, both.substr(0, 1));
  send_octets(client, both.substr(1, 20));
  send_octets(client, both.substr(21));
  {
    const file_descriptor stream = upstream.accept();
    CHECK(receive_framed(stream) == first);
    // An answer that no datagram could carry, in two parts.
    const std::string answer = answer_to(first) + std::string(60'000, 'x');
    send_octets(stream, dns::framed(answer).substr(0, 1));
    send_octets(stream, dns::framed(answer).substr(1));
    CHECK(receive_framed(client) == answer);
  }
  upstream.answer_one_by_tcp();
  CHECK(receive_framed(client) == answer_to(second));

  for (const std::string& wrong : {answer_to(first), answer_to(with_id(second, 3)), second, std::string("short")}) {
    send_octets(client, dns::framed(second));
    const file_descriptor stream = upstream.accept();
    CHECK(receive_framed(stream) == second);
    send_octets(stream, dns::framed(wrong));
    CHECK(is_failure(receive_framed(client), second));
  }
}

/// Whether the forwarder gives the upstream's answer. The client asks again after SERVFAIL, which it gets if this test
/// was too slow an upstream.
bool is_answered(const upstream_server& upstream, const file_descriptor& client, const std::string& query) {
  return eventually([&] {
    REQUIRE(send_text(client, query, at(showcase_port)));
    upstream.answer_one();
    endpoint source;
    const std::string answer = receive(client, source);
    if (answer == answer_to(query)) return true;
    CHECK(is_failure(answer, query));
    return false;
  });
}
bool is_answered_by_tcp(const upstream_server& upstream, const std::string& query) {
  return eventually([&] {
    const file_descriptor client = connection();
    send_octets(client, dns::framed(query));
    const file_descriptor stream = upstream.accept();
    const std::string asked = receive_framed(stream);
    if (asked.empty()) return false;  // the forwarder has given up
    const std::string answer = dns::framed(answer_to(asked));
    (void)::send(stream.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    return receive_framed(client) == answer_to(query);
  });
}

TEST_CASE("a query that the upstream leaves unanswered ends with SERVFAIL, and the DNS forwarder's others go on") {
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  const program server(forwarder_words("1"));
  REQUIRE(is_ready());
  const std::string silent = query_of(0x0101, "silent.example");
  const std::string other = query_of(0x0202, "other.example");
  const file_descriptor client = datagram_client();
  const file_descriptor other_client = datagram_client();
  endpoint late;
  endpoint source;
  REQUIRE(send_text(client, silent, at(showcase_port)));
  const std::string unanswered = receive(upstream.datagrams, late);
  const file_descriptor stream = connection();
  send_octets(stream, dns::framed(silent));
  const file_descriptor held = upstream.accept();
  CHECK(receive_framed(held) == silent);

  CHECK(is_answered(upstream, other_client, other));
  CHECK(is_failure(receive(client, source), silent));
  CHECK(is_failure(receive_framed(stream), silent));

  // The answer that comes too late goes to no client.
  REQUIRE(send_text(upstream.datagrams, answer_to(unanswered), late));
  CHECK(is_answered(upstream, client, other));
  CHECK(is_answered_by_tcp(upstream, other));
}

TEST_CASE("queries end with SERVFAIL while the upstream is down, and the DNS forwarder asks it when it is back") {
  const network_namespace space;
  const auto inside = space.enter();
  const program server(forwarder_words("1"));
  REQUIRE(is_ready());
  const std::string query = query_of(3, "down.example");
  const file_descriptor client = datagram_client();
  const file_descriptor stream = connection();
  endpoint source;
  for (int i = 0; i < 3; ++i) REQUIRE(send_text(client, query, at(showcase_port)));
  send_octets(stream, dns::framed(query));
  for (int i = 0; i < 3; ++i) CHECK(is_failure(receive(client, source), query));
  CHECK(is_failure(receive_framed(stream), query));
  const upstream_server upstream;
  CHECK(is_answered(upstream, client, query));
}

TEST_CASE("the DNS forwarder answers at its end what has arrived: queries at the upstream, in its sockets, by TCP") {
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  program server(forwarder_words());
  REQUIRE(is_ready());
  std::vector<file_descriptor> clients;
  const auto ask = [&](std::uint16_t id) {
    clients.push_back(datagram_client());
    REQUIRE(send_text(clients.back(), query_of(id, "stop.example"), at(showcase_port)));
  };
  std::vector<std::pair<std::string, endpoint>> asked(8);
  for (std::uint16_t i = 0; i < 4; ++i) {
    ask(i);
    asked[i].first = receive(upstream.datagrams, asked[i].second);
  }
  const file_descriptor stream = connection();
  send_octets(stream, dns::framed(query_of(9, "stop.example")));
  const file_descriptor upstream_stream = upstream.accept();

  server.send_signal(SIGSTOP);
  REQUIRE(eventually([&] { return is_stopped(server.id()); }));
  for (std::uint16_t i = 4; i < 8; ++i) ask(i);
  server.send_signal(SIGTERM);
  server.send_signal(SIGCONT);
  for (std::size_t i = 4; i < 8; ++i) asked[i].first = receive(upstream.datagrams, asked[i].second);
  REQUIRE(eventually([] { return takes_no_datagrams(); }));
  for (const auto& [query, source] : asked) REQUIRE(send_text(upstream.datagrams, answer_to(query), source));
  send_octets(upstream_stream, dns::framed(answer_to(receive_framed(upstream_stream))));
  for (std::uint16_t i = 0; i < 8; ++i) {
    endpoint source;
    CHECK(receive(clients[i], source) == answer_to(query_of(i, "stop.example")));
  }
  CHECK(receive_framed(stream) == answer_to(query_of(9, "stop.example")));
  REQUIRE(::shutdown(stream.get(), SHUT_WR) == 0);
  const program_end how = server.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.errors.empty());
}

TEST_CASE("dig gets answers of the DNS forwarder, by UDP and by TCP") {
  const std::string dig = installed("dig");
  const network_namespace space;
  const auto inside = space.enter();
  const upstream_server upstream;
  const program server(forwarder_words());
  REQUIRE(is_ready());
  for (const bool by_tcp : {false, true}) {
    program client({dig, "@::1", "-p", "7777", "+tries=1", "+time=30", "+short", by_tcp ? "+tcp" : "+notcp",
                    "abc.example", "AAAA"});
    if (by_tcp) {
      upstream.answer_one_by_tcp();
    } else {
      upstream.answer_one();
    }
    const program_end how = client.wait();
    CHECK(how.exit_status == 0);
    CHECK(how.output == "2020:2020:2020:2020:2020:2020:2020:d61\n");
  }
}

}  // namespace
