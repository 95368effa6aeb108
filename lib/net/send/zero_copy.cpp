#include "net/send/zero_copy.hpp"

#include <algorithm>
#include <cassert>

namespace uring6::inline v0::detail {
namespace {

/// Pages of one zero-copy send: MAX_SKB_FRAGS of the kernels that have it smallest. Beyond it the kernel returns
/// EMSGSIZE.
constexpr std::size_t max_pages = 17;

}  // namespace

bool zero_copy_choice::takes(const send_train& train) noexcept {
  if (train.bytes() < min_octets_ || train.pages() > max_pages) return false;
  const auto known = std::ranges::find(copying_, train.destination().address, &copying::destination);
  if (known == copying_.end()) return true;
  assert(known->sends_left > 0);
  if (--known->sends_left == 0) copying_.erase(known);
  return false;
}

void zero_copy_choice::copied_towards(const ip_address& destination) noexcept {
  const auto known = std::ranges::find(copying_, destination, &copying::destination);
  if (known != copying_.end()) return;  // two sends were in flight together, and both were copied
  if (copying_.size() == max_destinations) copying_.erase(copying_.begin());
  assert(copying_.size() < copying_.capacity() && "the constructor reserved the entries: push_back must not throw");
  copying_.push_back({destination, sends_until_retry});
}

}  // namespace uring6::inline v0::detail
