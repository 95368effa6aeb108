// A vector of datagrams, or of trains with UDP_GRO, per recvmmsg; the harness looks for the best length.
#include <array>

#include "subjects/raw/receive.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

class recvmmsg_receiver : public socket_subject {
 public:
  explicit recvmmsg_receiver(const settings& s)
      : socket_subject(s),
        parses_(s.control || s.gro),
        stride_(s.gro ? longest_buffer : largest_payload),
        payloads_(stride_ * s.vector),
        slots_(s.vector),
        messages_(s.vector) {
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

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      for (mmsghdr& m : messages_) {  // the kernel has overwritten the lengths with the used ones
        m.msg_hdr.msg_namelen = sizeof(sockaddr_in6);
        m.msg_hdr.msg_controllen = parses_ ? control_room : 0;
      }
      const int count =
          check(::recvmmsg(fd(), messages_.data(), static_cast<unsigned>(messages_.size()), MSG_WAITFORONE, nullptr),
                "recvmmsg");
      for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        control got;
        if (parses_) {
          got = parse_control(messages_[i].msg_hdr);
          seen_.controls += got.as_sent() ? 1 : 0;
        }
        seen_.take_train(payloads_.data() + i * stride_, messages_[i].msg_len, static_cast<std::size_t>(got.segment));
      }
    }
  }

 private:
  struct slot {
    alignas(cmsghdr) std::array<std::byte, control_room> control;
    sockaddr_in6 source;
    iovec vector;
  };

  /// Octets of a train; a multiple of the cache line, like largest_payload.
  static constexpr std::size_t longest_buffer = 65'536;

  bool parses_;
  std::size_t stride_;
  std::vector<std::byte> payloads_;
  std::vector<slot> slots_;
  std::vector<mmsghdr> messages_;
};

}  // namespace

std::unique_ptr<subject> receive_by_recvmmsg(const settings& s) {
  return make<recvmmsg_receiver>(s);
}

}  // namespace bench::raw
