// Coalesced writes: a conn with `coalesce_writes` copies datagrams into the slab, ends the write at once, and sends
// them with the next flush.
#include <cassert>
#include <cstring>
#include <span>
#include <utility>

#include "net/send/sender.hpp"

namespace uring6::detail {
namespace {

/// Slab blocks that one conn may hold (2 MiB), of the pool's 64.
constexpr std::size_t max_slab_blocks_per_conn = 8;

}  // namespace

// Copies the writer's datagrams into the slab. False: the slab is full, or no train is free. The caller then suspends
// the writer, and sends its other datagrams from their own memory.
bool sender::copy_to_slab(write_waiter& writer) noexcept {
  assert(coalesces_ && writer.in_flight_ == 0 && "no train refers to the writer's own memory");
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) {
    write_slot& message = writer.messages_[writer.next_];
    std::error_code error;
    if (!write_ahead(message, writer.addressed_, error)) return false;
    message.error = error;
    if (!error) {
      ++writer.sent_;
      continue;
    }
    ++counters_.failed;
    if (!writer.first_error_) writer.first_error_ = error;
  }
  return true;
}

// Copies one datagram into the slab and appends it to the slab's train. True: done, or `error` says why the datagram
// cannot be sent. False: there is no room, or no train.
bool sender::write_ahead(const write_slot& message, bool addressed, std::error_code& error) noexcept {
  const std::size_t length = message.payload.size();
  const endpoint& to = destination_of(message, addressed);
  error = check_message(message, to);
  if (error) return true;
  if (!slab_train_ || slab_block_->room() < length || !slab_train_->accepts(message.payload, to, message.control)) {
    seal_slab_train();
    send_train* const train = take_train();
    if (!train) return false;
    error = begin_train(*train, to, message, addressed);
    if (error || !find_room(length)) {
      give_back(*train);
      return static_cast<bool>(error);
    }
    train->block = slab_block_;
    ++slab_block_->trains;
    slab_train_ = train;
  }
  assert(slab_block_ && slab_block_->room() >= length);
  std::byte* const place = slab_block_->memory.get() + slab_block_->used;
  if (length > 0) std::memcpy(place, message.payload.data(), length);
  slab_block_->used += length;
  slab_train_->append(std::span(place, length));
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
  assert(slab_block_->room() >= length);
  return true;
}

void sender::seal_slab_train() noexcept {
  if (slab_train_) seal(*std::exchange(slab_train_, nullptr));
}

}  // namespace uring6::detail
