// One recvmsg per datagram; with UDP_GRO, one per train.
#include <algorithm>
#include <array>

#include "subjects/raw/receive/receive.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

/// With UDP_GRO: of more buffers of 64 KiB the first would leave the cache before it is read.
constexpr unsigned most_trains = 16;

class recvmsg_receiver : public socket_subject {
 public:
  explicit recvmsg_receiver(const settings& s)
      : socket_subject(s), parses_(s.control || s.gro), room_(s.gro ? 65'535 : largest_payload) {}

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      sockaddr_in6 source;
      iovec vector{room_.data(), room_.size()};
      msghdr message{.msg_name = &source,
                     .msg_namelen = sizeof source,
                     .msg_iov = &vector,
                     .msg_iovlen = 1,
                     .msg_control = control_.data(),
                     .msg_controllen = parses_ ? control_.size() : 0,
                     .msg_flags = 0};
      const auto size = static_cast<std::size_t>(check(::recvmsg(fd(), &message, 0), "recvmsg"));
      control got;
      if (parses_) {
        got = parse_control(message);
        seen_.controls += got.as_sent() ? 1 : 0;
      }
      seen_.take_train(room_.data(), size, static_cast<std::size_t>(got.segment));
    }
  }

 private:
  bool parses_;
  std::vector<std::byte> room_;
  alignas(cmsghdr) std::array<std::byte, control_room> control_;
};

}  // namespace

std::unique_ptr<subject> receive_by_recvmsg(const settings& s) {
  return make<recvmsg_receiver>(s);
}

std::unique_ptr<subject> receive_by_gro(const settings& s) {
  settings with_gro = s;
  with_gro.gro = true;
  with_gro.vector = std::min(s.vector, most_trains);
  return with_gro.vector == 1 ? make<recvmsg_receiver>(with_gro) : receive_by_recvmmsg(with_gro);
}

}  // namespace bench::raw
