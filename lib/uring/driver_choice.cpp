#include "uring/driver_choice.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace uring6::detail {

result<loop_driver> driver_asked_for(loop_driver option, std::string& reason) {
  constexpr std::array all{loop_driver::automatic, loop_driver::io_uring, loop_driver::readiness};
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
  for (const loop_driver each : all) {
    if (to_string(each) == set) return each;
  }
  reason = fmt::format("URING6_DRIVER={}: no such driver; use automatic, io_uring or readiness", set);
  return fail(std::errc::invalid_argument);
}

}  // namespace uring6::detail
