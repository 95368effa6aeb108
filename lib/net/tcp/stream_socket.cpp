#include "net/tcp/stream_socket.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sys/socket/socket.hpp"
#include "uring/submission.hpp"

namespace uring6::inline v0::detail {
namespace {

constexpr std::size_t most_at_once = 0x7ffff000;  // MAX_RW_COUNT

// The kernel says these once, to the first operation that meets them, and after that that the stream has ended
// (sk_err).
bool is_told_once(int error) noexcept {
  switch (error) {
    case ECONNRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EPROTO:
      return true;
    default:
      return false;
  }
}

}  // namespace

// --- the operation ---

void stream_operation::become(phase next) noexcept {
  // Row: from; column: to, in the order of the enumerators.
  [[maybe_unused]] constexpr bool phases[5][5] = {
      //               unused waiting transferring polling over
      /* unused       */ {false, true, false, false, false},
      /* waiting      */ {false, false, true, false, true},
      /* transferring */ {true, false, true, true, true},  // to itself: the kernel moved a part, and gets the rest
      /* polling      */ {true, false, true, false, true},
      /* over         */ {true, false, false, false, false},
  };
  // The two steps from the ring to `unused` are those of the child of a fork, which cannot wait for the kernel.
  assert(phases[static_cast<int>(phase_)][static_cast<int>(next)] && "an operation takes a step that its life has not");
  phase_ = next;
}

stream_operation::~stream_operation() {
  if (waiting_hook::linked()) socket_->cancel_and_wait(*this);
}

bool stream_operation::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  assert(phase_ == phase::unused && !error_ && "an operation begins once");
  if (const auto error = socket_ ? socket_->check_start(*this) : make_error_code(errc::closed)) {
    error_ = error;
  } else if (stop.stop_requested()) {
    error_ = errc::canceled;
  }
  if (error_ || size_ == 0 || socket_->take_kept(*this)) return false;
  if (impatient_ && socket_->has_waiting(*this)) {
    error_ = make_error_code(std::errc::resource_unavailable_try_again);
    return false;
  }
  socket_->start(*this, stop);
  return true;
}

void stream_operation::prepare(io_uring_sqe& entry) noexcept {
  submission request(entry);
  assert(is_with_ring());
  if (phase_ == phase::polling) return request.poll(socket_->fd(), reads() ? POLLIN : POLLOUT);
  assert(moved_ < size_ && "the kernel has moved every octet");
  const std::size_t length = std::min(size_ - moved_, most_at_once);
  const int dont_wait = impatient_ ? MSG_DONTWAIT : 0;
  if (reads()) {
    request.recv(socket_->fd(), data_, length, dont_wait);
  } else {
    // With MSG_WAITALL the kernel itself goes on after a part.
    const int flags = MSG_NOSIGNAL | dont_wait | (kind_ == kind::write_all ? MSG_WAITALL : 0);
    request.send(socket_->fd(), data_ + moved_, length, flags);
  }
}

void stream_operation::complete(completion what) noexcept {
  socket_->on_completion(*this, what);
}

void stream_operation::tell_wait(wait_listing& to) const {
  if (socket_ && !socket_->closed()) to.descriptor(socket_->fd());
  to.ready_if(ready_node::linked());
}

void stream_operation::stop_requested() noexcept {
  if (waiting_hook::linked()) socket_->stop(*this);
}

result<std::size_t> stream_operation::outcome() noexcept {
  assert(idle() && "the kernel still uses the caller's memory");
  assert((phase_ == phase::unused || is_over()) && moved_ <= size_);
  forget();
  if (waiting_hook::linked()) socket_->remove(*this);
  if (error_) return fail(error_.code());
  return moved_;
}

// --- the socket ---

stream_socket::stream_socket(std::shared_ptr<loop_core> loop, file_descriptor&& fd, const endpoint& peer) noexcept
    : owned_socket(std::move(loop)), peer_(peer) {
  open(std::move(fd));
}

void stream_socket::start(stream_operation& op, stop_root& stop) {
  assert(!check_start(op) && op.size_ > 0 && op.idle() && "an operation that cannot wait was refused before");
  stop.prepare(*loop_);
  queue_of(op).push_back(op);
  op.become(stream_operation::phase::waiting);
  op.listen(stop);  // may end the operation at once, so it is queued before
  if (is_first(op)) submit(op);
}

bool stream_socket::take_kept(stream_operation& op) noexcept {
  assert(op.phase_ == stream_operation::phase::unused && op.moved_ == 0);
  if (!op.reads()) return false;
  if (has_gap_) {
    op.error_ = make_error_code(std::errc::not_enough_memory);
    return true;
  }
  if (kept_.empty() || !readers_.empty() || !loop_->spend()) return false;
  op.moved_ = kept_.take({op.data_, op.size_});
  received_ += op.moved_;
  return true;
}

// Starts the first operation of a queue: from the kept octets, or by the ring.
void stream_socket::submit(stream_operation& op) noexcept {
  assert(is_first(op) && "the kernel would move octets in another order than that of the operations");
  assert(op.idle());
  if (op.is_over()) return;
  if (op.reads() && has_gap_) {
    op.error_ = make_error_code(std::errc::not_enough_memory);
    return finish(op);
  }
  if (op.reads() && !kept_.empty()) {
    op.moved_ = kept_.take({op.data_, op.size_});
    return finish(op);
  }
  op.become(stream_operation::phase::transferring);
  loop_->ring().queue(op);
}

void stream_socket::on_completion(stream_operation& op, completion what) noexcept {
  assert(op.idle() && op.is_with_ring() && "the kernel completes an operation once");
  assert(!what.more() && !what.has_buffer() && is_first(op));
  const bool was_polling = op.phase_ == stream_operation::phase::polling;
  if (!was_polling && what.result > 0) {
    const auto moved = static_cast<std::size_t>(what.result);
    assert(moved <= op.size_ - op.moved_ && "the kernel moved more octets than it was given");
    op.moved_ += moved;
    if (!op.reads()) sent_ += moved;
  }
  const bool not_ready = what.result == -EAGAIN && !was_polling && !op.impatient_;
  const bool part = what.result > 0 && !op.done();  // or a poll has ended: nothing was moved yet
  if (!op.why_ && (not_ready || part || what.result == -EINTR)) {
    op.become(not_ready ? stream_operation::phase::polling : stream_operation::phase::transferring);
    loop_->ring().queue(op);
    return;
  }
  if (what.result < 0) note_error(-what.result);
  if (!op.done()) {
    if (op.why_) {
      op.error_ = op.why_;
    } else if (what.result < 0) {
      op.error_ = what.result == -ECANCELED ? error_slot(errc::canceled)
                                            : error_slot(std::error_code(-what.result, std::system_category()));
    } else if (op.reads()) {
      op.error_ = unread_error_;  // the stream ended by an error that an earlier operation met
    }
  }
  if (op.gives_back()) keep_octets(op);
  finish(op);
}

void stream_socket::note_error(int number) noexcept {
  assert(number > 0);
  if (is_told_once(number)) unread_error_ = std::error_code(number, std::system_category());
}

void stream_socket::finish(stream_operation& op) noexcept {
  assert(op.idle() && "the kernel still uses the caller's memory");
  op.become(stream_operation::phase::over);
  if (op.early_end_ != stream_operation::early_end::abandoned) make_ready(*loop_, op);
}

void stream_socket::cancel(stream_operation& op, std::error_code why) noexcept {
  assert(why);
  if (op.is_over() || op.why_) return;
  op.why_ = why;
  if (!op.idle()) {
    loop_->ring().cancel(op);
    return;
  }
  op.error_ = why;
  finish(op);
}

// Octets that the coroutine has not seen go to the next read, so that a read that loses a race loses none. The stopped
// read stays the first of its queue until its coroutine resumes, which keeps the order.
void stream_socket::stop(stream_operation& op) noexcept {
  if (op.early_end_ == stream_operation::early_end::none) op.early_end_ = stream_operation::early_end::stopped;
  if (op.is_over() && op.reads()) return keep_octets(op);
  cancel(op, errc::canceled);
}

bool stream_socket::try_to_keep(const stream_operation& op) noexcept {
  return op.moved_ == 0 || kept_.put_back({op.data_, op.moved_});
}

// Keeps the octets of a stopped read for the next one. Precondition: the read's frame, and so its buffer, exists.
void stream_socket::keep_octets(stream_operation& op) noexcept {
  assert(op.gives_back() && "a read that goes on keeps its octets");
  if (!try_to_keep(op)) has_gap_ = true;
  take_result_away(op);
}

// The read ends as stopped, without octets. An error that it met is noted for the next read (note_error).
void stream_socket::take_result_away(stream_operation& op) noexcept {
  assert(op.reads() && "what a write has sent cannot be taken back");
  if (op.moved_ == 0 && !op.error_) return;
  op.moved_ = 0;
  op.error_ = op.why_ ? op.why_ : error_slot(errc::canceled);
}

void stream_socket::remove(stream_operation& op) noexcept {
  assert(static_cast<waiting_hook&>(op).linked());
  if (op.reads()) {
    received_ += op.moved_;
    if (op.error_ && op.error_ == unread_error_) unread_error_ = {};
  }
  operation_queue& operations = queue_of(op);
  const bool was_first = is_first(op);
  static_cast<waiting_hook&>(op).unlink();
  op.become(stream_operation::phase::unused);
  if (was_first && !operations.empty()) submit(operations.front());
}

void stream_socket::cancel_and_wait(stream_operation& op) noexcept {
  op.forget();
  assert(op.early_end_ != stream_operation::early_end::abandoned && "a frame is destroyed once");
  op.early_end_ = stream_operation::early_end::abandoned;
  stop(op);
  loop_->drain_until([&] { return op.idle(); });
  remove(op);
}

void stream_socket::fail_waiting(operation_queue& operations, std::error_code why) noexcept {
  assert(why);
  operations.for_each([&](stream_operation& op) { cancel(op, why); });
}

// `for_release`: the octets of ended reads are kept if there is memory for them; else the reads return them.
void stream_socket::end_operations(bool for_release) noexcept {
  read_deadline_.disarm();
  write_deadline_.disarm();
  for (operation_queue* operations : {&readers_, &writers_}) {
    fail_waiting(*operations, errc::closed);
    assert((operations->empty() || !operations->front().idle() || operations->front().is_over()) &&
           "what the ring does not have is over at once");
    if (!operations->empty()) loop_->drain_until([&] { return operations->front().idle(); });
    while (!operations->empty()) {
      stream_operation& op = operations->pop_front();  // its coroutine is in the ready queue
      if (!op.reads()) continue;
      if (for_release && try_to_keep(op)) {
        op.why_ = errc::closed;
        take_result_away(op);
      }
      received_ += op.moved_;
    }
  }
}

void stream_socket::close() noexcept {
  if (closed()) return;
  loop_->must_end_here("a conn");
  end_operations(false);
  resident::unlink();
  // The kernel does not know that no read took these octets, and would end the connection in order.
  if ((!kept_.empty() || has_gap_) && !loop_->ring().forked()) reset_on_close(fd_.get());
  fd_ = file_descriptor();
}

result<released_tcp> stream_socket::release() noexcept {
  assert(!closed());
  if (has_gap_) return fail(std::errc::not_enough_memory);
  end_operations(true);
  if (has_gap_) return fail(std::errc::not_enough_memory);  // a read that was stopped before has lost its octets now
  resident::unlink();
  std::optional<endpoint> peer;
  if (peer_ != endpoint{}) peer = peer_;
  return released_tcp{fd_.release(), kept_.release(), unread_error_.code(), peer};
}

void stream_socket::begin_with(std::vector<std::byte> unread, std::error_code error) noexcept {
  assert(kept_.empty() && readers_.empty() && received_ == 0 && "no read has begun");
  kept_.begin_with(std::move(unread));
  unread_error_ = error;
}

}  // namespace uring6::inline v0::detail
