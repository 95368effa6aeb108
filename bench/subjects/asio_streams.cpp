// Asio's TCP echo server, a coroutine for each connection.
#include <array>
#include <limits>

#include "common/streams.hpp"
#include "subjects/asio.hpp"

namespace bench::with_asio {
namespace {

using tcp = asio::ip::tcp;
using stream = asio::basic_stream_socket<tcp, executor>;
using acceptor = asio::basic_socket_acceptor<tcp, executor>;

class stream_server : public subject {
 public:
  explicit stream_server(const settings& s)
      : acceptor_(context_, tcp::endpoint(asio::ip::address_v6::loopback(), 0)),
        last_octet_(s.once ? s.size : std::numeric_limits<std::size_t>::max()) {}

  std::vector<std::uint16_t> ports() const override { return {acceptor_.local_endpoint().port()}; }

  void run_until(std::uint64_t) override {
    asio::co_spawn(context_, accept_all(), rethrow);
    context_.run();
  }

 private:
  awaitable<> accept_all() {
    for (;;) {
      stream peer = co_await acceptor_.async_accept(use_awaitable);
      peer.set_option(tcp::no_delay(true));
      asio::co_spawn(context_, serve(std::move(peer)), rethrow);
    }
  }

  awaitable<> serve(stream peer) {
    std::array<std::byte, longest_message> buffer;
    std::error_code error;
    for (std::size_t echoed = 0; echoed < last_octet_;) {
      const std::size_t got =
          co_await peer.async_read_some(asio::buffer(buffer), asio::redirect_error(use_awaitable, error));
      if (error) co_return;
      // What async_write does, without its state.
      for (std::size_t sent = 0; sent < got;) {
        sent += co_await peer.async_write_some(asio::buffer(buffer.data() + sent, got - sent),
                                               asio::redirect_error(use_awaitable, error));
        if (error) co_return;
      }
      echoed += got;
    }
  }

  asio::io_context context_{ASIO_CONCURRENCY_HINT_UNSAFE};
  acceptor acceptor_;
  std::size_t last_octet_;  // a connection ends when so many octets were echoed
};

}  // namespace

std::unique_ptr<subject> streams(const settings& s) {
  return make<stream_server>(s);
}

}  // namespace bench::with_asio
