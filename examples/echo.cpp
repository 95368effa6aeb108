// Answers each datagram from the address that it was sent to, so that a client behind several addresses, or a firewall,
// takes the answer for one.
//
//     echo [::]:7777
#include <uring6/uring6.hpp>

#include <array>

namespace u6 = uring6;

u6::task<> serve(u6::packet_conn pc) {
  std::array<std::byte, 2048> buffer;
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;
    (void)co_await pc.write_to(got->payload, got->control.reply(), got->source);  // a lost answer is asked for again
  }
}

int main(int argc, char** argv) try {
  u6::event_loop loop;
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", argc > 1 ? argv[1] : "[::]:7777"));
  u6::or_throw(pc.set_control_message(u6::control_flags::destination | u6::control_flags::interface, true));
  loop.run(serve(std::move(pc)));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "echo: {}\n", failed.what());
  return 1;
}
