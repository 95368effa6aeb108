// Shared by every fuzz target: claims that must hold, and values taken off the front of the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

/// The entry point of libFuzzer, which each target defines. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace uring6::fuzz {

/// Ends the program unless `holds`: a fuzzer notices a bug by that, also in a release build.
inline void check(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::abort();
}

/// Makes values out of the input's bytes; zeros once they are used up.
class input {
 public:
  explicit input(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  T take() {
    T value{};
    const std::size_t length = bytes_.size() < sizeof(T) ? bytes_.size() : sizeof(T);
    std::memcpy(&value, bytes_.data(), length);
    bytes_ = bytes_.subspan(length);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace uring6::fuzz
