#include "subjects/uring6/relay.hpp"

#include <algorithm>

#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

/// Sends the trains of a lent batch on as trains.
class train_relay : public conn_subject {
 public:
  explicit train_relay(const settings& s) : conn_subject(s) {
    for (const auto port : s.to) to_.push_back(loopback_endpoint(port));
  }

 private:
  uring6::task<> work(std::uint64_t total) override {
    uring6::datagram_batch batch;
    while (seen_.datagrams < total) {
      uring6::or_throw(co_await conn_.receive(batch));
      messages_.clear();
      for (auto each = batch.begin(); each != batch.end(); each.next_train()) {
        const std::size_t segment = each->payload.size();
        seen_.take_train(each.train().data(), each.train().size(), segment);
        for (const auto& peer : to_)
          messages_.push_back({.payload = each.train(), .destination = peer, .segment = segment});
      }
      uring6::or_throw(co_await conn_.write_batch(messages_));
    }
  }

  std::vector<uring6::endpoint> to_;
  std::vector<uring6::write_slot> messages_;
};

/// Sends the datagrams of a lent batch on, each in a message of its own: what a relay does that looks at each of them.
/// A peer's messages follow one another.
class datagram_relay : public conn_subject {
 public:
  explicit datagram_relay(const settings& s) : conn_subject(s), peers_at_once_(s.vector) {
    for (const auto port : s.to) to_.push_back(loopback_endpoint(port));
  }

 private:
  uring6::task<> work(std::uint64_t total) override {
    uring6::datagram_batch batch;
    while (seen_.datagrams < total) {
      uring6::or_throw(co_await conn_.receive(batch));
      payloads_.clear();
      for (const uring6::datagram& each : batch) {
        seen_.take(each.payload.data(), each.payload.size());
        payloads_.push_back(each.payload);
      }
      for (std::size_t done = 0; done < to_.size(); done += peers_at_once_) {
        const auto now = std::span(to_).subspan(done, std::min(peers_at_once_, to_.size() - done));
        uring6::or_throw(co_await conn_.write_batch(fill(now)));
      }
    }
  }

  // A function and no coroutine, so that its variables are in registers.
  std::span<uring6::write_slot> fill(std::span<const uring6::endpoint> peers) {
    const std::size_t count = peers.size() * payloads_.size();
    if (messages_.size() < count) messages_.resize(count);
    uring6::write_slot* next = messages_.data();
    for (const auto& peer : peers) {
      for (const auto payload : payloads_) {
        next->payload = payload;
        next->destination = peer;
        ++next;
      }
    }
    return std::span(messages_).first(count);
  }

  std::size_t peers_at_once_;
  std::vector<uring6::endpoint> to_;
  std::vector<std::span<const std::byte>> payloads_;
  std::vector<uring6::write_slot> messages_;
};

}  // namespace

std::unique_ptr<subject> relay_by_train(const settings& s) {
  return make<train_relay>(s);
}
std::unique_ptr<subject> relay_by_datagram(const settings& s) {
  return make<datagram_relay>(s);
}

}  // namespace bench::u6
