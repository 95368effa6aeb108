// Trains and single datagrams of one conn that leave by one sendmmsg(2). From `min_members` on that is faster than one
// ring entry for each: the kernel does more work for a ring entry than for a message of sendmmsg.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <new>

#include "net/send/send_train.hpp"

namespace uring6::inline v0::detail {

class send_convoy {
 public:
  /// Members: as many trains as one conn may hold.
  static constexpr std::size_t capacity = 64;
  /// From so many members on sendmmsg is faster than the ring (measured: docs/design.md, "Many leave together").
  static constexpr std::size_t min_members = 8;
  /// The same for the datagrams in all trains together.
  static constexpr std::size_t min_datagrams = 64;

  struct member {
    send_train* train;
    // Set for a single datagram, which is sent from the writer's message. Its train stays empty; the sender fills it
    // only if the datagram has to go by the ring.
    write_slot* message = nullptr;
    write_waiter* writer = nullptr;
  };

  bool empty() const noexcept { return count_ == 0; }
  bool is_worth_a_call() const noexcept { return count_ >= min_members || datagrams_ >= min_datagrams; }

  /// Does a train stand before another member to its destination? If the route refuses that train, its datagrams go
  /// again before the other member leaves, which the ring cannot do. Precondition (asserted): not worth a call.
  bool repeats_destination_of_train() const noexcept {
    assert(!is_worth_a_call() && "of many members the comparisons would cost too much");
    for (std::size_t one = 0; one + 1 < count_; ++one) {
      if (members_[one].message) continue;
      for (std::size_t later = one + 1; later < count_; ++later) {
        const member& other = members_[later];
        const endpoint& there = other.message ? other.message->destination : other.train->destination();
        if (members_[one].train->datagrams() > 1 && members_[one].train->destination() == there) return true;
      }
    }
    return false;
  }

  void add(send_train& train) noexcept {
    assert(count_ < capacity && "a conn holds at most `capacity` trains");
    assert(sent_ == 0 && "nothing joins a convoy that is being sent");
    assert(train.datagrams() > 0 && train.quiet() && train.addressed());
    members_[count_++] = {&train};
    datagrams_ += train.datagrams();
  }

  void add(write_slot& message, write_waiter& writer, send_train& reserve) noexcept {
    assert(count_ < capacity && "a conn holds at most `capacity` trains");
    assert(sent_ == 0 && "nothing joins a convoy that is being sent");
    assert(is_empty_for_send(message.control) && "a datagram with control bytes needs a train");
    // Constructed in place. A temporary would be written by several short stores and copied by wider loads, for which
    // the processor waits (a failed store-to-load forwarding).
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

  /// Removes the first member: the caller has its outcome, or sends it another way.
  member take_first() noexcept {
    assert(!empty());
    assert(sent_ < count_ && count_ <= capacity);
    const member first = members_[sent_];
    if (++sent_ == count_) count_ = sent_ = datagrams_ = 0;
    return first;
  }

  /// Fills the headers of the trains. Called once, before the first `send`.
  void fill_train_headers() noexcept {
    assert(sent_ == 0 && "called before the first `send`");
    for (std::size_t each = sent_; each < count_; ++each) {
      if (!members_[each].message) members_[each].train->fill_header(headers_[each].msg_hdr);
    }
  }

  /// Sends as many members as the kernel takes without waiting (MSG_DONTWAIT). Returns how many it took, at least 1, or
  /// the negative errno of the first member. sendmmsg does not report the error of a later member: the next call, in
  /// which that member is the first, does.
  int send(int fd) noexcept {
    assert(!empty());
    if (count_ - sent_ == 1) return ::sendmsg(fd, &headers_[sent_].msg_hdr, MSG_DONTWAIT) < 0 ? -errno : 1;
    const int went = ::sendmmsg(fd, &headers_[sent_], static_cast<unsigned>(count_ - sent_), MSG_DONTWAIT);
    assert(went <= static_cast<int>(count_ - sent_));
    return went > 0 ? went : -errno;
  }

 private:
  std::size_t count_ = 0;
  std::size_t sent_ = 0;       // members from the front that `take_first` has removed
  std::size_t datagrams_ = 0;  // of all `count_` members
  std::array<mmsghdr, capacity> headers_{};
  std::array<sockaddr_in6, capacity> names_{};
  std::array<iovec, capacity> pieces_{};
  std::array<member, capacity> members_{};
};

}  // namespace uring6::inline v0::detail
