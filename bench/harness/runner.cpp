#include "harness/runner.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "common/clock.hpp"
#include "harness/measure/foreign_time.hpp"
#include "harness/measure/kernel_counters.hpp"

namespace bench {
namespace {

using namespace std::chrono_literals;

/// The rule, fixed before any measurement: a round of windows is repeated if more than this share of the processors
/// went to the hypervisor or to other processes.
constexpr double most_taken = 0.03;
constexpr int most_repetitions = 5;

struct racer {
  result outcome{};
  std::unique_ptr<lane> track{};

  bool running() const { return track != nullptr; }

  /// Runs `job`; an exception of it makes the result of this entrant void, and no other one.
  void attempt(const std::function<void()>& job) {
    try {
      job();
    } catch (const missing_subject&) {
      throw;
    } catch (const std::exception& e) {
      outcome.void_because = e.what();
      track.reset();
    }
  }
};

void merge(std::shared_ptr<histogram>& sum, const std::shared_ptr<histogram>& more) {
  if (more == nullptr) return;
  if (sum == nullptr) sum = std::make_shared<histogram>();
  sum->merge(*more);
}

void add(window& sum, const window& w) {
  sum.loss += w.loss;
  sum.buffers += w.buffers;
  sum.allocations += w.allocations;
  sum.subject_cpu_ns += w.subject_cpu_ns;
  sum.peer_cpu_ns += w.peer_cpu_ns;
  merge(sum.latencies, w.latencies);
  merge(sum.lateness, w.lateness);
}

void demand_explained(const loss_account& loss) {
  if (loss.explained()) return;
  throw void_run(fmt::format("{} sent, {} received, {} dropped by the kernel, {} bad", loss.sent, loss.received,
                             loss.dropped, loss.bad));
}

/// Runs each size of vector in turn, three times over; returns the one with the smallest median.
unsigned fastest_vector(const contest& game, const entrant& who, std::chrono::milliseconds span) {
  if (who.vectors.size() == 1) return who.vectors.front();
  std::vector<std::vector<double>> values(who.vectors.size());
  std::vector<std::unique_ptr<lane>> lanes;
  for (const unsigned vector : who.vectors) lanes.push_back(game.open(who, vector));
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const double value = lanes[i]->run(span).value;
      if (round > 0) values[i].push_back(value);
    }
  }
  std::vector<double> medians;
  for (const auto& v : values) medians.push_back(median_of(v));
  return who.vectors[static_cast<std::size_t>(std::min_element(medians.begin(), medians.end()) - medians.begin())];
}

std::optional<double> count_syscalls(lane& track, std::chrono::milliseconds span) {
  std::vector<pid_t> processes;
  for (const auto* p : track.counted()) processes.push_back(p->pid());
  const auto commands = [&] {
    std::uint64_t sum = 0;
    for (const auto* p : track.counted()) sum += p->commands();
    return sum;
  };
  const auto counter = syscall_counter::attach(processes);
  if (!counter) return std::nullopt;
  const std::uint64_t before = counter->read();
  const std::uint64_t told = commands();
  const window w = track.run(span);
  // The subject reads each command and answers it: two system calls that are no part of its work.
  const std::uint64_t calls = counter->read() - before - 2 * (commands() - told);
  return static_cast<double>(calls) / static_cast<double>(std::max<std::uint64_t>(w.loss.received, 1));
}

/// The use of the processors during one round: shares of their whole time.
struct round_shares {
  double stolen = 0;
  double foreign = 0;
};

/// Runs a window of every racer, in the given order.
round_shares run_round(std::vector<racer>& field, bool backwards, std::chrono::milliseconds span,
                       std::vector<std::optional<window>>& windows) {
  windows.assign(field.size(), std::nullopt);
  const auto threads = foreign_threads();
  const std::uint64_t stolen = stolen_time();
  const std::uint64_t begin = now_ns();
  for (std::size_t i = 0; i < field.size(); ++i) {
    const std::size_t at = backwards ? field.size() - 1 - i : i;
    racer& r = field[at];
    if (!r.running()) continue;
    r.attempt([&] {
      const window w = r.track->run(span);
      demand_explained(w.loss);
      windows[at] = w;
    });
  }
  const auto all =
      static_cast<double>((now_ns() - begin) * static_cast<std::uint64_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  return {.stolen = static_cast<double>(stolen_time() - stolen) / all,
          .foreign = static_cast<double>(time_between(threads, foreign_threads())) / all};
}

/// Starts the process of each racer afresh.
void restart(const contest& game, std::vector<racer>& field, const effort& how, progress& shown) {
  for (racer& r : field) {
    if (!r.running()) continue;
    shown.show(fmt::format("starting {} again", r.outcome.who.subject));
    r.attempt([&] {
      r.track.reset();
      r.track = game.open(r.outcome.who, r.outcome.vector);
      r.track->run(how.window / 2);  // warms up; not counted
    });
  }
}

/// Runs the windows of the processes that run now.
void measure_processes(std::vector<racer>& field, const effort& how, progress& shown, surroundings& around) {
  std::vector<std::optional<window>> windows;
  const int rounds = how.windows / how.processes;
  for (int round = 0; round < rounds;) {
    shown.show(fmt::format("window {} of {}, {} subjects", round + 1, rounds, field.size()));
    const round_shares taken = run_round(field, round % 2 == 1, how.window, windows);
    if (taken.stolen + taken.foreign > most_taken && around.repeated_rounds < most_repetitions) {
      ++around.repeated_rounds;
      continue;
    }
    ++round;
    around.stolen += taken.stolen / how.windows;
    around.foreign += taken.foreign / how.windows;
    for (std::size_t i = 0; i < field.size(); ++i) {
      if (!windows[i]) continue;
      field[i].outcome.values.push_back(windows[i]->value);
      if (windows[i]->latencies) field[i].outcome.p50s.push_back(windows[i]->latencies->quantile(0.5));
      add(field[i].outcome.sum, *windows[i]);
    }
  }
}

surroundings measure(const contest& game, std::vector<racer>& field, const effort& how, progress& shown) {
  surroundings around;
  if (!foreign_time_is_kept()) shown.say_once("not seen: what other processes take (the kernel has no schedstat)");
  for (int process = 0; process < how.processes; ++process) {
    if (process > 0) restart(game, field, how, shown);
    measure_processes(field, how, shown, around);
  }
  return around;
}

/// Starts an entrant; returns nothing if this build does not have it.
std::optional<racer> prepare(const contest& game, const entrant& who, const effort& how, progress& shown) {
  racer r;
  r.outcome.contest = game.name();
  r.outcome.unit = game.unit();
  r.outcome.processes = static_cast<std::size_t>(how.processes);
  r.outcome.span = how.window;
  r.outcome.who = who;
  shown.show(fmt::format("warming up {}", who.subject));
  try {
    r.attempt([&] {
      r.outcome.vector = fastest_vector(game, who, how.window / 8);
      r.track = game.open(who, r.outcome.vector);
      r.outcome.bytes_per_socket = r.track->bytes_per_socket();
      r.track->run(how.window);  // touches its memory and wakes its processor; not counted
    });
  } catch (const missing_subject& e) {
    shown.say_once(fmt::format("left out: {}", e.what()));
    return std::nullopt;
  }
  return r;
}

}  // namespace

contest_report run_contest(const contest& game, const effort& usual, const std::vector<std::string>& wanted,
                           progress& shown) {
  effort how = usual;
  how.window = game.window_of(usual.window);
  std::vector<racer> field;
  for (const entrant& who : game.entrants()) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), who.subject) == wanted.end()) continue;
    if (auto r = prepare(game, who, how, shown)) field.push_back(std::move(*r));
  }
  contest_report report{.contest = game.name(), .results = {}, .around = {}};
  const auto errors = udp_errors();
  report.around = measure(game, field, how, shown);
  for (const auto& [name, count] : udp_errors()) report.around.udp_errors[name] = count - errors.at(name);
  for (racer& r : field) {
    shown.show(fmt::format("counting the system calls of {}", r.outcome.who.subject));
    if (r.running()) {
      r.attempt([&] { r.outcome.syscalls_per_datagram = count_syscalls(*r.track, how.window / 4); });
    }
    report.results.push_back(std::move(r.outcome));
  }
  return report;
}

}  // namespace bench
