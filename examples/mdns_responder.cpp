// Answers one-shot multicast DNS queries for one name (RFC 6762, 6.7). Go:
// ExamplePacketConn_servingOneShotMulticastDNS.
//
//     mdns_responder INTERFACE NAME ADDRESS      such as: mdns_responder eth0 host.local 2001:db8::1
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <optional>
#include <string>
#include <uring6/uring6.hpp>
#include <vector>

namespace u6 = uring6;

namespace {

constexpr std::size_t header_size = 12;

/// The labels of a name as DNS writes them, in lower case.
std::string to_labels(std::string_view name) {
  std::string labels;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    labels += static_cast<char>(label.size());
    for (const char c : label) labels += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return labels + '\0';
}

/// The answer to a query with one question, for the IPv6 address of this name.
std::optional<std::string> answer(std::span<const std::byte> query, const std::string& labels,
                                  const u6::ip_address& address) {
  const std::string_view text(reinterpret_cast<const char*>(query.data()), query.size());
  constexpr std::string_view type_and_class("\0\x1c\0\x01", 4);  // AAAA, IN
  const std::size_t question_size = labels.size() + type_and_class.size();
  if (text.size() < header_size + question_size || (text[2] & 0x80) != 0) return {};
  if (text.substr(4, 2) != std::string_view("\0\1", 2)) return {};
  const std::string_view question = text.substr(header_size, question_size);
  const auto same = [](unsigned char a, char b) { return static_cast<char>(std::tolower(a)) == b; };
  if (!std::equal(labels.begin(), labels.end(), question.begin(),
                  [&](char b, char a) { return same(static_cast<unsigned char>(a), b); })) {
    return {};
  }
  // The top bit of the class asks for a unicast answer, which a one-shot query gets anyway.
  std::string rest(question.substr(labels.size()));
  rest[2] = static_cast<char>(rest[2] & 0x7f);
  if (rest != type_and_class) return {};
  std::string made(text.substr(0, 2));
  made += std::string_view("\x84\0\0\1\0\1\0\0\0\0", 10);  // response, authoritative, one question, one answer
  made += question;
  made += std::string_view("\xc0\x0c\0\x1c\0\1\0\0\0\x0a\0\x10", 12);  // the name above, AAAA, IN, 10 seconds
  made.append(reinterpret_cast<const char*>(address.bytes().data()), 16);
  return made;
}

u6::task<> serve(u6::packet_conn& pc, const u6::ip_address& group, const std::string& labels,
                 const u6::ip_address& address) {
  std::array<std::byte, 1500> buffer;
  while (const auto got = co_await pc.read_from(buffer)) {
    if (got->control.destination != group) continue;
    const auto reply = answer(got->payload, labels, address);
    if (!reply) continue;
    // By the interface it came in by, to whoever asked.
    const u6::control_message control = got->control.reply();
    const auto sent = co_await pc.write_to(std::as_bytes(std::span(*reply)), control, got->source);
    if (!sent) fmt::print(stderr, "mdns_responder: {}\n", sent.error().message());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return EXIT_FAILURE;
  u6::event_loop loop;
  const u6::interface link = u6::or_throw(u6::interface::by_name(argv[1]));
  const std::string labels = to_labels(argv[2]);
  const u6::ip_address address = u6::or_throw(u6::ip_address::parse(argv[3]));
  const u6::ip_address group = u6::or_throw(u6::ip_address::parse("ff02::fb"));
  const u6::packet_options shared{.reuse_port = true};
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", "[::]:5353", shared));
  u6::or_throw(pc.join_group(link, group));
  u6::or_throw(pc.set_control_message(u6::control_flags::destination | u6::control_flags::interface, true));
  loop.run(serve(pc, group, labels, address));
}
