// Trains: one sendmsg with UDP_SEGMENT for as many datagrams as the kernel takes, all to the first destination; out of
// one piece of memory, or composed of one message for each datagram.
#include <algorithm>
#include <array>
#include <optional>
#include <system_error>

#include "subjects/raw/send/send.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

class gso_sender : public socket_subject {
 public:
  explicit gso_sender(const settings& s)
      : socket_subject(s), size_(s.size), to_(loopback(s.to.at(0))), payloads_(s.size * s.vector) {
    for (std::size_t i = 0; i < s.vector; ++i) write_pattern(payload(i), size_);
    message_.msg_control = control_.data();
    message_.msg_controllen = control_.size();
    write_segment(*CMSG_FIRSTHDR(&message_), static_cast<std::uint16_t>(size_));
  }

 protected:
  std::byte* payload(std::size_t i) noexcept { return payloads_.data() + i * size_; }

  void send(std::byte* first, std::size_t bytes) {
    iovec vector{first, bytes};
    message_.msg_name = &to_;
    message_.msg_namelen = sizeof to_;
    message_.msg_iov = &vector;
    message_.msg_iovlen = 1;
    check(::sendmsg(fd(), &message_, 0), "sendmsg");
    seen_.datagrams += bytes / size_;
    ++seen_.buffers;
  }

  std::size_t size_;

 private:
  sockaddr_in6 to_;
  std::vector<std::byte> payloads_;
  alignas(cmsghdr) std::array<std::byte, segment_room> control_{};
  msghdr message_{};
};

class payload_sender : public gso_sender {
 public:
  explicit payload_sender(const settings& s) : gso_sender(s), most_(s.vector) {}

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t count = std::min<std::uint64_t>(most_, total - seen_.datagrams);
      for (std::size_t i = 0; i < count; ++i) write_stamp(payload(i), size_, seen_.datagrams + i);
      send(payload(0), count * size_);
    }
  }

 private:
  std::size_t most_;
};

/// Each message has its destination, its control message and its result, as in a batch of any library. Only messages
/// with equal destinations form a train.
class message_sender : public gso_sender {
 public:
  explicit message_sender(const settings& s) : gso_sender(s), messages_(s.vector) {}

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t count = std::min<std::uint64_t>(messages_.size(), total - seen_.datagrams);
      for (std::size_t i = 0; i < count; ++i) {
        write_stamp(payload(i), size_, seen_.datagrams + i);
        messages_[i].payload = {payload(i), size_};
        messages_[i].port = 1;
      }
      for (std::size_t first = 0; first < count;)
        first += send_train(std::span(messages_).subspan(first, count - first));
    }
  }

 private:
  struct message {
    std::span<std::byte> payload;
    std::array<std::optional<std::array<std::byte, 20>>, 5> control;
    std::array<std::uint64_t, 2> address{};
    std::uint64_t port = 0;
    std::error_code error;
  };

  static bool rides_along(const message& one, const message& before) noexcept {
    for (const auto& field : one.control) {
      if (field) return false;
    }
    return one.payload.data() == before.payload.data() + before.payload.size() &&
           one.payload.size() == before.payload.size() && one.address == before.address && one.port == before.port;
  }

  std::size_t send_train(std::span<message> messages) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    do {
      message& each = messages[count++];
      if (each.error) each.error.clear();
      bytes += each.payload.size();
    } while (count < messages.size() && rides_along(messages[count], messages[count - 1]));
    send(messages.front().payload.data(), bytes);
    return count;
  }

  std::vector<message> messages_;
};

}  // namespace

std::unique_ptr<subject> send_by_gso(const settings& s) {
  return make<payload_sender>(s);
}
std::unique_ptr<subject> send_messages_by_gso(const settings& s) {
  return make<message_sender>(s);
}

}  // namespace bench::raw
