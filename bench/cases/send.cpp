// send-64 and send-64-run: a subject sends to sockets that keep all datagrams, trains whole. Only the sending is timed;
// after each round the harness empties the sockets and checks every datagram. On loopback a send includes the way into
// the receiver's queue.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 64;
constexpr std::uint64_t per_round = 4096;

class send_lane : public lane {
 public:
  send_lane(const entrant& who, unsigned vector, std::size_t destinations, const placement& where)
      : sink_(destinations),
        subject_(who.subject, "send",
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
      const answer sent = subject_.ask(fmt::format("work {}", per_round));
      sink_.empty();
      const tally& after = sink_.seen();
      const std::uint64_t received = after.datagrams - before.datagrams;
      w.loss += {.sent = per_round, .received = received, .dropped = 0, .bad = after.bad - before.bad};
      w.loss.bad += mismatch(sent_, per_round, after.sequence_sum - before.sequence_sum);
      w.buffers += after.buffers - before.buffers;
      w.allocations += sent.allocations;
      ns += sent.ns;
      sent_ += per_round;
    } while (now_ns() < end);
    books.close(w);
    w.value = static_cast<double>(ns) / static_cast<double>(w.loss.sent);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&subject_}; }

 private:
  sink sink_;
  subject_process subject_;
  std::uint64_t sent_ = 0;
};

class send_contest : public contest {
 public:
  send_contest(std::string name, std::size_t destinations, const placement& where)
      : name_(std::move(name)), destinations_(destinations), where_(where) {}

  std::string name() const override { return name_; }
  std::string unit() const override { return "ns/datagram"; }

  std::vector<entrant> entrants() const override {
    std::vector<entrant> all{{.subject = "raw sendmsg"},
                             {.subject = "raw sendmmsg", .vectors = {8, 16, 32, 64, 128}},
                             {.subject = "uring6 write_to", .note = "64 coroutines"},
                             {.subject = "uring6 write_batch", .vectors = {64, 128, 256, 512}},
                             {.subject = "uring6 readiness write_batch", .vectors = {64, 128, 256, 512}},
                             {.subject = "asio epoll"},
                             {.subject = "asio io_uring"},
                             {.subject = "libuv", .vectors = {20, 64, 128}},
                             {.subject = "go WriteTo"},
                             {.subject = "go WriteBatch", .vectors = {16, 64, 128}}};
    if (destinations_ == 1) {
      const auto longest = static_cast<unsigned>(longest_train(size));
      all.insert(all.begin() + 2, {{.subject = "raw gso", .vectors = {longest}},
                                   {.subject = "raw gso of messages", .vectors = {longest}}});
    }
    return all;
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<send_lane>(who, vector, destinations_, where_);
  }

 private:
  std::string name_;
  std::size_t destinations_;
  placement where_;
};

}  // namespace

void add_sends(contests& all, const placement& where) {
  all.push_back(std::make_unique<send_contest>("send-64", 64, where));
  all.push_back(std::make_unique<send_contest>("send-64-run", 1, where));
}

}  // namespace bench
