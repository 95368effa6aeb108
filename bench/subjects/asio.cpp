// Asio with coroutines, one loop, no locks. Compiled twice: over epoll and over io_uring.
//
// Asio gives its users no control messages, so it does not request any.
#include <array>
#include <asio.hpp>

#include "common/board.hpp"
#include "common/dns.hpp"
#include "common/socket.hpp"
#include "subjects/subject.hpp"

namespace bench {
namespace {

#if defined(ASIO_HAS_IO_URING)
constexpr std::string_view name = "asio io_uring";
#else
constexpr std::string_view name = "asio epoll";
#endif

using udp = asio::ip::udp;
using executor = asio::io_context::executor_type;
// The concrete executor everywhere: the type-erased one costs an allocation or a virtual call each time.
using socket = asio::basic_datagram_socket<udp, executor>;
template <class T = void>
using awaitable = asio::awaitable<T, executor>;
constexpr asio::use_awaitable_t<executor> use_awaitable;

class asio_subject : public subject {
 public:
  asio_subject() : socket_(context_, udp::endpoint(asio::ip::address_v6::loopback(), 0)) {
    widen_buffers(socket_.native_handle());
  }

  std::vector<std::uint16_t> ports() const override { return {socket_.local_endpoint().port()}; }

  void run_until(std::uint64_t total) override {
    if (seen_.datagrams >= total) return;
    asio::co_spawn(context_, work(total), [](const std::exception_ptr& failure) {
      if (failure) std::rethrow_exception(failure);
    });
    context_.restart();
    context_.run();
  }

 protected:
  virtual awaitable<> work(std::uint64_t total) = 0;

  asio::io_context context_{ASIO_CONCURRENCY_HINT_UNSAFE};
  socket socket_;
};

class receiver : public asio_subject {
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

class sender : public asio_subject {
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

class echo : public asio_subject {
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

class responder : public asio_subject {
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

std::span<const entry> subjects() {
  static constexpr std::array table{
      entry{"receive", name, make<receiver>},
      entry{"send", name, make<sender>},
      entry{"echo", name, make<echo>},
      entry{"dns", name, make<responder>},
  };
  return table;
}

}  // namespace bench
