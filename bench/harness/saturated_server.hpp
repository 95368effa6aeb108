// The processor time of a server that never runs out of work: it is stopped (SIGSTOP) while its other end fills its
// socket, then it goes on and answers all of it. The time is read from outside, from stop to stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/contest.hpp"
#include "harness/peers/answer_deadline.hpp"
#include "harness/peers/exchange.hpp"

namespace bench {

/// A round is given up if no answer has come for so long: its accounts show the missing ones.
constexpr std::chrono::milliseconds round_patience{5000};

/// The other end of a saturated server.
class questioner {
 public:
  virtual ~questioner() = default;

  /// Words for the server's command line, beside those that each server of the case gets.
  virtual std::vector<std::string> words() const { return {}; }

  /// Its own ports at which the kernel's drops count as losses. At another port of its own a drop is a missing answer,
  /// which voids the result.
  virtual std::vector<std::uint16_t> ports() const { return {}; }

  /// Plays one round: fills the socket of `server`, which is stopped, lets it go on until all answers have come, and
  /// stops it again. Adds the accounts of the round to `w`.
  virtual void play(subject_process& server, window& w) = 0;
};

/// Makes the other end of one server.
using make_questioner = std::function<std::shared_ptr<questioner>()>;

/// A case with such servers.
struct saturation {
  std::string name{};
  std::string unit = "ns of processor time/datagram";
  std::string role = "echo";
  std::size_t size = 64;  ///< octets of a payload, where the role has payloads of one length
  unsigned loops = 1;     ///< of a server; with more than one it has the harness's processor, too
  make_questioner other_end{};
  std::vector<entrant> entrants{};
};

std::unique_ptr<contest> saturation_contest(saturation shape, const placement& where);

/// How the harness waits for a server of so many loops: if it spun on a loop's processor, it would take half of it.
constexpr idle idle_beside(unsigned loops) noexcept {
  return loops > 1 ? idle::sleep : idle::spin;
}

/// Clients that ask in turn: harness/peers/clients.hpp.
struct asking_clients {
  std::shared_ptr<const exchange> what{};
  std::size_t count{};
  std::uint64_t each{};  ///< questions of each client in a round
  bool takes_trains{};   ///< the clients receive trains whole
  idle meanwhile = idle::spin;
};

/// All servers get the same clients, one after the other: the ephemeral ports are not enough for 10,000 more sockets of
/// each server.
make_questioner clients_of_all_servers(asking_clients shape);

}  // namespace bench
