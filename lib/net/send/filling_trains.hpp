// The trains of a loop that still take datagrams while their conns write to other destinations, found by conn and
// destination. So datagrams to many destinations in turn leave as one train for each destination. Nothing is allocated:
// the trains are linked into the buckets of this table.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "net/send/send_train.hpp"
#include "uring6/address.hpp"

namespace uring6::inline v0::detail {

class filling_trains {
 public:
  /// The train of this conn to this destination; nullptr if the table has none. A conn has one train to each
  /// destination at most. Peers choose their addresses and could fill one bucket: a search then passes the 64 trains of
  /// each conn of that bucket at most.
  send_train* find(const sender& owner, const endpoint& destination) const noexcept {
    for (send_train* each = first_[bucket_of(destination)]; each; each = each->next_in_bucket) {
      if (each->destination() == destination && each->owner == &owner) return each;
    }
    return nullptr;
  }

  /// Precondition (asserted): the train's conn has no other train to this destination in the table.
  void add(send_train& train) noexcept {
    assert(!find(*train.owner, train.destination()) && "a conn fills one train to each destination");
    send_train*& first = first_[bucket_of(train.destination())];
    train.next_in_bucket = first;
    first = &train;
  }

  /// Precondition (asserted): the table has the train.
  void remove(send_train& train) noexcept {
    send_train** at = &first_[bucket_of(train.destination())];
    while (*at != &train) {
      assert(*at && "the train is not in the table");
      at = &(*at)->next_in_bucket;
    }
    *at = train.next_in_bucket;
  }

 private:
  /// Four buckets for each train that one conn may hold, so that most buckets have one train.
  static constexpr std::size_t buckets = 256;

  static std::size_t bucket_of(const endpoint& destination) noexcept {
    // Odd numbers without a pattern (the golden ratio, the constants of splitmix64). The product carries every bit of
    // the address and the port into its highest octet.
    const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(destination.address.bytes());
    const std::uint64_t folded = halves[0] * 0xbf58'476d'1ce4'e5b9U + halves[1] + destination.address.zone() +
                                 (std::uint64_t{destination.port} << 16);
    return static_cast<std::size_t>(((folded ^ folded >> 32) * 0x9e37'79b9'7f4a'7c15U) >> 56);
  }

  std::array<send_train*, buckets> first_{};
};

}  // namespace uring6::inline v0::detail
