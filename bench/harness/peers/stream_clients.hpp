// Clients of one TCP echo server, each with a connection of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/socket.hpp"
#include "harness/measure/window.hpp"

namespace bench {

/// What the clients do. An exchange is a message of `size` octets and its echo.
struct stream_shape {
  std::string name{};
  std::size_t connections{};
  std::size_t size{};
  std::size_t in_flight = 1;  // messages of a connection that have no echo yet
  /// Each exchange has a connection of its own, which the server closes: its latency is from before the connect to the
  /// end of the stream.
  bool connects_each_time = false;
};

/// Sends messages to a server and checks that each comes back as it was, in the order of its connection.
class stream_clients {
 public:
  /// Connects to `port` of ::1. `spins`: waits for answers without sleeping.
  stream_clients(const stream_shape& shape, std::uint16_t port, bool spins);

  /// Makes `untimed` exchanges, which are no latencies, then more for about `span`, and waits until each message has
  /// its echo. `account` must be empty. Throws if an echo does not come in time, or if the server ends a connection
  /// early.
  void run(std::chrono::nanoseconds span, std::uint64_t untimed, loss_account& account, histogram& latencies);

 private:
  struct connection {
    descriptor fd{};
    std::uint64_t sent = 0;              // messages so far: the sequence number of the next one
    std::uint64_t received = 0;          // echoes so far
    std::size_t filled = 0;              // octets at the front of `room` that are no whole message yet
    std::vector<std::byte> room{};       // for the echoes of all messages in flight
    std::vector<std::uint64_t> begun{};  // when a message was begun, by its sequence number
  };

  void open(connection& c);
  void begin(connection& c);
  bool receive(connection& c);
  void take(connection& c, const std::byte* echo);
  void finish(connection& c);

  stream_shape shape_;
  std::uint16_t port_;
  bool spins_;
  descriptor epoll_;
  std::vector<std::byte> message_;
  std::vector<connection> all_;

  // Of the current run.
  std::uint64_t untimed_ = 0;
  std::uint64_t span_ = 0;  // nanoseconds, from the last untimed exchange on
  std::uint64_t end_ = 0;
  loss_account* account_ = nullptr;
  histogram* latencies_ = nullptr;
};

}  // namespace bench
