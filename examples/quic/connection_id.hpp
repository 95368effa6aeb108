// Connection ids (RFC 9000, 5.1), and the tokens that belong to them.
#pragma once

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>

namespace quic {

/// Octets of the connection ids that this side chooses. A std::string holds them without an allocation.
inline constexpr std::size_t id_length = 12;

inline void fill_random(std::span<std::uint8_t> to) {
  if (gnutls_rnd(GNUTLS_RND_RANDOM, to.data(), to.size()) != 0) throw std::runtime_error("no random numbers");
}

/// At most NGTCP2_MAX_CIDLEN octets.
inline ngtcp2_cid random_id(std::size_t length) {
  std::array<std::uint8_t, NGTCP2_MAX_CIDLEN> octets;
  fill_random(std::span(octets).first(length));
  ngtcp2_cid id;
  ngtcp2_cid_init(&id, octets.data(), length);
  return id;
}

inline std::string_view id_text(const ngtcp2_cid& id) {
  return {reinterpret_cast<const char*>(id.data), id.datalen};
}

/// Writes the 16 octets by which the peer knows that this side has forgotten the connection (RFC 9000, 10.3).
inline void write_reset_token(std::uint8_t* to, const ngtcp2_cid& of) {
  static const auto key = [] {
    std::array<std::uint8_t, 32> made;
    fill_random(made);
    return made;
  }();
  if (ngtcp2_crypto_generate_stateless_reset_token(to, key.data(), key.size(), &of) != 0) {
    throw std::runtime_error("QUIC: no token for a stateless reset");
  }
}

}  // namespace quic
