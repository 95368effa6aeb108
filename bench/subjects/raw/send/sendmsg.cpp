// One sendmsg per datagram.
#include "subjects/raw/send/send.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

class sendmsg_sender : public socket_subject {
 public:
  explicit sendmsg_sender(const settings& s) : socket_subject(s), payload_(s.size) {
    for (const auto port : s.to) to_.push_back(loopback(port));
    write_pattern(payload_.data(), payload_.size());
  }

  void run_until(std::uint64_t total) override {
    for (; seen_.datagrams < total; ++seen_.datagrams) {
      write_stamp(payload_.data(), payload_.size(), seen_.datagrams);
      iovec vector{payload_.data(), payload_.size()};
      const msghdr message{.msg_name = &to_[seen_.datagrams % to_.size()],
                           .msg_namelen = sizeof(sockaddr_in6),
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = nullptr,
                           .msg_controllen = 0,
                           .msg_flags = 0};
      check(::sendmsg(fd(), &message, 0), "sendmsg");
    }
  }

 private:
  std::vector<std::byte> payload_;
  std::vector<sockaddr_in6> to_;
};

}  // namespace

std::unique_ptr<subject> send_by_sendmsg(const settings& s) {
  return make<sendmsg_sender>(s);
}

}  // namespace bench::raw
