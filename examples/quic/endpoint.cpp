#include "endpoint.hpp"

#include <array>
#include <utility>

#include "connection_id.hpp"

namespace quic {

namespace {

using namespace std::chrono_literals;

// Timers are rounded up to this: the packets that pacing lets go within it leave as one train, and a timer that moves
// by less is not set anew. The kernel's own timer is hardly finer.
constexpr auto timer_step = 1ms;

// Connections of a server at the same time. Beyond it first packets are dropped, and clients repeat them. It bounds the
// memory that peers can take: octets that wait for a lost packet are at most 256 MiB (all_requests_window).
constexpr std::size_t most_connections = 1024;
// Of these, connections without a complete handshake: forged addresses can take no more places than these. Each ends
// after 10 s (NGTCP2_DEFAULT_HANDSHAKE_TIMEOUT).
constexpr std::size_t most_handshakes = 256;

std::span<const std::uint8_t> octets(std::span<const std::byte> of) {
  return {reinterpret_cast<const std::uint8_t*>(of.data()), of.size()};
}

std::string_view text(const std::uint8_t* id, std::size_t length) {
  return {reinterpret_cast<const char*>(id), length};
}

/// The later end of the step in which `when` lies.
time_point rounded(time_point when) {
  if (when > time_point::max() - timer_step) return time_point::max();
  return std::chrono::ceil<std::chrono::milliseconds>(when);
}

}  // namespace

u6::packet_options endpoint::socket_options() {
  return {.receive_offload = true, .send_offload = true};
}

endpoint::endpoint(u6::packet_conn socket, acceptor accept, observer at_end)
    : socket_(std::move(socket)),
      port_(u6::or_throw(socket_.local_endpoint()).port),
      accept_(std::move(accept)),
      at_end_(std::move(at_end)) {
  // The destination becomes the local address of the path, the traffic class has the ECN field.
  u6::or_throw(socket_.set_control_message(u6::control_flags::destination | u6::control_flags::traffic_class, true));
  // A packet that probes the path MTU must not be fragmented (RFC 9000, 14).
  u6::or_throw(socket_.set_dont_fragment(true));
}

endpoint::~endpoint() = default;

void endpoint::adopt(std::unique_ptr<connection> which) {
  const connection* key = which.get();
  member& made = members_[key];
  made.of = std::move(which);
  made.timer = timers_.emplace(time_point::max(), &made);
  ++handshakes_;
  make_ready(*made.of);
}

void endpoint::add(std::string_view id, connection& of) {
  ids_.insert_or_assign(std::string(id), &of);
}

void endpoint::remove(std::string_view id) {
  if (const auto at = ids_.find(id); at != ids_.end()) ids_.erase(at);
}

// --- what arrives ---

void endpoint::deliver(const u6::datagram& packet, time_point now) {
  if (packet.payload.empty() || packet.truncated || !packet.control.destination) return;
  const path along({*packet.control.destination, port_}, packet.source);
  connection* const to = find(packet, along, now);
  if (!to) return;
  to->read(along, static_cast<std::uint32_t>(packet.control.ecn().value_or(NGTCP2_ECN_NOT_ECT)), octets(packet.payload),
           now);
  make_ready(*to);
}

connection* endpoint::find(const u6::datagram& packet, const path& along, time_point now) {
  const auto data = octets(packet.payload);
  ngtcp2_version_cid ids;
  const int decoded = ngtcp2_pkt_decode_version_cid(&ids, data.data(), data.size(), id_length);
  // A shorter packet must not be answered (RFC 9000, 5.2.2): its source address may be another host's.
  if (decoded == NGTCP2_ERR_VERSION_NEGOTIATION && data.size() >= NGTCP2_MAX_UDP_PAYLOAD_SIZE) {
    refuse_version(ids, along);
  }
  if (decoded != 0) return nullptr;
  const auto at = ids_.find(text(ids.dcid, ids.dcidlen));
  return at != ids_.end() ? at->second : accept(packet, along, now);
}

connection* endpoint::accept(const u6::datagram& packet, const path& along, time_point now) {
  if (!accept_ || members_.size() >= most_connections || handshakes_ >= most_handshakes) return nullptr;
  const auto data = octets(packet.payload);
  ngtcp2_pkt_hd first;
  if (ngtcp2_accept(&first, data.data(), data.size()) != 0) return nullptr;
  auto made = accept_(*this, first, along, now);
  connection* const pointer = made.get();
  if (made) adopt(std::move(made));
  return pointer;
}

void endpoint::refuse_version(const ngtcp2_version_cid& of, const path& along) {
  const auto room = outbox_.room();
  if (!accept_ || room.empty()) return;
  const std::array<std::uint32_t, 1> spoken{NGTCP2_PROTO_VER_V1};
  const ngtcp2_ssize length = ngtcp2_pkt_write_version_negotiation(room.data(), room.size(), 0, of.scid, of.scidlen,
                                                                   of.dcid, of.dcidlen, spoken.data(), spoken.size());
  path back = along;
  if (length > 0) outbox_.add(static_cast<std::size_t>(length), back.view(), NGTCP2_ECN_NOT_ECT);
}

// --- timers ---

void endpoint::set_timer(member& of) {
  const time_point when = rounded(of.of->expiry());
  // An acknowledgement makes the time later. The timer stays then, and fires once with nothing to do, which costs less
  // than to set it anew for each acknowledgement.
  if (of.timer->first <= when) return;
  auto node = timers_.extract(of.timer);
  node.key() = when;
  of.timer = timers_.insert(std::move(node));
}

void endpoint::expire(time_point now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    auto node = timers_.extract(timers_.begin());
    member& due = *node.mapped();
    node.key() = time_point::max();
    due.timer = timers_.insert(std::move(node));
    due.of->expire(now);
    make_ready(*due.of);
  }
}

// --- what leaves ---

void endpoint::make_ready(connection& which) {
  member& of = members_.find(&which)->second;
  if (of.ready) return;
  of.ready = true;
  ready_.push_back(&of);
}

void endpoint::end_handshake(member& of) {
  if (std::exchange(of.handshaking, false)) --handshakes_;
}

u6::task<> endpoint::flush() {
  if (!outbox_.empty()) {
    // QUIC detects losses, and sends again: a packet that the kernel refuses is one of them.
    (void)co_await socket_.write_batch(outbox_.slots());
    for (const u6::write_slot& each : outbox_.slots()) {
      if (each.error) send_error_ = each.error;
    }
    outbox_.clear();
  }
}

/// Lets the ready connections write in turns of one outbox, until none has more to send.
u6::task<> endpoint::write_ready() {
  const time_point now = u6::this_task::now();
  while (!ready_.empty()) {
    std::swap(ready_, next_ready_);
    for (member* each : next_ready_) {
      each->ready = false;
      if (each->of->write(outbox_, now)) {
        make_ready(*each->of);
        co_await flush();
      }
      if (each->of->is_established()) end_handshake(*each);
      set_timer(*each);
      if (each->of->is_over() && !each->ready) ended_.push_back(each);
    }
    next_ready_.clear();
  }
  co_await flush();
}

void endpoint::drop_ended() {
  for (member* each : ended_) {
    at_end_(*each->of);
    end_handshake(*each);
    timers_.erase(each->timer);
    members_.erase(each->of.get());
  }
  ended_.clear();
}

u6::task<u6::result<void>> endpoint::run(bool until_empty) {
  time_point deadline = time_point::max();
  for (;;) {
    co_await write_ready();
    drop_ended();
    if (until_empty && members_.empty()) co_return u6::result<void>();
    const time_point next = timers_.empty() ? time_point::max() : timers_.begin()->first;
    if (next < deadline || deadline <= u6::this_task::now()) {
      deadline = next;
      const auto when = next == time_point::max() ? std::optional<time_point>() : std::optional(next);
      if (const auto set = socket_.set_read_deadline(when); !set) co_return u6::fail(set.error());
    }
    const auto got = co_await socket_.receive(batch_);
    const time_point now = u6::this_task::now();
    if (got) {
      for (const u6::datagram& each : batch_) deliver(each, now);
    } else if (got.error() != u6::errc::deadline_exceeded && !u6::is_transient(got.error())) {
      co_return u6::fail(got.error());
    }
    expire(now);
  }
}

u6::task<> endpoint::close_all() {
  for (auto& [key, each] : members_) {
    each.of->close(NGHTTP3_H3_NO_ERROR);
    make_ready(*each.of);
  }
  co_await write_ready();
  ended_.clear();
  for (auto& [key, each] : members_) at_end_(*each.of);
  members_.clear();
  handshakes_ = 0;
  timers_.clear();
}

}  // namespace quic
