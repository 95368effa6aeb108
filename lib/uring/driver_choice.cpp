#include "uring/driver_choice.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace uring6::detail {

result<loop_driver> driver_asked_for(loop_driver option, std::string& reason) {
  switch (option) {
    case loop_driver::automatic:
      break;
    case loop_driver::io_uring:
    case loop_driver::readiness:
      return option;
    default:
      reason = fmt::format("uring6::loop_options: driver {} is unknown", static_cast<unsigned>(option));
      return fail(std::errc::invalid_argument);
  }
  const char* const set = std::getenv("URING6_DRIVER");
  if (!set || !*set) return option;
  for (const auto& [driver, name] : driver_names) {
    if (name == std::string_view(set)) return driver;
  }
  reason = fmt::format("URING6_DRIVER={}: no such driver; use automatic, io_uring or readiness", set);
  return fail(std::errc::invalid_argument);
}

}  // namespace uring6::detail
