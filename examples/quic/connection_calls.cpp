// The functions that ngtcp2 calls. ngtcp2 is C: no exception may pass through it.
#include <gnutls/crypto.h>

#include <exception>

#include "connection.hpp"
#include "connection_id.hpp"

namespace quic {

struct connection::called {
  static connection& self(void* user) { return *static_cast<connection*>(user); }

  template <class F>
  static int guarded(void* user, F&& call) noexcept {
    try {
      return call(self(user));
    } catch (const std::exception& failed) {
      self(user).failure_ = failed.what();
      return NGTCP2_ERR_CALLBACK_FAILURE;
    }
  }

  static void random(std::uint8_t* to, std::size_t length, const ngtcp2_rand_ctx*) {
    // ngtcp2 cannot be told of an error
    if (gnutls_rnd(GNUTLS_RND_NONCE, to, length) != 0) std::terminate();
  }

  static int new_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t, void* user) {
    return guarded(user, [&](connection& me) {
      *id = me.new_id();
      write_reset_token(token, *id);
      return 0;
    });
  }

  static int remove_id(ngtcp2_conn*, const ngtcp2_cid* id, void* user) {
    return guarded(user, [&](connection& me) {
      me.ids_->remove(id_text(*id));
      return 0;
    });
  }

  /// ngtcp2 has keys to send (server) or to read (client) requests and responses.
  static int keys(ngtcp2_conn*, ngtcp2_crypto_level level, void* user) {
    if (level != NGTCP2_CRYPTO_LEVEL_APPLICATION) return 0;
    return guarded(user, [](connection& me) {
      me.open_http3();
      return 0;
    });
  }

  static int handshake_completed(ngtcp2_conn*, void* user) {
    return guarded(user, [](connection& me) {
      me.on_ready();
      return 0;
    });
  }

  static int data(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream, std::uint64_t, const std::uint8_t* octets,
                  std::size_t length, void* user, void*) {
    return guarded(user, [&](connection& me) {
      if (!me.http3_) return 0;
      const auto done = me.http3_->read(stream, {octets, length}, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
      if (done > 0) me.on_consumed(stream, static_cast<std::size_t>(done));
      return me.check_http3(done);
    });
  }

  static int acknowledged(ngtcp2_conn*, std::int64_t stream, std::uint64_t, std::uint64_t octets, void* user, void*) {
    return guarded(
        user, [&](connection& me) { return me.http3_ ? me.check_http3(me.http3_->acknowledged(stream, octets)) : 0; });
  }

  static int may_send_more(ngtcp2_conn*, std::int64_t stream, std::uint64_t, void* user, void*) {
    return guarded(user,
                   [&](connection& me) { return me.http3_ ? me.check_http3(me.http3_->may_send_more(stream)) : 0; });
  }

  static int stream_closed(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream, std::uint64_t why, void* user,
                           void*) {
    return guarded(user, [&](connection& me) {
      if (!me.http3_) return 0;
      if ((flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) == 0) why = NGHTTP3_H3_NO_ERROR;
      const int code = me.http3_->close(stream, why);
      me.on_stream_closed(stream);
      const bool of_peer = ngtcp2_conn_is_local_stream(me.quic(), stream) == 0;
      if (of_peer && ngtcp2_is_bidi_stream(stream) != 0) ngtcp2_conn_extend_max_streams_bidi(me.quic(), 1);
      return me.check_http3(code);
    });
  }

  static int stream_reset(ngtcp2_conn*, std::int64_t stream, std::uint64_t, std::uint64_t, void* user, void*) {
    return peer_stopped(user, stream);
  }
  static int stop_sending(ngtcp2_conn*, std::int64_t stream, std::uint64_t, void* user, void*) {
    return peer_stopped(user, stream);
  }
  static int peer_stopped(void* user, std::int64_t stream) {
    return guarded(user,
                   [&](connection& me) { return me.http3_ ? me.check_http3(me.http3_->peer_stopped(stream)) : 0; });
  }

  static int may_open_more(ngtcp2_conn*, std::uint64_t total, void* user) {
    connection& me = self(user);
    if (me.http3_) me.http3_->allow_requests(total);
    return 0;
  }

  static int path_checked(ngtcp2_conn*, std::uint32_t, const ngtcp2_path*, ngtcp2_path_validation_result result,
                          void* user) {
    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) ++self(user).migrations_;
    return 0;
  }
};

ngtcp2_callbacks connection::callbacks(tls_session::role mine) {
  ngtcp2_callbacks all{};
  all.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  all.encrypt = ngtcp2_crypto_encrypt_cb;
  all.decrypt = ngtcp2_crypto_decrypt_cb;
  all.hp_mask = ngtcp2_crypto_hp_mask_cb;
  all.update_key = ngtcp2_crypto_update_key_cb;
  all.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  all.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  all.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  all.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  all.rand = called::random;
  all.get_new_connection_id = called::new_id;
  all.remove_connection_id = called::remove_id;
  all.handshake_completed = called::handshake_completed;
  all.recv_stream_data = called::data;
  all.acked_stream_data_offset = called::acknowledged;
  all.extend_max_stream_data = called::may_send_more;
  all.stream_close = called::stream_closed;
  all.stream_reset = called::stream_reset;
  all.stream_stop_sending = called::stop_sending;
  all.path_validation = called::path_checked;
  if (mine == tls_session::role::server) {
    all.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    all.recv_tx_key = called::keys;
    all.extend_max_remote_streams_bidi = called::may_open_more;
  } else {
    all.client_initial = ngtcp2_crypto_client_initial_cb;
    all.recv_retry = ngtcp2_crypto_recv_retry_cb;
    all.recv_rx_key = called::keys;
  }
  return all;
}

}  // namespace quic
