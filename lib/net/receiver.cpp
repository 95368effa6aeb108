#include "net/receiver.hpp"

#include <liburing.h>
#include <netinet/in.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <span>

#include "ipv6/cmsg.hpp"
#include "net/packet_socket.hpp"
#include "net/spun_read.hpp"
#include "uring/cache.hpp"
#include "uring/completion_order.hpp"
#include "uring6/datagram_batch.hpp"

namespace uring6::detail {
namespace {

// The same for all: the kernel keeps the lengths, and writes nothing here.
msghdr layout = [] {
  msghdr lengths{};
  lengths.msg_namelen = buffer_layout::name;
  lengths.msg_controllen = buffer_layout::control;
  return lengths;
}();

}  // namespace

receiver::receiver(loop_core& loop, int fd) noexcept : loop_(loop), fd_(fd) {}
receiver::~receiver() {
  if (last_moved_) pool_->give_back(*last_moved_);
}

// --- the kernel's side ---

// MSG_TRUNC asks for the full length of what was cut. True: for the payload alone.
bool receiver::prepare_read(io_uring_sqe& entry, int flags) noexcept {
  const bool bare = may_be_bare_;
  if (bare) {
    ::io_uring_prep_recv_multishot(&entry, fd_, nullptr, 0, MSG_TRUNC | flags);
  } else {
    ::io_uring_prep_recvmsg_multishot(&entry, fd_, &layout, static_cast<unsigned>(MSG_TRUNC | flags));
  }
  entry.flags |= IOSQE_BUFFER_SELECT;
  entry.buf_group = pool_->group();
  return bare;
}

std::error_code receiver::open_pool() noexcept {
  if (pool_) return {};
  auto made = loop_.pool(class_);
  if (!made) return made.error();
  pool_ = std::move(*made);
  return {};
}

void receiver::arm() noexcept {
  if (!idle() || buffer_waiter::linked()) return;
  if (const auto error = open_pool()) return failed(error);
  pausing_ = false;
  if (read_by_spinning()) return;
  if (std::exchange(armed_before_, true)) ++counters_.rearms;
  buffers_when_armed_ = counters_.buffers;
  loop_.ring().queue(*this);
  if (companions_wanted_ > 0) [[unlikely]]
    send_companions();
}

// It ends: an empty datagram, an error, a full completion queue, a pause that is over.
void receiver::complete(completion what) noexcept {
  const std::uint64_t empties = empties_;
  take_in(what, bare_);
  if (empties_ > empties) companions_wanted_ = std::min(2 * companions_wanted_ + 1, most_companions);
  if (!waiting_.empty()) arm();
}

// It goes on. What the kernel wrote some datagrams ago is in the first cache no more: fetched ahead, with the buffer
// that is to show it.
void receiver::complete_run(const ::io_uring_cqe* first, std::size_t count) noexcept {
  constexpr std::size_t ahead = 4;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) pool_->soon_received(completion{first[i + ahead].res, first[i + ahead].flags}.buffer_id());
    const completion what{first[i].res, first[i].flags};
    if (what.has_buffer() && what.result >= 0) {
      take_buffer(what, bare_);
    } else {
      take_in(what, bare_);
    }
  }
  notify();
  pause_if_nobody_reads();
  if (spun_) [[unlikely]]
    spun_->ring_told(count);
}

void receiver::soon_complete() const noexcept {
  if (!waiting_.empty()) fetch(&waiting_.front(), sizeof(read_waiter));
}

void receiver::take_buffer(completion what, bool bare) noexcept {
  assert(what.has_buffer() && what.result >= 0);
  buffer& filled = pool_->received(what.buffer_id());
  if (read_off(filled, static_cast<std::uint32_t>(what.result), bare)) {
    keep(filled);
  } else {
    ++counters_.malformed;
    pool_->give_back(filled);
  }
}

void receiver::take_in(completion what, bool bare) noexcept {
  if (what.has_buffer() && what.result >= 0) {
    take_buffer(what, bare);
    return notify();
  }
  if (what.has_buffer()) pool_->return_unfilled(what.buffer_id());
  if (what.result == 0) {
    empty_arrived();
  } else if (what.result == -ENOBUFS) {
    // Back-pressure, not loss: what arrives now waits in the socket.
    ++counters_.exhausted;
    pool_->wait_for_buffers(*this, counters_.buffers > buffers_when_armed_);
  } else if (what.result < 0 && what.result != -ECANCELED && what.result != -EINTR) {
    failed({-what.result, std::system_category()});
  }
  notify();
}

bool receiver::read_by_spinning() noexcept {
  if (spun_ && spun_->linked()) return true;
  if (!loop_.spinner().helps()) return false;
  if (!spun_) spun_.reset(new (std::nothrow) spun_read(*this));
  return spun_ && spun_->begin();
}

// --- companions ---

void receiver::companion::prepare(io_uring_sqe& entry) noexcept {
  bare = of->prepare_read(entry, MSG_DONTWAIT);
}

void receiver::companion::complete(completion what) noexcept {
  if (what.result != -EAGAIN) return of->take_in(what, bare);
  // The socket had less to read than there are companions.
  if (what.has_buffer()) of->pool_->return_unfilled(what.buffer_id());
  of->companions_wanted_ = 0;
}

void receiver::send_companions() noexcept {
  if (!companions_) {
    if (!completions_keep_order(loop_.ring().features().setup_flags)) {
      companions_wanted_ = 0;  // the armed read alone ends with each empty datagram, and keeps their order
      return;
    }
    companions_.reset(new (std::nothrow) std::array<companion, most_companions>);
    if (!companions_) return;  // it goes without them
    for (companion& each : *companions_) each.of = this;
  }
  for (companion& each : std::span(*companions_).first(companions_wanted_)) {
    if (each.idle()) loop_.ring().queue(each);
  }
}

void receiver::end_reads() noexcept {
  loop_.ring().cancel(*this);
  if (!companions_) return;
  for (companion& each : *companions_) loop_.ring().cancel(each);
}

bool receiver::reads() noexcept {
  return !idle() || (companions_ && !std::ranges::all_of(*companions_, &companion::idle));
}

bool receiver::reads_bare() noexcept {
  const auto bare = [](const companion& each) { return each.bare && !each.idle(); };
  return (bare_ && !idle()) || (companions_ && std::ranges::any_of(*companions_, bare));
}

void receiver::keep(buffer& what) noexcept {
  if (what.remaining == 0) ++empties_;
  if (what.own_memory) all_pooled_ = false;
  backlog_.push_back(what);
  ++backlog_size_;
  pool_->add_holder(*this);
}

void receiver::expect_only(const std::optional<endpoint>& peer) noexcept {
  may_be_bare_ = peer.has_value();
  if (peer) peer_ = *peer;
  if (peer || !reads_bare()) return;
  // What these give, they give without a word. A new one takes their place at once if somebody waits.
  end_reads();
  loop_.drain_until([this] { return !reads_bare(); });
}

// There is only the payload. A result beyond the buffer is the length of a datagram that was cut.
void receiver::read_bare(buffer& what, std::uint32_t length) noexcept {
  const auto room = static_cast<std::uint32_t>(pool_->size());
  received_extras none;
  decode_received({}, what.first.control, none);
  what.first.source = peer_;
  what.first.control.source = peer_.address;
  what.payload = what.memory;
  what.remaining = what.segment = std::min(length, room);
  what.cut_off = length - what.remaining;
  what.show_next();
  what.first.truncated = what.cut_off > 0;
  what.first.control_truncated = false;
  ++counters_.buffers;
}

// Of an empty datagram a bare read tells without a buffer.
void receiver::empty_arrived() noexcept {
  if (buffer* const what = pool_->spare()) {
    read_bare(*what, 0);
    keep(*what);
  } else {
    ++counters_.malformed;  // no memory for it
  }
}

// Reads the header that the kernel put before the payload. Nothing in it is trusted: what the name and control
// areas hold beyond the lengths given is left over from earlier datagrams.
bool receiver::read_off(buffer& what, std::uint32_t length, bool bare) noexcept {
  if (bare) {
    read_bare(what, length);
    return true;
  }
  if (length < buffer_layout::payload) return false;
  io_uring_recvmsg_out header;
  std::memcpy(&header, what.memory, sizeof header);
  const std::byte* const name = what.memory + buffer_layout::header;
  const std::byte* const control = name + buffer_layout::name;

  received_extras beside;
  decode_received({control, std::min<std::size_t>(header.controllen, buffer_layout::control)}, what.first.control,
                  beside);
  // Read where it lies, and written piece by piece: what is put together first is read across its pieces, which stalls.
  const auto& from = *reinterpret_cast<const sockaddr_in6*>(name);
  const bool known = header.namelen >= sizeof from && from.sin6_family == AF_INET6;
  const ip_address address = known ? endpoint::from_sockaddr(from).address : ip_address();
  what.first.source.address = address;
  what.first.source.port = known ? endpoint::from_sockaddr(from).port : 0;
  what.first.control.source = address;

  what.payload = what.memory + buffer_layout::payload;
  what.remaining = length - static_cast<std::uint32_t>(buffer_layout::payload);
  what.cut_off = header.payloadlen > what.remaining ? header.payloadlen - what.remaining : 0;
  what.segment = beside.gro_segment_size;
  if (what.segment == 0 || what.segment > what.remaining) what.segment = what.remaining;
  what.show_next();
  what.first.truncated = header.flags & MSG_TRUNC;
  what.first.control_truncated = header.flags & MSG_CTRUNC;
  ++counters_.buffers;
  if (what.segment < what.remaining) ++counters_.trains;
  return true;
}

void receiver::failed(std::error_code error) noexcept {
  ++counters_.errors;
  if (waiting_.empty()) {
    pending_error_ = error;
    error_pends_ = true;
    return;
  }
  read_waiter& first = waiting_.front();
  first.error_ = error;
  leave(first);
  wake(first);
}

void receiver::look_again() noexcept {
  if (!in_flight() || std::exchange(pausing_, true)) return;
  loop_.ring().cancel(*this);
}

void receiver::buffers_are_back() noexcept {
  if (!waiting_.empty()) arm();
}

// Nobody reads and half of the pool is ours: the rest waits in the socket, where it takes nobody's buffers.
void receiver::pause_if_nobody_reads() noexcept {
  if (notified_size_ > 0 || pausing_ || !waiting_.empty() || backlog_size_ * 2 < pool_->count()) return;
  pausing_ = true;
  loop_.ring().cancel(*this);
}

void receiver::move_out() noexcept {
  if (!waiting_.empty() || notified_size_ > 0) return;  // its reader is at work
  this_threads_train.close();
  intrusive_list<buffer> moved;
  while (!backlog_.empty()) {
    buffer& from = backlog_.pop_front();
    if (from.own_memory) {
      moved.push_back(from);
      continue;
    }
    if (!pool_->may_move_out(from)) {
      counters_.discarded += from.datagrams();
      --backlog_size_;
      pool_->give_back(from);
      continue;
    }
    buffer* const copy = pool_->move_out(from);
    if (copy) pool_->give_back(from);
    moved.push_back(copy ? *copy : from);
  }
  backlog_.splice_back(moved);
  all_pooled_ = backlog_.empty();
  buffer_holder::unlink();
  if (in_flight() && !pausing_) {
    pausing_ = true;
    loop_.ring().cancel(*this);
  }
}

// --- the readers' side ---

void receiver::close_train() noexcept {
  buffer& from = backlog_.front();
  open_train& train = this_threads_train;
  const auto taken = static_cast<std::uint32_t>(train.next - from.payload);
  from.payload = train.next;
  from.remaining -= taken;
  counters_.datagrams += taken / train.length;
  counters_.bytes += taken;
  loop_.refund(train.left);
  train = {};
}

void receiver::wait(read_waiter& reader, std::coroutine_handle<> handle, stop_root& stop) {
  reader.handle = handle;
  if (waiting_.empty() && backlog_size_ > notified_size_) {
    reader.state_ = read_waiter::state::notified;
    notified_.push_back(reader);
    ++notified_size_;
    make_ready(loop_, reader);
    reader.listen(loop_, stop);
    return;
  }
  reader.state_ = read_waiter::state::waiting;
  waiting_.push_back(reader);
  reader.listen(loop_, stop);
  arm();
}

// One coroutine for each buffer at hand: a buffer has one datagram at least. The next one is woken when the first
// has taken its own.
void receiver::notify() noexcept {
  while (!waiting_.empty() && backlog_size_ > notified_size_) {
    read_waiter& next = waiting_.pop_front();
    next.state_ = read_waiter::state::notified;
    notified_.push_back(next);
    ++notified_size_;
    wake(next);
  }
}

// One that waits for one turn only is in the ready queue already.
void receiver::wake(read_waiter& reader) noexcept {
  if (!static_cast<ready_node&>(reader).linked()) make_ready(loop_, reader);
}

void receiver::resumed(read_waiter& reader) noexcept {
  if (reader.state_ == read_waiter::state::notified) --notified_size_;
  static_cast<waiting_hook&>(reader).unlink();
  reader.state_ = read_waiter::state::idle;
}

void receiver::leave(read_waiter& reader) noexcept {
  resumed(reader);
  notify();
}

void receiver::fail_waiting(std::error_code error) noexcept {
  this_threads_train.close();
  while (!waiting_.empty()) {
    read_waiter& reader = waiting_.front();
    reader.error_ = error;
    resumed(reader);
    wake(reader);
  }
}

void receiver::consumed(buffer& what) noexcept {
  static_cast<list_hook&>(what).unlink();
  left_backlog(1);
  if (what.own_memory) {
    if (last_moved_) pool_->give_back(*last_moved_);
    last_moved_ = &what;
  } else {
    pool_->give_back(what);
  }
}

void receiver::left_backlog(std::uint32_t count) noexcept {
  backlog_size_ -= count;
  if (backlog_size_ > 0) return;
  buffer_holder::unlink();
  all_pooled_ = true;
}

std::size_t receiver::take_some(std::span<incoming> messages) noexcept {
  std::size_t count = 0;
  while (count < messages.size() && backlog_size_ > notified_size_) {
    incoming& message = messages[count++];
    const received_piece taken =
        amid_a_train(message.buffer.size()) ? take_amid(message.buffer.data()) : take(message.buffer);
    message.received = {.payload = message.buffer.first(taken.copied),
                        .control = taken.head->control,
                        .source = taken.head->source,
                        .truncated = taken.truncated,
                        .control_truncated = taken.head->control_truncated,
                        .full_length = taken.full_length};
  }
  next_one();
  return count;
}

std::size_t receiver::lend(datagram_batch& batch) noexcept {
  batch.clear();
  const std::uint32_t count = backlog_size_ - notified_size_;
  if (count == 0) return 0;

  // Of the first one, which may be a train, single datagrams may have been taken.
  backlog_.front().show_next();

  list_hook* end = backlog_.first();
  std::size_t datagrams = 0;
  for (std::uint32_t i = 0; i < count; ++i, end = end->next) {
    const auto& each = static_cast<const buffer&>(*end);
    datagrams += each.datagrams();
    counters_.bytes += each.remaining;
  }
  counters_.datagrams += datagrams;

  if (batch.pool_ != pool_) batch.pool_ = pool_;
  batch.buffers_.splice_back(backlog_, *end);
  batch.buffer_count_ = count;
  batch.size_ = datagrams;
  batch.all_pooled_ = all_pooled_;
  left_backlog(count);
  return datagrams;
}

void receiver::end_reading(std::error_code error) noexcept {
  fail_waiting(error);
  while (!notified_.empty()) {
    read_waiter& reader = notified_.front();
    reader.error_ = error;
    resumed(reader);  // it stays in the ready queue
  }
  end_reads();
  loop_.drain_until([this] { return !reads(); });
  spun_.reset();
  buffer_waiter::unlink();
}

void receiver::drop_backlog() noexcept {
  buffer_holder::unlink();
  while (!backlog_.empty()) pool_->give_back(backlog_.pop_front());
  backlog_size_ = 0;
  all_pooled_ = true;
}

void receiver::close(std::error_code error) noexcept {
  end_reading(error);
  backlog_.for_each([this](const buffer& each) { counters_.discarded += each.datagrams(); });
  drop_backlog();
  error_pends_ = false;
}

// --- handing over ---

result<std::vector<kept_datagram>> receiver::take_out() noexcept {
  end_reading(errc::closed);
  std::vector<kept_datagram> kept;
  try {
    backlog_.for_each([&kept](const buffer& each) {
      const std::byte* payload = each.payload;
      for (std::uint32_t left = each.remaining, length = 0;; left -= length, payload += length) {
        length = std::min(each.segment, left);
        kept.push_back({.payload = std::vector<std::byte>(payload, payload + length),
                        .control = each.first.control,
                        .source = each.first.source,
                        .truncated = each.first.truncated,
                        .control_truncated = each.first.control_truncated,
                        .full_length = std::size_t{length} + each.cut_off});
        if (length == left) break;
      }
    });
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
  drop_backlog();
  return kept;
}

result<void> receiver::take_in_kept(std::span<const kept_datagram> datagrams) noexcept {
  assert(idle() && backlog_.empty() && "datagrams of another conn come before the first read");
  if (datagrams.empty()) return {};
  if (const auto error = open_pool()) return fail(error);
  intrusive_list<buffer> made;
  for (const kept_datagram& each : datagrams) {
    buffer* const copy = pool_->copy_of(each);
    if (!copy) {
      while (!made.empty()) pool_->give_back(made.pop_front());
      return fail(std::errc::not_enough_memory);
    }
    made.push_back(*copy);
  }
  while (!made.empty()) keep(made.pop_front());
  return {};
}

}  // namespace uring6::detail
