#include "uring6/detail/stop_root.hpp"

#include <algorithm>
#include <cassert>

#include "uring6/detail/local_stop.hpp"

namespace uring6::inline v0::detail {

bool stop_root::start(loop_core& loop) {
  assert(!is_open() && !local_ && !callback_);
  if (!token_.stop_possible()) return false;
  open(loop);
  callback_.emplace(token_, forward{this});
  return true;
}

stop_root::~stop_root() {
  close();
  while (size_ > 0) listeners_[size_ - 1]->forget();
}

// The allocation may request the stop (a memory resource of the program), which empties the table: so nothing of the
// table is read before it.
void stop_root::make_room() {
  assert(size_ == room_ && "there is room in the table");
  const std::size_t room = 2 * room_;
  auto wider = std::make_unique_for_overwrite<stop_listener*[]>(room);
  std::copy_n(listeners_, size_, wider.get());
  many_ = std::move(wider);
  listeners_ = many_.get();
  room_ = room;
}

void stop_root::link_token() {
  assert(local_);
  local_->link_token();
}

void stop_root::called() noexcept {
  while (size_ > 0) {
    stop_listener& told = *listeners_[size_ - 1];
    assert(told.root_ == this && told.place_ == size_ - 1);
    told.forget();
    told.stop_requested();
  }
}

void stop_root::close() noexcept {
  callback_.reset();  // waits until a callback that runs on another thread has returned
  remote_target::close();
}

}  // namespace uring6::inline v0::detail
