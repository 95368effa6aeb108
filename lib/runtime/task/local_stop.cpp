#include "uring6/detail/local_stop.hpp"

#include <cassert>

#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

void local_stop::open(loop_core& loop, stop_root& inherited) {
  assert(!loop_ && !inherited_ && &inherited != &root_ && "opened once, below another root");
  inherited.prepare(loop);
  loop_ = &loop;
  inherited_ = &inherited;
  if (inherited.stop_requested()) return request();
  listen(inherited);
}

void local_stop::request() noexcept {
  assert(loop_ && "open was not called");
  if (root_.token_.stop_possible()) {
    source_.request_stop();
  } else {
    root_.token_ = loop_->stopped_token();
  }
  // Tells the listeners at once, even if another thread has requested the stop and its message to this loop is under
  // way.
  root_.called();
}

// Links the inherited token first, because `inherited_` may be a local stop that has no token yet, either.
void local_stop::link_token() {
  assert(loop_ && inherited_ && "open was not called");
  assert(!root_.token_.stop_possible() && "the token is linked once");
  const stop_token above = inherited_->token();
  root_.open(*loop_);  // so that other threads can request the stop
  root_.token_ = source_.get_token();
  root_.callback_.emplace(root_.token_, stop_root::forward{&root_});
  if (above.stop_possible()) link_.emplace(above, relay{&source_});
}

void local_stop::close() noexcept {
  link_.reset();
  forget();
}

}  // namespace uring6::inline v0::detail
