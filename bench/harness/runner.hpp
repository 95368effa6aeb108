// Runs a contest: every entrant's windows in turn, forwards and backwards.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/contest.hpp"
#include "harness/measure/statistics.hpp"
#include "harness/progress.hpp"

namespace bench {

struct effort {
  std::chrono::milliseconds window{300};
  /// Of all processes together; of each of them an even number, so that as many run forwards as backwards.
  int windows = 12;
  /// How often each subject is started afresh. A process has its luck with the places of its memory, which its windows
  /// share: only several processes show how far that goes.
  int processes = 3;
};

/// A contest's result for one of its entrants.
struct result {
  std::string contest{};
  std::string unit{};
  entrant who{};
  std::chrono::milliseconds span{};  ///< how long each window is
  unsigned vector = 0;               ///< messages of a call: the fastest of `who.vectors`; 0: the subject has none
  std::vector<double> values{};      ///< one for each window; the same index is the same time in every result
  std::vector<double> p50s{};        ///< the same, of the latencies; empty if the contest has none
  std::size_t processes = 1;         ///< `values` has as many windows of each, one process after the other
  window sum{};                      ///< of all windows
  std::optional<double> syscalls_per_datagram{};
  std::optional<std::uint64_t> bytes_per_socket{};
  std::string void_because{};  ///< empty if the result counts

  estimate figure() const { return estimate_median(values, processes); }
  double per_datagram(std::uint64_t what) const {
    return sum.loss.received == 0 ? 0 : static_cast<double>(what) / static_cast<double>(sum.loss.received);
  }
};

/// Disturbances during the contest.
struct surroundings {
  int repeated_rounds = 0;  ///< repeated because too much of the processors was taken away
  double stolen = 0;        ///< share of the processors that the hypervisor took, in the rounds that count
  double foreign = 0;       ///< share that other processes took
  std::map<std::string, std::uint64_t> udp_errors{};  ///< growth of the kernel's counters, by name
};

struct contest_report {
  std::string contest{};
  std::vector<result> results{};
  surroundings around{};
};

/// Runs all entrants that this build has and `wanted` names; an empty `wanted` names all. An entrant that fails has a
/// void result with its reason.
contest_report run_contest(const contest&, const effort&, const std::vector<std::string>& wanted, progress&);

}  // namespace bench
