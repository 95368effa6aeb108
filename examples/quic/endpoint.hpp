// endpoint: one UDP socket with all QUIC connections on it, of a server or a client.
//
// One coroutine does everything. A turn takes all datagrams that have arrived, gives each to its connection, and lets
// the connections write: their packets leave as trains. Timers have the socket's read deadline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <uring6/uring6.hpp>
#include <vector>

#include "connection.hpp"
#include "outbox.hpp"
#include "path.hpp"

namespace quic {

class endpoint final : public connection_ids {
 public:
  /// Makes the connection for a client's first packet; nullptr: the packet is dropped, and the client sends it again.
  /// An exception ends `run`.
  using acceptor =
      std::function<std::unique_ptr<connection>(connection_ids&, const ngtcp2_pkt_hd&, const path&, time_point)>;
  /// Is called with each connection that is over.
  using observer = std::function<void(const connection&)>;

  /// Options of the socket of an endpoint.
  static u6::packet_options socket_options();

  /// Throws std::system_error.
  endpoint(u6::packet_conn socket, acceptor accept, observer at_end);
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;
  ~endpoint();

  /// Takes over a client's connection.
  void adopt(std::unique_ptr<connection> which);

  /// Serves until it is stopped, or, with `until_empty`, until no connection is left. Returns the error of the socket
  /// that ended it.
  u6::task<u6::result<void>> run(bool until_empty);

  /// Tells every peer that its connection ends. After `run`.
  u6::task<> close_all();

  const u6::packet_conn& socket() const { return socket_; }
  /// Why the latest packet that was refused did not leave; empty if all have left.
  std::error_code send_error() const { return send_error_; }

  void add(std::string_view id, connection& of) override;
  void remove(std::string_view id) override;

 private:
  struct member;
  using timers = std::multimap<time_point, member*>;
  /// A connection, and when it has something to do.
  struct member {
    std::unique_ptr<connection> of;
    timers::iterator timer;
    bool ready = false;       // in ready_
    bool handshaking = true;  // counted in handshakes_
  };

  void deliver(const u6::datagram& packet, time_point now);
  connection* find(const u6::datagram& packet, const path& along, time_point now);
  connection* accept(const u6::datagram& packet, const path& along, time_point now);
  void refuse_version(const ngtcp2_version_cid& of, const path& along);
  void make_ready(connection& which);
  void end_handshake(member& of);
  void set_timer(member& of);
  void expire(time_point now);
  u6::task<> write_ready();
  u6::task<> flush();
  void drop_ended();

  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view of) const { return std::hash<std::string_view>()(of); }
  };

  u6::packet_conn socket_;
  std::uint16_t port_;
  acceptor accept_;
  observer at_end_;
  std::unordered_map<std::string, connection*, text_hash, std::equal_to<>> ids_;
  std::unordered_map<const connection*, member> members_;
  std::size_t handshakes_ = 0;  // connections of peers that have not shown their address
  timers timers_;
  std::vector<member*> ready_;
  std::vector<member*> next_ready_;
  std::vector<member*> ended_;
  u6::datagram_batch batch_;
  outbox outbox_;
  std::error_code send_error_;
};

}  // namespace quic
