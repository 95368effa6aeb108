#include "net/sender.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/packet_socket.hpp"
#include "net/segment_limit.hpp"
#include "sys/socket.hpp"

namespace uring6::detail {
namespace {

constexpr std::size_t most_refusing_routes = 64;
constexpr std::size_t most_held = 64;  // trains of one conn, of the pool's 512

// EIO: no checksum offload (before 6.11), IPsec. EINVAL, EMSGSIZE: a segment longer than the path takes whole.
bool refuses_trains(int result) noexcept { return result == -EIO || result == -EINVAL || result == -EMSGSIZE; }

// Nothing was sent, and a copy may go. Errors that the network has reported are not among them: they are told once.
bool fails_without_copy(int result) noexcept {
  switch (-result) {
    case EAGAIN:      // waits for room, as a copy
    case ENOMEM:
    case ENOBUFS:     // RLIMIT_MEMLOCK, net.core.optmem_max
    case EMSGSIZE:    // more pages than the kernel takes
    case EFAULT:      // memory that cannot be pinned
    case EINVAL:
    case EIO:
    case EACCES:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

// The kernel does not know the operation or that it has to report (before 6.2), or a restriction forbids it: then there
// is no notification. Or the socket cannot do it.
bool is_unknown(const send_train& train, int result) noexcept {
  return result == -EOPNOTSUPP || (!train.answered() && (result == -EINVAL || result == -EACCES));
}

// Addresses that stand for another host in each zone. Of others the kernel does not look at the zone.
bool has_zones(const ip_address& address) noexcept {
  const auto scope = address.scope();
  return scope ? *scope <= multicast_scope::link_local : address.is_link_local() && !address.is_v4_mapped();
}

}  // namespace

// --- writers ---

bool sender::wait(write_waiter& writer, const std::stop_token& token) {
  if (writer.flushes_) {
    if (!has_unsent()) {
      writer.ended_ = take_error();
      return false;
    }
    departed_.push_back(writer);
    writer.listen(loop_, token);
    hurry();
    return true;
  }
  if (writer.messages_.empty()) return false;
  if (options_.coalesce) {
    // As a socket reports an ICMP error: what came later is not sent, so that whoever retries sends it once.
    if (late_error_) {
      writer.ended_ = take_error();
      return false;
    }
    if (writers_.empty() && fill_slab(writer)) {
      hurry();
      if (loop_.spend()) return false;
      make_ready(loop_, writer);
      return true;
    }
  }
  writers_.push_back(writer);
  writer.listen(loop_, token);
  hurry();
  return true;
}

void sender::settle(write_waiter& writer) noexcept {
  if (writer.in_flight_ > 0 || writer.next_ < writer.messages_.size()) return;
  if (writer.flushes_ && !writer.ended_) {
    if (has_unsent()) return;
    writer.ended_ = take_error();
  }
  static_cast<waiting_hook&>(writer).unlink();
  if (!static_cast<ready_node&>(writer).linked()) make_ready(loop_, writer);
}

void sender::account(const send_train::part& part, std::error_code error) noexcept {
  if (error) {
    counters_.failed += part.datagrams;
  } else {
    counters_.datagrams += part.datagrams;
    counters_.bytes += part.bytes;
  }
  if (!part.owner) {
    if (error) {
      counters_.coalesced_failed += part.datagrams;
      if (!late_error_) late_error_ = error;
    }
    return;
  }
  write_waiter& writer = *part.owner;
  writer.in_flight_ -= part.datagrams;
  if (!error) {
    writer.sent_ += part.datagrams;  // none of them has an error since it was appended
  } else {
    for (outgoing& each : std::span(part.messages, part.datagrams)) each.error = error;
    if (!writer.first_error_) writer.first_error_ = error;
  }
  settle(writer);
}

void sender::withdraw(write_waiter& writer, std::error_code why) noexcept {
  if (!static_cast<waiting_hook&>(writer).linked()) return;  // it is over, and about to be resumed
  writer.ended_ = why;
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) writer.messages_[writer.next_].error = why;
  static_cast<waiting_hook&>(writer).unlink();
  departed_.push_back(writer);
  ++writer.in_flight_;  // it must not settle half way
  unsent_.for_each([&](send_train& train) {
    for (send_train::part& each : train.parts()) {
      if (each.owner == &writer) {
        account(each, why);
        each = {};
      }
    }
  });
  flying_.for_each([&](send_train& train) {
    const auto parts = train.parts();
    if (std::ranges::any_of(parts, [&](const send_train::part& each) { return each.owner == &writer; })) {
      loop_.ring().cancel(train);
    }
  });
  --writer.in_flight_;
  settle(writer);
}

void sender::abandon(write_waiter& writer) noexcept {
  withdraw(writer, errc::canceled);
  loop_.drain_until([&] { return writer.in_flight_ == 0; });
}

void sender::fail_waiting(std::error_code why) noexcept {
  while (!writers_.empty()) withdraw(writers_.front(), why);
  departed_.for_each([&](write_waiter& each) {
    if (!each.ended_) withdraw(each, why);
  });
}

void sender::close(std::error_code why) noexcept {
  flush();
  loop_.drain_until([this] { return !loop_.ring().has_queued(); });
  fail_waiting(why);
  flying_.for_each([this](send_train& train) { loop_.ring().cancel(train); });
  closing_ = true;
  loop_.drain_until([this] { return flying_.empty(); });
  while (!unsent_.empty()) {
    send_train& train = unsent_.pop_front();
    for (const send_train::part& each : train.parts()) {
      if (!each.gone()) account(each, why);
    }
    retire(train);
  }
  fail_waiting(why);
  if (block_) pool_->give_back(*std::exchange(block_, nullptr));  // taken, but nothing was put into it
  outbound::unlink();
}

// --- trains ---

std::size_t sender::limit_towards(const ip_address& to, std::size_t length) const noexcept {
  if (!options_.trains) return 1;
  const auto refuses = [&](const refusal& each) { return each.route == to && length >= each.from; };
  return std::ranges::any_of(refusing_, refuses) ? 1 : segment_limit();
}

send_train* sender::take_train() noexcept {
  send_train* const train = pool_->take_train();
  if (!train) {
    wait_for_pool();
    return nullptr;
  }
  ++held_;
  train->owner = this;
  train->fd = fd_;
  return train;
}

void sender::give_back(send_train& train) noexcept {
  --held_;
  pool_->give_back(train);
}

// A socket that does not drain must not hold what the others send with.
send_train* sender::take_fair_share() noexcept {
  if (held_ < most_held) return take_train();
  if (held_ > parked_) loop_.expect_progress();
  return nullptr;
}

// What need not be tried.
std::error_code sender::refusal_of(const outgoing& message, const endpoint& to) const noexcept {
  constexpr std::size_t longest_packet = 65'535;
  if (message.payload.size() > (options_.udp ? longest_payload(to.address) : longest_packet)) return errc::too_long;
  // The kernel would look for a route to ::ffff:0:0/96.
  if (!options_.udp && to.address.is_v4_mapped()) return make_error_code(std::errc::invalid_argument);
  // The kernel would send it without a look at the zone.
  if (to.address.zone() != 0 && !has_zones(to.address)) [[unlikely]] {
    if (const auto known = check_zone(fd_, to.address.zone()); !known) return known.error();
  }
  return {};
}

std::error_code sender::start(send_train& train, const endpoint& to, const outgoing& message,
                              bool addressed) noexcept {
  if (const auto refused = refusal_of(message, to)) return refused;
  return train.begin(to, message.control, addressed, limit_towards(to.address, message.payload.size()));
}

void sender::wait_for_pool() noexcept {
  outbound::unlink();
  pool_->wait(*this);
  starved_ = true;
  loop_.expect_progress();  // what the others send without a word may be what it waits for
}

// Also when it waits for others to give something back: it may have got something itself meanwhile.
void sender::hurry() noexcept {
  if (std::exchange(starved_, false)) outbound::unlink();
  loop_.flush_before_enter(*this);
}

void sender::depart(send_train& train) noexcept {
  if (zero_copy_ && zero_copy_->takes(train)) [[unlikely]] {
    train.zero_copy = true;
    ++parked_;
  }
  launch(train);
}

void sender::launch(send_train& train) noexcept {
  // A quiet operation ends without a completion to wake up for: somebody may wait for it.
  if (train.quiet() && (train.parts().front().owner || !departed_.empty())) loop_.expect_progress();
  flying_.push_back(train);
  loop_.ring().queue(train);
}

void sender::retire(send_train& train) noexcept {
  if (slab_block* const block = train.block; block && --block->trains == 0) {
    if (block == block_) block_ = nullptr;
    pool_->give_back(*block);
  }
  give_back(train);
  if (outbound* const other = pool_->next_waiting()) loop_.flush_before_enter(*other);
  if (!writers_.empty()) hurry();
  if (!has_unsent()) {
    departed_.for_each([this](write_waiter& each) { settle(each); });
  }
}

void sender::flush() noexcept {
  starved_ = false;
  if (open_) depart(*std::exchange(open_, nullptr));
  while (!unsent_.empty() && resend(unsent_.front())) {
  }
  if (options_.coalesce) {
    while (!writers_.empty()) {
      write_waiter& writer = writers_.front();
      if (!fill_slab(writer)) break;
      settle(writer);
    }
    if (open_) depart(*std::exchange(open_, nullptr));
  } else {
    build_trains();
  }
  refuse_impatient();
  // The next one in need was told of what came back only if nobody stood before it.
  if (!starved_ && pool_->has_train()) {
    if (outbound* const other = pool_->next_waiting()) loop_.flush_before_enter(*other);
  }
}

// Nothing more goes until the socket drains: whoever would not wait for that is told.
void sender::refuse_impatient() noexcept {
  if (held_ < most_held || held_ > parked_) return;
  writers_.for_each([this](write_waiter& each) {
    if (each.impatient_) withdraw(each, make_error_code(std::errc::resource_unavailable_try_again));
  });
}

void sender::build_trains() noexcept {
  send_train* train = nullptr;
  while (!writers_.empty()) {
    write_waiter& writer = writers_.front();
    if (writer.next_ == writer.messages_.size()) {
      static_cast<waiting_hook&>(writer).unlink();
      departed_.push_back(writer);
      settle(writer);
      continue;
    }
    const auto rest = writer.messages_.subspan(writer.next_);
    if (!train) {
      train = take_fair_share();
      if (!train) return;  // it comes again when one is free
      outgoing& message = rest.front();
      if (const auto error = start(*train, destination_of(message, writer.addressed_), message, writer.addressed_)) {
        give_back(*std::exchange(train, nullptr));
        ++writer.next_;
        ++writer.in_flight_;
        account({nullptr, &message, &writer, 1, 0}, error);
        continue;
      }
    }
    const std::size_t aboard = train->append(rest, writer.addressed_, writer);
    writer.next_ += aboard;
    writer.in_flight_ += aboard;
    if (aboard < rest.size()) depart(*std::exchange(train, nullptr));
  }
  if (train) depart(*train);
}

// --- writing ahead ---

// Copies the writer's datagrams into the slab. False: the slab is full, the rest must wait.
bool sender::fill_slab(write_waiter& writer) noexcept {
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) {
    outgoing& message = writer.messages_[writer.next_];
    std::error_code error;
    if (!write_ahead(message, writer.addressed_, error)) return false;
    message.error = error;
    if (!error) {
      ++writer.sent_;
    } else if (!writer.first_error_) {
      writer.first_error_ = error;
    }
  }
  return true;
}

bool sender::write_ahead(const outgoing& message, bool addressed, std::error_code& error) noexcept {
  const std::size_t length = message.payload.size();
  const endpoint& to = destination_of(message, addressed);
  error = refusal_of(message, to);
  if (error) return true;
  if (!open_ || block_->room() < length || !open_->accepts(message.payload, to, message.control)) {
    if (open_) depart(*std::exchange(open_, nullptr));
    if (!block_ || block_->room() < length) {
      slab_block* const fresh = pool_->take_block();
      if (!fresh) {
        wait_for_pool();
        return false;
      }
      block_ = fresh;  // the old one goes back when its last train has gone
    }
    send_train* const train = take_fair_share();
    if (!train) return false;
    error = start(*train, to, message, addressed);
    if (error) {
      give_back(*train);
      return true;
    }
    train->block = block_;
    ++block_->trains;
    open_ = train;
  }
  std::byte* const place = block_->memory.get() + block_->used;
  if (length > 0) std::memcpy(place, message.payload.data(), length);
  block_->used += length;
  open_->append(std::span(place, length));
  return true;
}

// --- what the kernel said ---

bool sender::is_impatient(const send_train::part& part) noexcept { return part.owner && part.owner->impatient_; }

void sender::finished(send_train& train, int outcome) noexcept {
  static_cast<train_hook&>(train).unlink();
  if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->look_again();
  if (train.zero_copy && copy_instead(train, outcome)) return;
  const auto parts = train.parts();
  const bool full = outcome == -EAGAIN && !train.may_park && !closing_;
  const bool leaves_some = full && std::ranges::any_of(parts, is_impatient);
  if (full && !leaves_some) {
    ++counters_.parked;
    ++parked_;
    train.may_park = true;
    launch(train);
    refuse_impatient();
    return;
  }
  if (train.may_park) --parked_;
  const bool refused = train.datagrams() > 1 && refuses_trains(outcome);
  if (outcome == -ECANCELED || refused || leaves_some) {
    // Whoever gave up, or would not wait, gets its error; the others' datagrams go again, after a refusal one by one.
    if (refused) ++counters_.refused;
    // Without checksum offload no train goes at all; else a shorter one may.
    train.refused = !refused ? 0 : outcome == -EIO ? 1 : train.segment();
    for (send_train::part& each : parts) {
      if (each.owner && each.owner->ended_) {
        account(each, each.owner->ended_.code());
        each = {};
      } else if (leaves_some && is_impatient(each)) {
        account(each, make_error_code(std::errc::resource_unavailable_try_again));
        each = {};
      }
    }
    unsent_.push_back(train);
    hurry();
    return;
  }
  const std::error_code error = outcome < 0 ? reason_of(outcome, train.destination()) : std::error_code{};
  if (!error && train.datagrams() > 1) ++counters_.trains;
  if (!error && train.refused > 0) remember_refusal(train.destination().address, train.refused);
  for (const send_train::part& each : parts) account(each, error);
  retire(train);
}

// All that the kernel says of a zone that there is not: it has no route there.
std::error_code sender::reason_of(int outcome, const endpoint& to) const noexcept {
  if (outcome == -ENETUNREACH && to.address.zone() != 0) {
    if (const auto known = check_zone(fd_, to.address.zone()); !known) return known.error();
  }
  return {-outcome, std::system_category()};
}

// A send without a copy is over. True: it goes again, the normal way. Else the outcome is one as of other sends.
bool sender::copy_instead(send_train& train, int& outcome) noexcept {
  train.zero_copy = false;
  --parked_;
  if (outcome >= 0) {
    ++counters_.zero_copy;
    if (!train.copied()) return false;
    ++counters_.copied;
    if (zero_copy_) zero_copy_->copied_towards(train.destination().address);
    return false;
  }
  if (!fails_without_copy(outcome)) return false;
  if (is_unknown(train, outcome)) zero_copy_.reset();
  // Whoever gave up meanwhile need not wait for another try.
  const auto parts = train.parts();
  const auto given_up = [](const send_train::part& each) { return each.owner && each.owner->ended_; };
  if (closing_ || std::ranges::any_of(parts, given_up)) {
    outcome = -ECANCELED;
    return false;
  }
  if (outcome == -EAGAIN) return false;
  launch(train);
  return true;
}

// Hands the parts of a train that did not go to fresh ones. False: no train is free, the rest must wait.
bool sender::resend(send_train& old) noexcept {
  for (send_train::part& each : old.parts()) {
    while (!each.gone()) {
      send_train* const fresh = take_train();
      if (!fresh) return false;
      // It could be encoded before: it can again.
      (void)fresh->begin(old.destination(), old.control(), old.addressed(), 1);
      fresh->refused = old.refused;
      fresh->block = old.block;
      if (old.block) ++old.block->trains;
      fresh->append(each.take_first(old.segment()));
      launch(*fresh);
    }
  }
  static_cast<train_hook&>(old).unlink();
  retire(old);
  return true;
}

void sender::remember_refusal(const ip_address& route, std::size_t from) noexcept {
  const auto known = std::ranges::find(refusing_, route, &refusal::route);
  if (known != refusing_.end()) {
    known->from = std::min(known->from, from);
    return;
  }
  if (refusing_.size() == most_refusing_routes) refusing_.erase(refusing_.begin());
  refusing_.push_back({route, from});
}

}  // namespace uring6::detail
