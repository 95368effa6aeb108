// What all senders of a loop share: trains and slab blocks, which are allocated on demand up to a limit and reused, the
// one that was returned last first (it is still in the processor's cache); the table of the trains that are being
// filled; and the convoy, which is empty between flushes.
#pragma once

#include <cassert>
#include <memory>
#include <vector>

#include "net/send/filling_trains.hpp"
#include "net/send/send_convoy.hpp"
#include "net/send/send_train.hpp"
#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

class send_pool final : public shared_by_conns {
 public:
  /// The pool of this loop; makes it at the first call. Throws std::bad_alloc.
  static std::shared_ptr<send_pool> of(loop_core& loop);

  /// nullptr when the pool's 512 trains are in use, unless the conn holds none: every conn may always hold one train
  /// beyond the limit, so that it makes progress on its own completions and needs no wake-up from other conns. nullptr
  /// also if there is no memory for another train.
  send_train* take_train(bool conn_has_none) noexcept {
    if (free_trains_.empty() || trains_.size() > max_trains) [[unlikely]]
      return find_train(conn_has_none);
    send_train* const train = free_trains_.back();
    free_trains_.pop_back();
    assert(train->idle() && "the kernel still reads the train");
    return train;
  }
  void give_back(send_train& train) noexcept {
    assert(free_trains_.size() < trains_.size() && "a train was returned twice");
    assert(train.idle() && train.quiet() && !static_cast<train_hook&>(train).linked());
    free_trains_.push_back(&train);  // allocates nothing: the room was reserved when the train was made
  }

  send_convoy& convoy() noexcept { return convoy_; }
  filling_trains& filling() noexcept { return filling_; }

  /// nullptr when all 64 blocks are in use, or if there is no memory for another one.
  slab_block* take_block() noexcept;
  void give_back(slab_block& block) noexcept {
    assert(block.trains == 0 && "a train's payload lies in the block");
    assert(free_blocks_.size() < blocks_.size() && "a block was returned twice");
    block.used = 0;
    free_blocks_.push_back(&block);
  }

 private:
  /// Trains of one loop, not counting the one beyond the limit for each conn. Eight conns can hold 64 each.
  static constexpr std::size_t max_trains = 512;
  /// Slab blocks of one loop: 16 MiB. Eight conns can hold 8 each.
  static constexpr std::size_t max_blocks = 64;

  send_train* find_train(bool conn_has_none) noexcept;

  std::vector<std::unique_ptr<send_train>> trains_;
  std::vector<send_train*> free_trains_;
  std::vector<std::unique_ptr<slab_block>> blocks_;
  std::vector<slab_block*> free_blocks_;
  send_convoy convoy_;
  filling_trains filling_;
};

}  // namespace uring6::inline v0::detail
