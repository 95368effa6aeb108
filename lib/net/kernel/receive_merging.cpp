#include "net/kernel/receive_merging.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "net/kernel/segment_limit.hpp"

namespace uring6::inline v0::detail {
namespace {

/// The first releases with commit 5babae777c61: of mainline, and of each stable series that has it.
constexpr kernel_version first_in_mainline{6, 9, 0};

struct stable_series {
  kernel_version first;
  bool told_by_long_trains;  // trains of 128 datagrams came to this series with a later release
};
constexpr stable_series stable[] = {
    {{6, 1, 91}, true},  // 6.1.107
    {{6, 6, 31}, false},
    {{6, 8, 10}, false},  // 6.8.8 sends trains of 128, too
};

constexpr std::size_t long_train = 128;  // datagrams: UDP_MAX_SEGMENTS of the kernels with the later change

/// Decides by the version. A trial on ::1 is not possible: the kernel merges only datagrams that a device with NAPI
/// receives. But since 6.1.107 the series 6.1 sends trains of 128 datagrams instead of 64, which can be tried there: a
/// kernel of that series that does so has the commit, too. Without a patch level, and in every other series before 6.9,
/// the answer is false. Nothing where only a train could decide, and `longest_train` is unknown.
std::optional<bool> decide(const kernel_version& kernel, std::optional<std::size_t> longest_train) noexcept {
  if (kernel >= first_in_mainline) return true;
  const auto* const series = std::ranges::find_if(stable, [&](const stable_series& each) {
    return each.first.major == kernel.major && each.first.minor == kernel.minor;
  });
  if (series == std::end(stable)) return false;
  if (kernel >= series->first) return true;
  if (!series->told_by_long_trains) return false;
  if (!longest_train) return {};
  return *longest_train >= long_train;
}

std::optional<bool> ask() {
  const auto kernel = version_of(read_kernel_names());
  if (!kernel) return false;
  if (const auto known = decide(*kernel, {})) return known;
  return decide(*kernel, ask_segment_limit());
}

}  // namespace

bool merges_only_equals(const kernel_version& kernel, std::optional<std::size_t> longest_train) noexcept {
  return decide(kernel, longest_train).value_or(false);
}

bool kernel_merges_only_equals() noexcept {
  enum class answer : std::uint8_t { unknown, no, yes };
  static std::atomic<answer> known = answer::unknown;
  if (const answer before = known.load(std::memory_order_relaxed); before != answer::unknown)
    return before == answer::yes;
  try {
    const auto found = ask();
    if (found) known.store(*found ? answer::yes : answer::no, std::memory_order_relaxed);
    return found.value_or(false);
  } catch (...) {
    return false;  // no memory for the names: the next call asks again
  }
}

}  // namespace uring6::inline v0::detail
