// A service that keeps a name registered at a server, by datagrams that the network may lose. Both sides are templates
// of datagram_socket: registration.cpp runs them with a packet_conn, registration_test.cpp tests them in memory.
//
// A question is "register NAME NUMBER", its answer "ok NUMBER SECONDS": the lease. The client asks again after 1 s
// without an answer, then after 2 s, 4 s, …, at last every 15 min, and renews the lease when half of it has passed.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <uring6/uring6.hpp>

namespace registration {

namespace u6 = uring6;
using namespace std::chrono_literals;
using time_point = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds first_wait = 1s;
constexpr std::chrono::seconds longest_wait = 15min;
constexpr std::chrono::seconds longest_lease = 30 * 24h;  // so that a wrong answer does not end the service

inline std::span<const std::byte> octets(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline std::string_view text(std::span<const std::byte> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

/// Takes the first word off the text.
inline std::string_view next_word(std::string_view& from) {
  const std::string_view word = from.substr(0, from.find(' '));
  from.remove_prefix(std::min(from.size(), word.size() + 1));
  return word;
}

inline std::optional<std::uint64_t> number(std::string_view word) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size() ? std::optional(value) : std::nullopt;
}

// --- the server ---

/// The names that are registered, each until its lease ends.
using registry = std::map<std::string, time_point, std::less<>>;

/// Answers questions until the socket is closed or the task stopped.
template <u6::datagram_socket Socket>
u6::task<> serve(Socket& socket, std::chrono::seconds lease, registry& names) {
  std::array<std::byte, 512> buffer;
  for (;;) {
    const auto got = co_await socket.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;
    std::string_view question = text(got->payload);
    if (got->truncated || next_word(question) != "register") continue;
    const std::string name(next_word(question));
    const auto asked = number(question);
    if (name.empty() || !asked) continue;
    names[name] = u6::this_task::now() + lease;
    const std::string answer = fmt::format("ok {} {}", *asked, lease.count());
    (void)co_await socket.write_to(octets(answer), got->control.reply(),
                                   got->source);  // if it is lost, it is asked for
  }
}

// --- the client ---

struct status {
  std::uint64_t questions = 0;  // sent
  std::uint64_t answers = 0;    // to the current question
};

/// The lease in the server's answer to question `asked`; nullopt if none comes until `deadline`.
template <u6::datagram_socket Socket>
u6::task<u6::result<std::optional<std::chrono::seconds>>> read_answer(Socket& socket, const u6::endpoint server,
                                                                      std::uint64_t asked, time_point deadline) {
  std::array<std::byte, 512> buffer;
  if (const auto set = socket.set_read_deadline(deadline); !set) co_return u6::fail(set.error());
  for (;;) {
    const auto got = co_await socket.read_from(buffer);
    if (!got && got.error() == u6::errc::deadline_exceeded) co_return std::nullopt;
    if (!got && u6::is_transient(got.error())) continue;  // the deadline ends this loop
    if (!got) co_return u6::fail(got.error());
    if (got->source != server || got->truncated) continue;
    std::string_view answer = text(got->payload);
    if (next_word(answer) != "ok" || number(next_word(answer)) != asked) continue;
    const auto seconds = number(answer);
    if (seconds && *seconds > 0 && *seconds <= std::uint64_t(longest_lease.count())) {
      co_return std::chrono::seconds(*seconds);
    }
  }
}

/// Keeps `name` registered until the socket is closed or the task stopped. Returns why it ended.
template <u6::datagram_socket Socket>
u6::task<std::error_code> keep(Socket& socket, const u6::endpoint server, const std::string name, status& now) {
  for (std::uint64_t asked = 1;; ++asked) {
    const std::string question = fmt::format("register {} {}", name, asked);
    std::optional<std::chrono::seconds> lease;
    for (auto wait = first_wait; !lease; wait = std::min(2 * wait, longest_wait)) {
      const auto sent = co_await socket.write_to(octets(question), server);
      if (!sent && !u6::is_transient(sent.error())) co_return sent.error();
      ++now.questions;
      const auto answer = co_await read_answer(socket, server, asked, u6::this_task::now() + wait);
      if (!answer) co_return answer.error();
      lease = *answer;
    }
    ++now.answers;
    const auto slept = co_await u6::sleep_for(std::max(*lease / 2, first_wait));
    if (!slept) co_return slept.error();
  }
}

}  // namespace registration
