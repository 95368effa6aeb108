// Memory for coroutine frames, recycled per thread, so that a loop in its steady state allocates nothing.
#pragma once

#include <cstddef>
#include <memory_resource>

#include "uring6/export.hpp"

namespace uring6::inline v0::detail {

/// Memory for a coroutine frame of `size` bytes, from `resource` if it is given, else from the calling thread's
/// recycler. Throws std::bad_alloc.
URING6_EXPORT void* allocate_frame(std::size_t size, std::pmr::memory_resource* resource = nullptr);

/// The octets of a live frame of `allocate_frame`; 0 for another address, such as that of a frame which the compiler
/// has put into another one (clang).
std::size_t frame_size(const void* frame) noexcept;

/// Gives a frame back to the recycler or resource that it came from. Any thread.
URING6_EXPORT void free_frame(void* frame, std::size_t size) noexcept;

}  // namespace uring6::inline v0::detail
