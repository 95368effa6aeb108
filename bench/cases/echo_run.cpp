// echo-run, echo-run-plain, echo-run-single: the processor time that a saturated echo server takes per datagram of one
// peer (harness/saturated_server.hpp). Meanwhile the peer, on the other processor, looks for answers without sleeping.
#include "cases/cases.hpp"
#include "cases/echo_servers.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/peers/traffic.hpp"
#include "harness/saturated_server.hpp"

namespace bench {
namespace {

constexpr std::size_t size = 64;
constexpr std::uint64_t per_round = 8192;

struct peer_shape {
  std::string name{};
  bool sends_trains{};
  bool takes_trains{};
};

class one_peer : public questioner {
 public:
  explicit one_peer(const peer_shape& shape) : sends_trains_(shape.sends_trains) {
    if (shape.takes_trains) set_option(peer_.fd(), SOL_UDP, UDP_GRO, 1);
  }

  std::vector<std::uint16_t> ports() const override { return {peer_.port()}; }

  void play(subject_process& server, window& w) override {
    const std::uint64_t first = peer_.sent();
    const tally before = seen_;
    if (sends_trains_)
      peer_.send_trains(server.ports()[0], per_round, segments_);
    else
      peer_.send_singly(server.ports()[0], per_round);
    server.resume();
    collect(per_round);
    server.pause();
    w.loss += {
        .sent = per_round, .received = seen_.datagrams - before.datagrams, .dropped = 0, .bad = seen_.bad - before.bad};
    w.loss.bad += mismatch(first, per_round, seen_.sequence_sum - before.sequence_sum);
    w.buffers += seen_.buffers - before.buffers;
  }

 private:
  /// Returns early if no answer has come for long: the accounts will show the missing datagrams.
  void collect(std::uint64_t count) {
    const std::uint64_t wanted = seen_.datagrams + count;
    for (answer_deadline left(round_patience); seen_.datagrams < wanted;) {
      if (take_buffer(peer_.fd(), room_, seen_))
        left.renew();
      else if (!left.wait(peer_.fd()))
        return;
    }
  }

  bool sends_trains_;
  std::uint64_t segments_ = longest_train(size);
  feeder peer_{size};
  std::vector<std::byte> room_ = std::vector<std::byte>(65'535);
  tally seen_;
};

entrant plain_c_of(const peer_shape& shape) {
  if (shape.sends_trains) return {.subject = "raw train echo", .note = "UDP_GRO and UDP_SEGMENT"};
  return {.subject = "raw run echo", .vectors = {32, 64, 128}, .note = "recvmmsg, UDP_SEGMENT"};
}

}  // namespace

void add_echo_runs(contests& all, const placement& where) {
  for (const auto& shape : {peer_shape{"echo-run", true, true}, peer_shape{"echo-run-plain", true, false},
                            peer_shape{"echo-run-single", false, true}}) {
    all.push_back(saturation_contest({.name = shape.name,
                                      .size = size,
                                      .other_end = [shape] { return std::make_shared<one_peer>(shape); },
                                      .entrants = echo_servers({plain_c_of(shape)})},
                                     where));
  }
}

}  // namespace bench
