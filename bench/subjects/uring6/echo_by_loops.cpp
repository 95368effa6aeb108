// An echo server of several loops at one port, as a service is written that uses all processors.
#include <unistd.h>

#include "subjects/uring6/conn_subject.hpp"
#include "subjects/uring6/echo.hpp"

namespace bench::u6 {
namespace {

uring6::task<> serve(uring6::packet_conn conn) {
  constexpr auto arrival = uring6::control_flags::destination | uring6::control_flags::interface;
  uring6::or_throw(conn.set_control_message(arrival, true));
  tally seen;
  uring6::datagram_batch batch;
  std::vector<uring6::write_slot> answers;
  for (;;) {
    const auto got = co_await conn.receive(batch);
    if (!got) co_return;
    if (answers.size() < *got) answers.resize(*got);
    std::size_t next = 0;
    for (const uring6::datagram& each : batch) {
      seen.take(each.payload.data(), each.payload.size());
      answers[next++] = {.payload = each.payload, .control = each.control.reply(), .destination = each.source};
    }
    uring6::or_throw(co_await conn.write_batch(std::span(answers).first(*got)));
  }
}

class looped_echo : public subject {
 public:
  explicit looped_echo(const settings& s) : group_({.loops = s.loops}) {
    uring6::listen_group_options options;
    options.packet.control = [](int fd, const uring6::endpoint&) -> std::error_code {
      widen_buffers(fd);
      return {};
    };
    port_ = uring6::or_throw(uring6::listen_group(group_, "udp6", "[::1]:0", serve, options)).port;
  }

  std::vector<std::uint16_t> ports() const override { return {port_}; }

  /// The loops serve on their own threads, from the start until the process is ended.
  void run_until(std::uint64_t) override {
    for (;;) ::pause();
  }

 private:
  uring6::loop_group group_;
  std::uint16_t port_ = 0;
};

}  // namespace

std::unique_ptr<subject> echo_by_loops(const settings& s) {
  return make<looped_echo>(s);
}

}  // namespace bench::u6
