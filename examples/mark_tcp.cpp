// A TCP server that marks every connection AF11 (RFC 2597) and greets it. Go: ExampleConn_markingTCP.
//
//     mark_tcp [ADDRESS]      by default [::]:1024
#include <string_view>
#include <uring6/uring6.hpp>

namespace u6 = uring6;

u6::task<> greet(u6::tcp_conn peer) {
  const u6::conn options(peer);
  u6::or_throw(options.set_traffic_class(0x28));  // DSCP AF11
  u6::or_throw(options.set_hop_limit(128));
  co_await peer.write(std::as_bytes(std::span(std::string_view("HELLO-R-U-THERE-ACK"))));
}

u6::task<> serve(u6::tcp_listener& listener) {
  u6::scope visitors;
  while (auto peer = co_await listener.accept()) visitors.spawn(greet(std::move(*peer)));
  co_await visitors.join();
}

int main(int argc, char** argv) {
  u6::event_loop loop;
  auto listener = u6::or_throw(u6::listen_tcp(loop, "tcp", argc > 1 ? argv[1] : "[::]:1024"));
  loop.run(serve(listener));
}
