#include "connection.hpp"

#include <gnutls/gnutls.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <stdexcept>

#include "connection_id.hpp"

namespace quic {

namespace {

// How much a server may send before the client has processed it, octets: the windows of the connection and of a stream
// grow from the first to the second value as ngtcp2 measures the round trip.
constexpr std::uint64_t first_window = 6 << 20;
constexpr std::uint64_t longest_window = 24 << 20;
// The same for a client, which sends requests only: the windows of a stream and of the connection, octets. They do not
// grow, because octets behind a lost packet wait in the server's memory, for each of its clients.
constexpr std::uint64_t request_window = 64 << 10;
constexpr std::uint64_t all_requests_window = 256 << 10;
// Packets leave so much before the time that pacing gives them (RFC 9002, 7.7), nanoseconds. The endpoint's timers have
// steps of 1 ms: on a path with a round trip below two steps pacing would only split trains and wake the loop more
// often.
constexpr ngtcp2_duration pacing_credit = 2 * NGTCP2_MILLISECONDS;
constexpr std::uint64_t most_requests = 100;  // of a client at the same time

ngtcp2_tstamp to_ngtcp2(time_point when) {
  return static_cast<ngtcp2_tstamp>(std::chrono::nanoseconds(when.time_since_epoch()).count());
}

void count(traffic_counts& in, std::size_t octets, std::uint32_t ecn) {
  ++in.datagrams;
  in.octets += octets;
  if (ecn == NGTCP2_ECN_CE) ++in.congested;
  if (ecn == NGTCP2_ECN_ECT_0 || ecn == NGTCP2_ECN_ECT_1) ++in.ect;
}

}  // namespace

// --- making and ending it ---

connection::connection(tls_session::role mine, const credentials& by, connection_ids& ids)
    : ids_(&ids),
      role_(mine),
      ref_{[](ngtcp2_crypto_conn_ref* of) { return static_cast<connection*>(of->user_data)->quic(); }, this},
      tls_(mine, by, ref_) {
  ngtcp2_connection_close_error_default(&error_);
}

connection::~connection() {
  if (!quic_) return;
  std::vector<ngtcp2_cid> all(ngtcp2_conn_get_num_scid(quic()));
  ngtcp2_conn_get_scid(quic(), all.data());
  for (const ngtcp2_cid& each : all) ids_->remove(id_text(each));
  if (!first_id_.empty()) ids_->remove(first_id_);
}

ngtcp2_cid connection::new_id() {
  const ngtcp2_cid id = random_id(id_length);
  ids_->add(id_text(id), *this);
  return id;
}

ngtcp2_settings connection::settings(tls_session::role role, time_point now) {
  ngtcp2_settings mine;
  ngtcp2_settings_default(&mine);
  mine.initial_ts = to_ngtcp2(now);
  mine.max_tx_udp_payload_size = outbox::longest_packet;
  if (role == tls_session::role::server) return mine;
  mine.max_window = longest_window;
  mine.max_stream_window = longest_window;
  return mine;
}

ngtcp2_transport_params connection::parameters(tls_session::role role) {
  const bool server = role == tls_session::role::server;
  const std::uint64_t window = server ? request_window : first_window;
  ngtcp2_transport_params mine;
  ngtcp2_transport_params_default(&mine);
  mine.initial_max_stream_data_bidi_local = window;
  mine.initial_max_stream_data_bidi_remote = window;
  mine.initial_max_stream_data_uni = window;
  mine.initial_max_data = server ? all_requests_window : first_window;
  mine.initial_max_streams_uni = 3;  // control, encoder, decoder
  mine.max_idle_timeout = 30 * NGTCP2_SECONDS;
  mine.active_connection_id_limit = 7;  // a fresh id for each address to which the peer may go (RFC 9000, 9.5)
  return mine;
}

void connection::open_server(const ngtcp2_pkt_hd& first, const path& along, time_point now) {
  path copy = along;
  const ngtcp2_path view = copy.view();
  const ngtcp2_callbacks calls = callbacks(role_);
  const ngtcp2_settings set = settings(role_, now);
  ngtcp2_transport_params params = parameters(role_);
  const ngtcp2_cid mine = random_id(id_length);
  params.initial_max_streams_bidi = most_requests;
  params.original_dcid = first.dcid;
  params.stateless_reset_token_present = 1;
  write_reset_token(params.stateless_reset_token, mine);
  ngtcp2_conn* made = nullptr;
  const int code =
      ngtcp2_conn_server_new(&made, &first.scid, &mine, &view, first.version, &calls, &set, &params, nullptr, this);
  if (code != 0) throw std::runtime_error(std::string("QUIC: ") + ngtcp2_strerror(code));
  quic_.reset(made);
  ids_->add(id_text(mine), *this);
  ngtcp2_conn_set_tls_native_handle(made, tls_.get());
  first_id_ = id_text(first.dcid);
  ids_->add(first_id_, *this);
}

void connection::open_client(const path& along, time_point now) {
  path copy = along;
  const ngtcp2_path view = copy.view();
  const ngtcp2_callbacks calls = callbacks(role_);
  const ngtcp2_settings set = settings(role_, now);
  const ngtcp2_transport_params params = parameters(role_);
  const ngtcp2_cid mine = random_id(id_length);
  const ngtcp2_cid theirs = random_id(NGTCP2_MIN_INITIAL_DCIDLEN);
  ngtcp2_conn* made = nullptr;
  const int code =
      ngtcp2_conn_client_new(&made, &theirs, &mine, &view, NGTCP2_PROTO_VER_V1, &calls, &set, &params, nullptr, this);
  if (code != 0) throw std::runtime_error(std::string("QUIC: ") + ngtcp2_strerror(code));
  quic_.reset(made);
  ids_->add(id_text(mine), *this);
  ngtcp2_conn_set_tls_native_handle(made, tls_.get());
}

void connection::open_http3() {
  http3::own_streams mine{};
  for (std::int64_t* each : {&mine.control, &mine.encoder, &mine.decoder}) {
    const int code = ngtcp2_conn_open_uni_stream(quic(), each, nullptr);
    if (code != 0) throw std::runtime_error(std::string("HTTP/3 needs three streams: ") + ngtcp2_strerror(code));
  }
  const bool server = role_ == tls_session::role::server;
  http3_.emplace(server ? http3::role::server : http3::role::client, mine, static_cast<http3_events&>(*this));
  if (server) http3_->allow_requests(most_requests);
}

void connection::fail(int code) {
  if (phase_ != phase::open) return;
  phase_ = phase::failed;
  if (failure_.empty()) failure_ = ngtcp2_strerror(code);
  if (error_.error_code != NGTCP2_NO_ERROR) return;  // HTTP/3 has said why
  if (code == NGTCP2_ERR_CRYPTO) {
    ngtcp2_connection_close_error_set_transport_error_tls_alert(&error_, ngtcp2_conn_get_tls_alert(quic()), nullptr, 0);
    if (const char* alert = gnutls_alert_get_name(static_cast<gnutls_alert_description_t>(error_.error_code & 0xff))) {
      failure_ += std::string(": ") + alert;
    }
  } else {
    ngtcp2_connection_close_error_set_transport_error_liberr(&error_, code, nullptr, 0);
  }
}

void connection::close(std::uint64_t why) {
  if (phase_ != phase::open) return;
  phase_ = phase::failed;
  ngtcp2_connection_close_error_set_application_error(&error_, why, nullptr, 0);
}

void connection::end_later(phase next, time_point now) {
  phase_ = next;
  // RFC 9000, 10.2: packets that are on their way must not look like those of a new connection
  ends_at_ = now + std::chrono::nanoseconds(3 * ngtcp2_conn_get_pto(quic()));
}

// --- packets ---

void connection::read(const path& along, std::uint32_t ecn, std::span<const std::uint8_t> packet, time_point now) {
  count(received_, packet.size(), ecn);
  // The first packet after the close is answered by the close again, the second, the fourth, the eighth and so on (RFC
  // 9000, 10.2.1): never to an address that the peer has not proven.
  if (phase_ == phase::closing && is_established()) repeat_close_ |= std::has_single_bit(++packets_after_close_);
  if (phase_ != phase::open) return;
  path copy = along;
  const ngtcp2_path view = copy.view();
  const ngtcp2_pkt_info info{static_cast<std::uint8_t>(ecn)};
  const int code = ngtcp2_conn_read_pkt(quic(), &view, &info, packet.data(), packet.size(), to_ngtcp2(now));
  if (code == 0) return;
  if (code == NGTCP2_ERR_DRAINING) {
    end_later(phase::draining, now);
  } else if (code == NGTCP2_ERR_DROP_CONN || code == NGTCP2_ERR_RETRY) {
    phase_ = phase::over;
  } else {
    fail(code);
  }
}

time_point connection::expiry() const {
  switch (phase_) {
    case phase::open: {
      const ngtcp2_tstamp when = ngtcp2_conn_get_expiry(quic());
      constexpr auto end = static_cast<ngtcp2_tstamp>(std::chrono::nanoseconds::max().count());
      return time_point(std::chrono::nanoseconds(std::min(when, end)));
    }
    case phase::closing:
    case phase::draining:
      return ends_at_;
    case phase::failed:
    case phase::over:
      break;
  }
  return time_point::max();
}

void connection::expire(time_point now) {
  if (phase_ == phase::closing || phase_ == phase::draining) {
    if (now >= ends_at_) phase_ = phase::over;
    return;
  }
  if (phase_ != phase::open || now < expiry()) return;
  const int code = ngtcp2_conn_handle_expiry(quic(), to_ngtcp2(now));
  if (code == 0) return;
  if (code == NGTCP2_ERR_IDLE_CLOSE || code == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {  // the peer is gone (RFC 9000, 10.1)
    failure_ = ngtcp2_strerror(code);
    phase_ = phase::over;
  } else {
    fail(code);
  }
}

void connection::pack(outbox& to, std::size_t length, const ngtcp2_path& along, std::uint32_t ecn) {
  to.add(length, along, ecn);
  count(sent_, length, ecn);
}

bool connection::write(outbox& to, time_point now) {
  bool more = false;
  if (phase_ == phase::open) {
    try {
      before_write(now);
      more = write_packets(to, now);
    } catch (const std::exception& failed) {
      failure_ = failed.what();
      fail(NGTCP2_ERR_INTERNAL);
    }
  }
  if (phase_ == phase::failed || repeat_close_) more = write_close(to, now);
  return more;
}

bool connection::write_packets(outbox& to, time_point now) {
  ngtcp2_path_storage along;
  ngtcp2_path_storage_zero(&along);
  ngtcp2_pkt_info info{};
  const ngtcp2_tstamp when = to_ngtcp2(now);
  for (;;) {
    const auto room = to.room();
    if (room.empty()) break;
    const http3::piece piece = http3_ ? http3_->next() : http3::piece();
    std::uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
    if (piece.stream >= 0) flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
    if (piece.last) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    ngtcp2_ssize taken = -1;
    const ngtcp2_ssize length =
        ngtcp2_conn_writev_stream(quic(), &along.path, &info, room.data(), room.size(), &taken, flags, piece.stream,
                                  piece.data.data(), piece.data.size(), when);
    if (taken >= 0 && piece.stream >= 0) http3_->sent(static_cast<std::size_t>(taken));
    if (length == NGTCP2_ERR_WRITE_MORE) continue;
    if (length == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      http3_->blocked();
    } else if (length == NGTCP2_ERR_STREAM_SHUT_WR || length == NGTCP2_ERR_STREAM_NOT_FOUND) {
      http3_->abandoned();
    } else if (length < 0) {
      fail(static_cast<int>(length));
      return false;
    } else if (length == 0) {
      if (http3_) http3_->settle();
      ngtcp2_conn_update_pkt_tx_time(quic(), when - pacing_credit);
      return false;
    } else {
      pack(to, static_cast<std::size_t>(length), along.path, info.ecn);
    }
  }
  if (http3_) http3_->settle();
  return true;
}

bool connection::write_close(outbox& to, time_point now) {
  const auto room = to.room();
  if (room.empty()) return true;
  repeat_close_ = false;
  if (phase_ == phase::failed) {
    ngtcp2_path_storage along;
    ngtcp2_path_storage_zero(&along);
    ngtcp2_pkt_info info{};
    const ngtcp2_ssize length = ngtcp2_conn_write_connection_close(quic(), &along.path, &info, room.data(), room.size(),
                                                                   &error_, to_ngtcp2(now));
    if (length <= 0) {  // there are no keys yet, so no peer that could read it
      phase_ = phase::over;
      return false;
    }
    close_packet_.assign(room.begin(), room.begin() + length);
    pack(to, close_packet_.size(), along.path, info.ecn);
    end_later(phase::closing, now);
    return false;
  }
  std::ranges::copy(close_packet_, room.begin());
  pack(to, close_packet_.size(), *ngtcp2_conn_get_path(quic()), NGTCP2_ECN_NOT_ECT);
  return false;
}

// --- what HTTP/3 asks of QUIC ---

void connection::on_consumed(std::int64_t stream, std::size_t octets) {
  ngtcp2_conn_extend_max_stream_offset(quic(), stream, octets);
  ngtcp2_conn_extend_max_offset(quic(), octets);
}

void connection::on_stop_sending(std::int64_t stream, std::uint64_t why) {
  ngtcp2_conn_shutdown_stream_read(quic(), stream, why);
}

void connection::on_reset(std::int64_t stream, std::uint64_t why) {
  ngtcp2_conn_shutdown_stream_write(quic(), stream, why);
}

int connection::check_http3(std::int64_t code) {
  if (code >= 0) return 0;
  if (failure_.empty()) failure_ = nghttp3_strerror(static_cast<int>(code));
  ngtcp2_connection_close_error_set_application_error(
      &error_, nghttp3_err_infer_quic_app_error_code(static_cast<int>(code)), nullptr, 0);
  return NGTCP2_ERR_CALLBACK_FAILURE;
}

}  // namespace quic
