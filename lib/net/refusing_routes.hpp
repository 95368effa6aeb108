// Destinations that take no trains, or none of long datagrams: what a sender has learnt of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>

#include "uring6/address.hpp"

namespace uring6::detail {

class refusing_routes {
 public:
  /// How many datagrams of this length may be one train there; `otherwise` where nothing is known.
  std::size_t limit_towards(const ip_address& to, std::size_t length, std::size_t otherwise) const noexcept {
    const auto refuses = [&](const refusal& each) { return each.route == to && length >= each.from; };
    return std::ranges::any_of(known_, refuses) ? 1 : otherwise;
  }

  /// A train of datagrams of this length was refused. The oldest is forgotten for it where there are too many.
  void remember(const ip_address& route, std::size_t from) noexcept {
    const auto known = std::ranges::find(known_, route, &refusal::route);
    if (known != known_.end()) {
      known->from = std::min(known->from, from);
      return;
    }
    if (known_.size() == most) known_.erase(known_.begin());
    try {
      known_.push_back({route, from});
    } catch (const std::bad_alloc&) {
      // The next train there is refused, too, and sent again one by one.
    }
  }

 private:
  static constexpr std::size_t most = 64;

  struct refusal {
    ip_address route;
    std::size_t from;  // the length of the datagrams that was refused; shorter ones may pass
  };

  std::vector<refusal> known_;
};

}  // namespace uring6::detail
