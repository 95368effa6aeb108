// echo-run-many, echo-run-many-plain, echo-peers: the processor time that a saturated echo server takes per datagram if
// its datagrams come from many clients, singly and in turn. No client's datagrams follow one another, and in echo-peers
// there is one of each of 10,000 clients, so that the server answers each by itself.
//
// As in echo-run the server is stopped (SIGSTOP) while the clients fill its socket, then goes on and answers all of it.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "common/clock.hpp"
#include "harness/bookkeeping.hpp"
#include "harness/clients.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 64;
constexpr std::chrono::seconds patience{5};

struct crowd {
  std::string name{};
  std::size_t clients{};
  std::uint64_t each{};  // datagrams of each client in a round
  bool takes_trains{};
};

class echo_many_lane : public lane {
 public:
  echo_many_lane(const entrant& who, unsigned vector, const crowd& shape, std::shared_ptr<clients> all,
                 const placement& where)
      : each_(shape.each),
        clients_(std::move(all)),
        server_(who.subject, "echo", {fmt::format("size={}", size), fmt::format("vector={}", vector)},
                {where.subject}) {
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
      clients_->collect(patience);
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
  std::shared_ptr<clients> clients_;
  subject_process server_;
};

class echo_many_contest : public contest {
 public:
  echo_many_contest(crowd shape, const placement& where) : shape_(std::move(shape)), where_(where) {}

  std::string name() const override { return shape_.name; }
  std::string unit() const override { return "ns of processor time/datagram"; }

  std::vector<entrant> entrants() const override {
    return {{.subject = "raw echo", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg"},
            {.subject = "raw epoll echo", .note = "level-triggered epoll, one recvmsg and one sendmsg"},
            {.subject = "raw multishot echo", .note = "io_uring"},
            {.subject = "uring6 echo"},
            {.subject = "uring6 echo simple"},
            {.subject = "uring6 readme", .note = "the README's service as printed; looks at no payload"},
            {.subject = "asio epoll"},
            {.subject = "asio io_uring"},
            {.subject = "libuv"},
            {.subject = "go ReadFrom"}};
  }

  /// All servers get the same clients, one after the other: the ephemeral ports are not enough for 10,000 more sockets
  /// of each server.
  std::unique_ptr<lane> open(const entrant& who, unsigned vector) const override {
    auto all = clients_.lock();
    if (!all) clients_ = all = std::make_shared<clients>(shape_.clients, size, shape_.takes_trains);
    return std::make_unique<echo_many_lane>(who, vector, shape_, std::move(all), where_);
  }

 private:
  crowd shape_;
  placement where_;
  mutable std::weak_ptr<clients> clients_;
};

}  // namespace

void add_echo_crowds(contests& all, const placement& where) {
  for (const auto& shape : {crowd{"echo-run-many", 64, 128, true}, crowd{"echo-run-many-plain", 64, 128, false},
                            crowd{"echo-peers", 10'000, 1, false}}) {
    all.push_back(std::make_unique<echo_many_contest>(shape, where));
  }
}

}  // namespace bench
