// A program against the installed library: a datagram to itself, with its hop limit.
#include <uring6/uring6.hpp>

#include <array>
#include <cstdio>

namespace u6 = uring6;

u6::task<int> ask_oneself(u6::packet_conn& pc) {
  const std::array<std::byte, 4> question{};
  std::array<std::byte, 64> buf;
  const auto sent = co_await pc.write_to(question, {.hop_limit = 7}, u6::or_throw(pc.local_endpoint()));
  if (!sent) co_return 1;
  const auto got = co_await pc.read_from(buf);
  co_return got && got->payload.size() == question.size() && got->control.hop_limit == 7 ? 0 : 1;
}

int main() {
  auto loop = u6::event_loop::create();
  if (!loop) {
    std::printf("there is no io_uring here: %s\n", loop.error().message().c_str());
    return 77;
  }
  auto pc = u6::or_throw(u6::listen_packet(*loop, "udp6", "[::1]:0"));
  u6::or_throw(pc.set_control_message(u6::control_flags::hop_limit, true));
  return loop->run(ask_oneself(pc));
}
