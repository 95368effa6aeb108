// libuv at its fastest: UV_UDP_RECVMMSG to receive, a queue of requests (which it sends by sendmmsg) to send.
//
// libuv gives its users no control messages, so it does not request any.
#include "subjects/libuv.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "common/socket.hpp"

namespace bench {
namespace {

using with_libuv::succeed;

/// libuv cuts a receive buffer into pieces of this size, of which it uses at most 20.
constexpr std::size_t piece = 64 * 1024;
constexpr std::size_t pieces = 20;

class uv_subject : public subject {
 public:
  uv_subject() {
    succeed(uv_loop_init(&loop_), "uv_loop_init");
    succeed(uv_udp_init_ex(&loop_, &socket_, AF_INET6 | UV_UDP_RECVMMSG), "uv_udp_init_ex");
    const sockaddr_in6 address = loopback(0);
    succeed(uv_udp_bind(&socket_, reinterpret_cast<const sockaddr*>(&address), 0), "uv_udp_bind");
    widen_buffers(fd());
    socket_.data = this;
  }

  std::vector<std::uint16_t> ports() const override { return {port_of(fd())}; }

 protected:
  int fd() const {
    uv_os_fd_t fd = -1;
    succeed(uv_fileno(reinterpret_cast<const uv_handle_t*>(&socket_), &fd), "uv_fileno");
    return fd;
  }

  uv_loop_t loop_;
  uv_udp_t socket_;
};

class receiver : public uv_subject {
 public:
  explicit receiver(const settings&) : room_(piece * pieces) {
    succeed(uv_udp_recv_start(&socket_, allocate, received), "uv_udp_recv_start");
  }

  void run_until(std::uint64_t total) override {
    if (seen_.datagrams >= total) return;
    total_ = total;
    uv_run(&loop_, UV_RUN_DEFAULT);
  }

 protected:
  virtual void answer(const uv_buf_t&, std::size_t, const sockaddr*) {}

 private:
  static void allocate(uv_handle_t* handle, std::size_t, uv_buf_t* out) {
    auto& room = static_cast<receiver*>(static_cast<uv_subject*>(handle->data))->room_;
    *out = uv_buf_init(reinterpret_cast<char*>(room.data()), static_cast<unsigned>(room.size()));
  }

  static void received(uv_udp_t* socket, ssize_t size, const uv_buf_t* buffer, const sockaddr* source, unsigned) {
    if (source == nullptr) return;  // the end of a batch, or an empty socket
    auto& self = *static_cast<receiver*>(static_cast<uv_subject*>(socket->data));
    const auto length = static_cast<std::size_t>(succeed(static_cast<int>(size), "recvmmsg"));
    self.seen_.take_train(reinterpret_cast<const std::byte*>(buffer->base), length, 0);
    self.answer(*buffer, length, source);
    if (self.seen_.datagrams >= self.total_) uv_stop(&self.loop_);
  }

  std::vector<std::byte> room_;
  std::uint64_t total_ = 0;
};

/// A single answer is sent at once. Many answers take requests of a pool: libuv sends those that gathered while it read
/// by one sendmmsg. Each holds its payload, because the receive buffer is filled again before they are sent.
class echo : public receiver {
 public:
  explicit echo(const settings& s) : receiver(s), gathers_(s.vector > 1) {}

 private:
  struct reply {
    uv_udp_send_t request;
    std::array<std::byte, largest_payload> payload;
  };

  void answer(const uv_buf_t& buffer, std::size_t size, const sockaddr* source) override {
    if (!gathers_) {
      const uv_buf_t text = uv_buf_init(buffer.base, static_cast<unsigned>(size));
      succeed(uv_udp_try_send(&socket_, &text, 1, source), "uv_udp_try_send");
      return;
    }
    if (idle_.empty()) {
      idle_.push_back(all_.emplace_back(std::make_unique<reply>()).get());
      idle_.reserve(all_.capacity());
    }
    reply& mine = *idle_.back();
    idle_.pop_back();
    std::copy_n(reinterpret_cast<const std::byte*>(buffer.base), size, mine.payload.begin());
    mine.request.data = this;
    const uv_buf_t text = uv_buf_init(reinterpret_cast<char*>(mine.payload.data()), static_cast<unsigned>(size));
    succeed(uv_udp_send(&mine.request, &socket_, &text, 1, source, sent), "uv_udp_send");
  }

  static void sent(uv_udp_send_t* request, int status) {
    succeed(status, "sendmmsg");
    static_cast<echo*>(request->data)->idle_.push_back(reinterpret_cast<reply*>(request));
  }

  bool gathers_;
  std::vector<std::unique_ptr<reply>> all_;
  std::vector<reply*> idle_;
};

class sender : public uv_subject {
 public:
  explicit sender(const settings& s) : size_(s.size), payloads_(s.size * s.vector), requests_(s.vector) {
    for (const auto port : s.to) to_.push_back(loopback(port));
    for (std::size_t i = 0; i < requests_.size(); ++i) write_pattern(payloads_.data() + i * size_, size_);
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t count = std::min<std::uint64_t>(requests_.size(), total - seen_.datagrams);
      for (std::size_t i = 0; i < count; ++i) {
        std::byte* payload = payloads_.data() + i * size_;
        write_stamp(payload, size_, seen_.datagrams + i);
        const uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(payload), static_cast<unsigned>(size_));
        const auto* to = reinterpret_cast<const sockaddr*>(&to_[(seen_.datagrams + i) % to_.size()]);
        succeed(uv_udp_send(&requests_[i], &socket_, &buffer, 1, to, sent), "uv_udp_send");
      }
      uv_run(&loop_, UV_RUN_DEFAULT);  // until no request is left
      seen_.datagrams += count;
    }
  }

 private:
  static void sent(uv_udp_send_t*, int status) { succeed(status, "sendmmsg"); }

  std::size_t size_;
  std::vector<std::byte> payloads_;
  std::vector<uv_udp_send_t> requests_;
  std::vector<sockaddr_in6> to_;
};

}  // namespace

std::span<const entry> subjects() {
  static constexpr std::array table{
      entry{"receive", "libuv", make<receiver>},
      entry{"send", "libuv", make<sender>},
      entry{"echo", "libuv", make<echo>},
      entry{"tcp", "libuv", with_libuv::streams},
  };
  return table;
}

}  // namespace bench
