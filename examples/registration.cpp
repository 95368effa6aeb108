// Keeps a name registered at a server, or is that server. registration_test.cpp is its unit test.
//
//     registration serve "[::]:4747"
//     registration keep NAME "[2001:db8::1]:4747"
#include "registration.hpp"

#include <cstdio>
#include <cstdlib>
#include <uring6/format.hpp>

namespace u6 = uring6;

namespace {

u6::task<int> serve(u6::packet_conn& socket) {
  fmt::print("at {}\n", u6::or_throw(socket.local_endpoint()));
  registration::registry names;
  co_await registration::serve(socket, std::chrono::hours(1), names);
  co_return EXIT_FAILURE;
}

u6::task<int> keep(u6::packet_conn& socket, u6::endpoint server, std::string name) {
  registration::status now;
  const std::error_code why = co_await registration::keep(socket, server, name, now);
  fmt::print(stderr, "registration: {}\n", why.message());
  co_return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each line as soon as it is complete
  const std::string_view what = argc > 1 ? argv[1] : "";
  u6::event_loop loop;
  if (what == "serve" && argc == 3) {
    auto socket = u6::or_throw(u6::listen_packet(loop, "udp", argv[2]));
    u6::or_throw(socket.set_control_message(u6::control_flags::destination | u6::control_flags::interface, true));
    return loop.run(serve(socket));
  }
  if (what == "keep" && argc == 4) {
    auto socket = u6::or_throw(u6::listen_packet(loop, "udp", "[::]:0"));
    return loop.run(keep(socket, u6::or_throw(u6::endpoint::parse(argv[3])), argv[2]));
  }
  fmt::print(stderr, "usage: registration serve ADDRESS | keep NAME SERVER\n");
  return EXIT_FAILURE;
}
