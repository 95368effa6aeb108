// connection: one QUIC connection (RFC 9000) by ngtcp2, with HTTP/3 on it. It reads and writes packets and knows no
// socket: an endpoint gives it what arrives, and takes what it writes.
#pragma once

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <uring6/uring6.hpp>
#include <vector>

#include "http3.hpp"
#include "outbox.hpp"
#include "path.hpp"
#include "tls.hpp"

namespace quic {

using time_point = std::chrono::steady_clock::time_point;

class connection;

/// Where an endpoint looks up the connection of a packet.
class connection_ids {
 public:
  virtual void add(std::string_view id, connection& of) = 0;
  virtual void remove(std::string_view id) = 0;

 protected:
  ~connection_ids() = default;
};

struct traffic_counts {
  std::uint64_t datagrams = 0;
  std::uint64_t octets = 0;
  std::uint64_t ect = 0;        // with ECT(0) or ECT(1) (RFC 3168)
  std::uint64_t congested = 0;  // with CE: a router on the path had a queue
};

class connection : protected http3_events {
 public:
  virtual ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void read(const path& along, std::uint32_t ecn, std::span<const std::uint8_t> packet, time_point now);
  /// Returns whether the connection has more to send than the outbox had room for.
  bool write(outbox& to, time_point now);
  /// When `expire` has something to do.
  time_point expiry() const;
  void expire(time_point now);
  /// Ends the connection; the next `write` tells the peer. `why`: a code of HTTP/3 (RFC 9114, 8.1).
  void close(std::uint64_t why);

  /// The peer has proven its address, since the handshake is complete.
  bool is_established() const { return ngtcp2_conn_get_handshake_completed(quic()) != 0; }
  /// The connection has ended, and writes nothing any more.
  bool is_over() const { return phase_ == phase::over; }
  /// Why the connection ended before its time; empty if it did not.
  const std::string& failure() const { return failure_; }

  const traffic_counts& received() const { return received_; }
  const traffic_counts& sent() const { return sent_; }
  /// How many paths were validated after the first one: how often the peer, or this side, has changed its address.
  std::uint64_t migrations() const { return migrations_; }

 protected:
  connection(tls_session::role mine, const credentials& by, connection_ids& ids);

  /// Makes ngtcp2's connection. Throws std::runtime_error.
  void open_server(const ngtcp2_pkt_hd& first, const path& along, time_point now);
  void open_client(const path& along, time_point now);

  ngtcp2_conn* quic() const { return quic_.get(); }
  tls_session& tls() { return tls_; }
  http3& requests() { return *http3_; }

  /// HTTP/3 can be used.
  virtual void on_ready() {}
  virtual void on_stream_closed(std::int64_t) {}
  /// Before packets are written: the place for calls of ngtcp2 that no callback may make.
  virtual void before_write(time_point) {}

  void on_field(std::int64_t, std::string_view, std::string_view) override {}
  void on_body(std::int64_t, std::span<const std::uint8_t>) override {}
  void on_end(std::int64_t) override {}
  void on_consumed(std::int64_t stream, std::size_t octets) final;
  void on_stop_sending(std::int64_t stream, std::uint64_t why) final;
  void on_reset(std::int64_t stream, std::uint64_t why) final;

 private:
  struct release {
    void operator()(ngtcp2_conn* which) const { ngtcp2_conn_del(which); }
  };

  // open: ngtcp2 works. failed: the next write tells the peer. closing: the peer was told, and is told again when it
  // sends (RFC 9000, 10.2.1). draining: the peer has closed (10.2.2). over: nothing is left to write or to wait for.
  enum class phase : std::uint8_t { open, failed, closing, draining, over };

  struct called;  // the functions that ngtcp2 calls

  static ngtcp2_callbacks callbacks(tls_session::role mine);
  static ngtcp2_settings settings(tls_session::role role, time_point now);
  static ngtcp2_transport_params parameters(tls_session::role role);
  ngtcp2_cid new_id();
  void open_http3();
  int check_http3(std::int64_t code);
  void fail(int code);
  void end_later(phase next, time_point now);
  bool write_packets(outbox& to, time_point now);
  bool write_close(outbox& to, time_point now);
  void pack(outbox& to, std::size_t length, const ngtcp2_path& along, std::uint32_t ecn);

  connection_ids* ids_;
  tls_session::role role_;
  ngtcp2_crypto_conn_ref ref_{};
  tls_session tls_;
  std::unique_ptr<ngtcp2_conn, release> quic_;
  std::optional<http3> http3_;
  std::string first_id_;  // on a server: the id that the client chose for it
  phase phase_ = phase::open;
  time_point ends_at_{};  // of closing and draining
  ngtcp2_connection_close_error error_{};
  std::string failure_;
  std::vector<std::uint8_t> close_packet_;
  std::uint32_t packets_after_close_ = 0;
  bool repeat_close_ = false;
  traffic_counts received_;
  traffic_counts sent_;
  std::uint64_t migrations_ = 0;
};

}  // namespace quic
