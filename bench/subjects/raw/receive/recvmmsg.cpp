// A vector of datagrams, or of trains with UDP_GRO, per recvmmsg; the harness looks for the best length.
#include "common/message_vector.hpp"
#include "subjects/raw/receive/receive.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

/// Octets of a train; a multiple of the cache line, like largest_payload.
constexpr std::size_t longest_buffer = 65'536;

class recvmmsg_receiver : public socket_subject {
 public:
  explicit recvmmsg_receiver(const settings& s)
      : socket_subject(s), messages_(s.vector, s.gro ? longest_buffer : largest_payload, s.control || s.gro) {}

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const int count = check(messages_.receive(fd(), MSG_WAITFORONE), "recvmmsg");
      messages_.take(static_cast<std::size_t>(count), seen_);
    }
  }

 private:
  message_vector messages_;
};

}  // namespace

std::unique_ptr<subject> receive_by_recvmmsg(const settings& s) {
  return make<recvmmsg_receiver>(s);
}

}  // namespace bench::raw
