#include "support/machine/link_control.hpp"

#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "sys/interface/netlink.hpp"

namespace uring6::test {
namespace {

void ask(nlmsghdr* request, const char* what) {
  const result<void> done = netlink_ask(request, [](const nlmsghdr&) {});
  if (!done) throw std::system_error(done.error(), what);
}

void put_address(nlmsghdr* request, const ip_address& address) {
  const std::size_t skipped = address.is_v4_mapped() ? 12 : 0;
  mnl_attr_put(request, IFA_LOCAL, address.bytes().size() - skipped, address.bytes().data() + skipped);
}

netlink_request<ifaddrmsg>& fill(netlink_request<ifaddrmsg>& request, std::uint32_t index, const ip_address& address,
                                 std::uint8_t prefix_length) {
  request->ifa_family = address.is_v4_mapped() ? AF_INET : AF_INET6;
  request->ifa_prefixlen = prefix_length;
  request->ifa_index = index;
  put_address(request.message(), address);
  return request;
}

file_descriptor open_sysctl(const std::string& path, int mode) {
  file_descriptor file(::open(("/proc/sys/" + path).c_str(), mode | O_CLOEXEC));
  if (!file) throw std::system_error(errno, std::system_category(), path);
  return file;
}

}  // namespace

void set_link(std::uint32_t index, link_state state) {
  netlink_request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK);
  request->ifi_index = static_cast<int>(index);
  request->ifi_change = IFF_UP;
  request->ifi_flags = state == link_state::up ? IFF_UP : 0;
  ask(request.message(), "ip link set");
}

bool is_operational(std::uint32_t index) {
  constexpr std::uint8_t operational = 6;  // IF_OPER_UP of linux/if.h, which conflicts with net/if.h
  netlink_request<ifinfomsg> request(RTM_GETLINK, NLM_F_ACK);
  request->ifi_index = static_cast<int>(index);
  bool up = false;
  const result<void> done = netlink_ask(request.message(), [&](const nlmsghdr& answer) {
    for_each_attribute<ifinfomsg>(answer, [&](std::uint16_t type, std::span<const std::byte> value) {
      if (type == IFLA_OPERSTATE) up = attribute_as<std::uint8_t>(value) == operational;
    });
  });
  if (!done) throw std::system_error(done.error(), "ip link show");
  return up;
}

void delete_link(std::uint32_t index) {
  netlink_request<ifinfomsg> request(RTM_DELLINK, NLM_F_ACK);
  request->ifi_index = static_cast<int>(index);
  ask(request.message(), "ip link delete");
}

void rename_link(std::uint32_t index, const std::string& name) {
  netlink_request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK);
  request->ifi_index = static_cast<int>(index);
  mnl_attr_put_strz(request.message(), IFLA_IFNAME, name.c_str());
  ask(request.message(), "ip link set name");
}

void set_mtu(std::uint32_t index, std::uint32_t mtu) {
  netlink_request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK);
  request->ifi_index = static_cast<int>(index);
  mnl_attr_put_u32(request.message(), IFLA_MTU, mtu);
  ask(request.message(), "ip link set mtu");
}

void move_link(std::uint32_t index, const network_namespace& to) {
  netlink_request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK);
  request->ifi_index = static_cast<int>(index);
  mnl_attr_put_u32(request.message(), IFLA_NET_NS_FD, static_cast<std::uint32_t>(to.fd()));
  ask(request.message(), "ip link set netns");
}

void add_alternative_name(std::uint32_t index, const std::string& name) {
  netlink_request<ifinfomsg> request(RTM_NEWLINKPROP, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND);
  request->ifi_index = static_cast<int>(index);
  nlattr* names = mnl_attr_nest_start(request.message(), IFLA_PROP_LIST | NLA_F_NESTED);
  mnl_attr_put_strz(request.message(), IFLA_ALT_IFNAME, name.c_str());
  mnl_attr_nest_end(request.message(), names);
  ask(request.message(), "ip link property add altname");
}

void create_veth(const std::string& name, const network_namespace& far, const std::string& far_name,
                 std::uint32_t index) {
  netlink_request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  request->ifi_index = static_cast<int>(index);
  nlmsghdr* message = request.message();
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, far_name.c_str());
  mnl_attr_put_u32(message, IFLA_NET_NS_FD, static_cast<std::uint32_t>(far.fd()));
  mnl_attr_nest_end(message, peer);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
  ask(message, "ip link add type veth");
}

namespace {

void put_new_address(std::uint16_t flags_of_request, std::uint32_t index, const ip_address& address,
                     std::uint8_t prefix_length, address_options options, const char* what) {
  netlink_request<ifaddrmsg> request(RTM_NEWADDR, static_cast<std::uint16_t>(NLM_F_ACK | flags_of_request));
  fill(request, index, address, prefix_length);
  ifa_cacheinfo info{};
  info.ifa_prefered = options.preferred;
  info.ifa_valid = options.valid;
  mnl_attr_put(request.message(), IFA_CACHEINFO, sizeof info, &info);
  const std::uint32_t flags =
      (options.prove_unique ? 0U : IFA_F_NODAD) | (options.make_temporary ? IFA_F_MANAGETEMPADDR : 0U);
  mnl_attr_put_u32(request.message(), IFA_FLAGS, flags);
  ask(request.message(), what);
}

}  // namespace

void add_address(std::uint32_t index, const ip_address& address, std::uint8_t prefix_length, address_options options) {
  put_new_address(NLM_F_CREATE | NLM_F_EXCL, index, address, prefix_length, options, "ip addr add");
}

void change_address(std::uint32_t index, const ip_address& address, std::uint8_t prefix_length,
                    address_options options) {
  put_new_address(NLM_F_REPLACE, index, address, prefix_length, options, "ip addr change");
}

void delete_address(std::uint32_t index, const ip_address& address, std::uint8_t prefix_length) {
  netlink_request<ifaddrmsg> request(RTM_DELADDR, NLM_F_ACK);
  ask(fill(request, index, address, prefix_length).message(), "ip addr delete");
}

void add_route(std::uint32_t index, const ip_address& destination, std::uint8_t prefix_length,
               const ip_address& router) {
  netlink_request<rtmsg> request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  request->rtm_family = AF_INET6;
  request->rtm_dst_len = prefix_length;
  request->rtm_table = RT_TABLE_MAIN;
  request->rtm_protocol = RTPROT_STATIC;
  request->rtm_scope = RT_SCOPE_UNIVERSE;
  request->rtm_type = RTN_UNICAST;
  nlmsghdr* message = request.message();
  mnl_attr_put(message, RTA_DST, destination.bytes().size(), destination.bytes().data());
  mnl_attr_put(message, RTA_GATEWAY, router.bytes().size(), router.bytes().data());
  mnl_attr_put_u32(message, RTA_OIF, index);
  ask(message, "ip route add");
}

namespace {

std::uint8_t type_of(dead_route kind) {
  switch (kind) {
    case dead_route::blackhole:
      return RTN_BLACKHOLE;
    case dead_route::unreachable:
      return RTN_UNREACHABLE;
    case dead_route::prohibit:
      break;
  }
  return RTN_PROHIBIT;
}

void change_dead_route(std::uint16_t how, std::uint16_t flags, dead_route kind, const ip_address& destination,
                       std::uint8_t prefix_length, const char* what) {
  netlink_request<rtmsg> request(how, flags);
  request->rtm_family = AF_INET6;
  request->rtm_dst_len = prefix_length;
  request->rtm_table = RT_TABLE_MAIN;
  request->rtm_protocol = RTPROT_STATIC;
  request->rtm_scope = RT_SCOPE_UNIVERSE;
  request->rtm_type = type_of(kind);
  nlmsghdr* message = request.message();
  mnl_attr_put(message, RTA_DST, destination.bytes().size(), destination.bytes().data());
  ask(message, what);
}

}  // namespace

void add_dead_route(dead_route kind, const ip_address& destination, std::uint8_t prefix_length) {
  change_dead_route(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, kind, destination, prefix_length,
                    "ip route add, of one that kills packets");
}

void delete_dead_route(dead_route kind, const ip_address& destination, std::uint8_t prefix_length) {
  change_dead_route(RTM_DELROUTE, NLM_F_ACK, kind, destination, prefix_length,
                    "ip route delete, of one that kills packets");
}

void forget_path_mtu(const ip_address& destination) {
  netlink_request<rtmsg> request(RTM_DELROUTE, NLM_F_ACK);
  request->rtm_family = AF_INET6;
  request->rtm_dst_len = 128;
  request->rtm_table = RT_TABLE_MAIN;
  request->rtm_scope = RT_SCOPE_NOWHERE;  // any
  request->rtm_flags = RTM_F_CLONED;      // only what the kernel has learned beside the routes
  nlmsghdr* message = request.message();
  mnl_attr_put(message, RTA_DST, destination.bytes().size(), destination.bytes().data());
  ask(message, "ip route flush cache");
}

void limit_rate(std::uint32_t index, std::uint32_t rate) {
  netlink_request<tcmsg> request(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  request->tcm_family = AF_UNSPEC;
  request->tcm_ifindex = static_cast<int>(index);
  request->tcm_parent = TC_H_ROOT;
  nlmsghdr* message = request.message();
  mnl_attr_put_strz(message, TCA_KIND, "tbf");
  nlattr* options = mnl_attr_nest_start(message, TCA_OPTIONS);
  tc_tbf_qopt shape{};
  shape.rate.rate = rate;
  shape.rate.linklayer = TC_LINKLAYER_ETHERNET;
  shape.limit = 10'000'000;
  mnl_attr_put(message, TCA_TBF_PARMS, sizeof shape, &shape);
  mnl_attr_put_u32(message, TCA_TBF_BURST, 3'000);
  mnl_attr_nest_end(message, options);
  ask(message, "tc qdisc replace tbf");
}

void drop_queue(std::uint32_t index) {
  netlink_request<tcmsg> request(RTM_DELQDISC, NLM_F_ACK);
  request->tcm_family = AF_UNSPEC;
  request->tcm_ifindex = static_cast<int>(index);
  request->tcm_parent = TC_H_ROOT;
  ask(request.message(), "tc qdisc delete");
}

void write_sysctl(const std::string& path, const std::string& value) {
  const file_descriptor file = open_sysctl(path, O_WRONLY);
  if (::write(file.get(), value.data(), value.size()) < 0) {
    throw std::system_error(errno, std::system_category(), path);
  }
}

long read_sysctl(const std::string& path) {
  const file_descriptor file = open_sysctl(path, O_RDONLY);
  std::array<char, 64> text{};
  if (::read(file.get(), text.data(), text.size() - 1) < 0) {
    throw std::system_error(errno, std::system_category(), path);
  }
  return std::stol(text.data());
}

}  // namespace uring6::test
