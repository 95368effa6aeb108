#include "sys/socket/socket_options.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "support/machine/environment.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;

enum class kind { udp6, tcp6, udp4 };

file_descriptor open(kind which) {
  switch (which) {
    case kind::udp6:
      return or_throw(open_socket(AF_INET6, SOCK_DGRAM));
    case kind::tcp6:
      return or_throw(open_socket(AF_INET6, SOCK_STREAM));
    case kind::udp4:
      return or_throw(open_socket(AF_INET, SOCK_DGRAM));
  }
  return {};
}

sockaddr_in6 loopback(std::uint16_t port) {
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(port);
  to.sin6_addr = in6addr_loopback;
  return to;
}

sock_filter instruction(int code, std::uint32_t k) {
  return {static_cast<std::uint16_t>(code), 0, 0, k};
}

const sock_filter accept_all = instruction(BPF_RET | BPF_K, 0xffffffff);

struct round_trip {
  kind socket;
  option id;
  std::vector<int> values;
};

std::vector<round_trip> round_trips() {
  const int lo = static_cast<int>(::if_nametoindex("lo"));
  const std::vector<int> off_and_on = {1, 0, 1};
  return {
      {kind::udp6, option::traffic_class, {0, 1, 0x28, 0xb8, 255}},
      {kind::udp6, option::hop_limit, {0, 1, 64, 255}},
      {kind::tcp6, option::hop_limit, {0, 1, 64, 255}},
      {kind::udp6, option::multicast_hop_limit, {0, 1, 255}},
      {kind::udp6, option::multicast_interface, {lo, 0}},
      {kind::udp6, option::multicast_loopback, {0, 1}},
      {kind::udp6, option::unicast_interface, {lo, 0}},
      {kind::udp6, option::dont_fragment, off_and_on},
      {kind::udp6, option::mtu_discovery, {0, 1, 2, 3, 4, 5}},
      {kind::udp6, option::v4_traffic_class, {0, 0x28, 255}},
      {kind::udp6, option::v4_hop_limit, {1, 64, 255}},
      {kind::udp6, option::v4_multicast_hop_limit, {0, 1, 255}},
      {kind::udp6, option::v4_multicast_loopback, {0, 1}},
      {kind::udp6, option::v4_mtu_discovery, {0, 1, 2, 3, 4, 5}},
      {kind::udp6, option::multicast_all, {0, 1}},
      {kind::udp6, option::v4_multicast_all, {0, 1}},
      {kind::udp6, option::receive_timestamp, off_and_on},
      {kind::udp6, option::receive_errors, off_and_on},
      {kind::udp6, option::receive_v4_errors, off_and_on},
      {kind::udp6, option::receive_packet_info, off_and_on},
      {kind::udp6, option::receive_traffic_class, off_and_on},
      {kind::udp6, option::receive_hop_limit, off_and_on},
      {kind::udp6, option::receive_path_mtu, off_and_on},
      {kind::udp6, option::receive_v4_packet_info, off_and_on},
      {kind::udp6, option::receive_v4_traffic_class, off_and_on},
      {kind::udp6, option::receive_v4_hop_limit, off_and_on},
      {kind::udp6, option::only_v6, off_and_on},
      {kind::udp6, option::freebind, off_and_on},
      {kind::tcp6, option::bind_without_port, off_and_on},
      {kind::udp6, option::reuse_address, off_and_on},
      {kind::udp6, option::reuse_port, off_and_on},
      {kind::udp6, option::bind_to_interface, {lo, 0}},
      {kind::udp6, option::udp_receive_offload, off_and_on},
      {kind::udp6, option::udp_segment, {0, 1, 1200, 65535}},
      {kind::tcp6, option::no_delay, off_and_on},
      {kind::tcp6, option::keep_alive, off_and_on},
      {kind::tcp6, option::keep_alive_idle, {1, 32767}},
      {kind::tcp6, option::keep_alive_interval, {1, 32767}},
      {kind::tcp6, option::keep_alive_count, {1, 127}},
  };
}

// Tested in cases of their own, because they need other sockets, or read back another value.
const std::vector<option> elsewhere = {
    option::checksum,              // "the checksum of a raw socket is off, on at an even offset, and off again"
    option::receive_buffer,        // "buffer sizes are as requested, and the granted size is reported"
    option::receive_buffer_force,  // "with privilege a buffer may be larger than the limit"
    option::send_buffer,           // like receive_buffer
    option::send_buffer_force,     // like receive_buffer_force
    option::detach_filter,         // "a filter is attached, replaced and detached"
};

TEST_CASE("an integer option reads back as it was set") {
  test::need_ipv6();
  for (const round_trip& c : round_trips()) {
    const file_descriptor fd = open(c.socket);
    for (const int value : c.values) {
      INFO(describe(c.id).name << " = " << value);
      const result<void> set = set_option(fd.get(), c.id, value);
      if (!set) FAIL_CHECK(set.error().message());
      CHECK(get_option(fd.get(), c.id) == value);
    }
  }
}

TEST_CASE("every integer option that can be set is read back, with its limits") {
  test::need_ipv6();
  const std::vector<round_trip> cases = round_trips();
  for (const option_info& row : option_table()) {
    if (row.kind == payload::bytes || row.kind == payload::program || row.most < row.least) continue;
    INFO(row.name);
    const auto tested = std::ranges::find(cases, row.id, &round_trip::id);
    CHECK((tested != cases.end()) != (std::ranges::count(elsewhere, row.id) == 1));
    if (tested == cases.end()) continue;
    // An interface index has no greatest value: a number that the kernel does not know is no interface.
    if (row.most < INT_MAX) CHECK(std::ranges::count(tested->values, row.most) > 0);
    if (std::ranges::count(tested->values, 0) > 0) continue;
    const file_descriptor fd = open(tested->socket);
    CHECK_FALSE(set_option(fd.get(), row.id, 0));
  }
}

TEST_CASE("a value of minus one restores the kernel's default") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::udp6);
  for (const auto& [id, otherwise] : {std::pair(option::traffic_class, 0), {option::multicast_hop_limit, 1}}) {
    INFO(describe(id).name);
    REQUIRE(set_option(fd.get(), id, 42));
    REQUIRE(set_option(fd.get(), id, -1));
    CHECK(get_option(fd.get(), id) == otherwise);
  }
  const int before = or_throw(get_option(fd.get(), option::hop_limit));
  REQUIRE(set_option(fd.get(), option::hop_limit, 7));
  REQUIRE(set_option(fd.get(), option::hop_limit, -1));
  CHECK(get_option(fd.get(), option::hop_limit) == before);
}

TEST_CASE("a value outside the range never reaches the kernel") {
  // Without a socket the kernel's error would be EBADF: out_of_range proves that the kernel was not called.
  constexpr int no_socket = -1;
  for (const option_info& row : option_table()) {
    if (row.kind == payload::bytes || row.kind == payload::program) continue;
    INFO(row.name);
    CHECK(set_option(no_socket, row.id, row.least - 1).error() == errc::out_of_range);
    CHECK(set_option(no_socket, row.id, row.most + 1).error() == errc::out_of_range);
    CHECK(set_option(no_socket, row.id, (std::int64_t{1} << 32) + 5).error() == errc::out_of_range);
    CHECK(set_option(no_socket, row.id, std::uint64_t{0xffffffffffffffff}).error() == errc::out_of_range);
    CHECK(set_option(no_socket, row.id, 0xffffffffU).error() == errc::out_of_range);
    if (row.most < row.least) continue;
    CHECK(set_option(no_socket, row.id, row.least).error() == std::errc::bad_file_descriptor);
    CHECK(set_option(no_socket, row.id, row.most).error() == std::errc::bad_file_descriptor);
  }
  CHECK(set_option(no_socket, option::multicast_loopback, true).error() == std::errc::bad_file_descriptor);
}

TEST_CASE("an option is not set with a value of another type") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::udp6);
  const std::array<std::byte, 4> four{};
  CHECK(set_option(fd.get(), option::traffic_class, std::span<const std::byte>(four)).error() == errc::out_of_range);
  CHECK(set_option(fd.get(), option::icmp_filter, std::span<const std::byte>(four)).error() == errc::out_of_range);
  CHECK(set_option(fd.get(), option::bind_to_device, 1).error() == errc::out_of_range);
  CHECK(set_option(fd.get(), option::traffic_class, std::span(&accept_all, 1)).error() == errc::out_of_range);
  CHECK(get_option(fd.get(), option::bind_to_device).error() == errc::out_of_range);
}

TEST_CASE("an option that the socket does not have gives the kernel's errno") {
  test::need_ipv6();
  const file_descriptor udp = open(kind::udp6);
  const file_descriptor tcp = open(kind::tcp6);
  const file_descriptor udp4 = open(kind::udp4);
  const std::array<std::byte, 32> filter{};

  CHECK(set_option(tcp.get(), option::multicast_hop_limit, 1).error() == std::errc::no_protocol_option);
  CHECK(set_option(tcp.get(), option::multicast_interface, 0).error() == std::errc::no_protocol_option);
  CHECK(set_option(udp.get(), option::checksum, 2).error() == std::errc::no_protocol_option);
  CHECK(get_option(udp.get(), option::checksum).error() == std::errc::no_protocol_option);
  CHECK(set_option(udp.get(), option::icmp_filter, std::span<const std::byte>(filter)).error() ==
        std::errc::no_protocol_option);
  CHECK(set_option(udp4.get(), option::traffic_class, 0).error() == std::errc::no_protocol_option);
  CHECK(set_option(udp.get(), option::multicast_interface, INT_MAX).error() == errc::unknown_zone);
  CHECK(set_option(udp.get(), option::multicast_interface, INT_MAX).error() == std::errc::no_such_device);
}

TEST_CASE("only_v6 is refused once the socket is bound") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::udp6);
  const sockaddr_in6 any = loopback(0);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
  CHECK(set_option(fd.get(), option::only_v6, 1).error() == std::errc::invalid_argument);
}

TEST_CASE("a stream keeps the ECN bits of its traffic class") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::tcp6);
  REQUIRE(set_option(fd.get(), option::traffic_class, 0xb8 | 3));
  CHECK(get_option(fd.get(), option::traffic_class) == 0xb8);
}

TEST_CASE("buffer sizes are as requested, and the granted size is reported") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::udp6);
  CHECK(set_receive_buffer(fd.get(), 100'000) == 100'000);
  CHECK(get_option(fd.get(), option::receive_buffer) == 100'000);
  CHECK(set_send_buffer(fd.get(), 100'000) == 100'000);
  CHECK(get_option(fd.get(), option::send_buffer) == 100'000);

  // The kernel's minimum is more than 0.
  const result<int> least = set_receive_buffer(fd.get(), 0);
  REQUIRE(least);
  CHECK(*least > 0);
  CHECK(set_receive_buffer(fd.get(), -1).error() == errc::out_of_range);
  CHECK(set_send_buffer(fd.get(), std::int64_t{INT_MAX}).error() == errc::out_of_range);
  CHECK(set_receive_buffer(-1, 4096).error() == std::errc::bad_file_descriptor);
}

TEST_CASE("a device is bound by name, and an unknown or overlong name is no device") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::udp6);
  CHECK(bound_device(fd.get()) == "");
  REQUIRE(set_bound_device(fd.get(), "lo"));
  CHECK(bound_device(fd.get()) == "lo");
  REQUIRE(set_bound_device(fd.get(), ""));
  CHECK(bound_device(fd.get()) == "");

  CHECK(set_bound_device(fd.get(), "no-such-device").error() == errc::unknown_zone);
  CHECK(set_bound_device(fd.get(), "sixteen-letters-").error() == errc::unknown_zone);
  using namespace std::string_view_literals;
  CHECK(set_bound_device(fd.get(), "lo\0x"sv).error() == errc::unknown_zone);
  CHECK(bound_device(fd.get()) == "");
}

TEST_CASE("the path MTU is known once the socket is connected") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::udp6);
  CHECK(path_mtu(fd.get()).error() == std::errc::not_connected);
  const sockaddr_in6 peer = loopback(9);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0);
  CHECK(path_mtu(fd.get()) == 65536U);
}

TEST_CASE("a filter is attached, replaced and detached") {
  test::need_ipv6();
  const file_descriptor receiver = open(kind::udp6);
  sockaddr_in6 name = loopback(0);
  socklen_t length = sizeof name;
  REQUIRE(::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&name), length) == 0);
  REQUIRE(::getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&name), &length) == 0);
  const file_descriptor sender = open(kind::udp6);
  REQUIRE(::connect(sender.get(), reinterpret_cast<const sockaddr*>(&name), length) == 0);
  // Loopback delivers before send returns: a datagram that is not there then was filtered.
  const auto arrives = [&] {
    char byte = 'x';
    REQUIRE(::send(sender.get(), &byte, 1, 0) == 1);
    return ::recv(receiver.get(), &byte, 1, MSG_DONTWAIT) == 1;
  };

  CHECK(arrives());
  const sock_filter drop_all = instruction(BPF_RET | BPF_K, 0);
  REQUIRE(set_option(receiver.get(), option::attach_filter, std::span(&drop_all, 1)));
  CHECK_FALSE(arrives());
  REQUIRE(set_option(receiver.get(), option::attach_filter, std::span(&accept_all, 1)));
  CHECK(arrives());
  REQUIRE(set_option(receiver.get(), option::detach_filter, 0));
  CHECK(arrives());
  CHECK(set_option(receiver.get(), option::detach_filter, 0).error() == std::errc::no_such_file_or_directory);
}

TEST_CASE("a filter that is empty, too long or wrong is an error") {
  test::need_ipv6();
  const file_descriptor fd = open(kind::udp6);
  const std::vector<sock_filter> longest(BPF_MAXINSNS, accept_all);
  std::vector<sock_filter> longer = longest;
  longer.push_back(accept_all);
  const sock_filter endless = instruction(BPF_LD | BPF_IMM, 0);  // has no return at its end

  CHECK(set_option(fd.get(), option::attach_filter, std::span<const sock_filter>()).error() == errc::out_of_range);
  CHECK(set_option(fd.get(), option::attach_filter, std::span<const sock_filter>(longer)).error() ==
        errc::out_of_range);
  // net.core.optmem_max decides whether the longest filter fits: 20 KiB until Linux 6.8, 128 KiB since. set_option has
  // to pass it to the kernel, and to give the result that another socket gets.
  const file_descriptor other = open(kind::udp6);
  const sock_fprog program{static_cast<unsigned short>(longest.size()), const_cast<sock_filter*>(longest.data())};
  const bool fits = ::setsockopt(other.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
  const std::error_code told = fits ? std::error_code{} : std::error_code(errno, std::system_category());
  INFO("of another socket the kernel says: " << told.message());
  CHECK((fits || told == std::errc::not_enough_memory));
  const auto attached = set_option(fd.get(), option::attach_filter, std::span<const sock_filter>(longest));
  CHECK((attached ? std::error_code{} : attached.error()) == told);
  CHECK(set_option(fd.get(), option::attach_filter, std::span(&endless, 1)).error() == std::errc::invalid_argument);

  const int on = 1;
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0);
  CHECK(set_option(fd.get(), option::attach_filter, std::span(&accept_all, 1)).error() ==
        std::errc::operation_not_permitted);
}

TEST_CASE("a reuse port filter steers between sockets") {
  test::need_ipv6();
  const auto member = [](std::uint16_t port) {
    file_descriptor fd = open(kind::udp6);
    or_throw(set_option(fd.get(), option::reuse_port, 1));
    const sockaddr_in6 name = loopback(port);
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    return fd;
  };
  const file_descriptor first = member(0);
  sockaddr_in6 name{};
  socklen_t length = sizeof name;
  REQUIRE(::getsockname(first.get(), reinterpret_cast<sockaddr*>(&name), &length) == 0);
  const file_descriptor second = member(ntohs(name.sin6_port));

  const sock_filter always_second = instruction(BPF_RET | BPF_K, 1);
  REQUIRE(set_option(first.get(), option::attach_reuse_port_filter, std::span(&always_second, 1)));
  for (int i = 0; i < 16; ++i) {
    const file_descriptor sender = open(kind::udp6);
    char byte = 'x';
    REQUIRE(::sendto(sender.get(), &byte, 1, 0, reinterpret_cast<const sockaddr*>(&name), length) == 1);
    CHECK(::recv(second.get(), &byte, 1, MSG_DONTWAIT) == 1);
  }
}

TEST_CASE("a socket reports its kind") {
  test::need_ipv6();
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
  CHECK(get_option(fd.get(), option::socket_domain) == AF_INET6);
  CHECK(get_option(fd.get(), option::socket_type) == SOCK_DGRAM);
  CHECK(get_option(fd.get(), option::socket_protocol) == IPPROTO_UDP);
  CHECK(get_option(fd.get(), option::pending_error) == 0);
  CHECK(set_option(fd.get(), option::socket_type, 1).error() == errc::out_of_range);
}

}  // namespace
