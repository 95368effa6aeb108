// One armed multishot recvmsg into a ring of buffers; or one for each of many connected sockets, into one ring.
#include "common/control.hpp"
#include "subjects/raw/multishot_ring.hpp"
#include "subjects/raw/receive/receive.hpp"

namespace bench::raw {
namespace {

class multishot_receiver : public subject {
 public:
  explicit multishot_receiver(const settings& s, bool waits_for_pieces = false)
      : parses_(s.control || s.gro),
        waits_for_pieces_(waits_for_pieces),
        ring_({.buffers = s.vector,
               .sockets = s.sockets,
               .control = parses_ ? control_room : 0,
               .payload = s.gro ? 65'535 : largest_payload}) {
    for (unsigned i = 0; i < s.sockets; ++i) {
      sockets_.push_back(open_socket());
      const int fd = sockets_.back().get();
      if (!s.to.empty()) {
        const sockaddr_in6 peer = loopback(s.to.front());
        check(::connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer), "connect");
      }
      if (s.control) request_control(fd);
      if (s.gro) set_option(fd, SOL_UDP, UDP_GRO, 1);
    }
  }

  std::vector<std::uint16_t> ports() const override {
    std::vector<std::uint16_t> ports;
    for (const auto& socket : sockets_) ports.push_back(port_of(socket.get()));
    return ports;
  }

  void start_readers() override {
    for (std::size_t i = 0; i < sockets_.size(); ++i) ring_.arm(sockets_[i].get(), i);
    ring_.enter(false);
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      if (waits_for_pieces_)
        ring_.enter_for_pieces();
      else
        ring_.enter(true);
      ring_.reap(
          [this](const multishot_ring::arrival& arrived) {
            take(arrived);
            ring_.release(arrived.buffer);
          },
          [this](std::uint64_t socket) { ring_.arm(sockets_[socket].get(), socket); });
    }
  }

 private:
  void take(const multishot_ring::arrival& arrived) {
    control got;
    if (parses_) {
      msghdr view{};
      view.msg_control = arrived.control;
      view.msg_controllen = arrived.control_length;
      got = parse_control(view);
      seen_.controls += got.as_sent() ? 1 : 0;
    }
    seen_.take_train(arrived.payload, arrived.size, static_cast<std::size_t>(got.segment));
  }

  bool parses_;
  bool waits_for_pieces_;
  multishot_ring ring_;
  std::vector<descriptor> sockets_;
};

}  // namespace

std::unique_ptr<subject> receive_by_multishot(const settings& s) {
  return make<multishot_receiver>(s);
}
std::unique_ptr<subject> receive_by_multishot_of_pieces(const settings& s) {
  return std::make_unique<multishot_receiver>(s, true);
}

}  // namespace bench::raw
