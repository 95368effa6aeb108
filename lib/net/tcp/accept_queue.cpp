#include "net/tcp/accept_queue.hpp"

#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <limits>
#include <new>
#include <span>
#include <utility>

#include "net/tcp/stream_socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring/submission.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0::detail {
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

// Requests of one listener that the kernel has at once. Measured with 4,000 connections waiting: an accept takes 1.9
// µs, as long as by a multishot; with one request at a time 3.1 µs.
constexpr std::size_t most_requests = 32;

// How long the kernel is not asked after it had no descriptor or no memory: the first time and at most. As Go's
// net/http.Server does it. Each refusal in a row doubles it.
constexpr std::chrono::milliseconds first_pause{5};
constexpr std::chrono::milliseconds longest_pause{1000};

// How long a coroutine waits for a connection that the kernel has when the time of `stop_accepting` is over. The next
// enter accepts it. Only another process that shares the socket can take it away, or a lack of descriptors keep it.
constexpr std::chrono::milliseconds longest_last_look{1};

}  // namespace

// --- the operation ---

accept_operation::~accept_operation() {
  if (waiting_hook::linked()) queue_->leave(*this);
}

bool accept_operation::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  assert(state_ == state::idle);
  error_ = queue_ ? queue_->check_wait() : make_error_code(errc::closed);
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

void accept_operation::tell_wait(wait_listing& to) const {
  if (queue_ && !queue_->closed()) to.descriptor(queue_->fd());
  to.ready_if(ready_node::linked());
}

result<tcp_conn> accept_operation::await_resume() {
  assert(state_ != state::waiting && "resumed without a connection and without an error");
  forget();
  if (error_) return fail(error_.code());
  // Without memory the connection stays in the listener: this operation leaves the line when its frame goes on.
  auto inside = std::make_unique<stream_socket>(queue_->loop(), file_descriptor(), endpoint());
  if (waiting_hook::linked()) queue_->resumed(*this);
  accepted_socket got = queue_->take();
  inside->begin_with(std::move(got.fd), got.peer);
  return tcp_conn(std::move(inside));
}

// --- the queue ---

accept_queue::accept_queue(std::shared_ptr<loop_core> loop, file_descriptor&& fd, std::size_t ahead)
    : owned_socket(std::move(loop)), ahead_(ahead), next_pause_(first_pause) {
  const std::size_t requests = std::clamp(ahead, std::size_t{1}, most_requests);
  for (std::size_t i = 0; i < requests; ++i) requests_.emplace_back(*this);
  arrived_.resize(ahead + most_requests);
  open(std::move(fd));
}

std::error_code accept_queue::check_wait() const noexcept {
  const bool has_connection = count_ > acceptors_.reservations();
  if (stopping_ && has_connection) return loop_->check_owner();
  if (stopping_ && deadline_.passed()) return kernel_has_connection() ? loop_->check_owner() : errc::closed;
  if (!closed() || !has_connection) return check(deadline_.passed());
  if (deadline_.passed()) return errc::deadline_exceeded;
  return loop_->check_owner();
}

// The kernel writes the peer's name when it accepts: it does not tell that of a connection that was reset later.
void accept_queue::request::prepare(io_uring_sqe& entry) noexcept {
  assert(!in.closed() && !canceled);
  name_length = sizeof name;
  submission(entry).accept(in.fd_.get(), reinterpret_cast<sockaddr*>(&name), &name_length, SOCK_CLOEXEC);
}

// Queues requests only when coroutines wait. Their number grows as long as all of a batch are served within one turn of
// the loop, because then more connections wait in the kernel.
void accept_queue::arm() noexcept {
  if (closed() || handing_over_ || !acceptors_.has_waiting() || pause_.armed()) return;
  if (in_flight_ > 0 && in_flight_ >= std::min(batch_, waiters_)) return;
  assert(in_flight_ + canceling_ + count_ <= arrived_.size() && "each request has a place for its connection");
  const std::size_t room = arrived_.size() - count_ - canceling_;
  const std::size_t wanted = std::min({batch_, waiters_ + ahead_, room});
  for (request& each : requests_) {
    if (in_flight_ >= wanted) break;
    if (!each.idle()) continue;
    each.canceled = false;
    ++in_flight_;
    loop_->ring().queue(each);
  }
}

void accept_queue::completed(request& by, int result) noexcept {
  assert(by.idle() && "an accept has one completion");
  if (by.canceled) {
    assert(canceling_ > 0);
    --canceling_;
  } else {
    assert(in_flight_ > 0);
    --in_flight_;
    count_batch();
  }
  if (result >= 0) {
    push(result, by);
  } else if (result != -ECANCELED && !is_of_the_connection(-result)) {
    refused(-result);
  }
  notify();
  arm();
}

void accept_queue::count_batch() noexcept {
  assert(batch_ >= 1 && batch_ <= most_requests);
  if (batch_turn_ == 0) batch_turn_ = loop_->turns();
  if (in_flight_ > 0) return;
  batch_ = batch_turn_ == loop_->turns() ? std::min(2 * batch_, most_requests) : 1;
  batch_turn_ = 0;
}

void accept_queue::push(int fd, const request& by) noexcept {
  assert(fd >= 0 && by.idle());
  assert(count_ < arrived_.size());
  arrived_[(first_ + count_++) % arrived_.size()] = {fd, endpoint::from_sockaddr(by.name)};
  pause_.disarm();
  next_pause_ = first_pause;
}

// A coroutine that tries again at once would spin: the kernel is asked again after a pause only.
void accept_queue::refused(int error) noexcept {
  assert(error > 0);
  if (acceptors_.has_waiting()) {
    accept_operation& first = acceptors_.first_waiting();
    first.error_ = std::error_code(error, std::system_category());
    leave(first);
    make_ready(*loop_, first);
  }
  if (pause_.armed()) return;
  try {
    pause_.arm(*loop_, deadline_after(next_pause_));
  } catch (const std::bad_alloc&) {
    return;  // without memory for the timer there is no pause
  }
  next_pause_ = std::min(2 * next_pause_, longest_pause);
}

accepted_socket accept_queue::take() noexcept {
  assert(count_ > 0);
  const arrival& oldest = arrived_[first_];
  first_ = (first_ + 1) % arrived_.size();
  --count_;
  assert(acceptors_.reservations() <= count_ && "the connection was reserved for another coroutine");
  accepted_socket taken{file_descriptor(oldest.fd), oldest.peer};
  arm();
  return taken;
}

void accept_queue::wait(accept_operation& acceptor, stop_root& stop) {
  assert(!loop_->check_owner() && "another thread than the loop's would change the queue");
  stop.prepare(*loop_);
  if (stopping_ && deadline_.passed()) deadline_.set(*loop_, deadline_after(longest_last_look));
  acceptors_.wait(acceptor);
  ++waiters_;
  acceptor.listen(stop);
  notify();
  arm();
}

void accept_queue::notify() noexcept {
  while (acceptors_.has_waiting() && count_ > acceptors_.reservations()) {
    accept_operation& first = acceptors_.first_waiting();
    acceptors_.reserve(first);
    assert(waiters_ > 0);
    --waiters_;
    make_ready(*loop_, first);
  }
  assert((waiters_ > 0) == acceptors_.has_waiting() && acceptors_.reservations() <= count_);
}

void accept_queue::resumed(accept_operation& acceptor) noexcept {
  if (acceptor.state_ == accept_operation::state::waiting) {
    assert(waiters_ > 0);
    --waiters_;
  }
  acceptors_.remove(acceptor);
}

void accept_queue::leave(accept_operation& acceptor) noexcept {
  resumed(acceptor);
  notify();
  cancel_surplus();
}

// Cancels requests until those that the kernel has and the connections that are reserved for no acceptor are together
// no more than may be accepted ahead.
void accept_queue::cancel_surplus() noexcept {
  assert(acceptors_.reservations() <= count_);
  const std::size_t allowed = waiters_ + ahead_;
  for (request& each : requests_) {
    if (in_flight_ + count_ - acceptors_.reservations() <= allowed) break;
    if (each.idle() || each.canceled) continue;
    assert(in_flight_ > 0 && "a request that the ring has and that is not canceled is counted");
    each.canceled = true;
    --in_flight_;
    ++canceling_;
    loop_->ring().cancel(each);
  }
  if (in_flight_ == 0) batch_turn_ = 0;
}

void accept_queue::fail_waiting(std::error_code why) noexcept {
  assert(why);
  while (acceptors_.has_waiting()) {
    accept_operation& first = acceptors_.first_waiting();
    first.error_ = why;
    resumed(first);
    make_ready(*loop_, first);
  }
  cancel_surplus();
}

// The filter of a listener sees the segments of its handshakes, too: only the first one of a connection is dropped,
// which the peer repeats a second later (RFC 6298, 2.1). Accepted connections inherit the filter, and never get such a
// segment.
result<void> accept_queue::stop_accepting(clock::duration handshakes) {
  constexpr std::uint32_t flags_octet = 13;  // of the TCP header, RFC 9293, 3.1
  constexpr std::uint32_t syn = 0x02;
  constexpr std::uint32_t ack = 0x10;
  constexpr std::array<sock_filter, 5> drop_requests{{
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, flags_octet},
      {BPF_ALU | BPF_AND | BPF_K, 0, 0, syn | ack},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, syn},
      {BPF_RET | BPF_K, 0, 0, 0},
      {BPF_RET | BPF_K, 0, 0, std::numeric_limits<std::uint32_t>::max()},
  }};
  if (closed()) return fail(errc::closed);
  loop_->timers().make_room(1);  // so that nothing fails once the filter is attached
  const auto attached = set_option(fd(), option::attach_filter, std::span<const sock_filter>(drop_requests));
  if (!attached) return attached;
  stopping_ = true;
  deadline_.set(*loop_, deadline_after(handshakes));
  return {};
}

bool accept_queue::kernel_has_connection() const noexcept {
  pollfd queue{fd_.get(), POLLIN, 0};
  return ::poll(&queue, 1, 0) == 1 && (queue.revents & POLLIN) != 0;
}

// A loop that was busy finds the deadline passed before it has seen which connections the kernel has accepted: the
// first time, the coroutines that wait get one turn more in any case. Not while the kernel has no descriptor.
bool accept_queue::accepts_longer() noexcept {
  if (!acceptors_.has_waiting() || pause_.armed()) return false;
  if (std::exchange(last_look_, true) && !kernel_has_connection()) return false;
  try {
    deadline_.set(*loop_, deadline_after(longest_last_look));
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void accept_queue::deadline_passed() noexcept {
  if (!stopping_) return fail_waiting(errc::deadline_exceeded);
  if (!accepts_longer()) fail_waiting(errc::closed);
}

// What the kernel accepts while it is being ended is there, too.
void accept_queue::end_accepting() noexcept {
  deadline_.disarm();
  pause_.disarm();
  fail_waiting(errc::closed);
  end_requests();
}

void accept_queue::end_requests() noexcept {
  for (request& each : requests_) loop_->ring().cancel(each);
  loop_->drain_until([this] { return in_flight_ + canceling_ == 0; });
}

result<void> accept_queue::begin_handover() noexcept {
  if (const auto error = check_thread()) return fail(error);
  if (stopping_) return fail(errc::closed);
  if (handing_over_) return fail(std::errc::operation_in_progress);
  handing_over_ = true;
  end_requests();
  return {};
}

void accept_queue::finish_handover() noexcept {
  assert(handing_over_);
  const file_descriptor closed_here(release());
}

void accept_queue::give_up_handover() noexcept {
  assert(handing_over_);
  handing_over_ = false;
  arm();
}

void accept_queue::close() noexcept {
  if (!closed()) loop_->must_end_here("a listener");
  resident::unlink();
  while (acceptors_.has_reservations()) {
    accept_operation& first = acceptors_.first_reserved();
    first.error_ = errc::closed;
    resumed(first);  // the acceptor stays in the ready queue
  }
  if (!closed()) end_accepting();
  while (count_ > 0) (void)take();
  assert(waiters_ == 0 && !acceptors_.has_waiting() && !acceptors_.has_reservations());
  fd_ = file_descriptor();
}

int accept_queue::release() noexcept {
  if (closed()) return -1;
  end_accepting();
  return fd_.release();
}

}  // namespace uring6::inline v0::detail
