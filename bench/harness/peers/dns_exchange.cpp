// Written without common/dns.cpp: a mistake of the responders would be in both. Answers are compared with their names
// written out, because servers compress them in different ways.
#include <algorithm>
#include <optional>
#include <string>

#include "common/dns.hpp"
#include "harness/peers/exchange.hpp"

namespace bench {
namespace {

using octets = std::basic_string<unsigned char>;

constexpr unsigned type_a = 1, type_soa = 6, type_aaaa = 28;

void append16(octets& to, unsigned value) {
  to += static_cast<unsigned char>(value >> 8);
  to += static_cast<unsigned char>(value);
}

void append32(octets& to, std::uint32_t value) {
  append16(to, value >> 16);
  append16(to, value & 0xffff);
}

void append_name(octets& to, std::initializer_list<std::string> labels) {
  for (const std::string& label : labels) {
    to += static_cast<unsigned char>(label.size());
    to.append(label.begin(), label.end());
  }
  to += static_cast<unsigned char>(0);
}

/// Reads a message front to back, and writes it without pointers and without the lengths of its records' data.
class expander {
 public:
  explicit expander(std::span<const std::byte> message) : message_(message) {}

  /// Nothing for octets that are no message.
  std::optional<octets> expand() {
    copy(4);
    unsigned counts[4];
    for (unsigned& each : counts) each = copy16();
    for (unsigned i = 0; i < counts[0] && good_; ++i) {
      copy_name();
      copy(4);
    }
    for (unsigned i = 0; i < counts[1] + counts[2] + counts[3] && good_; ++i) copy_record();
    if (!good_ || at_ != message_.size()) return std::nullopt;
    return out_;
  }

 private:
  unsigned octet(std::size_t at) {
    if (at >= message_.size()) good_ = false;
    return good_ ? std::to_integer<unsigned>(message_[at]) : 0;
  }

  void copy(std::size_t count) {
    for (; count > 0 && good_; --count) out_ += static_cast<unsigned char>(octet(at_++));
  }

  unsigned copy16() {
    const unsigned value = octet(at_) << 8 | octet(at_ + 1);
    copy(2);
    return value;
  }

  void copy_record() {
    copy_name();
    const unsigned type = copy16();
    copy(2 + 4);
    const std::size_t length = octet(at_) << 8 | octet(at_ + 1);
    at_ += 2;
    const std::size_t end = at_ + length;
    if (type == type_soa) {
      copy_name();
      copy_name();
    }
    if (at_ > end) good_ = false;
    copy(end - at_);
  }

  /// A pointer must lead to an earlier place, so that following pointers ends.
  void copy_name() {
    std::size_t at = at_;
    bool followed = false;
    for (unsigned length = octet(at); good_ && length != 0; length = octet(at)) {
      if (length < 0xc0) {
        for (unsigned i = 0; i <= length; ++i) out_ += static_cast<unsigned char>(octet(at + i));
        at += 1 + length;
      } else {
        const std::size_t target = (length & 0x3f) << 8 | octet(at + 1);
        if (!followed) at_ = at + 2;
        followed = true;
        if (target >= at) good_ = false;
        at = target;
      }
    }
    out_ += static_cast<unsigned char>(0);
    if (!followed) at_ = at + 1;
  }

  std::span<const std::byte> message_;
  std::size_t at_ = 0;
  bool good_ = true;
  octets out_;
};

/// A question by its number.
struct question {
  std::uint64_t number;

  // Neighbours of the sequence are far apart in the zone.
  std::uint32_t host() const { return static_cast<std::uint32_t>(number * 7919 % dns::hosts); }
  bool exists() const { return number % 16 != 15; }
  unsigned type() const { return number / 16 % 2 == 1 ? type_aaaa : type_a; }
  std::string label() const {
    std::string text = exists() ? "h" : "none";
    return text.append(std::to_string(host()));
  }
};

octets message(const question& of, unsigned flags, unsigned answers, unsigned authorities) {
  octets made;
  append16(made, static_cast<unsigned>(of.number & 0xffff));
  for (const unsigned each : {flags, 1u, answers, authorities, 0u}) append16(made, each);
  append_name(made, {of.label(), "bench", "test"});
  append16(made, of.type());
  append16(made, 1);
  return made;
}

/// With its names written out, and without the length of its data.
octets expanded_answer(const question& of) {
  octets made = of.exists() ? message(of, 0x8400, 1, 0) : message(of, 0x8403, 0, 1);
  if (of.exists())
    append_name(made, {of.label(), "bench", "test"});
  else
    append_name(made, {"bench", "test"});
  append16(made, of.exists() ? of.type() : type_soa);
  append16(made, 1);
  append32(made, of.exists() ? 3600 : 300);
  if (!of.exists()) {
    append_name(made, {"ns", "bench", "test"});
    append_name(made, {"hostmaster", "bench", "test"});
    for (const std::uint32_t each : {1u, 3600u, 900u, 604'800u, 300u}) append32(made, each);
  } else if (of.type() == type_aaaa) {
    for (const std::uint32_t each : {0x2001'0002u, 0u, 0u, of.host()}) append32(made, each);
  } else {
    append32(made, 0xc612'0000 | of.host());
  }
  return made;
}

class queries : public exchange {
 public:
  std::size_t ask(std::span<std::byte> room, std::uint64_t number) const override {
    const octets made = message({number}, 0, 0, 0);
    std::ranges::transform(made, room.begin(), [](unsigned char each) { return std::byte{each}; });
    return made.size();
  }

  bool is_answer(std::span<const std::byte> said, std::uint64_t number) const override {
    return expander(said).expand() == expanded_answer({number});
  }
};

}  // namespace

std::shared_ptr<const exchange> dns_exchange() {
  return std::make_shared<queries>();
}

}  // namespace bench
