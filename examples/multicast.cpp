// Hears a group on one interface, and tells of each datagram how it came.
//
//     multicast eth0 ff02::114 4444
#include <uring6/uring6.hpp>

#include <array>
#include <string>

namespace u6 = uring6;

u6::task<> hear(u6::packet_conn pc) {
  std::array<std::byte, 2048> buffer;
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;
    fmt::print("{} octets from {}: {}\n", got->payload.size(), got->source, got->control);
    std::fflush(stdout);
  }
}

int main(int argc, char** argv) try {
  if (argc < 4) return 2;
  u6::event_loop loop;
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", std::string("[::]:") + argv[3]));
  using told = u6::control_flags;
  u6::or_throw(
      pc.set_control_message(told::destination | told::interface | told::hop_limit | told::traffic_class, true));
  u6::or_throw(
      pc.join_group(u6::or_throw(u6::interface::by_name(argv[1])), u6::or_throw(u6::ip_address::parse(argv[2]))));
  loop.run(hear(std::move(pc)));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "multicast: {}\n", failed.what());
  return 1;
}
