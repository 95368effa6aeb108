// The echo server of many textbooks: level-triggered epoll, and for each event one recvmsg and one sendmsg.
#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "subjects/raw/echo/echo.hpp"
#include "subjects/raw/echo/echo_server.hpp"

namespace bench::raw {
namespace {

class by_epoll : public echo_server {
 public:
  explicit by_epoll(const settings& s)
      : echo_server(s), epoll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd()}};
    check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd(), &event), "epoll_ctl");
  }

  void run_until(std::uint64_t total) override {
    alignas(64) std::array<std::byte, largest_payload> payload;
    // PKTINFO alone, and sent unchanged: the answer leaves from the address and the interface that the datagram was
    // sent to.
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))> control;
    while (seen_.datagrams < total) {
      epoll_event event;
      const int ready = ::epoll_wait(epoll_.get(), &event, 1, -1);
      if (ready < 0 && errno == EINTR) continue;  // the harness has stopped the process (SIGSTOP) and let it go on
      check(ready, "epoll_wait");
      sockaddr_in6 peer;
      iovec vector{payload.data(), payload.size()};
      msghdr message{.msg_name = &peer,
                     .msg_namelen = sizeof peer,
                     .msg_iov = &vector,
                     .msg_iovlen = 1,
                     .msg_control = control.data(),
                     .msg_controllen = control.size(),
                     .msg_flags = 0};
      vector.iov_len = static_cast<std::size_t>(check(::recvmsg(fd(), &message, 0), "recvmsg"));
      seen_.take_train(payload.data(), vector.iov_len, 0);
      check(::sendmsg(fd(), &message, 0), "sendmsg");
    }
  }

 private:
  descriptor epoll_;
};

}  // namespace

std::unique_ptr<subject> echo_by_epoll(const settings& s) {
  return make<by_epoll>(s);
}

}  // namespace bench::raw
