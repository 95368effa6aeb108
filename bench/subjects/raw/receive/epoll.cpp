// Many connected sockets under one edge-triggered epoll; each is read by recvmsg until EAGAIN, or by recvmmsg until
// fewer datagrams come than the vector holds.
#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "common/addresses.hpp"
#include "common/control.hpp"
#include "common/message_vector.hpp"
#include "common/socket.hpp"
#include "subjects/raw/receive/receive.hpp"

namespace bench::raw {
namespace {

constexpr int most_events = 512;

class epoll_receiver : public subject {
 public:
  explicit epoll_receiver(const settings& s) : epoll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
    for (unsigned i = 0; i < s.sockets; ++i) {
      sockets_.push_back(s.spread ? open_at(address_of(i), 0, SOCK_NONBLOCK) : open_socket(SOCK_NONBLOCK));
      const int fd = sockets_.back().get();
      const sockaddr_in6 peer = loopback(s.to.at(0));
      check(::connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer), "connect");
      if (s.control) request_control(fd);
      epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = fd}};
      check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
  }

  std::vector<std::uint16_t> ports() const override {
    std::vector<std::uint16_t> ports;
    for (const auto& s : sockets_) ports.push_back(port_of(s.get()));
    return ports;
  }

  void run_until(std::uint64_t total) override {
    std::array<epoll_event, most_events> events;
    while (seen_.datagrams < total) {
      const int ready = check(::epoll_wait(epoll_.get(), events.data(), most_events, -1), "epoll_wait");
      for (std::size_t i = 0; i < static_cast<std::size_t>(ready); ++i) empty(events[i].data.fd);
    }
  }

 protected:
  virtual void empty(int fd) = 0;

 private:
  descriptor epoll_;
  std::vector<descriptor> sockets_;
};

class one_by_one : public epoll_receiver {
 public:
  using epoll_receiver::epoll_receiver;

 private:
  void empty(int fd) override {
    for (;;) {
      alignas(64) std::array<std::byte, largest_payload> payload;
      alignas(cmsghdr) std::array<std::byte, control_room> control;
      sockaddr_in6 source;
      iovec vector{payload.data(), payload.size()};
      msghdr message{.msg_name = &source,
                     .msg_namelen = sizeof source,
                     .msg_iov = &vector,
                     .msg_iovlen = 1,
                     .msg_control = control.data(),
                     .msg_controllen = control.size(),
                     .msg_flags = 0};
      const auto size = ::recvmsg(fd, &message, 0);
      if (size < 0 && errno == EAGAIN) return;
      seen_.controls += parse_control(message).as_sent() ? 1 : 0;
      seen_.take_train(payload.data(), static_cast<std::size_t>(check(size, "recvmsg")), 0);
    }
  }
};

class by_vector : public epoll_receiver {
 public:
  explicit by_vector(const settings& s) : epoll_receiver(s), messages_(s.vector, largest_payload, s.control) {}

 private:
  void empty(int fd) override {
    for (std::size_t got = messages_.size(); got == messages_.size();) {
      const int count = messages_.receive(fd, MSG_DONTWAIT);
      if (count < 0 && errno == EAGAIN) return;
      got = static_cast<std::size_t>(check(count, "recvmmsg"));
      messages_.take(got, seen_);
    }
  }

  message_vector messages_;
};

}  // namespace

std::unique_ptr<subject> receive_by_epoll(const settings& s) {
  return make<one_by_one>(s);
}

std::unique_ptr<subject> receive_by_epoll_and_recvmmsg(const settings& s) {
  return make<by_vector>(s);
}

}  // namespace bench::raw
