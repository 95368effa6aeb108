// Counts the descriptors that a test leaves open.
#pragma once

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace uring6::test {

/// The number of the process's open descriptors.
inline std::size_t open_descriptors() {
  const auto entries = std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  return static_cast<std::size_t>(entries) - 1;  // One is the directory that was just read.
}

}  // namespace uring6::test
