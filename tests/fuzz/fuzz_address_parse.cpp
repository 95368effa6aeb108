// Any text: it is refused, or its address is written and parsed again to the same, and inet_pton agrees.
#include <arpa/inet.h>

#include <bit>
#include <string>

#include "fuzz/fuzz.hpp"
#include "ipv6/address/address_text.hpp"

using uring6::address_text;
using uring6::endpoint;
using uring6::errc;
using uring6::ip_address;
using uring6::result;
using uring6::fuzz::check;

namespace {

// Names like those of interfaces: "eth" and up to three digits, with numbers that differ from the digits.
result<std::uint32_t> find_zone(std::string_view name) {
  if (!name.starts_with("eth") || name.size() == 3 || name.size() > 6) return uring6::fail(errc::unknown_zone);
  std::uint32_t index = 1;
  for (const char digit : name.substr(3)) {
    if (digit < '0' || digit > '9') return uring6::fail(errc::unknown_zone);
    index = index * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  return index;
}

std::string_view find_name(std::uint32_t index, std::span<char, uring6::zone_name_size> buffer) {
  if (index < 10 || std::to_string(index).front() != '1' || index > 1999) return {};
  const std::string name = "eth" + std::to_string(index).substr(1);
  return {buffer.data(), name.copy(buffer.data(), buffer.size())};
}

void check_against_inet_pton(std::string_view text, const result<ip_address>& parsed) {
  const bool dotted = text.find(':') == std::string_view::npos;
  in6_addr six{};
  in_addr four{};
  // The zero-terminated copy would end at an embedded NUL, which parse refuses.
  const bool whole = text.find('\0') == std::string_view::npos;
  const std::string terminated(text);
  const bool valid = whole && inet_pton(dotted ? AF_INET : AF_INET6, terminated.c_str(),
                                        dotted ? static_cast<void*>(&four) : &six) == 1;
  check(parsed.has_value() == valid, "inet_pton takes the same text");
  if (!valid) return;
  const ip_address expected = dotted ? ip_address::v4_mapped(std::bit_cast<ip_address::v4_bytes_type>(four))
                                     : ip_address(std::bit_cast<ip_address::bytes_type>(six));
  check(*parsed == expected, "inet_pton reads the same address");
}

void check_endpoint(std::string_view text) {
  const result<endpoint> parsed = uring6::parse_endpoint(text, find_zone);
  if (!parsed) return;
  const address_text written = uring6::format_endpoint(*parsed, find_name);
  check(uring6::parse_endpoint(written.view(), find_zone) == parsed, "an endpoint is read as it is written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_endpoint(text);
  const result<ip_address> parsed = uring6::parse_address(text, find_zone);
  if (text.find('%') == std::string_view::npos) check_against_inet_pton(text, parsed);
  if (!parsed) {
    check(parsed.error() == errc::not_an_address || parsed.error() == errc::unknown_zone, "it says which");
    return 0;
  }
  check(uring6::parse_endpoint(text, find_zone) == uring6::fail(errc::missing_port), "an address has no port");
  const address_text written = uring6::format_address(*parsed, find_name);
  const result<ip_address> again = uring6::parse_address(written.view(), find_zone);
  check(again == parsed, "an address is read as it is written");
  check(uring6::format_address(*again, find_name).view() == written.view(), "its text is canonical");
  return 0;
}
