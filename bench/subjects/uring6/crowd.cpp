// Many connected conns in one loop, each owned by a coroutine that waits in `receive` all the time.
#include <coroutine>
#include <cstring>

#include "common/addresses.hpp"
#include "subjects/uring6/conn_subject.hpp"
#include "subjects/uring6/receive.hpp"

namespace bench::u6 {
namespace {

uring6::ip_address address_of_conn(std::uint32_t number) {
  const in6_addr address = address_of(number);
  uring6::ip_address::bytes_type bytes{};
  std::memcpy(bytes.data(), &address, sizeof address);
  return uring6::ip_address(bytes);
}

/// Suspends one coroutine until the readers have counted far enough.
class milestone {
 public:
  auto reached() noexcept {
    struct awaiter {
      milestone& at;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiting, const uring6::environment&) const noexcept {
        at.waiting_ = waiting;
      }
      void await_resume() const noexcept {}
    };
    return awaiter{*this};
  }

  void reach() {
    if (waiting_) std::exchange(waiting_, nullptr).resume();
  }

 private:
  std::coroutine_handle<> waiting_;
};

class crowd : public subject {
 public:
  explicit crowd(const settings& s) {
    const uring6::endpoint peer = loopback_endpoint(s.to.at(0));
    conns_.reserve(s.sockets);
    for (unsigned i = 0; i < s.sockets; ++i) {
      uring6::packet_options options;
      if (s.spread) options.local = {.address = address_of_conn(i)};
      conns_.push_back(uring6::or_throw(uring6::dial_packet(loop_, "udp6", peer, options)));
      if (s.control) uring6::or_throw(conns_.back().set_control_message(all_flags, true));
      widen_buffers(conns_.back().native_handle());
      ports_.push_back(uring6::or_throw(conns_.back().local_endpoint()).port);
    }
  }

  void start_readers() override {
    for (uring6::packet_conn& conn : conns_) readers_.spawn(read(std::move(conn)));
    loop_.run(one_turn());  // all readers wait now, as they do between two datagrams
  }

  std::vector<std::uint16_t> ports() const override { return ports_; }

  void run_until(std::uint64_t total) override {
    total_ = total;
    if (seen_.datagrams < total) loop_.run(wait());
  }

 private:
  uring6::task<> wait() { co_await enough_.reached(); }
  uring6::task<> one_turn() { uring6::or_throw(co_await uring6::sleep_for(std::chrono::milliseconds(1))); }

  uring6::task<> read(uring6::packet_conn conn) {
    uring6::datagram_batch batch;
    for (;;) {
      uring6::or_throw(co_await conn.receive(batch));
      ++seen_.buffers;
      for (const uring6::datagram& each : batch) {
        seen_.controls += as_sent(each.control) ? 1 : 0;
        seen_.take(each.payload.data(), each.payload.size());
      }
      batch.clear();  // ten thousand readers must not keep a buffer each
      if (seen_.datagrams >= total_) enough_.reach();
    }
  }

  uring6::event_loop loop_;
  std::uint64_t total_ = 0;
  milestone enough_;
  std::vector<uring6::packet_conn> conns_;  // until the readers take them
  std::vector<std::uint16_t> ports_;
  uring6::scope readers_{loop_};
};

}  // namespace

std::unique_ptr<subject> receive_in_a_crowd(const settings& s) {
  return make<crowd>(s);
}

}  // namespace bench::u6
