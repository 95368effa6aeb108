// A TCP server that marks every connection AF11 (RFC 2597) and greets it. Go: ExampleConn_markingTCP.
//
//     mark_tcp      at [::]:1024; a peer that speaks IPv4 is marked by the options of IPv4
#include <uring6/uring6.hpp>

uring6::task<> greet(uring6::tcp_conn peer) {
  uring6::or_throw(uring6::ip_options(peer).set_traffic_class(0x28));  // DSCP AF11
  uring6::or_throw(uring6::ip_options(peer).set_hop_limit(128));
  (void)co_await peer.write("HELLO-R-U-THERE-ACK");  // a visitor that has gone needs no handling
}

uring6::task<> serve(uring6::tcp_listener listener) {
  uring6::scope visitors;
  for (;;) {
    auto peer = co_await listener.accept();
    if (!peer && uring6::is_transient(peer.error())) continue;  // too many open descriptors, a visitor that has gone
    if (!peer) break;
    visitors.spawn(greet(std::move(*peer)));
  }
  co_await visitors.join();
}

int main() {
  uring6::event_loop loop;
  loop.run(serve(uring6::or_throw(uring6::listen_tcp(loop, "tcp", "[::]:1024"))));
}
