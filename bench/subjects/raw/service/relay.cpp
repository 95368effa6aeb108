#include "subjects/raw/service/relay.hpp"

#include <algorithm>
#include <array>

#include "subjects/raw/socket_subject.hpp"
#include "subjects/raw/vector_calls.hpp"

namespace bench::raw {
namespace {

class relay_subject : public socket_subject {
 public:
  explicit relay_subject(const settings& s) : socket_subject(s) {
    for (const auto port : s.to) to_.push_back(loopback(port));
  }

 protected:
  std::vector<sockaddr_in6> to_;
};

class by_packet : public relay_subject {
 public:
  explicit by_packet(const settings& s)
      : relay_subject(s), payloads_(s.vector), vectors_(s.vector), received_(s.vector) {
    for (std::size_t i = 0; i < payloads_.size(); ++i) {
      received_[i].msg_hdr = message_of(nullptr, vectors_[i]);
      for (auto& peer : to_) {
        sent_.push_back({});
        sent_.back().msg_hdr = message_of(&peer, vectors_[i]);
      }
    }
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      for (std::size_t i = 0; i < payloads_.size(); ++i) vectors_[i] = {payloads_[i].data(), payloads_[i].size()};
      const std::size_t wanted = std::min<std::uint64_t>(received_.size(), total - seen_.datagrams);
      const std::size_t got = receive_waiting(fd(), std::span(received_).first(wanted));
      for (std::size_t i = 0; i < got; ++i) {
        vectors_[i].iov_len = received_[i].msg_len;
        seen_.take_train(payloads_[i].data(), received_[i].msg_len, 0);
      }
      send_all(fd(), std::span(sent_).first(got * to_.size()));
    }
  }

 private:
  static msghdr message_of(sockaddr_in6* peer, iovec& vector) noexcept {
    return {.msg_name = peer,
            .msg_namelen = peer == nullptr ? 0 : static_cast<socklen_t>(sizeof *peer),
            .msg_iov = &vector,
            .msg_iovlen = 1,
            .msg_control = nullptr,
            .msg_controllen = 0,
            .msg_flags = 0};
  }

  struct alignas(64) payload : std::array<std::byte, largest_payload> {};

  std::vector<payload> payloads_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> received_;
  std::vector<mmsghdr> sent_;  // packet by packet, a message for each peer
};

class by_train : public relay_subject {
 public:
  explicit by_train(const settings& s) : relay_subject(s), payload_(65'535) {
    set_option(fd(), SOL_UDP, UDP_GRO, 1);
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
  }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t segment = receive();
      seen_.take_train(payload_.data(), train_.iov_len, segment);
      // A segment as long as the payload, or longer, is a single datagram.
      write_segment(*CMSG_FIRSTHDR(&messages_.front().msg_hdr),
                    static_cast<std::uint16_t>(segment == 0 ? train_.iov_len : segment));
      send_all(fd(), messages_);
    }
  }

 private:
  /// Reads a train into `train_` and returns the length of its datagrams; 0: a single one.
  std::size_t receive() {
    train_ = {payload_.data(), payload_.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> area;
    msghdr message{.msg_name = nullptr,
                   .msg_namelen = 0,
                   .msg_iov = &train_,
                   .msg_iovlen = 1,
                   .msg_control = area.data(),
                   .msg_controllen = area.size(),
                   .msg_flags = 0};
    train_.iov_len = static_cast<std::size_t>(check(::recvmsg(fd(), &message, 0), "recvmsg"));
    return static_cast<std::size_t>(parse_control(message).segment);
  }

  std::vector<std::byte> payload_;
  iovec train_{};
  alignas(cmsghdr) std::array<std::byte, segment_room> control_{};
  std::vector<mmsghdr> messages_;
};

}  // namespace

std::unique_ptr<subject> relay(const settings& s) {
  return make<by_packet>(s);
}
std::unique_ptr<subject> relay_by_train(const settings& s) {
  return make<by_train>(s);
}

}  // namespace bench::raw
