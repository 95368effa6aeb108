// drain-…, train-… and subscribe-…: a socket is filled while its reader waits for a command, then the reader empties
// it. Only the emptying is timed, which isolates the receive path.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {
namespace {

struct drain_shape {
  std::string name{};
  std::size_t size{};
  bool control{};
  bool trains{};
  bool shared = false;  // the datagrams go to many coroutines of the reader's loop
};

/// Datagrams per filling: 500 single ones, or some dozens of trains; either fits the socket's buffer many
/// times over.
constexpr std::uint64_t singles_per_round = 500;
constexpr std::uint64_t trains_per_round = 48;

class drain_lane : public lane {
 public:
  drain_lane(const entrant& who, unsigned vector, const drain_shape& shape, const placement& where,
             std::uint64_t segments)
      : segments_(segments),
        singly_(!shape.trains || who.singly),
        round_(shape.trains ? trains_per_round * segments : singles_per_round),
        expects_control_(shape.control && !who.blind),
        feeder_(shape.size),
        subject_(who.subject, "receive",
                 {fmt::format("size={}", shape.size), fmt::format("control={:d}", shape.control),
                  fmt::format("gro={:d}", shape.trains && !singly_), fmt::format("vector={}", vector)},
                 {where.subject}) {}

  window run(std::chrono::nanoseconds span) override {
    window w;
    const bookkeeper books(subject_.ports(), subject_);
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    std::uint64_t ns = 0;
    do {
      const std::uint64_t first = feeder_.sent();
      fill();
      const answer got = subject_.ask(fmt::format("work {}", round_));
      ns += got.ns;
      w.loss += {.sent = round_, .received = got.datagrams, .dropped = 0, .bad = got.bad};
      w.loss.bad += mismatch(first, round_, got.sequence_sum);
      w.loss.bad += expects_control_ && got.controls != got.datagrams ? 1 : 0;
      w.buffers += got.buffers;
      w.allocations += got.allocations;
    } while (now_ns() < end);
    books.close(w);
    w.value = static_cast<double>(ns) / static_cast<double>(w.loss.received);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&subject_}; }

 private:
  void fill() {
    if (singly_) return feeder_.send_singly(subject_.ports()[0], round_);
    feeder_.send_trains(subject_.ports()[0], round_, segments_);
  }

  std::uint64_t segments_;
  bool singly_;
  std::uint64_t round_;
  bool expects_control_;
  feeder feeder_;
  subject_process subject_;
};

class drain_contest : public contest {
 public:
  drain_contest(drain_shape shape, const placement& where) : shape_(std::move(shape)), where_(where) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return "ns/datagram"; }

  std::vector<entrant> entrants() const override {
    std::vector<entrant> all;
    if (shape_.shared) {
      all = {{.subject = "uring6 receive", .note = "one reader"},
             {.subject = "uring6 subscribe alone", .note = "a hub with one subscription"},
             {.subject = "uring6 subscribe", .note = "64 subscriptions walk over all datagrams, one checks them"},
             {.subject = "uring6 subscribe, all check", .note = "64 subscriptions check all datagrams"}};
    } else if (shape_.trains) {
      all = {{.subject = "raw gro", .vectors = {1, 4, 16}},
             {.subject = "raw multishot", .vectors = {16, 32, 64}},
             {.subject = "raw recvmmsg", .vectors = vectors, .note = "the same datagrams sent singly", .singly = true},
             {.subject = "uring6 read_from"},
             {.subject = "uring6 read_batch"},
             {.subject = "uring6 receive"},
             {.subject = "uring6 readiness receive"},
             {.subject = "go ReadFrom", .note = "takes no trains: the kernel cuts them up"},
             {.subject = "go ReadMsgUDPAddrPort", .note = "UDP_GRO"}};
    } else {
      const std::string sees_none = shape_.control ? "fetches no control messages" : "";
      all = {{.subject = "raw recvmsg"},
             {.subject = "raw recvmmsg", .vectors = vectors},
             {.subject = "raw multishot", .vectors = {64, 128, 256, 512}},
             {.subject = "raw multishot of pieces", .vectors = {64, 128, 256, 512}, .note = "several for each enter"},
             {.subject = "uring6 read_from"},
             {.subject = "uring6 read_batch"},
             {.subject = "uring6 receive"},
             {.subject = "uring6 readiness read_from"},
             {.subject = "uring6 readiness receive"},
             {.subject = "asio epoll", .note = sees_none, .blind = true},
             {.subject = "asio io_uring", .note = sees_none, .blind = true},
             {.subject = "libuv", .note = sees_none, .blind = true},
             {.subject = "go ReadFrom"},
             {.subject = "go ReadBatch", .vectors = {16, 64, 128}}};
      if (shape_.size == 64) add_expert_baselines(all);
    }
    return all;
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<drain_lane>(who, vector, shape_, where_, longest_train(shape_.size));
  }

 private:
  /// What a program gets that knows its library and the kernel well: of short datagrams, where a call costs the most.
  void add_expert_baselines(std::vector<entrant>& all) const {
    all.push_back({.subject = "go ReadMsgUDPAddrPort", .note = "allocates nothing"});
    if (shape_.control)
      all.push_back({.subject = "asio epoll recvmmsg", .vectors = vectors, .note = "async_wait and recvmmsg"});
    else
      all.push_back({.subject = "asio epoll async_wait", .note = "async_wait and non-blocking receives"});
  }

  inline static const std::vector<unsigned> vectors = {8, 16, 32, 64, 128};

  drain_shape shape_;
  placement where_;
};

}  // namespace

void add_drains(contests& all, const placement& where) {
  for (const auto& shape :
       {drain_shape{"drain-64", 64, false, false}, drain_shape{"drain-64-cm", 64, true, false},
        drain_shape{"drain-1200-cm", 1200, true, false}, drain_shape{"train-64", 64, false, true},
        drain_shape{"train-1200", 1200, false, true}, drain_shape{"subscribe-64", 64, false, false, true},
        drain_shape{"subscribe-train-64", 64, false, true, true}}) {
    all.push_back(std::make_unique<drain_contest>(shape, where));
  }
}

}  // namespace bench
