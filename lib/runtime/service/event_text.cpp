#include <fmt/format.h>

#include "ipv6/value/names.hpp"
#include "uring/driver_choice.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/loop_clock.hpp"
#include "uring6/signals.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {

std::string to_string(poll_events events) {
  static constexpr detail::named<poll_events> names[] = {
      {poll_events::readable, "readable"}, {poll_events::urgent, "urgent"},   {poll_events::writable, "writable"},
      {poll_events::error, "error"},       {poll_events::hung_up, "hung_up"}, {poll_events::peer_closed, "peer_closed"},
  };
  return detail::names_of<poll_events>(events, names);
}

std::string to_string(loop_driver value) {
  return detail::name_of<loop_driver>(value, detail::driver_names);
}

std::string to_string(loop_clock value) {
  static constexpr detail::named<loop_clock> names[] = {{loop_clock::steady, "steady"},
                                                        {loop_clock::simulated, "simulated"}};
  return detail::name_of<loop_clock>(value, names);
}

std::string to_string(const signal_event& got) {
  return fmt::format("signal {} code={} sender={} user={} value={}", got.number, got.code, got.sender, got.user,
                     got.value);
}

}  // namespace uring6::inline v0
