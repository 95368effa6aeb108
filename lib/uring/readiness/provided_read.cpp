#include "uring/readiness/provided_read.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "uring/asan.hpp"
#include "uring/readiness/attempts.hpp"

namespace uring6::inline v0::detail {
namespace {

// Datagrams of one socket before the others get their turn: a choice, the pool's first window.
constexpr unsigned most_datagrams = 64;

// Octets of them after which the others get their turn, too: a choice, half of a first-level cache. More trains would
// leave the cache before they are read.
constexpr std::size_t most_octets = 16'384;

/// Where in a buffer the parts of a datagram are stored.
struct layout {
  bool with_message = false;  // source and control data, too: an io_uring_recvmsg_out begins the buffer
  std::uint32_t name = 0;
  std::uint32_t control = 0;

  explicit layout(const ::io_uring_sqe& entry) noexcept : with_message(entry.opcode == IORING_OP_RECVMSG) {
    if (!with_message) return;
    const auto& lengths = *reinterpret_cast<const msghdr*>(static_cast<std::uintptr_t>(entry.addr));
    name = lengths.msg_namelen;
    control = static_cast<std::uint32_t>(lengths.msg_controllen);
  }

  std::uint32_t before_payload() const noexcept {
    return with_message ? static_cast<std::uint32_t>(sizeof(::io_uring_recvmsg_out)) + name + control : 0;
  }
};

std::byte* memory_of(const ::io_uring_buf& buffer) noexcept {
  return reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(buffer.addr));
}

/// The arguments of one recvmmsg.
class message_batch {
 public:
  message_batch(const layout& parts, const buffer_group& buffers, unsigned count) noexcept : parts_(parts) {
    for (unsigned i = 0; i < count; ++i) {
      const ::io_uring_buf& buffer = buffers.peek(i);
      std::byte* const memory = memory_of(buffer);
      unpoison(memory, buffer.len);
      payloads_[i] = {memory + parts.before_payload(), buffer.len - parts.before_payload()};
      msghdr& message = messages_[i].msg_hdr;
      message = {};
      message.msg_iov = &payloads_[i];
      message.msg_iovlen = 1;
      if (!parts.with_message) continue;
      message.msg_name = memory + sizeof(::io_uring_recvmsg_out);
      message.msg_namelen = parts.name;
      message.msg_control = memory + sizeof(::io_uring_recvmsg_out) + parts.name;
      message.msg_controllen = parts.control;
    }
  }

  /// Returns how many were received, or -1 and errno.
  int receive(int fd, unsigned count, int flags) noexcept {
    const int received = ::recvmmsg(fd, messages_, count, flags, nullptr);
    for (auto i = static_cast<unsigned>(std::max(received, 0)); poisons && i < count; ++i)
      poison(static_cast<std::byte*>(payloads_[i].iov_base) - parts_.before_payload(),
             payloads_[i].iov_len + parts_.before_payload());
    return received;
  }

  /// Octets of the first `count` datagrams.
  std::size_t octets(unsigned count) const noexcept {
    std::size_t sum = 0;
    for (unsigned i = 0; i < count; ++i) sum += messages_[i].msg_len;
    return sum;
  }

  /// Completes the buffer's content and returns the result that the kernel would post for it.
  std::int32_t finish(unsigned at) noexcept {
    const std::uint32_t length = messages_[at].msg_len;
    if (!parts_.with_message) return static_cast<std::int32_t>(length);
    const msghdr& message = messages_[at].msg_hdr;
    ::io_uring_recvmsg_out header{};
    header.namelen = message.msg_namelen;
    header.controllen = static_cast<std::uint32_t>(message.msg_controllen);
    header.payloadlen = length;
    header.flags = static_cast<std::uint32_t>(message.msg_flags);
    std::memcpy(static_cast<std::byte*>(payloads_[at].iov_base) - parts_.before_payload(), &header, sizeof header);
    const auto stored = std::min<std::size_t>(length, payloads_[at].iov_len);
    return static_cast<std::int32_t>(parts_.before_payload() + stored);
  }

 private:
  const layout& parts_;
  mmsghdr messages_[most_datagrams];
  iovec payloads_[most_datagrams];
};

std::uint32_t flags_of(const ::io_uring_buf& buffer) noexcept {
  return IORING_CQE_F_BUFFER | static_cast<std::uint32_t>(buffer.bid) << IORING_CQE_BUFFER_SHIFT;
}

/// Posts the datagrams of a batch, and takes their buffers. With `last` the read ends with the last of them, which is
/// the attempt's result.
attempt_result post(const request& what, buffer_group& buffers, ring_queues& completions, message_batch& batch,
                    unsigned count, bool last) noexcept {
  attempt_result ended = attempt_result::go_on();
  for (unsigned i = 0; i < count; ++i) {
    const std::uint32_t flags = flags_of(buffers.peek(i));
    const std::int32_t result = batch.finish(i);
    if (last && i + 1 == count) {
      ended = attempt_result::end(result, flags);
    } else {
      completions.post(what.entry.user_data, result, flags | IORING_CQE_F_MORE);
    }
  }
  buffers.take(count);
  return ended;
}

/// Nothing was read.
attempt_result nothing_read(const ::io_uring_sqe& entry) noexcept {
  if (errno != EAGAIN || (entry.msg_flags & MSG_DONTWAIT)) return attempt_result::end(-errno);
  return attempt_result::wait(EPOLLIN);
}

/// How many datagrams the next call should expect: as many as the last one gave, but no more than `most_octets` of them
/// in two calls.
std::uint16_t next_expected(unsigned got, std::size_t octets) noexcept {
  const std::size_t fitting = most_octets / 2 * got / std::max<std::size_t>(octets, 1);
  return static_cast<std::uint16_t>(
      std::clamp<std::size_t>(std::min<std::size_t>(got, fitting), 1, most_datagrams / 2));
}

}  // namespace

void begin_provided_read(request& what) noexcept {
  what.expected = 1;
  what.stream = what.entry.opcode == IORING_OP_RECV && is_stream(what.entry.fd);
}

// A read ends with ENOBUFS only if it has found no buffer at all: the loop gives buffers back between two enters.
//
// A call asks for twice as many datagrams as the last one gave. One that gives fewer than it was asked for has emptied
// the socket: the kernel then signals the next datagram, or the next error, by an edge.
attempt_result attempt_provided_read(request& what, buffer_group& buffers, ring_queues& completions,
                                     std::uint64_t& calls) noexcept {
  const layout parts(what.entry);
  const bool stays = what.stays_armed();
  const int flags = static_cast<int>(what.entry.msg_flags) | MSG_DONTWAIT;
  std::size_t octets = 0;
  for (unsigned left = most_datagrams; left > 0 && octets < most_octets;) {
    const unsigned available = buffers.available();
    if (available == 0) return left < most_datagrams ? attempt_result::go_on() : attempt_result::end(-ENOBUFS);
    if (buffers.peek(0).len <= parts.before_payload()) return attempt_result::end(-EFAULT);
    // One place is left for the completion that ends the read.
    const unsigned room = completions.room() - 1;
    if (room == 0 && stays) return attempt_result::go_on();
    const unsigned expected = stays && !what.stream ? what.expected * 2U : 1U;
    const unsigned asked = std::min({expected, left, available, stays ? room : 1U});
    message_batch batch(parts, buffers, asked);
    ++calls;
    const int count = batch.receive(what.entry.fd, asked, flags);
    if (count < 0) return nothing_read(what.entry);
    if (!stays) return post(what, buffers, completions, batch, 1, true);
    const auto got = static_cast<unsigned>(count);
    const std::size_t octets_got = batch.octets(got);
    what.expected = next_expected(got, octets_got);
    octets += octets_got;
    const attempt_result after = post(what, buffers, completions, batch, got, what.stream && batch.finish(0) == 0);
    if (after.what == attempt_result::kind::ended) return after;
    if (got < asked && !what.stream) return attempt_result::wait(EPOLLIN);
    left -= got;
  }
  return attempt_result::go_on();
}

}  // namespace uring6::inline v0::detail
