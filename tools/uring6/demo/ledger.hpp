// The accounts of a run: the datagrams to send, the result of each, and the arrivals.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"
#include "uring6/datagram.hpp"
#include "uring6/stats.hpp"

namespace uring6::tool {

/// A datagram's fields at its receiver: seen or expected.
struct sighting {
  endpoint source{};
  ip_address destination{};
  std::uint32_t interface_index = 0;
  int hop_limit = 0;
  int traffic_class = 0;
  std::size_t length = 0;

  friend bool operator==(const sighting&, const sighting&) = default;
};

/// The fields of a received datagram, with -1 (0 for the interface) for control information that did not come.
sighting sighting_of(const datagram& got);

/// Each field with different values, as "hop limit 64 instead of 255"; empty if none.
std::string differences(const sighting& seen, const sighting& expected);

/// A datagram that is shown by itself.
struct sample {
  sighting expected{};
  bool sent = false;
  std::optional<sighting> seen{};
  std::chrono::system_clock::time_point when{};  ///< Time of arrival.
  std::uint64_t duplicates = 0;                  ///< Arrived once more.

  void enter(const sighting& now_seen, std::chrono::system_clock::time_point now);
  /// The differences to what was sent; empty if none.
  std::string wrong() const;
  bool as_sent() const { return seen && wrong().empty(); }
};

/// Many equal datagrams, which are only counted.
struct burst_account {
  std::size_t wanted = 0;
  sighting expected{};
  std::size_t longest_train = 1;  ///< Most of them in one train to the kernel.
  std::uint64_t sent = 0;
  std::uint64_t received = 0;      ///< Without duplicates.
  std::uint64_t duplicates = 0;    ///< Arrived once more.
  std::uint64_t out_of_order = 0;  ///< Arrived after one that was sent later.
  std::uint64_t altered = 0;       ///< Arrived, but not as sent.
  std::string first_difference{};
  std::uint64_t system_calls = 0;
  std::chrono::nanoseconds duration{0};
  std::vector<bool> arrived{};
  std::uint32_t latest = 0;

  std::uint64_t lost() const noexcept { return sent - std::min(sent, received); }
  void enter(std::uint32_t sequence, const sighting& seen);

  double datagrams_per_second() const noexcept;
  double system_calls_per_datagram() const noexcept;
};

struct ledger {
  std::uint64_t token = 0;
  ip_address group{};
  std::string multicast{};          ///< The interface that is used.
  std::string without_multicast{};  ///< The reason if none is used.
  endpoint server{};
  std::vector<sample> samples{};
  burst_account burst{};
  std::uint64_t strangers = 0;                      ///< Datagrams to the server from other senders.
  std::map<std::string, std::uint64_t> not_sent{};  ///< Numbers of datagrams, by reason.
  std::vector<std::string> failures{};              ///< All other failures.

  // The library's counters at the end.
  loop_stats loop{};
  pool_stats pool{};  ///< The server's.
  packet_stats server_counters{};

  std::uint64_t sent() const noexcept;
  std::uint64_t received() const noexcept;
  /// Sent and not received.
  std::uint64_t lost() const noexcept { return sent() - std::min(sent(), received()); }
  /// The part of these that the kernel's count of drops explains. It counts a train as one.
  std::uint64_t lost_by_kernel() const noexcept {
    return std::min<std::uint64_t>(lost(), server_counters.kernel_drops * burst.longest_train);
  }
  std::uint64_t lost_unexplained() const noexcept { return lost() - lost_by_kernel(); }

  /// Every datagram, and each of its control fields, arrived as sent, once.
  bool all_as_sent() const;
};

}  // namespace uring6::tool
