#include "net/send/send_pool.hpp"

#include <cassert>
#include <new>

namespace uring6::inline v0::detail {

std::shared_ptr<send_pool> send_pool::of(loop_core& loop) {
  std::shared_ptr<shared_by_conns>& slot = loop.share_of_conns();
  if (!slot) {
    auto made = std::make_shared<send_pool>();
    made->trains_.reserve(max_trains);
    made->free_trains_.reserve(max_trains);
    made->blocks_.reserve(max_blocks);
    made->free_blocks_.reserve(max_blocks);
    slot = std::move(made);
  }
  return std::static_pointer_cast<send_pool>(slot);  // this function alone fills the slot
}

send_train* send_pool::find_train(bool conn_has_none) noexcept {
  assert(free_trains_.size() <= trains_.size());
  const std::size_t in_use = trains_.size() - free_trains_.size();
  if (in_use >= max_trains && !conn_has_none) return nullptr;
  if (free_trains_.empty()) {
    try {
      free_trains_.reserve(trains_.size() + 1);  // give_back must not allocate
      trains_.push_back(std::make_unique<send_train>());
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return trains_.back().get();
  }
  send_train* train = free_trains_.back();
  free_trains_.pop_back();
  return train;
}

slab_block* send_pool::take_block() noexcept {
  if (free_blocks_.empty()) {
    if (blocks_.size() == max_blocks) return nullptr;
    try {
      blocks_.push_back(std::make_unique<slab_block>());
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return blocks_.back().get();
  }
  slab_block* block = free_blocks_.back();
  free_blocks_.pop_back();
  assert(block->used == 0 && block->trains == 0 && "a free block is empty");
  return block;
}

}  // namespace uring6::inline v0::detail
