#include "subjects/raw/echo.hpp"

#include <array>
#include <cerrno>

#include "subjects/raw/multishot_ring.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

/// A datagram on its way in and out again. The control area holds PKTINFO alone, and goes back as it came:
/// the address and the interface that the datagram was sent to are those that the answer leaves from.
struct slot {
  alignas(64) std::array<std::byte, largest_payload> payload;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))> control;
  sockaddr_in6 peer;
  iovec vector;
};

msghdr whole(slot& s) noexcept {
  s.vector = {s.payload.data(), s.payload.size()};
  return {.msg_name = &s.peer,
          .msg_namelen = sizeof s.peer,
          .msg_iov = &s.vector,
          .msg_iovlen = 1,
          .msg_control = s.control.data(),
          .msg_controllen = s.control.size(),
          .msg_flags = 0};
}

class echo_server : public socket_subject {
 public:
  explicit echo_server(const settings& s) : socket_subject(s) { set_option(fd(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1); }
};

class one_by_one : public echo_server {
 public:
  explicit one_by_one(const settings& s) : echo_server(s), flags_(s.wait == wait_mode::spin ? MSG_DONTWAIT : 0) {}

  void run_until(std::uint64_t total) override {
    slot mine;
    while (seen_.datagrams < total) {
      msghdr message = whole(mine);
      const auto size = ::recvmsg(fd(), &message, flags_);
      if (size < 0 && errno == EAGAIN) continue;
      mine.vector.iov_len = static_cast<std::size_t>(check(size, "recvmsg"));
      seen_.take_train(mine.payload.data(), mine.vector.iov_len, 0);
      check(::sendmsg(fd(), &message, 0), "sendmsg");
    }
  }

 private:
  int flags_;
};

class by_vector : public echo_server {
 public:
  explicit by_vector(const settings& s) : echo_server(s), slots_(s.vector), messages_(s.vector) {}

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      for (std::size_t i = 0; i < slots_.size(); ++i) messages_[i].msg_hdr = whole(slots_[i]);
      const auto wanted = static_cast<unsigned>(messages_.size());
      const int got = check(::recvmmsg(fd(), messages_.data(), wanted, MSG_WAITFORONE, nullptr), "recvmmsg");
      for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
        slots_[i].vector.iov_len = messages_[i].msg_len;
        seen_.take_train(slots_[i].payload.data(), messages_[i].msg_len, 0);
      }
      for (int sent = 0; sent < got;) {
        sent += check(::sendmmsg(fd(), messages_.data() + sent, static_cast<unsigned>(got - sent), 0), "sendmmsg");
      }
    }
  }

 private:
  std::vector<slot> slots_;
  std::vector<mmsghdr> messages_;
};

/// A train at a time: what came as one goes as one.
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
        if (c->cmsg_level == IPPROTO_UDP) say_segment(*c, static_cast<std::uint16_t>(segment));
      }
      check(::sendmsg(fd(), &message, 0), "sendmsg");
    }
  }

 private:
  static void say_segment(cmsghdr& c, std::uint16_t segment) noexcept {
    c.cmsg_type = UDP_SEGMENT;
    c.cmsg_len = CMSG_LEN(sizeof segment);
    std::memcpy(CMSG_DATA(&c), &segment, sizeof segment);
  }

  std::vector<std::byte> payload_;
};

/// By io_uring: what a multishot read has brought goes back from where it lies.
class by_ring : public echo_server {
 public:
  explicit by_ring(const settings& s)
      : echo_server(s),
        spins_(s.wait == wait_mode::spin),
        ring_({.buffers = buffers, .control = CMSG_SPACE(sizeof(in6_pktinfo)), .spins = spins_}) {
    ring_.arm(fd(), 0);
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      ring_.enter(!spins_);
      for (; waiting_ > 0; --waiting_) ring_.release(answers_[waiting_ - 1].buffer);  // the enter has sent them
      ring_.give_back();
      ring_.reap([this](const multishot_ring::arrival& arrived) { send_back(arrived); },
                 [this](std::uint64_t socket) { ring_.arm(fd(), socket); });
    }
  }

 private:
  static constexpr unsigned buffers = 64;

  struct answer {
    std::uint16_t buffer;
    iovec vector;
    msghdr message;
  };

  void send_back(const multishot_ring::arrival& arrived) {
    seen_.take_train(arrived.payload, arrived.size, 0);
    answer& mine = answers_[waiting_++];
    mine.buffer = arrived.buffer;
    mine.vector = {arrived.payload, arrived.size};
    mine.message = {.msg_name = arrived.source,
                    .msg_namelen = sizeof *arrived.source,
                    .msg_iov = &mine.vector,
                    .msg_iovlen = 1,
                    .msg_control = arrived.control,
                    .msg_controllen = arrived.control_length,
                    .msg_flags = 0};
    io_uring_sqe& sqe = ring_.entry();
    ::io_uring_prep_sendmsg(&sqe, fd(), &mine.message, MSG_DONTWAIT);
    sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  }

  bool spins_;
  multishot_ring ring_;
  std::array<answer, buffers> answers_;
  unsigned waiting_ = 0;  // answers that the next enter sends
};

}  // namespace

std::unique_ptr<subject> echo_by_train(const settings& s) {
  return make<by_train>(s);
}
std::unique_ptr<subject> echo_by_ring(const settings& s) {
  return make<by_ring>(s);
}
std::unique_ptr<subject> echo(const settings& s) {
  if (s.vector == 1) return make<one_by_one>(s);
  return make<by_vector>(s);
}

}  // namespace bench::raw
