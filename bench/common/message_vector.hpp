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
    }
  }

  /// As recvmmsg.
  int receive(int fd, int flags) noexcept {
    for (mmsghdr& m : messages_) {  // the kernel has overwritten the lengths with the used ones
      m.msg_hdr.msg_namelen = sizeof(sockaddr_in6);
      m.msg_hdr.msg_controllen = parses_ ? control_room : 0;
    }
    return ::recvmmsg(fd, messages_.data(), static_cast<unsigned>(messages_.size()), flags, nullptr);
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

  bool parses_;
  std::size_t stride_;
  std::vector<std::byte> payloads_;
  std::vector<slot> slots_;
  std::vector<mmsghdr> messages_;
};

}  // namespace bench
