// Work that must end the program runs in a child of it.
#pragma once

#include <functional>
#include <string>

namespace uring6::test {

/// Calls `work` in a child process and returns what the child wrote to standard error before it aborted. Throws
/// std::runtime_error if it did not abort.
std::string last_words(const std::function<void()>& work);

}  // namespace uring6::test
