// A service whose loop hangs in a task of its own, for debugger_test.cpp. It is compiled with debug information, and
// with the headers from which the gdb script takes its types, so that the library itself needs none in the tests.
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <cstdio>

#include "net/packet/packet_socket.hpp"
#include "runtime/loop/loop_core.hpp"
#include "runtime/loop/main_task.hpp"

namespace u6 = uring6;
using namespace std::chrono_literals;

// clang writes debug information about types that something uses.
[[gnu::used]] const struct {
  const u6::detail::loop_core* loop = nullptr;
  const u6::detail::main_task* run = nullptr;
  const u6::detail::packet_socket* conn = nullptr;
} types_of_the_library;

u6::task<> serve(u6::packet_conn& pc) {
  std::array<std::byte, 64> buffer;
  (void)co_await pc.read_from(buffer);
}

u6::task<> wait_for_either(u6::packet_conn& pc) {
  (void)co_await u6::with_timeout(1h, serve(pc));
}

u6::task<> hang(volatile bool& for_ever) {
  fmt::print("hangs\n");
  std::fflush(stdout);
  while (for_ever) continue;
  co_return;
}

u6::task<> run(u6::event_loop& loop) {
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", "[::1]:0"));
  volatile bool for_ever = true;
  u6::scope parts;
  parts.spawn(serve(pc));
  parts.spawn(wait_for_either(pc));
  (void)co_await u6::sleep_for(1ms);
  parts.spawn(hang(for_ever));
  co_await parts.join();
}

int main() {
  u6::event_loop loop;
  loop.run(run(loop));
}
