#include "sys/interface/network_watch.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <cassert>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0 {
namespace {

// Octets: the kernel makes answers of up to 32 KiB for a socket that reads with such a buffer. A notification is
// shorter.
constexpr std::size_t message_room = 32 * 1024;

constexpr std::uint32_t bit_of(rtnetlink_groups group) noexcept {
  return 1U << (static_cast<unsigned>(group) - 1);
}

// Binds the socket to the groups of notifications, and to a port that the kernel chooses. Returns the port.
result<std::uint32_t> bind_to_groups(int fd, bool routes) noexcept {
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_groups = bit_of(RTNLGRP_LINK) | bit_of(RTNLGRP_IPV4_IFADDR) | bit_of(RTNLGRP_IPV6_IFADDR);
  if (routes) name.nl_groups |= bit_of(RTNLGRP_IPV4_ROUTE) | bit_of(RTNLGRP_IPV6_ROUTE);
  socklen_t length = sizeof name;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&name), length) != 0) return fail_errno(errno);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return fail_errno(errno);
  return name.nl_pid;
}

// Asks for notifications of IPv6 groups. A kernel before 6.14 has none, and refuses it: then the watch goes without.
void follow_groups(int fd) noexcept {
  constexpr int ipv6_groups = 38;  // RTNLGRP_IPV6_MCADDR, which older headers do not define
  (void)::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &ipv6_groups, sizeof ipv6_groups);
}

// Notifications come for all processes, so a send by another process must not pass for one: it fails with ECONNREFUSED
// once the socket is connected to the kernel, which has port 0.
result<void> refuse_other_senders(int fd) noexcept {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) != 0) return fail_errno(errno);
  return {};
}

result<void> send_request(int fd, nlmsghdr* request, std::uint32_t sequence) noexcept {
  request->nlmsg_seq = sequence;
  if (::send(fd, request, request->nlmsg_len, MSG_DONTWAIT) < 0) return fail_errno(errno);
  return {};
}

}  // namespace

result<network_watch> network_watch::open(const network_watch_options& options) {
  if (!std::in_range<std::int64_t>(options.receive_buffer)) return fail(errc::out_of_range);
  result<file_descriptor> fd = open_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (!fd) return fail(fd.error());
  if (options.receive_buffer != 0) {
    const auto set = set_receive_buffer(fd->get(), static_cast<std::int64_t>(options.receive_buffer));
    if (!set) return fail(set.error());
  }
  const result<std::uint32_t> port = bind_to_groups(fd->get(), options.routes);
  if (!port) return fail(port.error());
  if (options.groups) follow_groups(fd->get());
  if (const auto connected = refuse_other_senders(fd->get()); !connected) return fail(connected.error());
  return network_watch(*std::move(fd), *port, options.groups);
}

network_watch::network_watch(file_descriptor fd, std::uint32_t port, bool groups)
    : fd_(std::move(fd)), port_(port), with_groups_(groups), buffer_(message_room) {}

result<watch_progress> network_watch::read(std::vector<interface_event>& to) {
  group_changes_.clear();
  sockaddr_nl sender{};
  iovec place{buffer_.data(), buffer_.size()};
  msghdr received{};
  received.msg_name = &sender;
  received.msg_namelen = sizeof sender;
  received.msg_iov = &place;
  received.msg_iovlen = 1;
  const ssize_t size = ::recvmsg(fd(), &received, MSG_DONTWAIT);
  if (size < 0) {
    switch (errno) {
      case EAGAIN:
        return at_empty_socket(to);
      case ENOBUFS:
        ++stats_.overruns;
        list_anew();
        return watch_progress::more;
      case EINTR:
        return watch_progress::more;
      default:
        return fail_errno(errno);
    }
  }
  // What reached the socket between its bind and its connect may be another process's.
  if (received.msg_namelen != sizeof sender || sender.nl_pid != 0) return watch_progress::more;
  if ((received.msg_flags & MSG_TRUNC) != 0) {
    list_anew();
  } else {
    take(static_cast<std::size_t>(size), to);
  }
  return watch_progress::more;
}

watch_progress network_watch::at_empty_socket(std::vector<interface_event>& to) {
  // The kernel makes the next part of a listing when the program reads the last one: an empty socket says that it gave
  // up.
  if (step_ != step::none) fail_listing();
  if (std::exchange(is_pause_due_, false)) return watch_progress::pause;
  if (!must_list_) return watch_progress::nothing;
  if (!told_overrun_) {
    to.push_back({.what = interface_change::overrun});
    ++stats_.events;
    told_overrun_ = true;
  }
  table_.begin_listing();
  groups_.clear();
  was_interrupted_ = must_list_ = false;
  if (const auto asked = ask(step::links); !asked) fail_listing();
  return watch_progress::more;
}

result<void> network_watch::ask(step what) noexcept {
  step_ = what;
  ++sequence_;
  switch (what) {
    case step::links: {
      netlink_request<ifinfomsg> request(RTM_GETLINK, NLM_F_DUMP);
      mnl_attr_put_u32(request.message(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
      return send_request(fd(), request.message(), sequence_);
    }
    case step::addresses: {
      netlink_request<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP);
      return send_request(fd(), request.message(), sequence_);
    }
    case step::groups: {
      netlink_request<ifaddrmsg> request(RTM_GETMULTICAST, NLM_F_DUMP);
      request->ifa_family = AF_INET6;
      return send_request(fd(), request.message(), sequence_);
    }
    case step::none:
      break;
  }
  assert(false && "a step that asks for nothing");
  return {};
}

void network_watch::take(std::size_t size, std::vector<interface_event>& to) {
  assert(size <= buffer_.size());
  const std::size_t before = to.size();
  const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
  auto left = static_cast<int>(size);
  for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
    ++stats_.messages;
    // A notification carries the port and the number of the request that made the change: another socket's.
    if (message->nlmsg_pid != port_) {
      table_.notify(*message, to);
      if (message->nlmsg_type == group_joined_message || message->nlmsg_type == group_left_message) {
        const auto of = parse_group(*message);
        if (of) group_changes_.push_back({*of, message->nlmsg_type == group_joined_message});
      }
    } else if (message->nlmsg_seq == sequence_ && step_ != step::none) {
      take_part(*message, to);
    }
  }
  stats_.events += to.size() - before;
}

void network_watch::take_part(const nlmsghdr& message, std::vector<interface_event>& to) {
  was_interrupted_ |= (message.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
  switch (message.nlmsg_type) {
    case NLMSG_ERROR:
      // EBUSY: the last listing, which was given up, has not ended yet.
      return fail_listing();
    case NLMSG_DONE: {
      const auto* outcome = netlink_header<int>(message);
      if (was_interrupted_ || (outcome != nullptr && *outcome < 0)) {
        ++stats_.interrupted;
        return fail_listing();
      }
      return end_step(to);
    }
    default:
      if (step_ != step::groups) return table_.list(message, to);
      if (const auto found = parse_group(message)) groups_.push_back(*found);
  }
}

void network_watch::end_step(std::vector<interface_event>& to) {
  step next = step::none;
  if (step_ == step::links) {
    table_.end_links(to);
    next = step::addresses;
  } else if (step_ == step::addresses) {
    table_.end_addresses(to);
    if (with_groups_) next = step::groups;
  }
  if (next != step::none) {
    if (const auto asked = ask(next); !asked) fail_listing();
    return;
  }
  std::ranges::sort(groups_);
  to.push_back({.what = interface_change::synchronized});
  step_ = step::none;
  failures_ = 0;
  ++stats_.dumps;
}

void network_watch::list_anew() noexcept {
  step_ = step::none;
  must_list_ = true;
  told_overrun_ = stats_.dumps == 0;  // the program has not been told of anything that could differ
}

void network_watch::fail_listing() noexcept {
  step_ = step::none;
  must_list_ = is_pause_due_ = true;
  ++failures_;
}

std::chrono::milliseconds network_watch::pause() const noexcept {
  constexpr std::uint32_t longest = 20;
  return std::chrono::milliseconds(std::clamp(failures_, 1U, longest));
}

bool network_watch::listed(const listed_group& which) const noexcept {
  return std::ranges::binary_search(groups_, which);
}

std::uint64_t network_watch::network_namespace() const noexcept {
  return network_namespace_of(fd()).value_or(0);
}

}  // namespace uring6::inline v0
