#include "net/spun_read.hpp"

#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace uring6::detail {

bool receiver::spun_read::begin() noexcept {
  if (!pays_ || of_.reads()) return false;  // what the ring reads comes first
  if (!into_) into_ = of_.pool_->draw();
  looks_ = 0;
  if (into_ && of_.loop_.spinner().watch(*this)) return true;
  end();
  return false;
}

void receiver::spun_read::end() noexcept {
  unlink();
  if (into_) of_.pool_->give_back(*std::exchange(into_, nullptr));
}

// As the kernel fills a buffer for a multishot read. Returns what its completion would say.
int receiver::spun_read::read(bool bare) noexcept {
  of_.loop_.count_look();
  std::byte* const memory = into_->memory;
  if (bare) {
    const ssize_t length = ::recv(of_.fd_, memory, of_.pool_->size(), MSG_DONTWAIT | MSG_TRUNC);
    return length < 0 ? -errno : static_cast<int>(length);
  }
  std::byte* const name = memory + buffer_layout::header;
  const std::size_t room = of_.pool_->size() - buffer_layout::payload;
  iovec payload{memory + buffer_layout::payload, room};
  msghdr message{};
  message.msg_name = name;
  message.msg_namelen = buffer_layout::name;
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = name + buffer_layout::name;
  message.msg_controllen = buffer_layout::control;
  const ssize_t length = ::recvmsg(of_.fd_, &message, MSG_DONTWAIT | MSG_TRUNC);
  if (length < 0) return -errno;
  const ::io_uring_recvmsg_out header{.namelen = message.msg_namelen,
                                      .controllen = static_cast<std::uint32_t>(message.msg_controllen),
                                      .payloadlen = static_cast<std::uint32_t>(length),
                                      .flags = static_cast<std::uint32_t>(message.msg_flags)};
  std::memcpy(memory, &header, sizeof header);
  return static_cast<int>(buffer_layout::payload + std::min(static_cast<std::size_t>(length), room));
}

// Where the first look finds something time and again, more comes than one by one, and the ring takes it in at once.
bool receiver::spun_read::look() noexcept {
  constexpr unsigned enough = 4;
  if (of_.waiting_.empty()) {
    end();
    return false;
  }
  const bool bare = of_.may_be_bare_;
  const int result = read(bare);
  if (result == -EAGAIN || result == -EINTR) {
    ++looks_;
    return false;
  }
  unlink();
  at_once_ = looks_ == 0 ? at_once_ + 1 : 0;
  if (at_once_ == enough) pays_ = false;
  if (result == -EPERM || result == -ENOSYS) {
    refused_ = true;
    go_by_ring();
    return true;
  }
  if (result < 0) {
    of_.take_in({result, 0}, bare);
  } else {
    const std::uint32_t id = into_->id;
    of_.pool_->filled_by_hand(*std::exchange(into_, nullptr));
    of_.take_in({result, id << IORING_CQE_BUFFER_SHIFT | IORING_CQE_F_BUFFER}, bare);
  }
  if (!of_.waiting_.empty()) of_.arm();
  if (!linked()) end();
  return true;
}

void receiver::spun_read::go_by_ring() noexcept {
  pays_ = false;
  end();
  if (!of_.waiting_.empty()) of_.arm();
}

void receiver::spun_read::ring_told(std::size_t datagrams) noexcept {
  constexpr unsigned enough = 16;
  const spinner& spins = of_.loop_.spinner();
  alone_ = datagrams == 1 && spins.helps() ? alone_ + 1 : 0;
  if (alone_ < enough || refused_ || of_.pausing_ || !spins.has_place() || !of_.pool_->can_draw()) return;
  alone_ = at_once_ = 0;
  pays_ = true;
  of_.pausing_ = true;
  of_.loop_.ring().cancel(of_);
}

}  // namespace uring6::detail
