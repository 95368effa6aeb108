// An echo server on io_uring: it sends each payload from the buffer of the multishot read.
#include <array>

#include "subjects/raw/echo/echo.hpp"
#include "subjects/raw/echo/echo_server.hpp"
#include "subjects/raw/multishot_ring.hpp"

namespace bench::raw {
namespace {

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

std::unique_ptr<subject> echo_by_ring(const settings& s) {
  return make<by_ring>(s);
}

}  // namespace bench::raw
