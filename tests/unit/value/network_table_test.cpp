// network_table: what netlink messages change, in which order they may come, and what hostile ones cannot do.
#include "sys/interface/network_table.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <random>
#include <vector>

#include "sys/interface/netlink_message.hpp"

namespace {

using namespace uring6;
using enum interface_change;
using changes = std::vector<interface_change>;

/// An RTM_NEWLINK or RTM_DELLINK.
struct link_message : netlink_request<ifinfomsg> {
  explicit link_message(std::uint16_t type, int index, const char* name = "eth0", unsigned flags = 0)
      : netlink_request(type, 0) {
    (*this)->ifi_index = index;
    (*this)->ifi_flags = flags;
    if (name) mnl_attr_put_strz(message(), IFLA_IFNAME, name);
    mnl_attr_put_u32(message(), IFLA_MTU, 1'500);
  }
  link_message& hardware(std::uint8_t last) {
    const std::uint8_t octets[6] = {2, 0, 0, 0, 0, last};
    mnl_attr_put(message(), IFLA_ADDRESS, sizeof octets, octets);
    return *this;
  }
};

/// An RTM_NEWADDR or RTM_DELADDR of 2001:db8::`last`.
struct address_message : netlink_request<ifaddrmsg> {
  address_message(std::uint16_t type, std::uint8_t last, std::uint32_t flags = 0, std::uint32_t index = 2)
      : netlink_request(type, 0) {
    (*this)->ifa_family = AF_INET6;
    (*this)->ifa_prefixlen = 64;
    (*this)->ifa_index = index;
    const ip_address::bytes_type bytes{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
    mnl_attr_put(message(), IFA_ADDRESS, bytes.size(), bytes.data());
    mnl_attr_put_u32(message(), IFA_FLAGS, flags);
  }
};

struct table_under_test : network_table {
  template <class Message>
  changes notified(Message&& what) {
    return made([&](events& to) { notify(*what.message(), to); });
  }
  template <class Message>
  changes listed(Message&& what) {
    return made([&](events& to) { list(*what.message(), to); });
  }
  template <class Step>
  static changes made(Step step) {
    events told;
    step(told);
    changes kinds;
    for (const interface_event& each : told) kinds.push_back(each.what);
    return kinds;
  }
};

TEST_CASE("a message that says nothing new makes no event, and one that changes several things makes one for each") {
  table_under_test table;
  CHECK(table.notified(link_message(RTM_NEWLINK, 2)) == changes{created});
  CHECK(table.notified(link_message(RTM_NEWLINK, 2)).empty());
  CHECK(table.notified(link_message(RTM_NEWLINK, 2, "wan", IFF_UP | IFF_RUNNING)) == changes{renamed, up, running});
  CHECK(table.notified(link_message(RTM_NEWLINK, 2, "wan", IFF_UP)) == changes{stopped});
  CHECK(table.notified(link_message(RTM_NEWLINK, 2, "wan", IFF_UP).hardware(1)) == changes{hardware_address});
  CHECK(table.notified(address_message(RTM_NEWADDR, 1, IFA_F_TENTATIVE)) == changes{address_added});
  CHECK(table.notified(address_message(RTM_NEWADDR, 1, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == changes{address_usable});
  CHECK(table.notified(address_message(RTM_NEWADDR, 1)).empty());
  CHECK(table.notified(address_message(RTM_NEWADDR, 1, IFA_F_TENTATIVE)) == changes{address_unusable});
  CHECK(table.notified(address_message(RTM_NEWADDR, 1, IFA_F_TENTATIVE | IFA_F_DADFAILED)) ==
        changes{address_duplicate});
  CHECK(table.notified(link_message(RTM_DELLINK, 2)) == changes{address_removed, removed});
  CHECK(table.notified(link_message(RTM_DELLINK, 2)).empty());
  CHECK(table.notified(address_message(RTM_DELADDR, 1)).empty());
}

TEST_CASE("of an interface address with a peer the local address counts, whichever of the two comes first") {
  const ip_address::bytes_type own{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const ip_address::bytes_type peer{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
  for (const bool peer_first : {false, true}) {
    netlink_request<ifaddrmsg> message(RTM_NEWADDR, 0);
    message->ifa_family = AF_INET6;
    message->ifa_index = 2;
    if (peer_first) mnl_attr_put(message.message(), IFA_ADDRESS, peer.size(), peer.data());
    mnl_attr_put(message.message(), IFA_LOCAL, own.size(), own.data());
    if (!peer_first) mnl_attr_put(message.message(), IFA_ADDRESS, peer.size(), peer.data());
    const auto found = parse_interface_address(*message.message());
    REQUIRE(found);
    CHECK(found->address == ip_address(own));
  }
}

TEST_CASE("messages of protocol families and of drivers are not about the interface itself") {
  table_under_test table;
  REQUIRE(table.notified(link_message(RTM_NEWLINK, 2)) == changes{created});
  // A port that leaves its bridge: RTM_DELLINK of AF_BRIDGE.
  link_message port(RTM_DELLINK, 2);
  port->ifi_family = AF_BRIDGE;
  CHECK(table.notified(port).empty());
  // An event of a wireless driver has no name.
  CHECK(table.notified(link_message(RTM_NEWLINK, 2, nullptr)).empty());
  CHECK(table.notified(link_message(RTM_NEWLINK, 3, nullptr)).empty());
  CHECK(table.links().size() == 1);
}

TEST_CASE("a listing removes what it does not have, and tells what differs") {
  table_under_test table;
  for (const int index : {2, 3, 4}) (void)table.notified(link_message(RTM_NEWLINK, index));
  for (const int last : {1, 2}) (void)table.notified(address_message(RTM_NEWADDR, static_cast<std::uint8_t>(last)));
  table.begin_listing();
  CHECK(table.listed(link_message(RTM_NEWLINK, 2)).empty());
  CHECK(table.listed(link_message(RTM_NEWLINK, 4, "other")) == changes{renamed});
  CHECK(table.listed(link_message(RTM_NEWLINK, 5)) == changes{created});
  CHECK(table_under_test::made([&](auto& to) { table.end_links(to); }) == changes{removed});
  CHECK(table.listed(address_message(RTM_NEWADDR, 2)).empty());
  CHECK(table_under_test::made([&](auto& to) { table.end_addresses(to); }) == changes{address_removed});
}

TEST_CASE("an address is told after its interface") {
  table_under_test table;
  table.begin_listing();
  CHECK(table.notified(address_message(RTM_NEWADDR, 1)).empty());
  CHECK(table.listed(link_message(RTM_NEWLINK, 2)) == changes{created});
  CHECK(table.listed(address_message(RTM_NEWADDR, 1)) == changes{address_added, address_usable});
}

TEST_CASE("an interface that a listing has with another hardware address is another one") {
  table_under_test table;
  (void)table.notified(link_message(RTM_NEWLINK, 2).hardware(1));
  (void)table.notified(address_message(RTM_NEWADDR, 1));
  table.begin_listing();
  CHECK(table.listed(link_message(RTM_NEWLINK, 2).hardware(2)) == changes{address_removed, removed, created});
  CHECK(table.listed(address_message(RTM_NEWADDR, 1)) == changes{address_added, address_usable});
}

TEST_CASE("a listing does not undo what was notified since it began") {
  table_under_test table;
  for (const int index : {2, 3}) (void)table.notified(link_message(RTM_NEWLINK, index));
  (void)table.notified(address_message(RTM_NEWADDR, 1));
  table.begin_listing();
  CHECK(table.notified(link_message(RTM_NEWLINK, 2, "newer")) == changes{renamed});
  CHECK(table.notified(link_message(RTM_DELLINK, 3)) == changes{removed});
  CHECK(table.notified(link_message(RTM_NEWLINK, 6)) == changes{created});
  CHECK(table.notified(address_message(RTM_DELADDR, 1)) == changes{address_removed});
  // The items were made before that, and arrive after it.
  CHECK(table.listed(link_message(RTM_NEWLINK, 2)).empty());
  CHECK(table.listed(link_message(RTM_NEWLINK, 3)).empty());
  CHECK(table_under_test::made([&](auto& to) { table.end_links(to); }).empty());
  CHECK(table.listed(address_message(RTM_NEWADDR, 1)).empty());
  CHECK(table_under_test::made([&](auto& to) { table.end_addresses(to); }).empty());
  CHECK(table.links().at(2).state.name == "newer");
  CHECK(table.links().size() == 2);
  // What comes back after it was removed is there.
  table.begin_listing();
  (void)table.notified(link_message(RTM_DELLINK, 2));
  CHECK(table.notified(link_message(RTM_NEWLINK, 2)) == changes{created});
  CHECK(table.listed(link_message(RTM_NEWLINK, 2)).empty());
}

TEST_CASE("messages of any octets leave the table whole") {
  std::mt19937 random(21);
  table_under_test table;
  std::vector<interface_event> told;
  for (int round = 0; round < 20'000; ++round) {
    if (round % 7 == 0) table.begin_listing();
    alignas(nlmsghdr) std::array<std::byte, 256> octets{};
    const auto take = [&](auto&& valid) { std::memcpy(octets.data(), valid.message(), valid.message()->nlmsg_len); };
    if (round % 2 == 0) {
      take(link_message(round % 4 == 0 ? RTM_NEWLINK : RTM_DELLINK, 1 + round % 5));
    } else {
      take(address_message(round % 4 == 1 ? RTM_NEWADDR : RTM_DELADDR, static_cast<std::uint8_t>(round % 9)));
    }
    auto* const message = reinterpret_cast<nlmsghdr*>(octets.data());
    for (auto flips = random() % 6; flips > 0; --flips) {
      octets[sizeof(nlmsghdr) + random() % (octets.size() - sizeof(nlmsghdr))] = static_cast<std::byte>(random());
    }
    message->nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) + random() % (octets.size() - sizeof(nlmsghdr)));
    if (round % 11 == 0) message->nlmsg_type = static_cast<std::uint16_t>(RTM_BASE + random() % 60);
    told.clear();
    if (random() % 2 == 0) {
      table.notify(*message, told);
    } else {
      table.list(*message, told);
    }
    for (const interface_event& each : told) CHECK(to_string(each).size() > 3);
  }
  told.clear();
  table.begin_listing();
  table.end_links(told);
  table.end_addresses(told);
  CHECK(table.links().empty());
  CHECK(table.addresses().empty());
}

}  // namespace
