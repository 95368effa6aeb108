// fan-out-64, fan-out-1200: a subject sends 32 packets to each of 64 sockets, in the order of the packets: packet 1 to
// all of them, then packet 2. Only the sending is timed; after each round the harness empties the sockets and checks
// that each has every packet once and in order. On loopback a send includes the way into the receiver's queue.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "common/fan.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/ordered_sink.hpp"

namespace bench {
namespace {

/// Datagrams between two checks: as many as the socket buffers of a user without privileges hold.
constexpr std::uint64_t per_ask = 4 * fan_datagrams;

class fan_lane : public lane {
 public:
  fan_lane(const entrant& who, unsigned vector, std::size_t size, const placement& where)
      : subject_(who.subject, "fan",
                 {fmt::format("size={}", size), fmt::format("vector={}", vector),
                  fmt::format("to={}", fmt::join(sink_.ports(), ","))},
                 {where.subject}) {}

  window run(std::chrono::nanoseconds span) override {
    window w;
    const bookkeeper books(sink_.ports(), subject_);
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    std::uint64_t ns = 0;
    do {
      const tally before = sink_.seen();
      const answer sent = subject_.ask(fmt::format("work {}", per_ask));
      sink_.empty();
      const tally& after = sink_.seen();
      w.loss += {
          .sent = per_ask, .received = after.datagrams - before.datagrams, .dropped = 0, .bad = after.bad - before.bad};
      w.buffers += after.buffers - before.buffers;
      w.allocations += sent.allocations;
      ns += sent.ns;
    } while (now_ns() < end);
    books.close(w);
    w.value = static_cast<double>(ns) / static_cast<double>(w.loss.sent);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&subject_}; }

 private:
  ordered_sink sink_{fan_peers};
  subject_process subject_;
};

class fan_contest : public contest {
 public:
  fan_contest(std::string name, std::size_t size, const placement& where)
      : name_(std::move(name)), size_(size), where_(where) {}

  std::string name() const override { return name_; }
  std::string unit() const override { return "ns/datagram"; }

  std::vector<entrant> entrants() const override {
    return {{.subject = "raw sendmmsg", .vectors = {64, 256, 1024}},
            {.subject = "raw gso", .vectors = {fan_peers}, .note = "a train a peer"},
            {.subject = "uring6 write_batch", .vectors = {fan_datagrams}},
            {.subject = "uring6 readiness write_batch", .vectors = {fan_datagrams}},
            {.subject = "uring6 write_to", .note = "one coroutine, written ahead"},
            {.subject = "uring6 coroutines", .note = "64 coroutines, each with its peer, written ahead"}};
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<fan_lane>(who, vector, size_, where_);
  }

 private:
  std::string name_;
  std::size_t size_;
  placement where_;
};

}  // namespace

void add_fan_outs(contests& all, const placement& where) {
  all.push_back(std::make_unique<fan_contest>("fan-out-64", 64, where));
  all.push_back(std::make_unique<fan_contest>("fan-out-1200", 1200, where));
}

}  // namespace bench
