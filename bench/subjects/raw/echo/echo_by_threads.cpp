// A thread for each loop, each with a socket of its own at one port (SO_REUSEPORT): recvmmsg and sendmmsg. The slots
// are as long as the case's payload, because slots of 64 KiB would all lie in the same lines of a cache.
#include <sched.h>

#include <thread>

#include "common/control.hpp"
#include "common/socket.hpp"
#include "subjects/raw/echo/echo.hpp"
#include "subjects/raw/vector_calls.hpp"

namespace bench::raw {
namespace {

descriptor open_shared(std::uint16_t port) {
  descriptor fd(check(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  widen_buffers(fd.get());
  set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  const sockaddr_in6 address = loopback(port);
  check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  return fd;
}

/// Puts the calling thread on the processor of this number among those that it may run on.
void pin_to(std::size_t number) {
  cpu_set_t allowed;
  check(::sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || number-- > 0) continue;
    cpu_set_t mine;
    CPU_ZERO(&mine);
    CPU_SET(cpu, &mine);
    check(::sched_setaffinity(0, sizeof mine, &mine), "sched_setaffinity");
    return;
  }
}

/// What one thread works with. The control area holds PKTINFO alone, and is sent unchanged.
class thread_of_echo {
 public:
  thread_of_echo(const settings& s, std::uint16_t port)
      : socket_(open_shared(port)),
        stride_((s.size / 64 + 1) * 64),
        room_(stride_ * s.vector),
        controls_(s.vector),
        peers_(s.vector),
        vectors_(s.vector),
        messages_(s.vector) {}

  std::uint16_t port() const { return port_of(socket_.get()); }

  [[noreturn]] void serve() {
    for (;;) {
      for (std::size_t i = 0; i < messages_.size(); ++i) offer(i);
      const std::size_t got = receive_waiting(socket_.get(), messages_);
      for (std::size_t i = 0; i < got; ++i) {
        vectors_[i].iov_len = messages_[i].msg_len;
        seen_.take_train(room_.data() + i * stride_, messages_[i].msg_len, 0);
      }
      send_all(socket_.get(), std::span(messages_).first(got));
    }
  }

 private:
  struct control {
    alignas(cmsghdr) std::byte octets[CMSG_SPACE(sizeof(in6_pktinfo))];
  };

  void offer(std::size_t i) noexcept {
    vectors_[i] = {room_.data() + i * stride_, stride_};
    messages_[i].msg_hdr = {.msg_name = &peers_[i],
                            .msg_namelen = sizeof peers_[i],
                            .msg_iov = &vectors_[i],
                            .msg_iovlen = 1,
                            .msg_control = controls_[i].octets,
                            .msg_controllen = sizeof controls_[i].octets,
                            .msg_flags = 0};
  }

  descriptor socket_;
  std::size_t stride_;
  std::vector<std::byte> room_;
  std::vector<control> controls_;
  std::vector<sockaddr_in6> peers_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_;
  tally seen_;
};

class threaded_echo : public subject {
 public:
  explicit threaded_echo(const settings& s) {
    parts_.reserve(s.loops);
    for (unsigned i = 0; i < s.loops; ++i) parts_.emplace_back(s, parts_.empty() ? std::uint16_t{0} : parts_[0].port());
  }

  std::vector<std::uint16_t> ports() const override { return {parts_.front().port()}; }

  void run_until(std::uint64_t) override {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      threads.emplace_back([this, i] {
        pin_to(i);
        parts_[i].serve();
      });
    }
  }

 private:
  std::vector<thread_of_echo> parts_;
};

}  // namespace

std::unique_ptr<subject> echo_by_threads(const settings& s) {
  return make<threaded_echo>(s);
}

}  // namespace bench::raw
