#include "net/send/zero_copy.hpp"

#include <algorithm>

namespace uring6::detail {
namespace {

constexpr std::size_t max_pages = 17;  // MAX_SKB_FRAGS where it is smallest; beyond: EMSGSIZE

}  // namespace

bool zero_copy_choice::takes(const send_train& train) noexcept {
  if (train.bytes() < from_ || train.pages() > max_pages) return false;
  const auto known = std::ranges::find(copying_, train.destination().address, &copying::destination);
  if (known == copying_.end()) return true;
  if (--known->sends_left == 0) copying_.erase(known);
  return false;
}

void zero_copy_choice::copied_towards(const ip_address& destination) noexcept {
  const auto known = std::ranges::find(copying_, destination, &copying::destination);
  if (known != copying_.end()) return;  // sends that were on their way together
  if (copying_.size() == max_destinations) copying_.erase(copying_.begin());
  copying_.push_back({destination, sends_until_retry});
}

}  // namespace uring6::detail
