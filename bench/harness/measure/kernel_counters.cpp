#include "harness/measure/kernel_counters.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace bench {

std::uint64_t drops_at(const std::vector<std::uint16_t>& ports) {
  if (ports.empty()) return 0;
  std::vector<bool> wanted(1u << 16);  // of 10,000 sockets a search among their ports would take long
  for (const std::uint16_t port : ports) wanted[port] = true;
  std::ifstream table("/proc/net/udp6");
  std::uint64_t drops = 0;
  std::string line;
  std::getline(table, line);  // the headings
  while (std::getline(table, line)) {
    // "  sl: ADDRESS:PORT ... drops": the local port is the hex number behind the second colon, the drops
    // come last.
    const auto colon = line.find(':', line.find(':') + 1);
    const auto port = static_cast<std::uint16_t>(std::stoul(line.substr(colon + 1, 4), nullptr, 16));
    if (!wanted[port]) continue;
    const auto last = line.find_last_not_of(' ');
    drops += std::stoull(line.substr(line.find_last_of(' ', last) + 1));
  }
  return drops;
}

std::map<std::string, std::uint64_t> udp_errors() {
  std::ifstream counters("/proc/net/snmp6");
  std::map<std::string, std::uint64_t> errors;
  std::string key;
  for (std::uint64_t value = 0; counters >> key >> value;) {
    if (key.starts_with("Udp6") && key.ends_with("Errors")) errors[key] = value;
  }
  return errors;
}

std::uint64_t stolen_time() {
  std::ifstream stat("/proc/stat");
  std::string name;
  stat >> name;
  constexpr int before = 7;  // user, nice, system, idle, iowait, irq, softirq
  std::uint64_t ticks = 0;
  for (int column = 0; column <= before; ++column) {
    if (!(stat >> ticks)) return 0;
  }
  return ticks * (1'000'000'000u / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

namespace {

/// tracefs, mounted for this process alone: many machines mount it only on demand.
descriptor open_tracefs() {
  const descriptor context(static_cast<int>(::syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC)));
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return {};
  return descriptor(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
}

/// The number of the tracepoint of all system calls; 0 without the privilege to read it.
std::uint64_t syscall_tracepoint() {
  const descriptor root = open_tracefs();
  const descriptor id(::openat(root.get(), "events/raw_syscalls/sys_enter/id", O_RDONLY | O_CLOEXEC));
  std::array<char, 24> text{};
  if (::read(id.get(), text.data(), text.size() - 1) <= 0) return 0;
  return std::strtoull(text.data(), nullptr, 10);
}

}  // namespace

std::optional<syscall_counter> syscall_counter::attach(const std::vector<pid_t>& processes) {
  static const std::uint64_t tracepoint = syscall_tracepoint();
  if (tracepoint == 0) return std::nullopt;
  perf_event_attr wanted{};
  wanted.type = PERF_TYPE_TRACEPOINT;
  wanted.size = sizeof wanted;
  wanted.config = tracepoint;
  wanted.inherit = 1;  // threads that start later, too
  syscall_counter counter;
  for (const pid_t process : processes) {
    for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process))) {
      const int id = std::stoi(thread.path().filename());
      const long fd = ::syscall(SYS_perf_event_open, &wanted, id, -1, -1, PERF_FLAG_FD_CLOEXEC);
      if (fd < 0) return std::nullopt;
      counter.events_.emplace_back(static_cast<int>(fd));
    }
  }
  return counter;
}

std::uint64_t syscall_counter::read() const {
  std::uint64_t sum = 0;
  for (const auto& event : events_) {
    std::uint64_t count = 0;
    if (::read(event.get(), &count, sizeof count) == sizeof count) sum += count;
  }
  return sum;
}

}  // namespace bench
