// Asio with coroutines, one loop, no locks: datagrams, and the table of the program.
//
// Asio gives its users no control messages, so these subjects do not request any.
#include "subjects/asio.hpp"

#include <array>

#include "common/board.hpp"
#include "common/dns.hpp"
#include "common/socket.hpp"

namespace bench {
namespace with_asio {

datagram_subject::datagram_subject() : socket_(context_, asio::ip::udp::endpoint(asio::ip::address_v6::loopback(), 0)) {
  widen_buffers(socket_.native_handle());
}

void datagram_subject::run_until(std::uint64_t total) {
  if (seen_.datagrams >= total) return;
  asio::co_spawn(context_, work(total), rethrow);
  context_.restart();
  context_.run();
}

namespace {

using udp = asio::ip::udp;

class receiver : public datagram_subject {
 public:
  explicit receiver(const settings&) {}

 private:
  awaitable<> work(std::uint64_t total) override {
    std::array<std::byte, largest_payload> payload;
    udp::endpoint source;
    while (seen_.datagrams < total) {
      const std::size_t size = co_await socket_.async_receive_from(asio::buffer(payload), source, use_awaitable);
      seen_.take_train(payload.data(), size, 0);
    }
  }
};

class sender : public datagram_subject {
 public:
  explicit sender(const settings& s) : payload_(s.size) {
    for (const auto port : s.to) to_.emplace_back(asio::ip::address_v6::loopback(), port);
    write_pattern(payload_.data(), payload_.size());
  }

 private:
  awaitable<> work(std::uint64_t total) override {
    for (; seen_.datagrams < total; ++seen_.datagrams) {
      write_stamp(payload_.data(), payload_.size(), seen_.datagrams);
      co_await socket_.async_send_to(asio::buffer(payload_), to_[seen_.datagrams % to_.size()], use_awaitable);
    }
  }

  std::vector<std::byte> payload_;
  std::vector<udp::endpoint> to_;
};

class echo : public datagram_subject {
 public:
  explicit echo(const settings&) {}

 private:
  awaitable<> work(std::uint64_t total) override {
    std::array<std::byte, largest_payload> payload;
    udp::endpoint source;
    while (seen_.datagrams < total) {
      const std::size_t size = co_await socket_.async_receive_from(asio::buffer(payload), source, use_awaitable);
      seen_.take_train(payload.data(), size, 0);
      co_await socket_.async_send_to(asio::buffer(payload.data(), size), source, use_awaitable);
    }
  }
};

class responder : public datagram_subject {
 public:
  explicit responder(const settings&) {}

 private:
  awaitable<> work(std::uint64_t total) override {
    std::array<std::byte, 512> query;
    std::array<std::byte, dns::largest_answer> answer;
    udp::endpoint client;
    for (; seen_.datagrams < total; ++seen_.datagrams) {
      const std::size_t size = co_await socket_.async_receive_from(asio::buffer(query), client, use_awaitable);
      const std::size_t length = zone_.answer(std::span(query).first(size), answer);
      if (length == 0) continue;
      co_await socket_.async_send_to(asio::buffer(answer.data(), length), client, use_awaitable);
    }
  }

  dns::zone zone_;
};

}  // namespace
}  // namespace with_asio

#if defined(ASIO_HAS_IO_URING)
#define BUILD "asio io_uring"
#else
#define BUILD "asio epoll"
#endif

std::span<const entry> subjects() {
  static constexpr std::array table{
      entry{"receive", BUILD, make<with_asio::receiver>},
      entry{"receive", BUILD " async_wait", with_asio::receive_when_ready},
      entry{"receive", BUILD " recvmmsg", with_asio::receive_batches_when_ready},
      entry{"send", BUILD, make<with_asio::sender>},
      entry{"echo", BUILD, make<with_asio::echo>},
      entry{"dns", BUILD, make<with_asio::responder>},
      entry{"tcp", BUILD, with_asio::streams},
  };
  return table;
}

}  // namespace bench
