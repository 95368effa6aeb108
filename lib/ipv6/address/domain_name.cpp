#include "uring6/icmp/domain_name.hpp"

#include <fmt/format.h>
#include <cassert>

#include <algorithm>
#include <iterator>

#include "ipv6/value/wire.hpp"
#include "uring6/icmp/option.hpp"

namespace uring6::inline v0::icmp {
namespace {

constexpr std::size_t max_label = 63;

// The size of the name at the beginning of the bytes, octets; 0 if they do not begin with a name.
std::size_t measure(wire::bytes bytes, std::size_t limit) noexcept {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t label = wire::load8(bytes, at);
    if (label > max_label) return 0;
    at += 1 + label;
    if (at > limit) return 0;
    if (label == 0) return at == 1 ? 0 : at;
  }
  return 0;
}

bool is_printable(char c) noexcept {
  return c > ' ' && c <= '~';
}

}  // namespace

result<domain_name> domain_name::parse(std::string_view text) noexcept {
  if (text.ends_with('.')) text.remove_suffix(1);
  domain_name name;
  wire::writer out(name.wire_);
  while (true) {
    const std::string_view label = text.substr(0, text.find('.'));
    if (label.empty() || label.size() > max_label || !std::ranges::all_of(label, is_printable))
      return fail(errc::malformed);
    out.u8(static_cast<unsigned>(label.size()));
    out.copy(std::as_bytes(std::span(label)));
    if (label.size() == text.size()) break;
    text.remove_prefix(label.size() + 1);
  }
  out.u8(0);
  const auto size = out.size();
  if (!size) return fail(errc::malformed);
  assert(*size > 1 && *size <= name.wire_.size() && "a name has a label, and an empty one at its end");
  name.size_ = static_cast<std::uint8_t>(*size);
  return name;
}

result<domain_name> domain_name::decode(std::span<const std::byte> bytes) noexcept {
  domain_name name;
  const std::size_t size = measure(bytes, name.wire_.size());
  if (size == 0) return fail(errc::malformed);
  assert(size <= name.wire_.size());
  std::ranges::copy(bytes.first(size), name.wire_.begin());
  name.size_ = static_cast<std::uint8_t>(size);
  return name;
}

std::string to_string(const domain_name& name) {
  std::string text;
  wire::reader in(name.wire());
  while (const std::size_t label = in.u8()) {
    if (!text.empty()) text += '.';
    for (const std::byte b : in.take(label)) {
      const char c = std::to_integer<char>(b);
      if (!is_printable(c)) {
        fmt::format_to(std::back_inserter(text), "\\{:03}", std::to_integer<unsigned>(b));
        continue;
      }
      if (c == '.' || c == '\\') text += '\\';
      text += c;
    }
  }
  return text;
}

namespace detail {

std::size_t element<domain_name>::size(std::span<const std::byte> rest) noexcept {
  return measure(rest, 255);
}

domain_name element<domain_name>::read(std::span<const std::byte> bytes) noexcept {
  return *domain_name::decode(bytes);
}

}  // namespace detail
}  // namespace uring6::inline v0::icmp
