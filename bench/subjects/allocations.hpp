// Counts every allocation of this process, of C++ and of C.
#pragma once

#include <atomic>
#include <cstdint>

namespace bench {

/// From now on `counter` grows by one with every malloc, calloc, realloc or aligned allocation of this
/// process.
void count_allocations_in(std::atomic<std::uint64_t>& counter) noexcept;

}  // namespace bench
