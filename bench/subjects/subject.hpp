// A contender of the benchmark: one short file that receives, sends or echoes in its own way.
//
// Every subject runs in a process of its own. `subject_main.cpp` reads the harness's commands and takes the
// time; the subject only does the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/payload.hpp"

namespace bench {

/// An echo server's behavior while no datagram waits.
enum class wait_mode { block, spin, adaptive };

/// The harness's key=value words on the command line; every subject of a case gets the same ones.
struct settings {
  std::size_t size = 64;  ///< bytes of payload
  bool control = false;   ///< fetch and parse PKTINFO, TCLASS and HOPLIMIT
  bool gro = false;       ///< accept trains (UDP_GRO)
  unsigned vector = 64;   ///< datagrams or buffers per call; the harness looks for the best
  wait_mode wait = wait_mode::block;
  unsigned sockets = 1;             ///< sockets to open; more than one only in sockets-10000 and two-loops
  bool once = false;                ///< a TCP server closes each connection after its first echo of `size` octets
  unsigned loops = 1;               ///< event loops, each on a thread and a processor of its own
  std::vector<std::uint16_t> to{};  ///< destinations of a sender, in turn, or the peers that a receiver connects to
  bool spread = false;              ///< each socket at an address of its own (common/addresses.hpp)
};

class subject {
 public:
  virtual ~subject() = default;

  /// The ports of its sockets, in their order.
  virtual std::vector<std::uint16_t> ports() const = 0;

  /// Starts the readers, which need memory beside the sockets: it does not count as the memory of idle sockets.
  virtual void start_readers() {}

  /// Works until `seen().datagrams` has reached `total`: received and checked, sent, or echoed.
  virtual void run_until(std::uint64_t total) = 0;

  const tally& seen() const noexcept { return seen_; }

 protected:
  tally seen_;
};

/// A line of a program's table of subjects.
struct entry {
  std::string_view role{};  // receive, send, fan, relay, echo, dns, forward or tcp
  std::string_view name{};
  std::unique_ptr<subject> (*make)(const settings&);
};

template <class T>
std::unique_ptr<subject> make(const settings& s) {
  return std::make_unique<T>(s);
}

/// The subjects of this program; each program defines its own.
std::span<const entry> subjects();

}  // namespace bench
