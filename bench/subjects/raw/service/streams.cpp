#include "subjects/raw/service/streams.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "common/socket.hpp"

namespace bench::raw {
namespace {

constexpr int most_events = 512;

class epoll_streams : public subject {
 public:
  explicit epoll_streams(const settings& s)
      : listener_(open_listener()),
        epoll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
        buffer_(s.size),
        last_octet_(s.once ? s.size : 0) {
    watch(EPOLL_CTL_ADD, listener_.get(), EPOLLIN);
  }

  std::vector<std::uint16_t> ports() const override { return {port_of(listener_.get())}; }

  void run_until(std::uint64_t) override {
    std::array<epoll_event, most_events> events;
    for (;;) {
      const int ready = ::epoll_wait(epoll_.get(), events.data(), most_events, -1);
      if (ready < 0 && errno == EINTR) continue;  // the harness has stopped the process (SIGSTOP) and let it go on
      check(ready, "epoll_wait");
      for (std::size_t i = 0; i < static_cast<std::size_t>(ready); ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_.get())
          accept_all();
        else if (!serve(connections_[static_cast<std::size_t>(fd)]))
          connections_[static_cast<std::size_t>(fd)] = {};
      }
    }
  }

 private:
  struct connection {
    descriptor fd{};
    std::size_t echoed = 0;
    std::vector<std::byte> unsent{};  // for which the kernel had no room: nothing is read meanwhile
  };

  void watch(int operation, int fd, std::uint32_t what) {
    epoll_event event{.events = what, .data = {.fd = fd}};
    check(::epoll_ctl(epoll_.get(), operation, fd, &event), "epoll_ctl");
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0 && errno == EAGAIN) return;
      check(fd, "accept4");
      const auto place = static_cast<std::size_t>(fd);
      if (connections_.size() <= place) connections_.resize(place + 1);
      connections_[place].fd = descriptor(fd);
      set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  /// False when the connection has ended.
  bool serve(connection& c) {
    if (!c.unsent.empty()) return send_rest(c);
    const auto got = ::recv(c.fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    const auto size = static_cast<std::size_t>(got);
    const auto sent = ::send(c.fd.get(), buffer_.data(), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    const auto taken = static_cast<std::size_t>(sent < 0 ? 0 : sent);
    c.echoed += taken;
    if (taken < size) {
      c.unsent.assign(buffer_.begin() + static_cast<std::ptrdiff_t>(taken),
                      buffer_.begin() + static_cast<std::ptrdiff_t>(size));
      watch(EPOLL_CTL_MOD, c.fd.get(), EPOLLOUT);
    }
    return !is_over(c);
  }

  bool send_rest(connection& c) {
    const auto sent = ::send(c.fd.get(), c.unsent.data(), c.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    c.echoed += static_cast<std::size_t>(sent);
    c.unsent.erase(c.unsent.begin(), c.unsent.begin() + sent);
    if (c.unsent.empty()) watch(EPOLL_CTL_MOD, c.fd.get(), EPOLLIN);
    return !is_over(c);
  }

  bool is_over(const connection& c) const noexcept { return last_octet_ > 0 && c.echoed >= last_octet_; }

  descriptor listener_;
  descriptor epoll_;
  std::vector<std::byte> buffer_;
  std::size_t last_octet_;               // a connection ends when so many octets were echoed; 0: it goes on
  std::vector<connection> connections_;  // by their descriptors
};

}  // namespace

std::unique_ptr<subject> streams_by_epoll(const settings& s) {
  return make<epoll_streams>(s);
}

}  // namespace bench::raw
