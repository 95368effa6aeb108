#include "common/dns.hpp"

#include <algorithm>
#include <cstring>

namespace bench::dns {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view apex = "\5bench\4test\0"sv;
constexpr std::size_t header_size = 12;
constexpr std::size_t longest_name = 255, longest_label = 63;
constexpr unsigned type_a = 1, type_aaaa = 28, class_in = 1;
enum rcode : unsigned { no_error = 0, format_error = 1, name_error = 3, not_implemented = 4, refused = 5 };

/// Octets of a record's fields. \300 begins a pointer, whose second octet is written into the copy: to the name of the
/// question, or to the zone's name in it.
constexpr std::string_view a_record = "\300\14\0\1\0\1\0\0\16\20\0\4\306\22"sv;
constexpr std::string_view aaaa_record = "\300\14\0\34\0\1\0\0\16\20\0\20\40\1\0\2\0\0\0\0\0\0\0\0\0\0"sv;
constexpr std::string_view soa_record =
    "\300?\0\6\0\1\0\0\1\54\0\46\2ns\300?\12hostmaster\300?"
    "\0\0\0\1\0\0\16\20\0\0\3\204\0\11\72\200\0\0\1\54"sv;
constexpr std::array<std::size_t, 3> zone_pointers{1, 16, 29};

/// Writes a message front to back.
struct writer {
  std::byte* at;
  void number16(std::size_t value) noexcept {
    *at++ = static_cast<std::byte>(value >> 8);
    *at++ = static_cast<std::byte>(value);
  }
  void text(std::string_view octets) noexcept {
    at = std::copy_n(reinterpret_cast<const std::byte*>(octets.data()), octets.size(), at);
  }
};

unsigned number16(const std::byte* at) noexcept {
  return std::to_integer<unsigned>(at[0]) << 8 | std::to_integer<unsigned>(at[1]);
}

/// The name of a question in lower case, and its length; 0: it is no name without a pointer that ends in `octets`.
std::size_t read_name(std::span<const std::byte> octets, std::array<char, longest_name>& name) noexcept {
  std::size_t at = 0;
  while (at < octets.size() && at < longest_name) {
    const auto label = std::to_integer<std::size_t>(octets[at]);
    name[at++] = static_cast<char>(label);
    if (label == 0) return at;
    if (label > longest_label || octets.size() - at <= label || longest_name - at <= label) return 0;
    for (const std::size_t end = at + label; at < end; ++at) {
      const char c = static_cast<char>(octets[at]);
      name[at] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    }
  }
  return 0;
}

/// The place of the zone's name in `name`; `npos` if the name is of another zone.
std::size_t find_apex(std::string_view name) noexcept {
  for (std::size_t at = 0; at < name.size(); at += 1 + static_cast<unsigned char>(name[at])) {
    if (name.substr(at) == apex) return at;
  }
  return name.npos;
}

}  // namespace

zone::zone() {
  hosts_.reserve(hosts);
  for (std::uint32_t number = 0; number < hosts; ++number) {
    const std::string digits = std::to_string(number);
    std::string name(1, static_cast<char>(1 + digits.size()));
    name.append("h").append(digits).append(apex);
    hosts_.emplace(std::move(name), number);
  }
}

std::size_t zone::answer(std::span<const std::byte> query, std::span<std::byte, largest_answer> room) const noexcept {
  if (query.size() < header_size || (query[2] & std::byte{0x80}) != std::byte{}) return 0;
  writer to{room.data() + header_size};
  unsigned questions = 0, answers = 0, authorities = 0;
  const auto finish = [&](rcode code, unsigned authoritative = 0) {
    const auto end = static_cast<std::size_t>(to.at - room.data());
    to.at = room.data();
    to.number16(number16(query.data()));
    // Opcode and RD are the query's (RFC 1035, 4.1.1).
    to.number16(0x8000 | (number16(query.data() + 2) & 0x7900) | authoritative | code);
    for (const unsigned count : {questions, answers, authorities, 0u}) to.number16(count);
    return end;
  };
  if ((query[2] & std::byte{0x78}) != std::byte{}) return finish(not_implemented);
  std::array<char, longest_name> lower;
  const auto behind = query.subspan(header_size);
  const std::size_t length = read_name(behind, lower);
  if (number16(query.data() + 4) != 1 || length == 0 || behind.size() - length < 4) return finish(format_error);
  to.text({reinterpret_cast<const char*>(behind.data()), length + 4});
  questions = 1;
  const unsigned type = number16(behind.data() + length);
  const std::string_view name(lower.data(), length);
  if (number16(behind.data() + length + 2) != class_in) return finish(refused);

  constexpr unsigned authoritative = 0x0400;
  const auto found = hosts_.find(name);
  if (found != hosts_.end() && (type == type_a || type == type_aaaa)) {
    to.text(type == type_a ? a_record : aaaa_record);
    to.number16(found->second);
    answers = 1;
    return finish(no_error, authoritative);
  }
  const std::size_t zone_at = find_apex(name);
  if (zone_at == name.npos) return finish(refused);
  std::byte* const soa = to.at;
  to.text(soa_record);
  for (const std::size_t place : zone_pointers) soa[place] = static_cast<std::byte>(header_size + zone_at);
  authorities = 1;
  return finish(found != hosts_.end() || zone_at == 0 ? no_error : name_error, authoritative);
}

}  // namespace bench::dns
