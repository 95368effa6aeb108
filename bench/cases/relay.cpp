// relay-64, relay-1200: one stream of trains comes in, and the subject sends each of its packets on to 64 peers. The
// harness fills the subject's socket while the subject waits for a command; the time is that of the reading and the
// sending, for each datagram that is sent. After each round the harness empties the peers' sockets and checks that each
// has every packet once and in order. On loopback a send includes the way into the peer's queue.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "common/fan.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/ordered_sink.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {
namespace {

/// Trains that come in between two checks. Their packets, sent on singly, fit the socket buffers of a user without
/// privileges.
constexpr std::uint64_t trains_per_ask = 2;

class relay_lane : public lane {
 public:
  relay_lane(const entrant& who, unsigned vector, std::size_t size, const placement& where)
      : segments_(longest_train(size)),
        source_(size),
        subject_(who.subject, "relay",
                 {fmt::format("size={}", size), fmt::format("vector={}", vector),
                  fmt::format("to={}", fmt::join(sink_.ports(), ","))},
                 {where.subject}) {}

  window run(std::chrono::nanoseconds span) override {
    window w;
    auto ports = sink_.ports();
    ports.push_back(subject_.ports()[0]);
    const bookkeeper books(ports, subject_);
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    const std::uint64_t packets = trains_per_ask * segments_;
    std::uint64_t ns = 0;
    do {
      const tally before = sink_.seen();
      const std::uint64_t first = source_.sent();
      source_.send_trains(subject_.ports()[0], packets, segments_);
      const answer relayed = subject_.ask(fmt::format("work {}", packets));
      sink_.empty();
      const tally& after = sink_.seen();
      w.loss += {.sent = packets * fan_peers,
                 .received = after.datagrams - before.datagrams,
                 .dropped = 0,
                 .bad = after.bad - before.bad + relayed.bad};
      w.loss.bad += mismatch(first, packets, relayed.sequence_sum);
      w.buffers += after.buffers - before.buffers;
      w.allocations += relayed.allocations;
      ns += relayed.ns;
    } while (now_ns() < end);
    books.close(w);
    w.value = static_cast<double>(ns) / static_cast<double>(w.loss.sent);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&subject_}; }

 private:
  std::uint64_t segments_;
  feeder source_;
  ordered_sink sink_{fan_peers};
  subject_process subject_;
};

class relay_contest : public contest {
 public:
  relay_contest(std::size_t size, const placement& where) : size_(size), where_(where) {}

  std::string name() const override { return fmt::format("relay-{}", size_); }
  std::string unit() const override { return "ns/datagram"; }

  std::vector<entrant> entrants() const override {
    return {{.subject = "raw relay", .vectors = {16, 64, 128}, .note = "recvmmsg and sendmmsg"},
            {.subject = "raw train relay", .note = "UDP_GRO and UDP_SEGMENT, a train a peer"},
            {.subject = "uring6 relay", .note = "receive and write_batch, a message for each train, nothing copied"},
            {.subject = "uring6 relay of datagrams",
             .vectors = {1, 4, 16},
             .note = "a message for each datagram, nothing copied"}};
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<relay_lane>(who, vector, size_, where_);
  }

 private:
  std::size_t size_;
  placement where_;
};

}  // namespace

void add_relays(contests& all, const placement& where) {
  for (const std::size_t size : {64, 1200}) all.push_back(std::make_unique<relay_contest>(size, where));
}

}  // namespace bench
