#include "sys/interface/protocol_names.hpp"

#include <netdb.h>

#include <array>
#include <string>

namespace uring6::inline v0 {

std::optional<ip_protocol> find_protocol(std::string_view name) {
  if (name.empty() || name.find('\0') != name.npos) return std::nullopt;
  for (int number = 0; number <= 255; ++number) {
    if (to_string(static_cast<ip_protocol>(number)) == name) return static_cast<ip_protocol>(number);
  }
  protoent entry{};
  protoent* found = nullptr;
  std::array<char, 4096> strings;
  if (::getprotobyname_r(std::string(name).c_str(), &entry, strings.data(), strings.size(), &found) != 0 || !found ||
      found->p_proto < 0 || found->p_proto > 255) {
    return std::nullopt;
  }
  return static_cast<ip_protocol>(found->p_proto);
}

}  // namespace uring6::inline v0
