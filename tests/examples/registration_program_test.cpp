// The program examples/registration, as server and as client. registration_test.cpp tests the service itself.
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <string>
#include <string_view>

#include "examples/plain_socket.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::uint16_t registration_port = 4747;

TEST_CASE("registration: the program that serves answers a question from the address that was asked") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  program server({EXAMPLE_REGISTRATION, "serve", "[::]:4747"});
  const file_descriptor client = cable.far.space.run([] { return or_throw(open_socket(AF_INET6, SOCK_DGRAM)); });
  const endpoint asked{cable.near.address, registration_port};
  std::array<char, 64> buffer{};
  ssize_t length = -1;
  sockaddr_in6 name{};
  REQUIRE(eventually([&] {  // the server may not have opened its socket yet
    socklen_t room = sizeof name;
    send_text(client, "register printer 7", asked);
    length =
        ::recvfrom(client.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&name), &room);
    return length > 0;
  }));
  CHECK(std::string_view(buffer.data(), static_cast<std::size_t>(length)) == "ok 7 3600");
  CHECK(endpoint::from_sockaddr(name) == asked);
}

TEST_CASE("registration: the program that keeps a name asks the server, and renews the lease") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const file_descriptor server = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  REQUIRE(bind_socket(server.get(), {cable.near.address, registration_port}));
  program client(
      {EXAMPLE_REGISTRATION, "keep", "printer", endpoint{cable.near.address, registration_port}.to_string()});
  endpoint from;
  std::string question = receive(server, from);
  CHECK(question == "register printer 1");
  while (question == "register printer 1") {  // again, until the answer has arrived
    REQUIRE(send_text(server, "ok 1 1", from));
    question = receive(server, from);
  }
  CHECK(question == "register printer 2");
  client.send_signal(SIGTERM);
  const program_end how = client.wait();
  CHECK(how.signal == SIGTERM);
  CHECK(how.errors.empty());
}

}  // namespace
