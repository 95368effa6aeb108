// Answers datagrams on two loops. SIGTERM ends it: it leaves the port, answers what has arrived, and ends.
#include <fmt/core.h>
#include <uring6/uring6.hpp>

#include <array>
#include <csignal>

namespace u6 = uring6;
using namespace std::chrono_literals;

namespace {

u6::task<> answer(u6::packet_conn& pc) {
  std::array<std::byte, 2048> buffer;
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;
    (void)co_await pc.write_to(got->payload, got->control.reply(), got->source);
  }
}

u6::task<> serve(u6::packet_conn pc) {
  u6::or_throw(pc.set_control_message(u6::control_flags::destination, true));
  co_await u6::drain_on_stop(pc, 5s, answer(pc));
}

u6::task<> until_signal(u6::signals& stops) {
  (void)co_await stops.next();
}

}  // namespace

int main(int, char** arguments) {
  u6::event_loop loop;
  u6::signals stops(loop, {SIGINT, SIGTERM});
  u6::loop_group group({.loops = 2, .pin = false});
  u6::or_throw(u6::listen_group(group, "udp6", arguments[1], serve));
  loop.run(until_signal(stops));
  return group.drain(10s) ? 0 : 1;
}
