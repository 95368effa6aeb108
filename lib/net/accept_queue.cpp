#include "net/accept_queue.hpp"

#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <utility>

#include "net/stream_socket.hpp"
#include "sys/socket.hpp"
#include "uring6/tcp.hpp"

namespace uring6::detail {
namespace {

// The connection ended before it was accepted: accept(2) has its errors, which are none of the listener's.
bool is_of_the_connection(int error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EINTR:
      return true;
    default:
      return false;
  }
}

}  // namespace

// --- the operation ---

accept_operation::~accept_operation() {
  if (waiting_hook::linked()) queue_->leave(*this);
}

bool accept_operation::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  error_ = queue_ ? queue_->check() : make_error_code(errc::closed);
  if (!error_ && stop.stop_requested()) error_ = errc::canceled;
  if (error_ || queue_->at_hand()) return false;
  queue_->wait(*this, stop);
  return true;
}

// Also of one that is about to be resumed: its connection stays for the next one.
void accept_operation::stop_requested() noexcept {
  if (!waiting_hook::linked()) return;
  const bool was_waiting = state_ == state::waiting;
  error_ = errc::canceled;
  queue_->leave(*this);
  if (was_waiting) make_ready(*queue_->loop(), *this);
}

result<tcp_conn> accept_operation::await_resume() {
  forget();
  if (waiting_hook::linked()) queue_->resumed(*this);
  if (error_) return fail(error_.code());
  file_descriptor fd = queue_->take();
  // The peer may be gone already; then nobody knows its name.
  const endpoint peer = uring6::peer_endpoint(fd.get()).value_or(endpoint{});
  return tcp_conn(std::make_unique<stream_socket>(queue_->loop(), std::move(fd), peer));
}

// --- the queue ---

accept_queue::accept_queue(std::shared_ptr<loop_core> loop, file_descriptor fd)
    : loop_(std::move(loop)), fd_(std::move(fd)) {
  arrived_.reserve(2 * most_ahead);
  loop_->add(*this);
}

std::error_code accept_queue::check() const noexcept {
  // What was accepted before the descriptor went to another owner is still handed out.
  if (closed() && here() == served_) return errc::closed;
  if (deadline_.passed()) return errc::deadline_exceeded;
  return loop_->check_owner();
}

std::error_code accept_queue::check_thread() const noexcept {
  if (closed()) return errc::closed;
  const std::error_code error = loop_->check_thread();
  return error == errc::forked ? std::error_code{} : error;
}

void accept_queue::prepare(io_uring_sqe& entry) noexcept {
  // A blocking socket, as io_uring wants it.
  ::io_uring_prep_multishot_accept(&entry, fd_.get(), nullptr, nullptr, SOCK_CLOEXEC);
}

void accept_queue::arm() noexcept {
  if (!idle()) return;
  pausing_ = false;
  loop_->ring().queue(*this);
}

void accept_queue::complete(completion what) noexcept {
  if (what.result >= 0) {
    keep(file_descriptor(what.result));
  } else if (what.result != -ECANCELED && !is_of_the_connection(-what.result) && !waiting_.empty()) {
    accept_operation& first = waiting_.front();
    first.error_ = std::error_code(-what.result, std::system_category());
    leave(first);
    make_ready(*loop_, first);
  }
  notify();
  if (!what.more()) {
    if (!waiting_.empty() && !closed()) arm();
  } else if (!pausing_ && waiting_.empty() && here() >= most_ahead) {
    pausing_ = true;
    loop_->ring().cancel(*this);
  }
}

// A connection for which there is no memory is closed: its peer sees a reset.
void accept_queue::keep(file_descriptor connection) noexcept {
  try {
    arrived_.push_back(connection.get());
    (void)connection.release();
  } catch (const std::bad_alloc&) {
  }
}

file_descriptor accept_queue::take() noexcept {
  file_descriptor taken(arrived_[taken_++]);
  if (taken_ == arrived_.size()) {
    arrived_.clear();
    taken_ = 0;
  }
  return taken;
}

void accept_queue::wait(accept_operation& who, stop_root& stop) {
  stop.prepare(*loop_);
  who.state_ = accept_operation::state::waiting;
  waiting_.push_back(who);
  who.listen(stop);
  notify();
  if (!waiting_.empty()) arm();
}

void accept_queue::notify() noexcept {
  while (!waiting_.empty() && here() > served_) {
    accept_operation& next = waiting_.pop_front();
    next.state_ = accept_operation::state::served;
    promised_.push_back(next);
    ++served_;
    make_ready(*loop_, next);
  }
}

void accept_queue::resumed(accept_operation& who) noexcept {
  if (who.state_ == accept_operation::state::served) --served_;
  static_cast<waiting_hook&>(who).unlink();
  who.state_ = accept_operation::state::idle;
}

void accept_queue::leave(accept_operation& who) noexcept {
  resumed(who);
  notify();
}

void accept_queue::fail_waiting(std::error_code why) noexcept {
  while (!waiting_.empty()) {
    accept_operation& who = waiting_.front();
    who.error_ = why;
    resumed(who);
    make_ready(*loop_, who);
  }
}

// What the kernel accepts while it is being ended is there, too.
void accept_queue::end_accepting() noexcept {
  deadline_.disarm();
  fail_waiting(errc::closed);
  loop_->ring().cancel(*this);
  loop_->drain_until([this] { return idle(); });
}

void accept_queue::close() noexcept {
  if (!closed()) loop_->must_end_here("a listener");
  resident::unlink();
  while (!promised_.empty()) {
    accept_operation& who = promised_.front();
    who.error_ = errc::closed;
    resumed(who);  // it stays in the ready queue
  }
  if (!closed()) end_accepting();
  while (here() > 0) (void)take();
  fd_ = file_descriptor();
}

int accept_queue::release() noexcept {
  if (closed()) return -1;
  end_accepting();
  return fd_.release();
}

}  // namespace uring6::detail
