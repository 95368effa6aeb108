// The other end of the harness's pipe. Commands, one a line, and their answers:
//
//   work N                  works on N further datagrams; "done ns=… datagrams=… bad=… …"
//   produce N CHUNK WINDOW  sends N datagrams, never more than WINDOW ahead of the receiver; answers likewise
//   consume N CHUNK         receives them, telling the sender by the board; answers likewise
//   serve                   works until the process is ended; no answer
//
// The first line out is "ready resident=… ports=…": the memory of its sockets, in bytes.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <limits>
#include <stdexcept>

#include "common/board.hpp"
#include "common/clock.hpp"
#include "subjects/allocations.hpp"
#include "subjects/subject.hpp"

namespace bench {
namespace {

template <class T>
T number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw std::invalid_argument(fmt::format("not a number: {}", text));
  }
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

void apply(settings& s, std::string_view key, std::string_view value) {
  if (key == "size")
    s.size = number<std::size_t>(value);
  else if (key == "control")
    s.control = value == "1";
  else if (key == "gro")
    s.gro = value == "1";
  else if (key == "spread")
    s.spread = value == "1";
  else if (key == "vector")
    s.vector = number<unsigned>(value);
  else if (key == "sockets")
    s.sockets = number<unsigned>(value);
  else if (key == "once")
    s.once = value == "1";
  else if (key == "loops")
    s.loops = number<unsigned>(value);
  else if (key == "wait")
    s.wait = value == "spin" ? wait_mode::spin : value == "adaptive" ? wait_mode::adaptive : wait_mode::block;
  else if (key == "to")
    for (const auto port : split(value, ',')) s.to.push_back(number<std::uint16_t>(port));
  else
    throw std::invalid_argument(fmt::format("unknown setting: {}", key));
}

std::uint64_t resident_bytes() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Runs commands against one subject and answers them.
class session {
 public:
  session(subject& s, board& b) : subject_(s), board_(b) {}

  void obey(std::string_view line) {
    const auto words = split(line, ' ');
    const auto argument = [&](std::size_t i) { return number<std::uint64_t>(words.at(i)); };
    if (words.empty()) return;
    if (words[0] == "work") {
      report([&, count = argument(1)] { work(count); });
    } else if (words[0] == "produce") {
      report([&, count = argument(1), chunk = argument(2), window = argument(3)] { produce(count, chunk, window); });
    } else if (words[0] == "consume") {
      report([&, count = argument(1), chunk = argument(2)] { consume(count, chunk); });
    } else if (words[0] == "serve") {
      subject_.run_until(std::numeric_limits<std::uint64_t>::max());
    } else {
      throw std::invalid_argument(fmt::format("unknown command: {}", line));
    }
  }

 private:
  void work(std::uint64_t count) { subject_.run_until(target_ += count); }

  void produce(std::uint64_t count, std::uint64_t chunk, std::uint64_t window) {
    for (std::uint64_t sent = 0; sent < count; sent += chunk) {
      // A loopback socket slows no sender down: without credit the receiver would drop datagrams.
      while (sent + chunk > board_.consumed.load(std::memory_order_acquire) + window) {
        const timespec nap{0, 20'000};
        ::nanosleep(&nap, nullptr);
      }
      work(std::min(chunk, count - sent));
    }
  }

  void consume(std::uint64_t count, std::uint64_t chunk) {
    for (std::uint64_t received = 0; received < count; received += chunk) {
      work(std::min(chunk, count - received));
      board_.consumed.fetch_add(chunk, std::memory_order_release);
    }
  }

  template <class F>
  void report(F&& job) {
    const tally before = subject_.seen();
    const std::uint64_t allocations = board_.allocations.load();
    const std::uint64_t start = now_ns();
    job();
    const std::uint64_t ns = now_ns() - start;
    const tally& after = subject_.seen();
    const auto answer = fmt::format("done ns={} datagrams={} bad={} sum={} controls={} buffers={} allocations={}\n", ns,
                                    after.datagrams - before.datagrams, after.bad - before.bad,
                                    after.sequence_sum - before.sequence_sum, after.controls - before.controls,
                                    after.buffers - before.buffers, board_.allocations.load() - allocations);
    if (::write(STDOUT_FILENO, answer.data(), answer.size()) < 0) throw std::runtime_error("the harness has gone");
  }

  subject& subject_;
  board& board_;
  std::uint64_t target_ = 0;
};

int run(int argc, char** argv) {
  if (argc < 3) throw std::invalid_argument("usage: ROLE NAME [KEY=VALUE]… (started by bench/run)");
  settings wanted;
  for (int i = 3; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto equals = word.find('=');
    if (equals == word.npos) throw std::invalid_argument(fmt::format("not KEY=VALUE: {}", word));
    apply(wanted, word.substr(0, equals), word.substr(equals + 1));
  }
  const auto table = subjects();
  const auto chosen =
      std::find_if(table.begin(), table.end(), [&](const entry& e) { return e.role == argv[1] && e.name == argv[2]; });
  if (chosen == table.end()) return no_such_subject;

  board& shared = *map_board(board_descriptor);
  count_allocations_in(shared.allocations);
  const std::uint64_t resident = resident_bytes();
  const auto contender = chosen->make(wanted);
  const std::uint64_t taken = resident_bytes() - resident;
  contender->start_readers();
  fmt::print("ready resident={} ports={}\n", taken, fmt::join(contender->ports(), ","));
  std::fflush(stdout);
  session harness(*contender, shared);
  for (std::string line; std::getline(std::cin, line);) harness.obey(line);
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  try {
    return bench::run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", argc > 2 ? argv[2] : argv[0], e.what());
    return 1;
  }
}
