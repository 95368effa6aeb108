#include "subjects/uring6/echo.hpp"

#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

class echo_server : public conn_subject {
 public:
  explicit echo_server(const settings& s, const uring6::packet_options& options = {}) : conn_subject(s, options) {
    constexpr auto arrival = uring6::control_flags::destination | uring6::control_flags::interface;
    uring6::or_throw(conn_.set_control_message(arrival, true));
  }
};

class batch_echo : public echo_server {
 public:
  using echo_server::echo_server;

 private:
  uring6::task<> work(std::uint64_t total) override {
    uring6::datagram_batch batch;
    std::vector<uring6::write_slot> answers;
    while (seen_.datagrams < total) {
      const std::size_t count = uring6::or_throw(co_await conn_.receive(batch));
      if (answers.size() < count) answers.resize(count);
      std::size_t next = 0;
      for (const uring6::datagram& each : batch) {
        seen_.take(each.payload.data(), each.payload.size());
        answers[next++] = {.payload = each.payload, .control = each.control.reply(), .destination = each.source};
      }
      uring6::or_throw(co_await conn_.write_batch(std::span(answers).first(count)));
    }
  }
};

class simple_echo : public echo_server {
 public:
  explicit simple_echo(const settings& s) : echo_server(s, {.coalesce_writes = true}) {}

 private:
  uring6::task<> work(std::uint64_t total) override {
    std::array<std::byte, largest_payload> buffer;
    while (seen_.datagrams < total) {
      const auto got = uring6::or_throw(co_await conn_.read_from(buffer));
      seen_.take(got.payload.data(), got.payload.size());
      uring6::or_throw(co_await conn_.write_to(got.payload, got.control.reply(), got.source));
    }
  }
};

}  // namespace

std::unique_ptr<subject> echo(const settings& s) {
  return make<batch_echo>(s);
}
std::unique_ptr<subject> echo_simple(const settings& s) {
  return make<simple_echo>(s);
}

}  // namespace bench::u6
