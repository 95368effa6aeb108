// Trains: one sendmsg with UDP_SEGMENT for as many datagrams as the kernel takes, all to the first
// destination.
#include <algorithm>
#include <array>

#include "subjects/raw/send.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

class gso_sender : public socket_subject {
 public:
  explicit gso_sender(const settings& s)
      : socket_subject(s), size_(s.size), to_(loopback(s.to.at(0))), payloads_(s.size * s.vector) {
    for (std::size_t i = 0; i < s.vector; ++i) write_pattern(payloads_.data() + i * size_, size_);
    message_.msg_control = control_.data();
    message_.msg_controllen = control_.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message_);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto segment = static_cast<std::uint16_t>(size_);
    std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t count = std::min<std::uint64_t>(payloads_.size() / size_, total - seen_.datagrams);
      for (std::size_t i = 0; i < count; ++i) write_stamp(payloads_.data() + i * size_, size_, seen_.datagrams + i);
      iovec vector{payloads_.data(), count * size_};
      message_.msg_name = &to_;
      message_.msg_namelen = sizeof to_;
      message_.msg_iov = &vector;
      message_.msg_iovlen = 1;
      check(::sendmsg(fd(), &message_, 0), "sendmsg");
      seen_.datagrams += count;
      ++seen_.buffers;
    }
  }

 private:
  std::size_t size_;
  sockaddr_in6 to_;
  std::vector<std::byte> payloads_;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control_{};
  msghdr message_{};
};

}  // namespace

std::unique_ptr<subject> send_by_gso(const settings& s) {
  return make<gso_sender>(s);
}

}  // namespace bench::raw
