// How long processes ran that have no part in the benchmark: exactly, from the scheduler's own books. The columns of
// /proc/stat are sampled, and where two processes take turns many times in a tick the samples are a tenth off.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

namespace bench {

/// Does the kernel keep these books (CONFIG_SCHED_INFO)? Without them nothing is seen of others.
bool foreign_time_is_kept();

/// The threads of processes that are neither this one nor its children, kernel threads among them, by number, with
/// what each has run so far, in nanoseconds. /proc/PID/task/TID/schedstat
std::map<pid_t, std::uint64_t> foreign_threads();

/// What they have run between two looks; of those that have ended meanwhile, nothing.
std::uint64_t time_between(const std::map<pid_t, std::uint64_t>& before, const std::map<pid_t, std::uint64_t>& after);

}  // namespace bench
