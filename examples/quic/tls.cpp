#include "tls.hpp"

#include <arpa/inet.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <array>
#include <stdexcept>

namespace quic {

namespace {

// The ciphers that QUIC has header protection for (RFC 9001, 5.4). QUIC has no middleboxes to please (RFC 9001, 8.4).
constexpr char priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CCM:"
    "%DISABLE_TLS13_COMPAT_MODE";

/// `code`: what a function of GnuTLS returned.
void check(int code, const std::string& what) {
  if (code < 0) throw std::runtime_error(what + ": " + gnutls_strerror(code));
}

}  // namespace

credentials::credentials() {
  gnutls_certificate_credentials_t made = nullptr;
  check(gnutls_certificate_allocate_credentials(&made), "credentials");
  inside_.reset(made);
}

credentials credentials::of_server(const std::string& certificate_file, const std::string& key_file) {
  credentials mine;
  check(
      gnutls_certificate_set_x509_key_file(mine.get(), certificate_file.c_str(), key_file.c_str(), GNUTLS_X509_FMT_PEM),
      certificate_file + ", " + key_file);
  return mine;
}

credentials credentials::of_client(const std::string& trusted_file) {
  credentials mine;
  const int count = gnutls_certificate_set_x509_trust_file(mine.get(), trusted_file.c_str(), GNUTLS_X509_FMT_PEM);
  check(count, trusted_file);
  if (count == 0) throw std::runtime_error(trusted_file + ": the file has no certificate");
  return mine;
}

tls_session::tls_session(role mine, const credentials& by, ngtcp2_crypto_conn_ref& owner) {
  const bool is_server = mine == role::server;
  gnutls_session_t made = nullptr;
  const unsigned flags = is_server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT;
  check(gnutls_init(&made, flags), "TLS session");
  inside_.reset(made);
  check(gnutls_priority_set_direct(made, priorities, nullptr), "TLS priorities");
  const int configured = is_server ? ngtcp2_crypto_gnutls_configure_server_session(made)
                                   : ngtcp2_crypto_gnutls_configure_client_session(made);
  if (configured != 0) throw std::runtime_error("TLS session: ngtcp2 could not set it up for QUIC");
  gnutls_session_set_ptr(made, &owner);
  check(gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, by.get()), "TLS credentials");
  static std::array<unsigned char, 2> h3{'h', '3'};  // RFC 9114, 3.1
  const gnutls_datum_t protocol{h3.data(), h3.size()};
  check(gnutls_alpn_set_protocols(made, &protocol, 1, GNUTLS_ALPN_MANDATORY), "ALPN");
}

void tls_session::require_host(const std::string& name) {
  host_ = name;
  in6_addr ignored;
  const bool is_address =
      ::inet_pton(AF_INET6, name.c_str(), &ignored) == 1 || ::inet_pton(AF_INET, name.c_str(), &ignored) == 1;
  // RFC 6066, 3: an address is not sent as the server's name
  if (!is_address) check(gnutls_server_name_set(get(), GNUTLS_NAME_DNS, host_.data(), host_.size()), host_);
  gnutls_session_set_verify_cert(get(), host_.c_str(), 0);
}

}  // namespace quic
