#include "uring6/detail/packet_operations.hpp"

#include <cassert>

#include "net/packet/packet_socket.hpp"
#include "uring6/datagram_batch.hpp"

namespace uring6::inline v0::detail {

// --- reading ---

void read_waiter::leave() noexcept {
  assert(state_ != state::idle && socket_);
  socket_->reading().leave(*this);
}

// A reader that has a reservation is about to be resumed. It is canceled, too; its datagram stays in the conn.
void read_waiter::stop_requested() noexcept {
  if (state_ == state::idle) return;
  const bool was_waiting = state_ == state::waiting;
  error_ = errc::canceled;
  leave();
  if (was_waiting && !ready_node::linked()) make_ready(*socket_->loop(), *this);
}

inline receiver* read_operation::at_hand(stop_root& stop) noexcept {
  if (!socket_ || !socket_->may_read() || stop.stop_requested()) return nullptr;
  receiver& from = socket_->reading();
  return from.at_hand() ? &from : nullptr;
}

bool read_operation::wait(std::coroutine_handle<> reader, stop_root& stop, bool briefly) {
  if (waiter_) [[unlikely]]
    ready_node::throw_awaited_twice();
  error_slot error;
  if (!socket_ || !socket_->may_read()) error = socket_ ? socket_->check_read() : make_error_code(errc::closed);
  if (!error && stop.stop_requested()) error = errc::canceled;
  if (!error) error = socket_->reading().take_error_before_data();
  if (!error) stop.prepare(*socket_->loop());
  waiter_.emplace(socket_).error_ = error;
  if (error) return false;
  socket_->reading().wait(*waiter_, reader, stop);
  // A read that waits for one turn only, as all do when no datagram comes in any more, is resumed by the next turn,
  // after the kernel was entered once.
  if ((briefly || socket_->reading().finishing()) && !static_cast<ready_node&>(*waiter_).linked())
    make_ready(*socket_->loop(), *waiter_);
  return true;
}

receiver* read_operation::resumed() noexcept {
  assert(waiter_ && "the read did not wait");
  waiter_->forget();
  if (waiter_->state_ == read_waiter::state::waiting) {
    waiter_->leave();
    waiter_->error_ = socket_->reading().nothing_came();
  }
  if (waiter_->error_) return nullptr;
  receiver& from = socket_->reading();
  from.resumed(*waiter_);
  return &from;
}

void read_operation::tell_wait(wait_listing& to) const {
  if (socket_ && !socket_->closed()) to.descriptor(socket_->fd());
  to.ready_if(waiter_ && static_cast<const ready_node&>(*waiter_).linked());
}

bool read_from_operation::suspend(std::coroutine_handle<> reader, stop_root& stop) {
  if (state_ != state::idle) [[unlikely]]
    ready_node::throw_awaited_twice();
  state_ = state::asked;
  taken_.head = nullptr;
  receiver* const from = at_hand(stop);
  if (!from) [[unlikely]]
    return wait(reader, stop, briefly_);
  taken_ = from->take({data_, size_});
  from->open_train_of(*socket_);
  return false;
}

result<datagram> read_from_operation::outcome() noexcept {
  if (waiter_) {
    if (receiver* const from = resumed()) {
      taken_ = from->take({data_, size_});
      from->wake_next();
    }
  }
  if (!taken_.head) [[unlikely]]
    return fail(error());
  return made({data_, taken_.copied}, *taken_.head, taken_.truncated, taken_.full_length);
}

bool read_batch_operation::suspend(std::coroutine_handle<> reader, stop_root& stop) {
  if (count_ > 0) [[unlikely]]
    ready_node::throw_awaited_twice();
  if (messages_.empty()) {
    refuse(make_error_code(std::errc::invalid_argument));
    return false;
  }
  if (receiver* const from = at_hand(stop)) {
    count_ = from->take_some(messages_);
    return false;
  }
  return wait(reader, stop, briefly_);
}

result<std::size_t> read_batch_operation::await_resume() noexcept {
  if (waiter_) {
    if (receiver* const from = resumed()) count_ = from->take_some(messages_);
  }
  if (const auto error = this->error()) return fail(error);
  return count_;
}

bool receive_operation::suspend(std::coroutine_handle<> reader, stop_root& stop) {
  if (count_ > 0 || waiter_) [[unlikely]]
    ready_node::throw_awaited_twice();
  into_->clear();
  if (receiver* const from = at_hand(stop)) {
    count_ = from->lend(*into_);
    return false;
  }
  return wait(reader, stop, briefly_);
}

result<std::size_t> receive_operation::await_resume() noexcept {
  if (waiter_) {
    if (receiver* const from = resumed()) count_ = from->lend(*into_);
  }
  if (const auto error = this->error()) return fail(error);
  return count_;
}

// --- writing ---

write_waiter::~write_waiter() {
  if (waiting_hook::linked()) socket_->writing().cancel_and_wait(*this);
}

bool write_waiter::suspend(std::coroutine_handle<> writer, stop_root& stop) {
  begin_wait(writer);
  if (socket_ && socket_->may_write() && !stop.stop_requested()) [[likely]] {
    if (addressed_ != socket_->connected() || messages_.empty()) [[likely]] {
      if (socket_->names_sources()) [[unlikely]]
        socket_->name_sources(messages_);
      return socket_->writing().wait(*this, stop);
    }
    ended_ = make_error_code(addressed_ ? std::errc::already_connected : std::errc::destination_address_required);
  } else {
    ended_ = socket_ ? socket_->check_write() : make_error_code(errc::closed);
    if (!ended_) ended_ = errc::canceled;
  }
  for (write_slot& each : messages_) each.error = ended_.code();
  return false;
}

void write_waiter::stop_requested() noexcept {
  if (waiting_hook::linked()) socket_->writing().cancel(*this, errc::canceled);
}

void write_waiter::tell_wait(wait_listing& to) const {
  if (socket_ && !socket_->closed()) to.descriptor(socket_->fd());
  to.ready_if(ready_node::linked());
}

void write_waiter::finish() noexcept {
  assert(!waiting_hook::linked() && in_flight_ == 0 && "a train has a datagram of a write that has ended");
  forget();
}

result<std::size_t> write_operation::await_resume() noexcept {
  finish();
  if (sent_ > 0) return message_.payload.size();
  return fail(error());
}

result<std::size_t> write_batch_operation::await_resume() noexcept {
  finish();
  if (sent_ > 0 || !error()) return sent_;
  return fail(error());
}

result<void> flush_operation::await_resume() noexcept {
  finish();
  if (const auto late = error()) return fail(late);
  return {};
}

}  // namespace uring6::inline v0::detail
