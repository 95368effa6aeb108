// recvmsg and sendmsg of whole trains: each train is answered by one train.
#include <array>

#include "subjects/raw/echo/echo.hpp"
#include "subjects/raw/echo/echo_server.hpp"

namespace bench::raw {
namespace {

class by_train : public echo_server {
 public:
  explicit by_train(const settings& s) : echo_server(s), payload_(65'535) { set_option(fd(), SOL_UDP, UDP_GRO, 1); }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      sockaddr_in6 peer;
      iovec vector{payload_.data(), payload_.size()};
      alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int))> area;
      msghdr message{.msg_name = &peer,
                     .msg_namelen = sizeof peer,
                     .msg_iov = &vector,
                     .msg_iovlen = 1,
                     .msg_control = area.data(),
                     .msg_controllen = area.size(),
                     .msg_flags = 0};
      vector.iov_len = static_cast<std::size_t>(check(::recvmsg(fd(), &message, 0), "recvmsg"));
      const auto segment = static_cast<std::size_t>(parse_control(message).segment);
      seen_.take_train(payload_.data(), vector.iov_len, segment);
      for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == IPPROTO_UDP) write_segment(*c, static_cast<std::uint16_t>(segment));
      }
      check(::sendmsg(fd(), &message, 0), "sendmsg");
    }
  }

 private:
  std::vector<std::byte> payload_;
};

}  // namespace

std::unique_ptr<subject> echo_by_train(const settings& s) {
  return make<by_train>(s);
}

}  // namespace bench::raw
