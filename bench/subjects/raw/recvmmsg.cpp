// A vector of datagrams per recvmmsg; the harness looks for the best length.
#include <array>

#include "subjects/raw/receive.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

class recvmmsg_receiver : public socket_subject {
 public:
  explicit recvmmsg_receiver(const settings& s)
      : socket_subject(s), parses_(s.control), slots_(s.vector), messages_(s.vector) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slot& mine = slots_[i];
      mine.vector = {mine.payload.data(), mine.payload.size()};
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
      for (mmsghdr& m : messages_) {  // the kernel has written what it used over what there is
        m.msg_hdr.msg_namelen = sizeof(sockaddr_in6);
        m.msg_hdr.msg_controllen = parses_ ? control_room : 0;
      }
      const int count = check(::recvmmsg(fd(), messages_.data(), static_cast<unsigned>(messages_.size()),
                                         MSG_WAITFORONE, nullptr),
                              "recvmmsg");
      for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        if (parses_) seen_.controls += parse_control(messages_[i].msg_hdr).as_sent() ? 1 : 0;
        seen_.take_train(slots_[i].payload.data(), messages_[i].msg_len, 0);
      }
    }
  }

 private:
  struct slot {
    alignas(64) std::array<std::byte, largest_payload> payload;
    alignas(cmsghdr) std::array<std::byte, control_room> control;
    sockaddr_in6 source;
    iovec vector;
  };

  bool parses_;
  std::vector<slot> slots_;
  std::vector<mmsghdr> messages_;
};

}  // namespace

std::unique_ptr<subject> receive_by_recvmmsg(const settings& s) {
  return make<recvmmsg_receiver>(s);
}

}  // namespace bench::raw
