#include "uring6/detail/waiting.hpp"

#include <stdexcept>

#include "runtime/loop_core.hpp"

namespace uring6::detail {
namespace {

// By key, because what it was for may be over when it arrives.
struct remote_call final : inbox_message {
  remote_call(loop_core& to, std::uint64_t whom) noexcept : loop(to), key(whom) {}
  void run() noexcept override { loop.deliver(key); }

  loop_core& loop;
  std::uint64_t key;
};

}  // namespace

void ready_node::throw_awaited_twice() {
  throw std::logic_error("uring6: awaited an operation that has been awaited already");
}

void make_ready(loop_core& loop, ready_node& node) noexcept {
  loop.make_ready(node);
}

void timer_node::arm(loop_core& loop, clock::time_point deadline) {
  disarm();
  deadline_ = deadline;
  loop.timers().insert(*this);
  loop_ = &loop;
}

void timer_node::disarm() noexcept {
  if (!loop_) return;
  loop_->timers().remove(*this);
  loop_ = nullptr;
}

void remote_target::open(loop_core& loop) {
  key_ = loop.enroll(*this);
  loop_ = &loop;
}

void remote_target::close() noexcept {
  if (!loop_) return;
  loop_->strike_off(key_);
  loop_ = nullptr;
}

void remote_target::call() const {
  if (current_loop() == loop_) {
    loop_->deliver(key_);
  } else {
    loop_->post(std::make_unique<remote_call>(*loop_, key_));
  }
}

}  // namespace uring6::detail
