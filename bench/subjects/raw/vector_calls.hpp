// recvmmsg and sendmmsg, as servers in plain C call them.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <span>

#include "common/socket.hpp"

namespace bench::raw {

/// UIO_MAXIOV: the kernel takes no more messages in one sendmmsg.
constexpr std::size_t most_messages = 1024;

/// Waits for a message, takes those that are there as well, and returns how many it has.
inline std::size_t receive_waiting(int fd, std::span<mmsghdr> into) {
  const auto wanted = static_cast<unsigned>(into.size());
  return static_cast<std::size_t>(check(::recvmmsg(fd, into.data(), wanted, MSG_WAITFORONE, nullptr), "recvmmsg"));
}

/// Sends at most `at_once` messages by one call; returns when the kernel has taken all of them.
inline void send_all(int fd, std::span<mmsghdr> messages, std::size_t at_once = most_messages) {
  while (!messages.empty()) {
    const auto now = static_cast<unsigned>(std::min(at_once, messages.size()));
    messages = messages.subspan(static_cast<std::size_t>(check(::sendmmsg(fd, messages.data(), now, 0), "sendmmsg")));
  }
}

}  // namespace bench::raw
