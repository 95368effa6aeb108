#include <fmt/format.h>

#include "ipv6/value/names.hpp"
#include "uring6/interface.hpp"
#include "uring6/source_filter.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {

std::string to_string(address_scope value) {
  static constexpr detail::named<address_scope> names[] = {
      {address_scope::global, "global"}, {address_scope::site, "site"},       {address_scope::link, "link"},
      {address_scope::host, "host"},     {address_scope::nowhere, "nowhere"},
  };
  return detail::name_of<address_scope>(value, names);
}

std::string to_string(const group_source& of) {
  return fmt::format("{} included={} excluded={}", of.source.to_string(), of.included, of.excluded);
}

std::string to_string(const group_membership& of) {
  std::string text = fmt::format("{} ifindex={} users={}", of.group.to_string(), of.interface_index, of.users);
  for (const group_source& each : of.sources) text += " source " + to_string(each);
  return text;
}

std::string to_string(filter_mode mode) {
  static constexpr detail::named<filter_mode> names[] = {{filter_mode::exclude, "exclude"},
                                                         {filter_mode::include, "include"}};
  return detail::name_of<filter_mode>(mode, names);
}

std::string to_string(const source_filter& filter) {
  std::string text = to_string(filter.mode);
  if (filter.sources.empty()) return text + " none";
  const char* separator = " ";
  for (const ip_address& each : filter.sources) {
    text += separator + each.to_string();
    separator = ", ";
  }
  return text;
}

}  // namespace uring6::inline v0
