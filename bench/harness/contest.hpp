// One case of the benchmark: the subjects that take part, and the figures of a window.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/histogram.hpp"
#include "harness/process.hpp"

namespace bench {

/// Each datagram that was sent is accounted for: received, or dropped by the kernel and counted there.
struct loss_account {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t dropped = 0;
  std::uint64_t bad = 0;  // received, but different from what was sent

  bool explained() const noexcept { return bad == 0 && sent == received + dropped; }
  loss_account& operator+=(const loss_account& other) noexcept;
};

/// The figures of one window.
struct window {
  double value = 0;  // in the contest's unit
  loss_account loss{};
  std::uint64_t buffers = 0;
  std::uint64_t allocations = 0;
  std::uint64_t subject_cpu_ns = 0;
  std::uint64_t peer_cpu_ns = 0;           // of the other end
  std::shared_ptr<histogram> latencies{};  // may be beside `value`, which then is another figure
  std::shared_ptr<histogram> lateness{};   // of an open loop's requests: how late the harness itself sent them
};

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
