// fan-out-64, fan-out-1200: a subject sends 32 packets to each of 64 sockets, in the order of the packets: packet 1 to
// all of them, then packet 2. Only the sending is timed; after each round the harness empties the sockets and checks
// that each has every packet once and in order. On loopback a send includes the way into the receiver's queue.
#include <fmt/format.h>
#include <netinet/udp.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "common/fan.hpp"
#include "harness/bookkeeping.hpp"
#include "harness/traffic.hpp"

namespace bench {
namespace {

/// Datagrams between two checks: as many as the socket buffers of a user without privileges hold.
constexpr std::uint64_t per_ask = 4 * fan_datagrams;

/// Sockets that keep all packets, trains whole, and check the order of each socket's.
class ordered_sink {
 public:
  ordered_sink() {
    for (std::uint64_t i = 0; i < fan_peers; ++i) {
      sockets_.push_back({open_socket(SOCK_NONBLOCK), 0});
      set_option(sockets_.back().fd.get(), SOL_UDP, UDP_GRO, 1);
    }
  }

  std::vector<std::uint16_t> ports() const {
    std::vector<std::uint16_t> ports;
    for (const auto& each : sockets_) ports.push_back(port_of(each.fd.get()));
    return ports;
  }

  /// Reads all packets that wait. Each socket must get the packets in the order of their numbers, without a gap.
  void empty() {
    for (auto& each : sockets_) {
      while (const auto got = read_one_buffer(each.fd.get(), room_)) {
        ++seen_.buffers;
        const std::size_t segment = got->segment == 0 ? got->size : got->segment;
        for (std::size_t at = 0; at < got->size; at += segment) {
          const std::uint64_t before = seen_.sequence_sum;
          seen_.take(room_.data() + at, std::min(segment, got->size - at));
          if (seen_.sequence_sum - before != each.next++) ++seen_.bad;
        }
      }
    }
  }

  const tally& seen() const noexcept { return seen_; }

 private:
  struct peer {
    descriptor fd;
    std::uint64_t next;  // the number of the packet that comes next
  };

  std::vector<peer> sockets_;
  std::vector<std::byte> room_ = std::vector<std::byte>(65'535);
  tally seen_;
};

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
      w.loss += {.sent = per_ask,
                 .received = after.datagrams - before.datagrams,
                 .dropped = 0,
                 .bad = after.bad - before.bad};
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
  ordered_sink sink_;
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
