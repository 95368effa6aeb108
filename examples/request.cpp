// Asks by UDP, and asks again twice as late each time, because a datagram may be lost.
//
//     request [::1]:7777 "are you there?"
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace u6 = uring6;
using namespace std::chrono_literals;

u6::task<u6::result<std::string>> ask(u6::packet_conn pc, std::string_view question) {
  std::array<std::byte, 2048> buffer;
  for (auto patience = 250ms; patience < 4s; patience *= 2) {
    (void)co_await pc.write(question);
    const auto got = co_await u6::with_timeout(patience, pc.read_from(buffer));
    if (got) co_return std::string(reinterpret_cast<const char*>(got->payload.data()), got->payload.size());
    if (got.error() == u6::errc::deadline_exceeded) continue;
    if (!u6::is_transient(got.error())) co_return u6::fail(got);
    (void)co_await u6::sleep_for(patience);  // refused: the server may be about to start
  }
  co_return u6::fail(u6::errc::deadline_exceeded);
}

int main(int argc, char** argv) try {
  if (argc < 3) return 2;
  u6::event_loop loop;
  auto pc = u6::or_throw(u6::dial_packet(loop, "udp6", argv[1]));
  fmt::print("{}\n", u6::or_throw(loop.run(ask(std::move(pc), argv[2])), argv[1]));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "request: {}\n", failed.what());
  return 1;
}
