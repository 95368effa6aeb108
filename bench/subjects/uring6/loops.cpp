// Several conns, read by one loop, or by a loop for each of them on a processor of its own.
#include "subjects/threads.hpp"
#include "subjects/uring6/conn_subject.hpp"
#include "subjects/uring6/receive.hpp"

namespace bench::u6 {
namespace {

/// A loop and its conns; created and used on one thread.
class loop_with_conns {
 public:
  loop_with_conns(const settings& s, std::size_t conns) {
    for (std::size_t i = 0; i < conns; ++i) {
      conns_.push_back({open_conn(loop_), {}});
      if (s.control) uring6::or_throw(conns_.back().conn.set_control_message(all_flags, true));
    }
  }

  /// Runs until every conn has read `share` datagrams.
  void run_until(std::uint64_t share) { loop_.run(drain(share)); }

  void add_to(std::vector<std::uint16_t>& ports) const {
    for (const auto& each : conns_) ports.push_back(uring6::or_throw(each.conn.local_endpoint()).port);
  }

  void add_to(tally& sum) const {
    for (const auto& each : conns_) sum += each.seen;
  }

 private:
  struct counted_conn {
    uring6::packet_conn conn;
    tally seen;
  };

  uring6::task<> drain(std::uint64_t share) {
    uring6::datagram_batch batch;
    for (auto& [conn, seen] : conns_) {
      while (seen.datagrams < share) {
        uring6::or_throw(co_await conn.receive(batch));
        for (const uring6::datagram& each : batch) {
          seen.controls += as_sent(each.control) ? 1 : 0;
          seen.take(each.payload.data(), each.payload.size());
        }
      }
      seen.buffers = conn.stats().received_buffers;
    }
  }

  uring6::event_loop loop_;
  std::vector<counted_conn> conns_;
};

class looped_receiver : public subject {
 public:
  looped_receiver(const settings& s, std::size_t loops) : loops_(loops), conns_(s.sockets), threads_(loops) {
    threads_.run([&](std::size_t i) { loops_[i] = std::make_unique<loop_with_conns>(s, conns_ / loops_.size()); });
  }

  ~looped_receiver() override {
    threads_.run([&](std::size_t i) { loops_[i].reset(); });
  }

  std::vector<std::uint16_t> ports() const override {
    std::vector<std::uint16_t> ports;
    for (const auto& loop : loops_) loop->add_to(ports);
    return ports;
  }

  /// Every conn gets an equal share.
  void run_until(std::uint64_t total) override {
    threads_.run([&](std::size_t i) { loops_[i]->run_until(total / conns_); });
    seen_ = {};
    for (const auto& loop : loops_) loop->add_to(seen_);
  }

 private:
  std::vector<std::unique_ptr<loop_with_conns>> loops_;
  std::size_t conns_;
  pinned_threads threads_;
};

}  // namespace

std::unique_ptr<subject> receive_by_one_loop(const settings& s) {
  return std::make_unique<looped_receiver>(s, 1);
}
std::unique_ptr<subject> receive_by_two_loops(const settings& s) {
  return std::make_unique<looped_receiver>(s, 2);
}

}  // namespace bench::u6
