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

namespace uring6::detail {

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

  /// Consecutive datagrams of the train that come from one writer's batch, or, when `owner` is null, from the slab:
  /// their writes have completed already.
  struct part {
    const std::byte* slab = nullptr;
    write_slot* messages = nullptr;
    write_waiter* owner = nullptr;
    std::uint32_t datagrams = 0;  // without a result yet; 0: the part is done
    std::uint32_t bytes = 0;

    bool done() const noexcept { return datagrams == 0; }

    /// Moves the first datagram into a part of its own.
    part take_first(std::size_t segment) noexcept {
      assert(!done());
      const auto length =
          static_cast<std::uint32_t>(messages ? messages->payload.size() : std::min<std::size_t>(segment, bytes));
      assert(length <= bytes && "the part has the octets of all its datagrams");
      assert(!(messages && slab) && (messages || !owner) && "a part's payload is a writer's, or lies in the slab");
      const part first{slab, messages, owner, 1, length};
      if (messages) ++messages;
      if (slab) slab += length;
      --datagrams;
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
    return datagrams_ < limit_ && !last_is_short_ && !payload.empty() && payload.size() <= segment_ &&
           bytes_ + payload.size() <= room_ && destination == destination_ && is_equal_for_send(control, control_);
  }

  /// Appends the writer's messages up to the first one that the train does not accept. `addressed`: the messages name
  /// their destinations. Returns how many were appended.
  std::size_t append(std::span<write_slot> messages, bool addressed, write_waiter& from) noexcept;

  /// Appends a datagram that was copied into the slab, behind the train's last one. Precondition (asserted): the
  /// train has room, and its last datagram is as long as the others.
  void append(std::span<const std::byte> copied) noexcept;

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
  const control_message& control() const noexcept {
    return control_;
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
  int fd = -1;
  slab_block* block = nullptr;  // the slab block that holds its payloads; nullptr: they lie in the writers' memory
  mode next_send = mode::quiet;
  std::size_t refused_length = 0;  // 0, or the length of the datagrams when a route refused the train: they go singly
  int retried_error = 0;           // 0, or the ICMP error (negative errno) because of which this send was repeated
  unsigned retries = 0;            // how often the send was repeated because of such errors

 private:
  // Datagrams to many destinations need one train each at the same time. So that these fit the cache, the arrays that
  // only a long train needs are allocated apart: a single piece (part) is stored in the train, two or more are all
  // stored there.
  struct long_train {
    std::array<iovec, max_segments> pieces;
    std::array<part, max_segments> parts;
  };

  void prepare_alone(io_uring_sqe& entry) noexcept;
  void load(std::span<const std::byte> payload) noexcept;
  void add_part(const part& next) noexcept;
  std::span<iovec> pieces() noexcept {
    return {vectors_ > 1 ? long_->pieces.data() : &piece_, vectors_};
  }
  std::span<const iovec> pieces() const noexcept {
    return {vectors_ > 1 ? long_->pieces.data() : &piece_, vectors_};
  }
  iovec* last_piece() noexcept {
    return vectors_ > 0 ? &pieces().back() : nullptr;
  }
  std::size_t vectors_up_to(const iovec* last) const noexcept {
    return last == &piece_ ? 1 : static_cast<std::size_t>(last - long_->pieces.data()) + 1;
  }
  iovec* extend(iovec* last, std::span<const std::byte> payload) noexcept;

  std::size_t limit_ = 1;  // datagrams
  std::size_t room_ = 0;   // octets of all datagrams, at most
  std::size_t segment_ = 0;
  std::size_t bytes_ = 0;
  std::size_t datagrams_ = 0;
  std::size_t vectors_ = 0;
  std::size_t parts_used_ = 0;
  std::size_t control_length_ = 0;
  socklen_t name_length_ = 0;
  bool last_is_short_ = false;  // a datagram shorter than `segment_` ended the train
  bool has_result_ = false;
  bool copied_ = false;
  int result_ = 0;
  iovec piece_{};
  part part_;
  sockaddr_in6 name_{};
  endpoint destination_;
  control_message control_;
  msghdr header_{};
  alignas(cmsghdr) std::array<std::byte, cmsg::max_encoded_size + cmsg::space(sizeof(std::uint16_t))> control_bytes_{};
  std::unique_ptr<long_train> long_ = std::make_unique<long_train>();
#ifndef NDEBUG
  void check_step(state next) const noexcept;
  state state_ = state::pooled;
#endif
};

}  // namespace uring6::detail
