// Trains of one socket that leave together, by one sendmmsg(2). Datagrams to many destinations are a train each, and
// what the ring does for each of its entries is more than a system call for all of them costs.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "net/send_train.hpp"

namespace uring6::detail {

class send_convoy {
 public:
  static constexpr std::size_t most = 64;
  static constexpr std::size_t enough = 8;  // from here on it is faster than the ring

  bool empty() const noexcept { return count_ == 0; }
  bool is_worth_it() const noexcept { return count_ >= enough; }

  void add(send_train& train) noexcept {
    train.describe(messages_[count_].msg_hdr);
    trains_[count_++] = &train;
  }

  send_train& first() const noexcept { return *trains_[gone_]; }

  /// The first train is somebody else's now.
  void take_first() noexcept {
    if (++gone_ == count_) count_ = gone_ = 0;
  }

  /// Sends as many as go without waiting. Returns how many went, or the negative errno of the first one. Of one that
  /// fails behind others nothing is said: it is the first of the next call.
  int send(int fd) noexcept {
    const int went = ::sendmmsg(fd, &messages_[gone_], static_cast<unsigned>(count_ - gone_), MSG_DONTWAIT);
    return went > 0 ? went : -errno;
  }

 private:
  std::size_t count_ = 0;
  std::size_t gone_ = 0;
  std::array<mmsghdr, most> messages_{};
  std::array<send_train*, most> trains_{};
};

}  // namespace uring6::detail
