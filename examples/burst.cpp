// Sends a burst as QUIC does: packets of 1,200 octets marked ECT(0), in one call, and counts the marks of the echoes.
//
//     burst [::1]:7777
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <vector>

namespace u6 = uring6;
using namespace std::chrono_literals;

u6::task<> burst(u6::packet_conn pc) {
  const std::vector<std::byte> packet(1200);
  std::array<u6::write_slot, 32> packets;
  for (auto& each : packets) {
    each.payload = packet;
    each.control.set_ecn(2);
  }
  const auto sent = co_await pc.write_batch(packets);
  std::size_t received = 0;
  std::array<int, 4> marks{};
  for (std::vector<std::byte> buffer(1500); received < packets.size();) {
    const auto got = co_await u6::with_timeout(1s, pc.read_from(buffer));
    if (!got) break;
    ++received;
    ++marks[static_cast<std::size_t>(got->control.ecn().value_or(0))];
  }
  fmt::print("sent {}, received {}: {} ECT(0), {} CE\n", sent.value_or(0), received, marks[2], marks[3]);
}

int main(int argc, char** argv) try {
  if (argc < 2) return 2;
  u6::event_loop loop;
  auto pc = u6::or_throw(u6::dial_packet(loop, "udp6", argv[1]));
  u6::or_throw(pc.set_control_message(u6::control_flags::traffic_class, true));
  loop.run(burst(std::move(pc)));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "burst: {}\n", failed.what());
  return 1;
}
