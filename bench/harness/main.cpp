// The referee: starts the subjects, gives them all the same work in turn, keeps the accounts, and reports.
#include <fmt/format.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <exception>
#include <fstream>
#include <thread>

#include "common/addresses.hpp"
#include "common/socket.hpp"
#include "harness/measure/kernel_counters.hpp"
#include "harness/report.hpp"
#include "harness/runner.hpp"
#include "harness/targets.hpp"

namespace bench {
namespace {

struct wishes {
  bool quick = false;
  bool list = false;
  bool growth = false;
  std::vector<std::string> cases{};
  std::vector<std::string> subjects{};
  std::string json_file{};
  std::string placement = "apart";
};

/// 10,000 sockets, in the growth table 100,000, need as many descriptors: more than the usual soft limit, and perhaps
/// more than the hard one, which only a privilege raises.
void raise_descriptor_limit(bool growth) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t of_growth = 110'000;
  const rlimit higher{of_growth, of_growth};
  if (growth && limit.rlim_max < of_growth && ::setrlimit(RLIMIT_NOFILE, &higher) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Throws where the addresses of the growth table are not local.
void require_growth_network() {
  try {
    open_at(address_of(0), 0);
  } catch (const std::system_error& e) {
    throw std::runtime_error(fmt::format("--growth: {}: run bench/growth, which makes the network for it", e.what()));
  }
}

void write_json(const std::string& path, const nlohmann::ordered_json& what) {
  std::ofstream file(path);
  file << what.dump(2) << '\n';
  if (!file) throw std::runtime_error(fmt::format("cannot write {}", path));
}

bool is_sound(const contest_report& report) {
  return std::all_of(report.results.begin(), report.results.end(),
                     [](const result& r) { return r.void_because.empty(); });
}

int run(const wishes& w) {
  raise_descriptor_limit(w.growth);
  ::signal(SIGPIPE, SIG_IGN);  // a write to a subject that has ended gives EPIPE, which is reported
  placement where;
  if (w.placement == "together" || std::thread::hardware_concurrency() < 2) where = {.harness = 0, .subject = 0};
  auto contests = w.growth ? growth_contests(where) : all_contests(where);
  if (!w.cases.empty()) {
    std::erase_if(contests,
                  [&](const auto& c) { return std::find(w.cases.begin(), w.cases.end(), c->name()) == w.cases.end(); });
  }
  if (w.list) {
    for (const auto& c : contests) fmt::print("{}\n", c->name());
    return 0;
  }
  if (contests.empty()) {
    fmt::print(stderr, "no such case; bench/run --list names them\n");
    return 2;
  }
  if (w.growth) require_growth_network();
  const effort of_a_look{.window = std::chrono::milliseconds(150), .windows = 6, .processes = 1};
  const effort how = w.quick || w.growth ? of_a_look : effort{};
  pin({where.harness});
  progress shown;
  auto machine = describe_machine();
  machine["placement"] = where.harness == where.subject ? "together" : "apart";
  const calibration elementary = calibrate();
  shown.say(fmt::format("{}, {} processors, {}", machine["cpu"].get<std::string>(), machine["processors"].get<int>(),
                        machine["kernel"].get<std::string>()));
  shown.say(line_of(elementary));

  std::vector<contest_report> reports;
  for (std::size_t i = 0; i < contests.size(); ++i) {
    shown.begin(contests[i]->name(), i + 1, contests.size());
    reports.push_back(run_contest(*contests[i], how, w.subjects, shown));
    shown.say(fmt::format("\n{}", contests[i]->name()));
    for (const result& r : reports.back().results) shown.say(line_of(r));
    if (const auto line = line_of(reports.back().around); !line.empty()) shown.say(line);
  }
  const auto verdicts = judge(reports);
  // The points of the growth table have no limits: of a payload of 65,527 octets one is a whole read.
  const auto findings = w.growth ? std::vector<finding>() : judge_limits(reports);
  if (!verdicts.empty()) shown.say("\nratios of medians");
  for (const verdict& v : verdicts) shown.say(line_of(v));
  if (!findings.empty()) shown.say("\nlimits, by the result that comes nearest");
  for (const finding& f : findings) shown.say(line_of(f));
  if (!w.json_file.empty()) {
    write_json(w.json_file, to_json(machine, elementary, how, reports, verdicts, findings));
  }
  return std::all_of(reports.begin(), reports.end(), is_sound) ? 0 : 1;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::wishes w;
  CLI::App app{"uring6 beside its peers, in one run. Exit status 1 if a result is void."};
  app.name("bench/run");
  app.add_flag("--quick", w.quick, "fewer and shorter windows: a first look, no figure to publish");
  app.add_flag("--list", w.list, "name the cases");
  app.add_flag("--growth", w.growth, "the points of the growth table instead of the cases (bench/growth)");
  app.add_option("--case", w.cases, "only these cases");
  app.add_option("--subject", w.subjects, "only these subjects, by their names in the table");
  app.add_option("--json", w.json_file, "write everything to this file");
  app.add_option("--placement", w.placement, "subject and harness on two processors or on one")
      ->check(CLI::IsMember({"apart", "together"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return bench::run(w);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench/run: {}\n", e.what());
    return 2;
  }
}
