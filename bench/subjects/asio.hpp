// What the Asio subjects share: one loop, no locks, and concrete executors.
//
// Compiled twice: over epoll and over io_uring.
#pragma once

#include <asio.hpp>
#include <memory>

#include "subjects/subject.hpp"

namespace bench::with_asio {

using executor = asio::io_context::executor_type;
// The concrete executor everywhere: the type-erased one costs an allocation or a virtual call each time.
template <class T = void>
using awaitable = asio::awaitable<T, executor>;
inline constexpr asio::use_awaitable_t<executor> use_awaitable;

inline void rethrow(const std::exception_ptr& failure) {
  if (failure) std::rethrow_exception(failure);
}

using udp_socket = asio::basic_datagram_socket<asio::ip::udp, executor>;

/// A subject with one UDP socket.
class datagram_subject : public subject {
 public:
  datagram_subject();
  std::vector<std::uint16_t> ports() const override { return {socket_.local_endpoint().port()}; }
  void run_until(std::uint64_t total) override;

 protected:
  virtual awaitable<> work(std::uint64_t total) = 0;

  asio::io_context context_{ASIO_CONCURRENCY_HINT_UNSAFE};
  udp_socket socket_;
};

/// async_wait, then non-blocking receives until the socket is empty. No control messages: Asio's receives have none.
std::unique_ptr<subject> receive_when_ready(const settings&);

/// async_wait, then recvmmsg until the socket is empty; with control messages, as plain C.
std::unique_ptr<subject> receive_batches_when_ready(const settings&);

/// A TCP echo server, a coroutine for each connection.
std::unique_ptr<subject> streams(const settings&);

}  // namespace bench::with_asio
