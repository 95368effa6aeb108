// Four echo requests (RFC 4443), a second apart, without a privilege (net.ipv4.ping_group_range).
//
//     ping ::1
#include <uring6/icmp.hpp>
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <span>
#include <variant>

namespace u6 = uring6;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

/// The reply with this number; older ones come late and are passed over.
u6::task<u6::result<u6::datagram>> reply(u6::packet_conn& pc, std::span<std::byte> buffer, std::uint16_t number) {
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got) co_return got;
    const auto message = u6::icmp::parse(got->payload);
    const auto* echo = message ? std::get_if<u6::icmp::echo_reply>(&message->body) : nullptr;
    if (echo && echo->sequence == number) co_return got;
  }
}

u6::task<> ping(u6::packet_conn pc) {
  std::array<std::byte, 256> buffer;
  u6::interval every(1s);
  for (std::uint16_t number = 0; number < 4; ++number) {
    const auto began = clock_type::now();
    const auto size = u6::icmp::encode(u6::icmp::echo_request{.sequence = number}, buffer);
    (void)co_await pc.write(std::span(buffer).first(*size));
    const auto got = co_await u6::with_timeout(1s, reply(pc, buffer, number));
    const std::chrono::duration<double, std::milli> took = clock_type::now() - began;
    if (got)
      fmt::print("{} octets from {}: number {}, {:.3f} ms\n", got->payload.size(), got->source, number, took.count());
    if (!got) fmt::print("number {}: {}\n", number, got.error().message());
    if (number < 3) (void)co_await every.tick();
  }
}

int main(int argc, char** argv) try {
  if (argc < 2) return 2;
  u6::event_loop loop;
  loop.run(ping(u6::or_throw(u6::dial_packet(loop, "icmp6", argv[1]))));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "ping: {}\n", failed.what());
  return 1;
}
