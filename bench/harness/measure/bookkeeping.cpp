#include "harness/measure/bookkeeping.hpp"

#include "common/clock.hpp"
#include "harness/measure/kernel_counters.hpp"

namespace bench {

bookkeeper::bookkeeper(std::vector<std::uint16_t> ports, const subject_process& subject, const subject_process* peer)
    : ports_(std::move(ports)),
      subject_(subject),
      peer_(peer),
      drops_(drops_at(ports_)),
      subject_cpu_ns_(subject.cpu_ns()),
      peer_cpu_ns_(peer_cpu_ns()) {}

std::uint64_t bookkeeper::peer_cpu_ns() const {
  return read_clock(CLOCK_PROCESS_CPUTIME_ID) + (peer_ == nullptr ? 0 : peer_->cpu_ns());
}

void bookkeeper::close(window& w) const {
  w.subject_cpu_ns = subject_.cpu_ns() - subject_cpu_ns_;
  w.peer_cpu_ns = peer_cpu_ns() - peer_cpu_ns_;
  w.loss.dropped = drops_at(ports_) - drops_;
}

}  // namespace bench
