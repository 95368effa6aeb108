#include "harness/saturated_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "common/clock.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/clients.hpp"

namespace bench {
namespace {

std::vector<std::string> words_for(const saturation& shape, unsigned vector, const questioner& other_end) {
  std::vector<std::string> words{fmt::format("size={}", shape.size), fmt::format("vector={}", vector),
                                 fmt::format("loops={}", shape.loops)};
  std::ranges::copy(other_end.words(), std::back_inserter(words));
  return words;
}

class saturated_server : public lane {
 public:
  saturated_server(const entrant& who, unsigned vector, const saturation& shape, const placement& where)
      : other_end_(shape.other_end()),
        server_(who.subject, shape.role, words_for(shape, vector, *other_end_),
                shape.loops > 1 ? std::vector{where.harness, where.subject} : std::vector{where.subject}) {
    server_.tell("serve");
  }

  window run(std::chrono::nanoseconds span) override {
    window w;
    server_.pause();
    const bookkeeper books(ports(), server_);
    const std::uint64_t allocations = server_.shared().allocations.load();
    const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(span.count());
    do other_end_->play(server_, w);
    while (now_ns() < end);
    books.close(w);
    server_.resume();
    w.allocations = server_.shared().allocations.load() - allocations;
    w.value = static_cast<double>(w.subject_cpu_ns) / static_cast<double>(w.loss.received);
    return w;
  }

  std::vector<const subject_process*> counted() const override { return {&server_}; }

 private:
  std::vector<std::uint16_t> ports() const {
    std::vector<std::uint16_t> all = server_.ports();
    std::ranges::copy(other_end_->ports(), std::back_inserter(all));
    return all;
  }

  std::shared_ptr<questioner> other_end_;
  subject_process server_;
};

class contest_of_servers : public contest {
 public:
  contest_of_servers(saturation shape, const placement& where) : shape_(std::move(shape)), where_(where) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return shape_.unit; }
  std::vector<entrant> entrants() const override { return shape_.entrants; }

  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    return std::make_unique<saturated_server>(who, vector, shape_, where_);
  }

 private:
  saturation shape_;
  placement where_;
};

class client_rounds : public questioner {
 public:
  explicit client_rounds(const asking_clients& shape)
      : each_(shape.each), meanwhile_(shape.meanwhile), clients_(shape.count, shape.what, shape.takes_trains) {}

  void play(subject_process& server, window& w) override {
    const tally before = clients_.seen();
    clients_.ask(server.ports()[0], each_);
    server.resume();
    clients_.collect(round_patience, meanwhile_);
    server.pause();
    const tally& after = clients_.seen();
    w.loss += {.sent = each_ * clients_.size(),
               .received = after.datagrams - before.datagrams,
               .dropped = 0,
               .bad = after.bad - before.bad};
    w.buffers += after.buffers - before.buffers;
  }

 private:
  std::uint64_t each_;
  idle meanwhile_;
  clients clients_;
};

}  // namespace

std::unique_ptr<contest> saturation_contest(saturation shape, const placement& where) {
  return std::make_unique<contest_of_servers>(std::move(shape), where);
}

make_questioner clients_of_all_servers(asking_clients shape) {
  return [shape = std::move(shape), shared = std::weak_ptr<questioner>()]() mutable {
    auto all = shared.lock();
    if (!all) shared = all = std::make_shared<client_rounds>(shape);
    return all;
  };
}

}  // namespace bench
