#include "subjects/uring6/streams.hpp"

#include <array>
#include <limits>

#include "common/streams.hpp"
#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

class stream_server : public subject {
 public:
  explicit stream_server(const settings& s)
      : loop_(loop_for(s)),
        listener_(uring6::or_throw(uring6::listen_tcp(loop_, "tcp6", "[::1]:0"))),
        last_octet_(s.once ? s.size : std::numeric_limits<std::size_t>::max()) {}

  std::vector<std::uint16_t> ports() const override { return {uring6::or_throw(listener_.local_endpoint()).port}; }

  void run_until(std::uint64_t) override { loop_.run(accept_all()); }

 private:
  uring6::task<> accept_all() {
    uring6::scope all;
    for (;;) {
      auto peer = co_await listener_.accept();
      if (!peer) break;
      all.spawn(serve(std::move(*peer)));
    }
    all.request_stop();
    co_await all.join();
  }

  uring6::task<> serve(uring6::tcp_conn peer) {
    std::array<std::byte, longest_message> buffer;
    for (std::size_t echoed = 0; echoed < last_octet_;) {
      const auto got = co_await peer.read(buffer);
      if (!got || *got == 0) co_return;
      const auto sent = co_await peer.write(std::span(buffer).first(*got));
      if (!sent) co_return;
      echoed += *sent;
    }
  }

  uring6::event_loop loop_;
  uring6::tcp_listener listener_;
  std::size_t last_octet_;  // a connection ends when so many octets were echoed
};

}  // namespace

std::unique_ptr<subject> streams(const settings& s) {
  return make<stream_server>(s);
}

}  // namespace bench::u6
