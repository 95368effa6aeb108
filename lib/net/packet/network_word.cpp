#include "net/packet/network_word.hpp"

#include <charconv>
#include <optional>

#include "sys/interface/protocol_names.hpp"

namespace uring6::inline v0::detail {
namespace {

std::optional<ip_protocol> parse_protocol(std::string_view text) {
  std::uint8_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc{} && stop == end) return static_cast<ip_protocol>(number);
  return find_protocol(text);
}

}  // namespace

result<packet_network> parse_packet_network(std::string_view word) {
  if (word == "udp6") return packet_network{};
  if (word == "udp") return packet_network{.dual_stack = true};
  if (word == "icmp6") return packet_network{.kind = packet_kind::icmp, .protocol = ip_protocol::icmpv6};
  constexpr std::string_view raw = "ip6:";
  if (word.starts_with(raw)) {
    if (const auto protocol = parse_protocol(word.substr(raw.size()))) {
      return packet_network{.kind = packet_kind::raw, .protocol = *protocol};
    }
  }
  return fail(errc::unknown_network);
}

}  // namespace uring6::inline v0::detail
