#include "net/kernel/kernel_limits.hpp"

namespace uring6::inline v0::detail {

void append_sentences(const kernel_limits& limits, std::vector<std::string>& sentences) {
  const auto add = [&](bool good, const char* sentence) {
    if (!good) sentences.emplace_back(sentence);
  };
  add(limits.bounded_reads,
      "one armed read takes all that its socket has, until the receive buffers end (since Linux 6.8: 32 datagrams at a "
      "time): a flooded conn takes many buffers in one turn of the loop; the loop then serves the other conns first");
  add(limits.errors_leave_buffers,
      "a read that finds nothing takes a receive buffer with it (Linux 6.1): the loop gives the buffer back");
  add(limits.ordered_completions,
      "the kernel reports an empty datagram after the data behind it (Linux 6.1): so that datagrams stay in order, the "
      "loop reads empty ones singly, at about a third of the rate");
  add(limits.ring_messages,
      "loops wake each other by an eventfd (since Linux 6.3: by a ring message): a wake-up costs 1.7 times the "
      "processor time");
  add(limits.min_wait, "min_wait has no effect (since Linux 6.12 it has): a loop wakes for the first completion");
  add(limits.merges_only_equals,
      "trains are not received (UDP_GRO): the kernel may merge datagrams of different ECN and report the ECN of one "
      "for all (mended in Linux 6.9, 6.8.10, 6.6.31 and 6.1.91). A vendor's kernel that has the change under another "
      "number is not recognised");
}

}  // namespace uring6::inline v0::detail
