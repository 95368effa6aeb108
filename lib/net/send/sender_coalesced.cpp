// Coalesced writes: a conn with `coalesce_writes` copies datagrams into the slab, ends the write at once, and sends
// them with the next flush.
#include <cassert>
#include <cstring>
#include <span>
#include <utility>

#include "net/send/sender.hpp"

namespace uring6::inline v0::detail {
namespace {

/// Slab blocks that one conn may hold (2 MiB), of the pool's 64.
constexpr std::size_t max_slab_blocks_per_conn = 8;

}  // namespace

// Can the datagram be copied into the slab and join this train, which has its destination? The payloads of a train lie
// in one block. `is_copied`: the slab has the payload already.
inline bool sender::suits_slab(const send_train& train, const write_slot& message, bool is_copied) const noexcept {
  return train.has_place_for(message.payload.size()) && train.has_control_of(message.control) &&
         train.block == slab_block_ && (is_copied || slab_block_->room() >= message.payload.size());
}

// Is the copy of this payload the last one of the slab? A program that sends one payload to many destinations writes it
// once for each: the slab keeps one copy, so that the payloads of each train follow one another. The octets are
// compared, because a program may also write a new payload into the same memory.
inline bool sender::is_last_copy(std::span<const std::byte> payload) const noexcept {
  if (payload.empty() || payload.data() != last_copied_.data() || payload.size() != last_copied_.size()) return false;
  if (!slab_block_) return false;
  assert(slab_block_->used >= payload.size());
  const std::byte* const copy = slab_block_->memory.get() + slab_block_->used - payload.size();
  return std::memcmp(copy, payload.data(), payload.size()) == 0;
}

// Copies one datagram into the slab and appends it to the train of its destination. True: done, or `error` says why the
// datagram cannot be sent. False: there is no room, or no train.
inline bool sender::write_ahead(const write_slot& message, bool addressed, error_slot& error) noexcept {
  const std::size_t length = message.payload.size();
  const endpoint& to = destination_of(message, addressed);
  if (needs_check(message, to)) [[unlikely]] {
    error = check_message(message, to);
    if (error) return true;
  }
  bool is_copied = false;
  const bool is_same = slab_train_ && slab_train_->destination() == to;
  if (!is_same || !suits_slab(*slab_train_, message, false)) {
    is_copied = is_last_copy(message.payload);
    send_train* const last = std::exchange(slab_train_, nullptr);
    if (last && (is_same || !static_cast<train_hook&>(*last).linked())) leave(*last, to, addressed);
    send_train* train = filling_trains_.empty() ? nullptr : find_filling(to);
    if (train && !suits_slab(*train, message, is_copied)) seal(*std::exchange(train, nullptr));
    if (!train) {
      train = take_train();
      if (!train) return false;
      error = begin_train(*train, to, message, addressed);
      if (error || (!is_copied && !find_room(length))) {
        give_back(*train);
        return static_cast<bool>(error);
      }
      train->block = slab_block_;
      ++slab_block_->trains;
    }
    slab_train_ = train;
  }
  assert(slab_block_ && (is_copied || slab_block_->room() >= length));
  if (!is_copied) {
    if (length > 0) std::memcpy(slab_block_->memory.get() + slab_block_->used, message.payload.data(), length);
    slab_block_->used += length;
    last_copied_ = message.payload;
  }
  slab_train_->append(std::span(slab_block_->memory.get() + slab_block_->used - length, length));
  return true;
}

// An earlier datagram to the same destination was refused after its write had ended. This message gets the error in
// place of being sent, as a socket reports an ICMP error. So a caller that repeats each failed write sends its
// datagrams once, and a destination that refuses keeps nothing from the others.
void sender::report_late_error(write_waiter& writer, write_slot& message) noexcept {
  assert(refused_late_);
  message.error = take_error();
  if (!writer.first_error_) writer.first_error_ = message.error;
}

// Copies the writer's datagrams into the slab. False: the slab is full, or no train is free. The caller then suspends
// the writer, and sends its other datagrams from their own memory.
bool sender::copy_to_slab(write_waiter& writer) noexcept {
  assert(coalesces_ && writer.in_flight_ == 0 && "no train refers to the writer's own memory");
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) {
    write_slot& message = writer.messages_[writer.next_];
    // A message of which trains have taken a part goes on: a later message gets the error, or flush.
    const bool is_new = writer.taken_ == 0;
    if (refused_late_ && is_new && destination_of(message, writer.addressed_) == late_refusal_->destination)
        [[unlikely]] {
      report_late_error(writer, message);
      continue;
    }
    if (message.segment > 0) [[unlikely]]
      return false;  // the message is a train already: it leaves from where it lies
    error_slot error;
    if (!write_ahead(message, writer.addressed_, error)) return false;
    if (!error) [[likely]] {
      if (message.error) message.error.clear();
      ++writer.sent_;
      continue;
    }
    message.error = error.code();
    ++counters_.failed;
    if (!writer.first_error_) writer.first_error_ = error;
  }
  return true;
}

// Makes `slab_block_` a block with room for `length` octets. The caller counts a train in it at once, because a block
// goes back to the pool with its last train.
bool sender::find_room(std::size_t length) noexcept {
  assert(length <= slab_block::size && slab_blocks_held_ <= max_slab_blocks_per_conn);
  if (slab_block_ && slab_block_->room() >= length) return true;
  slab_block* const fresh = slab_blocks_held_ < max_slab_blocks_per_conn ? pool_->take_block() : nullptr;
  if (!fresh) return false;
  ++slab_blocks_held_;
  slab_block_ = fresh;
  last_copied_ = {};
  assert(slab_block_->room() >= length);
  return true;
}

void sender::seal_slab_trains() noexcept {
  seal_all_filling(std::exchange(slab_train_, nullptr));
}

}  // namespace uring6::inline v0::detail
