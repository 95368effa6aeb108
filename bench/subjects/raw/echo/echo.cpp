#include "subjects/raw/echo/echo.hpp"

#include <array>
#include <cerrno>

#include "subjects/raw/echo/echo_server.hpp"
#include "subjects/raw/vector_calls.hpp"

namespace bench::raw {
namespace {

/// A received datagram and its answer. The control area holds PKTINFO alone, and is sent unchanged: the answer leaves
/// from the address and the interface that the datagram was sent to.
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
      const std::size_t got = receive_waiting(fd(), messages_);
      for (std::size_t i = 0; i < got; ++i) {
        slots_[i].vector.iov_len = messages_[i].msg_len;
        seen_.take_train(slots_[i].payload.data(), messages_[i].msg_len, 0);
      }
      send_all(fd(), std::span(messages_).first(got));
    }
  }

 private:
  std::vector<slot> slots_;
  std::vector<mmsghdr> messages_;
};

}  // namespace

std::unique_ptr<subject> echo(const settings& s) {
  if (s.vector == 1) return make<one_by_one>(s);
  return make<by_vector>(s);
}

}  // namespace bench::raw
