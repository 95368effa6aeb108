// An NTP server that gives this host's clock to hosts that have none (RFC 5905, RFC 8633). The time at which a request
// arrived is the kernel's, so that it does not matter how long the program took to wake up.
//
// SIGTERM ends it: the requests that have arrived are answered first.
//
//     ntp_server [::]:7777        chronyd -Q 'server ::1 port 7777 iburst'
#include <uring6/uring6.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <span>

namespace u6 = uring6;

using time_point = std::chrono::sys_time<std::chrono::nanoseconds>;
using packet = std::array<std::byte, 48>;

time_point now() {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

/// NTP's time: seconds since 1900 and their fraction, 32 bits each. It begins anew in 2036; a client that is less than
/// 68 years off knows which time is meant.
std::uint64_t ntp_time(time_point when) {
  constexpr std::int64_t from_1900_to_1970 = 2'208'988'800;  // s
  const auto seconds = std::chrono::floor<std::chrono::seconds>(when);
  const auto whole = static_cast<std::uint64_t>(seconds.time_since_epoch().count() + from_1900_to_1970);
  const auto fraction = (static_cast<std::uint64_t>((when - seconds).count()) << 32) / 1'000'000'000;
  return whole << 32 | fraction;
}

/// Writes the lowest octets of a value, the highest first.
void put(std::span<std::byte> into, std::uint64_t value) {
  for (std::size_t i = into.size(); i-- > 0; value >>= 8) into[i] = static_cast<std::byte>(value & 0xff);
}

/// The answer without the time at which it leaves; nullopt: the datagram is no request of a client. An answer to an
/// answer would let two servers talk to each other for ever.
std::optional<packet> answer_to(const u6::datagram& request) {
  const auto& asked = request.payload;
  if (asked.size() < packet().size()) return std::nullopt;
  const int version = std::to_integer<int>(asked[0]) >> 3 & 7;
  const int mode = std::to_integer<int>(asked[0]) & 7;
  if (version < 3 || version > 4 || mode != 3) return std::nullopt;

  packet answer{};
  const std::span<std::byte> fields(answer);
  answer[0] = static_cast<std::byte>(version << 3 | 4);  // no leap second is announced; the mode of a server
  answer[1] = std::byte{10};                             // the stratum of a clock that no other server leads
  answer[2] = asked[2];                                  // the client's interval of requests
  answer[3] = std::byte{0xec};                           // precision: 2^-20 s, a microsecond
  put(fields.subspan(8, 4), 0x10000 / 100);              // dispersion: the clock may be 10 ms off
  put(fields.subspan(12, 4), 0x7f7f0101);                // 127.127.1.1: a local clock
  const time_point arrived = request.control.received_at.value_or(now());
  put(fields.subspan(16, 8), ntp_time(arrived));  // when the clock was last set: it is the reference itself
  std::ranges::copy(asked.subspan(40, 8), answer.begin() + 24);
  put(fields.subspan(32, 8), ntp_time(arrived));
  return answer;
}

u6::task<> serve(u6::packet_conn& pc) {
  std::array<std::byte, 1024> buffer;  // extension fields and authentication stand behind the 48 octets
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;
    auto answer = answer_to(*got);
    if (!answer) continue;
    put(std::span(*answer).subspan(40, 8), ntp_time(now()));
    (void)co_await pc.write_to(*answer, got->control.reply(), got->source);  // the client asks again
  }
}

u6::task<> until(u6::signals& end, u6::packet_conn& pc) {
  (void)co_await u6::when_any(end.next(), u6::drain_on_stop(pc, std::chrono::seconds(2), serve(pc)));
}

int main(int argc, char** argv) try {
  u6::event_loop loop;
  u6::signals end(loop, {SIGTERM, SIGINT});
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", argc > 1 ? argv[1] : "[::]:123"));
  using flags = u6::control_flags;
  u6::or_throw(pc.set_control_message(flags::timestamp | flags::destination | flags::interface, true));
  loop.run(until(end, pc));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "ntp_server: {}\n", failed.what());
  return 1;
}
