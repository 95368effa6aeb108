#include "net/receive/spun_read.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/receive/receive_source.hpp"
#include "uring/submission.hpp"

namespace uring6::inline v0::detail {

bool spun_read::begin() noexcept {
  assert(!linked() && "the spins read this socket already");
  if (faster_ != reader::spin || source_.is_reading()) return false;  // datagrams of the ring's reads are older
  if (!buffer_) buffer_ = source_.pool().draw();
  empty_reads_ = 0;
  if (buffer_ && source_.loop().spinner().watch(*this)) return true;
  assert(!linked() && "the spinner has no place for this socket");
  stop();
  return false;
}

void spun_read::stop() noexcept {
  unlink();
  if (buffer_) source_.pool().give_back(*std::exchange(buffer_, nullptr));
}

// Ends the source's state `spinning` without a datagram.
void spun_read::leave() noexcept {
  stop();
  source_.spin_ends();
}

// Reads one datagram into `buffer_`, laid out as by a multishot read. Returns the result of that read's completion.
int spun_read::read(bool payload_only) noexcept {
  assert(buffer_);
  source_.loop().count_direct_read();
  std::byte* const memory = buffer_->memory;
  if (payload_only) {
    const ssize_t length = ::recv(source_.fd(), memory, source_.pool().size(), MSG_DONTWAIT | MSG_TRUNC);
    return length < 0 ? -errno : static_cast<int>(length);
  }
  std::byte* const name = memory + buffer_layout::header;
  assert(source_.pool().size() > buffer_layout::payload);
  const std::size_t room = source_.pool().size() - buffer_layout::payload;
  iovec payload{memory + buffer_layout::payload, room};
  msghdr message{};
  message.msg_name = name;
  message.msg_namelen = buffer_layout::name;
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = name + buffer_layout::name;
  message.msg_controllen = buffer_layout::control;
  const ssize_t length = ::recvmsg(source_.fd(), &message, MSG_DONTWAIT | MSG_TRUNC);
  if (length < 0) return -errno;
  assert(message.msg_controllen <= buffer_layout::control && "the kernel wrote beyond the control area");
  const received_header header{.namelen = message.msg_namelen,
                               .controllen = static_cast<std::uint32_t>(message.msg_controllen),
                               .payloadlen = static_cast<std::uint32_t>(length),
                               .flags = static_cast<std::uint32_t>(message.msg_flags)};
  std::memcpy(memory, &header, sizeof header);
  return static_cast<int>(buffer_layout::payload + std::min(static_cast<std::size_t>(length), room));
}

// Called by each pass of a spin. When the first read of four spins in a row finds a datagram, datagrams arrive faster
// than they are read, and the ring is better: it delivers many at once.
bool spun_read::try_read() noexcept {
  assert(linked() && "the spinner reads watched sockets only");
  constexpr unsigned in_bulk = 4;  // spins in a row
  if (!source_.has_waiting_reader()) {
    leave();
    return false;
  }
  const bool payload_only = source_.payload_only();
  const int result = read(payload_only);
  if (result == -EAGAIN || result == -EINTR) {
    ++empty_reads_;
    return false;
  }
  first_read_hits_ = empty_reads_ == 0 ? first_read_hits_ + 1 : 0;
  if (first_read_hits_ == in_bulk) faster_ = reader::ring;
  if (result == -EPERM || result == -ENOSYS) {
    faster_ = reader::only_ring;
    unlink();
    return_to_ring();
    return true;
  }
  unlink();
  source_.spin_ends();
  if (result < 0) {
    source_.fail_spun(-result);
  } else {
    source_.pool().count_filled_without_ring();
    source_.take_spun(*std::exchange(buffer_, nullptr), static_cast<std::uint32_t>(result), payload_only);
  }
  if (source_.has_waiting_reader()) source_.arm();
  if (!linked()) stop();
  return true;
}

void spun_read::return_to_ring() noexcept {
  assert(!linked() && "the spinner unlinks a socket that it hands back");
  if (faster_ == reader::spin) faster_ = reader::ring;
  leave();
  if (source_.has_waiting_reader()) source_.arm();
}

bool spun_read::wants_to_spin_after(std::size_t datagrams) noexcept {
  assert(datagrams > 0 && !linked() && "the ring reads the socket");
  // Completions of a single datagram in a row after which a spin reads the socket. Fewer may be a pause in a stream,
  // which the ring reads faster. A choice.
  constexpr unsigned one_by_one = 16;
  const spinner& spins = source_.loop().spinner();
  single_completions_ = datagrams == 1 && spins.helps() ? single_completions_ + 1 : 0;
  if (single_completions_ < one_by_one || faster_ == reader::only_ring || !spins.has_place() ||
      !source_.pool().can_draw())
    return false;
  single_completions_ = first_read_hits_ = 0;
  faster_ = reader::spin;
  return true;
}

}  // namespace uring6::inline v0::detail
