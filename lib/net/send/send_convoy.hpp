// What leaves one socket together, by one sendmmsg(2): trains, and datagrams of their own. Of many that is faster than
// by the ring, which does more for each of its entries than one call for all of them costs.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <new>

#include "net/send/send_train.hpp"

namespace uring6::detail {

class send_convoy {
 public:
  static constexpr std::size_t capacity = 64;
  static constexpr std::size_t min_members = 8;     // members; from here on it is the faster way
  static constexpr std::size_t min_datagrams = 64;  // datagrams in their trains: the same

  struct member {
    send_train* train;
    // A datagram that goes without: the train is there, and is loaded only if it has to go by the ring.
    outgoing* message = nullptr;
    write_waiter* writer = nullptr;
  };

  bool empty() const noexcept { return count_ == 0; }
  bool is_worth_a_call() const noexcept { return count_ >= min_members || datagrams_ >= min_datagrams; }

  void add(send_train& train) noexcept {
    members_[count_++] = {&train};
    datagrams_ += train.datagrams();
  }

  void add(outgoing& message, write_waiter& writer, send_train& reserve) noexcept {
    // Made in its place: a copy would be read across the pieces that it is written by, which stalls.
    new (&names_[count_]) sockaddr_in6(message.destination.to_sockaddr());
    pieces_[count_] = {const_cast<std::byte*>(message.payload.data()), message.payload.size()};
    headers_[count_].msg_hdr = {.msg_name = &names_[count_],
                                .msg_namelen = sizeof names_[count_],
                                .msg_iov = &pieces_[count_],
                                .msg_iovlen = 1,
                                .msg_control = nullptr,
                                .msg_controllen = 0,
                                .msg_flags = 0};
    members_[count_++] = {&reserve, &message, &writer};
    ++datagrams_;
  }

  member take_first() noexcept {
    const member first = members_[sent_];
    if (++sent_ == count_) count_ = sent_ = datagrams_ = 0;
    return first;
  }

  /// Before the first `send`.
  void fill_train_headers() noexcept {
    for (std::size_t each = sent_; each < count_; ++each) {
      if (!members_[each].message) members_[each].train->fill_header(headers_[each].msg_hdr);
    }
  }

  /// Sends as many as go without waiting. Returns how many went, or the negative errno of the first one. Of one that
  /// fails behind others nothing is said: it is the first of the next call.
  int send(int fd) noexcept {
    if (count_ - sent_ == 1) return ::sendmsg(fd, &headers_[sent_].msg_hdr, MSG_DONTWAIT) < 0 ? -errno : 1;
    const int went = ::sendmmsg(fd, &headers_[sent_], static_cast<unsigned>(count_ - sent_), MSG_DONTWAIT);
    return went > 0 ? went : -errno;
  }

 private:
  std::size_t count_ = 0;
  std::size_t sent_ = 0;
  std::size_t datagrams_ = 0;  // of all, until the last one has gone
  std::array<mmsghdr, capacity> headers_{};
  std::array<sockaddr_in6, capacity> names_{};
  std::array<iovec, capacity> pieces_{};
  std::array<member, capacity> members_{};
};

}  // namespace uring6::detail
