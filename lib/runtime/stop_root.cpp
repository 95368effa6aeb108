#include "uring6/detail/stop_root.hpp"

#include <algorithm>

namespace uring6::detail {

bool stop_root::start(loop_core& loop) {
  if (!token_.stop_possible()) return false;
  open(loop);
  callback_.emplace(token_, forward{this});
  return true;
}

stop_root::~stop_root() {
  close();
  while (!listeners_.empty()) listeners_.back()->forget();
}

// The stop may be requested from within the allocation: nothing of the table is held meanwhile.
void stop_root::make_room() {
  std::vector<stop_listener*> wider;
  wider.reserve(std::max<std::size_t>(16, 2 * listeners_.size()));
  wider.assign(listeners_.begin(), listeners_.end());
  listeners_.swap(wider);
}

void stop_root::called() noexcept {
  while (!listeners_.empty()) {
    stop_listener& told = *listeners_.back();
    told.forget();
    told.stop_requested();
  }
}

void stop_root::close() noexcept {
  callback_.reset();  // waits for a callback that another thread is in
  remote_target::close();
}

}  // namespace uring6::detail
