// sockets-10000: one datagram for each of 10,000 connected sockets, in random order; then the subject reads all of
// them. two-loops: two filled sockets, read by one loop or by two on two processors.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 64;

struct crowd_shape {
  std::string name{};
  unsigned sockets{};
  std::uint64_t per_socket{};
  bool connected{};
  bool control{};
  std::vector<entrant> entrants{};
};

class crowd_lane : public lane {
 public:
  crowd_lane(const entrant& who, unsigned vector, const crowd_shape& shape, const std::vector<int>& cpus)
      : feeder_(size),
        per_socket_(shape.per_socket),
        control_(shape.control),
        subject_(start(who, vector, shape, shape.sockets, cpus)),
        order_(subject_.ports()) {
    if (!shape.connected) return;
    const subject_process alone = start(who, vector, shape, 1, cpus);
    const std::uint64_t all = subject_.resident_bytes();
    bytes_per_socket_ = (all - std::min(all, alone.resident_bytes())) / (shape.sockets - 1);
  }

  window run(std::chrono::nanoseconds span) override {
    window w;
    const bookkeeper books(subject_.ports(), subject_);
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    std::uint64_t ns = 0;
    do {
      const std::uint64_t first = feeder_.sent();
      std::shuffle(order_.begin(), order_.end(), random_);
      for (const auto port : order_) feeder_.send_singly(port, per_socket_);
      const std::uint64_t sent = feeder_.sent() - first;
      const answer got = subject_.ask(fmt::format("work {}", sent));
      ns += got.ns;
      w.loss += {.sent = sent, .received = got.datagrams, .dropped = 0, .bad = got.bad};
      w.loss.bad += mismatch(first, sent, got.sequence_sum);
      w.loss.bad += control_ && got.controls != got.datagrams ? 1 : 0;
      w.buffers += got.buffers;
      w.allocations += got.allocations;
    } while (now_ns() < end);
    books.close(w);
    w.value = static_cast<double>(ns) / static_cast<double>(w.loss.received);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&subject_}; }

  std::optional<std::uint64_t> bytes_per_socket() const override { return bytes_per_socket_; }

 private:
  subject_process start(const entrant& who, unsigned vector, const crowd_shape& shape, unsigned sockets,
                        const std::vector<int>& cpus) const {
    return subject_process(who.subject, "receive",
                           {fmt::format("size={}", size), fmt::format("vector={}", vector),
                            fmt::format("control={:d}", shape.control), fmt::format("sockets={}", sockets),
                            fmt::format("to={}", shape.connected ? std::to_string(feeder_.port()) : "")},
                           cpus);
  }

  feeder feeder_;
  std::uint64_t per_socket_;
  bool control_;
  /// The memory of each further socket: the loop and its pools are shared by all of them.
  std::optional<std::uint64_t> bytes_per_socket_;
  subject_process subject_;
  std::vector<std::uint16_t> order_;
  std::mt19937 random_{11};
};

class crowd_contest : public contest {
 public:
  crowd_contest(crowd_shape shape, std::vector<int> cpus) : shape_(std::move(shape)), cpus_(std::move(cpus)) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return "ns/datagram"; }
  std::vector<entrant> entrants() const override { return shape_.entrants; }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<crowd_lane>(who, vector, shape_, cpus_);
  }

 private:
  crowd_shape shape_;
  std::vector<int> cpus_;
};

}  // namespace

void add_many_sockets(contests& all, const placement& where) {
  const auto add_crowd = [&](const std::string& name, const std::vector<entrant>& entrants) {
    all.push_back(std::make_unique<crowd_contest>(crowd_shape{name, 10'000, 1, true, true, entrants},
                                                  std::vector{where.subject}));
  };
  add_crowd("sockets-10000",
            {{.subject = "raw epoll"}, {.subject = "uring6 receive"}, {.subject = "raw multishot", .vectors = {1024}}});
  // In a case of its own: the ephemeral ports are not enough for the sockets of a fourth subject.
  add_crowd("sockets-10000-readiness", {{.subject = "raw epoll"}, {.subject = "uring6 readiness receive"}});
  all.push_back(std::make_unique<crowd_contest>(crowd_shape{"two-loops",
                                                            2,
                                                            16'000,
                                                            false,
                                                            true,
                                                            {{.subject = "raw one thread"},
                                                             {.subject = "raw two threads"},
                                                             {.subject = "uring6 one loop"},
                                                             {.subject = "uring6 two loops"}}},
                                                std::vector{where.harness, where.subject}));
}

}  // namespace bench
