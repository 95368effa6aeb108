#include "net/send/send_train.hpp"

#include <netinet/udp.h>
#include <cassert>

#include <new>

#include "ipv6/value/cmsg.hpp"
#include "net/send/sender.hpp"
#include "uring/submission.hpp"

namespace uring6::inline v0::detail {

#ifndef NDEBUG
void send_train::check_step(state next) const noexcept {
  // Row: from; column: to, in the order of the enumerators. docs/architecture.md, "States of a train".
  constexpr bool steps[7][7] = {
      //            pooled filling sealed in_convoy in_flight sent to_resend
      /* pooled    */ {false, true, false, false, false, false, false},
      /* filling   */ {true, false, true, false, true, true, false},
      /* sealed    */ {false, false, false, true, true, true, false},
      /* in_convoy */ {false, false, false, false, true, true, false},
      /* in_flight */ {false, false, false, false, false, true, false},
      /* sent      */ {true, false, false, false, true, false, true},
      /* to_resend */ {true, false, false, true, true, true, false},
  };
  assert(steps[static_cast<int>(state_)][static_cast<int>(next)] && "a train takes a step that its life does not have");
}
#endif

std::error_code send_train::begin(const endpoint& destination, const control_message& control, bool addressed,
                                  std::size_t limit) noexcept {
  assert(limit > 0 && limit <= max_segments);
  assert(idle() && quiet() && "the train of an earlier send has been answered");
  control_length_ = 0;
  if (!is_empty_for_send(control)) {
    const auto encoded =
        cmsg::encode(control, {control_bytes_.data(), cmsg::max_encoded_size}, family_of(destination.address));
    if (!encoded) return encoded.error();
    control_length_ = static_cast<std::uint32_t>(*encoded);
    assert(control_length_ <= cmsg::max_encoded_size);
  }
  destination_ = destination;
  if (control_length_ > 0) control_ = control;
  name_length_ = addressed ? sizeof name_ : 0;
  if (addressed) new (&name_) sockaddr_in6(destination.to_sockaddr());  // in place: see send_convoy::add
  limit_ = static_cast<std::uint32_t>(limit);
  room_ = static_cast<std::uint32_t>(longest_payload(destination.address));
  segment_ = bytes_ = datagrams_ = vectors_ = parts_used_ = 0;
  refused_length = 0;
  retried_error = 0;
  retries = 0;
  last_is_short_ = has_result_ = copied_ = false;
  next_send = mode::quiet;
  block = nullptr;
  single = nullptr;
  single_of = nullptr;
  return {};
}

// The hot loop over a batch. Its counters are locals, which the compiler keeps in registers; each message is compared
// with the message before it, which is in the first-level cache.
std::size_t send_train::append(std::span<write_slot> messages, bool addressed, write_waiter& from) noexcept {
  assert(datagrams_ <= limit_);
  const std::size_t at_most = std::min<std::size_t>(messages.size(), limit_ - datagrams_);
  assert(addressed == this->addressed() && "all datagrams of a train name their destination, or none does");
  if (at_most == 0) return 0;
  write_slot* message = messages.data();
  if (datagrams_ == 0) {
    segment_ = static_cast<std::uint32_t>(message->payload.size());
  } else if (!accepts(message->payload, addressed ? message->destination : destination_, message->control)) {
    return 0;
  }
  const bool plain = control_length_ == 0;
  const auto continues_train = [addressed, plain](const write_slot& one, const write_slot& before) {
    if (one.segment > 0) [[unlikely]]
      return false;
    if (addressed && !(one.destination == before.destination)) return false;
    return plain ? is_empty_for_send(one.control) : is_equal_for_send(one.control, before.control);
  };
  write_slot* const end = message + at_most;
  iovec* last = last_piece();
  const std::size_t segment = segment_;
  const std::size_t room = room_ - bytes_;
  std::size_t bytes = 0;
  std::size_t length = message->payload.size();
  do {
    if (message->error) message->error.clear();
    bytes += length;
    last = extend(last, message->payload);
    ++message;
    if (message == end || length < segment) break;
    length = message->payload.size();
  } while (length > 0 && length <= segment && bytes + length <= room && continues_train(message[0], message[-1]));
  const auto count = static_cast<std::uint32_t>(message - messages.data());
  add_messages(messages.data(), count, static_cast<std::uint32_t>(bytes), from);
  vectors_ = vectors_up_to(last);
  datagrams_ += count;
  bytes_ += static_cast<std::uint32_t>(bytes);
  last_is_short_ = message[-1].payload.size() < segment;
  assert(count > 0 && datagrams_ <= limit_ && vectors_ <= max_segments);
  return count;
}

void send_train::add_part(const part& next) noexcept {
  assert(!next.done() && (next.owner || next.payloads) && "the part of a writer, or of the slab");
  assert(parts_used_ < max_segments);
  if (parts_used_ == 1) long_->parts.front() = part_;
  (parts_used_ > 0 ? long_->parts[parts_used_] : part_) = next;
  ++parts_used_;
}

void send_train::append(std::span<const std::byte> copied) noexcept {
  assert(datagrams_ < limit_ && !last_is_short_);
  assert(block && "coalesced payloads lie in one block");
  assert((datagrams_ == 0 || copied.size() <= segment_) && "no datagram is longer than the first one");
  const auto length = static_cast<std::uint32_t>(copied.size());
  if (datagrams_ == 0) segment_ = length;
  if (length < segment_) last_is_short_ = true;
  ++datagrams_;
  load(copied);
  if (parts_used_ > 0) {
    part& last = parts().back();
    if (last.payloads + last.bytes == copied.data()) {
      ++last.datagrams;
      last.bytes += length;
      return;
    }
  }
  add_part({copied.data(), nullptr, nullptr, 1, length});
}

std::size_t send_train::append_cut(write_slot& message, std::span<const std::byte> rest, write_waiter& from) noexcept {
  assert(datagrams_ == 0 && message.segment > 0);
  segment_ = static_cast<std::uint32_t>(datagram_length(message));
  const std::size_t fitting = segment_ > 0 ? std::min<std::size_t>(limit_, room_ / segment_) : 1;
  assert(fitting > 0 && "check_message refuses a datagram that is longer than one send");
  const auto taken = rest.first(std::min(rest.size(), fitting * segment_));
  const std::size_t count = taken.empty() ? 1 : (taken.size() + segment_ - 1) / segment_;
  load(taken);
  const auto bytes = static_cast<std::uint32_t>(taken.size());
  add_part({taken.data(), &message, &from, static_cast<std::uint32_t>(count), bytes, 0});
  datagrams_ = static_cast<std::uint32_t>(count);
  last_is_short_ = bytes < count * segment_;
  return bytes;
}

bool send_train::is_done() const noexcept {
  return std::ranges::all_of(parts(), &part::done);
}

void send_train::rebuild() noexcept {
  assert(!is_done());
  assert(idle() && "the kernel reads the vectors of a train in flight");
  const std::size_t left = parts_used_ - std::ranges::remove_if(parts(), &part::done).size();
  if (parts_used_ > 1 && left == 1) part_ = long_->parts.front();
  parts_used_ = static_cast<std::uint32_t>(left);
  vectors_ = bytes_ = datagrams_ = 0;
  for (part each : parts()) {
    assert(!each.done() && "the parts with a result were removed");
    if (refused_length > 0) each = each.take_first(segment_);
    if (each.payloads) {
      load(std::span(each.payloads, each.bytes));
    } else {
      for (std::size_t i = 0; i < each.datagrams; ++i) load(each.messages[i * each.stride].payload);
    }
    datagrams_ += each.datagrams;
    if (refused_length > 0) return;
  }
}

std::size_t send_train::pages() const noexcept {
  constexpr std::uintptr_t page = 4096;  // octets, the shortest pages there are: longer ones are fewer
  std::size_t count = 0;
  for (const iovec& each : pieces()) {
    const auto offset = reinterpret_cast<std::uintptr_t>(each.iov_base) % page;
    count += (offset + each.iov_len + page - 1) / page;
  }
  return count;
}

// A single payload without control bytes needs no msghdr, which the kernel would have to copy and keep.
void send_train::prepare_alone(io_uring_sqe& entry) noexcept {
  // Not `parts_used_ == 1`: of a refused train only the first datagram goes, while others wait in further parts.
  assert(vectors_ == 1 && datagrams_ == 1);
  submission request(entry);
  request.send(fd, piece_.iov_base, piece_.iov_len, quiet() ? MSG_DONTWAIT : 0);
  if (name_length_ > 0) request.to(reinterpret_cast<const sockaddr*>(&name_), name_length_);
  if (quiet()) request.skip_success();
}

void send_train::fill_header(msghdr& header) noexcept {
  assert(datagrams_ > 0 && vectors_ > 0 && vectors_ <= max_segments);
  std::size_t control_length = control_length_;
  // Not for a single datagram: some paths compute a wrong checksum for a train of one.
  if (datagrams_ > 1) {
    cmsg_writer rest{std::span<std::byte>{control_bytes_}.subspan(control_length)};
    rest.append(IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(segment_));
    assert(rest.size() > 0 && "the area has room for UDP_SEGMENT behind every encoded control message");
    control_length += rest.size();
    assert(segment_ > 0 && segment_ <= 0xffff && "UDP_SEGMENT has 16 bits");
  }
  header = {.msg_name = name_length_ ? &name_ : nullptr,
            .msg_namelen = name_length_,
            .msg_iov = pieces().data(),
            .msg_iovlen = vectors_,
            .msg_control = control_length ? control_bytes_.data() : nullptr,
            .msg_controllen = control_length,
            .msg_flags = 0};
}

void send_train::prepare(io_uring_sqe& entry) noexcept {
  assert(fd >= 0 && owner && datagrams_ > 0);
  if (datagrams_ == 1 && control_length_ == 0 && next_send != mode::zero_copy) {
    prepare_alone(entry);
    return;
  }
  fill_header(header_);
  if (next_send == mode::zero_copy) {
    // MSG_DONTWAIT: before Linux 6.10 the kernel may lose the control message of a zero-copy send that it tries again.
    has_result_ = copied_ = false;
    submission(entry).sendmsg_without_copy(fd, header_, MSG_DONTWAIT);
    return;
  }
  submission request(entry);
  request.sendmsg(fd, header_, quiet() ? MSG_DONTWAIT : 0);
  if (quiet()) request.skip_success();
}

void send_train::complete(completion what) noexcept {
  assert((!what.more() || next_send == mode::zero_copy) && "only a zero-copy send has two completions");
  assert(owner && idle() != what.more());
  if (what.more()) {
    has_result_ = true;
    result_ = what.result;
    return;
  }
  if (is_notification(what)) copied_ = says_copied(what);
  owner->on_train_sent(*this, next_send == mode::zero_copy && has_result_ ? result_ : what.result);
}

}  // namespace uring6::inline v0::detail
