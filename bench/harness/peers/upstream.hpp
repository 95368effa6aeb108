// The server behind a forwarder: it keeps queries until it is told to answer them.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "common/socket.hpp"

namespace bench {

class upstream {
 public:
  upstream();

  std::uint16_t port() const { return port_of(socket_.get()); }

  /// Reads queries, without sleeping, until there are `count`; returns early if none has come for `most`. Returns
  /// how many have an id that another one of them has, or a payload that is not `size` octets as a client sent them.
  std::uint64_t take(std::uint64_t count, std::size_t size, std::chrono::milliseconds most);

  /// Gives each query back to its sender as it came, in the order in which they came.
  void answer();

 private:
  struct query {
    sockaddr_in6 from;
    std::vector<std::byte> octets;
  };

  descriptor socket_;
  std::vector<query> taken_;
};

}  // namespace bench
