#include "harness/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "common/clock.hpp"

namespace bench {
namespace {

using namespace std::chrono_literals;

/// A subject's program is in the harness's directory, or in go/ below it.
std::string program_of(std::string_view subject) {
  struct place {
    std::string_view prefix;
    std::string_view program;
  };
  static constexpr std::array places{
      place{"raw ", "bench-raw"},
      place{"uring6 ", "bench-uring6"},
      place{"asio epoll", "bench-asio-epoll"},
      place{"asio io_uring", "bench-asio-io_uring"},
      place{"libuv", "bench-libuv"},
      place{"go ", "bench-go"},
  };
  const auto found =
      std::find_if(places.begin(), places.end(), [&](const place& p) { return subject.starts_with(p.prefix); });
  if (found == places.end()) throw missing_subject(fmt::format("{}: no program of this name", subject));
  const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / found->program;
  if (!std::filesystem::exists(path)) throw missing_subject(fmt::format("{} is not built", found->program));
  return path;
}

std::uint64_t value_of(std::string_view line, std::string_view key) {
  const std::string wanted = fmt::format(" {}=", key);
  const auto at = line.find(wanted);
  return at == line.npos ? 0 : std::stoull(std::string(line.substr(at + wanted.size())));
}

std::array<descriptor, 2> open_pipe() {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe2");
  return {descriptor(ends[0]), descriptor(ends[1])};
}

/// Runs in the child, between fork and exec.
[[noreturn]] void become(const char* path, char* const* argv, int in, int out, int board_fd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // an echo server does not notice the end of its command pipe
  // Above the numbers that the copies get, so that no copy overwrites another.
  const int copies[] = {::fcntl(in, F_DUPFD, 10), ::fcntl(out, F_DUPFD, 10), ::fcntl(board_fd, F_DUPFD, 10)};
  ::dup2(copies[0], STDIN_FILENO);
  ::dup2(copies[1], STDOUT_FILENO);
  ::dup2(copies[2], board_descriptor);
  for (const int copy : copies) ::close(copy);
  ::execv(path, argv);
  ::_exit(127);
}

}  // namespace

void pin(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(static_cast<std::size_t>(cpu), &set);
  check(::sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

subject_process::subject_process(const std::string& subject, const std::string& role,
                                 const std::vector<std::string>& words, const std::vector<int>& cpus,
                                 std::shared_ptr<board_memory> shared)
    : name_(subject), board_(std::move(shared)) {
  const std::string path = program_of(subject);
  std::vector<std::string> texts{path, role, subject};
  texts.insert(texts.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);

  auto commands = open_pipe();
  auto answers = open_pipe();
  cpu_set_t before;
  check(::sched_getaffinity(0, sizeof before, &before), "sched_getaffinity");
  pin(cpus);  // every thread that the subject starts inherits it
  pid_ = ::fork();
  if (pid_ == 0) become(path.c_str(), argv.data(), commands[0].get(), answers[1].get(), board_->fd());
  check(::sched_setaffinity(0, sizeof before, &before), "sched_setaffinity");
  check(pid_, "fork");
  to_ = std::move(commands[1]);
  from_ = std::move(answers[0]);
  answers[1] = descriptor();  // an open write end here would keep the pipe open after the subject's end

  const std::string ready = read_line(20s);
  resident_bytes_ = value_of(ready, "resident");
  const auto at = ready.find(" ports=");
  if (at == ready.npos) fail(fmt::format("unexpected first line '{}'", ready));
  std::istringstream ports(ready.substr(at + 7));
  for (std::string port; std::getline(ports, port, ',');)
    ports_.push_back(static_cast<std::uint16_t>(std::stoul(port)));
}

subject_process::~subject_process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void subject_process::fail(const std::string& why) {
  throw void_run(fmt::format("{}: {}", name_, why));
}

void subject_process::tell(const std::string& command) {
  const std::string line = command + '\n';
  ++commands_;
  if (::write(to_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail("it has ended");
}

std::string subject_process::read_line(std::chrono::milliseconds patience) {
  for (;;) {
    const auto end = pending_.find('\n');
    if (end != pending_.npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    pollfd wanted{from_.get(), POLLIN, 0};
    const int events = ::poll(&wanted, 1, static_cast<int>(patience.count()));
    if (events < 0 && errno == EINTR) continue;
    if (events == 0) fail("no answer in time: a datagram was lost, or the subject hangs");
    std::array<char, 4096> chunk;
    const auto got = ::read(from_.get(), chunk.data(), chunk.size());
    if (got <= 0) mourn();
    pending_.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

void subject_process::mourn() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == no_such_subject) {
    throw missing_subject(fmt::format("{} is not in this build", name_));
  }
  if (WIFSIGNALED(status)) fail(fmt::format("it was ended by signal {}", WTERMSIG(status)));
  fail("it ended without an answer");
}

answer subject_process::await() {
  const std::string line = read_line(30s);
  if (!line.starts_with("done ")) fail(fmt::format("unexpected answer '{}'", line));
  return {.ns = value_of(line, "ns"),
          .datagrams = value_of(line, "datagrams"),
          .bad = value_of(line, "bad"),
          .sequence_sum = value_of(line, "sum"),
          .controls = value_of(line, "controls"),
          .buffers = value_of(line, "buffers"),
          .allocations = value_of(line, "allocations")};
}

void subject_process::pause() {
  check(::kill(pid_, SIGSTOP), "kill");
  int status = 0;
  check(::waitpid(pid_, &status, WUNTRACED), "waitpid");
  if (!WIFSTOPPED(status)) {
    pid_ = -1;
    fail("it has ended");
  }
}

void subject_process::resume() {
  check(::kill(pid_, SIGCONT), "kill");
}

std::uint64_t subject_process::cpu_ns() const {
  clockid_t clock{};
  if (::clock_getcpuclockid(pid_, &clock) != 0) return 0;
  return read_clock(clock);
}

}  // namespace bench
