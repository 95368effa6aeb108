#include "uring/kernel/read_trials.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "sys/socket/file_descriptor.hpp"
#include "uring/kernel/trial_ring.hpp"

namespace uring6::inline v0::detail {
namespace {

constexpr std::uint32_t trial_flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

}  // namespace

// `submit` runs no deferred work, so only the read's first run has happened when the completions are counted: 32
// messages, or all.
std::optional<bool> try_multishot_bound() noexcept {
  constexpr unsigned messages = 48;  // more than one run of 32
  constexpr unsigned buffers = 64;
  std::array<int, 2> pair{};
  // SOCK_SEQPACKET: messages have bounds as with SOCK_DGRAM, but more than net.unix.max_dgram_qlen (10) may be queued.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) return {};
  const file_descriptor reader(pair[0]);
  const file_descriptor writer(pair[1]);
  trial_ring ring(trial_flags, 2 * buffers);
  if (!ring.add_buffers(buffers, 8)) return {};
  for (unsigned i = 0; i < messages; ++i) {
    if (::send(writer.get(), "x", 1, MSG_DONTWAIT) != 1) return {};
  }
  ring.add_read(reader.get(), 1, 0);
  if (!ring.submit()) return {};
  unsigned read = 0;
  ring.for_each_completion([&](const ::io_uring_cqe& each) { read += each.res == 1; });
  if (read == 0) return {};
  return read < messages;
}

std::optional<bool> try_error_leaves_buffer() noexcept {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return {};
  const file_descriptor reader(pair[0]);
  const file_descriptor writer(pair[1]);
  trial_ring ring(trial_flags, 8);
  if (!ring.add_buffers(4, 64)) return {};
  ring.add_read(reader.get(), 1, MSG_DONTWAIT);
  if (!ring.submit_and_run()) return {};
  std::optional<bool> left;
  ring.for_each_completion([&](const ::io_uring_cqe& each) {
    if (each.res == -EAGAIN) left = (each.flags & IORING_CQE_F_BUFFER) == 0;
  });
  return left;
}

}  // namespace uring6::inline v0::detail
