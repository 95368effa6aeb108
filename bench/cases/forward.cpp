// forward: the processor time that a saturated forwarder takes for a query, from its client to the upstream and for the
// answer's way back. 64 clients ask in turn; the harness is the upstream, too. The forwarder keeps for each query which
// client asked, and where, and gives each query an id of its own (common/forward.hpp).
//
// The forwarder is stopped (SIGSTOP) while its clients fill its socket, goes on until all queries are at the upstream,
// is stopped again while the upstream answers all of them, and goes on until the clients have their answers.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/clients.hpp"
#include "harness/peers/upstream.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 66;  // an id, and 64 octets
constexpr std::size_t client_count = 64;
constexpr std::uint64_t each = 64;  // queries of a client in a round: 4,096 wait at a time
constexpr std::chrono::milliseconds patience{5000};

class forward_lane : public lane {
 public:
  forward_lane(const entrant& who, unsigned vector, const placement& where)
      : forwarder_(
            who.subject, "forward",
            {fmt::format("size={}", size), fmt::format("vector={}", vector), fmt::format("to={}", upstream_.port())},
            {where.subject}) {
    forwarder_.tell("serve");
  }

  window run(std::chrono::nanoseconds span) override {
    window w;
    forwarder_.pause();
    const bookkeeper books(forwarder_.ports(), forwarder_);
    const std::uint64_t allocations = forwarder_.shared().allocations.load();
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    do {
      const tally before = clients_.seen();
      clients_.ask(forwarder_.ports()[0], each);
      forwarder_.resume();
      const std::uint64_t bad = upstream_.take(each * client_count, size, patience);
      forwarder_.pause();
      upstream_.answer();
      forwarder_.resume();
      clients_.collect(patience);
      forwarder_.pause();
      const tally& after = clients_.seen();
      w.loss += {.sent = each * client_count,
                 .received = after.datagrams - before.datagrams,
                 .dropped = 0,
                 .bad = bad + after.bad - before.bad};
      w.buffers += after.buffers - before.buffers;
    } while (now_ns() < end);
    books.close(w);
    forwarder_.resume();
    w.allocations = forwarder_.shared().allocations.load() - allocations;
    w.value = static_cast<double>(w.subject_cpu_ns) / static_cast<double>(w.loss.received);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&forwarder_}; }

 private:
  upstream upstream_;
  clients clients_{client_count, forward_exchange(size), false};
  subject_process forwarder_;
};

class forward_contest : public contest {
 public:
  explicit forward_contest(const placement& where) : where_(where) {}

  std::string name() const override { return "forward"; }
  std::string unit() const override { return "ns of processor time/query and answer"; }

  std::vector<entrant> entrants() const override {
    return {{.subject = "raw forward", .vectors = {16, 32, 64, 128}, .note = "poll, recvmmsg and sendmmsg"},
            {.subject = "uring6 forward", .note = "receive and write_batch, nothing copied"},
            {.subject = "uring6 forward of queries", .note = "a coroutine for each query, as examples/forwarder.cpp"}};
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<forward_lane>(who, vector, where_);
  }

 private:
  placement where_;
};

}  // namespace

void add_forward(contests& all, const placement& where) {
  all.push_back(std::make_unique<forward_contest>(where));
}

}  // namespace bench
