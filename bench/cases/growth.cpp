// How the cost of a datagram grows: with the peers of an echo server, with its loops, with the payload, and with the
// conns of a receiver. A round is 8,192 datagrams, or as many as have 8 MiB.
//
// Peers and conns have addresses of their own (common/addresses.hpp), because a host has no 100,000 ports.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <set>

#include "cases/cases.hpp"
#include "common/addresses.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/address_crowd.hpp"
#include "harness/peers/traffic.hpp"
#include "harness/saturated_server.hpp"

namespace bench {
namespace {

constexpr std::uint64_t datagrams_per_round = 8192;
constexpr std::uint64_t octets_per_round = 8 << 20;

struct growth_point {
  std::string name{};
  std::uint32_t peers = 1000;
  unsigned loops = 1;
  std::size_t size = 64;
};

/// The peers of a saturated echo server.
class spread_peers : public questioner {
 public:
  explicit spread_peers(const growth_point& point)
      : round_(std::clamp(octets_per_round / (point.size + 1), std::uint64_t{1}, datagrams_per_round)),
        meanwhile_(idle_beside(point.loops)),
        peers_(point.peers, point.size) {}

  void play(subject_process& server, window& w) override {
    peers_.ask(server.ports()[0], round_);
    server.resume();
    w.loss += peers_.collect(round_patience, meanwhile_);
    server.pause();
  }

 private:
  std::uint64_t round_;
  idle meanwhile_;
  address_crowd peers_;
};

std::unique_ptr<contest> echo_contest(const growth_point& point, const placement& where) {
  return saturation_contest(
      {.name = point.name,
       .size = point.size,
       .loops = point.loops,
       .other_end = [point] { return std::make_shared<spread_peers>(point); },
       .entrants = {{.subject = "raw echo by threads", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg"},
                    {.subject = "uring6 echo by loops", .note = "receive and write_batch"}}},
      where);
}

/// Receives on many connected conns, which get the datagrams of a round in turn.
class conns_lane : public lane {
 public:
  conns_lane(const entrant& who, unsigned conns, const placement& where)
      : conns_(conns),
        source_(64),
        receiver_(who.subject, "receive",
                  {"size=64", fmt::format("sockets={}", conns), fmt::format("to={}", source_.port()), "spread=1"},
                  {where.subject}) {}

  window run(std::chrono::nanoseconds span) override {
    window w;
    const auto& ports = receiver_.ports();
    // Without the drops at its ports: to read them takes time that grows with the square of the sockets. A datagram
    // that is lost voids the result nevertheless, because the receiver waits for it in vain.
    const bookkeeper books({}, receiver_);
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    std::uint64_t ns = 0;
    do {
      const std::uint64_t first = source_.sent();
      for (std::uint64_t i = 0; i < datagrams_per_round; ++i) {
        // Neighbours are far apart; a prime number of steps meets every conn.
        next_ = (next_ + 7919) % conns_;
        source_.send_one(address_of(static_cast<std::uint32_t>(next_)), ports[next_]);
      }
      const answer got = receiver_.ask(fmt::format("work {}", datagrams_per_round));
      ns += got.ns;
      w.loss += {.sent = datagrams_per_round, .received = got.datagrams, .dropped = 0, .bad = got.bad};
      w.loss.bad += mismatch(first, datagrams_per_round, got.sequence_sum);
      w.allocations += got.allocations;
    } while (now_ns() < end);
    books.close(w);
    w.value = static_cast<double>(ns) / static_cast<double>(w.loss.received);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&receiver_}; }

 private:
  std::uint64_t conns_;
  std::uint64_t next_ = 0;
  feeder source_;
  subject_process receiver_;
};

class conns_contest : public contest {
 public:
  conns_contest(unsigned conns, const placement& where) : conns_(conns), where_(where) {}

  std::string name() const override { return fmt::format("conns-{}", conns_); }
  std::string unit() const override { return "ns/datagram"; }

  std::vector<entrant> entrants() const override {
    return {{.subject = "raw epoll recvmmsg", .note = "edge-triggered"}, {.subject = "uring6 receive"}};
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned) const override {
    return std::make_unique<conns_lane>(who, conns_, where_);
  }

 private:
  unsigned conns_;
  placement where_;
};

/// As many hundreds as the limit of descriptors allows, of which a process has some for other things.
unsigned most_conns() {
  constexpr rlim_t enough = 200'000, others = 100;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<unsigned>((std::clamp(limit.rlim_cur, 2 * others, enough) - others) / 100 * 100);
}

}  // namespace

contests growth_contests(const placement& where) {
  contests all;
  const auto add = [&](const growth_point& point) { all.push_back(echo_contest(point, where)); };
  for (const std::uint32_t peers : {1u, 10u, 100u, 1000u, 10'000u, 100'000u})
    add({.name = fmt::format("peers-{}", peers), .peers = peers});
  std::set<unsigned> numbers;  // a point once, where the limit is below several of them
  for (const unsigned conns : {1u, 10u, 100u, 1000u, 10'000u, 100'000u}) numbers.insert(std::min(conns, most_conns()));
  for (const unsigned conns : numbers) all.push_back(std::make_unique<conns_contest>(conns, where));
  for (const unsigned loops : {1u, 2u}) add({.name = fmt::format("loops-{}", loops), .loops = loops});
  for (const std::size_t size : {0u, 16u, 64u, 512u, 1200u, 1452u, 4096u, 16'384u, 65'527u})
    add({.name = fmt::format("payload-{}", size), .size = size});
  return all;
}

}  // namespace bench
