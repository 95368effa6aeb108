// Waits for three things at once: a datagram, the next second, and SIGTERM.
//
//     select [::1]:7777
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <csignal>

namespace u6 = uring6;
using namespace std::chrono_literals;

enum class next { datagram, tick, signal };

u6::task<> report(u6::packet_conn pc, u6::signals end) {
  std::array<std::byte, 2048> buffer;
  u6::interval every(1s);
  for (int datagrams = 0;;) {
    auto first = co_await u6::select(u6::on<next::datagram>(pc.read_from(buffer)), u6::on<next::tick>(every.tick()),
                                     u6::on<next::signal>(end.next()));
    switch (first.which()) {
      case next::datagram:
        if (const auto& got = first.get<next::datagram>(); got) {
          ++datagrams;
        } else if (!u6::is_transient(got.error())) {
          co_return;
        }
        break;
      case next::tick:
        fmt::print("{} datagrams so far\n", datagrams);
        std::fflush(stdout);
        break;
      case next::signal:
        fmt::print("{} datagrams\n", datagrams);
        co_return;
    }
  }
}

int main(int argc, char** argv) try {
  u6::event_loop loop;
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", argc > 1 ? argv[1] : "[::1]:7777"));
  loop.run(report(std::move(pc), u6::signals(loop, {SIGTERM, SIGINT})));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "select: {}\n", failed.what());
  return 1;
}
