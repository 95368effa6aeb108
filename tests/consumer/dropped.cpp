// What dropped.sh compiles: compilers warn of each line that ends in "dropped", clang of those that end in "dropped,
// says clang", too, and of no other.
#include <array>
#include <span>
#include <string_view>
#include <uring6/uring6.hpp>

// docs/gcc12.md:
// ## A dropped result is not warned of

using namespace uring6;
using namespace std::chrono_literals;

task<result<int>> number();
task<int> plain_number();

void call(packet_conn& pc, tcp_conn& tcp, event_loop& loop) {
  pc.set_hop_limit(1);                                  // dropped
  pc.path_mtu();                                        // dropped
  pc.set_control_message(control_flags::source, true);  // dropped
  tcp.shutdown(stream_half::write);                     // dropped
  tcp.release();                                        // dropped
  listen_packet(loop, "udp6", "[::]:0");                // dropped
  listen_tcp(loop, "tcp6", "[::]:0");                   // dropped
  interface::by_name("lo");                             // dropped
  endpoint::parse("[::]:0");                            // dropped
  fail(errc::closed);                                   // dropped
  pc.close();
  (void)pc.set_hop_limit(1);
  or_throw(pc.set_hop_limit(1));
}

task<> wait(packet_conn& pc, tcp_conn& tcp, tcp_listener& listener, event_loop& loop, semaphore& places,
            async_mutex& lock) {
  std::array<std::byte, 64> buffer{};
  const endpoint to;
  co_await pc.write_to("text", to);             // dropped, says clang
  co_await pc.write("text");                    // dropped, says clang
  co_await pc.read_from(buffer);                // dropped, says clang
  co_await pc.flush();                          // dropped, says clang
  co_await tcp.read(buffer);                    // dropped, says clang
  co_await tcp.write("text");                   // dropped, says clang
  co_await listener.accept();                   // dropped, says clang
  co_await dial_tcp(loop, "tcp6", to);          // dropped, says clang
  co_await fd::read(0, buffer);                 // dropped, says clang
  co_await fd::poll(0, poll_events::readable);  // dropped, says clang
  co_await places.acquire();                    // dropped, says clang
  co_await lock.lock();                         // dropped, says clang
  co_await number();                            // dropped, says clang
  co_await with_timeout(1s, pc.write("text"));  // dropped, says clang
  co_await plain_number();
  co_await sleep_for(1s);
  (void)co_await pc.write("text");
  if (const auto sent = co_await pc.write("text"); !sent) co_return;
}
