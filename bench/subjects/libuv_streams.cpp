// libuv's TCP echo server: uv_try_write, which sends at once, and uv_write for what the kernel did not take.
#include <vector>

#include "common/socket.hpp"
#include "subjects/libuv.hpp"

namespace bench::with_libuv {
namespace {

class stream_server : public subject {
 public:
  explicit stream_server(const settings& s) : size_(s.size), last_octet_(s.once ? s.size : 0) {
    succeed(uv_loop_init(&loop_), "uv_loop_init");
    succeed(uv_tcp_init(&loop_, &listener_), "uv_tcp_init");
    const sockaddr_in6 address = loopback(0);
    succeed(uv_tcp_bind(&listener_, reinterpret_cast<const sockaddr*>(&address), 0), "uv_tcp_bind");
    listener_.data = this;
    succeed(uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), SOMAXCONN, accepted), "uv_listen");
  }

  std::vector<std::uint16_t> ports() const override {
    uv_os_fd_t fd = -1;
    succeed(uv_fileno(reinterpret_cast<const uv_handle_t*>(&listener_), &fd), "uv_fileno");
    return {port_of(fd)};
  }

  void run_until(std::uint64_t) override { uv_run(&loop_, UV_RUN_DEFAULT); }

 private:
  struct connection {
    uv_tcp_t stream;
    uv_write_t rest;
    stream_server* server;
    std::vector<char> buffer;
    std::size_t echoed = 0;
  };

  static uv_stream_t* stream_of(connection& c) { return reinterpret_cast<uv_stream_t*>(&c.stream); }
  static connection& connection_of(void* stream) {
    return *static_cast<connection*>(static_cast<uv_handle_t*>(stream)->data);
  }

  static void accepted(uv_stream_t* listener, int status) {
    succeed(status, "uv_listen");
    auto& self = *static_cast<stream_server*>(listener->data);
    auto c = std::make_unique<connection>();
    c->server = &self;
    c->buffer.resize(self.size_);
    c->stream.data = c.get();
    succeed(uv_tcp_init(&self.loop_, &c->stream), "uv_tcp_init");
    succeed(uv_accept(listener, stream_of(*c)), "uv_accept");
    succeed(uv_tcp_nodelay(&c->stream, 1), "uv_tcp_nodelay");
    succeed(uv_read_start(stream_of(*c), allocate, received), "uv_read_start");
    c.release();  // `close` deletes it
  }

  static void allocate(uv_handle_t* stream, std::size_t, uv_buf_t* out) {
    std::vector<char>& buffer = connection_of(stream).buffer;
    *out = uv_buf_init(buffer.data(), static_cast<unsigned>(buffer.size()));
  }

  static void received(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
    if (size == 0) return;  // nothing was there
    connection& c = connection_of(stream);
    if (size < 0) return close(c);
    const uv_buf_t all = uv_buf_init(buffer->base, static_cast<unsigned>(size));
    const int sent = uv_try_write(stream, &all, 1);
    if (sent < 0 && sent != UV_EAGAIN) return close(c);
    c.echoed += static_cast<std::size_t>(size);
    const int taken = sent < 0 ? 0 : sent;
    if (taken == size) return end_if_over(c);
    const uv_buf_t rest = uv_buf_init(buffer->base + taken, static_cast<unsigned>(size - taken));
    succeed(uv_read_stop(stream), "uv_read_stop");  // the buffer is in use
    succeed(uv_write(&c.rest, stream, &rest, 1, rest_sent), "uv_write");
  }

  static void rest_sent(uv_write_t* request, int status) {
    connection& c = connection_of(request->handle);
    if (status < 0) return close(c);
    succeed(uv_read_start(request->handle, allocate, received), "uv_read_start");
    end_if_over(c);
  }

  static void end_if_over(connection& c) {
    if (c.server->last_octet_ > 0 && c.echoed >= c.server->last_octet_) close(c);
  }

  static void close(connection& c) {
    auto* const handle = reinterpret_cast<uv_handle_t*>(&c.stream);
    if (!uv_is_closing(handle)) uv_close(handle, [](uv_handle_t* closed) { delete &connection_of(closed); });
  }

  std::size_t size_;
  std::size_t last_octet_;  // a connection ends when so many octets were echoed; 0: it goes on
  uv_loop_t loop_;
  uv_tcp_t listener_;
};

}  // namespace

std::unique_ptr<subject> streams(const settings& s) {
  return make<stream_server>(s);
}

}  // namespace bench::with_libuv
