// The echo on all processors: a loop and a socket on each, the kernel spreads the clients. SIGTERM ends it: what has
// arrived is answered first, within five seconds.
//
//     all_cpus [::]:7777
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <csignal>

namespace u6 = uring6;
using namespace std::chrono_literals;

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
  u6::or_throw(pc.set_control_message(u6::control_flags::destination | u6::control_flags::interface, true));
  co_await u6::drain_on_stop(pc, 5s, answer(pc));
}

int main(int argc, char** argv) try {
  u6::event_loop loop;  // of this thread, which waits for the signal
  u6::signals end(loop, {SIGTERM, SIGINT});
  u6::loop_group group;
  u6::or_throw(u6::listen_group(group, "udp6", argc > 1 ? argv[1] : "[::]:7777", serve));
  loop.run([](u6::signals& of) -> u6::task<> { (void)co_await of.next(); }(end));
  group.drain(5s);
} catch (const std::system_error& failed) {
  fmt::print(stderr, "all_cpus: {}\n", failed.what());
  return 1;
}
