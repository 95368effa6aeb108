#include "harness/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace bench {

progress::progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

progress::~progress() {
  clear();
}

void progress::clear() {
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

void progress::begin(std::string_view contest, std::size_t number, std::size_t of) {
  head_ = fmt::format("[{}/{}] {}", number, of, contest);
}

void progress::show(std::string_view what) {
  if (!terminal_) return;
  clear();
  fmt::print(stderr, "{}: {}", head_, what);
  std::fflush(stderr);
}

void progress::say(std::string_view line) {
  clear();
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void progress::say_once(const std::string& line) {
  if (said_.insert(line).second) say(line);
}

}  // namespace bench
