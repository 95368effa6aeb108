#include "outbox.hpp"

#include <cstring>

namespace quic {

namespace {

bool is_equal(const sockaddr_in6& mine, const ngtcp2_addr& other) {
  return other.addrlen == sizeof mine && std::memcmp(&mine, other.addr, sizeof mine) == 0;
}

sockaddr_in6 copy_of(const ngtcp2_addr& of) {
  sockaddr_in6 copy;
  std::memcpy(&copy, of.addr, sizeof copy);
  return copy;
}

}  // namespace

bool outbox::joins_last(std::size_t length, const ngtcp2_path& along, std::uint32_t ecn) const {
  return !complete_ && length <= slots_.back().segment && ecn == ecn_ && is_equal(remote_, along.remote) &&
         is_equal(local_, along.local);
}

void outbox::add(std::size_t length, const ngtcp2_path& along, std::uint32_t ecn) {
  const auto packet = std::as_bytes(std::span(memory_).subspan(used_, length));
  used_ += length;
  if (joins_last(length, along, ecn)) {
    u6::write_slot& last = slots_.back();
    last.payload = {last.payload.data(), last.payload.size() + length};
    complete_ = length < last.segment;
    return;
  }
  local_ = copy_of(along.local);
  remote_ = copy_of(along.remote);
  ecn_ = ecn;
  complete_ = false;
  u6::write_slot slot{.payload = packet, .destination = u6::endpoint::from_sockaddr(remote_), .segment = length};
  // The packet leaves from the address of its path: on the server the one that was asked (IPV6_PKTINFO).
  slot.control.source = u6::endpoint::from_sockaddr(local_).address;
  if (ecn != NGTCP2_ECN_NOT_ECT) slot.control.set_ecn(static_cast<int>(ecn));
  slots_.push_back(slot);
}

void outbox::clear() {
  slots_.clear();
  used_ = 0;
  complete_ = true;
}

}  // namespace quic
