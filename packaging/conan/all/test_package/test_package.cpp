// A datagram from a conn to itself.
#include <uring6/uring6.hpp>

#include <array>
#include <cstdio>

namespace u6 = uring6;

u6::task<int> greet_oneself(u6::packet_conn& pc) {
  std::array<std::byte, 64> buffer;
  u6::or_throw(co_await pc.write_to("hello", u6::or_throw(pc.local_endpoint())));
  const auto got = co_await pc.read_from(buffer);
  co_return got && got->payload.size() == 5 ? 0 : 1;
}

int main() {
  u6::event_loop loop;
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", "[::1]:0"));
  const int status = loop.run(greet_oneself(pc));
  std::printf("uring6 %s: %s\n", URING6_VERSION_STRING, status == 0 ? "works" : "does not work");
  return status;
}
