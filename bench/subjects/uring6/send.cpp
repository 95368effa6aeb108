#include "subjects/uring6/send.hpp"

#include <algorithm>

#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

/// A conn, and payloads that are complete but for their stamps.
class sender : public conn_subject {
 public:
  sender(const settings& s, std::size_t payloads) : conn_subject(s), size_(s.size), payloads_(s.size * payloads) {
    for (const auto port : s.to) to_.push_back(loopback_endpoint(port));
    for (std::size_t i = 0; i < payloads; ++i) write_pattern(payloads_.data() + i * size_, size_);
  }

 protected:
  /// Payload `i`, stamped with its sequence number.
  std::span<const std::byte> stamped(std::size_t i, std::uint64_t sequence) noexcept {
    write_stamp(payloads_.data() + i * size_, size_, sequence);
    return {payloads_.data() + i * size_, size_};
  }

  const uring6::endpoint& destination(std::uint64_t sequence) const noexcept { return to_[sequence % to_.size()]; }

 private:
  std::size_t size_;
  std::vector<std::byte> payloads_;
  std::vector<uring6::endpoint> to_;
};

/// A batch at a time; runs to one destination leave as trains.
class write_batch : public sender {
 public:
  explicit write_batch(const settings& s) : sender(s, s.vector), messages_(s.vector) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t count = std::min<std::uint64_t>(messages_.size(), total - seen_.datagrams);
      const auto batch = std::span(messages_).first(count);
      fill(batch);
      seen_.datagrams += uring6::or_throw(co_await conn_.write_batch(batch));
    }
  }

  // A function and no coroutine, so that its variables are in registers.
  void fill(std::span<uring6::write_slot> batch) noexcept {
    const std::uint64_t first = seen_.datagrams;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      batch[i].payload = stamped(i, first + i);
      batch[i].destination = destination(first + i);
    }
  }

  std::vector<uring6::write_slot> messages_;
};

/// Many coroutines, each with one datagram in flight.
class write_to : public sender {
 public:
  explicit write_to(const settings& s) : sender(s, s.vector), writers_(s.vector) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    for (std::size_t i = 0; i < writers_; ++i) scope_.spawn(write(i, total));
    co_await scope_.join();
  }

  uring6::task<> write(std::size_t number, std::uint64_t total) {
    while (seen_.datagrams < total) {
      const std::uint64_t sequence = seen_.datagrams++;
      uring6::or_throw(co_await conn_.write_to(stamped(number, sequence), destination(sequence)));
    }
  }

  std::size_t writers_;
  uring6::scope scope_{loop_};
};

}  // namespace

std::unique_ptr<subject> send_by_write_to(const settings& s) {
  return make<write_to>(s);
}
std::unique_ptr<subject> send_by_write_batch(const settings& s) {
  return make<write_batch>(s);
}

}  // namespace bench::u6
