// Neighbor discovery: any packet of its types, any options, and messages of any values.
#include <array>
#include <chrono>
#include <vector>

#include "fuzz/icmp_body.hpp"

namespace icmp = uring6::icmp;
using uring6::ip_address;
using uring6::fuzz::bytes;

namespace {

std::chrono::seconds any_lifetime(uring6::fuzz::input& in) {
  return std::chrono::seconds(in.take<std::int64_t>() >> (in.take<std::uint8_t>() % 64));
}

icmp::domain_name any_name(bytes from) {
  const auto name = icmp::domain_name::decode(from);
  return name ? *name : icmp::domain_name::parse("example.org").value();
}

void check_any_values(bytes all) {
  uring6::fuzz::input in(all);
  const std::array<ip_address, 2> addresses{ip_address(in.take<ip_address::bytes_type>()),
                                            ip_address(in.take<ip_address::bytes_type>())};
  const std::array<icmp::domain_name, 2> names{any_name(all), any_name(all.subspan(all.size() / 2))};
  // A size without padding, so that the address is decoded with its own length.
  const bytes six = all.size() < 6 ? bytes() : all.first(6);
  const bytes eights = all.first(all.size() / 8 * 8);
  const std::array<icmp::option, 8> every{
      icmp::source_link_layer_address{six}, icmp::target_link_layer_address{six},
      icmp::prefix_information{.prefix_length = in.take<std::uint8_t>(),
                               .on_link = in.take<std::uint8_t>() % 2 != 0,
                               .router_address = in.take<std::uint8_t>() % 2 != 0,
                               .valid_lifetime = any_lifetime(in),
                               .preferred_lifetime = any_lifetime(in),
                               .prefix = addresses[0]},
      icmp::redirected_header{eights}, icmp::link_mtu{in.take<std::uint32_t>()},
      icmp::recursive_dns_servers{any_lifetime(in), std::span(addresses).first(in.take<std::uint8_t>() % 3)},
      icmp::dns_search_list{any_lifetime(in), std::span(names).first(in.take<std::uint8_t>() % 3)},
      // A type of its own: under another option's number it could be decoded as that.
      icmp::raw_option{static_cast<icmp::option_type>(200), six}};
  std::vector<icmp::option> chosen;
  const auto which = in.take<std::uint8_t>();
  for (std::size_t i = 0; i < every.size(); ++i) {
    if ((which >> i & 1) != 0) chosen.push_back(every[i]);
  }
  uring6::fuzz::check_values(icmp::router_solicitation{chosen});
  uring6::fuzz::check_values(
      icmp::router_advertisement{.hop_limit = in.take<std::uint8_t>(),
                                 .managed = in.take<std::uint8_t>() % 2 != 0,
                                 .preference = static_cast<icmp::router_preference>(in.take<std::uint8_t>() % 5),
                                 .lifetime = any_lifetime(in),
                                 .reachable_time = std::chrono::milliseconds(any_lifetime(in).count()),
                                 .options = chosen});
  uring6::fuzz::check_values(icmp::neighbor_solicitation{.target = addresses[0], .options = chosen});
  uring6::fuzz::check_values(icmp::neighbor_advertisement{
      .solicited = in.take<std::uint8_t>() % 2 != 0, .target = addresses[1], .options = chosen});
  uring6::fuzz::check_values(icmp::redirect{.target = addresses[0], .destination = addresses[1], .options = chosen});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bytes all = std::as_bytes(std::span(data, size));
  if (all.empty()) return 0;
  std::vector<std::byte> packet(all.begin(), all.end());
  for (const unsigned type : {133U, 134U, 135U, 136U, 137U}) {
    packet[0] = static_cast<std::byte>(type);
    uring6::fuzz::check_packet(packet);
  }
  check_any_values(all);
  return 0;
}
