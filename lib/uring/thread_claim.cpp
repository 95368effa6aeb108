#include "uring/thread_claim.hpp"

#include <cassert>
#include <new>

namespace uring6::inline v0::detail {
namespace {

constinit thread_local std::shared_ptr<const void> this_thread_lives;

}  // namespace

bool thread_claim::prepare() noexcept {
  try {
    if (!this_thread_lives) this_thread_lives = std::make_shared<char>();
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void thread_claim::make() noexcept {
  assert(this_thread_lives && "prepare was not called on this thread");
  assert(!made());
  life_ = this_thread_lives;
  owner_.store(std::this_thread::get_id(), std::memory_order_release);
}

}  // namespace uring6::inline v0::detail
