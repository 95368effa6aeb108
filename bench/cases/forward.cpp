// forward: the processor time that a saturated forwarder takes for a query, from its client to the upstream and for the
// answer's way back. 64 clients ask in turn; the harness is the upstream, too. The forwarder keeps for each query which
// client asked, and where, and gives each query an id of its own (common/forward.hpp).
//
// The forwarder is stopped (SIGSTOP) while its clients fill its socket, goes on until all queries are at the upstream,
// is stopped again while the upstream answers all of them, and goes on until the clients have their answers.
#include <fmt/format.h>

#include "cases/cases.hpp"
#include "harness/peers/clients.hpp"
#include "harness/peers/upstream.hpp"
#include "harness/saturated_server.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 66;  // an id, and 64 octets
constexpr std::size_t client_count = 64;
constexpr std::uint64_t each = 64;  // queries of a client in a round: 4,096 wait at a time

class both_ends : public questioner {
 public:
  std::vector<std::string> words() const override { return {fmt::format("to={}", upstream_.port())}; }

  void play(subject_process& forwarder, window& w) override {
    const tally before = clients_.seen();
    clients_.ask(forwarder.ports()[0], each);
    forwarder.resume();
    const std::uint64_t bad = upstream_.take(each * client_count, size, round_patience);
    forwarder.pause();
    upstream_.answer();
    forwarder.resume();
    clients_.collect(round_patience);
    forwarder.pause();
    const tally& after = clients_.seen();
    w.loss += {.sent = each * client_count,
               .received = after.datagrams - before.datagrams,
               .dropped = 0,
               .bad = bad + after.bad - before.bad};
    w.buffers += after.buffers - before.buffers;
  }

 private:
  upstream upstream_;
  clients clients_{client_count, forward_exchange(size), false};
};

}  // namespace

void add_forward(contests& all, const placement& where) {
  all.push_back(saturation_contest(
      {.name = "forward",
       .unit = "ns of processor time/query and answer",
       .role = "forward",
       .size = size,
       .other_end = [] { return std::make_shared<both_ends>(); },
       .entrants = {{.subject = "raw forward", .vectors = {16, 32, 64, 128}, .note = "poll, recvmmsg and sendmmsg"},
                    {.subject = "uring6 forward", .note = "receive and write_batch, nothing copied"},
                    {.subject = "uring6 forward of queries",
                     .note = "a coroutine for each query, as examples/forwarder.cpp"}}},
      where));
}

}  // namespace bench
