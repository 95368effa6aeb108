#include "subjects/uring6/dns.hpp"

#include "common/dns.hpp"
#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

class batch_responder : public conn_subject {
 public:
  explicit batch_responder(const settings& s) : conn_subject(s) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    uring6::datagram_batch queries;
    while (seen_.datagrams < total) {
      seen_.datagrams += uring6::or_throw(co_await conn_.receive(queries));
      uring6::or_throw(co_await conn_.write_batch(answer(queries)));
    }
  }

  // A function and no coroutine, so that its variables are in registers.
  std::span<uring6::write_slot> answer(const uring6::datagram_batch& queries) {
    if (messages_.size() < queries.size()) {
      messages_.resize(queries.size());
      answers_.resize(queries.size());
    }
    std::size_t next = 0;
    for (const uring6::datagram& query : queries) {
      const std::size_t size = zone_.answer(query.payload, answers_[next]);
      if (size == 0) continue;
      messages_[next].payload = std::span(answers_[next]).first(size);
      messages_[next].destination = query.source;
      ++next;
    }
    return std::span(messages_).first(next);
  }

  bench::dns::zone zone_;
  std::vector<std::array<std::byte, bench::dns::largest_answer>> answers_;
  std::vector<uring6::write_slot> messages_;
};

class simple_responder : public conn_subject {
 public:
  explicit simple_responder(const settings& s) : conn_subject(s, {.coalesce_writes = true}) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    std::array<std::byte, 512> buffer;
    std::array<std::byte, bench::dns::largest_answer> answer;
    while (seen_.datagrams < total) {
      const auto query = uring6::or_throw(co_await conn_.read_from(buffer));
      ++seen_.datagrams;
      const std::size_t size = zone_.answer(query.payload, answer);
      if (size == 0) continue;
      const auto made = std::span(answer).first(size);
      uring6::or_throw(co_await conn_.write_to(made, query.source));
    }
  }

  bench::dns::zone zone_;
};

}  // namespace

std::unique_ptr<subject> dns(const settings& s) {
  return make<batch_responder>(s);
}
std::unique_ptr<subject> dns_simple(const settings& s) {
  return make<simple_responder>(s);
}

}  // namespace bench::u6
