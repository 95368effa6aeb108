#include "uring6/descriptor.hpp"

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "runtime/loop/loop_core.hpp"
#include "uring/submission.hpp"

namespace uring6::inline v0::detail {
namespace {

// Octets that one read(2) or write(2) transfers at most (MAX_RW_COUNT). As with these calls, a longer request is no
// error.
constexpr std::size_t longest_transfer = 0x7ffff000;

}  // namespace

descriptor_operation::~descriptor_operation() {
  if (idle()) return;
  forget();
  abandon();
  loop_->drain_until([this] { return idle(); });
}

bool descriptor_operation::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  assert(idle() && early_end_ == early_end::none && !error_ && "an operation begins once");
  begin_wait(waiting);
  loop_ = current_loop();
  if (!loop_) error_ = errc::wrong_thread;
  if (stop.stop_requested()) error_ = errc::canceled;
  if (error_) return false;
  stop.prepare(*loop_);
  loop_->add(*this);
  loop_->begin_foreign_wait();
  loop_->ring().queue(*this);
  listen(stop);
  return true;
}

void descriptor_operation::prepare(io_uring_sqe& entry) noexcept {
  submission request(entry);
  const auto size = static_cast<unsigned>(std::min(size_, longest_transfer));
  if (polls_first_) {
    request.poll(fd_, kind_ == kind::read ? POLLIN : POLLOUT);
    return;
  }
  switch (kind_) {
    case kind::poll:
      return request.poll(fd_, events_);
    case kind::read:
      return request.read(fd_, data_, size, offset_);
    case kind::write:
      return request.write(fd_, data_, size, offset_);
    case kind::own:
      assert(false && "the derived class prepares it");
  }
}

/// Whether the operation goes to the kernel once more, and how.
bool descriptor_operation::must_repeat(completion what, bool was_polling) noexcept {
  if (early_end_ != early_end::none || kind_ == kind::own) return false;
  polls_first_ = what.result == -EAGAIN && kind_ != kind::poll;
  return polls_first_ || what.result == -EINTR || (was_polling && what.result >= 0);
}

void descriptor_operation::complete(completion what) noexcept {
  assert(!what.more() && "an operation with several completions");
  assert(idle() && loop_);
  const bool was_polling = std::exchange(polls_first_, false);
  if (must_repeat(what, was_polling)) return loop_->ring().queue(*this);
  resident::unlink();
  loop_->end_foreign_wait();
  if (what.result >= 0 && !was_polling) {
    value_ = static_cast<std::uint32_t>(what.result);
    assert((kind_ != kind::read && kind_ != kind::write) || value_ <= size_);
  } else if (early_end_ != early_end::none || what.result == -ECANCELED) {
    // Canceled, or interrupted, or canceled after the poll had found the descriptor ready: nothing was transferred.
    error_ = errc::canceled;
  } else {
    error_ = std::error_code(-what.result, std::system_category());
  }
  if (early_end_ != early_end::abandoned) make_ready(*loop_, *this);
}

void descriptor_operation::give_up(early_end how) noexcept {
  assert(how != early_end::none);
  if (idle()) return;
  early_end_ = std::max(early_end_, how);
  loop_->ring().cancel(*this);
}

void descriptor_operation::stop_requested() noexcept {
  give_up(early_end::given_up);
}

void descriptor_operation::abandon() noexcept {
  give_up(early_end::abandoned);
}

void descriptor_operation::tell_wait(wait_listing& to) const {
  if (fd_ >= 0) to.descriptor(fd_);
  to.ready_if(ready_node::linked());
}

result<std::uint32_t> descriptor_operation::outcome() noexcept {
  assert(idle() && !resident::linked() && "the kernel may still write to the caller's memory");
  forget();
  if (error_) return fail(error_.code());
  return value_;
}

}  // namespace uring6::inline v0::detail
