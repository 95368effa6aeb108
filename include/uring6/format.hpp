// fmt formatters for the values: fmt::print("{}", datagram.control). Header-only, for fmt 9 and later.
//
// They take the format specifications of a string, so that "{:<24}" makes columns.
#pragma once

#include "uring6/version.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "uring6/address.hpp"
#include "uring6/bpf/format.hpp"
#include "uring6/control_message.hpp"
#include "uring6/detail/text_formatter.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp/format.hpp"
#include "uring6/interface.hpp"
#include "uring6/probe.hpp"
#include "uring6/stats.hpp"

namespace uring6::format_detail {

/// Formats a value as the text that `write(value, out)` appends to `out`, padded as a string is. The string formatter
/// is a member and not a base: with a base fmt's ranges would call its set_debug_format and write quotation marks.
template <class Value, auto write>
class by_appending {
 public:
  constexpr auto parse(fmt::format_parse_context& context) { return string_.parse(context); }

  template <class Context>
  auto format(const Value& value, Context& context) const {
    fmt::memory_buffer text;
    write(value, text);
    return string_.format(fmt::string_view(text.data(), text.size()), context);
  }

 private:
  fmt::formatter<fmt::string_view> string_;
};

inline void write_address(const ip_address& address, fmt::memory_buffer& out) {
  const std::string text = address.to_string();
  out.append(text.data(), text.data() + text.size());
}

inline void write_endpoint(const endpoint& end, fmt::memory_buffer& out) {
  const std::string text = end.to_string();
  out.append(text.data(), text.data() + text.size());
}

inline void write_flags(control_flags flags, fmt::memory_buffer& out) {
  using named_flag = std::pair<control_flags, std::string_view>;
  constexpr std::array<named_flag, 7> names{{
      {control_flags::traffic_class, "traffic_class"},
      {control_flags::hop_limit, "hop_limit"},
      {control_flags::source, "source"},
      {control_flags::destination, "destination"},
      {control_flags::interface, "interface"},
      {control_flags::path_mtu, "path_mtu"},
      {control_flags::timestamp, "timestamp"},
  }};
  const auto separate = [&out] {
    if (out.size() != 0) out.push_back('|');
  };
  for (const auto& [flag, name] : names) {
    if (!has_any(flags, flag)) continue;
    separate();
    out.append(name.data(), name.data() + name.size());
    flags &= ~flag;
  }
  if (flags != control_flags::none) {
    separate();
    fmt::format_to(std::back_inserter(out), "{:#x}", static_cast<std::uint32_t>(flags));
  }
  if (out.size() == 0) fmt::format_to(std::back_inserter(out), "none");
}

}  // namespace uring6::format_detail

/// RFC 5952 text: `ip_address::to_string`.
template <>
struct fmt::formatter<uring6::ip_address>
    : uring6::format_detail::by_appending<uring6::ip_address, uring6::format_detail::write_address> {};

/// "[2001:db8::1]:53": `endpoint::to_string`.
template <>
struct fmt::formatter<uring6::endpoint>
    : uring6::format_detail::by_appending<uring6::endpoint, uring6::format_detail::write_endpoint> {};

/// "traffic_class|hop_limit", "none"; bits without a name as one hexadecimal number.
template <>
struct fmt::formatter<uring6::control_flags>
    : uring6::format_detail::by_appending<uring6::control_flags, uring6::format_detail::write_flags> {};

namespace uring6::format_detail {

inline void write_control_message(const control_message& message, fmt::memory_buffer& out) {
  const auto field = [&out](fmt::string_view how, const auto& value) {
    if (!value) return;
    if (out.size() != 0) out.push_back(' ');
    fmt::format_to(std::back_inserter(out), fmt::runtime(how), *value);
  };
  field("tclass={:#x}", message.traffic_class);
  field("hoplim={}", message.hop_limit);
  field("src={}", message.source);
  field("dst={}", message.destination);
  field("ifindex={}", message.interface_index);
  field("nexthop={}", message.next_hop);
  field("mtu={}", message.path_mtu);
  if (message.received_at) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*message.received_at);
    if (out.size() != 0) out.push_back(' ');
    fmt::format_to(std::back_inserter(out), "time={}.{:09}", seconds.time_since_epoch().count(),
                   (*message.received_at - seconds).count());
  }
  if (out.size() == 0) fmt::format_to(std::back_inserter(out), "none");
}

}  // namespace uring6::format_detail

/// The fields that are set, in Go's order: "tclass=0x28 hoplim=64 src=::1 dst=ff01::114 ifindex=2", and the time of
/// arrival in seconds since 1970: "time=1700000000.000000001". "none" without a field.
template <>
struct fmt::formatter<uring6::control_message>
    : uring6::format_detail::by_appending<uring6::control_message, uring6::format_detail::write_control_message> {};

/// All fields in Go's order: `to_string(header)`.
template <>
struct fmt::formatter<uring6::header> : uring6::detail::text_formatter<uring6::header> {};

/// Lines of "name  value": `to_string(report)`.
template <>
struct fmt::formatter<uring6::probe_report> : uring6::detail::text_formatter<uring6::probe_report> {};

namespace uring6::format_detail {

inline void write_protocol(ip_protocol protocol, fmt::memory_buffer& out) {
  const std::string_view name = to_string(protocol);
  if (name.empty()) {
    fmt::format_to(std::back_inserter(out), "{}", static_cast<unsigned>(protocol));
  } else {
    out.append(name.data(), name.data() + name.size());
  }
}

}  // namespace uring6::format_detail

/// "ipv6-icmp", "udp"; the number of a protocol without a name.
template <>
struct fmt::formatter<uring6::ip_protocol>
    : uring6::format_detail::by_appending<uring6::ip_protocol, uring6::format_detail::write_protocol> {};

namespace uring6::format_detail {

template <class Value>
void write_text(const Value& value, fmt::memory_buffer& out) {
  const std::string text = to_string(value);
  out.append(text.data(), text.data() + text.size());
}

}  // namespace uring6::format_detail

/// "up|broadcast|multicast|running": `to_string(interface_flags)`.
template <>
struct fmt::formatter<uring6::interface_flags>
    : uring6::format_detail::by_appending<uring6::interface_flags,
                                          uring6::format_detail::write_text<uring6::interface_flags>> {};

/// "permanent|deprecated": `to_string(address_flags)`.
template <>
struct fmt::formatter<uring6::address_flags>
    : uring6::format_detail::by_appending<uring6::address_flags,
                                          uring6::format_detail::write_text<uring6::address_flags>> {};

/// "fe80::1%eth0/64": `to_string(interface_address)`.
template <>
struct fmt::formatter<uring6::interface_address>
    : uring6::format_detail::by_appending<uring6::interface_address,
                                          uring6::format_detail::write_text<uring6::interface_address>> {};

/// "2: eth0 <up|broadcast|multicast|running> mtu 1500 02:00:5e:10:00:01": `to_string(interface)`.
template <>
struct fmt::formatter<uring6::interface>
    : uring6::format_detail::by_appending<uring6::interface, uring6::format_detail::write_text<uring6::interface>> {};

/// Statistics: "{}" for the line of `to_string`, with the format specification of a string, "{:j}" for `to_json`.
template <uring6::has_counters Stats>
struct fmt::formatter<Stats, char> {
  constexpr auto parse(fmt::format_parse_context& context) {
    const auto begin = context.begin();
    if (begin == context.end() || *begin != 'j') return text_.parse(context);
    json_ = true;
    const auto end = std::next(begin);
    if (end != context.end() && *end != '}') throw fmt::format_error("invalid format specifier: j stands alone");
    return end;
  }

  template <class Context>
  auto format(const Stats& stats, Context& context) const {
    const std::string text = json_ ? uring6::to_json(stats) : uring6::to_string(stats);
    return text_.format(fmt::string_view(text.data(), text.size()), context);
  }

 private:
  fmt::formatter<fmt::string_view> text_;
  bool json_ = false;
};

#include "uring6/detail/value_formatters.hpp"
