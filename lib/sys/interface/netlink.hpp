// Requests to the kernel over rtnetlink, and their answers.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// A request under construction: a message header, the family's own header `Header`, then attributes put
/// there by mnl_attr_put_*.
template <class Header>
class netlink_request {
 public:
  netlink_request(std::uint16_t type, std::uint16_t flags) noexcept
      : message_(mnl_nlmsg_put_header(bytes_.data())),
        header_(static_cast<Header*>(mnl_nlmsg_put_extra_header(message_, sizeof(Header)))) {
    message_->nlmsg_type = type;
    message_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  }
  netlink_request(const netlink_request&) = delete;
  netlink_request& operator=(const netlink_request&) = delete;

  [[nodiscard]] nlmsghdr* message() noexcept { return message_; }
  Header* operator->() noexcept { return header_; }

 private:
  alignas(nlmsghdr) std::array<std::byte, 1024> bytes_{};
  nlmsghdr* message_;
  Header* header_;
};

/// Sends `request` on a socket of its own and hands every answer to `each`, up to the end of a dump or the
/// acknowledgement: so a request that is not a dump needs NLM_F_ACK. Ignores messages that do not come from the
/// kernel's port (nl_pid 0), or have the number of another request or the port of another socket. Errors: the kernel's.
/// EINTR: the table changed during a dump; ENOBUFS: the socket's buffer overflowed. In both cases answers may be
/// missing.
result<void> netlink_ask(nlmsghdr* request, const std::function<void(const nlmsghdr&)>& each);

/// Makes a dump and returns the items that `parse` (const nlmsghdr& -> std::optional<Item>) finds in its answers. A
/// dump during which the table changed is repeated; EAGAIN if that happened 100 times, in half a second.
template <class Item, class Parse>
result<std::vector<Item>> netlink_dump(nlmsghdr* request, Parse parse) {
  constexpr int attempts = 100;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    // Waits for the end of a burst of changes: such bursts are common (each of a thousand addresses becomes usable on
    // its own).
    if (attempt > 1) std::this_thread::sleep_for(attempt * std::chrono::microseconds(100));
    std::vector<Item> items;
    const result<void> asked = netlink_ask(request, [&](const nlmsghdr& answer) {
      if (std::optional<Item> item = parse(answer)) items.push_back(*std::move(item));
    });
    if (asked) return items;
    if (asked.error() != std::errc::interrupted) return fail(asked.error());
  }
  return fail(std::errc::resource_unavailable_try_again);
}

/// The family's header of an answer; nullptr if the answer is too short for it.
template <class Header>
const Header* netlink_header(const nlmsghdr& answer) noexcept {
  if (mnl_nlmsg_get_payload_len(&answer) < sizeof(Header)) return nullptr;
  return static_cast<const Header*>(mnl_nlmsg_get_payload(&answer));
}

/// Calls `each` with the type and the bytes of every attribute behind the header.
template <class Header, class Each>
void for_each_attribute(const nlmsghdr& answer, Each each) {
  // mnl_attr_for_each does not compile as C++.
  const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&answer, sizeof(Header)));
  const auto* end = static_cast<const std::byte*>(mnl_nlmsg_get_payload_tail(&answer));
  const auto left = [&] { return static_cast<int>(end - reinterpret_cast<const std::byte*>(attribute)); };
  for (; mnl_attr_ok(attribute, left()); attribute = mnl_attr_next(attribute)) {
    each(mnl_attr_get_type(attribute), std::span(static_cast<const std::byte*>(mnl_attr_get_payload(attribute)),
                                                 mnl_attr_get_payload_len(attribute)));
  }
}

/// The value at the start of an attribute's bytes; nothing if they are too few.
template <class T>
std::optional<T> attribute_as(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace uring6::inline v0
