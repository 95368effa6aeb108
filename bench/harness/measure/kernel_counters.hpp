// The kernel's own counters: drops, stolen time, system calls.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/socket.hpp"

namespace bench {

/// Datagrams (a train counts as one) that the kernel dropped at the sockets bound to these ports: /proc/net/udp6.
std::uint64_t drops_at(const std::vector<std::uint16_t>& ports);

/// The error counters of IPv6 UDP in this network namespace, by their names in /proc/net/snmp6.
std::map<std::string, std::uint64_t> udp_errors();

/// Time that the hypervisor has taken from all processors so far, in nanoseconds, as the kernel samples it: /proc/stat.
std::uint64_t stolen_time();

/// Counts the system calls of whole processes by the tracepoint raw_syscalls:sys_enter: exact, without stopping them.
/// It slows every system call down, so it runs in windows of its own.
class syscall_counter {
 public:
  /// Nothing without access to the tracepoint (no tracefs, no privilege).
  static std::optional<syscall_counter> attach(const std::vector<pid_t>& processes);

  std::uint64_t read() const;

 private:
  std::vector<descriptor> events_;
};

}  // namespace bench
