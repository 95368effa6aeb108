// One case of the benchmark: the subjects that take part, and how each of them is run.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/measure/window.hpp"
#include "harness/process.hpp"

namespace bench {

/// A subject that takes part in a contest, and its differences from the others.
struct entrant {
  std::string subject{};
  /// Sizes of its vector or pool to try; the harness takes the fastest one.
  std::vector<unsigned> vectors = {64};
  /// Printed beside its result.
  std::string note{};
  /// For contests with several loads: the load's name, and the requests a second of an open loop, 0 for the closed one.
  /// With the case and the subject the name identifies a result.
  std::string load{};
  double rate = 0;
  /// Does not read control messages, even where the other subjects do.
  bool blind = false;
  /// Gets single datagrams where the other subjects get trains.
  bool singly = false;
};

/// An entrant that has been started and is ready for its windows.
class lane {
 public:
  virtual ~lane() = default;

  /// Measures for about `span`.
  virtual window run(std::chrono::nanoseconds span) = 0;

  /// The processes with system calls that count.
  virtual std::vector<const subject_process*> counted() const = 0;

  /// User memory of an idle socket, in the cases that measure it.
  virtual std::optional<std::uint64_t> bytes_per_socket() const { return std::nullopt; }
};

class contest {
 public:
  virtual ~contest() = default;
  virtual std::string name() const = 0;
  virtual std::string unit() const = 0;
  /// How long its windows are, where the others' are as long as `usual`.
  virtual std::chrono::milliseconds window_of(std::chrono::milliseconds usual) const { return usual; }
  virtual std::vector<entrant> entrants() const = 0;
  /// Throws missing_subject where this build lacks it.
  virtual std::unique_ptr<lane> open(const entrant& who, unsigned vector) const = 0;
};

/// The processors of subjects and harness; with one processor both are the same.
struct placement {
  int harness = 0;
  int subject = 1;
};

/// All cases, in the order of the report.
std::vector<std::unique_ptr<contest>> all_contests(const placement&);

/// The points of the growth table: how the cost of a datagram grows with peers, conns, loops and payload. They need the
/// network namespace that bench/growth makes.
std::vector<std::unique_ptr<contest>> growth_contests(const placement&);

}  // namespace bench
