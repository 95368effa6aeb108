#include "uring6/successor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

#include "sys/failure/failure_note.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/first_inherited.hpp"

namespace uring6::inline v0 {
namespace {

constexpr std::size_t most_channels = 1024;

struct two_ends {
  file_descriptor here;
  file_descriptor there;
};

result<two_ends> message_pair() noexcept {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) return fail_errno(errno);
  return two_ends{file_descriptor(fds[0]), file_descriptor(fds[1])};
}

/// Keeps signals from the child until it has none of this process's handlers any more.
class all_signals_blocked {
 public:
  all_signals_blocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  all_signals_blocked(const all_signals_blocked&) = delete;
  all_signals_blocked& operator=(const all_signals_blocked&) = delete;
  ~all_signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

/// What the child needs. Between fork and exec it may not allocate, because another thread may hold the allocator's
/// lock.
struct child_plan {
  std::vector<char*> words{};
  std::vector<char*> variables{};
  std::string count{};
  std::string names{};
  std::array<char, 32> process{"LISTEN_PID="};  // the child appends its own number
  std::vector<int> channels{};                  // close-on-exec, above all numbers that they get
};

void append_number(std::span<char> to, std::size_t at, unsigned number) noexcept {
  std::array<char, 16> reversed{};
  std::size_t digits = 0;
  do reversed[digits++] = static_cast<char>('0' + number % 10);
  while ((number /= 10) > 0);
  assert(at + digits < to.size());
  while (digits > 0) to[at++] = reversed[--digits];
  to[at] = '\0';
}

child_plan plan_of(std::span<const std::string> words, std::span<const int> channels) {
  child_plan plan;
  for (const std::string& each : words) plan.words.push_back(const_cast<char*>(each.c_str()));
  plan.words.push_back(nullptr);
  plan.count = fmt::format("LISTEN_FDS={}", channels.size());
  plan.names = "LISTEN_FDNAMES=handover";
  for (std::size_t i = 1; i < channels.size(); ++i) plan.names += ":handover";
  for (char** each = environ; each && *each; ++each) {
    const std::string_view variable = *each;
    const bool replaced = variable.starts_with("LISTEN_PID=") || variable.starts_with("LISTEN_FDS=") ||
                          variable.starts_with("LISTEN_FDNAMES=");
    if (!replaced) plan.variables.push_back(*each);
  }
  plan.channels.assign(channels.begin(), channels.end());
  return plan;
}

/// In the child. Returns the errno of what failed.
int become_program(child_plan& plan) noexcept {
  append_number(plan.process, std::string_view("LISTEN_PID=").size(), static_cast<unsigned>(::getpid()));
  for (std::size_t i = 0; i < plan.channels.size(); ++i) {
    if (::dup2(plan.channels[i], first_inherited + static_cast<int>(i)) < 0) return errno;
  }
  // exec keeps ignored signals ignored, resets handlers, and keeps the mask.
  sigset_t nothing;
  ::sigemptyset(&nothing);
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction now {};
    if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler != SIG_IGN && now.sa_handler != SIG_DFL)
      ::sigaction(number, &usual, nullptr);
  }
  ::pthread_sigmask(SIG_SETMASK, &nothing, nullptr);
  ::execve(plan.words[0], plan.words.data(), plan.variables.data());
  return errno;
}

/// The end of a pipe that the child writes its errno to; exec closes it.
result<void> until_exec(int report) noexcept {
  int error = 0;
  ssize_t got = -1;
  do got = ::read(report, &error, sizeof error);
  while (got < 0 && errno == EINTR);
  if (got < 0) return fail_errno(errno);
  if (got == sizeof error) return fail_errno(error);
  return {};
}

void reap(pid_t process) noexcept {
  while (::waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// Starts the program and returns its process.
result<int> start_program(child_plan& plan) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno);
  const file_descriptor report(ends[0]);
  file_descriptor failed(ends[1]);
  // The numbers from 3 on go to the channels.
  const int lowest = first_inherited + static_cast<int>(plan.channels.size());
  failed = file_descriptor(::fcntl(failed.get(), F_DUPFD_CLOEXEC, lowest));
  if (!failed) return fail_errno(errno);
  pid_t child = -1;
  {
    const all_signals_blocked quiet;
    child = ::fork();
    if (child == 0) {
      const int error = become_program(plan);
      (void)!::write(failed.get(), &error, sizeof error);
      ::_exit(127);
    }
  }
  if (child < 0) return fail_errno(errno);
  failed = file_descriptor();
  const auto begun = until_exec(report.get());
  if (!begun) {
    reap(child);
    return fail(begun.error());
  }
  return child;
}

}  // namespace

successor::successor(successor&& other) noexcept
    : process_(std::exchange(other.process_, -1)), channels_(std::move(other.channels_)) {
  other.channels_.clear();
}
successor& successor::operator=(successor&& other) noexcept {
  std::swap(process_, other.process_);
  std::swap(channels_, other.channels_);
  return *this;
}
successor::~successor() {
  for (const int each : channels_) file_descriptor{each};
}

int successor::channel(std::size_t which) const noexcept {
  assert(which < channels_.size());
  return channels_[which];
}

void successor::end() noexcept {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  reap(std::exchange(process_, -1));
}

result<successor> successor::start(std::span<const std::string> words, std::size_t channels) {
  const auto object = [&] { return words.empty() ? std::string("without a program") : words[0]; };
  const auto refused = [&](const std::error_code& error) {
    return failure(error, detail::keep_note(error, "successor::start", object()));
  };
  if (words.empty()) return refused(make_error_code(std::errc::invalid_argument));
  if (channels == 0 || channels > most_channels) return refused(errc::out_of_range);
  successor started;
  std::vector<file_descriptor> theirs;
  std::vector<int> numbers;
  started.channels_.reserve(channels);
  for (std::size_t i = 0; i < channels; ++i) {
    auto both = message_pair();
    if (!both) return refused(both.error());
    started.channels_.push_back(both->here.release());
    // Above the numbers that the child gives them, so that none is overwritten before its turn.
    theirs.emplace_back(::fcntl(both->there.get(), F_DUPFD_CLOEXEC, first_inherited + static_cast<int>(channels)));
    if (!theirs.back()) return refused({errno, std::system_category()});
    numbers.push_back(theirs.back().get());
  }
  child_plan plan = plan_of(words, numbers);
  for (char* const each : {plan.process.data(), plan.count.data(), plan.names.data()}) plan.variables.push_back(each);
  plan.variables.push_back(nullptr);
  const auto process = start_program(plan);
  if (!process) return refused(process.error());
  started.process_ = *process;
  return started;
}

}  // namespace uring6::inline v0
