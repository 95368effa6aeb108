// TLS 1.3 by GnuTLS for QUIC connections: certificates, and a session for each connection.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <memory>
#include <string>
#include <type_traits>

namespace quic {

/// The certificates of a program.
class credentials {
 public:
  /// PEM files. Throws std::runtime_error.
  static credentials of_server(const std::string& certificate_file, const std::string& key_file);
  /// Certificates in `trusted_file` vouch for servers.
  static credentials of_client(const std::string& trusted_file);

  gnutls_certificate_credentials_t get() const { return inside_.get(); }

 private:
  credentials();

  struct release {
    void operator()(gnutls_certificate_credentials_t which) const { gnutls_certificate_free_credentials(which); }
  };
  std::unique_ptr<std::remove_pointer_t<gnutls_certificate_credentials_t>, release> inside_;
};

/// The TLS of one connection.
class tls_session {
 public:
  enum class role { client, server };

  /// `owner` and `by` must outlive the session. Throws std::runtime_error.
  tls_session(role mine, const credentials& by, ngtcp2_crypto_conn_ref& owner);

  /// On a client: the handshake fails unless the server's certificate is valid for this name or address.
  void require_host(const std::string& name);

  gnutls_session_t get() const { return inside_.get(); }

 private:
  struct release {
    void operator()(gnutls_session_t which) const { gnutls_deinit(which); }
  };
  std::unique_ptr<std::remove_pointer_t<gnutls_session_t>, release> inside_;
  std::string host_;  // GnuTLS keeps a pointer to it
};

}  // namespace quic
