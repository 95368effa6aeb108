// What all the senders of a loop share: trains and slab blocks, made on demand up to a bound, last used first; and the
// list of those that leave together, which is empty between two turns.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "net/send/send_convoy.hpp"
#include "net/send/send_train.hpp"
#include "runtime/loop/loop_core.hpp"

namespace uring6::detail {

class send_pool {
 public:
  /// The pool of this loop.
  static std::shared_ptr<send_pool> of(loop_core& loop);

  /// nullptr when the pool's 512 trains are in use, unless the conn holds none: every conn may always hold one train
  /// beyond the limit, so that it makes progress on its own completions and needs no wake-up from other conns. nullptr
  /// also if there is no memory for another train.
  send_train* take_train(bool conn_has_none) noexcept {
    if (free_trains_.empty() || trains_.size() > max_trains) [[unlikely]]
      return find_train(conn_has_none);
    send_train* const train = free_trains_.back();
    free_trains_.pop_back();
    return train;
  }
  void give_back(send_train& train) noexcept { free_trains_.push_back(&train); }

  send_convoy& convoy() noexcept { return convoy_; }

  /// nullptr when all are in use, or if there is no memory for another one.
  slab_block* take_block() noexcept;
  void give_back(slab_block& block) noexcept {
    block.used = 0;
    free_blocks_.push_back(&block);
  }

 private:
  static constexpr std::size_t max_trains = 512;
  static constexpr std::size_t max_blocks = 64;

  send_train* find_train(bool conn_has_none) noexcept;

  std::vector<std::unique_ptr<send_train>> trains_;
  std::vector<send_train*> free_trains_;
  std::vector<std::unique_ptr<slab_block>> blocks_;
  std::vector<slab_block*> free_blocks_;
  send_convoy convoy_;
};

}  // namespace uring6::detail
