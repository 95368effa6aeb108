#include "harness/saturated_server.hpp"

#include <fmt/format.h>

#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 64;  // of a payload, where the role has one
constexpr std::chrono::milliseconds patience{5000};

class saturated_server : public lane {
 public:
  saturated_server(const entrant& who, unsigned vector, const saturation& shape, std::shared_ptr<clients> all,
                   const placement& where)
      : each_(shape.each),
        // A harness that spins on a loop's processor would take half of it.
        idle_(shape.loops > 1 ? clients::idle::sleep : clients::idle::spin),
        clients_(std::move(all)),
        server_(who.subject, shape.role,
                {fmt::format("size={}", size), fmt::format("vector={}", vector), fmt::format("loops={}", shape.loops)},
                shape.loops > 1 ? std::vector{where.harness, where.subject} : std::vector{where.subject}) {
    server_.tell("serve");
  }

  window run(std::chrono::nanoseconds span) override {
    window w;
    server_.pause();
    // Not the clients' ports: an answer that the kernel dropped there is missing, and voids the result.
    const bookkeeper books({server_.ports()[0]}, server_);
    const std::uint64_t allocations = server_.shared().allocations.load();
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    do {
      const tally before = clients_->seen();
      clients_->ask(server_.ports()[0], each_);
      server_.resume();
      clients_->collect(patience, idle_);
      server_.pause();
      const tally& after = clients_->seen();
      w.loss += {.sent = each_ * clients_->size(),
                 .received = after.datagrams - before.datagrams,
                 .dropped = 0,
                 .bad = after.bad - before.bad};
      w.buffers += after.buffers - before.buffers;
    } while (now_ns() < end);
    books.close(w);
    server_.resume();
    w.allocations = server_.shared().allocations.load() - allocations;
    w.value = static_cast<double>(w.subject_cpu_ns) / static_cast<double>(w.loss.received);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&server_}; }

 private:
  std::uint64_t each_;
  clients::idle idle_;
  std::shared_ptr<clients> clients_;
  subject_process server_;
};

class contest_of_servers : public contest {
 public:
  contest_of_servers(saturation shape, const placement& where) : shape_(std::move(shape)), where_(where) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return shape_.unit; }
  std::vector<entrant> entrants() const override { return shape_.entrants; }

  /// All servers get the same clients, one after the other: the ephemeral ports are not enough for 10,000 more sockets
  /// of each server.
  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    auto all = clients_.lock();
    if (!all) clients_ = all = std::make_shared<clients>(shape_.clients, shape_.what, shape_.takes_trains);
    return std::make_unique<saturated_server>(who, vector, shape_, std::move(all), where_);
  }

 private:
  saturation shape_;
  placement where_;
  mutable std::weak_ptr<clients> clients_;
};

}  // namespace

std::unique_ptr<contest> saturation_contest(saturation shape, const placement& where) {
  return std::make_unique<contest_of_servers>(std::move(shape), where);
}

}  // namespace bench
