// A TCP server of lines: sends each line back in capitals. SIGTERM ends it, and all connections.
//
//     lines [::]:7777
#include <uring6/uring6.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <string>

namespace u6 = uring6;

u6::task<> talk(u6::tcp_conn peer) {
  std::array<std::byte, 4096> buffer;
  for (std::string text;;) {
    const auto count = co_await peer.read(buffer);
    if (!count || *count == 0) co_return;
    text.append(reinterpret_cast<const char*>(buffer.data()), *count);
    const std::size_t end = text.rfind('\n') + 1;
    std::string lines = text.substr(0, end);
    text.erase(0, end);
    std::ranges::transform(lines, lines.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const auto sent = co_await peer.write(lines);
    if (!sent) co_return;
  }
}

u6::task<> serve(u6::tcp_listener listener, u6::signals end) {
  u6::scope peers;
  for (;;) {
    auto first = co_await u6::when_any(listener.accept(), end.next());
    if (first.index == 1) break;
    auto& peer = std::get<0>(first.value);
    if (peer) peers.spawn(talk(std::move(*peer)));
    if (!peer && !u6::is_transient(peer.error())) break;
  }
  peers.request_stop();
  co_await peers.join();
}

int main(int argc, char** argv) try {
  u6::event_loop loop;
  auto listener = u6::or_throw(u6::listen_tcp(loop, "tcp", argc > 1 ? argv[1] : "[::]:7777"));
  loop.run(serve(std::move(listener), u6::signals(loop, {SIGTERM, SIGINT})));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "lines: {}\n", failed.what());
  return 1;
}
