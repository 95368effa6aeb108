#include "sys/socket/socket.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>

#include "support/machine/environment.hpp"

namespace {

using namespace uring6;

file_descriptor open_udp() {
  return or_throw(open_socket(AF_INET6, SOCK_DGRAM));
}

TEST_CASE("a socket is closed on exec and blocks") {
  test::need_ipv6();
  const file_descriptor fd = open_udp();
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("a socket of an unknown kind is the kernel's error") {
  test::need_ipv6();
  CHECK(open_socket(AF_INET6, SOCK_STREAM, IPPROTO_UDP).error() == std::errc::protocol_not_supported);
}

TEST_CASE("both ends of a connected socket have names") {
  test::need_ipv6();
  const file_descriptor server = open_udp();
  REQUIRE(bind_socket(server.get(), {ip_address::loopback(), 0}));
  const endpoint name = or_throw(local_endpoint(server.get()));
  CHECK(name.address == ip_address::loopback());
  CHECK(name.port != 0);
  CHECK(peer_endpoint(server.get()).error() == std::errc::not_connected);

  const file_descriptor client = open_udp();
  REQUIRE(connect_socket(client.get(), name));
  CHECK(peer_endpoint(client.get()) == name);
  CHECK(local_endpoint(client.get())->address == ip_address::loopback());
}

TEST_CASE("an IPv4 socket's name is v4-mapped") {
  const file_descriptor fd = or_throw(open_socket(AF_INET, SOCK_DGRAM));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr = {htonl(INADDR_LOOPBACK)};
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  const endpoint local = or_throw(local_endpoint(fd.get()));
  CHECK(local.address == ip_address::v4_mapped({127, 0, 0, 1}));
  CHECK(local.port != 0);
}

TEST_CASE("a name of another family is an error") {
  const file_descriptor fd = or_throw(open_socket(AF_UNIX, SOCK_DGRAM));
  CHECK(local_endpoint(fd.get()).error() == std::errc::address_family_not_supported);
}

TEST_CASE("an impossible bind is an error") {
  test::need_ipv6();
  const file_descriptor first = open_udp();
  REQUIRE(bind_socket(first.get(), {ip_address::loopback(), 0}));
  const endpoint taken = or_throw(local_endpoint(first.get()));

  const file_descriptor second = open_udp();
  CHECK(bind_socket(second.get(), taken).error() == std::errc::address_in_use);
  const ip_address link_local({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  CHECK(bind_socket(second.get(), {link_local, 0}).error() == std::errc::invalid_argument);
  CHECK(bind_socket(second.get(), {link_local.with_zone(0x7fffffff), 0}).error() == errc::unknown_zone);
  const ip_address foreign({0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  CHECK(bind_socket(second.get(), {foreign, 0}).error() == std::errc::address_not_available);
  CHECK(connect_socket(second.get(), {link_local.with_zone(0x7fffffff), 9}).error() == errc::unknown_zone);
  CHECK(bind_socket(-1, {}).error() == std::errc::bad_file_descriptor);
}

}  // namespace
