#include "harness/measure/foreign_time.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace bench {
namespace {

namespace fs = std::filesystem;

std::optional<pid_t> number_of(const fs::path& path) {
  const std::string name = path.filename();
  pid_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

/// "PID (any name) STATE PARENT ...": nothing if the process is gone.
std::optional<pid_t> parent_of(const fs::path& process) {
  std::ifstream stat(process / "stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), '(');
  std::string rest;
  std::getline(stat, rest);
  const auto name_end = rest.rfind(") ");
  if (name_end == rest.npos) return std::nullopt;
  return static_cast<pid_t>(std::strtol(rest.c_str() + name_end + 3, nullptr, 10));
}

}  // namespace

bool foreign_time_is_kept() {
  return std::ifstream("/proc/self/schedstat").good();
}

std::map<pid_t, std::uint64_t> foreign_threads() {
  std::map<pid_t, std::uint64_t> threads;
  std::error_code gone;  // a process may end while it is read
  for (const auto& process : fs::directory_iterator("/proc", gone)) {
    const auto number = number_of(process.path());
    if (!number || *number == ::getpid() || parent_of(process.path()) == ::getpid()) continue;
    for (fs::directory_iterator each(process.path() / "task", gone), end; !gone && each != end; each.increment(gone)) {
      std::uint64_t ran = 0;
      const auto thread = number_of(each->path());
      if (thread && std::ifstream(each->path() / "schedstat") >> ran) threads[*thread] = ran;
    }
  }
  return threads;
}

std::uint64_t time_between(const std::map<pid_t, std::uint64_t>& before, const std::map<pid_t, std::uint64_t>& after) {
  std::uint64_t sum = 0;
  for (const auto& [thread, ran] : after) {
    const auto known = before.find(thread);
    const std::uint64_t then = known == before.end() ? 0 : known->second;
    if (ran > then) sum += ran - then;
  }
  return sum;
}

}  // namespace bench
