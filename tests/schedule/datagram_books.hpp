// What was sent to a conn and what its readers got: no datagram is lost, doubled, invented or changed, and none
// overtakes an earlier one of the same writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "uring6/datagram.hpp"

namespace uring6::seeds {

/// The beginning of each payload.
struct stamp {
  std::uint32_t writer = 0;
  std::uint32_t group = 0;  // of a writer: those of a later group come later
  std::uint32_t index = 0;  // no other datagram of the writer has it
  std::uint32_t length = 0;

  auto operator<=>(const stamp&) const = default;
};

/// A payload that tells all about itself. `length` is 16 or more.
std::vector<std::byte> payload_of(const stamp& of);

class datagram_books {
 public:
  /// A call that sends it has begun; an empty one has no stamp.
  void begin(const stamp& what) { sent_.emplace(what, state::begun); }
  void end(const stamp& what, bool sent);
  void begin_empty() noexcept { ++empties_begun_; }
  void end_empty(bool sent) noexcept { sent ? ++empties_sent_ : --empties_begun_; }

  /// A reader has got it. `told_late`: the conn may have been closed since, as when a race was decided in between.
  void given(std::uint32_t reader, const datagram& what, bool told_late = false);

  /// Datagrams that were sent and that no reader has got.
  std::size_t missing() const noexcept {
    return sent_and_not_given_ + empties_sent_ - std::min(empties_given_, empties_sent_);
  }

  /// No reader may get anything any more.
  void close() noexcept { closed_ = true; }

 private:
  enum class state : std::uint8_t { begun, sent, given };

  void given_empty();
  void check(const stamp& what, const datagram& got);

  std::map<stamp, state> sent_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> last_groups_;  // by reader and writer
  std::size_t sent_and_not_given_ = 0;
  std::size_t empties_begun_ = 0;
  std::size_t empties_sent_ = 0;
  std::size_t empties_given_ = 0;
  bool closed_ = false;
};

}  // namespace uring6::seeds
