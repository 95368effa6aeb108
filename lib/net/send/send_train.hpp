// One sendmsg: a datagram, or a run of equal ones that the kernel takes as a single UDP_SEGMENT super-packet (GSO).
// The kernel reads the name and the control bytes again at each retry, so they live here until the completion.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
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

/// The most octets that fit one IP packet with a UDP header, as a datagram or as a train.
constexpr std::size_t longest_payload(const ip_address& destination) noexcept {
  constexpr std::size_t over_ipv4 = 65'535 - 20 - 8;
  return family_of(destination) == peer_family::ipv4 ? over_ipv4 : max_udp_payload;
}

/// Membership in the sender's list of trains, beside the ring's queue.
struct train_hook : list_hook {};

class send_train final : public operation, public train_hook {
 public:
  static constexpr std::size_t max_segments = longest_segment_limit;

  /// Datagrams of the train that follow each other in a writer's batch or, without an owner, in the slab: then
  /// nobody waits for them.
  struct part {
    const std::byte* slab = nullptr;
    outgoing* messages = nullptr;
    write_waiter* owner = nullptr;
    std::uint32_t datagrams = 0;  // 0: it has gone, or was given up
    std::uint32_t bytes = 0;

    bool done() const noexcept { return datagrams == 0; }

    /// The first datagram, as a part of its own, which this one has no more.
    part take_first(std::size_t segment) noexcept {
      const auto length =
          static_cast<std::uint32_t>(messages ? messages->payload.size() : std::min<std::size_t>(segment, bytes));
      const part first{slab, messages, owner, 1, length};
      if (messages) ++messages;
      if (slab) slab += length;
      --datagrams;
      bytes -= length;
      return first;
    }
  };

  /// Starts empty, for at most `limit` datagrams to this destination (which a connected socket is not told:
  /// not `addressed`) with this control message. An error: they cannot be sent.
  std::error_code begin(const endpoint& destination, const control_message& control, bool addressed,
                        std::size_t limit) noexcept;

  /// May this one ride along? Equal destination, control that tells the kernel the same, equal length or, as the last
  /// one, shorter.
  bool accepts(std::span<const std::byte> payload, const endpoint& destination,
               const control_message& control) const noexcept {
    return datagrams_ < limit_ && !last_is_short_ && !payload.empty() && payload.size() <= segment_ &&
           bytes_ + payload.size() <= room_ && destination == destination_ && is_equal_for_send(control, control_);
  }

  /// As many of the writer's messages, from the first on, as may ride along; `addressed` tells whether they name
  /// destinations. Returns how many.
  std::size_t append(std::span<outgoing> messages, bool addressed, write_waiter& from) noexcept;

  /// A datagram in the slab.
  void append(std::span<const std::byte> copied) noexcept;

  std::span<part> parts() noexcept { return {parts_used_ > 1 ? long_->parts.data() : &part_, parts_used_}; }
  std::span<const part> parts() const noexcept { return {parts_used_ > 1 ? long_->parts.data() : &part_, parts_used_}; }

  /// The first datagram, of a train that has departed: what became of it is known.
  part take_first() noexcept {
    part& of = parts().front();
    const part first = of.take_first(segment_);
    if (of.done()) of = {};
    return first;
  }
  /// Nothing of it is left.
  bool is_done() const noexcept;
  /// What is left of it is to depart again: all of it, or, once a route has refused it, its first datagram alone.
  void rebuild() noexcept;

  /// That depart together.
  std::size_t datagrams() const noexcept { return datagrams_; }
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t segment() const noexcept { return segment_; }
  const endpoint& destination() const noexcept { return destination_; }
  const control_message& control() const noexcept { return control_; }
  bool addressed() const noexcept { return name_length_ != 0; }

  /// At most so many pages of memory hold the payload.
  std::size_t pages() const noexcept;

  /// Over when the enter that submits it returns; only a failure costs a completion.
  bool quiet() const noexcept { return !may_park && !zero_copy; }

  // Of a send without a copy. It has two completions: the result, and the notification that the kernel has let go of
  // the payload. It is over with the second one.
  bool has_result() const noexcept { return has_result_; }  // the result has come
  bool copied() const noexcept { return copied_; }  // the notification says that the kernel has copied after all

  /// As sendmsg(2) takes it. What it refers to belongs to the train.
  void fill_header(msghdr& header) noexcept;

  void prepare(io_uring_sqe& entry) noexcept override;
  void complete(completion what) noexcept override;

  sender* owner = nullptr;
  int fd = -1;
  slab_block* block = nullptr;     // the slab memory that its payloads lie in
  bool may_park = false;           // it was refused once because the socket's buffer is full: now it waits for room
  bool zero_copy = false;          // the kernel is asked to send the payload from where it lies
  std::size_t refused_length = 0;  // the length of the datagrams, if a route refused the train: then they go one by one
  int retried_error = 0;  // an error by which the socket refused this send, which was made again; negative errno
  unsigned retries = 0;   // times that it was made again for such an error

 private:
  // The datagrams of many destinations are trains of one each, all at once: these are to fit the cache, so what only a
  // long train needs lies elsewhere. There are either no more than one piece (one part), in the train, or they all are
  // there.
  struct long_train {
    std::array<iovec, max_segments> pieces;
    std::array<part, max_segments> parts;
  };

  void prepare_alone(io_uring_sqe& entry) noexcept;
  void load(std::span<const std::byte> payload) noexcept;
  void add_part(const part& next) noexcept;
  std::span<iovec> pieces() noexcept { return {vectors_ > 1 ? long_->pieces.data() : &piece_, vectors_}; }
  std::span<const iovec> pieces() const noexcept { return {vectors_ > 1 ? long_->pieces.data() : &piece_, vectors_}; }
  iovec* last_piece() noexcept { return vectors_ > 0 ? &pieces().back() : nullptr; }
  std::size_t vectors_up_to(const iovec* last) const noexcept {
    return last == &piece_ ? 1 : static_cast<std::size_t>(last - long_->pieces.data()) + 1;
  }
  iovec* extend(iovec* last, std::span<const std::byte> payload) noexcept;

  std::size_t limit_ = 1;
  std::size_t room_ = 0;
  std::size_t segment_ = 0;
  std::size_t bytes_ = 0;
  std::size_t datagrams_ = 0;
  std::size_t vectors_ = 0;
  std::size_t parts_used_ = 0;
  std::size_t control_length_ = 0;
  socklen_t name_length_ = 0;
  bool last_is_short_ = false;  // a shorter one was the last
  bool has_result_ = false;
  bool copied_ = false;
  int result_ = 0;
  iovec piece_{};
  part part_;
  sockaddr_in6 name_{};
  endpoint destination_;
  control_message control_;
  msghdr header_{};
  alignas(cmsghdr) std::array<std::byte, max_encoded_size + control_space(sizeof(std::uint16_t))> control_bytes_{};
  std::unique_ptr<long_train> long_ = std::make_unique<long_train>();
};

}  // namespace uring6::detail
