// A subject with one loop and one conn, both with the library's defaults unless the case says otherwise.
#pragma once

#include <array>

#include "common/control.hpp"
#include "common/socket.hpp"
#include "subjects/subject.hpp"
#include "uring6/uring6.hpp"

namespace bench::u6 {

/// Options of the loop: how long it spins for completions before it sleeps.
inline uring6::loop_options loop_for(const settings& s) {
  using namespace std::chrono_literals;
  switch (s.wait) {
    case wait_mode::spin:
      return {.spin = 1s};
    case wait_mode::adaptive:
      return {.spin = 200us};
    case wait_mode::block:
      break;
  }
  return {};
}

constexpr auto all_flags = uring6::control_flags::traffic_class | uring6::control_flags::hop_limit |
                           uring6::control_flags::destination | uring6::control_flags::interface;

inline uring6::endpoint loopback_endpoint(std::uint16_t port) {
  return {.address = uring6::ip_address::loopback(), .port = port};
}

/// A conn on ::1 with the buffers that every subject gets.
inline uring6::packet_conn open_conn(uring6::event_loop& loop, const uring6::packet_options& options = {}) {
  auto conn = uring6::or_throw(uring6::listen_packet(loop, "udp6", "[::1]:0", options));
  widen_buffers(conn.native_handle());
  return conn;
}

inline bool as_sent(const uring6::control_message& cm) noexcept {
  return cm.traffic_class == sent_traffic_class && cm.hop_limit == sent_hop_limit &&
         cm.interface_index == loopback_index && cm.destination == uring6::ip_address::loopback();
}

class conn_subject : public subject {
 public:
  explicit conn_subject(const settings& s, const uring6::packet_options& options = {})
      : loop_(loop_for(s)), conn_(open_conn(loop_, options)) {}

  std::vector<std::uint16_t> ports() const override { return {uring6::or_throw(conn_.local_endpoint()).port}; }

  void run_until(std::uint64_t total) override {
    if (seen_.datagrams < total) loop_.run(work(total));
  }

 protected:
  virtual uring6::task<> work(std::uint64_t total) = 0;

  uring6::event_loop loop_;
  uring6::packet_conn conn_;
};

}  // namespace bench::u6
