// Answers multicast DNS questions for one name (RFC 6762): those of resolvers on the link, which ask from port 5353,
// and one-shot ones. It probes for the name, announces it, gives it up when another host has it, and withdraws it at
// SIGINT or SIGTERM. Go: ExamplePacketConn_servingOneShotMulticastDNS.
//
//     mdns_responder INTERFACE NAME ADDRESS      such as: mdns_responder eth0 host.local 2001:db8::1
//
// Exit status: 0 after a signal, 1 for a name that another host has, and for errors.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <tuple>
#include <uring6/uring6.hpp>
#include <vector>

#include "dns_message.hpp"

namespace u6 = uring6;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr std::uint16_t mdns_port = 5353;
constexpr int mdns_hop_limit = 255;              // RFC 6762, 11
constexpr std::uint32_t lifetime = 120;          // seconds, of a host's addresses (RFC 6762, 10)
constexpr std::uint32_t one_shot_lifetime = 10;  // seconds, at most, for an asker that receives no update (6.7)

struct responder {
  u6::packet_conn& pc;
  u6::interface link;
  u6::endpoint group;
  dns::record mine;
  bool established = false;  // the probes have ended: questions are answered
  bool yield_probe = false;  // another host probes for the name at the same time, with greater data (8.2)
  u6::event taken{};         // another host has the name
  steady_clock::time_point multicast_at{};

  bool is_name(std::string_view name) const { return dns::same_name(name, mine.name); }
  bool is_mine(const dns::record& other) const {
    return is_name(other.name) && other.type == mine.type && other.data == mine.data;
  }
};

/// Sends a message by the served link, to the group or to one host. The caller awaits the task, so the message stays
/// alive.
u6::task<> send(responder& me, const dns::message& said, u6::control_message control, u6::endpoint to) {
  control.hop_limit = mdns_hop_limit;
  control.interface_index = me.link.index;
  if (to == me.group) me.multicast_at = steady_clock::now();
  const std::string bytes = dns::to_bytes(said);
  const auto sent = co_await me.pc.write_to(std::as_bytes(std::span(bytes)), control, to);
  if (!sent) fmt::print(stderr, "mdns_responder: {}\n", sent.error().message());
}

dns::message answer_of(const responder& me, std::uint32_t seconds) {
  dns::message answer{.flags = dns::flag_response | dns::flag_authoritative};
  answer.answers.push_back(me.mine);
  answer.answers[0].lifetime = seconds;
  return answer;
}

u6::task<> multicast_answer(responder& me, std::uint32_t seconds) {
  const dns::message answer = answer_of(me, seconds);
  const u6::control_message by_link;
  co_await send(me, answer, by_link, me.group);
}

// ---- holding the name
// ------------------------------------------------------------------------------------------------

/// Asks three times whether another host has the name (RFC 6762, 8.1). Returns false if a probe of another host takes
/// precedence, or when the program is to stop.
u6::task<bool> probe(responder& me) {
  dns::message probing;
  probing.questions.push_back({me.mine.name, dns::type_any, dns::class_in | dns::top_bit});
  probing.authorities.push_back(me.mine);
  probing.authorities[0].class_and_bit = dns::class_in;
  const u6::control_message by_link;
  for (int i = 0; i < 3; ++i) {
    co_await send(me, probing, by_link, me.group);
    const auto slept = co_await u6::sleep_for(250ms);
    if (!slept || me.yield_probe) co_return false;
  }
  co_return true;
}

/// Probes for the name, announces it, and ends when another host has it or the program is to stop.
u6::task<> hold(responder& me) {
  std::random_device random;
  // apart from hosts that started at the same time
  const std::chrono::milliseconds apart(std::uniform_int_distribution(0, 250)(random));
  auto slept = co_await u6::sleep_for(apart);
  while (slept && !me.established) {
    me.yield_probe = false;
    me.established = co_await probe(me);
    if (!me.established) slept = co_await u6::sleep_for(1s);
  }
  for (int i = 0; i < 2 && slept; ++i) {  // RFC 6762, 8.3
    co_await multicast_answer(me, lifetime);
    slept = co_await u6::sleep_for(1s);
  }
  if (slept) (void)co_await me.taken.wait();
}

// ---- hearing others
// --------------------------------------------------------------------------------------------------

/// While this host probes, any record of the name is another host's claim; later only a different address is.
bool claims_name(const responder& me, const dns::record& other) {
  if (!me.is_name(other.name) || me.is_mine(other) || other.lifetime == 0) return false;
  return !me.established || other.type == me.mine.type;
}

/// Whether the records of another host's probe come after ours in order (RFC 6762, 8.2). This host receives its own
/// probe, too, which is equal.
bool probes_with_more(const responder& me, const dns::message& heard) {
  using key = std::tuple<std::uint16_t, std::uint16_t, std::string>;
  std::vector<key> theirs;
  for (const dns::record& each : heard.authorities) {
    if (me.is_name(each.name)) theirs.emplace_back(each.class_and_bit & ~dns::top_bit, each.type, each.data);
  }
  std::ranges::sort(theirs);
  return theirs > std::vector<key>{{dns::class_in, me.mine.type, me.mine.data}};
}

bool asks_for_mine(const responder& me, const dns::question& asked) {
  const std::uint16_t of_class = asked.class_and_bit & static_cast<std::uint16_t>(~dns::top_bit);
  return me.is_name(asked.name) && (asked.type == me.mine.type || asked.type == dns::type_any) &&
         (of_class == dns::class_in || of_class == dns::class_any);
}

u6::task<> answer(responder& me, const dns::message& query, u6::control_message control, u6::endpoint asker) {
  bool asked = false;
  bool by_unicast = false;
  for (const dns::question& each : query.questions) {
    if (!asks_for_mine(me, each)) continue;
    asked = true;
    by_unicast = (each.class_and_bit & dns::top_bit) != 0;
  }
  // An asker that lists the answer, with enough lifetime left, does not need it again (RFC 6762, 7.1).
  const bool known = std::ranges::any_of(
      query.answers, [&](const auto& each) { return me.is_mine(each) && each.lifetime >= lifetime / 2; });
  if (!asked || known) co_return;

  if (asker.port != mdns_port) {  // one-shot: as a DNS server answers (RFC 6762, 6.7)
    dns::message reply = answer_of(me, one_shot_lifetime);
    reply.id = query.id;
    reply.questions = query.questions;
    reply.answers[0].class_and_bit = dns::class_in;
    co_await send(me, reply, control, asker);
    co_return;
  }
  const auto quiet = steady_clock::now() - me.multicast_at;
  if (by_unicast && quiet < std::chrono::seconds(lifetime / 4)) {  // RFC 6762, 5.4
    dns::message reply = answer_of(me, lifetime);
    reply.id = query.id;
    co_await send(me, reply, control, asker);
    co_return;
  }
  // A record is multicast at most once a second, to defend it against a probe four times (RFC 6762, 6).
  if (quiet >= (query.authorities.empty() ? 1000ms : 250ms)) co_await multicast_answer(me, lifetime);
}

u6::task<> hear(responder& me) {
  std::array<std::byte, 9000> buffer;  // the longest message (RFC 6762, 17)
  for (;;) {
    const auto got = co_await me.pc.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;
    if (got->control.destination != me.group.address || got->control.interface_index != me.link.index) continue;
    const auto heard = dns::parse(got->payload);
    if (!heard || (heard->flags & dns::opcode_mask) != 0) continue;
    if ((heard->flags & dns::flag_response) != 0) {
      const bool claimed = std::ranges::any_of(heard->answers, [&](const auto& each) { return claims_name(me, each); });
      if (claimed && got->source.port == mdns_port) me.taken.set();
    } else if (me.established) {
      co_await answer(me, *heard, got->control.reply(), got->source);
    } else if (probes_with_more(me, *heard)) {
      me.yield_probe = true;
    }
  }
}

u6::task<int> run(u6::event_loop& loop, responder& me) {
  u6::signals stops(loop, {SIGINT, SIGTERM});
  enum class end { hearing, holding, name, signal };
  const auto first = co_await u6::select(u6::on<end::hearing>(hear(me)), u6::on<end::holding>(hold(me)),
                                         u6::on<end::name>(me.taken.wait()), u6::on<end::signal>(stops.next()));
  if (me.taken.is_set()) {
    fmt::print(stderr, "mdns_responder: another host has the name\n");
    co_return EXIT_FAILURE;
  }
  if (me.established) co_await multicast_answer(me, 0);  // goodbye (RFC 6762, 10.1)
  co_return first.is(end::signal) ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) return EXIT_FAILURE;
  u6::event_loop loop;
  const u6::interface link = u6::or_throw(u6::interface::by_name(argv[1]));
  const auto name = dns::to_wire(argv[2]);
  if (!name) return EXIT_FAILURE;
  const u6::ip_address address = u6::or_throw(u6::ip_address::parse(argv[3]));
  const auto octets = address.bytes();
  const u6::ip_address group = u6::or_throw(u6::ip_address::parse("ff02::fb"));
  const u6::packet_options shared{.reuse_port = true};
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", "[::]:5353", shared));
  u6::or_throw(pc.join_group(link, group));
  u6::or_throw(pc.set_control_message(u6::control_flags::destination | u6::control_flags::interface, true));
  const dns::record mine{*name, dns::type_aaaa, dns::class_in | dns::top_bit, lifetime, {octets.begin(), octets.end()}};
  responder me{.pc = pc, .link = link, .group = {group, mdns_port}, .mine = mine};
  return loop.run(run(loop, me));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "mdns_responder: {}\n", failed.what());
  return EXIT_FAILURE;
}
