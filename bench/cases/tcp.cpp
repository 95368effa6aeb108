// tcp-echo-1, tcp-echo-64, tcp-stream and tcp-churn: a TCP echo server on the other processor, which sends back what it
// reads. The clients check every echo.
//
// The clients wait for answers without sleeping, so that a latency has the server's wake-ups alone.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/streams.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/stream_clients.hpp"

namespace bench {
namespace {

class tcp_lane : public lane {
 public:
  tcp_lane(const entrant& who, const stream_shape& shape, const placement& where)
      : server_(who.subject, "tcp",
                {fmt::format("size={}", shape.size), fmt::format("once={:d}", shape.connects_each_time)},
                {where.subject}),
        clients_(shape, server_.ports()[0], where.harness != where.subject) {
    server_.tell("serve");
    server_.pause();
  }

  window run(std::chrono::nanoseconds span) override {
    window w;
    w.latencies = std::make_shared<histogram>();
    server_.resume();
    const bookkeeper books({}, server_);  // a stream drops nothing
    const std::uint64_t allocations = server_.shared().allocations.load();
    clients_.run(span, untimed, w.loss, *w.latencies);
    books.close(w);
    w.allocations = server_.shared().allocations.load() - allocations;
    w.value = static_cast<double>(w.subject_cpu_ns) / static_cast<double>(w.loss.received);
    server_.pause();
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&server_}; }

 private:
  /// After a pause the server sleeps and its caches are cold: so many exchanges are no latencies.
  static constexpr std::uint64_t untimed = 200;

  subject_process server_;
  stream_clients clients_;
};

class tcp_contest : public contest {
 public:
  tcp_contest(stream_shape shape, const placement& where) : shape_(std::move(shape)), where_(where) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return "ns of processor time/exchange"; }
  // An exchange takes microseconds: a third of a window has thousands of them.
  std::chrono::milliseconds window_of(std::chrono::milliseconds usual) const override { return usual / 3; }

  std::vector<entrant> entrants() const override {
    std::vector<entrant> all;
    for (const char* subject : {"raw epoll", "uring6 tcp_conn", "uring6 readiness tcp_conn", "asio epoll",
                                "asio io_uring", "libuv", "go net"}) {
      all.push_back({.subject = subject, .vectors = {1}});
    }
    return all;
  }

  std::unique_ptr<lane> open(const entrant& who, unsigned) const override {
    return std::make_unique<tcp_lane>(who, shape_, where_);
  }

 private:
  stream_shape shape_;
  placement where_;
};

}  // namespace

void add_tcp(contests& all, const placement& where) {
  for (const auto& shape :
       {stream_shape{.name = "tcp-echo-1", .connections = 1, .size = 64},
        stream_shape{.name = "tcp-echo-64", .connections = 64, .size = 64},
        stream_shape{.name = "tcp-stream", .connections = 1, .size = longest_message, .in_flight = 4},
        stream_shape{.name = "tcp-churn", .connections = 16, .size = 64, .connects_each_time = true}}) {
    all.push_back(std::make_unique<tcp_contest>(shape, where));
  }
}

}  // namespace bench
