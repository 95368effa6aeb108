#include "demo/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "uring6/format.hpp"

namespace uring6::tool {

sighting sighting_of(const datagram& got) {
  return {.source = got.source,
          .destination = got.control.destination.value_or(ip_address::any()),
          .interface_index = got.control.interface_index.value_or(0),
          .hop_limit = got.control.hop_limit.value_or(-1),
          .traffic_class = got.control.traffic_class.value_or(-1),
          .length = got.full_length};
}

std::string differences(const sighting& seen, const sighting& expected) {
  std::string text;
  const auto compare = [&text](std::string_view field, const auto& is, const auto& should_be) {
    if (is == should_be) return;
    fmt::format_to(std::back_inserter(text), "{}{} {} instead of {}", text.empty() ? "" : ", ", field, is, should_be);
  };
  compare("source", seen.source, expected.source);
  compare("destination", seen.destination, expected.destination);
  compare("interface", seen.interface_index, expected.interface_index);
  compare("hop limit", seen.hop_limit, expected.hop_limit);
  compare("traffic class", seen.traffic_class, expected.traffic_class);
  compare("length", seen.length, expected.length);
  return text;
}

void sample::enter(const sighting& now_seen, std::chrono::system_clock::time_point now) {
  if (seen) {
    ++duplicates;
    return;
  }
  seen = now_seen;
  when = now;
}

std::string sample::wrong() const {
  if (!seen) return {};
  std::string text = differences(*seen, expected);
  if (duplicates > 0) {
    fmt::format_to(std::back_inserter(text), "{}arrived {} times", text.empty() ? "" : ", ", duplicates + 1);
  }
  return text;
}

void burst_account::enter(std::uint32_t sequence, const sighting& seen) {
  arrived.resize(wanted);
  if (sequence >= wanted) {
    ++altered;
    return;
  }
  if (arrived[sequence]) {
    ++duplicates;
    return;
  }
  arrived[sequence] = true;
  ++received;
  if (sequence < latest) ++out_of_order;
  latest = std::max(latest, sequence);
  if (seen == expected) return;
  if (altered++ == 0) first_difference = differences(seen, expected);
}

double burst_account::datagrams_per_second() const noexcept {
  if (duration.count() == 0) return 0;
  return static_cast<double>(received) / std::chrono::duration<double>(duration).count();
}

double burst_account::system_calls_per_datagram() const noexcept {
  return received == 0 ? 0 : static_cast<double>(system_calls) / static_cast<double>(received);
}

std::uint64_t ledger::sent() const noexcept {
  return burst.sent + static_cast<std::uint64_t>(std::ranges::count_if(samples, &sample::sent));
}

std::uint64_t ledger::received() const noexcept {
  const auto seen = [](const sample& each) { return each.seen.has_value(); };
  return burst.received + static_cast<std::uint64_t>(std::ranges::count_if(samples, seen));
}

bool ledger::all_as_sent() const {
  return failures.empty() && not_sent.empty() && std::ranges::all_of(samples, &sample::as_sent) &&
         burst.received == burst.wanted && burst.altered == 0 && burst.duplicates == 0;
}

}  // namespace uring6::tool
