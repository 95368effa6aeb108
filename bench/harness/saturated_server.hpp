// The processor time of a server that never runs out of work: it is stopped (SIGSTOP) while its clients fill its
// socket, then it goes on and answers all of it. The time is read from outside, from stop to stop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/contest.hpp"
#include "harness/peers/clients.hpp"

namespace bench {

/// A case with such servers.
struct saturation {
  std::string name{};
  std::string unit = "ns of processor time/datagram";
  std::string role = "echo";
  std::shared_ptr<const exchange> what{};
  std::size_t clients{};
  std::uint64_t each{};  ///< questions of each client in a round
  bool takes_trains{};   ///< the clients receive trains whole
  unsigned loops = 1;    ///< of a server; with more than one it has the harness's processor, too
  std::vector<entrant> entrants{};
};

std::unique_ptr<contest> saturation_contest(saturation shape, const placement& where);

}  // namespace bench
