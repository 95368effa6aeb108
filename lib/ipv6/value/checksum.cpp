#include "uring6/checksum.hpp"

#include "ipv6/value/wire.hpp"

namespace uring6::inline v0 {
namespace {

// The sum of the 16-bit words, not folded; an odd last byte is padded with a zero byte. 64 bits have room for 2^48
// words.
std::uint64_t sum_of(wire::bytes bytes) noexcept {
  std::uint64_t sum = 0;
  while (bytes.size() >= 4) {
    sum += wire::load32(bytes);
    bytes = bytes.subspan(4);
  }
  if (bytes.size() >= 2) {
    sum += wire::load16(bytes);
    bytes = bytes.subspan(2);
  }
  if (!bytes.empty()) sum += std::uint64_t{wire::load8(bytes)} << 8;
  return sum;
}

// Folds a sum to 16 bits. 2^16 is 1 modulo 2^16 - 1: so carries are added at the low end, and a 32-bit word has the
// same sum as its two halves.
std::uint16_t fold(std::uint64_t sum) noexcept {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

}  // namespace

std::uint16_t internet_checksum(std::span<const std::byte> bytes) noexcept {
  return fold(sum_of(bytes));
}

std::uint16_t upper_layer_checksum(std::span<const std::byte> packet, const ip_address& source,
                                   const ip_address& destination, ip_protocol protocol) noexcept {
  const std::uint64_t pseudo_header = sum_of(std::as_bytes(std::span(source.bytes()))) +
                                      sum_of(std::as_bytes(std::span(destination.bytes()))) + packet.size() +
                                      static_cast<std::uint8_t>(protocol);
  return fold(pseudo_header + sum_of(packet));
}

}  // namespace uring6::inline v0
