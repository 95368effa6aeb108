// The routers on the way to a host, by echo requests with a growing hop limit (RFC 4443). Go:
// ExamplePacketConn_tracingIPPacketRoute, and the matching of answers that Go's example leaves out.
//
// An answer that ends the path has a mark: !N no route to the host, !A no neighbor has the address, !P the host does
// not know the protocol, !X prohibited, !S beyond the scope of the source, ! another reason. The exit status is 0 only
// if the host itself answered.
//
//     traceroute HOST      CAP_NET_RAW
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <uring6/format.hpp>
#include <uring6/header.hpp>
#include <uring6/icmp.hpp>
#include <uring6/icmp/format.hpp>
#include <uring6/resolve.hpp>
#include <uring6/run_blocking.hpp>
#include <uring6/uring6.hpp>

namespace u6 = uring6;
using std::chrono::steady_clock;

namespace {

struct probe {
  std::uint16_t identifier;
  std::uint16_t sequence;
};

bool is_ours(const u6::icmp::message_body& body, const probe& sent) {
  const auto* reply = std::get_if<u6::icmp::echo_reply>(&body);
  return reply && reply->identifier == sent.identifier && reply->sequence == sent.sequence;
}

/// A router's message quotes the packet that it could not forward: our echo request.
bool is_about(std::span<const std::byte> packet, const probe& sent) {
  const auto upper = u6::find_upper_layer(packet);
  if (!upper || upper->protocol != u6::ip_protocol::icmpv6) return false;
  const auto message = u6::icmp::parse(upper->payload);
  if (!message) return false;
  const auto* request = std::get_if<u6::icmp::echo_request>(&message->body);
  return request && request->identifier == sent.identifier && request->sequence == sent.sequence;
}

/// The contents of an ICMPv6 message about our echo request. `mark`: why the request did not reach its host, in the
/// letters of traceroute programs; empty for a router on the way.
struct answer {
  enum class kind { none, on_the_way, arrived, unreachable } is = kind::none;
  std::string_view mark{};
};

std::string_view mark_of(u6::icmp::unreachable_code code) {
  switch (code) {
    case u6::icmp::unreachable_code::no_route:
      return " !N";
    case u6::icmp::unreachable_code::address_unreachable:
      return " !A";
    case u6::icmp::unreachable_code::administratively_prohibited:
    case u6::icmp::unreachable_code::source_policy:
    case u6::icmp::unreachable_code::reject_route:
      return " !X";
    case u6::icmp::unreachable_code::beyond_scope:
      return " !S";
    default:
      return " !";
  }
}

answer judge(const u6::icmp::message_body& body, const probe& sent) {
  using enum answer::kind;
  if (is_ours(body, sent)) return {arrived};
  const auto* exceeded = std::get_if<u6::icmp::time_exceeded>(&body);
  if (exceeded && is_about(exceeded->data, sent)) return {on_the_way};
  const auto* lost = std::get_if<u6::icmp::destination_unreachable>(&body);
  if (lost && is_about(lost->data, sent)) return {unreachable, mark_of(lost->code)};
  const auto* refused = std::get_if<u6::icmp::parameter_problem>(&body);
  if (refused && is_about(refused->data, sent)) {
    const bool of_protocol = refused->code == u6::icmp::parameter_problem_code::unrecognized_next_header;
    return {unreachable, of_protocol ? " !P" : " !"};
  }
  return {};
}

/// The system's name of this address, in parentheses, or nothing. It may ask a name server.
struct name_of {
  u6::ip_address address;

  std::string operator()() const {
    const sockaddr_in6 name = u6::endpoint{address, 0}.to_sockaddr();
    std::array<char, NI_MAXHOST> text{};
    const int failed = ::getnameinfo(reinterpret_cast<const sockaddr*>(&name), sizeof name, text.data(), text.size(),
                                     nullptr, 0, NI_NAMEREQD);
    return failed ? "" : fmt::format(" ({})", text.data());
  }
};

u6::task<bool> trace(u6::packet_conn& pc, u6::ip_address to) {
  std::array<std::byte, 1500> buffer;
  probe sent{static_cast<std::uint16_t>(::getpid()), 0};
  for (int hops = 1; hops <= 64; ++hops) {
    ++sent.sequence;
    const u6::icmp::echo_request request{.identifier = sent.identifier, .sequence = sent.sequence};
    std::array<std::byte, 64> area;
    const auto length = u6::icmp::encode(request, area);
    const u6::control_message control{.hop_limit = hops};
    const u6::endpoint there{to, 0};
    const auto begin = steady_clock::now();
    const auto written = co_await pc.write_to(std::span(area).first(*length), control, there);
    if (!written) {
      fmt::print("{} {}\n", hops, written.error().message());
      co_return false;
    }
    u6::or_throw(pc.set_read_deadline(begin + std::chrono::seconds(3)));
    for (;;) {
      const auto got = co_await pc.read_from(buffer);
      if (!got && got.error() != u6::errc::deadline_exceeded) {
        fmt::print("{} {}\n", hops, got.error().message());
        co_return false;
      }
      if (!got) {
        fmt::print("{} *\n", hops);
        break;
      }
      const auto message = u6::icmp::parse(got->payload);
      const answer said = message ? judge(message->body, sent) : answer();
      if (said.is == answer::kind::none) continue;
      const std::chrono::duration<double, std::milli> took = steady_clock::now() - begin;
      const name_of question{got->source.address};
      const auto name = co_await u6::run_blocking(question);
      fmt::print("{} {}{} {:.3f} ms{}\n\t{}\n", hops, got->source.address, name.value_or(""), took.count(), said.mark,
                 got->control);
      if (said.is != answer::kind::on_the_way) co_return said.is == answer::kind::arrived;
      break;
    }
  }
  co_return false;
}

u6::task<bool> run(u6::packet_conn& pc, std::string_view host) {
  const u6::resolve_options only_v6{.addresses = u6::resolve_options::family::v6};
  const auto found = co_await u6::resolve(host, {}, only_v6);
  if (!found) {
    fmt::print(stderr, "traceroute: {}: {}\n", host, found.error().message());
    co_return false;
  }
  const u6::ip_address to = found->front().address;
  fmt::print("to {}\n", to);
  const bool arrived = co_await trace(pc, to);
  co_return arrived;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return EXIT_FAILURE;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each line as soon as it is complete
  u6::event_loop loop;
  auto pc = u6::or_throw(u6::listen_packet(loop, "ip6:ipv6-icmp", "::"));
  u6::or_throw(pc.set_control_message(u6::control_flags::hop_limit | u6::control_flags::source |
                                          u6::control_flags::destination | u6::control_flags::interface,
                                      true));
  u6::icmp_filter filter;
  filter.set_all(true);
  for (const auto type : {u6::icmp_type::time_exceeded, u6::icmp_type::echo_reply,
                          u6::icmp_type::destination_unreachable, u6::icmp_type::parameter_problem}) {
    filter.accept(type);
  }
  u6::or_throw(pc.set_icmp_filter(filter));
  return loop.run(run(pc, argv[1])) ? EXIT_SUCCESS : EXIT_FAILURE;
}
