// http3: HTTP/3 (RFC 9114) by nghttp3 on the streams of one QUIC connection.
#pragma once

#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace quic {

/// What a connection learns of its requests. An exception comes out of the `http3::read` or `http3::close` that called.
class http3_events {
 public:
  /// A field of the request or response, such as ":path" or ":status".
  virtual void on_field(std::int64_t stream, std::string_view name, std::string_view value) = 0;
  virtual void on_body(std::int64_t stream, std::span<const std::uint8_t> part) = 0;
  /// The peer has sent the whole request or response.
  virtual void on_end(std::int64_t stream) = 0;
  /// So many octets of the stream have been processed: the peer may send as many more.
  virtual void on_consumed(std::int64_t stream, std::size_t octets) = 0;
  /// The peer shall stop sending on the stream, or this side stops.
  virtual void on_stop_sending(std::int64_t stream, std::uint64_t why) = 0;
  virtual void on_reset(std::int64_t stream, std::uint64_t why) = 0;

 protected:
  ~http3_events() = default;
};

class http3 {
 public:
  enum class role { client, server };

  struct field {
    std::string_view name;
    std::string_view value;
  };

  /// What a stream has to send next.
  struct piece {
    std::int64_t stream = -1;  // -1: nothing
    bool last = false;         // the stream ends behind it
    std::span<const ngtcp2_vec> data{};
  };

  /// The three streams that this side opens (RFC 9114, 6.2; RFC 9204, 4.2).
  struct own_streams {
    std::int64_t control;
    std::int64_t encoder;
    std::int64_t decoder;
  };

  /// `to` must outlive this object. Throws std::runtime_error.
  http3(role mine, const own_streams& with, http3_events& to);
  http3(const http3&) = delete;
  http3& operator=(const http3&) = delete;

  /// How many requests the peer may make over the connection's life; on a server only.
  void allow_requests(std::uint64_t total) { nghttp3_conn_set_max_client_streams_bidi(inside_.get(), total); }

  // --- requests and responses ---

  /// Throws std::runtime_error.
  void request(std::int64_t stream, std::span<const field> fields);
  /// `body` must stay unchanged until the stream is closed. Throws std::runtime_error.
  void respond(std::int64_t stream, std::span<const field> fields, std::span<const std::uint8_t> body);

  // --- what QUIC tells ---

  /// Returns how many octets have been processed beyond those that `on_body` got, or a negative error of nghttp3.
  std::int64_t read(std::int64_t stream, std::span<const std::uint8_t> data, bool last);
  int acknowledged(std::int64_t stream, std::uint64_t octets);
  int may_send_more(std::int64_t stream) { return nghttp3_conn_unblock_stream(inside_.get(), stream); }
  int peer_stopped(std::int64_t stream) { return nghttp3_conn_shutdown_stream_read(inside_.get(), stream); }
  int close(std::int64_t stream, std::uint64_t why);

  // --- sending ---
  //
  // nghttp3 is asked for data once, and told once how much of it has left: a train of 45 packets costs two calls of it
  // and not ninety.

  piece next();
  /// So many octets of `next()` have left.
  void sent(std::size_t octets);
  /// The peer's flow control lets nothing of `next()` leave.
  void blocked();
  /// The peer wants nothing more of `next()`'s stream.
  void abandoned();
  /// Tells nghttp3 what has left. Call it before anything is read.
  void settle();

 private:
  struct release {
    void operator()(nghttp3_conn* which) const { nghttp3_conn_del(which); }
  };

  static nghttp3_callbacks callbacks();
  template <class F>
  static int guarded(void* user, F&& call) noexcept;
  void rethrow();
  int settle_acknowledged();
  void drop_piece() {
    stream_ = -1;
    unsettled_ = 0;
    has_left_ = false;
  }

  http3_events* to_;
  std::exception_ptr thrown_;  // by the events, until nghttp3 has returned
  std::unique_ptr<nghttp3_conn, release> inside_;
  std::map<std::int64_t, std::span<const std::uint8_t>> bodies_;  // by stream, until it is closed
  // what nghttp3 gave to send
  std::int64_t stream_ = -1;
  bool last_ = false;
  std::array<ngtcp2_vec, 16> parts_{};
  std::size_t first_ = 0;
  std::size_t end_ = 0;
  std::size_t unsettled_ = 0;  // octets of it that have left and that nghttp3 has not been told of
  bool has_left_ = false;      // some of it, or its end without octets
  // what the peer has acknowledged and nghttp3 has not been told of: a packet of acknowledgements names many pieces
  std::int64_t acknowledged_stream_ = -1;
  std::uint64_t acknowledged_ = 0;  // octets
};

}  // namespace quic
