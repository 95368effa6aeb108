#include "uring/driver_choice.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace uring6::inline v0::detail {
namespace {

constexpr std::string_view before_seed = "seed:";

result<driver_choice> with_seed(std::string_view digits, std::string& reason) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seed);
  if (error == std::errc{} && end == digits.data() + digits.size()) return driver_choice{loop_driver::readiness, seed};
  reason = fmt::format("URING6_DRIVER=seed:{}: a seed is a number from 0 to 18446744073709551615", digits);
  return fail(std::errc::invalid_argument);
}

}  // namespace

result<driver_choice> driver_asked_for(loop_driver option, std::string& reason) {
  const char* const variable = std::getenv("URING6_DRIVER");
  const std::string_view set = variable ? variable : "";
  switch (option) {
    case loop_driver::automatic:
      break;
    case loop_driver::io_uring:
    case loop_driver::readiness:
      if (!set.starts_with(before_seed)) return driver_choice{option, {}};
      reason = fmt::format("URING6_DRIVER={}: only loops with the driver automatic follow a seed; this one asks for {}",
                           set, name_of<loop_driver>(option, driver_names));
      return fail(std::errc::invalid_argument);
    default:
      reason = fmt::format("uring6::loop_options: driver {} is unknown", static_cast<unsigned>(option));
      return fail(std::errc::invalid_argument);
  }
  if (set.empty()) return driver_choice{option, {}};
  if (set.starts_with(before_seed)) return with_seed(set.substr(before_seed.size()), reason);
  for (const auto& [driver, name] : driver_names) {
    if (name == set) return driver_choice{driver, {}};
  }
  reason = fmt::format("URING6_DRIVER={}: no such driver; use automatic, io_uring or readiness", set);
  return fail(std::errc::invalid_argument);
}

}  // namespace uring6::inline v0::detail
