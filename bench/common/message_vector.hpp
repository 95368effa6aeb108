// The messages of a recvmmsg, each with room for its payload, source and control messages.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <vector>

#include "common/control.hpp"
#include "common/payload.hpp"

namespace bench {

class message_vector {
 public:
  /// `stride`: octets for each payload. `parses`: control messages are fetched and parsed.
  message_vector(std::size_t count, std::size_t stride, bool parses)
      : parses_(parses), stride_(stride), payloads_(stride * count), slots_(count), messages_(count) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slot& mine = slots_[i];
      mine.vector = {payloads_.data() + i * stride_, stride_};
      messages_[i].msg_hdr = {.msg_name = &mine.source,
                              .msg_namelen = 0,
                              .msg_iov = &mine.vector,
                              .msg_iovlen = 1,
                              .msg_control = mine.control.data(),
                              .msg_controllen = 0,
                              .msg_flags = 0};
      offer(messages_[i].msg_hdr);
    }
  }

  std::size_t size() const noexcept { return messages_.size(); }

  /// As recvmmsg.
  int receive(int fd, int flags) noexcept {
    for (std::size_t i = 0; i < filled_; ++i) offer(messages_[i].msg_hdr);
    const int got = ::recvmmsg(fd, messages_.data(), static_cast<unsigned>(messages_.size()), flags, nullptr);
    filled_ = got < 0 ? 0 : static_cast<std::size_t>(got);
    return got;
  }

  /// Checks and counts the first `count` messages.
  void take(std::size_t count, tally& seen) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      control got;
      if (parses_) {
        got = parse_control(messages_[i].msg_hdr);
        seen.controls += got.as_sent() ? 1 : 0;
      }
      seen.take_train(payloads_.data() + i * stride_, messages_[i].msg_len, static_cast<std::size_t>(got.segment));
    }
  }

 private:
  struct slot {
    alignas(cmsghdr) std::array<std::byte, control_room> control;
    sockaddr_in6 source;
    iovec vector;
  };

  /// The kernel overwrites the lengths of the messages that it fills.
  void offer(msghdr& message) const noexcept {
    message.msg_namelen = sizeof(sockaddr_in6);
    message.msg_controllen = parses_ ? control_room : 0;
  }

  bool parses_;
  std::size_t stride_;
  std::size_t filled_ = 0;  // by the last recvmmsg
  std::vector<std::byte> payloads_;
  std::vector<slot> slots_;
  std::vector<mmsghdr> messages_;
};

}  // namespace bench
