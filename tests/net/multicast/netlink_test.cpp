// netlink_ask accepts answers of the kernel only. A process with CAP_NET_ADMIN may send to the netlink socket of any
// other.
#include "sys/interface/netlink.hpp"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::uint32_t forged_interface = 4'242;

// The ports of all netlink sockets of this process but `own`.
std::vector<std::uint32_t> netlink_ports(int own) {
  std::vector<std::uint32_t> ports;
  for (int fd = 0; fd < 256; ++fd) {
    sockaddr_nl name{};
    socklen_t length = sizeof name;
    if (fd == own || ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) continue;
    if (name.nl_family == AF_NETLINK && name.nl_pid != 0) ports.push_back(name.nl_pid);
  }
  return ports;
}

// Sends a forged answer of the kernel to the first request of the netlink socket at this port. Returns the errno, or 0.
int forge_answer(int from, std::uint32_t port) {
  netlink_request<ifaddrmsg> forged(RTM_NEWADDR, 0);
  forged.message()->nlmsg_flags = NLM_F_MULTI;
  forged.message()->nlmsg_seq = 1;
  forged.message()->nlmsg_pid = port;
  forged->ifa_family = AF_INET6;
  forged->ifa_index = forged_interface;
  const ip_address::bytes_type address = ip_address::loopback().bytes();
  mnl_attr_put(forged.message(), IFA_ADDRESS, address.size(), address.data());
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_pid = port;
  const ssize_t sent = ::sendto(from, forged.message(), forged.message()->nlmsg_len, 0,
                                reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return sent < 0 ? errno : 0;
}

// To each netlink socket of the process. Returns the outcome of the last one.
int forge_answers(int from) {
  int outcome = 0;
  const std::vector<std::uint32_t> ports = netlink_ports(from);
  REQUIRE_FALSE(ports.empty());
  for (const std::uint32_t port : ports) outcome = forge_answer(from, port);
  return outcome;
}

TEST_CASE("answers that another process sends to a netlink socket are not taken as the kernel's") {
  const network_namespace space;
  const auto inside = space.enter();
  // So many that the kernel's answer is several messages: a forged one that is sent while the first of them is read is
  // queued between the others.
  constexpr std::uint16_t addresses = 1'000;
  for (std::uint16_t i = 0; i < addresses; ++i) {
    ip_address::bytes_type bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[14] = static_cast<std::uint8_t>(i >> 8);
    bytes[15] = static_cast<std::uint8_t>(i);
    add_address(loopback_index, ip_address(bytes), 128);
  }
  const file_descriptor forger = or_throw(open_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));

  std::size_t of_the_kernel = 0;
  std::size_t of_the_forger = 0;
  int outcome = 0;
  const auto ask = [&] {
    of_the_kernel = of_the_forger = 0;
    bool forged = false;
    netlink_request<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP);
    return netlink_ask(request.message(), [&](const nlmsghdr& answer) {
      if (!std::exchange(forged, true)) outcome = forge_answers(forger.get());
      const auto* header = netlink_header<ifaddrmsg>(answer);
      REQUIRE(header != nullptr);
      ++(header->ifa_index == forged_interface ? of_the_forger : of_the_kernel);
    });
  };
  // EINTR: an address changed its state while the kernel listed them (NLM_F_DUMP_INTR).
  result<void> asked = ask();
  while (!asked && asked.error() == std::errc::interrupted) asked = ask();
  REQUIRE(asked);
  CHECK(of_the_kernel > addresses);  // ::1 and 127.0.0.1 are among them
  CHECK(of_the_forger == 0);
  // The kernel refuses such a send itself: forged messages cannot fill the socket's buffer.
  CHECK(outcome == ECONNREFUSED);
}

// Between the bind of a socket and its connect to the kernel anyone's message reaches it. The kernel gives the first
// socket of a process in a namespace that process's id as its port, so that a forger knows it beforehand.
TEST_CASE("an answer that another process sends between a netlink socket's bind and connect is not taken",
          "[threads]") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor forger = or_throw(open_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_pid = forged_interface;  // leaves the process's id to the socket under test
  REQUIRE(::bind(forger.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  std::atomic<int> asks{0};
  std::atomic<int> delivered{0};
  std::jthread forges([&](const std::stop_token& over) {
    const auto port = static_cast<std::uint32_t>(::getpid());
    int last = 0;
    while (!over.stop_requested()) {
      // One message for each socket: many would fill its buffer, which is another error (ENOBUFS).
      const int now = asks;
      if (now == last || forge_answer(forger.get(), port) != 0) continue;
      last = now;
      ++delivered;
    }
  });
  std::size_t of_the_forger = 0;
  constexpr int wanted = 2;  // messages that came in time
  const auto ask_often = [&] {
    for (int i = 0; i < 100; ++i) {
      netlink_request<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP);
      ++asks;
      const auto asked = netlink_ask(request.message(), [&](const nlmsghdr& answer) {
        const auto* header = netlink_header<ifaddrmsg>(answer);
        if (header == nullptr || header->ifa_index == forged_interface) ++of_the_forger;
      });
      INFO("error: " << (asked ? std::error_code() : asked.error()));
      REQUIRE((asked || asked.error() == std::errc::interrupted));  // as above
    }
    return delivered >= wanted;
  };
  CHECK(eventually(ask_often, std::chrono::seconds(60)));
  CHECK(of_the_forger == 0);
}

}  // namespace
