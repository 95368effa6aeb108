// A packet to every peer, in the order of the packets, by uring6's ways to write.
#include <algorithm>

#include "common/fan.hpp"
#include "subjects/uring6/conn_subject.hpp"
#include "subjects/uring6/send.hpp"

namespace bench::u6 {
namespace {

/// The packets of a round, one after the other in memory.
class fan_sender : public conn_subject {
 public:
  explicit fan_sender(const settings& s, const uring6::packet_options& options = {})
      : conn_subject(s, options), size_(s.size), packets_(s.size * fan_packets) {
    for (const auto port : s.to) to_.push_back(loopback_endpoint(port));
    for (std::uint64_t i = 0; i < fan_packets; ++i) write_pattern(packets_.data() + i * size_, size_);
  }

 protected:
  void stamp_round() noexcept {
    for (std::uint64_t i = 0; i < fan_packets; ++i) write_stamp(packets_.data() + i * size_, size_, next_++);
  }

  std::span<const std::byte> packet(std::uint64_t i) const noexcept { return {packets_.data() + i * size_, size_}; }

  std::vector<uring6::endpoint> to_;

 private:
  std::size_t size_;
  std::vector<std::byte> packets_;
  std::uint64_t next_ = 0;  // number of the next packet
};

/// All packets of a round in one batch.
class fan_batch : public fan_sender {
 public:
  explicit fan_batch(const settings& s) : fan_sender(s), messages_(fan_packets * to_.size()) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      stamp_round();
      fill();
      seen_.datagrams += uring6::or_throw(co_await conn_.write_batch(messages_));
    }
  }

  // A function and no coroutine, so that its variables are in registers.
  void fill() noexcept {
    uring6::write_slot* next = messages_.data();
    for (std::uint64_t i = 0; i < fan_packets; ++i) {
      for (const auto& peer : to_) {
        next->payload = packet(i);
        next->destination = peer;
        ++next;
      }
    }
  }

  std::vector<uring6::write_slot> messages_;
};

/// One coroutine that writes ahead.
class fan_ahead : public fan_sender {
 public:
  explicit fan_ahead(const settings& s) : fan_sender(s, {.coalesce_writes = true}) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      stamp_round();
      for (std::uint64_t i = 0; i < fan_packets; ++i) {
        for (const auto& peer : to_) uring6::or_throw(co_await conn_.write_to(packet(i), peer));
      }
      uring6::or_throw(co_await conn_.flush());
      seen_.datagrams += fan_packets * to_.size();
    }
  }
};

/// A coroutine for each peer, on a conn that writes ahead.
class fan_coroutines : public fan_sender {
 public:
  explicit fan_coroutines(const settings& s) : fan_sender(s, {.coalesce_writes = true}) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      stamp_round();
      for (const auto& peer : to_) scope_.spawn(write_round(peer));
      co_await scope_.join();
      uring6::or_throw(co_await conn_.flush());
      seen_.datagrams += fan_packets * to_.size();
    }
  }

  uring6::task<> write_round(const uring6::endpoint& peer) {
    for (std::uint64_t i = 0; i < fan_packets; ++i) uring6::or_throw(co_await conn_.write_to(packet(i), peer));
  }

  uring6::scope scope_{loop_};
};

}  // namespace

std::unique_ptr<subject> fan_by_write_batch(const settings& s) {
  return make<fan_batch>(s);
}
std::unique_ptr<subject> fan_by_write_to(const settings& s) {
  return make<fan_ahead>(s);
}
std::unique_ptr<subject> fan_by_coroutines(const settings& s) {
  return make<fan_coroutines>(s);
}

}  // namespace bench::u6
