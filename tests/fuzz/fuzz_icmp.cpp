// Any ICMPv6 message, and errors and extended echoes of any values.
#include <array>
#include <string_view>

#include "fuzz/icmp_body.hpp"

namespace icmp = uring6::icmp;
using uring6::fuzz::bytes;

namespace {

std::string_view text_of(bytes from) {
  return {reinterpret_cast<const char*>(from.data()), from.size()};
}

icmp::extension any_extension(uring6::fuzz::input& in, bytes data, const icmp::list<icmp::mpls_label>& labels) {
  const auto kind = in.take<std::uint8_t>();
  const auto few = data.first(std::min<std::size_t>(data.size(), kind));
  switch (kind % 6) {
    case 0:
      return icmp::mpls_label_stack{labels};
    case 1: {
      icmp::interface_info info{.role = static_cast<icmp::interface_role>(in.take<std::uint8_t>() % 5)};
      const auto present = in.take<std::uint8_t>();
      if ((present & 1) != 0) info.index = in.take<std::uint32_t>();
      if ((present & 2) != 0) info.address = uring6::ip_address(in.take<uring6::ip_address::bytes_type>());
      if ((present & 4) != 0) info.mtu = in.take<std::uint32_t>();
      if ((present & 8) != 0) info.name = text_of(few);
      return info;
    }
    case 2:
      return icmp::interface_ident{icmp::interface_by_name{text_of(few)}};
    case 3:
      return icmp::interface_ident{icmp::interface_by_index{in.take<std::uint32_t>()}};
    case 4:
      return icmp::interface_ident{icmp::interface_by_address{in.take<std::uint16_t>(), few}};
    default:
      // A class without a type of its own: under another class's number it could be decoded as that.
      return icmp::raw_extension{.class_number = 200, .type = in.take<std::uint8_t>(), .data = few};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bytes all = std::as_bytes(std::span(data, size));
  uring6::fuzz::check_packet(all);

  uring6::fuzz::input in(all);
  const std::array<icmp::mpls_label, 2> labels{
      icmp::mpls_label{.label = in.take<std::uint32_t>() >> 11, .traffic_class = in.take<std::uint8_t>()},
      icmp::mpls_label{.bottom_of_stack = true, .ttl = in.take<std::uint8_t>()}};
  const std::array<icmp::extension, 2> both{any_extension(in, all, labels), any_extension(in, all, labels)};
  const auto extensions = std::span(both).first(in.take<std::uint8_t>() % 3);
  // A size without padding, so that the quotation is decoded with its own length.
  const auto quotation = all.first(all.size() >= 128 ? all.size() / 8 * 8 : 0);
  if (!quotation.empty() && !extensions.empty()) {
    uring6::fuzz::check_values(icmp::time_exceeded{.data = quotation, .extensions = extensions});
    uring6::fuzz::check_values(icmp::destination_unreachable{.data = quotation, .extensions = extensions});
  }
  uring6::fuzz::check_values(
      icmp::extended_echo_request{.identifier = 1, .sequence = in.take<std::uint8_t>(), .extensions = extensions});
  uring6::fuzz::check_values(
      icmp::extended_echo_reply{.state = static_cast<icmp::neighbor_state>(in.take<std::uint8_t>())});
  return 0;
}
