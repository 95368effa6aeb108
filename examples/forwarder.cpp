// A DNS forwarder: gives the queries that come by UDP and by TCP to an upstream server, and its answers back (RFC 1035,
// 4.2). Two loops share the port. SIGTERM ends it: the queries that have arrived are answered first.
//
//     forwarder [::]:7777 [2001:db8::53]:53 2        (seconds)        dig @::1 -p 7777 example.org AAAA
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>

#include "dns_message.hpp"

namespace u6 = uring6;
using namespace std::chrono_literals;

std::chrono::seconds patience = 2s;  // with the upstream (common clients ask again after 5 s) and with TCP clients

// ---- UDP: the queries of a loop share a conn to the upstream, with ids that are hard to guess ----------------------

struct waiting_query {
  dns::message asked;
  std::string answer;
  u6::event answered;
};

struct forwarder {
  u6::packet_conn& clients;
  u6::packet_conn& upstream;
  std::map<std::uint16_t, waiting_query> waiting{};  // by the ids that the upstream sees
  std::random_device random{};
};

using datagram_buffer = std::array<std::byte, 4096>;  // the size that common resolvers accept (RFC 6891, 6.2.5)
constexpr std::size_t most_waiting = 4096;            // of each loop: ids must stay hard to guess

u6::task<> forward(forwarder& in, std::string query, dns::message asked, u6::control_message how, u6::endpoint client) {
  std::uint16_t id = 0;
  do id = static_cast<std::uint16_t>(in.random() & 0xffff);
  while (in.waiting.contains(id));
  waiting_query& mine = in.waiting[id];
  mine.asked = asked;
  dns::set_id(query, id);
  const auto sent = co_await in.upstream.write(query);
  if (!sent) (void)co_await in.upstream.write(query);  // the first one met the refusal of an earlier query
  const auto came = co_await u6::with_timeout(patience, mine.answered.wait());
  std::string answer = came ? std::move(mine.answer) : dns::failure_of(asked);
  in.waiting.erase(id);
  dns::set_id(answer, asked.id);
  (void)co_await in.clients.write_to(answer, how, client);
}

u6::task<> take_queries(forwarder& in) {
  datagram_buffer buffer;
  u6::scope queries;
  for (;;) {
    const auto got = co_await in.clients.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) break;
    auto asked = dns::read_head(got->payload);
    if (!dns::is_query(asked) || got->truncated || in.waiting.size() >= most_waiting) continue;
    std::string query(reinterpret_cast<const char*>(got->payload.data()), got->payload.size());
    queries.spawn(forward(in, std::move(query), std::move(*asked), got->control.reply(), got->source));
  }
  co_await queries.join();
}

u6::task<> take_answers(forwarder& in) {
  datagram_buffer buffer;
  for (;;) {
    const auto got = co_await in.upstream.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;  // the upstream refused a query, whose time passes
    if (!got) co_return;
    const auto answer = dns::read_head(got->payload);
    const auto found = answer ? in.waiting.find(answer->id) : in.waiting.end();
    if (found == in.waiting.end() || got->truncated || !dns::is_answer_to(found->second.asked, answer)) continue;
    found->second.answer.assign(reinterpret_cast<const char*>(got->payload.data()), got->payload.size());
    found->second.answered.set();
  }
}

u6::task<> serve_datagrams(u6::packet_conn clients, u6::loop_place here, u6::endpoint to) {
  u6::or_throw(clients.set_control_message(u6::control_flags::destination | u6::control_flags::interface, true));
  auto upstream = u6::or_throw(u6::dial_packet(here.loop, "udp", to));
  forwarder in{clients, upstream};
  u6::scope answers;
  answers.spawn(take_answers(in));
  co_await u6::drain_on_stop(clients, patience + 1s, take_queries(in));
  answers.request_stop();
  co_await answers.join();
}

// ---- TCP: a connection to the upstream for each query ---------------------------------------------------------------

/// Each message stands behind its length, two octets (RFC 1035, 4.2.2).
u6::task<u6::result<std::string>> read_message(u6::tcp_conn& from) {
  std::string all(2, '\0');
  for (std::size_t have = 0; have < all.size();) {
    const auto got = co_await from.read(std::as_writable_bytes(std::span(all)).subspan(have));
    if (!got) co_return u6::fail(got);
    if (*got == 0) co_return u6::fail(u6::errc::closed);
    have += *got;
    if (have == 2) all.resize(2 + dns::reader(std::as_bytes(std::span(all))).number16());
  }
  co_return all.substr(2);
}

u6::task<u6::result<std::string>> ask_upstream(u6::event_loop& loop, u6::endpoint upstream, const std::string& query) {
  auto dialed = co_await u6::dial_tcp(loop, "tcp", upstream);
  if (!dialed) co_return u6::fail(dialed);
  const std::string framed = dns::framed(query);
  (void)co_await dialed->write(framed);  // the read tells a failure
  co_return co_await read_message(*dialed);
}

u6::task<> serve_connection(u6::tcp_conn client, u6::loop_place here, u6::endpoint to) {
  for (;;) {
    const auto query = co_await u6::with_timeout(patience, read_message(client));
    const auto asked = query ? dns::read_head(std::as_bytes(std::span(*query))) : std::nullopt;
    if (!dns::is_query(asked)) co_return;
    auto answer = co_await u6::with_timeout(patience, ask_upstream(here.loop, to, *query));
    const auto told = answer ? dns::read_head(std::as_bytes(std::span(*answer))) : std::nullopt;
    if (!dns::is_answer_to(*asked, told) || told->id != asked->id) answer = dns::failure_of(*asked);
    const std::string framed = dns::framed(*answer);
    const auto sent = co_await u6::with_timeout(patience, client.write(framed));
    if (!sent) co_return;
  }
}

int main(int argc, char** argv) try {
  if (argc < 3) return 2;
  if (argc > 3) patience = std::chrono::seconds(std::atoi(argv[3]));
  u6::event_loop loop;  // of this thread, which waits for the signal
  const u6::endpoint to = u6::or_throw(u6::endpoint::parse(argv[2]));
  u6::or_throw(u6::dial_packet(loop, "udp", to));  // no route: tells it now
  u6::signals end(loop, {SIGTERM, SIGINT});
  u6::loop_group group({.loops = 2});
  const auto datagrams = [to](u6::packet_conn pc, u6::loop_place at) { return serve_datagrams(std::move(pc), at, to); };
  const auto streams = [to](u6::tcp_conn peer, u6::loop_place at) { return serve_connection(std::move(peer), at, to); };
  u6::or_throw(u6::listen_group(group, "udp6", argv[1], datagrams));
  u6::or_throw(u6::listen_tcp_group(group, "tcp6", argv[1], streams));
  loop.run([](u6::signals& of) -> u6::task<> { (void)co_await of.next(); }(end));
  group.drain(2 * patience);
} catch (const std::system_error& failed) {
  fmt::print(stderr, "forwarder: {}\n", failed.what());
  return 1;
}
