#include "harness/report.hpp"

#include <fmt/format.h>
#include <liburing.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "build_facts.hpp"

namespace bench {
namespace {

using json = nlohmann::ordered_json;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string processor_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

/// Words of the kernel's command line that change the cost of system calls and wake-ups.
std::string timing_options() {
  std::ifstream file("/proc/cmdline");
  std::string found;
  for (std::string word; file >> word;) {
    for (const char* prefix : {"mitigations=", "nested_", "haltpoll.", "cpuidle", "idle=", "isolcpus=", "nohz",
                               "intel_idle", "processor."}) {
      if (word.starts_with(prefix)) found += (found.empty() ? "" : " ") + word;
    }
  }
  return found;
}

bool is_virtual_machine() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) return line.find(" hypervisor") != line.npos;
  }
  return false;
}

/// Share of the processors' time; smaller shares are not printed.
constexpr double noticeable_share = 0.01;

json latencies_of(const histogram& h) {
  json out;
  for (const auto& [name, fraction] :
       {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}}) {
    out[name] = h.quantile(fraction);
  }
  out["max"] = h.maximum();
  out["count"] = h.total();
  return out;
}

json to_json(const result& r) {
  const estimate figure = r.figure();
  const loss_account& loss = r.sum.loss;
  json out{{"case", r.contest}, {"subject", r.who.subject}, {"unit", r.unit},     {"median", figure.median},
           {"low", figure.low}, {"high", figure.high},      {"windows", r.values}};
  if (!r.who.load.empty()) out["load"] = r.who.load;
  if (r.who.rate > 0) out["rate"] = r.who.rate;
  if (!r.who.note.empty()) out["note"] = r.who.note;
  if (!r.p50s.empty()) out["p50_windows"] = r.p50s;
  out["window_ms"] = r.span.count();
  out["vector"] = r.vector;
  out["loss"] = {{"sent", loss.sent},
                 {"received", loss.received},
                 {"dropped", loss.dropped},
                 {"bad", loss.bad},
                 {"unexplained", loss.sent - loss.received - loss.dropped}};
  out["allocations_per_datagram"] = r.per_datagram(r.sum.allocations);
  out["syscalls_per_datagram"] = r.syscalls_per_datagram ? json(*r.syscalls_per_datagram) : json();
  out["segments_per_buffer"] =
      r.sum.buffers == 0 ? json() : json(static_cast<double>(loss.received) / static_cast<double>(r.sum.buffers));
  out["cpu_ns_per_datagram"] = {{"subject", r.per_datagram(r.sum.subject_cpu_ns)},
                                {"peer", r.per_datagram(r.sum.peer_cpu_ns)}};
  if (r.sum.latencies != nullptr) out["percentiles"] = latencies_of(*r.sum.latencies);
  if (r.sum.lateness != nullptr) out["generator_lateness"] = latencies_of(*r.sum.lateness);
  if (r.bytes_per_socket) out["bytes_per_socket"] = *r.bytes_per_socket;
  if (!r.void_because.empty()) out["void"] = r.void_because;
  return out;
}

json to_json(const verdict& v) {
  json out{{"case", v.goal.contest},  {"what", v.goal.what}, {"subject", v.goal.subject}, {"against", v.against},
           {"ratio", v.ratio.median}, {"low", v.ratio.low},  {"high", v.ratio.high},      {"at_most", v.goal.at_most},
           {"more", v.more},          {"met", v.met}};
  if (v.goal.at_most_more) out["at_most_more"] = *v.goal.at_most_more;
  if (v.plain) {
    const estimate& plain = *v.plain;
    out["plain_c"] = {{"subject", v.plain_subject}, {"ratio", plain.median}, {"low", plain.low}, {"high", plain.high}};
  }
  return out;
}

json to_json(const finding& f) {
  return {{"what", f.goal.what},  {"case", f.contest},         {"subject", f.subject}, {"load", f.load},
          {"reached", f.reached}, {"at_most", f.goal.at_most}, {"met", f.met}};
}

/// The versions of the libraries that uring6 is compared with.
json peers() {
  json out = json::object();
  for (const auto& [name, version] : {std::pair{"Asio", facts::asio}, {"libuv", facts::libuv}, {"Go", facts::go}}) {
    if (*version != '\0') out[name] = version;
  }
  return out;
}

}  // namespace

json describe_machine() {
  utsname kernel{};
  ::uname(&kernel);
  return {{"cpu", processor_model()},
          {"processors", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"virtual_machine", is_virtual_machine()},
          {"kernel", fmt::format("{} {}", kernel.sysname, kernel.release)},
          {"kernel_options", timing_options()},
          {"spectre_v2", first_line("/sys/devices/system/cpu/vulnerabilities/spectre_v2")},
          {"memory_mib", ::sysconf(_SC_PHYS_PAGES) / ((1 << 20) / ::sysconf(_SC_PAGESIZE))},
          {"liburing", facts::liburing},
          {"compiler", facts::compiler},
          {"peers", peers()},
          {"build_type", facts::build_type}};
}

json to_json(const json& machine, const calibration& c, const effort& how, const std::vector<contest_report>& reports,
             const std::vector<verdict>& verdicts, const std::vector<finding>& findings) {
  json out{{"schema", 1}, {"machine", machine}};
  out["calibration"] = {{"null_syscall_ns", c.null_syscall_ns},
                        {"io_uring_enter_ns", c.enter_ns},
                        {"clock_ns", c.clock_ns},
                        {"memcpy_cached_gb_per_s", c.memcpy_cached},
                        {"memcpy_memory_gb_per_s", c.memcpy_memory},
                        {"eventfd_wake_ns", c.wake_ns},
                        {"spin_gaps_ns_per_s", c.lost_per_second_ns},
                        {"spin_longest_gap_ns", c.longest_gap_ns}};
  out["effort"] = {{"window_ms", how.window.count()}, {"windows", how.windows}, {"processes", how.processes}};
  out["results"] = json::array();
  out["surroundings"] = json::array();
  for (const contest_report& report : reports) {
    for (const result& r : report.results) out["results"].push_back(to_json(r));
    out["surroundings"].push_back({{"case", report.contest},
                                   {"repeated_rounds", report.around.repeated_rounds},
                                   {"stolen_share", report.around.stolen},
                                   {"foreign_share", report.around.foreign},
                                   {"udp_errors", report.around.udp_errors}});
  }
  out["targets"] = json::array();
  for (const verdict& v : verdicts) out["targets"].push_back(to_json(v));
  out["limits"] = json::array();
  for (const finding& f : findings) out["limits"].push_back(to_json(f));
  return out;
}

std::string line_of(const result& r) {
  const std::string name = r.who.load.empty() ? r.who.subject : fmt::format("{} ({})", r.who.subject, r.who.load);
  if (!r.void_because.empty()) return fmt::format("  {:<34} void: {}", name, r.void_because);
  const estimate figure = r.figure();
  std::string line =
      fmt::format("  {:<34} {:>9.1f}  [{:.1f}, {:.1f}] {}", name, figure.median, figure.low, figure.high, r.unit);
  if (r.syscalls_per_datagram) line += fmt::format(", {:.3f} calls", *r.syscalls_per_datagram);
  line += fmt::format(", {:.3g} allocations", r.per_datagram(r.sum.allocations));
  if (r.sum.latencies != nullptr) {
    const histogram& latencies = *r.sum.latencies;
    if (!r.unit.ends_with("p50")) line += fmt::format(", p50 {:.0f}", latencies.quantile(0.5));
    line += fmt::format(", p99 {:.0f}, p99.9 {:.0f}", latencies.quantile(0.99), latencies.quantile(0.999));
  }
  if (r.sum.loss.dropped > 0) line += fmt::format(", {} dropped", r.sum.loss.dropped);
  if (r.bytes_per_socket) line += fmt::format(", {} bytes per socket", *r.bytes_per_socket);
  if (r.who.vectors.size() > 1) line += fmt::format(", vector {}", r.vector);
  if (!r.who.note.empty()) line += fmt::format(" ({})", r.who.note);
  return line;
}

std::string line_of(const verdict& v) {
  std::string line =
      fmt::format("  {:<7} {:<16} {:<48} {:.3f} [{:.3f}, {:.3f}], at most {:.2f}", v.met ? "met" : "NOT MET",
                  v.goal.contest, v.goal.what, v.ratio.median, v.ratio.low, v.ratio.high, v.goal.at_most);
  if (v.goal.at_most_more) line += fmt::format("; {:.1f} ns more, at most {:.0f}", v.more, *v.goal.at_most_more);
  if (v.plain) line += fmt::format("; {} {:.3f}", v.plain_subject, v.plain->median);
  return line;
}

std::string line_of(const finding& f) {
  return fmt::format("  {:<7} {:<16} {:<48} {:.4g}, at most {:.4g}", f.met ? "met" : "NOT MET", f.contest,
                     fmt::format("{}, {}", f.goal.what, f.subject), f.reached, f.goal.at_most);
}

std::string line_of(const surroundings& around) {
  if (around.repeated_rounds == 0 && around.stolen + around.foreign < noticeable_share) return "";
  return fmt::format("  (others took {:.1f} % of the processors, the hypervisor {:.1f} %; {} rounds were run again)",
                     100 * around.foreign, 100 * around.stolen, around.repeated_rounds);
}

std::string line_of(const calibration& c) {
  return fmt::format(
      "null system call {:.0f} ns, io_uring_enter {:.0f} ns, clock {:.0f} ns, memcpy {:.1f} GB/s cached, "
      "{:.1f} from memory, eventfd wake {:.0f} ns",
      c.null_syscall_ns, c.enter_ns, c.clock_ns, c.memcpy_cached, c.memcpy_memory, c.wake_ns);
}

}  // namespace bench
