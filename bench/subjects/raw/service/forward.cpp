#include "subjects/raw/service/forward.hpp"

#include <poll.h>

#include <array>
#include <cerrno>

#include "common/control.hpp"
#include "common/forward.hpp"
#include "common/socket.hpp"
#include "subjects/raw/vector_calls.hpp"

namespace bench::raw {
namespace {

/// PKTINFO alone: the answer leaves from the address and the interface that the query was sent to.
using arrival = std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))>;

struct client {
  sockaddr_in6 peer;
  alignas(cmsghdr) arrival control;
  std::uint16_t id;
};

struct slot {
  alignas(64) std::array<std::byte, largest_payload> payload;
  iovec vector;
  client from;
};

class forwarder : public subject {
 public:
  explicit forwarder(const settings& s)
      : clients_(open_socket(SOCK_NONBLOCK)),
        upstream_(open_socket(SOCK_NONBLOCK)),
        slots_(s.vector),
        received_(s.vector),
        sent_(s.vector),
        table_(most_forwarded) {
    set_option(clients_.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    const sockaddr_in6 to = loopback(s.to.at(0));
    check(::connect(upstream_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
  }

  std::vector<std::uint16_t> ports() const override { return {port_of(clients_.get()), port_of(upstream_.get())}; }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      std::array<pollfd, 2> sockets{pollfd{clients_.get(), POLLIN, 0}, pollfd{upstream_.get(), POLLIN, 0}};
      check(::poll(sockets.data(), sockets.size(), -1), "poll");
      if (sockets[0].revents != 0) take_queries();
      if (sockets[1].revents != 0) take_answers();
    }
  }

 private:
  /// Returns how many have come into the first slots; fewer than there are slots: no more wait.
  std::size_t receive(int fd, bool of_clients) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slot& mine = slots_[i];
      mine.vector = {mine.payload.data(), mine.payload.size()};
      msghdr& message = received_[i].msg_hdr;
      message = {};
      message.msg_iov = &mine.vector;
      message.msg_iovlen = 1;
      if (!of_clients) continue;
      message.msg_name = &mine.from.peer;
      message.msg_namelen = sizeof mine.from.peer;
      message.msg_control = mine.from.control.data();
      message.msg_controllen = mine.from.control.size();
    }
    const int got = ::recvmmsg(fd, received_.data(), static_cast<unsigned>(received_.size()), 0, nullptr);
    if (got < 0 && errno == EAGAIN) return 0;
    check(got, "recvmmsg");
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) slots_[i].vector.iov_len = received_[i].msg_len;
    return static_cast<std::size_t>(got);
  }

  void take_queries() {
    for (std::size_t got = slots_.size(); got == slots_.size();) {
      got = receive(clients_.get(), true);
      std::size_t queries = 0;
      for (std::size_t i = 0; i < got; ++i) {
        slot& mine = slots_[i];
        if (mine.vector.iov_len < id_size) continue;
        const auto place = static_cast<std::uint16_t>(next_++ % most_forwarded);
        mine.from.id = read_id(mine.payload.data());
        table_[place] = mine.from;
        write_id(mine.payload.data(), place);
        msghdr& message = sent_[queries++].msg_hdr;
        message = {};
        message.msg_iov = &mine.vector;
        message.msg_iovlen = 1;
      }
      send_all(upstream_.get(), std::span(sent_).first(queries));
    }
  }

  void take_answers() {
    for (std::size_t got = slots_.size(); got == slots_.size();) {
      got = receive(upstream_.get(), false);
      std::size_t answers = 0;
      for (std::size_t i = 0; i < got; ++i) {
        slot& mine = slots_[i];
        if (mine.vector.iov_len < id_size) continue;
        const std::uint16_t place = read_id(mine.payload.data());
        if (place >= most_forwarded) continue;
        client& back = table_[place];
        write_id(mine.payload.data(), back.id);
        msghdr& message = sent_[answers++].msg_hdr;
        message = {};
        message.msg_name = &back.peer;
        message.msg_namelen = sizeof back.peer;
        message.msg_iov = &mine.vector;
        message.msg_iovlen = 1;
        message.msg_control = back.control.data();
        message.msg_controllen = back.control.size();
      }
      send_all(clients_.get(), std::span(sent_).first(answers));
      seen_.datagrams += answers;
    }
  }

  descriptor clients_;
  descriptor upstream_;
  std::vector<slot> slots_;
  std::vector<mmsghdr> received_;
  std::vector<mmsghdr> sent_;
  std::vector<client> table_;
  std::uint64_t next_ = 0;
};

}  // namespace

std::unique_ptr<subject> forward(const settings& s) {
  return make<forwarder>(s);
}

}  // namespace bench::raw
