#include "schedule/datagram_books.hpp"

#include <algorithm>
#include <cstring>

#include "schedule/stage.hpp"

namespace uring6::seeds {

std::vector<std::byte> payload_of(const stamp& of) {
  std::vector<std::byte> made(of.length);
  for (std::size_t i = sizeof of; i < made.size(); ++i)
    made[i] = static_cast<std::byte>(of.writer * 31 + of.group * 7 + of.index + i);
  std::memcpy(made.data(), &of, sizeof of);
  return made;
}

// A datagram may be read before its writer is told that it was sent.
void datagram_books::end(const stamp& what, bool sent) {
  const auto found = sent_.find(what);
  if (found->second == state::given) {
    require(sent, "a write that failed was delivered: writer, group, index", what.writer, what.group, what.index);
    return;
  }
  if (!sent) {
    sent_.erase(found);
    return;
  }
  found->second = state::sent;
  ++sent_and_not_given_;
}

void datagram_books::check(const stamp& what, const datagram& got) {
  const auto found = sent_.find(what);
  require(found != sent_.end(), "a reader got a datagram that was not sent: writer, group, index", what.writer,
          what.group, what.index);
  require(found->second != state::given, "a datagram was delivered twice: writer, group, index", what.writer,
          what.group, what.index);
  if (found->second == state::sent) --sent_and_not_given_;
  found->second = state::given;
  require(got.full_length == what.length, "a datagram has another length: sent, told", what.length, got.full_length);
  const std::vector<std::byte> whole = payload_of(what);
  require(got.payload.size() <= whole.size() && std::equal(got.payload.begin(), got.payload.end(), whole.begin()),
          "the octets of a datagram have changed: writer, group, index", what.writer, what.group, what.index);
}

void datagram_books::given_empty() {
  ++empties_given_;
  require(empties_given_ <= empties_begun_, "a reader got an empty datagram that was not sent");
}

void datagram_books::given(std::uint32_t reader, const datagram& what, bool told_late) {
  require(!closed_ || told_late, "a reader got a datagram after the conn was closed");
  require(what.truncated == (what.payload.size() < what.full_length), "a cut datagram does not say so");
  if (what.full_length == 0) return given_empty();
  stamp told;
  require(what.payload.size() >= sizeof told, "a datagram is cut to", what.payload.size());
  std::memcpy(&told, what.payload.data(), sizeof told);
  check(told, what);
  std::uint32_t& last = last_groups_[{reader, told.writer}];
  require(told.group >= last, "a reader got an earlier datagram after a later one: writer, earlier, later", told.writer,
          told.group, last);
  last = told.group;
}

}  // namespace uring6::seeds
