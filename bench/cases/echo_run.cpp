// echo-run, echo-run-plain, echo-run-single: the processor time that a saturated echo server takes per
// datagram.
//
// The server is stopped (SIGSTOP) while the peer fills its socket, then goes on and answers all of it: it is
// saturated by construction, however fast it is and whatever loop it runs. Its processor time is read from
// outside, from stop to stop. Meanwhile the peer, on the other processor, looks for answers without sleeping.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 64;
constexpr std::uint64_t per_round = 8192;
constexpr std::uint64_t patience_ns = 5'000'000'000;

struct peer_shape {
  std::string name{};
  bool sends_trains{};
  bool takes_trains{};
};

class echo_run_lane : public lane {
 public:
  echo_run_lane(const entrant& who, unsigned vector, const peer_shape& shape, const placement& where)
      : shape_(shape),
        segments_(longest_train(size)),
        peer_(size),
        room_(65'535),
        server_(who.subject, "echo", {fmt::format("size={}", size), fmt::format("vector={}", vector)},
                {where.subject}) {
    if (shape.takes_trains) set_option(peer_.fd(), SOL_UDP, UDP_GRO, 1);
    server_.tell("serve");
  }

  window run(std::chrono::nanoseconds span) override {
    window w;
    server_.pause();
    const bookkeeper books({server_.ports()[0], peer_.port()}, server_);
    const std::uint64_t allocations = server_.shared().allocations.load();
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    do {
      const std::uint64_t first = peer_.sent();
      const tally before = seen_;
      if (shape_.sends_trains)
        peer_.send_trains(server_.ports()[0], per_round, segments_);
      else
        peer_.send_singly(server_.ports()[0], per_round);
      server_.resume();
      collect(per_round);
      server_.pause();
      w.loss += {.sent = per_round,
                 .received = seen_.datagrams - before.datagrams,
                 .dropped = 0,
                 .bad = seen_.bad - before.bad};
      w.loss.bad += mismatch(first, per_round, seen_.sequence_sum - before.sequence_sum);
      w.buffers += seen_.buffers - before.buffers;
    } while (now_ns() < end);
    books.close(w);
    server_.resume();
    w.allocations = server_.shared().allocations.load() - allocations;
    w.value = static_cast<double>(w.subject_cpu_ns) / static_cast<double>(w.loss.received);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&server_}; }

 private:
  /// Returns early if no answer has come for long: the accounts will show the missing datagrams.
  void collect(std::uint64_t count) {
    const std::uint64_t wanted = seen_.datagrams + count;
    for (std::uint64_t last_news = now_ns(); seen_.datagrams < wanted;) {
      if (take_buffer(peer_.fd(), room_, seen_))
        last_news = now_ns();
      else if (now_ns() - last_news > patience_ns)
        return;
    }
  }

  peer_shape shape_;
  std::uint64_t segments_;
  feeder peer_;
  std::vector<std::byte> room_;
  tally seen_;
  subject_process server_;
};

class echo_run_contest : public contest {
 public:
  echo_run_contest(peer_shape shape, const placement& where) : shape_(std::move(shape)), where_(where) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return "ns of processor time/datagram"; }

  std::vector<entrant> entrants() const override {
    std::vector<entrant> all{
        {.subject = "raw echo", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg"},
        {.subject = "uring6 echo"},
        {.subject = "uring6 echo simple"},
        {.subject = "uring6 readme", .note = "the README's service as printed; looks at no payload"},
        {.subject = "asio epoll"},
        {.subject = "asio io_uring"},
        {.subject = "libuv"},
        {.subject = "go ReadFrom"}};
    if (shape_.sends_trains)
      all.insert(all.begin() + 1, {.subject = "raw train echo", .note = "UDP_GRO and UDP_SEGMENT"});
    else
      all.insert(all.begin() + 1,
                 {.subject = "raw run echo", .vectors = {32, 64, 128}, .note = "recvmmsg, UDP_SEGMENT"});
    return all;
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<echo_run_lane>(who, vector, shape_, where_);
  }

 private:
  peer_shape shape_;
  placement where_;
};

}  // namespace

void add_echo_runs(contests& all, const placement& where) {
  for (const auto& shape : {peer_shape{"echo-run", true, true}, peer_shape{"echo-run-plain", true, false},
                            peer_shape{"echo-run-single", false, true}}) {
    all.push_back(std::make_unique<echo_run_contest>(shape, where));
  }
}

}  // namespace bench
