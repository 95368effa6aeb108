#include "uring/kernel/completion_order.hpp"

#include <sys/socket.h>

#include <array>
#include <atomic>

#include "sys/socket/file_descriptor.hpp"
#include "uring/kernel/trial_ring.hpp"

namespace uring6::inline v0::detail {
namespace {

constexpr std::uint64_t empty_read = 1;  // user_data of the read that the empty datagram ends
constexpr std::uint64_t data_read = 2;   // user_data of the read that takes the data

/// The user_data in the first completion; nothing unless one read ended and the other one took the data.
std::optional<std::uint64_t> first_completed(trial_ring& ring) noexcept {
  if (!ring.submit_and_run()) return {};
  bool ended = false;
  bool took_data = false;
  std::optional<std::uint64_t> first;
  ring.for_each_completion([&](const ::io_uring_cqe& each) {
    if (!first) first = each.user_data;
    ended |= each.user_data == empty_read && each.res == 0;
    took_data |= each.user_data == data_read && each.res == 1;
  });
  return ended && took_data ? first : std::nullopt;
}

}  // namespace

std::optional<bool> try_completion_order(std::uint32_t setup_flags) noexcept {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return {};
  const file_descriptor reader(pair[0]);
  const file_descriptor writer(pair[1]);
  trial_ring ring(setup_flags & posting_flags, 8);
  if (!ring.add_buffers(4, 64)) return {};
  if (::send(writer.get(), "", 0, 0) != 0 || ::send(writer.get(), "x", 1, 0) != 1) return {};
  // Reads as receive_source's drain reads are.
  ring.add_read(reader.get(), empty_read, MSG_DONTWAIT);
  ring.add_read(reader.get(), data_read, MSG_DONTWAIT);
  const auto first = first_completed(ring);
  if (!first) return {};
  return *first == empty_read;
}

bool completions_keep_order(std::uint32_t setup_flags) noexcept {
  enum class answer : std::uint8_t { unknown, kept, broken };
  static std::atomic<answer> known = answer::unknown;
  if (const answer before = known.load(std::memory_order_relaxed); before != answer::unknown)
    return before == answer::kept;
  const auto kept = try_completion_order(setup_flags);
  if (kept) known.store(*kept ? answer::kept : answer::broken, std::memory_order_relaxed);
  return kept.value_or(false);
}

}  // namespace uring6::inline v0::detail
