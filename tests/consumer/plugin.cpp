// Like an extension of Python or a module of a server: a library that uses uring6, loaded by a program that does not
// know uring6. Sends a datagram to itself, and makes a blocking call on a thread of run_blocking.
#include <uring6/uring6.hpp>

#include <array>

namespace u6 = uring6;

namespace {

u6::task<int> ask_oneself(u6::packet_conn& pc) {
  const std::array<std::byte, 4> question{};
  std::array<std::byte, 64> buf;
  const auto sent = co_await pc.write_to(question, u6::or_throw(pc.local_endpoint()));
  if (!sent) co_return 1;
  const auto got = co_await pc.read_from(buf);
  if (!got || got->payload.size() != question.size()) co_return 2;
  const auto answer = co_await u6::run_blocking([] { return 42; });
  co_return answer&&* answer == 42 ? 0 : 3;
}

}  // namespace

/// Returns 0, or the number of the step that failed; 77 without io_uring.
extern "C" [[gnu::visibility("default")]] int use_uring6() {
  auto loop = u6::event_loop::create();
  if (!loop) return 77;
  auto pc = u6::listen_packet(*loop, "udp6", "[::1]:0");
  if (!pc) return 4;
  return loop->run(ask_oneself(*pc));
}
