#include "uring6/icmp/error_message.hpp"

#include <algorithm>
#include <cassert>

#include "ipv6/icmp/icmp_codec.hpp"

namespace uring6::inline v0::icmp {

std::string_view to_string(unreachable_code code) noexcept {
  switch (code) {
    case unreachable_code::no_route:
      return "no route to destination";
    case unreachable_code::administratively_prohibited:
      return "administratively prohibited";
    case unreachable_code::beyond_scope:
      return "beyond scope of source address";
    case unreachable_code::address_unreachable:
      return "address unreachable";
    case unreachable_code::port_unreachable:
      return "port unreachable";
    case unreachable_code::source_policy:
      return "source address failed policy";
    case unreachable_code::reject_route:
      return "reject route to destination";
    case unreachable_code::source_routing_header:
      return "error in source routing header";
    case unreachable_code::headers_too_long:
      return "headers too long";
  }
  return {};
}

std::string_view to_string(time_exceeded_code code) noexcept {
  switch (code) {
    case time_exceeded_code::hop_limit:
      return "hop limit exceeded in transit";
    case time_exceeded_code::fragment_reassembly:
      return "fragment reassembly time exceeded";
  }
  return {};
}

std::string_view to_string(parameter_problem_code code) noexcept {
  switch (code) {
    case parameter_problem_code::erroneous_header_field:
      return "erroneous header field";
    case parameter_problem_code::unrecognized_next_header:
      return "unrecognized next header";
    case parameter_problem_code::unrecognized_option:
      return "unrecognized option";
    case parameter_problem_code::incomplete_header_chain:
      return "incomplete header chain";
    case parameter_problem_code::segment_routing_upper_layer:
      return "segment routing upper-layer header";
    case parameter_problem_code::unrecognized_next_header_intermediate:
      return "unrecognized next header by intermediate node";
    case parameter_problem_code::extension_header_too_big:
      return "extension header too big";
    case parameter_problem_code::extension_header_chain_too_long:
      return "extension header chain too long";
    case parameter_problem_code::too_many_extension_headers:
      return "too many extension headers";
    case parameter_problem_code::too_many_options:
      return "too many options";
    case parameter_problem_code::option_too_big:
      return "option too big";
  }
  return {};
}

namespace codec {
namespace {

// RFC 4884, 3 and 4.5: if extensions follow the quoted packet, it is padded to a multiple of 8 bytes, at least 128, and
// the length attribute has its length in units of 8 bytes.
constexpr std::size_t quotation_unit = 8;
constexpr std::size_t min_quotation = 128;
constexpr std::size_t max_quotation = 255 * quotation_unit;

struct quotation {
  bytes data;
  list<extension> extensions;
};

quotation split(bytes rest, std::size_t length) noexcept {
  if (length > rest.size()) return {};
  return {rest.first(length), read_extensions(rest.subspan(length))};
}

// Splits the quoted packet from the extensions. Many routers append extensions with a length attribute of 0; the
// structure then begins behind 128 bytes (RFC 4884, 5.5). If there is none at either place, all bytes are the quoted
// packet.
quotation read_quotation(bytes rest, std::uint8_t length_attribute) noexcept {
  const std::size_t declared = length_attribute * quotation_unit;
  if (declared >= min_quotation) {
    const quotation found = split(rest, declared);
    if (!found.extensions.empty()) return found;
  }
  const quotation guessed = split(rest, min_quotation);
  if (!guessed.extensions.empty()) return guessed;
  return {rest, {}};
}

// Writes the four bytes before the quoted packet, of which the first is the length attribute, the quoted packet, and
// the extensions.
result<void> write_quotation(wire::writer& out, bytes data, const list<extension>& extensions) noexcept {
  if (extensions.empty()) {
    out.u32(0);
    out.copy(data);
    return {};
  }
  if (data.size() > max_quotation) return fail(errc::too_long);
  const std::size_t padded =
      std::max(min_quotation, (data.size() + quotation_unit - 1) / quotation_unit * quotation_unit);
  assert(padded % quotation_unit == 0 && padded >= data.size() && padded <= max_quotation);
  out.u8(static_cast<unsigned>(padded / quotation_unit));
  out.zeros(3);
  out.copy(data);
  out.zeros(padded - data.size());
  return write_extensions(out, extensions, extension_rule::error_message);
}

// Reads destination unreachable and time exceeded, which differ in their codes only.
template <class Body, class Code>
result<Body> read_multipart(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  const std::uint8_t length_attribute = in.u8();
  in.skip(3);
  if (!in.ok()) return fail(errc::malformed);
  const quotation quoted = read_quotation(in.rest(), length_attribute);
  return Body{.code = static_cast<Code>(code), .data = quoted.data, .extensions = quoted.extensions};
}

}  // namespace

template <>
result<destination_unreachable> read(std::uint8_t code, bytes rest) noexcept {
  return read_multipart<destination_unreachable, unreachable_code>(code, rest);
}

template <>
result<time_exceeded> read(std::uint8_t code, bytes rest) noexcept {
  return read_multipart<time_exceeded, time_exceeded_code>(code, rest);
}

template <>
result<packet_too_big> read(std::uint8_t, bytes rest) noexcept {
  wire::reader in(rest);
  const packet_too_big body{.mtu = in.u32(), .data = in.rest()};
  if (!in.ok()) return fail(errc::malformed);
  return body;
}

template <>
result<parameter_problem> read(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  const parameter_problem body{
      .code = static_cast<parameter_problem_code>(code), .pointer = in.u32(), .data = in.rest()};
  if (!in.ok()) return fail(errc::malformed);
  return body;
}

result<void> write(wire::writer& out, const destination_unreachable& body) noexcept {
  return write_quotation(out, body.data, body.extensions);
}

result<void> write(wire::writer& out, const time_exceeded& body) noexcept {
  return write_quotation(out, body.data, body.extensions);
}

result<void> write(wire::writer& out, const packet_too_big& body) noexcept {
  out.u32(body.mtu);
  out.copy(body.data);
  return {};
}

result<void> write(wire::writer& out, const parameter_problem& body) noexcept {
  out.u32(body.pointer);
  out.copy(body.data);
  return {};
}

}  // namespace codec
}  // namespace uring6::inline v0::icmp
