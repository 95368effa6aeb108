// A vector of datagrams per sendmmsg; the harness looks for the best length.
#include <algorithm>

#include "subjects/raw/send/send.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

class sendmmsg_sender : public socket_subject {
 public:
  explicit sendmmsg_sender(const settings& s)
      : socket_subject(s), size_(s.size), payloads_(s.size * s.vector), vectors_(s.vector), messages_(s.vector) {
    for (const auto port : s.to) to_.push_back(loopback(port));
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      write_pattern(payload(i), size_);
      vectors_[i] = {payload(i), size_};
      messages_[i].msg_hdr = {.msg_name = nullptr,
                              .msg_namelen = sizeof(sockaddr_in6),
                              .msg_iov = &vectors_[i],
                              .msg_iovlen = 1,
                              .msg_control = nullptr,
                              .msg_controllen = 0,
                              .msg_flags = 0};
    }
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t count = std::min<std::uint64_t>(messages_.size(), total - seen_.datagrams);
      for (std::size_t i = 0; i < count; ++i) {
        write_stamp(payload(i), size_, seen_.datagrams + i);
        messages_[i].msg_hdr.msg_name = &to_[(seen_.datagrams + i) % to_.size()];
      }
      const int sent = check(::sendmmsg(fd(), messages_.data(), static_cast<unsigned>(count), 0), "sendmmsg");
      seen_.datagrams += static_cast<std::uint64_t>(sent);
    }
  }

 private:
  std::byte* payload(std::size_t i) noexcept { return payloads_.data() + i * size_; }

  std::size_t size_;
  std::vector<std::byte> payloads_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_;
  std::vector<sockaddr_in6> to_;
};

}  // namespace

std::unique_ptr<subject> send_by_sendmmsg(const settings& s) {
  return make<sendmmsg_sender>(s);
}

}  // namespace bench::raw
