#include "uring/thread_claim.hpp"

namespace uring6::detail {
namespace {

thread_local const std::shared_ptr<const void> this_thread_lives = std::make_shared<char>();

}  // namespace

void thread_claim::make() noexcept {
  life_ = this_thread_lives;
  owner_.store(std::this_thread::get_id(), std::memory_order_release);
}

}  // namespace uring6::detail
