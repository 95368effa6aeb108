// Multicast listener discovery: any packet of its types, and messages of any values.
#include <array>
#include <chrono>
#include <vector>

#include "fuzz/icmp_body.hpp"

namespace icmp = uring6::icmp;
using uring6::ip_address;
using uring6::fuzz::bytes;

namespace {

ip_address any_address(uring6::fuzz::input& in) {
  return ip_address(in.take<ip_address::bytes_type>());
}

// Mostly an address that a message may be about.
ip_address any_group(uring6::fuzz::input& in) {
  auto group = in.take<ip_address::bytes_type>();
  if (group[15] != 0) group[0] = 0xff;
  return ip_address(group);
}

void check_any_values(bytes all) {
  uring6::fuzz::input in(all);
  const std::chrono::milliseconds delay(in.take<std::int32_t>() >> 12);
  uring6::fuzz::check_values(icmp::multicast_listener_query{delay, any_group(in)});
  uring6::fuzz::check_values(icmp::multicast_listener_report{std::chrono::milliseconds(0), any_group(in)});
  uring6::fuzz::check_values(icmp::multicast_listener_done{std::chrono::milliseconds(0), any_group(in)});

  std::vector<ip_address> sources(in.take<std::uint8_t>() % 4);
  for (ip_address& source : sources) source = any_address(in);
  uring6::fuzz::check_values(
      icmp::version2_multicast_listener_query{.max_response_code = in.take<std::uint16_t>(),
                                              .group = any_group(in),
                                              .suppress_router_processing = in.take<std::uint8_t>() % 2 != 0,
                                              .robustness = static_cast<std::uint8_t>(in.take<std::uint8_t>() % 9),
                                              .query_interval_code = in.take<std::uint8_t>(),
                                              .sources = sources});
  const std::array<icmp::listener_record, 2> records{
      icmp::listener_record{
          .type = static_cast<icmp::record_type>(in.take<std::uint8_t>()), .group = any_group(in), .sources = sources},
      icmp::listener_record{.group = any_group(in), .auxiliary = all}};
  uring6::fuzz::check_values(icmp::version2_multicast_listener_report{records});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bytes all = std::as_bytes(std::span(data, size));
  if (all.empty()) return 0;
  std::vector<std::byte> packet(all.begin(), all.end());
  for (const unsigned type : {130U, 131U, 132U, 143U}) {
    packet[0] = static_cast<std::byte>(type);
    uring6::fuzz::check_packet(packet);
  }
  check_any_values(all);
  return 0;
}
