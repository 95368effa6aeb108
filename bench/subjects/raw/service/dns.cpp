// A name server: recvmmsg of as many queries as the vector holds, sendmmsg of their answers. Its socket is bound to the
// address that it answers from, as the other responders' are, so that none of them needs PKTINFO.
#include "subjects/raw/service/dns.hpp"

#include <array>

#include "common/dns.hpp"
#include "subjects/raw/socket_subject.hpp"
#include "subjects/raw/vector_calls.hpp"

namespace bench::raw {
namespace {

class responder : public socket_subject {
 public:
  explicit responder(const settings& s)
      : socket_subject(s), slots_(s.vector), received_(s.vector), answered_(s.vector) {
    for (std::size_t i = 0; i < slots_.size(); ++i) offer(i);
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t got = receive_waiting(fd(), received_);
      std::size_t answers = 0;
      for (std::size_t i = 0; i < got; ++i) answers += answer(i, answered_[answers].msg_hdr) ? 1 : 0;
      seen_.datagrams += got;
      send_all(fd(), std::span(answered_).first(answers));
      for (std::size_t i = 0; i < got; ++i) offer(i);  // the kernel has changed those that it filled
    }
  }

 private:
  struct slot {
    alignas(64) std::array<std::byte, 512> query;  // what a client without EDNS may send
    alignas(64) std::array<std::byte, dns::largest_answer> answer;
    sockaddr_in6 client;
    iovec query_vector;
    iovec answer_vector;
  };

  void offer(std::size_t i) noexcept {
    slot& mine = slots_[i];
    mine.query_vector = {mine.query.data(), mine.query.size()};
    received_[i].msg_hdr = {.msg_name = &mine.client,
                            .msg_namelen = sizeof mine.client,
                            .msg_iov = &mine.query_vector,
                            .msg_iovlen = 1,
                            .msg_control = nullptr,
                            .msg_controllen = 0,
                            .msg_flags = 0};
  }

  /// Makes `message` the answer to query `i`; false if none is due.
  bool answer(std::size_t i, msghdr& message) noexcept {
    slot& mine = slots_[i];
    const std::size_t size = zone_.answer(std::span(mine.query).first(received_[i].msg_len), mine.answer);
    if (size == 0) return false;
    mine.answer_vector = {mine.answer.data(), size};
    message = received_[i].msg_hdr;
    message.msg_iov = &mine.answer_vector;
    return true;
  }

  dns::zone zone_;
  std::vector<slot> slots_;
  std::vector<mmsghdr> received_;
  std::vector<mmsghdr> answered_;
};

}  // namespace

std::unique_ptr<subject> dns_by_vector(const settings& s) {
  return make<responder>(s);
}

}  // namespace bench::raw
