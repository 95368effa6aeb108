// Destinations that take no trains, or none of long datagrams: what a sender has learnt of them, and for how long it
// believes it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <new>
#include <vector>

#include "uring6/address.hpp"

namespace uring6::detail {

class refusing_routes {
 public:
  using clock = std::chrono::steady_clock;

  /// How long a refusal is believed. Then the next train of such datagrams is tried: if the path has recovered, trains
  /// are back; if not, that one train is refused, and its datagrams go singly, as all others in the meantime. So a path
  /// that stays bad costs one refused train a second.
  static constexpr std::chrono::seconds refusal_lifetime{1};

  /// How many datagrams of this length may be one train there; `otherwise` where nothing is known, or no longer
  /// believed.
  std::size_t train_limit(const ip_address& to, std::size_t length, std::size_t otherwise) const noexcept {
    const auto refuses = [&](const refusal& each) { return each.route == to && length >= each.from_length; };
    const auto known = std::ranges::find_if(known_, refuses);
    return known == known_.end() || clock::now() >= known->until ? otherwise : 1;
  }

  /// Is a train of datagrams of this length a try: was one refused there?
  bool is_doubtful(const ip_address& route, std::size_t length) const noexcept {
    const auto refuses = [&](const refusal& each) { return each.route == route && length >= each.from_length; };
    return !known_.empty() && std::ranges::any_of(known_, refuses);
  }

  /// A train of datagrams of this length departs: until it is known what becomes of it, or `believed_for` has passed,
  /// no other one is tried.
  void on_train_sealed(const ip_address& route, std::size_t length) noexcept {
    if (known_.empty()) return;
    const auto known = std::ranges::find(known_, route, &refusal::route);
    if (known != known_.end() && length >= known->from_length) known->until = clock::now() + refusal_lifetime;
  }

  /// A train of datagrams of this length was refused. The oldest is forgotten for it where there are too many. Nothing
  /// is remembered where there is no memory for it.
  void remember(const ip_address& route, std::size_t from_length) noexcept {
    const auto known = std::ranges::find(known_, route, &refusal::route);
    const auto until = clock::now() + refusal_lifetime;
    if (known != known_.end()) {
      known->from_length = std::min(known->from_length, from_length);
      known->until = until;
      return;
    }
    if (known_.size() == max_routes) known_.erase(known_.begin());
    try {
      known_.push_back({route, from_length, until});
    } catch (const std::bad_alloc&) {  // then it is refused once more
    }
  }

  /// A train of datagrams of this length was taken: it is no refusing route for them.
  void on_train_taken(const ip_address& route, std::size_t length) noexcept {
    if (known_.empty()) return;
    const auto known = std::ranges::find(known_, route, &refusal::route);
    if (known != known_.end() && length >= known->from_length) known_.erase(known);
  }

 private:
  static constexpr std::size_t max_routes = 64;

  struct refusal {
    ip_address route;
    std::size_t from_length;  // the length of the datagrams that was refused; shorter ones may pass
    clock::time_point until;
  };

  std::vector<refusal> known_;
};

}  // namespace uring6::detail
