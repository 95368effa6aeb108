// Asio as an expert uses it for many datagrams: it waits until the socket has some, and then the program reads all of
// them by system calls of its own or by non-blocking calls of Asio.
#include <array>
#include <cerrno>

#include "common/message_vector.hpp"
#include "common/socket.hpp"
#include "subjects/asio.hpp"

namespace bench::with_asio {
namespace {

class waiting_receiver : public datagram_subject {
 public:
  waiting_receiver() { socket_.non_blocking(true); }

 protected:
  /// Reads until `total` is reached or no datagram waits.
  virtual void empty(std::uint64_t total) = 0;

 private:
  awaitable<> work(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      co_await socket_.async_wait(udp_socket::wait_read, use_awaitable);
      empty(total);
    }
  }
};

class one_by_one : public waiting_receiver {
 public:
  explicit one_by_one(const settings&) {}

 private:
  void empty(std::uint64_t total) override {
    std::array<std::byte, largest_payload> payload;
    while (seen_.datagrams < total) {
      asio::ip::udp::endpoint source;
      std::error_code error;
      const std::size_t size = socket_.receive_from(asio::buffer(payload), source, 0, error);
      if (error == asio::error::would_block) return;
      if (error) throw std::system_error(error, "receive_from");
      seen_.take_train(payload.data(), size, 0);
    }
  }
};

class by_vector : public waiting_receiver {
 public:
  explicit by_vector(const settings& s) : messages_(s.vector, largest_payload, s.control) {
    if (s.control) request_control(socket_.native_handle());
  }

 private:
  void empty(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const int count = messages_.receive(socket_.native_handle(), MSG_DONTWAIT);
      if (count < 0 && errno == EAGAIN) return;
      messages_.take(static_cast<std::size_t>(check(count, "recvmmsg")), seen_);
    }
  }

  message_vector messages_;
};

}  // namespace

std::unique_ptr<subject> receive_when_ready(const settings& s) {
  return make<one_by_one>(s);
}
std::unique_ptr<subject> receive_batches_when_ready(const settings& s) {
  return make<by_vector>(s);
}

}  // namespace bench::with_asio
