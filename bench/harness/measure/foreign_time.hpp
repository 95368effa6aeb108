// Processor time of processes outside of the benchmark: exact, from the scheduler's own accounts. /proc/stat is
// sampled, and where two processes take turns many times in a tick its figures are a tenth off.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

namespace bench {

/// Whether the kernel keeps these accounts (CONFIG_SCHED_INFO). Without them foreign time reads as 0.
bool foreign_time_is_kept();

/// The threads of processes other than this one and its children, kernel threads among them: by number, with the
/// processor time of each so far, in nanoseconds. /proc/PID/task/TID/schedstat
std::map<pid_t, std::uint64_t> foreign_threads();

/// The threads' processor time between two readings; threads that have ended meanwhile count as 0.
std::uint64_t time_between(const std::map<pid_t, std::uint64_t>& before, const std::map<pid_t, std::uint64_t>& after);

}  // namespace bench
