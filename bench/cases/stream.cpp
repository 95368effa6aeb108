// stream-64 and stream-1200: a sender and a receiver of the same family, each on a processor of its own, as fast as
// both together can without a loss. The receiver's progress is the sender's credit, because the loopback interface
// slows no sender down.
#include <fmt/format.h>

#include <algorithm>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {
namespace {

/// Trains (or as many datagrams) between two readings of the credit, and the most such chunks in flight.
constexpr std::uint64_t trains_per_chunk = 16;
constexpr std::uint64_t chunks_in_flight = 8;

/// The sender that belongs to each receiver.
std::string sender_for(const std::string& receiver) {
  if (receiver == "raw recvmmsg") return "raw sendmmsg";
  if (receiver == "raw gro") return "raw gso";
  if (receiver == "uring6 read_from") return "uring6 write_to";
  if (receiver == "uring6 receive") return "uring6 write_batch";
  if (receiver == "go ReadFrom") return "go WriteTo";
  if (receiver == "go ReadBatch") return "go WriteBatch";
  return receiver;
}

class stream_lane : public lane {
 public:
  stream_lane(const entrant& who, unsigned vector, std::size_t size, const placement& where)
      : chunk_(trains_per_chunk * longest_train(size)),
        receiver_(who.subject, "receive", {fmt::format("size={}", size), fmt::format("vector={}", vector)},
                  {where.subject}, board_),
        sender_(sender_for(who.subject), "send",
                {fmt::format("size={}", size), fmt::format("vector={}", vector),
                 fmt::format("to={}", receiver_.ports()[0])},
                {where.harness}, board_) {}

  window run(std::chrono::nanoseconds span) override {
    window w;
    const bookkeeper books(receiver_.ports(), receiver_, &sender_);
    const auto wanted = static_cast<double>(span.count()) / expected_ns_;
    const std::uint64_t count = std::max<std::uint64_t>(static_cast<std::uint64_t>(wanted) / chunk_, 4) * chunk_;
    board_->words().consumed.store(0);
    receiver_.tell(fmt::format("consume {} {}", count, chunk_));
    sender_.tell(fmt::format("produce {} {} {}", count, chunk_, chunks_in_flight * chunk_));
    const answer got = receiver_.await();
    sender_.await();
    w.loss = {.sent = count, .received = got.datagrams, .dropped = 0, .bad = got.bad};
    w.loss.bad += mismatch(sent_, count, got.sequence_sum);
    w.buffers = got.buffers;
    w.allocations = got.allocations;  // of both ends: they share the counter
    sent_ += count;
    books.close(w);
    w.value = expected_ns_ = static_cast<double>(got.ns) / static_cast<double>(count);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&receiver_, &sender_}; }

 private:
  std::uint64_t chunk_;
  std::shared_ptr<board_memory> board_ = std::make_shared<board_memory>();
  subject_process receiver_;
  subject_process sender_;
  std::uint64_t sent_ = 0;
  double expected_ns_ = 5000;  // a guess for the first window, which is short and only warms up
};

class stream_contest : public contest {
 public:
  stream_contest(std::size_t size, const placement& where) : size_(size), where_(where) {}

  std::string name() const override { return fmt::format("stream-{}", size_); }
  std::string unit() const override { return "ns/datagram"; }

  std::vector<entrant> entrants() const override {
    std::vector<entrant> all{{.subject = "raw recvmmsg"},
                             {.subject = "raw gro", .vectors = {static_cast<unsigned>(longest_train(size_))}},
                             {.subject = "uring6 read_from"},
                             {.subject = "uring6 receive"},
                             {.subject = "asio epoll"},
                             {.subject = "asio io_uring"},
                             {.subject = "libuv"},
                             {.subject = "go ReadFrom"},
                             {.subject = "go ReadBatch"}};
    for (entrant& who : all) {
      const std::string sender = sender_for(who.subject);
      if (sender != who.subject) who.note = fmt::format("sent by {}", sender);
    }
    return all;
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<stream_lane>(who, vector, size_, where_);
  }

 private:
  std::size_t size_;
  placement where_;
};

}  // namespace

void add_streams(contests& all, const placement& where) {
  for (const std::size_t size : {64, 1200}) all.push_back(std::make_unique<stream_contest>(size, where));
}

}  // namespace bench
