// A packet to every peer: by sendmmsg in the order of the packets, or as one train (UDP_SEGMENT) for each peer.
#include <array>

#include "common/fan.hpp"
#include "subjects/raw/send/send.hpp"
#include "subjects/raw/socket_subject.hpp"
#include "subjects/raw/vector_calls.hpp"

namespace bench::raw {
namespace {

/// The packets of a round, one after the other in memory.
class fan_sender : public socket_subject {
 public:
  explicit fan_sender(const settings& s) : socket_subject(s), size_(s.size), packets_(s.size * fan_packets) {
    for (const auto port : s.to) to_.push_back(loopback(port));
    for (std::uint64_t i = 0; i < fan_packets; ++i) write_pattern(packet(i), size_);
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      for (std::uint64_t i = 0; i < fan_packets; ++i) write_stamp(packet(i), size_, next_++);
      send_round();
      seen_.datagrams += fan_packets * to_.size();
    }
  }

 protected:
  virtual void send_round() = 0;

  std::byte* packet(std::uint64_t i) noexcept { return packets_.data() + i * size_; }

  std::size_t size_;
  std::vector<std::byte> packets_;
  std::vector<sockaddr_in6> to_;

 private:
  std::uint64_t next_ = 0;  // number of the next packet
};

class packet_order : public fan_sender {
 public:
  explicit packet_order(const settings& s) : fan_sender(s), at_once_(s.vector), vectors_(fan_packets) {
    for (std::uint64_t i = 0; i < fan_packets; ++i) {
      vectors_[i] = {packet(i), size_};
      for (auto& peer : to_) {
        messages_.push_back({});
        messages_.back().msg_hdr = {.msg_name = &peer,
                                    .msg_namelen = sizeof peer,
                                    .msg_iov = &vectors_[i],
                                    .msg_iovlen = 1,
                                    .msg_control = nullptr,
                                    .msg_controllen = 0,
                                    .msg_flags = 0};
      }
    }
  }

 private:
  void send_round() override { send_all(fd(), messages_, at_once_); }

  std::size_t at_once_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_;
};

class train_a_peer : public fan_sender {
 public:
  explicit train_a_peer(const settings& s) : fan_sender(s), train_{packets_.data(), packets_.size()} {
    for (auto& peer : to_) {
      messages_.push_back({});
      messages_.back().msg_hdr = {.msg_name = &peer,
                                  .msg_namelen = sizeof peer,
                                  .msg_iov = &train_,
                                  .msg_iovlen = 1,
                                  .msg_control = control_.data(),
                                  .msg_controllen = control_.size(),
                                  .msg_flags = 0};
    }
    write_segment(*CMSG_FIRSTHDR(&messages_.front().msg_hdr), static_cast<std::uint16_t>(size_));
  }

 private:
  void send_round() override { send_all(fd(), messages_); }

  iovec train_;
  alignas(cmsghdr) std::array<std::byte, segment_room> control_{};
  std::vector<mmsghdr> messages_;
};

}  // namespace

std::unique_ptr<subject> fan_by_sendmmsg(const settings& s) {
  return make<packet_order>(s);
}
std::unique_ptr<subject> fan_by_gso(const settings& s) {
  return make<train_a_peer>(s);
}

}  // namespace bench::raw
