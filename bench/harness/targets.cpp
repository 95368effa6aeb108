#include "harness/targets.hpp"

#include <algorithm>

namespace bench {
namespace {

bool counts(const result& r) {
  return r.void_because.empty() && !r.values.empty();
}

/// One for each window.
const std::vector<double>& figures(const result& r, measure of) {
  return of == measure::p50 ? r.p50s : r.values;
}

/// The subject always has datagrams to work on, and need not wait for them.
bool is_saturated(const result& r) {
  if (r.contest.starts_with("tcp-")) return false;
  return !r.contest.starts_with("echo-") || r.contest.starts_with("echo-run") || r.contest.starts_with("echo-peers");
}

/// Plain C with uring6's system calls, and the subject to compare it with if that is not the one that uring6 is
/// compared with.
struct plain_c {
  std::string_view contest{};
  std::string subject{};
  std::string against = "";
};

const plain_c* plain_of(const target& goal) {
  static const std::vector<plain_c> all{
      {"drain-64-cm", "raw multishot"},       {"send-64-run", "raw gso of messages"},
      {"echo-block", "raw multishot echo"},   {"echo-spin", "raw multishot echo"},
      {"echo-adaptive", "raw spinning echo"}, {"echo-run", "raw train echo"},
      {"echo-run-plain", "raw train echo"},   {"echo-run-single", "raw run echo"},
      {"sockets-10000", "raw multishot"},     {"two-loops", "raw two threads", "raw one thread"},
  };
  const auto found = std::ranges::find(all, goal.contest, &plain_c::contest);
  // Compared with itself it would say nothing.
  const bool says = found != all.end() && std::ranges::find(goal.against, found->subject) == goal.against.end();
  return says ? &*found : nullptr;
}

}  // namespace

const std::vector<target>& targets() {
  static const std::vector<target> all{
      {"drain-64-cm", "read_from / raw recvmmsg", "uring6 read_from", {"raw recvmmsg"}, 1.00},
      {"drain-64-cm", "receive / raw multishot", "uring6 receive", {"raw multishot"}, 1.03, 15.0},
      {"drain-64-cm", "receive / raw multishot of several pieces", "uring6 receive", {"raw multishot of pieces"}, 1.03},
      {"drain-64-cm", "read_from / Go ReadFrom", "uring6 read_from", {"go ReadFrom"}, 0.25},
      {"drain-64-cm", "read_from / Asio (better build)", "uring6 read_from", {"asio epoll", "asio io_uring"}, 0.62},
      {"drain-64-cm", "read_from / Asio async_wait and recvmmsg", "uring6 read_from", {"asio epoll recvmmsg"}, 1.00},
      {"drain-64", "read_from / libuv", "uring6 read_from", {"libuv"}, 1.00},
      {"drain-64",
       "read_from / Asio async_wait and non-blocking receives",
       "uring6 read_from",
       {"asio epoll async_wait"},
       1.00},
      {"drain-64", "read_from / Go ReadMsgUDPAddrPort", "uring6 read_from", {"go ReadMsgUDPAddrPort"}, 1.00},
      {"train-64", "receive / raw GRO", "uring6 receive", {"raw gro"}, 1.2},
      {"train-64", "read_from / raw GRO", "uring6 read_from", {"raw gro"}, 1.6},
      {"train-64", "read_from / raw recvmmsg, sent singly", "uring6 read_from", {"raw recvmmsg"}, 0.05},
      {"train-64", "read_from / Go ReadFrom", "uring6 read_from", {"go ReadFrom"}, 0.02},
      {"subscribe-64", "64 subscriptions, one of which checks / receive", "uring6 subscribe", {"uring6 receive"}, 1.3},
      {"train-64", "read_from / Go ReadMsgUDPAddrPort, UDP_GRO", "uring6 read_from", {"go ReadMsgUDPAddrPort"}, 1.00},
      {"send-64-run", "write_batch / raw GSO", "uring6 write_batch", {"raw gso"}, 1.15},
      {"send-64-run", "write_to (64 coroutines) / raw sendmmsg", "uring6 write_to", {"raw sendmmsg"}, 0.10},
      {"send-64", "write_batch / raw sendmmsg", "uring6 write_batch", {"raw sendmmsg"}, 1.03},
      {"fan-out-64", "write_batch / raw sendmmsg", "uring6 write_batch", {"raw sendmmsg"}, 0.05},
      {"fan-out-64", "write_batch / raw GSO, a train a peer", "uring6 write_batch", {"raw gso"}, 1.5},
      {"fan-out-1200", "write_batch / raw GSO, a train a peer", "uring6 write_batch", {"raw gso"}, 1.5},
      {"fan-out-64", "write_to, written ahead / raw sendmmsg", "uring6 write_to", {"raw sendmmsg"}, 0.06},
      {"fan-out-64", "write_to of 64 coroutines / raw sendmmsg", "uring6 coroutines", {"raw sendmmsg"}, 0.10},
      {"relay-64", "receive and write_batch / raw GRO and GSO by hand", "uring6 relay", {"raw train relay"}, 1.5},
      {"relay-1200", "receive and write_batch / raw GRO and GSO by hand", "uring6 relay", {"raw train relay"}, 1.5},
      {"echo-block", "p50 / raw blocking echo", "uring6 echo", {"raw echo"}, 1.05},
      {"echo-spin", "p50 / raw spinning echo", "uring6 echo", {"raw echo"}, 1.10},
      {"echo-adaptive", "p50, adaptive spin / raw blocking server", "uring6 echo", {"raw echo"}, 0.35},
      {"echo-run", "echo / raw recvmmsg+sendmmsg", "uring6 echo", {"raw echo"}, 0.05},
      {"echo-run-plain", "echo / raw recvmmsg+sendmmsg, peer without GRO", "uring6 echo", {"raw echo"}, 0.15},
      {"echo-run-single", "echo / raw recvmmsg+sendmmsg, peer sends singly", "uring6 echo", {"raw echo"}, 0.40},
      {"echo-run", "echo simple / raw recvmmsg+sendmmsg", "uring6 echo simple", {"raw echo"}, 0.10},
      {"echo-run", "README's service as printed / raw recvmmsg+sendmmsg", "uring6 readme", {"raw echo"}, 0.10},
      {"echo-run-single", "echo / plain C that sends runs", "uring6 echo", {"raw run echo"}, 1.05},
      {"echo-run-many", "echo / raw recvmmsg+sendmmsg, 64 clients", "uring6 echo", {"raw echo"}, 1.00},
      {"echo-run-many-plain",
       "echo / raw recvmmsg+sendmmsg, 64 clients without GRO",
       "uring6 echo",
       {"raw echo"},
       1.00},
      {"echo-run-many-plain",
       "README's service / raw recvmmsg+sendmmsg, 64 clients without GRO",
       "uring6 readme",
       {"raw echo"},
       1.05},
      {"echo-peers", "echo / raw recvmmsg+sendmmsg, 10,000 clients", "uring6 echo", {"raw echo"}, 1.00},
      {"echo-peers", "README's service / raw recvmmsg+sendmmsg, 10,000 clients", "uring6 readme", {"raw echo"}, 1.05},
      {"echo-peers-loops",
       "echo, two loops / raw recvmmsg+sendmmsg, two threads",
       "uring6 echo by loops",
       {"raw echo by threads"},
       1.00},
      {"dns", "responder / raw recvmmsg+sendmmsg", "uring6 dns", {"raw dns"}, 1.10},
      {"forward", "forwarder / raw recvmmsg+sendmmsg", "uring6 forward", {"raw forward"}, 1.05},
      {"sockets-10000", "receive / raw edge-triggered epoll + recvmsg", "uring6 receive", {"raw epoll"}, 1.00},
      {"drain-64-cm", "readiness read_from / raw recvmmsg", "uring6 readiness read_from", {"raw recvmmsg"}, 1.05},
      {"train-64", "readiness receive / receive", "uring6 readiness receive", {"uring6 receive"}, 1.10},
      {"send-64", "readiness write_batch / raw sendmmsg", "uring6 readiness write_batch", {"raw sendmmsg"}, 1.03},
      {"echo-block", "p50, readiness / raw blocking echo", "uring6 readiness echo", {"raw echo"}, 1.05},
      {"sockets-10000-readiness",
       "readiness receive / raw edge-triggered epoll",
       "uring6 readiness receive",
       {"raw epoll"},
       1.10},
      {"two-loops", "two loops / one loop", "uring6 two loops", {"uring6 one loop"}, 0.55},
      {"tcp-echo-64",
       "processor time / Asio coroutines (better build)",
       "uring6 tcp_conn",
       {"asio epoll", "asio io_uring"},
       0.80},
      {"tcp-echo-64",
       "p50 / Asio coroutines (better build)",
       "uring6 tcp_conn",
       {"asio epoll", "asio io_uring"},
       1.00,
       std::nullopt,
       measure::p50},
  };
  return all;
}

std::vector<verdict> judge(const std::vector<contest_report>& reports) {
  const auto find = [&](const std::string& contest, const std::string& subject) -> const result* {
    for (const contest_report& report : reports) {
      if (report.contest != contest) continue;
      for (const result& r : report.results) {
        if (r.who.subject == subject && r.who.rate == 0 && counts(r)) return &r;
      }
    }
    return nullptr;
  };
  std::vector<verdict> verdicts;
  for (const target& goal : targets()) {
    const result* ours = find(goal.contest, goal.subject);
    const result* theirs = nullptr;
    for (const auto& name : goal.against) {
      const result* candidate = find(goal.contest, name);
      if (candidate == nullptr) continue;
      if (theirs == nullptr || median_of(figures(*candidate, goal.of)) < median_of(figures(*theirs, goal.of)))
        theirs = candidate;
    }
    if (ours == nullptr || theirs == nullptr) continue;
    const std::vector<double>& our_figures = figures(*ours, goal.of);
    const std::vector<double>& their_figures = figures(*theirs, goal.of);
    verdict v{.goal = goal,
              .against = theirs->who.subject,
              .ratio = estimate_ratio(our_figures, their_figures, ours->processes)};
    v.more = median_of(our_figures) - median_of(their_figures);
    if (const plain_c* plain = plain_of(goal)) {
      const result* there = find(goal.contest, plain->subject);
      const result* base = plain->against.empty() ? theirs : find(goal.contest, plain->against);
      v.plain_subject = plain->subject;
      if (there != nullptr && base != nullptr)
        v.plain = estimate_ratio(figures(*there, goal.of), figures(*base, goal.of), there->processes);
    }
    v.met = v.ratio.high <= goal.at_most && (!goal.at_most_more || v.more <= *goal.at_most_more);
    verdicts.push_back(std::move(v));
  }
  return verdicts;
}

const std::vector<limit>& limits() {
  // Counted over whole windows, which contain a command and its answer: below one call in a thousand datagrams the
  // figure is not the datagrams'.
  static const std::vector<limit> all{
      // A copy of each query, and a coroutine that has it, are memory of the heap. So is a connection, and one of the
      // cases opens one for each exchange.
      {"allocations per datagram", 0.001,
       [](const result& r) { return r.who.subject != "uring6 forward of queries" && r.contest != "tcp-churn"; },
       [](const result& r) { return std::optional(r.per_datagram(r.sum.allocations)); }},
      {"system calls per datagram, saturated", 1.0 / 32, is_saturated,
       [](const result& r) { return r.syscalls_per_datagram; }},
      // For the server that writes ahead: a result for each write would take a call of its own. A server that spins
      // reads as often as it can.
      {"system calls per round trip", 1.005,
       [](const result& r) {
         return r.contest == "echo-block" && r.who.rate == 0 && r.who.subject == "uring6 echo simple";
       },
       [](const result& r) { return r.syscalls_per_datagram; }},
      {"bytes of user memory per idle socket", 1024, [](const result&) { return true; },
       [](const result& r) {
         return r.bytes_per_socket ? std::optional(static_cast<double>(*r.bytes_per_socket)) : std::nullopt;
       }},
  };
  return all;
}

std::vector<finding> judge_limits(const std::vector<contest_report>& reports) {
  std::vector<finding> findings;
  for (const limit& goal : limits()) {
    std::optional<finding> worst;
    for (const contest_report& report : reports) {
      for (const result& r : report.results) {
        // The limits are of io_uring.
        const bool is_ours = r.who.subject.starts_with("uring6 ") && !r.who.subject.starts_with("uring6 readiness ");
        if (!counts(r) || !is_ours || !goal.concerns(r)) continue;
        const auto reached = goal.figure(r);
        if (!reached || (worst && *reached <= worst->reached)) continue;
        worst = {.goal = goal,
                 .contest = r.contest,
                 .subject = r.who.subject,
                 .load = r.who.load,
                 .reached = *reached,
                 .met = *reached <= goal.at_most};
      }
    }
    if (worst) findings.push_back(std::move(*worst));
  }
  return findings;
}

}  // namespace bench
