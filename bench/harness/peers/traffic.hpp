// The harness's own ends: a feeder that fills sockets, and a sink that empties its own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/control.hpp"
#include "common/payload.hpp"
#include "common/socket.hpp"

namespace bench {

/// Sends stamped datagrams with the control values that subjects check. Throws if the kernel does not accept all of
/// them.
class feeder {
 public:
  explicit feeder(std::size_t size);

  /// Sends `count` single datagrams.
  void send_singly(std::uint16_t port, std::uint64_t count);

  /// Sends `count` datagrams in trains of `segments`.
  void send_trains(std::uint16_t port, std::uint64_t count, std::uint64_t segments);

  /// Sends one datagram to an address of common/addresses.hpp.
  void send_one(const in6_addr& address, std::uint16_t port);

  int fd() const noexcept { return socket_.get(); }
  std::uint16_t port() const { return port_of(fd()); }
  /// Datagrams sent so far; the sequence numbers begin at 0.
  std::uint64_t sent() const noexcept { return sequence_; }

 private:
  std::size_t size_;
  descriptor socket_;
  std::vector<std::byte> room_;
  std::uint64_t sequence_ = 0;
};

/// The segments of `size` bytes in the longest train that the kernel takes: at most 128 (64 on older kernels) and
/// 65,527 bytes.
std::uint64_t longest_train(std::size_t size);

/// Sockets that keep all datagrams, trains whole, until they are emptied.
class sink {
 public:
  explicit sink(std::size_t sockets);

  std::vector<std::uint16_t> ports() const;

  /// Reads all waiting datagrams.
  void empty();

  const tally& seen() const noexcept { return seen_; }

 private:
  std::vector<descriptor> sockets_;
  std::vector<std::byte> room_ = std::vector<std::byte>(65'535);
  tally seen_;
};

/// A buffer that was read: `size` octets, cut every `segment` octets; 0: a single datagram.
struct read_buffer {
  std::size_t size;
  std::size_t segment;
};

/// Reads one buffer from `fd` into `room`; nothing if none waits.
std::optional<read_buffer> read_one_buffer(int fd, std::vector<std::byte>& room);

/// The same, and counts its datagrams; false if none waits.
bool take_buffer(int fd, std::vector<std::byte>& room, tally& seen);

}  // namespace bench
