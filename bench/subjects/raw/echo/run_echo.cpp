// recvmmsg, and sendmmsg of trains: datagrams that follow one another, of one length and from one peer, are answered by
// one train (UDP_SEGMENT), which the kernel gathers from where they lie.
#include <algorithm>
#include <array>

#include "subjects/raw/echo/echo.hpp"
#include "subjects/raw/echo/echo_server.hpp"
#include "subjects/raw/vector_calls.hpp"

namespace bench::raw {
namespace {

class by_run : public echo_server {
 public:
  explicit by_run(const settings& s)
      : echo_server(s), slots_(s.vector), vectors_(s.vector), received_(s.vector), sent_(s.vector) {}

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      for (std::size_t i = 0; i < slots_.size(); ++i) offer(i);
      const std::size_t got = receive_waiting(fd(), received_);
      for (std::size_t i = 0; i < got; ++i) {
        vectors_[i].iov_len = received_[i].msg_len;
        seen_.take_train(slots_[i].payload.data(), received_[i].msg_len, 0);
      }
      std::size_t runs = 0;
      for (std::size_t first = 0; first < got;) first += load_run(sent_[runs++].msg_hdr, first, got);
      send_all(fd(), std::span(sent_).first(runs));
    }
  }

 private:
  /// PKTINFO comes, and goes back unchanged: the answer leaves from the address and the interface that the datagram was
  /// sent to. Behind it there is room for UDP_SEGMENT.
  static constexpr std::size_t arrival_room = CMSG_SPACE(sizeof(in6_pktinfo));

  struct slot {
    alignas(64) std::array<std::byte, largest_payload> payload;
    alignas(cmsghdr) std::array<std::byte, arrival_room + segment_room> control;
    sockaddr_in6 peer;
  };

  void offer(std::size_t i) noexcept {
    slot& mine = slots_[i];
    vectors_[i] = {mine.payload.data(), mine.payload.size()};
    received_[i].msg_hdr = {.msg_name = &mine.peer,
                            .msg_namelen = sizeof mine.peer,
                            .msg_iov = &vectors_[i],
                            .msg_iovlen = 1,
                            .msg_control = mine.control.data(),
                            .msg_controllen = arrival_room,
                            .msg_flags = 0};
  }

  bool continues(std::size_t next, std::size_t first) const noexcept {
    return std::memcmp(&slots_[next].peer, &slots_[first].peer, sizeof(sockaddr_in6)) == 0 &&
           std::memcmp(slots_[next].control.data(), slots_[first].control.data(), arrival_room) == 0 &&
           vectors_[next].iov_len == vectors_[first].iov_len;
  }

  /// Makes `message` the answer to the datagrams from `first` on that go in one train. Returns how many.
  std::size_t load_run(msghdr& message, std::size_t first, std::size_t end) noexcept {
    std::size_t count = 1;
    const std::size_t at_most = std::min(end - first, most_segments);
    while (count < at_most && continues(first + count, first)) ++count;
    slot& mine = slots_[first];
    message = received_[first].msg_hdr;
    message.msg_iov = &vectors_[first];
    message.msg_iovlen = count;
    if (count > 1) {
      message.msg_control = mine.control.data();
      message.msg_controllen = mine.control.size();
      write_segment(*reinterpret_cast<cmsghdr*>(mine.control.data() + arrival_room),
                    static_cast<std::uint16_t>(vectors_[first].iov_len));
    }
    return count;
  }

  static constexpr std::size_t most_segments = 64;  // what every kernel takes (UDP_MAX_SEGMENTS before 6.9)

  std::vector<slot> slots_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> received_;
  std::vector<mmsghdr> sent_;
};

}  // namespace

std::unique_ptr<subject> echo_by_run(const settings& s) {
  return make<by_run>(s);
}

}  // namespace bench::raw
