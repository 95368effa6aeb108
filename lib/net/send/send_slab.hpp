// Memory for the datagrams of coalesced writes. The sender fills a block front to back; when the kernel has taken all
// trains of the block, the pool hands the block out again while it is still in the processor's cache.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>

#include "uring6/detail/intrusive_list.hpp"

namespace uring6::inline v0::detail {

struct slab_block : list_hook {
  /// Octets: room for four of the longest trains (64 KiB each). All 64 blocks of a loop are 16 MiB.
  static constexpr std::size_t size = 256 * 1024;

  std::size_t used = 0;    // octets from the front
  std::size_t trains = 0;  // how many trains have payload in the block and are not released
  std::unique_ptr<std::byte[]> memory = std::make_unique_for_overwrite<std::byte[]>(size);

  std::size_t room() const noexcept {
    assert(used <= size);
    return size - used;
  }
};

}  // namespace uring6::inline v0::detail
