// An echo with metrics for Prometheus, at http://[::1]:9100/metrics. SIGUSR1 prints what each task waits for.
//
//     metrics [::]:7777 [::1]:9100
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <string>

namespace u6 = uring6;
using namespace std::chrono_literals;

u6::task<> echo(u6::packet_conn& pc) {
  std::array<std::byte, 2048> buffer;
  for (;;) {
    auto got = co_await pc.read_from(buffer);
    if (!got && !u6::is_transient(got.error())) co_return;
    if (got) (void)co_await pc.write_to(got->payload, got->control.reply(), got->source);
  }
}

// The answer to every request is the page. A connection carries one request, as in HTTP/1.0.
u6::task<> answer(u6::tcp_conn peer, u6::packet_conn& pc) {
  u6::or_throw(peer.set_deadline(u6::this_task::now() + 5s));
  std::array<std::byte, 4096> request;
  const auto asked = co_await peer.read(request);
  if (!asked) co_return;
  u6::event_loop& loop = co_await u6::this_task::loop();
  u6::metrics_page page;
  page.add(loop, {{"loop", "0"}});
  page.add("uring6_conn", pc.stats(), {{"loop", "0"}, {"conn", "echo"}});
  const std::string text = page.text();
  const std::string head = fmt::format("HTTP/1.0 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
                                       page.content_type(), text.size());
  const auto sent = co_await peer.write(head + text);
  if (!sent) fmt::print(stderr, "metrics: {}\n", sent.error().message());
}

u6::task<> serve(u6::tcp_listener listener, u6::packet_conn& pc) {
  u6::scope peers(co_await u6::this_task::stop_token());
  for (;;) {
    auto peer = co_await listener.accept();
    if (peer) peers.spawn(answer(std::move(*peer), pc));
    if (!peer && !u6::is_transient(peer.error())) break;
  }
  co_await peers.join();
}

u6::task<> run(u6::packet_conn pc, u6::tcp_listener listener, u6::signals end) {
  u6::scope parts;
  parts.spawn(echo(pc));
  parts.spawn(serve(std::move(listener), pc));
  parts.spawn(u6::dump_on(SIGUSR1), [](u6::result<void>) {});
  (void)co_await end.next();
  parts.request_stop();
  co_await parts.join();
}

int main(int argc, char** argv) try {
  u6::event_loop loop({.measure_turns = true});
  u6::signals end(loop, {SIGTERM, SIGINT});
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp", argc > 1 ? argv[1] : "[::]:7777"));
  u6::or_throw(pc.set_control_message(u6::control_flags::destination | u6::control_flags::interface, true));
  auto listener = u6::or_throw(u6::listen_tcp(loop, "tcp", argc > 2 ? argv[2] : "[::1]:9100"));
  loop.run(run(std::move(pc), std::move(listener), std::move(end)));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "metrics: {}\n", failed.what());
  return 1;
}
