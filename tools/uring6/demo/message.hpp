// The first octets of every datagram of the demo; the rest is padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace uring6::tool {

struct message {
  enum class kind : std::uint32_t { sample, burst, answer };

  std::uint64_t token{};  ///< Of this run: other programs can send to the server's port, too.
  kind what{};
  std::uint32_t sequence{};  ///< Counted for each kind; an answer has that of its question.
  std::uint64_t wants_answer{};
};
static_assert(std::has_unique_object_representations_v<message>);

inline constexpr std::size_t shortest_payload = sizeof(message);

/// Writes into the beginning of `payload`, which has room for it. Byte order is the host's: the datagram does not leave
/// it.
inline void write_message(const message& from, std::span<std::byte> payload) noexcept {
  std::memcpy(payload.data(), &from, sizeof from);
}

/// Returns nothing for a datagram of another program.
inline std::optional<message> read_message(std::span<const std::byte> payload, std::uint64_t token) noexcept {
  message read;
  if (payload.size() < sizeof read) return std::nullopt;
  std::memcpy(&read, payload.data(), sizeof read);
  if (read.token != token) return std::nullopt;
  return read;
}

}  // namespace uring6::tool
