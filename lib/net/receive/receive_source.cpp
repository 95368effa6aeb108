#include "net/receive/receive_source.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "ipv6/value/cmsg.hpp"
#include "net/receive/receiver.hpp"
#include "net/receive/spun_read.hpp"
#include "sys/trace/probe_point.hpp"
#include "uring/cache.hpp"
#include "uring/submission.hpp"

namespace uring6::inline v0::detail {
namespace {

using state = receive_source::state;

// The steps that a source may take. Row: from; column: to, in the order of the enumerators.
constexpr bool transitions[5][5] = {
    //              unarmed armed  canceling spinning starved
    /* unarmed   */ {false, true, false, true, true},
    /* armed     */ {true, false, true, false, false},
    /* canceling */ {true, false, false, false, false},
    /* spinning  */ {true, false, false, false, false},
    /* starved   */ {true, false, false, false, false},
};

// Shared by all reads of the process: the kernel copies the lengths when a read is submitted, and does not write here.
msghdr layout = [] {
  msghdr lengths{};
  lengths.msg_namelen = buffer_layout::name;
  lengths.msg_controllen = buffer_layout::control;
  return lengths;
}();

}  // namespace

receive_source::rarely_used::rarely_used() noexcept = default;
receive_source::rarely_used::~rarely_used() = default;

receive_source::rarely_used& receive_source::rare() const noexcept {
  return owner_.source_rarely_used_;
}
loop_core& receive_source::loop() const noexcept {
  return owner_.loop_;
}
bool receive_source::has_waiting_reader() const noexcept {
  return owner_.readers_.has_waiting();
}

void receive_source::become(state next) noexcept {
  assert(transitions[static_cast<int>(state_)][static_cast<int>(next)]);
  state_ = next;
}

// --- arming ---

std::error_code receive_source::open_pool() noexcept {
  if (pool_) return {};
  auto made = loop().pool(class_);
  if (!made) return made.error();
  rare().pool = std::move(*made);
  pool_ = rare().pool.get();
  return {};
}

// Fills in a multishot read. MSG_TRUNC: the kernel reports the full length of a datagram that it cuts. Returns whether
// the read asks for the payload alone.
bool receive_source::prepare_read(io_uring_sqe& entry, int flags) noexcept {
  assert(pool_);
  const bool payload_only = may_be_payload_only_;
  if (payload_only) {
    submission(entry).recv_multishot(fd_, MSG_TRUNC | flags, pool_->group());
  } else {
    submission(entry).recvmsg_multishot(fd_, layout, MSG_TRUNC | flags, pool_->group());
  }
  return payload_only;
}

// Arms an unarmed source only. The last completion of an armed or canceling read, the end of a spin, and `publish` for
// a starved source call this again if a coroutine waits.
void receive_source::arm() noexcept {
  if (state_ != state::unarmed || reads_stopped_) return;
  assert(idle() && "the ring has a read of an unarmed source");
  assert(!buffer_waiter::linked() && "the pool would arm the read once more");
  if (const auto error = open_pool()) return owner_.deliver_error(error);
  if (begin_to_spin()) return become(state::spinning);
  rarely_used& of = rare();
  if (std::exchange(of.armed_before, true)) ++of.counted.rearms;
  of.buffers_when_armed = owner_.counters_.buffers;
  loop().ring().queue(*this);
  become(state::armed);
  URING6_PROBE(read_armed, fd_);
  if (of.drain_reads_wanted > 0) [[unlikely]]
    send_drain_reads();
}

bool receive_source::begin_to_spin() noexcept {
  assert(pool_ && state_ == state::unarmed);
  if (!loop().spinner().helps()) return false;
  std::unique_ptr<spun_read>& spun = rare().spun;
  if (!spun) spun.reset(new (std::nothrow) spun_read(*this));
  return spun && spun->begin();
}

void receive_source::cancel_read(cancel_reason why) noexcept {
  assert(why != cancel_reason::none);
  if (state_ != state::armed) return;
  assert(!idle() && rare().why == cancel_reason::none && "an armed read is with the ring, and no cancel is on its way");
  become(state::canceling);
  rare().why = why;
  loop().ring().cancel(*this);
}

void receive_source::cancel_read_if_submitted(cancel_reason why) noexcept {
  if (in_flight()) cancel_read(why);
}

void receive_source::end_reads() noexcept {
  cancel_read(cancel_reason::ending);
  // Repeats the request if the read was canceled before: the kernel may not have found it then.
  loop().ring().cancel(*this);
  if (!rare().drain_reads) return;
  for (drain_read& each : *rare().drain_reads) loop().ring().cancel(each);
}

bool receive_source::is_reading() const noexcept {
  const auto& drains = rare().drain_reads;
  return !idle() || (drains && !std::ranges::all_of(*drains, &drain_read::idle));
}

bool receive_source::socket_is_empty() const noexcept {
  pollfd queue{fd_, POLLIN, 0};
  return ::poll(&queue, 1, 0) >= 0 && (queue.revents & POLLIN) == 0;
}

bool receive_source::reads_payload_only() const noexcept {
  const auto asks = [](const drain_read& each) { return each.payload_only && !each.idle(); };
  const auto& drains = rare().drain_reads;
  return (payload_only_ && !idle()) || (drains && std::ranges::any_of(*drains, asks));
}

void receive_source::expect_only(const std::optional<endpoint>& peer) noexcept {
  may_be_payload_only_ = peer.has_value();
  if (peer) rare().peer = *peer;
  if (peer || !reads_payload_only()) return;
  // Payload-only reads deliver no control messages. A new read replaces them at once if a coroutine waits.
  end_reads();
  loop().drain_until([this] { return !reads_payload_only(); });
}

void receive_source::buffers_are_back() noexcept {
  assert(state_ == state::starved && "the pool calls reads that wait for buffers, and no others");
  assert(!buffer_waiter::linked());
  become(state::unarmed);
  if (has_waiting_reader()) arm();
}

bool receive_source::starves() const noexcept {
  return owner_.backlog_.empty() && has_waiting_reader();
}

void receive_source::stop_reads() noexcept {
  assert(!loop().busy_elsewhere() && "the kernel obeys only the loop's thread");
  reads_stopped_ = true;
  end_reads();
  loop().drain_until([this] { return !is_reading(); });
  rare().spun.reset();
  buffer_waiter::unlink();
  if (state_ != state::unarmed) become(state::unarmed);
}

void receive_source::resume_reads() noexcept {
  reads_stopped_ = false;
  if (has_waiting_reader()) arm();
}

// --- completions ---

// The last completion of the armed read: an empty datagram, an error, ENOBUFS, a full completion queue, or a cancel
// ended it.
void receive_source::complete(completion what) noexcept {
  rarely_used& of = rare();
  assert(idle() && !what.more() && "a completion that leaves the read armed is part of a run");
  assert(state_ == state::armed || state_ == state::canceling);
  URING6_PROBE(read_ended, fd_, what.result);
  assert((state_ == state::canceling) == (of.why != cancel_reason::none));
  become(state::unarmed);
  of.why = cancel_reason::none;
  const std::uint64_t empties = of.empties;
  if (what.result == -ENOBUFS) {
    // No datagram is lost: new ones wait in the socket.
    become(state::starved);
    const bool took_some = owner_.counters_.buffers > of.buffers_when_armed;
    if (pool_->wait_for_buffers(*this, took_some)) ++of.counted.exhausted;
    owner_.wake_readers();
    return;
  }
  take_completion(what, payload_only_);
  if (of.empties > empties)
    of.drain_reads_wanted = static_cast<std::uint8_t>(std::min(2U * of.drain_reads_wanted + 1, most_drain_reads));
  if (has_waiting_reader()) arm();
}

// Completions of an armed read that stays armed. The buffers of later completions have left the first-level cache since
// the kernel wrote them, so they are prefetched.
void receive_source::complete_run(const ::io_uring_cqe* first, std::size_t count) noexcept {
  assert(count > 0 && in_flight() && "a run does not end the read");
  constexpr std::size_t ahead = 4;  // datagrams: as long as a fetch from the second-level cache takes
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count)
      pool_->prefetch_received(completion{first[i + ahead].res, first[i + ahead].flags}.buffer_id());
    const completion what{first[i].res, first[i].flags};
    if (what.has_buffer() && what.result >= 0) {
      take_buffer(pool_->received(what.buffer_id()), static_cast<std::uint32_t>(what.result), payload_only_);
    } else {
      take_completion(what, payload_only_);
    }
  }
  owner_.wake_readers();
  owner_.cancel_read_if_reader_is_away();
  if (spun_read* const spun = rare().spun.get()) [[unlikely]] {
    if (spun->wants_to_spin_after(count)) cancel_read(cancel_reason::spin_is_faster);
  }
}

void receive_source::prefetch_for_completion() const noexcept {
  if (has_waiting_reader()) fetch(&owner_.readers_.first_waiting(), sizeof(read_waiter));
}

void receive_source::append_to_backlog(buffer& filled) noexcept {
  if (filled.remaining == 0) [[unlikely]] {
    if (filled.first.control.path_mtu) return take_path_mtu_event(filled);
    ++rare().empties;
  }
  owner_.backlog_.push_back(filled);
  pool_->add_holder(owner_.backlog_);
}

// The kernel delivers the news of a path MTU as control bytes without a datagram.
void receive_source::take_path_mtu_event(buffer& filled) noexcept {
  const control_message& news = filled.first.control;
  ip_address destination = news.destination.value_or(ip_address());
  if (destination.is_link_local()) destination = destination.with_zone(news.interface_index.value_or(0));
  owner_.deliver_path_mtu_event({.mtu = *news.path_mtu, .destination = destination});
  pool_->give_back(filled);
}

void receive_source::take_buffer(buffer& filled, std::uint32_t length, bool payload_only) noexcept {
  URING6_PROBE(datagrams_received, fd_, length);
  if (decode_buffer(filled, length, payload_only)) {
    append_to_backlog(filled);
  } else {
    ++rare().counted.malformed;
    pool_->give_back(filled);
  }
}

// A completion of any kind: a filled buffer, an empty datagram, or an error.
void receive_source::take_completion(completion what, bool payload_only) noexcept {
  if (what.has_buffer() && what.result >= 0) {
    take_buffer(pool_->received(what.buffer_id()), static_cast<std::uint32_t>(what.result), payload_only);
    return owner_.wake_readers();
  }
  if (what.has_buffer()) pool_->return_unfilled(what.buffer_id());  // an error, into which the kernel put a buffer
  if (what.result == 0) {
    take_empty_datagram();
  } else if (what.result != -ECANCELED && what.result != -EINTR) {  // these two end the armed read, and no reader's
    owner_.deliver_error({-what.result, std::system_category()});
  }
  owner_.wake_readers();
}

// An empty datagram, which a payload-only read reports without a buffer.
void receive_source::take_empty_datagram() noexcept {
  if (buffer* const what = pool_->spare()) {
    decode_payload_only(*what, 0);
    append_to_backlog(*what);
  } else {
    ++rare().counted.malformed;  // no buffer and no memory: the datagram is lost
  }
}

// A buffer that has only a payload. `length` above the buffer's size: the kernel cut a datagram of that length.
void receive_source::decode_payload_only(buffer& what, std::uint32_t length) noexcept {
  const auto room = static_cast<std::uint32_t>(pool_->size());
  const endpoint& peer = rare().peer;
  received_extras none;
  decode_received({}, what.first.control, none);
  what.first.source = peer;
  what.first.control.source = peer.address;
  what.payload = what.memory;
  what.remaining = what.segment = std::min(length, room);
  what.cut_off = length - what.remaining;
  what.show_next();
  what.first.truncated = what.cut_off > 0;
  what.first.control_truncated = false;
  ++owner_.counters_.buffers;
}

// Decodes the io_uring_recvmsg_out that the kernel wrote before the payload. The name and control areas hold bytes of
// earlier datagrams beyond the lengths in the header, so only these lengths are read. False: the completion is too
// short for a header.
bool receive_source::decode_buffer(buffer& what, std::uint32_t length, bool payload_only) noexcept {
  if (payload_only) {
    decode_payload_only(what, length);
    return true;
  }
  if (length < buffer_layout::payload) return false;
  assert(length <= pool_->size() && "the kernel wrote more octets than the buffer has");
  received_header header;
  std::memcpy(&header, what.memory, sizeof header);
  const std::byte* const name = what.memory + buffer_layout::header;
  const std::byte* const control = name + buffer_layout::name;

  received_extras beside;
  decode_received({control, std::min<std::size_t>(header.controllen, buffer_layout::control)}, what.first.control,
                  beside);
  // Reads the name in place and writes member by member. A temporary would be written by several short stores and
  // copied by wider loads, for which the processor waits (a failed store-to-load forwarding).
  assert(reinterpret_cast<std::uintptr_t>(name) % alignof(sockaddr_in6) == 0 && "the name is read in place");
  const auto& from = *reinterpret_cast<const sockaddr_in6*>(name);
  const bool known = header.namelen >= sizeof from && from.sin6_family == AF_INET6;
  const ip_address address = known ? endpoint::from_sockaddr(from).address : ip_address();
  what.first.source.address = address;
  what.first.source.port = known ? endpoint::from_sockaddr(from).port : 0;
  what.first.control.source = address;

  what.payload = what.memory + buffer_layout::payload;
  what.remaining = length - static_cast<std::uint32_t>(buffer_layout::payload);
  assert(what.remaining <= pool_->size() - buffer_layout::payload);
  what.cut_off = header.payloadlen > what.remaining ? header.payloadlen - what.remaining : 0;
  what.segment = beside.gro_segment_size;
  if (what.segment == 0 || what.segment > what.remaining) what.segment = what.remaining;
  what.show_next();
  what.first.truncated = header.flags & MSG_TRUNC;
  what.first.control_truncated = header.flags & MSG_CTRUNC;
  ++owner_.counters_.buffers;
  if (what.segment < what.remaining) {
    ++rare().counted.trains;
    pool_->count_train(what.remaining);
  }
  return true;
}

// --- reads of spins ---

void receive_source::take_spun(buffer& filled, std::uint32_t length, bool payload_only) noexcept {
  assert(state_ == state::unarmed && "the spin has ended");
  assert(idle() && "a read of the ring would have taken an earlier datagram");
  take_buffer(filled, length, payload_only);
  owner_.wake_readers();
}

void receive_source::fail_spun(int error_number) noexcept {
  assert(error_number > 0 && state_ == state::unarmed && "the spin has ended with an error");
  owner_.deliver_error({error_number, std::system_category()});
  owner_.wake_readers();
}

// --- drain reads ---

void receive_source::drain_read::prepare(io_uring_sqe& entry) noexcept {
  payload_only = of->prepare_read(entry, MSG_DONTWAIT);
}

void receive_source::drain_read::complete(completion what) noexcept {
  switch (-what.result) {
    case EAGAIN:  // the socket had less to read than there are drain reads
      if (what.has_buffer()) of->pool_->return_unfilled(what.buffer_id());
      of->rare().drain_reads_wanted = 0;
      return;
    case ENOBUFS:  // if the socket has more datagrams, the armed read ends with ENOBUFS, too, and waits for buffers
      if (of->pool_->ran_out()) ++of->rare().counted.exhausted;
      return;
    default:
      of->take_completion(what, payload_only);
  }
}

void receive_source::send_drain_reads() noexcept {
  assert(state_ == state::armed && "drain reads are submitted behind the armed one");
  assert(rare().drain_reads_wanted <= most_drain_reads);
  auto& drains = rare().drain_reads;
  if (!drains) {
    if (!loop().ring().features().ordered_completions) {
      rare().drain_reads_wanted = 0;  // several reads would report datagrams in the wrong order
      return;
    }
    drains.reset(new (std::nothrow) std::array<drain_read, most_drain_reads>);
    if (!drains) return;  // no memory: the armed read alone reads them, slower
    for (drain_read& each : *drains) each.of = this;
  }
  // The armed read takes a buffer as well. A read that finds none would only end with ENOBUFS.
  const std::size_t buffers = pool_->available_soon();
  const std::size_t useful = std::min<std::size_t>(rare().drain_reads_wanted, buffers > 0 ? buffers - 1 : 0);
  for (drain_read& each : std::span(*drains).first(useful)) {
    if (each.idle()) loop().ring().queue(each);
  }
}

}  // namespace uring6::inline v0::detail
