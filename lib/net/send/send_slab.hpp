// Memory for datagrams that were written ahead: a block is filled front to back, sent, and used again when the
// kernel has taken all of it, still warm.
#pragma once

#include <cstddef>
#include <memory>

#include "uring6/detail/intrusive_list.hpp"

namespace uring6::detail {

struct slab_block : list_hook {
  static constexpr std::size_t size = 256 * 1024;

  std::size_t used = 0;
  std::size_t trains = 0;  // that still have payload in it
  std::unique_ptr<std::byte[]> memory = std::make_unique_for_overwrite<std::byte[]>(size);

  std::size_t room() const noexcept { return size - used; }
};

}  // namespace uring6::detail
