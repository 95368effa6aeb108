#include <dlfcn.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "support/case/eventually.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "sys/multicast/membership.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/interface.hpp"
#include "uring6/resolve.hpp"

namespace {

std::atomic<int> questions = 0;  // sent to the kernel over netlink

}  // namespace

// Replaces libmnl's function, and counts the requests.
extern "C" ssize_t mnl_socket_sendto(const mnl_socket* socket, const void* request, std::size_t size) {
  static const auto original = reinterpret_cast<decltype(&mnl_socket_sendto)>(::dlsym(RTLD_NEXT, "mnl_socket_sendto"));
  ++questions;
  return original(socket, request, size);
}

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address address(const char* text) {
  return or_throw(ip_address::parse(text));
}

// Asks the kernel for the same by another way: the ioctls, one by one.
interface by_ioctl(const char* name, unsigned index) {
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const auto ask = [&](unsigned long what) {
    ifreq request{};
    std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    REQUIRE(::ioctl(fd.get(), what, &request) == 0);
    return request;
  };
  interface found {
    .index = index, .name = name
  };
  found.mtu = static_cast<std::uint32_t>(ask(SIOCGIFMTU).ifr_mtu);
  found.flags = static_cast<interface_flags>(static_cast<unsigned short>(ask(SIOCGIFFLAGS).ifr_flags)) &
                (interface_flags::up | interface_flags::broadcast | interface_flags::loopback |
                 interface_flags::point_to_point | interface_flags::running | interface_flags::multicast);
  const ifreq hardware = ask(SIOCGIFHWADDR);
  const auto* octets = reinterpret_cast<const std::uint8_t*>(hardware.ifr_hwaddr.sa_data);
  if (!found.is(interface_flags::loopback)) found.hardware_address.assign(octets, octets + 6);
  return found;
}

std::vector<interface> all_by_ioctl() {
  std::vector<interface> found;
  const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> names(::if_nameindex(), ::if_freenameindex);
  for (auto* at = names.get(); at->if_index != 0; ++at) found.push_back(by_ioctl(at->if_name, at->if_index));
  return found;
}

std::vector<std::string> lines_of(const char* path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

const interface_address* find(const std::vector<interface_address>& in, const ip_address& wanted) {
  const auto at =
      std::ranges::find_if(in, [&](const interface_address& a) { return a.address.with_zone(0) == wanted; });
  return at == in.end() ? nullptr : &*at;
}

TEST_CASE("the list of interfaces is equal to the list of the ioctls") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::vector<interface> all = or_throw(interface::all());
  CHECK(all.size() == 2);
  CHECK(std::ranges::is_permutation(all, all_by_ioctl()));

  const interface near = or_throw(interface::by_name("near0"));
  CHECK(near == by_ioctl("near0", cable.near.link.index));
  CHECK(near.is(interface_flags::up | interface_flags::running | interface_flags::multicast |
                interface_flags::broadcast));
  CHECK_FALSE(near.is(interface_flags::loopback));
  CHECK(near.mtu == 1500);
  CHECK(near.hardware_address.size() == 6);
}

TEST_CASE("an interface is shown as it is now, never as it was") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::uint32_t index = cable.near.link.index;

  set_link(index, link_state::down);
  CHECK_FALSE(or_throw(interface::by_index(index)).is(interface_flags::up));

  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  ifreq rename{};
  std::strcpy(rename.ifr_name, "near0");
  std::strcpy(rename.ifr_newname, "renamed");
  REQUIRE(::ioctl(fd.get(), SIOCSIFNAME, &rename) == 0);
  CHECK(interface::by_name("near0").error() == errc::unknown_zone);
  CHECK(or_throw(interface::by_name("renamed")).index == index);

  const interface seen = or_throw(interface::by_index(index));
  delete_link(index);
  CHECK(interface::by_index(index).error() == errc::unknown_zone);
  CHECK(interface::by_name("renamed").error() == errc::unknown_zone);
  CHECK(seen.addresses().error() == errc::unknown_zone);
  CHECK(seen.groups().error() == errc::unknown_zone);
}

TEST_CASE("the running flag follows the other end of the cable") {
  const veth_pair cable;
  cable.far.space.run([&] { set_link(cable.far.link.index, link_state::down); });
  const auto inside = cable.near.space.enter();
  CHECK(eventually([&] {
    const interface near = or_throw(interface::by_index(cable.near.link.index));
    return near.is(interface_flags::up) && !near.is(interface_flags::running);
  }));
}

TEST_CASE("the addresses are equal to those in if_inet6") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  add_address(cable.near.link.index, address("2001:db8:1::77"), 48);

  std::set<std::string> listed;
  for (const std::string& line : lines_of("/proc/thread-self/net/if_inet6")) {
    std::istringstream words(line);
    std::string hex, index, prefix;
    words >> hex >> index >> prefix;
    listed.insert(hex + " " + index + " " + prefix);
  }
  std::set<std::string> found;
  for (const interface_address& a : or_throw(interface::all_addresses())) {
    if (a.address.is_v4_mapped()) continue;
    std::string text;
    for (const std::uint8_t byte : a.address.bytes()) {
      constexpr auto digits = "0123456789abcdef";
      text += {digits[byte >> 4], digits[byte & 15]};
    }
    char tail[16];
    std::snprintf(tail, sizeof tail, " %02x %02x", a.interface_index, a.prefix_length);
    found.insert(text + tail);
  }
  CHECK(found == listed);
  CHECK(found.size() == 4);  // ::1, link-local, and the two given.
}

TEST_CASE("an address has its prefix, scope, state and lifetimes") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::uint32_t index = cable.near.link.index;
  add_address(index, address("2001:db8:2::1"), 48, {.valid = 1000, .preferred = 500});
  add_address(index, address("2001:db8:3::1"), 128, {.valid = 1000, .preferred = 0});

  const std::vector<interface_address> all = or_throw(cable.near.link.addresses());
  for (const interface_address& a : all) CHECK(a.interface_index == index);

  const interface_address* by_hand = find(all, cable.near.address);
  REQUIRE(by_hand != nullptr);
  CHECK(by_hand->address.zone() == 0);
  CHECK(by_hand->prefix_length == 64);
  CHECK(by_hand->scope == address_scope::global);
  CHECK(by_hand->is(address_flags::permanent));
  CHECK_FALSE(by_hand->is(address_flags::tentative));
  CHECK(by_hand->valid == std::nullopt);
  CHECK(by_hand->preferred == std::nullopt);

  const interface_address* mortal = find(all, address("2001:db8:2::1"));
  REQUIRE(mortal != nullptr);
  CHECK(mortal->prefix_length == 48);
  CHECK_FALSE(mortal->is(address_flags::permanent));
  CHECK_FALSE(mortal->is(address_flags::deprecated));
  // The seconds count down; the test checks only their upper limit, and that valid and preferred are not confused.
  REQUIRE(mortal->valid);
  REQUIRE(mortal->preferred);
  CHECK(*mortal->valid <= std::chrono::seconds(1000));
  CHECK(*mortal->valid > std::chrono::seconds(500));
  CHECK(*mortal->preferred <= std::chrono::seconds(500));
  CHECK(*mortal->preferred > std::chrono::seconds(0));

  const interface_address* old = find(all, address("2001:db8:3::1"));
  REQUIRE(old != nullptr);
  CHECK(old->is(address_flags::deprecated));
  CHECK(old->preferred == std::chrono::seconds(0));

  const auto link_local = std::ranges::find_if(all, [](const auto& a) { return a.address.is_link_local(); });
  REQUIRE(link_local != all.end());
  CHECK(link_local->address.zone() == index);
  CHECK(link_local->scope == address_scope::link);
  // The address can be bound as it is: it has its zone.
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  CHECK(bind_socket(fd.get(), {link_local->address, 0}));
}

TEST_CASE("an address is tentative until duplicate address detection has ended, and duplicate if it is not unique") {
  const veth_pair cable;
  cable.far.space.run([&] { add_address(cable.far.link.index, address("2001:db8::77"), 64); });
  const auto inside = cable.near.space.enter();
  write_sysctl("net/ipv6/conf/near0/accept_dad", "1");
  write_sysctl("net/ipv6/conf/near0/dad_transmits", "1");

  add_address(cable.near.link.index, address("2001:db8::77"), 64, {.prove_unique = true});
  add_address(cable.near.link.index, address("2001:db8::78"), 64, {.prove_unique = true});
  const auto state = [&](const char* wanted) {
    const std::vector<interface_address> all = or_throw(cable.near.link.addresses());
    const interface_address* found = find(all, address(wanted));
    REQUIRE(found != nullptr);
    return found->flags;
  };
  CHECK(has_all(state("2001:db8::78"), address_flags::tentative));
  CHECK(eventually([&] { return !has_all(state("2001:db8::78"), address_flags::tentative); }));
  CHECK(eventually([&] { return has_all(state("2001:db8::77"), address_flags::duplicate); }));
}

TEST_CASE("the addresses of many interfaces take one request, and each is listed once") {
  const network_namespace space;
  const auto inside = space.enter();
  constexpr std::uint8_t pairs = 50;
  const auto numbered = [](std::uint8_t n) {
    return ip_address({0x20, 1, 0x0d, 0xb8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n});
  };
  for (std::uint8_t n = 0; n < pairs; ++n) {
    create_veth("near" + std::to_string(n), space, "far" + std::to_string(n));
    add_address(or_throw(interface::by_name("near" + std::to_string(n))).index, numbered(n), 64);
  }
  int before = questions;
  const std::vector<interface> links = or_throw(interface::all());
  CHECK(questions - before == 1);
  CHECK(links.size() == 1 + 2 * pairs);
  before = questions;
  const std::vector<interface_address> all = or_throw(interface::all_addresses());
  CHECK(questions - before == 1);
  for (std::uint8_t n = 0; n < pairs; ++n) {
    const interface_address* found = find(all, numbered(n));
    REQUIRE(found != nullptr);
    const auto on = std::ranges::find(links, found->interface_index, &interface::index);
    REQUIRE(on != links.end());
    CHECK(on->name == "near" + std::to_string(n));
  }
  std::set<ip_address> distinct;
  for (const interface_address& a : all) distinct.insert(a.address);
  CHECK(distinct.size() == all.size());
}

TEST_CASE("an address that the kernel made for privacy is temporary, the address that it was made from is not") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  write_sysctl("net/ipv6/conf/near0/use_tempaddr", "2");
  const ip_address public_one = address("2001:db8:5::1");
  add_address(cable.near.link.index, public_one, 64, {.valid = 90'000, .preferred = 80'000, .make_temporary = true});
  const std::vector<interface_address> all = or_throw(cable.near.link.addresses());
  const interface_address* made_from = find(all, public_one);
  REQUIRE(made_from != nullptr);
  CHECK_FALSE(made_from->is(address_flags::temporary));
  CHECK(std::ranges::count_if(all, [](const auto& a) { return a.is(address_flags::temporary); }) == 1);
  const auto temporary = std::ranges::find_if(all, [](const auto& a) { return a.is(address_flags::temporary); });
  REQUIRE(temporary != all.end());
  CHECK(std::equal(public_one.bytes().begin(), public_one.bytes().begin() + 8, temporary->address.bytes().begin()));
  CHECK_FALSE(temporary->is(address_flags::permanent));
  CHECK(temporary->valid.has_value());
}

TEST_CASE("the link address of a tunnel is its IP address, and hidden") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor device(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!device) SKIP("no /dev/net/tun: " + std::system_category().message(errno));
  ifreq request{};
  std::strcpy(request.ifr_name, "tunnel0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  REQUIRE(::ioctl(device.get(), TUNSETIFF, &request) == 0);
  CHECK(or_throw(interface::by_name("tunnel0")).hardware_address.size() == 6);
  constexpr int ip6gre = 823;  // ARPHRD_IP6GRE
  for (const unsigned long type : {ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT, ARPHRD_IPGRE, ip6gre}) {
    INFO(type);
    REQUIRE(::ioctl(device.get(), TUNSETLINK, type) == 0);
    CHECK(or_throw(interface::by_name("tunnel0")).hardware_address.empty());
  }
  REQUIRE(::ioctl(device.get(), TUNSETLINK, static_cast<unsigned long>(ARPHRD_ETHER)) == 0);
  CHECK(or_throw(interface::by_name("tunnel0")).hardware_address.size() == 6);
}

TEST_CASE("an alternative name finds its interface, as a name and as a zone, whatever its length") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::uint32_t index = cable.near.link.index;
  for (const std::size_t length : {1UL, 15UL, 16UL, 127UL}) {
    const std::string name(length, 'x');
    INFO(name);
    const std::string text = "fe80::1%" + name;
    CHECK(ip_address::parse(text).error() == errc::unknown_zone);
    add_alternative_name(index, name);
    CHECK(or_throw(interface::by_name(name)).index == index);
    CHECK(ip_address::parse(text) == address("fe80::1").with_zone(index));
    CHECK(endpoint::parse("[" + text + "]:9") == endpoint{address("fe80::1").with_zone(index), 9});
    const std::vector<endpoint> resolved = or_throw(detail::resolve_call{text, "9", {}}());
    CHECK(resolved == std::vector{endpoint{address("fe80::1").with_zone(index), 9}});
  }
  CHECK(ip_address::parse("fe80::1%" + std::string(128, 'x')).error() == errc::unknown_zone);
  CHECK(address("fe80::1").with_zone(index).to_string() == "fe80::1%near0");
}

TEST_CASE("IPv4 addresses are listed v4-mapped") {
  const network_namespace space;
  const auto inside = space.enter();
  const interface lo = or_throw(interface::by_name("lo"));
  const std::vector<interface_address> all = or_throw(lo.addresses());
  const interface_address* v4 = find(all, ip_address::v4_mapped({127, 0, 0, 1}));
  REQUIRE(v4 != nullptr);
  CHECK(v4->prefix_length == 96 + 8);
  CHECK(v4->scope == address_scope::host);
  const interface_address* v6 = find(all, ip_address::loopback());
  REQUIRE(v6 != nullptr);
  CHECK(v6->prefix_length == 128);
}

TEST_CASE("the groups of an interface have their users and sources") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::uint32_t index = cable.near.link.index;
  const ip_address any_source = address("ff05::1234");
  const ip_address one_source = address("ff3e::1234");
  const ip_address local = address("ff02::1234");
  const file_descriptor first = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const file_descriptor second = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  for (const file_descriptor* fd : {&first, &second}) {
    REQUIRE(join_group(fd->get(), index, any_source));
    REQUIRE(join_source_specific_group(fd->get(), index, one_source, cable.far.address));
  }
  REQUIRE(exclude_source_specific_group(first.get(), index, any_source, cable.far.address));
  REQUIRE(join_source_specific_group(first.get(), index, one_source, cable.far.link_local.with_zone(0)));
  REQUIRE(join_group(first.get(), index, local));

  const std::vector<group_membership> groups = or_throw(cable.near.link.groups());
  const auto membership = [&](const ip_address& group) {
    const auto at = std::ranges::find(groups, group, &group_membership::group);
    REQUIRE(at != groups.end());
    CHECK(at->interface_index == index);
    return *at;
  };
  CHECK(membership(any_source).users == 2);
  CHECK(membership(any_source).sources == std::vector{group_source{cable.far.address, 0, 1}});
  CHECK(membership(one_source).users == 2);
  const std::vector<group_source> sources = membership(one_source).sources;
  CHECK(sources.size() == 2);
  CHECK(std::ranges::count(sources, group_source{cable.far.address, 2, 0}) == 1);
  CHECK(std::ranges::count(sources, group_source{cable.far.link_local.with_zone(index), 1, 0}) == 1);
  CHECK(membership(local.with_zone(index)).users == 1);

  // The kernel's own groups are listed, too; groups of other interfaces are in the list of all interfaces only.
  CHECK(membership(ip_address::all_nodes().with_zone(index)).users == 1);
  const std::vector<group_membership> everywhere = or_throw(interface::all_groups());
  CHECK(std::ranges::count(everywhere, ip_address::all_nodes().with_zone(loopback_index), &group_membership::group) ==
        1);
  CHECK(std::ranges::count(groups, loopback_index, &group_membership::interface_index) == 0);
}

TEST_CASE("a list is complete although the table changes while it is read") {
  const network_namespace space;
  const auto inside = space.enter();
  // So many addresses that a dump takes several messages, between which the table can change.
  constexpr std::size_t standing = 1000;
  const auto numbered = [](std::uint8_t kind, std::size_t n) {
    return ip_address({0x20, 1, 0x0d, 0xb8, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(n >> 8),
                       static_cast<std::uint8_t>(n)});
  };
  for (std::size_t n = 0; n < standing; ++n) add_address(loopback_index, numbered(1, n), 128);

  // One change in each round, at any moment of the dump: the first address of the list is removed, and all others move
  // up by one. A dump that went on at its old place would miss one of them.
  constexpr int rounds = 50;
  using clock = std::chrono::steady_clock;
  const auto before = clock::now();
  (void)interface::all_addresses();
  const auto one_dump = clock::now() - before;
  std::atomic<int> started = 0;
  std::jthread disturber([&] {
    const auto here = space.enter();
    for (int round = 1; round <= rounds; ++round) {
      started.wait(round - 1);
      const auto moment = clock::now() + one_dump * round / rounds;
      while (clock::now() < moment) std::this_thread::yield();
      delete_address(loopback_index, numbered(2, static_cast<std::size_t>(round)), 128);
    }
  });
  int complete = 0;
  for (int round = 1; round <= rounds; ++round) {
    add_address(loopback_index, numbered(2, static_cast<std::size_t>(round)), 128);
    started = round;
    started.notify_one();
    const result<std::vector<interface_address>> all = interface::all_addresses();
    if (!all) {
      UNSCOPED_INFO(all.error().message());
      continue;
    }
    std::set<ip_address> distinct;
    for (const interface_address& a : *all) {
      if (a.address.bytes()[4] == 1) distinct.insert(a.address);
    }
    if (distinct.size() == standing) ++complete;
  }
  disturber.join();
  CHECK(complete == rounds);
}

TEST_CASE("listing interfaces leaves no descriptor open") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 10; ++i) {
    (void)interface::all();
    (void)interface::by_name("none");
    (void)interface::all_addresses();
    (void)interface::all_groups();
  }
  CHECK(open_descriptors() == before);
}

}  // namespace
