// One send: a single datagram, or a train that the kernel takes in one call (UDP_SEGMENT, GSO). The train owns the name
// and the control bytes until its completion, because the kernel reads them again at each retry.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "net/kernel/segment_limit.hpp"
#include "net/send/send_control.hpp"
#include "net/send/send_slab.hpp"
#include "uring6/control_message.hpp"
#include "uring6/datagram.hpp"
#include "uring6/detail/operation.hpp"

namespace uring6::inline v0::detail {

class sender;
class write_waiter;

/// The longest payload of a UDP datagram over IPv4, octets: the longest packet less the headers of IPv4 and UDP. Over
/// IPv6 it may be 20 octets longer (max_udp_payload).
inline constexpr std::size_t longest_ipv4_payload = 65'535 - 20 - 8;

/// The longest payload of one send to this destination, octets: the kernel builds a train as one IP packet with a UDP
/// header and cuts it afterwards, so the limit is the same for a datagram and for a train.
constexpr std::size_t longest_payload(const ip_address& destination) noexcept {
  return family_of(destination) == peer_family::ipv4 ? longest_ipv4_payload : max_udp_payload;
}

/// The length of a message's datagrams, octets.
inline std::size_t datagram_length(const write_slot& message) noexcept {
  return message.segment > 0 ? std::min(message.segment, message.payload.size()) : message.payload.size();
}

/// How many datagrams a message is, of which trains have taken `taken` octets.
inline std::size_t datagrams_of(const write_slot& message, std::size_t taken) noexcept {
  const std::size_t length = datagram_length(message);
  return length > 0 ? (message.payload.size() - taken + length - 1) / length : 1;
}

/// Links a train into one of the sender's lists. The hook of `operation` links it into the ring's queue.
struct train_hook : list_hook {};

class send_train final : public operation, public train_hook {
 public:
  /// Where the train is in its life (docs/architecture.md, "States of a train"). Debug builds check each step.
  enum class state : std::uint8_t {
    pooled,     // the pool has it
    filling,    // a sender has it, and may append datagrams
    sealed,     // no datagram may be appended; the next step of the flush submits it
    in_convoy,  // a member of the convoy, until its sendmmsg has returned
    in_flight,  // queued in the ring, or with the kernel
    sent,       // the kernel has answered; the sender reads the result
    to_resend   // what is left of it goes again with the next flush
  };
  void become([[maybe_unused]] state next) noexcept {
#ifndef NDEBUG
    check_step(next);
    state_ = next;
#endif
  }

  /// How the kernel is asked to send the train.
  enum class mode : std::uint8_t {
    quiet,     // without a wait: a completion is posted only if the send fails (IOSQE_CQE_SKIP_SUCCESS)
    may_park,  // the socket's buffer was full: the send waits in the kernel for room
    zero_copy  // from where the payload lies: the kernel is asked not to copy it
  };

  static constexpr std::size_t max_segments = longest_segment_limit;
  /// The longest stride of a part, messages: so a stride times `max_segments` has 32 bits.
  static constexpr std::size_t max_stride = (std::size_t{1} << 24) - 1;

  /// Consecutive datagrams of the train that come from one writer's batch, or, when `owner` is null, from the slab:
  /// their writes have completed already.
  struct part {
    // Where the payloads lie one after the other: in the slab, or in a message that is cut into datagrams. nullptr:
    // each lies where its message says.
    const std::byte* payloads = nullptr;
    write_slot* messages = nullptr;
    write_waiter* owner = nullptr;
    std::uint32_t datagrams = 0;  // without a result yet; 0: the part is done
    std::uint32_t bytes = 0;
    // From one message of the part to the next one in the writer's batch, messages. A batch that sends each payload to
    // 64 destinations in turn gives each train every 64th message: one part, not one part for each datagram. 0: all are
    // datagrams of one message.
    std::uint32_t stride = 1;

    bool done() const noexcept { return datagrams == 0; }

    /// Moves the first datagram into a part of its own.
    part take_first(std::size_t segment) noexcept {
      assert(!done());
      const auto length =
          static_cast<std::uint32_t>(payloads ? std::min<std::size_t>(segment, bytes) : messages->payload.size());
      assert(length <= bytes && "the part has the octets of all its datagrams");
      assert((messages || payloads) && !messages == !owner && "a part's payload is a writer's, or lies in the slab");
      const part first{payloads, messages, owner, 1, length};
      --datagrams;
      if (messages && datagrams > 0) messages += stride;
      if (payloads) payloads += length;
      bytes -= length;
      return first;
    }
  };

  /// Empties the train, for at most `limit` datagrams to this destination with this control message. `addressed`: the
  /// send names the destination, as it must on a socket that is not connected. An error: the control message cannot be
  /// encoded for this destination, and the train stays unusable until the next `begin`.
  std::error_code begin(const endpoint& destination, const control_message& control, bool addressed,
                        std::size_t limit) noexcept;

  /// May this datagram be appended? It needs the destination and the control data of the train, and its length; the
  /// last datagram may be shorter.
  bool accepts(std::span<const std::byte> payload, const endpoint& destination,
               const control_message& control) const noexcept {
    return has_place_for(payload.size()) && destination == destination_ && has_control_of(control);
  }

  /// The parts of `accepts`: is there a place for a datagram of this length, and does the control message agree?
  bool has_place_for(std::size_t length) const noexcept {
    return is_open() && length > 0 && length <= segment_ && bytes_ + length <= room_;
  }
  bool has_control_of(const control_message& control) const noexcept {
    return control_length_ == 0 ? is_empty_for_send(control) : is_equal_for_send(control, control_);
  }

  /// Can a further datagram be appended, if its length, destination and control message allow it?
  bool is_open() const noexcept {
    return datagrams_ < limit_ && !last_is_short_;
  }

  /// Gives an empty train the destination of a datagram that is sent from the writer's message, unless a second one
  /// joins it. The train has no control message and needs `begin` before it takes a datagram.
  void hold(write_slot& message, write_waiter& from) noexcept {
    destination_ = message.destination;
    single = &message;
    single_of = &from;
  }

  /// Appends the writer's messages up to the first one that the train does not accept. `addressed`: the messages name
  /// their destinations. Returns how many were appended.
  std::size_t append(std::span<write_slot> messages, bool addressed, write_waiter& from) noexcept;

  /// The same for one message, which has the train's destination. False: the train does not accept it.
  bool append_one(write_slot& message, write_waiter& from) noexcept {
    const std::size_t length = message.payload.size();
    if (!has_place_for(length) || !has_control_of(message.control) || message.segment > 0) return false;
    if (message.error) [[unlikely]]
      message.error.clear();
    load(message.payload);
    add_messages(&message, 1, static_cast<std::uint32_t>(length), from);
    ++datagrams_;
    last_is_short_ = length < segment_;
    return true;
  }

  /// Appends a datagram that was copied into the slab, behind the train's last one. Precondition (asserted): the
  /// train has room, and its last datagram is as long as the others.
  void append(std::span<const std::byte> copied) noexcept;

  /// Takes datagrams of a message that is cut (`write_slot::segment`), as many as fit one train. `rest`: what is left
  /// of its payload. Precondition (asserted): the train is empty, and nothing is appended behind them. Returns the
  /// octets taken.
  std::size_t append_cut(write_slot& message, std::span<const std::byte> rest, write_waiter& from) noexcept;

  std::span<part> parts() noexcept {
    return {parts_used_ > 1 ? long_->parts.data() : &part_, parts_used_};
  }
  std::span<const part> parts() const noexcept {
    return {parts_used_ > 1 ? long_->parts.data() : &part_, parts_used_};
  }

  /// Removes the first datagram from a train that was sent: the caller has its result.
  part take_first() noexcept {
    assert(parts_used_ > 0);
    part& of = parts().front();
    const part first = of.take_first(segment_);
    if (of.done()) of = {};
    return first;
  }
  /// Has every datagram its result?
  bool is_done() const noexcept;
  /// Prepares the next send of the datagrams without a result: of all of them, or, when a route has refused the train
  /// (`refused_length`), of the first one alone. Precondition (asserted): not `is_done`.
  void rebuild() noexcept;

  /// Datagrams of the next send.
  std::size_t datagrams() const noexcept {
    return datagrams_;
  }
  std::size_t bytes() const noexcept {
    return bytes_;
  }
  std::size_t segment() const noexcept {
    return segment_;
  }
  const endpoint& destination() const noexcept {
    return destination_;
  }
  bool addressed() const noexcept {
    return name_length_ != 0;
  }

  /// An upper bound of the pages of memory that the payload covers.
  std::size_t pages() const noexcept;

  /// Is the send over when the enter that submits it returns?
  bool quiet() const noexcept {
    return next_send == mode::quiet;
  }

  // A zero-copy send has two completions: the result, and the notification that the kernel does not read the payload
  // any more. The train is in flight until the second one.
  bool has_result() const noexcept {
    return has_result_;
  }  // the result has arrived
  bool copied() const noexcept {
    return copied_;
  }  // the notification says that the kernel copied the payload

  /// Fills the header for sendmsg(2). It points into the train.
  void fill_header(msghdr& header) noexcept;

  void prepare(io_uring_sqe& entry) noexcept override;
  void complete(completion what) noexcept override;

  sender* owner = nullptr;
  send_train* next_in_bucket = nullptr;  // of filling_trains
  // A datagram that `hold` was called for; nullptr once the train has begun.
  write_slot* single = nullptr;
  write_waiter* single_of = nullptr;
  slab_block* block = nullptr;  // the slab block that holds its payloads; nullptr: they lie in the writers' memory
  int fd = -1;
  mode next_send = mode::quiet;
  int retried_error = 0;           // 0, or the ICMP error (negative errno) because of which this send was repeated
  unsigned retries = 0;            // how often the send was repeated because of such errors
  std::size_t refused_length = 0;  // 0, or the length of the datagrams when a route refused the train: they go singly

 private:
  // Datagrams to many destinations need one train each at the same time. So that these fit the cache, the arrays that
  // only a long train needs are allocated apart: a single piece (part) is stored in the train, two or more are all
  // stored there.
  struct long_train {
    std::array<iovec, max_segments> pieces;
    std::array<part, max_segments> parts;
  };

  void prepare_alone(io_uring_sqe& entry) noexcept;
  void load(std::span<const std::byte> payload) noexcept {
    bytes_ += static_cast<std::uint32_t>(payload.size());
    vectors_ = vectors_up_to(extend(last_piece(), payload));
  }
  void add_part(const part& next) noexcept;
  void add_messages(write_slot* first, std::uint32_t count, std::uint32_t bytes, write_waiter& from) noexcept;
  std::span<iovec> pieces() noexcept {
    return {vectors_ > 1 ? long_->pieces.data() : &piece_, vectors_};
  }
  std::span<const iovec> pieces() const noexcept {
    return {vectors_ > 1 ? long_->pieces.data() : &piece_, vectors_};
  }
  iovec* last_piece() noexcept {
    return vectors_ > 0 ? &pieces().back() : nullptr;
  }
  std::uint32_t vectors_up_to(const iovec* last) const noexcept {
    return last == &piece_ ? 1 : static_cast<std::uint32_t>(last - long_->pieces.data()) + 1;
  }
  iovec* extend(iovec* last, std::span<const std::byte> payload) noexcept;

  // What a datagram reads and writes that is appended between datagrams to other destinations. It lies together, so
  // that 64 trains to 64 destinations stay in the first-level cache.
  endpoint destination_;
  std::uint32_t limit_ = 1;  // datagrams
  std::uint32_t room_ = 0;   // octets of all datagrams, at most
  std::uint32_t segment_ = 0;
  std::uint32_t bytes_ = 0;
  std::uint32_t datagrams_ = 0;
  std::uint32_t vectors_ = 0;
  std::uint32_t parts_used_ = 0;
  std::uint32_t control_length_ = 0;
  bool last_is_short_ = false;  // a datagram shorter than `segment_` ended the train
  bool has_result_ = false;
  bool copied_ = false;
  socklen_t name_length_ = 0;
  std::unique_ptr<long_train> long_ = std::make_unique<long_train>();
  iovec piece_{};
  part part_;

  int result_ = 0;
  sockaddr_in6 name_{};
  control_message control_;  // unset if it has no field that is sent
  msghdr header_{};
  alignas(cmsghdr) std::array<std::byte, cmsg::max_encoded_size + cmsg::space(sizeof(std::uint16_t))> control_bytes_{};
#ifndef NDEBUG
  void check_step(state next) const noexcept;
  state state_ = state::pooled;
#endif
};

// Adds the payload to the scatter list behind its last element `last`, and returns the new last element. Payloads that
// are adjacent in memory (in the slab, or of a received train that is sent on) become one element.
inline iovec* send_train::extend(iovec* last, std::span<const std::byte> payload) noexcept {
  if (last && static_cast<const std::byte*>(last->iov_base) + last->iov_len == payload.data()) {
    last->iov_len += payload.size();
    return last;
  }
  if (!last) {
    last = &piece_;
  } else if (last == &piece_) {
    long_->pieces.front() = piece_;
    last = &long_->pieces[1];
  } else {
    ++last;
  }
  *last = {const_cast<std::byte*>(payload.data()), payload.size()};
  return last;
}

// Extends the last part if the messages stand where its stride leads to in the same writer's batch.
inline void send_train::add_messages(write_slot* first, std::uint32_t count, std::uint32_t bytes,
                                     write_waiter& from) noexcept {
  if (parts_used_ > 0) {
    part& last = parts().back();
    const bool is_same_batch = last.owner == &from && (count == 1 || (last.datagrams > 1 && last.stride == 1));
    if (is_same_batch) {
      assert(first > last.messages && "the messages of a batch join trains in their order");
      const auto distance = static_cast<std::size_t>(first - last.messages);
      if (last.datagrams == 1 && distance <= max_stride) last.stride = static_cast<std::uint32_t>(distance);
      if (distance == std::size_t{last.stride} * last.datagrams) {
        last.datagrams += count;
        last.bytes += bytes;
        return;
      }
    }
  }
  add_part({nullptr, first, &from, count, bytes});
}

}  // namespace uring6::inline v0::detail
