// What all the senders of a loop share: trains and slab blocks, made on demand up to a bound, last used first.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "net/send_train.hpp"
#include "runtime/loop_core.hpp"

namespace uring6::detail {

class send_pool {
 public:
  /// The pool of this loop.
  static std::shared_ptr<send_pool> of(loop_core& loop);

  /// nullptr when all are in use: then come again after a completion.
  send_train* take_train();
  void give_back(send_train& train) noexcept { free_trains_.push_back(&train); }

  slab_block* take_block();
  void give_back(slab_block& block) noexcept {
    block.used = 0;
    free_blocks_.push_back(&block);
  }

  bool has_train() const noexcept { return !free_trains_.empty() || trains_.size() < most_trains; }

  /// A sender that found nothing; told when something comes back.
  void wait(outbound& who) noexcept { waiting_.push_back(who); }
  outbound* next_waiting() noexcept { return waiting_.empty() ? nullptr : &waiting_.pop_front(); }

 private:
  static constexpr std::size_t most_trains = 512;
  static constexpr std::size_t most_blocks = 64;

  std::vector<std::unique_ptr<send_train>> trains_;
  std::vector<send_train*> free_trains_;
  std::vector<std::unique_ptr<slab_block>> blocks_;
  std::vector<slab_block*> free_blocks_;
  intrusive_list<outbound> waiting_;
};

}  // namespace uring6::detail
