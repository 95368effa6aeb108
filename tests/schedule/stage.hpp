// What every scenario needs: choices that follow from the seed, a digest of all outcomes, and the end of a seed that
// breaks an invariant or never ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>

#include "uring/seeded/schedule.hpp"
#include "uring6/event_loop.hpp"

namespace uring6::seeds {

/// An invariant does not hold.
struct broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class stage {
 public:
  explicit stage(std::uint64_t seed) noexcept : choices_(~seed) {}

  unsigned below(unsigned count) noexcept { return choices_.below(count); }
  bool once_in(unsigned times) noexcept { return choices_.once_in(times); }

  /// One of these numbers.
  template <class... Numbers>
  unsigned one_of(Numbers... numbers) noexcept {
    const unsigned all[] = {static_cast<unsigned>(numbers)...};
    return all[below(sizeof...(numbers))];
  }

  /// Options of a loop that is often short of something, and that has a simulated clock in every second seed.
  loop_options options() noexcept;

  /// Whether the loop of `options` has a simulated clock.
  bool simulated() const noexcept { return simulated_; }

  /// How long a timer of this loop runs. By a clock that takes part in what happens a seed would be no run, bit for
  /// bit: such timers have passed already.
  std::chrono::nanoseconds a_while() noexcept;

  /// An outcome: two runs of a seed have the same ones in the same order.
  void note(std::uint64_t outcome) noexcept { digest_.add(outcome); }
  void note(std::error_code error) noexcept { digest_.add(static_cast<std::uint64_t>(error.value()) << 8 | 1); }
  std::uint64_t digest() const noexcept { return digest_.value(); }

 private:
  detail::schedule choices_;
  detail::trace_digest digest_;
  bool simulated_ = false;
};

/// Throws `broken` with this text.
template <class... Parts>
void require(bool holds, const char* invariant, Parts... parts) {
  if (holds) return;
  std::string text = invariant;
  ((text += ' ', text += std::to_string(parts)), ...);
  throw broken(text);
}

/// A task says what it waits for, so that a seed that never ends can be explained.
class waiting_for {
 public:
  waiting_for(const char* who, unsigned number, const char* what) noexcept;
  waiting_for(const waiting_for&) = delete;
  waiting_for& operator=(const waiting_for&) = delete;
  ~waiting_for();

 private:
  unsigned place_;
};

/// Ends the program when a seed takes longer than this many seconds, which no seed does that ends: the tasks and what
/// they wait for are printed before.
class watchdog {
 public:
  watchdog(std::uint64_t seed, unsigned seconds) noexcept;
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog();
};

/// The command that runs one seed again.
std::string replay(std::uint64_t seed);

void run_packets(stage& with, std::uint64_t seed);
void run_streams(stage& with, std::uint64_t seed);
void run_tasks(stage& with, std::uint64_t seed);

/// Runs the scenario of a seed. Returns the digest of all that happened. Throws `broken`.
std::uint64_t run_seed(std::uint64_t seed);

}  // namespace uring6::seeds
