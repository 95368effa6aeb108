#include "harness/peers/address_crowd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "common/addresses.hpp"
#include "common/control.hpp"
#include "common/payload.hpp"

namespace bench {
namespace {

/// A message's one control message: PKTINFO.
struct pktinfo_area {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))> octets{};
};

void write_source(msghdr& message, const in6_addr& source) noexcept {
  const in6_pktinfo info{.ipi6_addr = source, .ipi6_ifindex = 0};
  cmsghdr* const c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = IPPROTO_IPV6;
  c->cmsg_type = IPV6_PKTINFO;
  c->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(c), &info, sizeof info);
}

}  // namespace

address_crowd::address_crowd(std::uint32_t peers, std::size_t size)
    : size_(size),
      socket_(open_at(in6addr_any, 0, SOCK_NONBLOCK)),
      order_(peers),
      question_(std::max(size, sizeof(stamp))),
      expected_(peers),
      last_of_(peers) {
  std::iota(order_.begin(), order_.end(), 0);
  for (std::size_t i = 0; i < question_.size(); ++i) question_[i] = static_cast<std::byte>(i * 7);
  set_option(socket_.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/// A payload that is shorter than a stamp has the stamp's beginning.
void address_crowd::number_question(std::uint64_t number) noexcept {
  std::array<std::byte, sizeof(stamp)> whole;
  write_stamp(whole.data(), size_, number);
  std::memcpy(question_.data(), whole.data(), std::min(size_, whole.size()));
}

void address_crowd::ask(std::uint16_t port, std::uint64_t count) {
  first_ += asked_.size();
  asked_.assign(1, {});
  std::fill(expected_.begin(), expected_.end(), 0);
  sockaddr_in6 to = loopback(port);
  iovec vector{question_.data(), size_};
  pktinfo_area area;
  msghdr message{.msg_name = &to,
                 .msg_namelen = sizeof to,
                 .msg_iov = &vector,
                 .msg_iovlen = 1,
                 .msg_control = area.octets.data(),
                 .msg_controllen = area.octets.size(),
                 .msg_flags = 0};
  for (std::uint64_t i = 0; i < count; ++i) {
    if (next_in_order_ == 0) std::shuffle(order_.begin(), order_.end(), random_);
    const std::uint32_t peer = order_[next_in_order_];
    next_in_order_ = (next_in_order_ + 1) % order_.size();
    const auto number = static_cast<std::uint32_t>(asked_.size());
    (expected_[peer] == 0 ? expected_[peer] : asked_[last_of_[peer]].next) = number;
    last_of_[peer] = number;
    asked_.push_back({.peer = peer, .next = 0});
    number_question(first_ + number);
    write_source(message, address_of(peer));
    check(::sendmsg(socket_.get(), &message, 0), "sendmsg from an address of bench/growth");
  }
  account_ = {.sent = count, .received = 0, .dropped = 0, .bad = 0};
}

loss_account address_crowd::collect(std::chrono::milliseconds most, idle meanwhile) {
  for (answer_deadline left(most, meanwhile); account_.received < account_.sent;) {
    if (take())
      left.renew();
    else if (!left.wait(socket_.get()))
      break;
  }
  return account_;
}

bool address_crowd::take() {
  iovec vector{room_.data(), room_.size()};
  pktinfo_area area;
  msghdr message{.msg_name = nullptr,
                 .msg_namelen = 0,
                 .msg_iov = &vector,
                 .msg_iovlen = 1,
                 .msg_control = area.octets.data(),
                 .msg_controllen = area.octets.size(),
                 .msg_flags = 0};
  const auto size = ::recvmsg(socket_.get(), &message, 0);
  if (size < 0 && errno == EAGAIN) return false;
  check(size, "recvmsg");
  ++account_.received;
  if (!is_expected(number_of(parse_control(message).destination), static_cast<std::size_t>(size))) ++account_.bad;
  return true;
}

bool address_crowd::is_expected(std::uint32_t peer, std::size_t size) {
  if (peer >= expected_.size() || expected_[peer] == 0) return false;
  const std::uint32_t number = expected_[peer];
  expected_[peer] = asked_[number].next;
  if (size != size_) return false;
  number_question(first_ + number);
  const bool whole = number % full_check_interval == 0;
  return std::memcmp(room_.data(), question_.data(), whole ? size : std::min(size, sizeof(stamp))) == 0;
}

}  // namespace bench
