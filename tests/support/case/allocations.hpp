// Counts the program's calls of operator new.
#pragma once

#include <cstddef>

namespace uring6::test {

/// The number of calls of any operator new of the program so far, on all threads.
std::size_t allocations() noexcept;

/// Octets that operator new has returned and operator delete has not taken back, without malloc's own overhead.
std::size_t allocated_octets() noexcept;

/// Counts the allocations since its construction.
class allocation_count {
 public:
  [[nodiscard]] std::size_t since() const noexcept { return allocations() - before_; }

 private:
  std::size_t before_ = allocations();
};

/// Calls `call(what)` once, within the next operator new of this thread: a moment that a test cannot choose otherwise.
/// Returns false under ThreadSanitizer, which has operators of its own. nullptr cancels the call.
bool at_next_allocation(void (*call)(void*), void* what) noexcept;

/// Makes the `nth` operator new from now on fail like one without memory, on whichever thread; 1 is the next one. With
/// `lasting` all later ones fail, too. 0 ends it. Returns false under ThreadSanitizer.
bool fail_allocation(std::size_t nth, bool lasting = false) noexcept;

/// The number of failures since the last `fail_allocation`.
std::size_t failed_allocations() noexcept;

}  // namespace uring6::test
