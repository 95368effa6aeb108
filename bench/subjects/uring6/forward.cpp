#include "subjects/uring6/forward.hpp"

#include <map>
#include <string>

#include "common/forward.hpp"
#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

/// Both conns. One coroutine takes queries, another one answers.
class forwarder : public subject {
 public:
  forwarder(const settings& s, const uring6::packet_options& options)
      : loop_(loop_for(s)),
        clients_(open_conn(loop_, options)),
        upstream_(uring6::or_throw(uring6::dial_packet(loop_, "udp6", loopback_endpoint(s.to.at(0)), options))) {
    constexpr auto arrival = uring6::control_flags::destination | uring6::control_flags::interface;
    uring6::or_throw(clients_.set_control_message(arrival, true));
    widen_buffers(upstream_.native_handle());
  }

  std::vector<std::uint16_t> ports() const override {
    return {uring6::or_throw(clients_.local_endpoint()).port, uring6::or_throw(upstream_.local_endpoint()).port};
  }

  void run_until(std::uint64_t total) override {
    if (seen_.datagrams < total) loop_.run(work(total));
  }

 protected:
  virtual uring6::task<> take_queries() = 0;
  virtual uring6::task<> take_answers(std::uint64_t total) = 0;

  uring6::event_loop loop_;
  uring6::packet_conn clients_;
  uring6::packet_conn upstream_;

 private:
  uring6::task<> work(std::uint64_t total) {
    uring6::scope queries;
    queries.spawn(take_queries());
    co_await take_answers(total);
    queries.request_stop();
    co_await queries.join();
  }
};

class batch_forwarder : public forwarder {
 public:
  explicit batch_forwarder(const settings& s) : forwarder(s, {}) {}

 private:
  struct client {
    uring6::control_message control{};
    uring6::endpoint peer{};
    std::uint16_t id = 0;
  };

  uring6::task<> take_queries() override {
    uring6::datagram_batch batch;
    for (;;) {
      const auto got = co_await clients_.receive(batch);
      if (!got) co_return;
      uring6::or_throw(co_await upstream_.write_batch(forward(batch)));
    }
  }

  uring6::task<> take_answers(std::uint64_t total) override {
    uring6::datagram_batch batch;
    while (seen_.datagrams < total) {
      uring6::or_throw(co_await upstream_.receive(batch));
      const auto back = give_back(batch);
      seen_.datagrams += back.size();
      uring6::or_throw(co_await clients_.write_batch(back));
    }
  }

  // Functions and no coroutines, so that their variables are in registers.
  std::span<uring6::write_slot> forward(const uring6::datagram_batch& queries) {
    if (queries_.size() < queries.size()) queries_.resize(queries.size());
    std::size_t next = 0;
    for (const uring6::datagram& each : queries) {
      if (each.payload.size() < id_size) continue;
      const auto place = static_cast<std::uint16_t>(next_++ % most_forwarded);
      table_[place] = {each.control.reply(), each.source, read_id(each.payload.data())};
      write_id(each.payload.data(), place);
      queries_[next++].payload = each.payload;
    }
    return std::span(queries_).first(next);
  }

  std::span<uring6::write_slot> give_back(const uring6::datagram_batch& answers) {
    if (answers_.size() < answers.size()) answers_.resize(answers.size());
    std::size_t next = 0;
    for (const uring6::datagram& each : answers) {
      if (each.payload.size() < id_size) continue;
      const std::uint16_t place = read_id(each.payload.data());
      if (place >= most_forwarded) continue;
      const client& back = table_[place];
      write_id(each.payload.data(), back.id);
      answers_[next++] = {.payload = each.payload, .control = back.control, .destination = back.peer};
    }
    return std::span(answers_).first(next);
  }

  std::vector<client> table_ = std::vector<client>(most_forwarded);
  std::uint64_t next_ = 0;
  // Of each direction its own: a batch may wait for room in one socket while the other direction goes on.
  std::vector<uring6::write_slot> queries_;
  std::vector<uring6::write_slot> answers_;
};

class forwarder_of_coroutines : public forwarder {
 public:
  explicit forwarder_of_coroutines(const settings& s) : forwarder(s, {.coalesce_writes = true}) {}

 private:
  struct waiting_query {
    std::string answer{};
    uring6::event answered{};
  };

  uring6::task<> forward_one(std::string query, uring6::control_message how, uring6::endpoint client) {
    using namespace std::chrono_literals;
    std::uint16_t place = 0;
    do place = static_cast<std::uint16_t>(next_++ % most_forwarded);
    while (waiting_.contains(place));
    waiting_query& mine = waiting_[place];
    auto* const octets = reinterpret_cast<std::byte*>(query.data());
    const std::uint16_t id = read_id(octets);
    write_id(octets, place);
    uring6::or_throw(co_await upstream_.write(query));
    const auto came = co_await uring6::with_timeout(2s, mine.answered.wait());
    std::string answer = std::move(mine.answer);
    waiting_.erase(place);
    if (!came) co_return;
    write_id(reinterpret_cast<std::byte*>(answer.data()), id);
    ++seen_.datagrams;
    uring6::or_throw(co_await clients_.write_to(answer, how, client));
  }

  uring6::task<> take_queries() override {
    std::array<std::byte, largest_payload> buffer;
    uring6::scope queries;
    for (;;) {
      const auto got = co_await clients_.read_from(buffer);
      if (!got) break;
      if (got->payload.size() < id_size || waiting_.size() >= most_forwarded / 2) continue;
      std::string query(reinterpret_cast<const char*>(got->payload.data()), got->payload.size());
      queries.spawn(forward_one(std::move(query), got->control.reply(), got->source));
    }
    co_await queries.join();
  }

  uring6::task<> take_answers(std::uint64_t total) override {
    std::array<std::byte, largest_payload> buffer;
    while (seen_.datagrams < total) {
      const auto got = uring6::or_throw(co_await upstream_.read_from(buffer));
      if (got.payload.size() < id_size) continue;
      const auto found = waiting_.find(read_id(got.payload.data()));
      if (found == waiting_.end()) continue;
      found->second.answer.assign(reinterpret_cast<const char*>(got.payload.data()), got.payload.size());
      found->second.answered.set();
    }
  }

  std::map<std::uint16_t, waiting_query> waiting_;  // by the ids that the upstream sees
  std::uint64_t next_ = 0;
};

}  // namespace

std::unique_ptr<subject> forward(const settings& s) {
  return make<batch_forwarder>(s);
}
std::unique_ptr<subject> forward_each_by_a_coroutine(const settings& s) {
  return make<forwarder_of_coroutines>(s);
}

}  // namespace bench::u6
