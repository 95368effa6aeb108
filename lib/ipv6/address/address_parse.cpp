#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>

#include "ipv6/address/address_text.hpp"

namespace uring6::inline v0 {
namespace {

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool all_digits(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// Parses all of `text` as an unsigned number of at most `longest` digits.
template <class T>
std::optional<T> parse_number(std::string_view text, int base, std::size_t longest) noexcept {
  if (text.size() > longest) return std::nullopt;
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// Parses four decimal octets. Refuses a leading zero, because some programs read such a number as octal.
std::optional<ip_address::v4_bytes_type> parse_dotted_quad(std::string_view text) noexcept {
  ip_address::v4_bytes_type quad{};
  for (std::size_t i = 0; i < quad.size(); ++i) {
    const bool last = i + 1 == quad.size();
    const std::size_t end = last ? text.size() : text.find('.');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view octet = text.substr(0, end);
    if (octet.size() > 1 && octet.front() == '0') return std::nullopt;
    const auto value = parse_number<std::uint8_t>(octet, 10, 3);
    if (!value) return std::nullopt;
    quad[i] = *value;
    text.remove_prefix(last ? end : end + 1);
  }
  return quad;
}

// Parses hexadecimal groups; one "::" may replace zero groups, and a dotted quad may be last (RFC 4291, 2.2).
std::optional<ip_address::bytes_type> parse_groups(std::string_view text) noexcept {
  ip_address::bytes_type bytes{};
  std::size_t filled = 0;
  std::optional<std::size_t> gap;
  if (text.starts_with("::")) {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    const std::string_view group = text.substr(0, text.find(':'));
    text.remove_prefix(group.size());
    if (group.find('.') != std::string_view::npos) {
      const auto quad = parse_dotted_quad(group);
      if (!quad || !text.empty() || filled > bytes.size() - quad->size()) return std::nullopt;
      std::copy(quad->begin(), quad->end(), bytes.begin() + static_cast<std::ptrdiff_t>(filled));
      filled += quad->size();
      break;
    }
    const auto value = parse_number<std::uint16_t>(group, 16, 4);
    if (!value || filled == bytes.size()) return std::nullopt;
    bytes[filled++] = static_cast<std::uint8_t>(*value >> 8);
    bytes[filled++] = static_cast<std::uint8_t>(*value & 0xff);
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
    if (text.front() == ':') {
      if (gap) return std::nullopt;
      gap = filled;
      text.remove_prefix(1);
    }
  }
  if (gap.has_value() == (filled == bytes.size())) return std::nullopt;
  if (gap) {
    // Moves the groups behind the gap to the end. (Not by std::rotate: GCC 12 warns of a write past the end, at -O3.)
    assert(*gap <= filled && filled < bytes.size() && filled % 2 == 0);
    const auto begin_of_gap = bytes.begin() + static_cast<std::ptrdiff_t>(*gap);
    const auto end_of_gap =
        std::copy_backward(begin_of_gap, bytes.begin() + static_cast<std::ptrdiff_t>(filled), bytes.end());
    std::fill(begin_of_gap, end_of_gap, std::uint8_t{0});
  }
  return bytes;
}

// May the text be the name of an interface? Refuses what follows an address but is no zone: "%%" (an escaped URL), a
// prefix length, a second address.
bool is_zone_text(std::string_view zone) noexcept {
  constexpr std::string_view never("\0%/: \t\n\v\f\r", 10);
  return !zone.empty() && zone.find_first_of(never) == std::string_view::npos;
}

result<std::uint32_t> parse_zone(std::string_view zone, zone_index_lookup find_zone) {
  const result<std::uint32_t> named = find_zone(zone);
  if (named || !all_digits(zone)) return named;
  const auto number = parse_number<std::uint32_t>(zone, 10, 10);
  if (!number) return fail(errc::unknown_zone);
  return *number;
}

result<std::uint16_t> parse_port(std::string_view text) noexcept {
  if (text.empty()) return fail(errc::missing_port);
  if (!all_digits(text)) return fail(errc::not_an_address);
  const auto port = parse_number<std::uint16_t>(text, 10, text.size());
  if (!port) return fail(errc::out_of_range);
  return *port;
}

}  // namespace

result<ip_address> parse_address(std::string_view text, zone_index_lookup find_zone) {
  if (text.find(':') == std::string_view::npos) {
    const auto quad = parse_dotted_quad(text);
    if (!quad) return fail(errc::not_an_address);
    return ip_address::v4_mapped(*quad);
  }
  const std::size_t percent = text.find('%');
  const auto bytes = parse_groups(text.substr(0, percent));
  if (!bytes) return fail(errc::not_an_address);
  const ip_address address(*bytes);
  if (percent == std::string_view::npos) return address;
  const std::string_view zone = text.substr(percent + 1);
  if (!is_zone_text(zone) || address.is_v4_mapped()) return fail(errc::not_an_address);
  return parse_zone(zone, find_zone).transform([&](std::uint32_t index) { return address.with_zone(index); });
}

result<endpoint> parse_endpoint(std::string_view text, zone_index_lookup find_zone) {
  endpoint end;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.rfind(']');
    if (close == std::string_view::npos) return fail(errc::not_an_address);
    const std::string_view inside = text.substr(1, close - 1);
    if (inside.find(':') == std::string_view::npos) return fail(errc::not_an_address);
    const result<ip_address> address = parse_address(inside, find_zone);
    if (!address) return fail(address.error());
    end.address = *address;
    port = text.substr(close + 1);
    if (port.empty()) return fail(errc::missing_port);
    if (port.front() != ':') return fail(errc::not_an_address);
    port.remove_prefix(1);
  } else {
    const std::size_t colon = text.find(':');
    const std::string_view host = text.substr(0, colon);
    // An address without brackets and port gets the error missing_port; other text is no address.
    if (text.empty() || parse_address(text, find_zone)) return fail(errc::missing_port);
    if (colon == std::string_view::npos) return fail(errc::not_an_address);
    if (!host.empty()) {
      const auto quad = parse_dotted_quad(host);
      if (!quad) return fail(errc::not_an_address);
      end.address = ip_address::v4_mapped(*quad);
    }
    port = text.substr(colon + 1);
  }
  const result<std::uint16_t> number = parse_port(port);
  if (!number) return fail(number.error());
  end.port = *number;
  return end;
}

}  // namespace uring6::inline v0
