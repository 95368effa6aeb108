// The destinations on whose way a train was refused, and the datagram length at which they refused it. Until an entry
// expires the sender sends datagrams of that length or longer singly.
#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <new>
#include <vector>

#include "uring6/address.hpp"

namespace uring6::inline v0::detail {

class refusing_destinations {
 public:
  using clock = std::chrono::steady_clock;

  /// For how long the sender sends singly after a refusal. Then it tries one train: if the kernel takes that train, the
  /// entry is erased; if the kernel refuses it, the period begins again. So a path that stays bad costs one refused
  /// train per second, and a path that has recovered has its trains back after one second at most.
  static constexpr std::chrono::seconds refusal_lifetime{1};

  /// How many datagrams of this length one train to `to` may have: 1 where an entry has not expired, else `otherwise`.
  std::size_t train_limit(const ip_address& to, std::size_t length, std::size_t otherwise) const noexcept {
    assert(otherwise > 0 && "a train has at least one datagram");
    const auto refuses = [&](const refusal& each) { return each.destination == to && length >= each.min_length; };
    const auto known = std::ranges::find_if(known_, refuses);
    return known == known_.end() || clock::now() >= known->until ? otherwise : 1;
  }

  /// Has this destination refused a train of datagrams of this length, or of shorter ones? True also after the entry
  /// expired.
  bool is_doubtful(const ip_address& to, std::size_t length) const noexcept {
    const auto refuses = [&](const refusal& each) { return each.destination == to && length >= each.min_length; };
    return !known_.empty() && std::ranges::any_of(known_, refuses);
  }

  /// The sender is about to send a train to this destination. It tries no other one there until the kernel has
  /// answered, or `refusal_lifetime` has passed.
  void on_train_sealed(const ip_address& to, std::size_t length) noexcept {
    if (known_.empty()) return;
    const auto known = std::ranges::find(known_, to, &refusal::destination);
    if (known != known_.end() && length >= known->min_length) known->until = clock::now() + refusal_lifetime;
  }

  /// The kernel refused a train of datagrams of `length` octets, and one of them then went singly: a refusal that
  /// single datagrams meet as well says nothing about trains. Replaces the oldest entry when there are
  /// `max_destinations`. Without memory for an entry nothing is remembered: the next train costs one more refusal.
  void remember(const ip_address& to, std::size_t length) noexcept {
    assert(length > 0 && "a train has datagrams of at least one octet");
    const auto known = std::ranges::find(known_, to, &refusal::destination);
    const auto until = clock::now() + refusal_lifetime;
    assert(known_.size() <= max_destinations);
    if (known != known_.end()) {
      known->min_length = std::min(known->min_length, length);
      known->until = until;
      return;
    }
    if (known_.size() == max_destinations) known_.erase(known_.begin());
    try {
      known_.push_back({to, length, until});
    } catch (const std::bad_alloc&) {
    }
  }

  /// The kernel took a train of datagrams of this length: the destination's entry is erased if it was about such a
  /// train.
  void on_train_taken(const ip_address& to, std::size_t length) noexcept {
    if (known_.empty()) return;
    const auto known = std::ranges::find(known_, to, &refusal::destination);
    if (known != known_.end() && length >= known->min_length) known_.erase(known);
  }

 private:
  /// Entries of one conn. The sender searches all of them for each train, so they are few.
  static constexpr std::size_t max_destinations = 64;

  struct refusal {
    ip_address destination;
    std::size_t min_length;  // octets of a datagram: trains of shorter datagrams may pass
    clock::time_point until;
  };

  std::vector<refusal> known_;
};

}  // namespace uring6::inline v0::detail
