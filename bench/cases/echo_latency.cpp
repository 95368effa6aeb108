// echo-block, echo-spin and echo-adaptive: round trips to an echo server on the other processor.
//
// Closed loop: the next request is sent when the last answer has come. Open loop: requests follow a schedule that was
// drawn before the window, late ones are sent all the same, and a latency counts from the scheduled time.
#include <fmt/format.h>

#include <cerrno>
#include <random>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 64;
constexpr std::uint64_t patience_ns = 1'000'000'000;

/// The reference client: a connected socket and plain system calls.
class client {
 public:
  client(std::uint16_t server, bool spins) : socket_(open_socket()), flags_(spins ? MSG_DONTWAIT : 0) {
    const sockaddr_in6 to = loopback(server);
    check(::connect(fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    check(::setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "setsockopt");
    write_pattern(payload_.data(), size);
  }

  void send(std::uint64_t sequence) {
    write_stamp(payload_.data(), size, sequence);
    check(::send(fd(), payload_.data(), size, 0), "send");
  }

  /// Returns the sequence number of the next answer; throws if none comes in time.
  std::uint64_t receive() {
    const std::uint64_t give_up = now_ns() + patience_ns;
    for (std::uint64_t sequence = 0; now_ns() < give_up;) {
      if (poll(sequence)) return sequence;
    }
    throw void_run("an answer did not come");
  }

  /// Whether an answer was there; blocks for one unless the client spins.
  bool poll(std::uint64_t& sequence) {
    const auto got = ::recv(fd(), answer_.data(), answer_.size(), flags_);
    if (got < 0 && errno == EAGAIN) return false;
    check(got, "recv");
    const std::uint64_t sum = seen_.sequence_sum;
    seen_.take(answer_.data(), static_cast<std::size_t>(got));
    sequence = seen_.sequence_sum - sum;
    return true;
  }

  std::uint16_t port() const { return port_of(fd()); }
  const tally& seen() const noexcept { return seen_; }

 private:
  int fd() const noexcept { return socket_.get(); }

  descriptor socket_;
  int flags_;
  std::array<std::byte, size> payload_;
  std::array<std::byte, largest_payload> answer_;
  tally seen_;
};

class echo_lane : public lane {
 public:
  echo_lane(const entrant& who, const std::string& wait, bool client_spins, const placement& where)
      : rate_(who.rate),
        server_(who.subject, "echo", {fmt::format("size={}", size), "vector=1", fmt::format("wait={}", wait)},
                {where.subject}),
        // An open loop spins until its scheduled times, too.
        client_(server_.ports()[0], client_spins || who.rate > 0) {
    server_.tell("serve");
    server_.pause();  // a server that spins would take its processor from the others
  }

  window run(std::chrono::nanoseconds span) override {
    window w;
    server_.resume();
    const bookkeeper books({server_.ports()[0], client_.port()}, server_);
    const std::uint64_t allocations = server_.shared().allocations.load();
    const tally before = client_.seen();
    const std::uint64_t first = sent_;
    for (int i = 0; i < untimed; ++i) round_trip();
    if (rate_ == 0)
      closed_loop(span, w);
    else
      open_loop(span, w);
    const tally& after = client_.seen();
    w.loss = {.sent = sent_ - first,
              .received = after.datagrams - before.datagrams,
              .dropped = 0,
              .bad = after.bad - before.bad};
    w.loss.bad += mismatch(first, sent_ - first, after.sequence_sum - before.sequence_sum);
    books.close(w);
    w.allocations = server_.shared().allocations.load() - allocations;
    w.value = w.latencies->quantile(0.5);
    server_.pause();
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&server_}; }

 private:
  /// After a pause the server sleeps and its caches are cold: these count as datagrams, but not as latencies.
  static constexpr int untimed = 200;

  void round_trip() {
    client_.send(sent_++);
    client_.receive();
  }

  void closed_loop(std::chrono::nanoseconds span, window& w) {
    w.latencies = std::make_shared<histogram>();
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    for (std::uint64_t start = now_ns(); start < end;) {
      round_trip();
      const std::uint64_t now = now_ns();
      w.latencies->record(now - start);
      start = now;
    }
  }

  /// The send times of the requests, in nanoseconds from the beginning.
  std::vector<std::uint64_t> schedule(std::chrono::nanoseconds span) {
    std::exponential_distribution<double> gap(rate_ / 1e9);
    std::vector<std::uint64_t> due;
    for (double at = gap(random_); at < static_cast<double>(span.count()); at += gap(random_)) {
      due.push_back(static_cast<std::uint64_t>(at));
    }
    return due;
  }

  void open_loop(std::chrono::nanoseconds span, window& w) {
    w.latencies = std::make_shared<histogram>();
    w.lateness = std::make_shared<histogram>();
    const std::vector<std::uint64_t> due = schedule(span);
    const std::uint64_t first = sent_;
    const std::uint64_t start = now_ns();
    std::uint64_t last_news = 0;
    for (std::size_t answered = 0; answered < due.size();) {
      std::uint64_t now = now_ns() - start;
      if (const std::size_t next = sent_ - first; next < due.size() && now >= due[next]) {
        w.lateness->record(now - due[next]);
        client_.send(sent_++);
      }
      std::uint64_t sequence = 0;
      const bool came = client_.poll(sequence);
      now = now_ns() - start;
      if (came) {
        last_news = now;
        ++answered;
        if (sequence - first < due.size()) w.latencies->record(now - due[sequence - first]);
      } else if (now > last_news + patience_ns) {
        return;  // the accounts will show the missing datagrams
      }
    }
  }

  double rate_;  // requests a second; 0 for the closed loop
  subject_process server_;
  client client_;
  std::uint64_t sent_ = 0;
  std::mt19937_64 random_{7};
};

struct echo_shape {
  std::string name{};
  std::string wait{};  // of the server under test
  bool client_spins{};
  std::vector<std::string> subjects{};
  std::vector<double> rates{};
  std::string plain{};  // the server in plain C with the same system calls, in the closed loop
};

class echo_contest : public contest {
 public:
  echo_contest(echo_shape shape, const placement& where) : shape_(std::move(shape)), where_(where) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return "ns/round trip, p50"; }

  std::vector<entrant> entrants() const override {
    std::vector<entrant> all{{.subject = shape_.plain, .vectors = {1}, .note = "", .load = load_of(0)}};
    for (const double rate : shape_.rates) {
      for (const auto& subject : shape_.subjects) {
        all.push_back({.subject = subject, .vectors = {1}, .note = "", .load = load_of(rate), .rate = rate});
      }
    }
    return all;
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned) const override {
    // The adaptive server is measured against a blocking one.
    std::string wait = shape_.wait;
    if (wait == "adaptive" && !who.subject.starts_with("uring6")) wait = who.subject == shape_.plain ? "spin" : "block";
    return std::make_unique<echo_lane>(who, wait, shape_.client_spins, where_);
  }

 private:
  static std::string load_of(double rate) { return rate == 0 ? "closed" : fmt::format("open, {:.0f}/s", rate); }

  echo_shape shape_;
  placement where_;
};

}  // namespace

void add_echo_latencies(contests& all, const placement& where) {
  const std::vector<std::string> everybody = {
      "raw echo",      "uring6 echo", "uring6 echo simple", "uring6 readiness echo", "asio epoll",
      "asio io_uring", "libuv",       "go ReadFrom"};
  const std::vector<std::string> spinning = {"raw echo", "uring6 echo"};
  const std::vector<double> closed_and_open = {0, 20'000};
  const std::vector<double> many_rates = {0, 2'000, 20'000, 80'000};
  for (const auto& shape : {echo_shape{"echo-block", "block", false, everybody, closed_and_open, "raw multishot echo"},
                            echo_shape{"echo-spin", "spin", true, spinning, closed_and_open, "raw multishot echo"},
                            echo_shape{"echo-adaptive", "adaptive", true, spinning, many_rates, "raw spinning echo"}}) {
    all.push_back(std::make_unique<echo_contest>(shape, where));
  }
}

}  // namespace bench
