// The parts of a DNS message (RFC 1035, 4.1) that a multicast DNS responder and a forwarder read and write.
#pragma once

#include <algorithm>
#include <cassert>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dns {

constexpr std::uint16_t type_aaaa = 28, type_any = 255;
constexpr std::uint16_t class_in = 1, class_any = 255;
/// The top bit of a class: in a question that a unicast answer is accepted, in an answer that it replaces all others of
/// its name and type (RFC 6762, 18.12 and 18.13).
constexpr std::uint16_t top_bit = 0x8000;
constexpr std::uint16_t flag_response = 0x8000, flag_authoritative = 0x0400, opcode_mask = 0x7800;

/// Names are in wire form without compression: a length before each label, and a 0 at the end.
struct question {
  std::string name;
  std::uint16_t type = 0;
  std::uint16_t class_and_bit = 0;
};

struct record {
  std::string name;
  std::uint16_t type = 0;
  std::uint16_t class_and_bit = 0;
  std::uint32_t lifetime = 0;  ///< Seconds; 0 withdraws the record.
  std::string data;            ///< As in the message; names inside may be compressed.
};

struct message {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::vector<question> questions{};
  std::vector<record> answers{};
  std::vector<record> authorities{};
};

/// DNS compares names without regard to the case of ASCII letters.
inline bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::ranges::equal(a, b, {}, lower, lower);
}

/// "host.local" in wire form; nothing for an empty label or one of more than 63 octets.
inline std::optional<std::string> to_wire(std::string_view name) {
  constexpr std::size_t longest_label = 63;
  std::string labels;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > longest_label) return {};
    labels += static_cast<char>(label.size());
    labels += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return labels + '\0';
}

/// Reads a message front to back. A read beyond its end sets `bad`, and gives 0.
class reader {
 public:
  explicit reader(std::span<const std::byte> bytes)
      : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  std::string_view take(std::size_t length) {
    if (text_.size() - at_ < length) bad = true;
    if (bad) return {};
    at_ += length;
    return text_.substr(at_ - length, length);
  }

  std::uint32_t number(std::size_t octets) {
    std::uint32_t value = 0;
    for (const char c : take(octets)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::uint16_t number16() { return static_cast<std::uint16_t>(number(2)); }

  /// A pointer must lead to an earlier place than the name that holds it, so that following pointers ends.
  std::string name() {
    constexpr std::size_t longest_name = 255;
    std::string labels;
    std::optional<std::size_t> behind;  // the place to read on after the first pointer
    std::size_t start = at_;
    for (;;) {
      const std::size_t length = number(1);
      if (bad || length == 0) break;
      if (length >= 0xc0) {
        const std::size_t target = (length & 0x3f) << 8 | number(1);
        if (!behind) behind = at_;
        bad = bad || target >= start;
        start = at_ = bad ? at_ : target;
        continue;
      }
      labels += static_cast<char>(length);
      labels += take(length);
      if (labels.size() > longest_name) bad = true;
    }
    if (behind) at_ = *behind;
    return labels + '\0';
  }

  bool bad = false;

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

/// Returns nothing for malformed octets. The additional section is not read.
inline std::optional<message> parse(std::span<const std::byte> bytes) {
  reader in(bytes);
  message read{.id = in.number16(), .flags = in.number16()};
  const std::uint16_t questions = in.number16();
  const std::uint16_t answers = in.number16();
  const std::uint16_t authorities = in.number16();
  (void)in.number16();
  for (int i = 0; i < questions && !in.bad; ++i) {
    question& each = read.questions.emplace_back();
    each.name = in.name();
    each.type = in.number16();
    each.class_and_bit = in.number16();
  }
  for (int i = 0; i < answers + authorities && !in.bad; ++i) {
    record& each = (i < answers ? read.answers : read.authorities).emplace_back();
    each.name = in.name();
    each.type = in.number16();
    each.class_and_bit = in.number16();
    each.lifetime = in.number(4);
    each.data = in.take(in.number16());
  }
  if (in.bad) return {};
  return read;
}

inline void append(std::string& to, std::size_t value, int octets) {
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

inline std::string to_bytes(const message& said) {
  std::string made;
  for (const std::size_t each : {std::size_t{said.id}, std::size_t{said.flags}, said.questions.size(),
                                 said.answers.size(), said.authorities.size(), std::size_t{0}}) {
    append(made, each, 2);
  }
  for (const question& each : said.questions) {
    made += each.name;
    append(made, each.type, 2);
    append(made, each.class_and_bit, 2);
  }
  for (const auto* section : {&said.answers, &said.authorities}) {
    for (const record& each : *section) {
      made += each.name;
      append(made, each.type, 2);
      append(made, each.class_and_bit, 2);
      append(made, each.lifetime, 4);
      append(made, each.data.size(), 2);
      made += each.data;
    }
  }
  return made;
}

/// The id, the flags and the question of a message; nothing for octets that are no message with one question. The
/// records behind the question are not read.
inline std::optional<message> read_head(std::span<const std::byte> octets) {
  reader in(octets);
  message head{.id = in.number16(), .flags = in.number16()};
  const bool one_question = in.number16() == 1;
  (void)in.take(6);  // the numbers of records
  head.questions.push_back({in.name(), in.number16(), in.number16()});
  if (in.bad || !one_question) return {};
  return head;
}

/// An answer is no query: two servers that answer answers would do so for ever.
inline bool is_query(const std::optional<message>& head) {
  return head && !(head->flags & flag_response);
}

/// Whether a message answers a query with this question. The ids are the caller's to compare.
inline bool is_answer_to(const message& query, const std::optional<message>& answer) {
  if (!answer || !(answer->flags & flag_response)) return false;
  const question& asked = query.questions.front();
  const question& told = answer->questions.front();
  return same_name(asked.name, told.name) && asked.type == told.type && asked.class_and_bit == told.class_and_bit;
}

/// The answer SERVFAIL (RFC 1035, 4.1.1).
inline std::string failure_of(message query) {
  constexpr std::uint16_t recursion_desired = 0x0100, server_failure = 2;
  query.flags &= opcode_mask | recursion_desired;
  query.flags |= flag_response | server_failure;
  return to_bytes(query);
}

/// Precondition: the message has been read by `read_head`.
inline void set_id(std::string& made, std::uint16_t id) {
  assert(made.size() >= 2);
  made[0] = static_cast<char>(id >> 8);
  made[1] = static_cast<char>(id & 0xff);
}

/// A message as TCP carries it: behind its length (RFC 1035, 4.2.2).
inline std::string framed(const std::string& made) {
  std::string with_length;
  append(with_length, made.size(), 2);
  return with_length + made;
}

}  // namespace dns
