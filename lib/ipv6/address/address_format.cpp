#include <algorithm>
#include <cassert>
#include <charconv>

#include "ipv6/address/address_text.hpp"

namespace uring6::inline v0 {
namespace {

constexpr std::size_t group_count = 8;
using groups_type = std::array<std::uint16_t, group_count>;

groups_type groups_of(const ip_address& address) noexcept {
  groups_type groups{};
  for (std::size_t i = 0; i < group_count; ++i) {
    groups[i] = static_cast<std::uint16_t>(address.bytes()[2 * i] << 8 | address.bytes()[2 * i + 1]);
  }
  return groups;
}

struct run {
  std::size_t first = group_count;
  std::size_t length = 0;
};

// The run of zero groups that "::" replaces: the longest one, the first of equally long ones, and never a single group
// (RFC 5952, 4.2).
run longest_zeros(const groups_type& groups) noexcept {
  run longest;
  run current;
  for (std::size_t i = 0; i < group_count; ++i) {
    if (groups[i] != 0) {
      current = {};
      continue;
    }
    if (current.length++ == 0) current.first = i;
    if (current.length > longest.length) longest = current;
  }
  assert(longest.first + longest.length <= group_count);
  return longest.length > 1 ? longest : run{};
}

void append_groups(address_text& text, const ip_address& address) noexcept {
  const groups_type groups = groups_of(address);
  const run zeros = longest_zeros(groups);
  for (std::size_t i = 0; i < group_count; ++i) {
    if (i == zeros.first) {
      text.append("::");
      i += zeros.length - 1;
      continue;
    }
    if (i != 0 && i != zeros.first + zeros.length) text.append(":");
    text.append(groups[i], 16);
  }
}

void append_dotted_quad(address_text& text, const ip_address::v4_bytes_type& quad) noexcept {
  text.append("::ffff:");
  for (std::size_t i = 0; i < quad.size(); ++i) {
    if (i != 0) text.append(".");
    text.append(quad[i], 10);
  }
}

void append_address(address_text& text, const ip_address& address, zone_name_lookup find_name) {
  if (const auto quad = address.to_v4()) {
    append_dotted_quad(text, *quad);
  } else {
    append_groups(text, address);
  }
  if (address.zone() == 0) return;
  std::array<char, zone_name_size> buffer{};
  const std::string_view name = find_name(address.zone(), buffer);
  text.append("%");
  if (name.empty()) {
    text.append(address.zone(), 10);
  } else {
    text.append(name);
  }
}

}  // namespace

void address_text::append(std::string_view text) noexcept {
  assert(text.size() <= capacity - size_);
  const std::size_t length = std::min(text.size(), capacity - size_);
  std::copy_n(text.data(), length, chars_.data() + size_);
  size_ += length;
}

void address_text::append(std::uint32_t value, int base) noexcept {
  const auto [end, error] = std::to_chars(chars_.data() + size_, chars_.data() + capacity, value, base);
  assert(error == std::errc{} && "the number does not fit");
  if (error == std::errc{}) size_ = static_cast<std::size_t>(end - chars_.data());
}

address_text format_address(const ip_address& address, zone_name_lookup find_name) {
  address_text text;
  append_address(text, address, find_name);
  return text;
}

address_text format_endpoint(const endpoint& end, zone_name_lookup find_name) {
  address_text text;
  text.append("[");
  append_address(text, end.address, find_name);
  text.append("]:");
  text.append(end.port, 10);
  return text;
}

}  // namespace uring6::inline v0
