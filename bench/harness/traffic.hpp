// The harness's own ends of a conversation: a feeder that fills sockets, a sink that empties its own.
#pragma once

#include <cstdint>
#include <vector>

#include "common/control.hpp"
#include "common/payload.hpp"
#include "common/socket.hpp"

namespace bench {

/// Sends stamped datagrams with the control values that subjects look for. All are accepted by the kernel, or
/// it throws.
class feeder {
 public:
  explicit feeder(std::size_t size);

  /// `count` datagrams, each sent for itself.
  void send_singly(std::uint16_t port, std::uint64_t count);

  /// `count` datagrams in trains of `segments`.
  void send_trains(std::uint16_t port, std::uint64_t count, std::uint64_t segments);

  int fd() const noexcept { return socket_.get(); }
  std::uint16_t port() const { return port_of(fd()); }
  /// How many so far; the sequence numbers go from 0.
  std::uint64_t sent() const noexcept { return sequence_; }

 private:
  std::size_t size_;
  descriptor socket_;
  std::vector<std::byte> room_;
  std::uint64_t sequence_ = 0;
};

/// As many segments of `size` bytes as the kernel takes in one train: at most 128 (64 on older kernels) and
/// 65,527 bytes.
std::uint64_t longest_train(std::size_t size);

/// Sockets that keep whatever comes, trains whole, until they are emptied.
class sink {
 public:
  explicit sink(std::size_t sockets);

  std::vector<std::uint16_t> ports() const;

  /// Takes everything that is there.
  void empty();

  const tally& seen() const noexcept { return seen_; }

 private:
  std::vector<descriptor> sockets_;
  std::vector<std::byte> room_ = std::vector<std::byte>(65'535);
  tally seen_;
};

/// Reads one buffer from `fd` into `room` and counts its datagrams; false when there is none.
bool take_buffer(int fd, std::vector<std::byte>& room, tally& seen);

}  // namespace bench
