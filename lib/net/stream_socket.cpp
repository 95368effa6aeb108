#include "net/stream_socket.hpp"

#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace uring6::detail {
namespace {

constexpr std::size_t most_at_once = 0x7ffff000;  // MAX_RW_COUNT

}  // namespace

// --- the operation ---

stream_operation::~stream_operation() {
  if (waiting_hook::linked()) socket_->abandon(*this);
}

bool stream_operation::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  if (const auto error = socket_ ? socket_->check(*this) : make_error_code(errc::closed)) {
    error_ = error;
  } else if (stop.stop_requested()) {
    error_ = errc::canceled;
  }
  if (error_ || size_ == 0) return false;
  socket_->start(*this, stop);
  return true;
}

void stream_operation::prepare(io_uring_sqe& entry) noexcept {
  if (polls_first_) return ::io_uring_prep_poll_add(&entry, socket_->fd(), reads() ? POLLIN : POLLOUT);
  const std::size_t length = std::min(size_ - moved_, most_at_once);
  if (reads()) {
    ::io_uring_prep_recv(&entry, socket_->fd(), data_, length, 0);
  } else {
    // With MSG_WAITALL the kernel itself goes on after a part.
    const int flags = MSG_NOSIGNAL | (kind_ == kind::write_all ? MSG_WAITALL : 0);
    ::io_uring_prep_send(&entry, socket_->fd(), data_ + moved_, length, flags);
  }
}

void stream_operation::complete(completion what) noexcept {
  socket_->ended(*this, what);
}

void stream_operation::stop_requested() noexcept {
  if (waiting_hook::linked()) socket_->withdraw(*this, errc::canceled);
}

result<std::size_t> stream_operation::outcome() noexcept {
  forget();
  if (waiting_hook::linked()) socket_->leave(*this);
  if (error_) return fail(error_.code());
  return moved_;
}

// --- the socket ---

stream_socket::stream_socket(std::shared_ptr<loop_core> loop, file_descriptor fd, const endpoint& peer)
    : loop_(std::move(loop)), fd_(std::move(fd)), peer_(peer) {
  loop_->add(*this);
}

std::error_code stream_socket::check(const stream_operation& op) const noexcept {
  if (closed()) return errc::closed;
  if (op.reads() ? read_deadline_.passed() : write_deadline_.passed()) return errc::deadline_exceeded;
  return loop_->check_owner();
}

std::error_code stream_socket::check_thread() const noexcept {
  if (closed()) return errc::closed;
  const std::error_code error = loop_->check_thread();
  return error == errc::forked ? std::error_code{} : error;
}

void stream_socket::start(stream_operation& op, stop_root& stop) {
  stop.prepare(*loop_);
  line_of(op).push_back(op);
  op.listen(stop);  // in line before: a stop that is requested meanwhile ends what waits
  if (first(op)) go(op);
}

// It is the first in line.
void stream_socket::go(stream_operation& op) noexcept {
  if (op.over_) return;
  if (op.reads() && !unread_.empty()) {
    op.moved_ = std::min(op.size_, unread_.size());
    std::memcpy(op.data_, unread_.data(), op.moved_);
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(op.moved_));
    finish(op);
    return;
  }
  loop_->ring().queue(op);
}

void stream_socket::ended(stream_operation& op, completion what) noexcept {
  const bool was_polling = std::exchange(op.polls_first_, false);
  if (!was_polling && what.result > 0) {
    const auto moved = static_cast<std::size_t>(what.result);
    op.moved_ += moved;
    if (!op.reads()) sent_ += moved;
  }
  const bool not_ready = what.result == -EAGAIN && !was_polling;
  const bool part = what.result > 0 && !op.done();  // also of a poll: nothing was moved yet
  if (!op.why_ && (not_ready || part || what.result == -EINTR)) {
    op.polls_first_ = not_ready;
    loop_->ring().queue(op);
    return;
  }
  if (!op.done()) {
    if (op.why_) {
      op.error_ = op.why_;
    } else if (what.result < 0) {
      op.error_ = what.result == -ECANCELED ? error_slot(errc::canceled)
                                            : error_slot(std::error_code(-what.result, std::system_category()));
    }
  }
  finish(op);
}

void stream_socket::finish(stream_operation& op) noexcept {
  op.over_ = true;
  if (!op.abandoned_) make_ready(*loop_, op);
}

void stream_socket::withdraw(stream_operation& op, std::error_code why) noexcept {
  if (op.over_ || op.why_) return;
  op.why_ = why;
  if (!op.idle()) {
    loop_->ring().cancel(op);
    return;
  }
  op.error_ = why;
  finish(op);
}

void stream_socket::leave(stream_operation& op) noexcept {
  if (op.reads() && !op.abandoned_) received_ += op.moved_;
  line& those = line_of(op);
  const bool was_first = first(op);
  static_cast<waiting_hook&>(op).unlink();
  if (was_first && !those.empty()) go(those.front());
}

void stream_socket::abandon(stream_operation& op) noexcept {
  op.forget();
  op.abandoned_ = true;
  withdraw(op, errc::canceled);
  loop_->drain_until([&] { return op.idle(); });
  // What nobody has looked at is the next reader's. Whoever is the first in line has it, so the order stays.
  if (op.reads() && op.moved_ > 0) unread_.insert(unread_.begin(), op.data_, op.data_ + op.moved_);
  leave(op);
}

void stream_socket::fail_waiting(line& those, std::error_code why) noexcept {
  those.for_each([&](stream_operation& op) { withdraw(op, why); });
}

void stream_socket::end_operations() noexcept {
  resident::unlink();
  read_deadline_.disarm();
  write_deadline_.disarm();
  for (line* those : {&readers_, &writers_}) {
    fail_waiting(*those, errc::closed);
    if (!those->empty()) loop_->drain_until([&] { return those->front().idle(); });
    while (!those->empty()) {
      stream_operation& op = those->pop_front();  // it is in the ready queue
      if (op.reads()) received_ += op.moved_;
    }
  }
}

void stream_socket::close() noexcept {
  if (closed()) return;
  loop_->must_end_here("a conn");
  end_operations();
  fd_ = file_descriptor();
}

int stream_socket::release() noexcept {
  if (closed()) return -1;
  end_operations();
  return fd_.release();
}

}  // namespace uring6::detail
