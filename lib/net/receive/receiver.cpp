#include "net/receive/receiver.hpp"

#include <cassert>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "uring6/datagram_batch.hpp"

namespace uring6::inline v0::detail {

receiver::receiver(loop_core& loop, int fd) noexcept : source_(*this, fd), loop_(loop) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
  constexpr std::size_t cold = sizeof(train_owner) + sizeof(buffer_waiter);
  static_assert(sizeof(void*) != 8 || cold == cache_line / 2, "the source's operation begins half a cache line in");
  static_assert(
      sizeof(void*) != 8 || offsetof(receiver, counters_) + sizeof(counters_.buffers) <= cold + 3 * cache_line,
      "what every datagram touches lies in three cache lines");
#pragma GCC diagnostic pop
}

receiver::~receiver() {
  assert(backlog_.empty() && "`close` discards the backlog, `take_out` returns it");
  assert(!readers_.has_waiting() && !readers_.has_reservations() && "a reader would wait for a conn that is gone");
  assert(this_threads_train.owner != this);
  if (buffer* const last = backlog_rarely_used_.last_moved) source_.pool().give_back(*last);
}

receive_counters receiver::counters() noexcept {
  this_threads_train.close();
  return {.datagrams = backlog_.datagrams(),
          .bytes = backlog_.bytes(),
          .buffers = counters_.buffers,
          .errors = counters_.errors,
          .discarded = backlog_rarely_used_.discarded,
          .source = source_rarely_used_.counted};
}

// --- called by the source ---

// Reserves one buffer for each waiting reader, because a buffer has at least one datagram. If a train has more, the
// reader that takes its first datagram wakes the next reader (wake_next).
void receiver::wake_readers() noexcept {
  while (readers_.has_waiting() && backlog_.size() > readers_.reservations()) {
    read_waiter& next = readers_.first_waiting();
    readers_.reserve(next);
    wake(next);
  }
  assert(readers_.reservations() <= backlog_.size() && "a buffer is reserved for one reader");
}

void receiver::deliver_error(std::error_code error) noexcept {
  assert(error && "the socket has reported an error");
  ++counters_.errors;
  if (!readers_.has_waiting()) {
    pending_error_ = error;
    error_pends_ = true;
    return;
  }
  read_waiter& first = readers_.first_waiting();
  first.error_ = error;
  leave(first);
  wake(first);
}

// Cancels the read if no reader waits and this backlog has half of the pool's buffers. New datagrams then wait in the
// socket, where they need no buffer of the pool.
void receiver::cancel_read_if_reader_is_away() noexcept {
  if (readers_.has_reservations() || readers_.has_waiting()) return;
  if (backlog_.size() * 2 >= source_.pool().count()) source_.cancel_read(cancel_reason::reader_is_away);
}

// --- called by the pool, through the backlog ---

void receiver::make_room() noexcept {
  if (readers_.has_waiting() || readers_.has_reservations()) return;  // a reader will take datagrams soon
  this_threads_train.close();
  backlog_.move_to_memory(source_.pool());
  source_.cancel_read_if_submitted(cancel_reason::moved_out);
}

// --- readers ---

void receiver::close_train() noexcept {
  open_train& train = this_threads_train;
  assert(train.owner == this);
  assert(train.of && "an open train is that of a conn");
  backlog_.take_back(train);
  loop_.refund(train.left);
  train = {};
}

void receiver::wait(read_waiter& reader, std::coroutine_handle<> handle, stop_root& stop) {
  assert(handle && admits_ && "no read begins while the conn is closed or its deadline has passed");
  assert(!loop_.check_owner() && "another thread than the loop's would change the queue");
  reader.handle = handle;
  if (!readers_.has_waiting() && backlog_.size() > readers_.reservations()) {
    readers_.reserve(reader);
    make_ready(loop_, reader);
    reader.listen(stop);
    return;
  }
  if (finishing_) [[unlikely]]
    look_for_end();
  readers_.wait(reader);
  reader.listen(stop);
  source_.arm();
}

void receiver::finish() noexcept {
  finishing_ = true;
  look_for_end();
  readers_.for_each_waiting([this](read_waiter& reader) { wake(reader); });
}

// Once empty the socket stays empty. Datagrams that the kernel took out of it are completions, which the turn reaps.
void receiver::look_for_end() noexcept {
  assert(finishing_);
  if (emptied_ || !source_.socket_is_empty()) return;
  emptied_ = true;
  emptied_in_turn_ = static_cast<std::uint32_t>(loop_.turns());
}

// While the socket has datagrams the turn may have delivered none, because the pool had no buffer: the next read asks
// again.
std::error_code receiver::nothing_came() const noexcept {
  const bool over = emptied_ && static_cast<std::uint32_t>(loop_.turns()) != emptied_in_turn_;
  return over ? make_error_code(errc::closed) : make_error_code(std::errc::resource_unavailable_try_again);
}

// A reader that waits for one turn only (read_batch without waiting) is in the ready queue already.
void receiver::wake(read_waiter& reader) noexcept {
  if (!static_cast<ready_node&>(reader).linked()) make_ready(loop_, reader);
}

void receiver::leave(read_waiter& reader) noexcept {
  readers_.remove(reader);
  wake_readers();
}

void receiver::fail_waiting(std::error_code error) noexcept {
  assert(error && "a reader without a reservation would take a datagram of another one");
  this_threads_train.close();
  while (readers_.has_waiting()) {
    read_waiter& reader = readers_.first_waiting();
    reader.error_ = error;
    readers_.remove(reader);
    wake(reader);
  }
}

std::size_t receiver::take_some(std::span<read_slot> messages) noexcept {
  std::size_t count = 0;
  while (count < messages.size() && backlog_.size() > readers_.reservations()) {
    read_slot& message = messages[count++];
    const received_piece taken = backlog_.next_is_amid_a_train(message.buffer.size())
                                     ? backlog_.take_amid_a_train(message.buffer.data())
                                     : take(message.buffer);
    assert(taken.head && taken.copied <= message.buffer.size() && taken.copied <= taken.full_length);
    message.received = {.payload = message.buffer.first(taken.copied),
                        .control = taken.head->control,
                        .source = taken.head->source,
                        .truncated = taken.truncated,
                        .control_truncated = taken.head->control_truncated,
                        .full_length = taken.full_length};
  }
  wake_next();
  return count;
}

std::size_t receiver::lend(datagram_batch& batch) noexcept {
  assert(this_threads_train.owner != this && "a train of this conn is open: its counts are not up to date");
  batch.clear();
  assert(readers_.reservations() <= backlog_.size());
  const std::uint32_t count = backlog_.size() - readers_.reservations();
  return count > 0 ? backlog_.lend(batch, count, source_rarely_used_.pool) : 0;
}

// --- closing ---

void receiver::end_reading(std::error_code error) noexcept {
  fail_waiting(error);
  while (readers_.has_reservations()) {
    read_waiter& reader = readers_.first_reserved();
    reader.error_ = error;
    readers_.remove(reader);  // the reader stays in the ready queue
  }
  assert(!readers_.has_waiting() && "the source would arm a read for a reader that waits");
  source_.stop_reads();
}

void receiver::close(std::error_code error) noexcept {
  assert(error);
  end_reading(error);
  if (!backlog_.empty()) backlog_.clear(source_.pool(), true);
  if (backlog_.has_set_aside()) backlog_.drop_aside(source_.pool_or_null(), true);
  error_pends_ = false;
}

result<std::vector<kept_datagram>> receiver::take_out() noexcept {
  assert(!loop_.check_thread());
  assert(!is_handing_over() && "another process is offered the datagrams");
  this_threads_train.close();
  source_.stop_reads();
  auto kept = copy_backlog();
  if (!kept) {
    source_.resume_reads();
    return kept;
  }
  end_reading(errc::closed);
  if (!backlog_.empty()) backlog_.clear(source_.pool(), false);
  return kept;
}

result<std::vector<kept_datagram>> receiver::copy_backlog() noexcept {
  try {
    return backlog_.copies();
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

// --- handing over ---

void receiver::begin_handover() noexcept {
  assert(!loop_.check_thread() && !is_handing_over());
  this_threads_train.close();
  source_.stop_reads();
}

result<std::vector<kept_datagram>> receiver::offer_backlog() noexcept {
  assert(is_handing_over() && !has_reservations() && "a reader would take a datagram that is offered");
  this_threads_train.close();
  std::unique_ptr<receive_backlog::set_aside_buffers> aside(new (std::nothrow) receive_backlog::set_aside_buffers);
  if (!aside) return fail(std::errc::not_enough_memory);
  auto kept = copy_backlog();
  if (kept) backlog_.set_aside(std::move(aside));
  return kept;
}

// As `finish` of a socket that was found empty in an earlier turn: the other process reads what is in it.
void receiver::finish_handover() noexcept {
  assert(is_handing_over());
  if (backlog_.has_set_aside()) backlog_.drop_aside(source_.pool_or_null(), false);
  finishing_ = emptied_ = true;
  emptied_in_turn_ = static_cast<std::uint32_t>(loop_.turns()) - 1;
  readers_.for_each_waiting([this](read_waiter& reader) { wake(reader); });
}

void receiver::give_up_handover() noexcept {
  assert(is_handing_over() && !finishing_);
  if (backlog_.has_set_aside()) backlog_.put_back(source_.pool_or_null());
  wake_readers();
  source_.resume_reads();
}

result<void> receiver::take_in_kept(std::span<const kept_datagram> datagrams) noexcept {
  assert(!source_.is_reading() && backlog_.empty());
  assert(!readers_.has_waiting() && "no read has begun");
  if (datagrams.empty()) return {};
  if (const auto error = source_.open_pool()) return fail(error);
  buffer_pool& pool = source_.pool();
  if (!pool.may_copy(datagrams)) return fail(std::errc::no_buffer_space);
  intrusive_list<buffer> made;
  for (const kept_datagram& each : datagrams) {
    buffer* const copy = pool.copy_of(each);
    if (!copy) {
      while (!made.empty()) pool.give_back(made.pop_front());
      return fail(std::errc::not_enough_memory);
    }
    made.push_back(*copy);
  }
  while (!made.empty()) backlog_.push_back(made.pop_front());
  return {};
}

void receiver::deliver_path_mtu_event(const path_mtu_event& news) noexcept {
  path_mtu_event_.reset(new (std::nothrow) path_mtu_event(news));
  deliver_error(path_mtu_event_ ? make_error_code(errc::path_mtu_event)
                                : make_error_code(std::errc::not_enough_memory));
}

std::optional<path_mtu_event> receiver::take_path_mtu_event() noexcept {
  const auto kept = std::exchange(path_mtu_event_, nullptr);
  return kept ? std::optional(*kept) : std::nullopt;
}

}  // namespace uring6::inline v0::detail
