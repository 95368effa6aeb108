// A TCP server that sends each line back, and closes a connection that is silent for too long, or that reads nothing
// for so long. A line has 4096 octets at most. SIGTERM ends it when the connections have ended, or after five seconds.
//
//     idle_lines [::]:7777 30        (seconds)
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace u6 = uring6;
using namespace std::chrono_literals;

/// Whole lines go back as they came; what is behind the last one waits at the beginning of the buffer.
u6::task<> talk(u6::tcp_conn peer, std::chrono::seconds idle) {
  std::array<std::byte, 4096> buffer;
  const std::span all(buffer);
  std::size_t kept = 0;
  for (;;) {
    // A deadline for the next octets, and one for the answer: a peer that does not read holds nothing for ever.
    const auto got = co_await u6::with_timeout(idle, peer.read(all.subspan(kept)));
    if (!got || *got == 0) break;
    kept += *got;
    std::size_t lines = kept;
    while (lines > 0 && buffer[lines - 1] != std::byte{'\n'}) --lines;
    if (lines == 0 && kept == buffer.size()) break;  // longer than a line may be
    if (lines == 0) continue;
    const auto sent = co_await u6::with_timeout(idle, peer.write(all.first(lines)));
    if (!sent) break;
    kept -= lines;
    std::memmove(buffer.data(), buffer.data() + lines, kept);
  }
}

u6::task<> accept(u6::tcp_listener& listener, u6::scope& connections, std::chrono::seconds idle) {
  for (;;) {
    auto next = co_await listener.accept();
    if (!next && u6::is_transient(next.error())) continue;
    if (!next) co_return;
    connections.spawn(talk(std::move(*next), idle));
  }
}

u6::task<> stop_later(u6::scope& connections) {
  const auto slept = co_await u6::sleep_for(5s);
  if (slept) connections.request_stop();
}

u6::task<> run(u6::tcp_listener& listener, u6::signals& end, std::chrono::seconds idle) {
  u6::scope connections;
  u6::scope helpers;
  helpers.spawn(accept(listener, connections, idle));
  (void)co_await end.next();
  u6::or_throw(listener.close());  // ends the accept
  helpers.spawn(stop_later(connections));
  co_await connections.join();
  helpers.request_stop();
  co_await helpers.join();
}

int main(int argc, char** argv) try {
  u6::event_loop loop;
  u6::signals end(loop, {SIGTERM, SIGINT});
  auto listener = u6::or_throw(u6::listen_tcp(loop, "tcp", argc > 1 ? argv[1] : "[::]:7777"));
  const std::chrono::seconds idle(argc > 2 ? std::atoi(argv[2]) : 30);
  loop.run(run(listener, end, idle));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "idle_lines: {}\n", failed.what());
  return 1;
}
