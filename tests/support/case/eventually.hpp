// Waits for an event that the kernel or another thread brings about in its own time.
#pragma once

#include <chrono>
#include <thread>

namespace uring6::test {

/// Whether `condition()` becomes true. It is called every millisecond; the limit ends a test that has failed, and
/// measures nothing.
template <class Condition>
bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace uring6::test
