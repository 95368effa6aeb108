#include "demo/server.hpp"

#include <fmt/format.h>

#include <array>

#include "demo/message.hpp"
#include "demo/report.hpp"
#include "uring6/format.hpp"

namespace uring6::tool {
namespace {

void enter(const message& said, const datagram& got, ledger& book, output& out) {
  const sighting seen = sighting_of(got);
  if (said.what == message::kind::burst) {
    book.burst.enter(said.sequence, seen);
  } else if (said.what == message::kind::sample && said.sequence < book.samples.size()) {
    sample& known = book.samples[said.sequence];
    known.enter(seen, std::chrono::system_clock::now());
    print_sample(known, out);
  }
}

}  // namespace

task<> serve(packet_conn& conn, ledger& book, output& out) {
  std::vector<std::byte> buffer(max_udp_payload);
  std::array<std::byte, shortest_payload> answer;
  for (;;) {
    const auto got = co_await conn.read_from(buffer);
    if (!got && is_transient(got.error())) continue;
    if (!got) {
      if (got.error() != errc::closed) book.failures.push_back("the server cannot read: " + got.error().message());
      co_return;
    }
    const auto said = read_message(got->payload, book.token);
    if (!said) {
      ++book.strangers;
      continue;
    }
    enter(*said, *got, book, out);
    if (said->wants_answer == 0) continue;
    write_message({book.token, message::kind::answer, said->sequence, 0}, answer);
    // The answer leaves from the address and by the interface of the question.
    const auto sent = co_await conn.write_to(answer, got->control.reply(), got->source);
    if (!sent) {
      book.failures.push_back(fmt::format("no answer to {} can be sent: {}", got->source, sent.error().message()));
    }
  }
}

}  // namespace uring6::tool
