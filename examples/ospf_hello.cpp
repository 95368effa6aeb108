// Advertises this host by OSPF for IPv6 hello packets (RFC 5340, A.3.2). Go: ExamplePacketConn_advertisingOSPFHello.
//
//     ospf_hello INTERFACE [SECONDS]      every 10 seconds by default, 1 to 16383; CAP_NET_RAW
#include <fmt/core.h>

#include <array>
#include <cstdlib>
#include <uring6/uring6.hpp>

namespace u6 = uring6;

u6::task<> advertise(u6::packet_conn& pc, const u6::interface& link, const u6::ip_address& routers,
                     std::chrono::seconds every) {
  // Version 3, hello, 36 octets, router 192.0.2.1, area 0; then interface, priority, options, intervals, no designated
  // routers. The list of neighbors is empty, because the program receives no hello.
  std::array<std::uint8_t, 36> hello{3, 1, 0, 36, 192, 0, 2, 1};
  const auto put = [&](std::size_t at, auto value) {
    hello[at] = static_cast<std::uint8_t>(value >> 8 & 0xff);
    hello[at + 1] = static_cast<std::uint8_t>(value & 0xff);
  };
  put(16, link.index >> 16);
  put(18, link.index);
  hello[20] = 1;               // priority
  hello[23] = 0x13;            // V6, E, R
  put(24, every.count());      // hello interval, seconds
  put(26, 4 * every.count());  // router dead interval, seconds
  const u6::control_message control{.traffic_class = 0xc0, .hop_limit = 1, .interface_index = link.index};  // CS6
  const u6::endpoint to{routers, 0};
  for (;;) {
    const auto sent = co_await pc.write_to(std::as_bytes(std::span(hello)), control, to);
    if (!sent) fmt::print(stderr, "ospf_hello: {}\n", sent.error().message());
    const auto slept = co_await u6::sleep_for(every);
    if (!slept) co_return;
  }
}

int main(int argc, char** argv) try {
  if (argc < 2) return EXIT_FAILURE;
  const std::chrono::seconds every(argc > 2 ? std::atoi(argv[2]) : 10);
  // The router dead interval is four times as long, and has 16 bits.
  if (every < std::chrono::seconds(1) || every > std::chrono::seconds(0xffff / 4)) {
    fmt::print(stderr, "ospf_hello: {}: the interval is 1 to {} seconds\n", argv[2], 0xffff / 4);
    return EXIT_FAILURE;
  }
  u6::event_loop loop;
  const u6::interface link = u6::or_throw(u6::interface::by_name(argv[1]));
  const u6::ip_address routers = u6::or_throw(u6::ip_address::parse("ff02::5"));
  auto pc = u6::or_throw(u6::listen_packet(loop, "ip6:ospf", "::"));
  u6::or_throw(pc.join_group(link, routers));
  u6::or_throw(pc.set_checksum(12));  // the kernel computes it
  loop.run(advertise(pc, link, routers, every));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "ospf_hello: {}\n", failed.what());
  return EXIT_FAILURE;
}
