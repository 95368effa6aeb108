#include "net/memory/link_medium.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <limits>
#include <new>
#include <utility>

#include "sys/socket/socket.hpp"

namespace uring6::inline v0::detail {
namespace {

constexpr int default_hop_limit = 64;  // Linux: net.ipv6.conf.default.hop_limit

/// What the kernel would return.
std::error_code refused_as(int number) noexcept {
  return {number, std::system_category()};
}

}  // namespace

bool in_range(const memory_link_options& options) noexcept {
  static constexpr std::chrono::hours longest{24};
  const auto within = [](std::chrono::nanoseconds time) { return time.count() >= 0 && time <= longest; };
  const auto probable = [](double probability) { return probability >= 0 && probability <= 1; };  // NaN is neither
  return within(options.delay) && within(options.jitter) && probable(options.loss) && probable(options.duplication) &&
         options.queue >= 1 && options.interface_index >= 1 &&
         options.interface_index <= static_cast<std::uint32_t>(std::numeric_limits<int>::max());
}

link_medium::link_medium(std::shared_ptr<loop_core> loop, const memory_link_options& options)
    : loop_(std::move(loop)),
      options_(options),
      random_(options.seed),
      system_minus_loop_(std::chrono::system_clock::now().time_since_epoch() - loop_->now().time_since_epoch()) {
  assert(in_range(options_));
}

link_medium::~link_medium() {
  disarm();
  assert(ports_.empty() && "a port keeps its medium");
}

void link_medium::set_options(const memory_link_options& options) noexcept {
  assert(in_range(options));
  options_ = options;
  random_.seed(options.seed);
}

std::chrono::sys_time<std::chrono::nanoseconds> link_medium::wall_clock() const noexcept {
  return std::chrono::sys_time<std::chrono::nanoseconds>(loop_->now().time_since_epoch() + system_minus_loop_);
}

// --- ports ---

memory_port* link_medium::port_at(const endpoint& local) const noexcept {
  const auto found = std::ranges::find(ports_, local, [](const memory_port* each) { return each->local(); });
  return found == ports_.end() ? nullptr : *found;
}

std::uint16_t link_medium::free_port(const ip_address& local) const noexcept {
  constexpr std::uint16_t first_dynamic = 49'152;  // RFC 6335, section 6
  for (std::uint16_t port = first_dynamic; port != 0; ++port) {
    if (!port_at({local, port})) return port;
  }
  return 0;
}

void link_medium::remove(memory_port& port) noexcept {
  [[maybe_unused]] const std::size_t removed = std::erase(ports_, &port);
  assert(removed == 1);
}

// --- sending ---

/// Checks the message as the sender of a packet_conn and the kernel do, and completes the destination by its zone.
std::error_code link_medium::address(const endpoint& from, const write_slot& message, endpoint& to) const noexcept {
  const control_message& control = message.control;
  if (message.payload.size() > max_udp_payload) return errc::too_long;
  if (to.address.is_v4_mapped()) return errc::ipv4_address;
  if (to.address.zone() != 0 && to.address.zone() != options_.interface_index) return errc::unknown_zone;
  if (to.address.zone() != 0 && !has_zones(to.address)) return errc::needless_zone;
  std::array<std::byte, cmsg::max_encoded_size> area;
  if (const auto encoded = cmsg::encode(control, area); !encoded) return encoded.error();
  if (to.port == 0) return refused_as(EINVAL);
  if (control.interface_index.value_or(options_.interface_index) != options_.interface_index) return refused_as(ENODEV);
  if (control.source && control.source->with_zone(0) != from.address.with_zone(0)) return refused_as(EINVAL);
  if (to.address.is_link_local() && to.address.zone() == 0) {
    if (!control.interface_index) return refused_as(EINVAL);
    to.address = to.address.with_zone(options_.interface_index);
  }
  return {};
}

bool link_medium::happens(double probability) noexcept {
  if (probability <= 0) return false;
  return static_cast<double>(random_() >> 11) * 0x1p-53 < probability;  // the 53 bits of a double's mantissa
}

// A division's rest, and not a distribution of the standard library, each of which has its own.
clock::duration link_medium::next_delay() noexcept {
  const auto choices = static_cast<std::uint64_t>(options_.jitter.count()) + 1;
  return options_.delay + std::chrono::nanoseconds(choices > 1 ? static_cast<std::int64_t>(random_() % choices) : 0);
}

std::error_code link_medium::send(const endpoint& from, const write_slot& message) noexcept {
  endpoint to = message.destination;
  if (const auto refused = address(from, message, to)) return refused;
  const bool lost = happens(options_.loss);
  const bool twice = !lost && happens(options_.duplication);
  try {
    make_room();
  } catch (const std::bad_alloc&) {
    return make_error_code(std::errc::not_enough_memory);
  }
  memory_packet* const first = copy_of(message);
  memory_packet* const second = first && twice ? copy_of(message) : nullptr;
  if (!first || (twice && !second)) {
    if (first) release(*first);
    return make_error_code(std::errc::not_enough_memory);
  }
  ++stats_.sent;
  stats_.duplicated += twice;
  stats_.lost += lost;
  if (lost) {
    release(*first);
    return {};
  }
  for (memory_packet* const each : {first, second}) {
    if (!each) continue;
    each->source = from;
    each->destination = to;
    carry(*each);
  }
  return {};
}

// Takes the memory to carry a datagram and its duplicate, so that nothing fails once one of them is under way.
void link_medium::make_room() {
  if (under_way_.size() + 2 > under_way_.capacity()) under_way_.reserve(2 * (under_way_.size() + 2));
  if (!armed()) loop_->timers().make_room(1);
}

/// nullptr: there is no memory.
memory_packet* link_medium::copy_of(const write_slot& message) noexcept {
  try {
    if (unused_.empty()) {
      packets_.push_back(std::make_unique<memory_packet>());
      unused_.push_back(*packets_.back());
    }
    memory_packet& packet = unused_.front();
    packet.payload.assign(message.payload.begin(), message.payload.end());
    packet.unlink();
    packet.traffic_class = message.control.traffic_class.value_or(0);
    packet.hop_limit = message.control.hop_limit.value_or(default_hop_limit);
    return &packet;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void link_medium::carry(memory_packet& packet) noexcept {
  const clock::duration delay = next_delay();
  if (delay == delay.zero()) return arrive(packet);
  if (under_way_.size() >= options_.queue) {
    ++stats_.overflowed;
    return release(packet);
  }
  assert(under_way_.size() < under_way_.capacity() && "`send` has made room");
  under_way_.push_back({loop_->now() + delay, ++numbers_, &packet});
  std::ranges::push_heap(under_way_, is_later);
  if (!armed() || under_way_.front().arrival < deadline()) arm(*loop_, under_way_.front().arrival);
}

void link_medium::arrive(memory_packet& packet) noexcept {
  memory_port* const port = port_at(packet.destination);
  if (port && port->unread() < options_.queue) {
    ++stats_.delivered;
    return port->deliver(packet);
  }
  ++(port ? stats_.overflowed : stats_.without_socket);
  release(packet);
}

// Setting the timer again allocates nothing: the heap of timers has room for the one that has just expired.
void link_medium::expired() noexcept {
  const auto now = loop_->now();
  while (!under_way_.empty() && under_way_.front().arrival <= now) {
    memory_packet& packet = *under_way_.front().packet;
    std::ranges::pop_heap(under_way_, is_later);
    under_way_.pop_back();
    arrive(packet);
  }
  if (!under_way_.empty()) arm(*loop_, under_way_.front().arrival);
}

}  // namespace uring6::inline v0::detail
