#include "net/memory/memory_port.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "net/memory/link_medium.hpp"

namespace uring6::inline v0::detail {

memory_port::memory_port(std::shared_ptr<link_medium> medium, std::shared_ptr<loop_core> loop, const endpoint& local)
    : medium_(std::move(medium)), loop_(std::move(loop)), local_(local) {
  medium_->add(*this);
  loop_->add(*this);
}

memory_port::~memory_port() {
  close();
}

std::error_code memory_port::check_thread() const noexcept {
  if (closed_) return errc::closed;
  const std::error_code error = loop_->check_thread();
  return error == errc::forked ? std::error_code{} : error;  // the child of a fork may close its copy
}

std::error_code memory_port::check(bool deadline_passed) const noexcept {
  if (closed_) return errc::closed;
  if (deadline_passed) return errc::deadline_exceeded;
  return loop_->check_owner();
}

// --- reading ---

void memory_port::wait(memory_read_operation& reader) noexcept {
  assert(!check_read() && "no read begins while the port is closed or its deadline has passed");
  if (!readers_.has_waiting() && unread_count_ > readers_.reservations()) {
    readers_.reserve(reader);
    wake(reader);
  } else {
    readers_.wait(reader);
  }
}

// A reader that waits for one turn only is in the ready queue already.
void memory_port::wake(memory_read_operation& reader) noexcept {
  if (!static_cast<ready_node&>(reader).linked()) make_ready(*loop_, reader);
}

void memory_port::wake_readers() noexcept {
  while (readers_.has_waiting() && unread_count_ > readers_.reservations()) {
    memory_read_operation& reader = readers_.first_waiting();
    readers_.reserve(reader);
    wake(reader);
  }
}

void memory_port::leave(memory_read_operation& reader) noexcept {
  readers_.remove(reader);
  wake_readers();
}

void memory_port::fail_waiting(error_slot why) noexcept {
  assert(why && "a reader without a reservation would take a datagram of another one");
  while (readers_.has_waiting()) {
    memory_read_operation& reader = readers_.first_waiting();
    reader.error_ = why;
    readers_.remove(reader);
    wake(reader);
  }
}

void memory_port::take(memory_read_operation& reader, datagram& into) noexcept {
  assert(!unread_.empty() && "no datagram is kept for this reader");
  if (reader.state_ != memory_read_operation::state::idle) readers_.remove(reader);
  memory_packet& first = unread_.pop_front();
  --unread_count_;
  const std::size_t copied = std::min(first.payload.size(), reader.into_.size());
  if (copied > 0) std::memcpy(reader.into_.data(), first.payload.data(), copied);
  into = {.payload = reader.into_.first(copied),
          .control = first.control,
          .source = first.source,
          .truncated = copied < first.payload.size(),
          .control_truncated = false,
          .full_length = first.payload.size()};
  medium_->release(first);
}

void memory_port::deliver(memory_packet& packet) noexcept {
  assert(!closed_ && packet.destination == local_);
  control_message& told = packet.control;
  told = {};
  told.source = packet.source.address;
  if (has_any(enabled_, control_flags::traffic_class)) told.traffic_class = packet.traffic_class;
  if (has_any(enabled_, control_flags::hop_limit)) told.hop_limit = packet.hop_limit;
  // One option of the kernel, IPV6_RECVPKTINFO.
  if (has_any(enabled_, control_flags::destination | control_flags::interface)) {
    told.destination = local_.address.with_zone(0);
    told.interface_index = medium_->options().interface_index;
  }
  if (has_any(enabled_, control_flags::timestamp)) told.received_at = medium_->wall_clock();
  unread_.push_back(packet);
  ++unread_count_;
  wake_readers();
}

// --- writing ---

std::error_code memory_port::write(const write_slot& message) noexcept {
  assert(!check_write() && "no write begins while the port is closed or its deadline has passed");
  return medium_->send(local_, message);
}

// --- options, the end ---

result<void> memory_port::set_control(control_flags flags, bool on) noexcept {
  if (has_any(flags, ~all_control_flags)) return fail(std::errc::invalid_argument);
  enabled_ = on ? enabled_ | flags : enabled_ & ~flags;
  return {};
}

void memory_port::close() noexcept {
  if (closed_) return;
  loop_->must_end_here("a memory_socket");
  closed_ = true;
  resident::unlink();
  read_deadline_.disarm();
  write_deadline_.disarm();
  medium_->remove(*this);
  fail_waiting(errc::closed);
  while (readers_.has_reservations()) {
    memory_read_operation& reader = readers_.first_reserved();
    reader.error_ = errc::closed;
    readers_.remove(reader);  // the reader stays in the ready queue
  }
  while (!unread_.empty()) medium_->release(unread_.pop_front());
  unread_count_ = 0;
}

// --- the awaiters ---

memory_read_operation::~memory_read_operation() {
  if (state_ != state::idle) port_->leave(*this);
}

bool memory_read_operation::suspend(std::coroutine_handle<> reader, stop_root& stop) {
  begin_wait(reader);
  error_ = port_ ? port_->check_read() : make_error_code(errc::closed);
  if (!error_ && stop.stop_requested()) error_ = errc::canceled;
  if (error_ || port_->at_hand()) return false;
  stop.prepare(port_->loop());
  port_->wait(*this);
  listen(stop);
  // A read that waits for one turn only is resumed by the next turn.
  if (briefly_ && !ready_node::linked()) make_ready(port_->loop(), *this);
  return true;
}

// A reader that has a reservation is about to be resumed. It is canceled, too; its datagram stays in the port.
void memory_read_operation::stop_requested() noexcept {
  if (state_ == state::idle) return;
  const bool was_waiting = state_ == state::waiting;
  error_ = errc::canceled;
  port_->leave(*this);
  if (was_waiting && !ready_node::linked()) make_ready(port_->loop(), *this);
}

void memory_read_operation::tell_wait(wait_listing& to) const {
  to.ready_if(ready_node::linked());
}

result<datagram> memory_read_operation::await_resume() noexcept {
  forget();
  if (state_ == state::waiting) {
    port_->leave(*this);
    error_ = make_error_code(std::errc::resource_unavailable_try_again);
  }
  if (error_) return fail(error_.code());
  datagram got;
  port_->take(*this, got);
  return got;
}

bool memory_write_operation::suspend(std::coroutine_handle<> writer, const stop_root& stop) {
  begin_wait(writer);
  message_.error = port_ ? port_->check_write() : make_error_code(errc::closed);
  if (!message_.error && stop.stop_requested()) message_.error = errc::canceled;
  if (!message_.error) message_.error = port_->write(message_);
  if (message_.error || port_->loop().spend()) return false;
  make_ready(port_->loop(), *this);
  return true;
}

void memory_write_operation::tell_wait(wait_listing& to) const {
  to.ready_if(linked());
}

result<std::size_t> memory_write_operation::await_resume() noexcept {
  if (message_.error) return fail(message_.error);
  return message_.payload.size();
}

}  // namespace uring6::inline v0::detail
