// fmt formatters for the values: fmt::print("{}", datagram.control). Header-only, for fmt 9 and later.
//
// Each prints the text of `to_string` (uring6/text.hpp, and the headers of the values). They take the format
// specifications of a string, so that "{:<24}" makes columns. A program includes the header of the value, too.
#pragma once

#include "uring6/version.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string>

#include "uring6/address.hpp"
#include "uring6/bpf/format.hpp"
#include "uring6/control_message.hpp"
#include "uring6/detail/exceptions.hpp"
#include "uring6/detail/text_formatter.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp/format.hpp"
#include "uring6/interface.hpp"
#include "uring6/metrics.hpp"
#include "uring6/probe.hpp"
#include "uring6/resolve.hpp"
#include "uring6/stats.hpp"
#include "uring6/tasks.hpp"
#include "uring6/text.hpp"
#include "uring6/turn_times.hpp"

namespace uring6::inline v0::detail {

template <class T>
concept value_with_text =
    one_of<T, ip_address, endpoint, multicast_scope, address_scope, peer_family, ipv6_header, fragment_header,
           extension_header, upper_layer, icmp_filter, control_flags, control_message, datagram, read_slot, write_slot,
           kept_datagram, released_packet, error_report, error_origin, path_mtu_event, read_flags, write_flags,
           steering, loop_driver, loop_clock, group_source, group_membership, interface, interface_address,
           interface_flags, address_flags, keep_alive, released_tcp, stream_half, poll_events, signal_event,
           inherited_socket, probe_report, errc, resolve_errc, resolve_options::family, task_state, task_info,
           metrics_format, time_histogram, turn_times> ||
    one_of<T, interface_change, interface_name, interface_event, filter_mode, source_filter, kept_membership,
           shared_datagram, when_behind> ||
    one_of<T, bpf::reg, bpf::width, bpf::alu_op, bpf::jump_test, bpf::extension, bpf::packet_metadata, bpf::errc> ||
    one_of<T, icmp::option_type, icmp::interface_role, icmp::interface_by_name, icmp::interface_by_index,
           icmp::interface_by_address, icmp::mpls_label>;

}  // namespace uring6::inline v0::detail

template <uring6::detail::value_with_text T>
struct fmt::formatter<T, char> : uring6::detail::text_formatter<T> {};

/// "ipv6-icmp", "udp"; the number of a protocol without a name.
template <>
struct fmt::formatter<uring6::ip_protocol> : uring6::detail::words_formatter<uring6::ip_protocol> {};

/// Statistics: "{}" for the line of `to_string`, with the format specification of a string, "{:j}" for `to_json`.
template <uring6::has_counters Stats>
struct fmt::formatter<Stats, char> {
  constexpr auto parse(fmt::format_parse_context& context) {
    const auto begin = context.begin();
    if (begin == context.end() || *begin != 'j') return text_.parse(context);
    json_ = true;
    const auto end = std::next(begin);
    if (end != context.end() && *end != '}')
      uring6::detail::throw_or_terminate(fmt::format_error("invalid format specifier: j stands alone"));
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
