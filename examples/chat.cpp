// A chat without a server: each line of the standard input goes to all hosts of a link that have joined the group, and
// each line of theirs is printed. The own lines come back, too. The end of the input ends it.
//
//     chat eth0 ff02::114 7777 Ada
#include <uring6/uring6.hpp>

#include <array>
#include <string>
#include <string_view>

namespace u6 = uring6;

constexpr std::size_t longest_line = 1000;  // octets: a datagram that no link of IPv6 has to fragment

/// Prints what others say, without characters that would move the cursor or color the terminal.
u6::task<> hear(u6::packet_conn& pc) {
  std::array<std::byte, longest_line + 100> buffer;
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;
    std::string line(reinterpret_cast<const char*>(got->payload.data()), got->payload.size());
    for (char& each : line) {
      if (static_cast<unsigned char>(each) < ' ' || each == 127) each = '?';
    }
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }
}

/// Sends each line of the input. A line that no host hears is no error.
u6::task<> speak(u6::packet_conn& pc, const u6::endpoint& all, std::string_view name) {
  std::array<std::byte, longest_line> buffer;
  for (std::string input;;) {
    const auto count = co_await u6::fd::read(0, buffer);
    if (!count || *count == 0) co_return;
    input.append(reinterpret_cast<const char*>(buffer.data()), *count);
    for (std::size_t end; (end = input.find('\n')) != input.npos; input.erase(0, end + 1)) {
      const std::string said =
          fmt::format("{}: {}", name, std::string_view(input).substr(0, std::min(end, longest_line)));
      const auto sent = co_await pc.write_to(said, all);
      if (!sent) fmt::print(stderr, "chat: {}: {}\n", all, sent.error().message());
    }
    if (input.size() > longest_line) input.clear();
  }
}

u6::task<> run(u6::packet_conn& pc, u6::endpoint all, std::string_view name) {
  u6::scope background;
  background.spawn(hear(pc));
  co_await speak(pc, all, name);
  background.request_stop();
  co_await background.join();
}

int main(int argc, char** argv) try {
  if (argc < 5) return 2;
  u6::event_loop loop;
  const auto link = u6::or_throw(u6::interface::by_name(argv[1]));
  const auto group = u6::or_throw(u6::ip_address::parse(argv[2])).with_zone(link.index);
  const auto port = static_cast<std::uint16_t>(std::stoi(argv[3]));
  // Several chats on one host share the port; each hears the group.
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", u6::endpoint{{}, port}, {.reuse_address = true}));
  u6::or_throw(pc.join_group(link, group));
  u6::or_throw(pc.set_multicast_interface(link));
  loop.run(run(pc, {group, port}, argv[4]));
} catch (const std::exception& failed) {
  fmt::print(stderr, "chat: {}\n", failed.what());
  return 1;
}
