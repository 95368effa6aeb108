// The payload of every datagram of the benchmark, and the check of it that every subject makes.
//
// The Go peer has the same rules in go/payload.go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bench {

constexpr std::size_t largest_payload = 2048;

/// The first bytes of a payload, little-endian.
struct stamp {
  std::uint64_t sequence;
  std::uint32_t size;   // of the whole payload, stamp included
  std::uint32_t check;  // of both fields above
};
static_assert(sizeof(stamp) == 16);

constexpr std::uint32_t check_word(std::uint64_t sequence, std::size_t size) noexcept {
  return static_cast<std::uint32_t>(((sequence + size) * 0x9E37'79B9'7F4A'7C15u) >> 32);
}

/// The bytes behind the stamp are the same in every datagram, by position.
constexpr auto pattern = [] {
  std::array<std::byte, largest_payload> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  return bytes;
}();

/// Every n-th datagram is compared byte by byte, the others by their stamp.
constexpr std::uint64_t full_check_interval = 64;

inline void write_stamp(std::byte* payload, std::size_t size, std::uint64_t sequence) noexcept {
  const stamp s{sequence, static_cast<std::uint32_t>(size), check_word(sequence, size)};
  std::memcpy(payload, &s, sizeof s);
}

inline void write_pattern(std::byte* payload, std::size_t size) noexcept {
  std::memcpy(payload + sizeof(stamp), pattern.data() + sizeof(stamp), size - sizeof(stamp));
}

/// The datagrams that a receiver has read so far. The sum of the sequence numbers shows a datagram that came twice
/// while another one was lost.
struct tally {
  std::uint64_t datagrams = 0;
  std::uint64_t bad = 0;  // payloads that differ from what was sent
  std::uint64_t sequence_sum = 0;
  std::uint64_t controls = 0;  // control messages with the values that were sent
  std::uint64_t buffers = 0;   // buffers that the kernel filled; a train of segments is one

  void take(const std::byte* payload, std::size_t size) noexcept {
    stamp s{};
    if (size >= sizeof s) std::memcpy(&s, payload, sizeof s);
    bool good = s.size == size && s.check == check_word(s.sequence, size) && size <= largest_payload;
    if (good && s.sequence % full_check_interval == 0) {
      good = std::memcmp(payload + sizeof s, pattern.data() + sizeof s, size - sizeof s) == 0;
    }
    ++datagrams;
    bad += good ? 0 : 1;
    sequence_sum += s.sequence;
  }

  tally& operator+=(const tally& other) noexcept {
    datagrams += other.datagrams;
    bad += other.bad;
    sequence_sum += other.sequence_sum;
    controls += other.controls;
    buffers += other.buffers;
    return *this;
  }

  /// All the datagrams of one buffer: `size` bytes cut every `segment` bytes.
  void take_train(const std::byte* payload, std::size_t size, std::size_t segment) noexcept {
    ++buffers;
    if (segment == 0 || size <= segment) return take(payload, size);
    for (std::size_t at = 0; at < size; at += segment) {
      take(payload + at, size - at < segment ? size - at : segment);
    }
  }
};

}  // namespace bench
