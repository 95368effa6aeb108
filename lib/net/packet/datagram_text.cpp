#include <fmt/format.h>

#include "ipv6/value/names.hpp"
#include "uring6/datagram.hpp"
#include "uring6/error_report.hpp"
#include "uring6/listen_group.hpp"
#include "uring6/read_write_flags.hpp"
#include "uring6/released_packet.hpp"
#include "uring6/shared_batch.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {
namespace {

void append_control(std::string& text, const control_message& control) {
  if (control != control_message()) text += ' ' + to_string(control);
}

// Of a datagram that was read, or that is kept for the next conn.
template <class Received>
std::string text_of(const Received& got) {
  std::string text = fmt::format("from {} octets={}", got.source.to_string(), got.payload.size());
  if (got.truncated) text += fmt::format(" of {}", got.full_length);
  append_control(text, got.control);
  if (got.control_truncated) text += " control_truncated";
  return text;
}

}  // namespace

std::string to_string(const datagram& got) {
  return text_of(got);
}

std::string to_string(const shared_datagram& got) {
  const struct {
    std::span<const std::byte> payload;
    const control_message& control;
    const endpoint& source;
    bool truncated;
    bool control_truncated;
    std::size_t full_length;
  } members{got.payload(), got.control(), got.source(), got.truncated(), got.control_truncated(), got.full_length()};
  return text_of(members);
}

std::string to_string(const kept_datagram& kept) {
  return text_of(kept);
}

std::string to_string(const read_slot& one) {
  return fmt::format("room={} {}", one.buffer.size(), text_of(one.received));
}

std::string to_string(const write_slot& one) {
  std::string text = fmt::format("to {} octets={}", one.destination.to_string(), one.payload.size());
  if (one.segment > 0) text += fmt::format(" segment={}", one.segment);
  append_control(text, one.control);
  if (one.error) text += ": " + one.error.message();
  return text;
}

std::string to_string(const released_packet& of) {
  std::string text = fmt::format("fd={} datagrams={} kernel_drops={}", of.fd, of.datagrams.size(), of.kernel_drops);
  if (of.peer) text += " peer=" + of.peer->to_string();
  return text;
}

std::string to_string(const error_report& told) {
  std::string text =
      fmt::format("to {}: {} ({}", told.destination.to_string(), told.error.message(), to_string(told.origin));
  if (told.origin != error_origin::local) text += fmt::format(" type={} code={}", told.type, told.code);
  if (told.info != 0) text += fmt::format(" info={}", told.info);
  if (told.offender) text += " from=" + told.offender->to_string();
  return text + ')';
}

std::string to_string(const path_mtu_event& news) {
  return fmt::format("mtu={} to {}", news.mtu, news.destination.to_string());
}

std::string to_string(error_origin value) {
  static constexpr detail::named<error_origin> names[] = {
      {error_origin::local, "local"},
      {error_origin::icmp, "icmp"},
      {error_origin::icmp6, "icmp6"},
  };
  return detail::name_of<error_origin>(value, names);
}

std::string to_string(read_flags flags) {
  static constexpr detail::named<read_flags> names[] = {{read_flags::dont_wait, "dont_wait"}};
  return detail::names_of<read_flags>(flags, names);
}

std::string to_string(steering value) {
  static constexpr detail::named<steering> names[] = {
      {steering::flow, "flow"},
      {steering::cpu, "cpu"},
  };
  return detail::name_of<steering>(value, names);
}

std::string to_string(write_flags flags) {
  static constexpr detail::named<write_flags> names[] = {{write_flags::dont_wait, "dont_wait"}};
  return detail::names_of<write_flags>(flags, names);
}

}  // namespace uring6::inline v0
