#include "uring6/detail/local_stop.hpp"

#include "runtime/loop/loop_core.hpp"

namespace uring6::detail {

void local_stop::open(loop_core& loop, stop_root& inherited) {
  inherited.prepare(loop);
  loop_ = &loop;
  inherited_ = &inherited;
  if (inherited.stop_requested()) return request();
  listen(inherited);
}

void local_stop::request() noexcept {
  if (source_.stop_possible()) {
    source_.request_stop();
  } else {
    root_.token_ = loop_->stopped_token();
  }
  // Also if another thread has requested it, and the message of that is on its way.
  root_.called();
}

// The inherited token comes first: it may have to be made, too.
void local_stop::make_token() {
  const std::stop_token above = inherited_->token();
  std::stop_source source;
  root_.open(*loop_);  // to hear of it from other threads
  source_ = std::move(source);
  root_.token_ = source_.get_token();
  root_.callback_.emplace(root_.token_, stop_root::forward{&root_});
  if (above.stop_possible()) link_.emplace(above, relay{&source_});
}

void local_stop::close() noexcept {
  link_.reset();
  forget();
}

}  // namespace uring6::detail
