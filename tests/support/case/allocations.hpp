// Counts what operator new is asked for.
#pragma once

#include <cstddef>

namespace uring6::test {

/// How often any operator new of the program has been called, on all threads.
std::size_t allocations() noexcept;

/// What all of them have given that has not been deleted: octets that may be used, without what malloc keeps itself.
std::size_t allocated_octets() noexcept;

/// Counts from its construction on.
class allocation_count {
 public:
  [[nodiscard]] std::size_t since() const noexcept { return allocations() - before_; }

 private:
  std::size_t before_ = allocations();
};

/// `call(what)` is made once, from inside of the next operator new of this thread: a moment that no other test can
/// choose. False where it cannot be done (ThreadSanitizer has operators of its own). nullptr: not any more.
bool at_next_allocation(void (*call)(void*), void* what) noexcept;

/// The `nth` operator new from now on fails, on whichever thread, as without memory: the first one for 1. `lasting`:
/// all that follow it do, too. 0: none does any more. False where it cannot be done (ThreadSanitizer).
bool fail_allocation(std::size_t nth, bool lasting = false) noexcept;

/// How many have failed since the last `fail_allocation`.
std::size_t failed_allocations() noexcept;

}  // namespace uring6::test
