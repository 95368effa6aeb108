// A sink of syslog messages (RFC 5424, RFC 5426): a socket for each address, a line for each message, with its
// facility, its severity and its sender. SIGTERM ends it: it takes what has arrived, and the last line says what was
// received, and what the kernel had to drop.
//
//     syslog_sink [::]:7777 ...        logger --udp --server ::1 --port 7777 hello
#include <uring6/uring6.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace u6 = uring6;

constexpr std::array severities{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"};
constexpr unsigned highest_priority = 23 * 8 + 7;

struct message {
  unsigned priority = 0;  ///< facility * 8 + severity
  std::string_view text;  ///< all behind the priority: the version, the time, names, the words
};

/// nullopt: no message begins so. "<34>1 2026-11-30T12:00:00Z host program - - - words"
std::optional<message> parse(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\0')) line.remove_suffix(1);
  message found;
  const std::size_t close = line.substr(0, 5).find('>');
  if (!line.starts_with('<') || close == line.npos) return std::nullopt;
  const char* const end = line.data() + close;
  const auto [stopped, error] = std::from_chars(line.data() + 1, end, found.priority);
  if (error != std::errc() || stopped != end || found.priority > highest_priority) return std::nullopt;
  found.text = line.substr(close + 1);
  return found;
}

u6::task<> receive(u6::packet_conn& pc) {
  u6::datagram_batch batch;
  for (;;) {
    const auto count = co_await pc.receive(batch);
    if (!count && u6::is_transient(count.error())) continue;
    if (!count) co_return;
    for (const u6::datagram& each : batch) {
      const std::string_view line(reinterpret_cast<const char*>(each.payload.data()), each.payload.size());
      if (const auto found = parse(line)) {
        fmt::print("{} {}.{} {}\n", each.source.address, found->priority / 8, severities[found->priority % 8],
                   found->text);
      } else {
        fmt::print("{} malformed: {} octets\n", each.source.address, line.size());
      }
    }
    std::fflush(stdout);
  }
}

u6::task<> run(std::vector<u6::packet_conn>& sockets, u6::signals& end) {
  u6::scope receivers;
  for (auto& each : sockets) receivers.spawn(u6::drain_on_stop(each, std::chrono::seconds(2), receive(each)));
  (void)co_await end.next();
  receivers.request_stop();
  co_await receivers.join();
}

int main(int argc, char** argv) try {
  u6::event_loop loop;
  u6::signals end(loop, {SIGTERM, SIGINT});
  std::vector<u6::packet_conn> sockets;
  for (int i = 1; i < argc; ++i) sockets.push_back(u6::or_throw(u6::listen_packet(loop, "udp6", argv[i])));
  if (sockets.empty()) sockets.push_back(u6::or_throw(u6::listen_packet(loop, "udp6", "[::]:514")));
  loop.run(run(sockets, end));
  std::uint64_t received = 0;
  std::uint64_t dropped = 0;
  for (const auto& each : sockets) {
    received += each.stats().received_datagrams;
    dropped += each.stats().kernel_drops;
  }
  fmt::print("{} messages, {} drops of {} sockets\n", received, dropped, sockets.size());
} catch (const std::system_error& failed) {
  fmt::print(stderr, "syslog_sink: {}\n", failed.what());
  return 1;
}
