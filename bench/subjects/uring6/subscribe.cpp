#include "subjects/uring6/subscribe.hpp"

#include <algorithm>
#include <deque>

#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

class subscribers : public conn_subject {
 public:
  subscribers(const settings& s, std::size_t count, bool all_check) : conn_subject(s) {
    for (std::size_t i = 0; i < count; ++i) {
      listeners_.push_back({.from = uring6::or_throw(hub_.subscribe({.behind = uring6::when_behind::cut_off}))});
      scope_.spawn(i == 0 || all_check ? check_all(listeners_.back()) : walk_all(listeners_.back()));
    }
    scope_.spawn(hub_.run(), [](const uring6::result<void>&) {});
  }

 private:
  struct listener {
    uring6::subscription from;
    tally seen{};
    std::uint64_t octets = 0;
  };

  uring6::task<> work(std::uint64_t total) override {
    for (const listener& each : listeners_) missing_ += total - each.seen.datagrams;
    done_.reset();
    uring6::or_throw(co_await done_.wait());
    const tally& first = listeners_.front().seen;
    const std::uint64_t bad_before = seen_.bad;
    seen_ = first;
    seen_.bad = std::max(bad_before, bad_in_all());
    seen_.buffers = conn_.stats().received_buffers;
  }

  /// Each listener has the same datagrams as the first one, and as many octets.
  std::uint64_t bad_in_all() const noexcept {
    const listener& first = listeners_.front();
    std::uint64_t bad = first.seen.bad;
    for (const listener& each : listeners_) {
      bad += each.seen.datagrams != first.seen.datagrams || each.octets != first.octets || each.from.stats().missed > 0;
      if (each.seen.sequence_sum > 0) bad += each.seen.bad + (each.seen.sequence_sum != first.seen.sequence_sum);
    }
    return bad;
  }

  uring6::task<> check_all(listener& to) {
    for (;;) {
      const auto batch = co_await to.from.receive();
      if (!batch) throw std::system_error(batch.error());
      check(*batch, to);
      count(batch->size());
    }
  }

  uring6::task<> walk_all(listener& to) {
    for (;;) {
      const auto batch = co_await to.from.receive();
      if (!batch) throw std::system_error(batch.error());
      walk(*batch, to);
      count(batch->size());
    }
  }

  // Functions and no coroutines, so that their variables are in registers.
  static void check(const uring6::shared_batch& batch, listener& to) noexcept {
    for (const auto each : batch) {
      to.seen.take(each.payload().data(), each.payload().size());
      to.octets += each.payload().size();
    }
  }
  static void walk(const uring6::shared_batch& batch, listener& to) noexcept {
    for (const auto each : batch) {
      ++to.seen.datagrams;
      to.octets += each.payload().size();
    }
  }

  void count(std::size_t datagrams) noexcept {
    missing_ -= datagrams;
    if (missing_ == 0) done_.set();
  }

  uring6::datagram_hub hub_{loop_, conn_};
  std::deque<listener> listeners_;
  uring6::event done_;
  std::uint64_t missing_ = 0;  // datagrams that listeners have not seen of this piece of work
  uring6::scope scope_{loop_};
};

constexpr std::size_t many = 64;

class alone : public subscribers {
 public:
  explicit alone(const settings& s) : subscribers(s, 1, true) {}
};
class crowd : public subscribers {
 public:
  explicit crowd(const settings& s) : subscribers(s, many, false) {}
};
class crowd_that_checks : public subscribers {
 public:
  explicit crowd_that_checks(const settings& s) : subscribers(s, many, true) {}
};

}  // namespace

std::unique_ptr<subject> subscribe_alone(const settings& s) {
  return make<alone>(s);
}
std::unique_ptr<subject> subscribe_64(const settings& s) {
  return make<crowd>(s);
}
std::unique_ptr<subject> subscribe_64_that_check(const settings& s) {
  return make<crowd_that_checks>(s);
}

}  // namespace bench::u6
