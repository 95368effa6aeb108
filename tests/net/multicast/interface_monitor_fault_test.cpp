// interface_monitor and group_keeper where netlink is refused, where other processes send to their sockets, and where
// the kernel refuses a join.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "net/multicast/watched_network.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "sys/interface/netlink.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/group_keeper.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using enum interface_change;

const ip_address group = or_throw(ip_address::parse("ff05::114"));

TEST_CASE("where netlink sockets are refused, the error says that it was the monitor's") {
  const std::string said = in_child([] {
    event_loop loop;
    auto pc = open_conn(loop);
    // As systemd's RestrictAddressFamilies does.
    forbid_system_call(SYS_socket, EAFNOSUPPORT, {.index = 0, .value = AF_NETLINK});
    const auto opened = interface_monitor::open(loop);
    const auto keeper = group_keeper::open(loop, pc);
    if (opened || keeper) return std::string("opened");
    if (keeper.error() != std::errc::address_family_not_supported) return keeper.error().message();
    try {
      const interface_monitor monitor(loop);
    } catch (const std::system_error& failed) {
      return std::string(failed.what());
    }
    return std::string("no exception");
  });
  CHECK(said == "interface_monitor netlink: Address family not supported by protocol");
}

// The port of each netlink socket of this process.
std::vector<std::uint32_t> ports_of_netlink_sockets() {
  std::vector<std::uint32_t> ports;
  for (int fd = 0; fd < 256; ++fd) {
    sockaddr_nl name{};
    socklen_t length = sizeof name;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) continue;
    if (name.nl_family == AF_NETLINK && name.nl_pid != 0) ports.push_back(name.nl_pid);
  }
  return ports;
}

TEST_CASE("a message that another process sends to a monitor's socket is refused, and no event") {
  watched_network host;
  run(host.loop, [&]() -> task<> {
    std::vector<interface_event> seen;
    co_await host.read_to(synchronized, seen);
    seen.clear();
    const std::vector<std::uint32_t> ports = ports_of_netlink_sockets();
    REQUIRE_FALSE(ports.empty());
    const file_descriptor forger = host.space.run([] { return or_throw(open_socket(AF_NETLINK, SOCK_RAW)); });
    for (const std::uint32_t port : ports) {
      netlink_request<ifinfomsg> forged(RTM_NEWLINK, 0);
      forged->ifi_index = 4'242;
      mnl_attr_put_strz(forged.message(), IFLA_IFNAME, "forged");
      sockaddr_nl to{};
      to.nl_family = AF_NETLINK;
      to.nl_pid = port;
      CHECK(::sendto(forger.get(), forged.message(), forged.message()->nlmsg_len, 0,
                     reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0);
      CHECK(errno == ECONNREFUSED);
    }
    co_await host.read_all(seen);
    CHECK(changes_of(seen, 4'242U).empty());
  });
}

TEST_CASE("a join that the kernel refuses is tried again until the kernel takes it, and counted") {
  watched_network host;
  auto pc = host.space.run([&] { return or_throw(listen_packet(host.loop, "udp6", "[::]:0")); });
  auto keeper = host.space.run([&] { return group_keeper(host.loop, pc); });
  const network_namespace far;
  const interface lo = host.space.run([] { return or_throw(interface::by_name("lo")); });
  const auto numbered_group = [](std::uint32_t number) {
    return or_throw(
        ip_address::parse("ff05::" + std::to_string(number / 1'000) + ":" + std::to_string(number % 1'000)));
  };
  run(host.loop, [&]() -> task<> {
    REQUIRE(host.space.run([&] { return keeper.keep("eth7", group); }));
    beside running(host.loop, [&]() -> task<> {
      const auto end = co_await keeper.run();
      CHECK(end.error() == errc::canceled);
    });
    // The socket has no memory for a further group (net.core.optmem_max).
    std::uint32_t joined = 0;
    host.space.run([&] {
      while (pc.join_group(lo, numbered_group(joined))) ++joined;
    });
    REQUIRE(joined > 100);
    host.space.run([&] { create_veth("eth7", far, "far7", 77); });
    co_await until([&] { return keeper.stats().refused >= 3; });
    CHECK_FALSE(keeper.memberships().front().joined);
    CHECK(keeper.memberships().front().error == std::errc::not_enough_memory);
    CHECK(to_string(keeper.memberships().front()) == "ff05::114 on eth7 ifindex=77 refused: Cannot allocate memory");
    host.space.run([&] { REQUIRE(pc.leave_group(lo, numbered_group(0))); });
    co_await until([&] { return keeper.stats().joins == 1; });
    CHECK(keeper.memberships().front().joined);
    CHECK_FALSE(keeper.memberships().front().error);
  });
}

}  // namespace
