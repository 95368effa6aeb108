#include "subjects/uring6/receive.hpp"

#include "subjects/uring6/conn_subject.hpp"

namespace bench::u6 {
namespace {

class receiver : public conn_subject {
 public:
  explicit receiver(const settings& s) : conn_subject(s), parses_(s.control) {
    if (parses_) uring6::or_throw(conn_.set_control_message(all_flags, true));
  }

 protected:
  void take(const uring6::datagram& got) noexcept {
    if (parses_) seen_.controls += as_sent(got.control) ? 1 : 0;
    seen_.take(got.payload.data(), got.payload.size());
  }

 private:
  bool parses_;
};

/// One datagram at a time, copied: the simplest call.
class read_from : public receiver {
 public:
  using receiver::receiver;

 private:
  uring6::task<> work(std::uint64_t total) override {
    std::array<std::byte, largest_payload> buffer;
    while (seen_.datagrams < total) {
      const auto got = co_await conn_.read_from(buffer);
      if (!got) throw std::system_error(got.error());
      take(*got);
    }
    seen_.buffers = conn_.stats().received_buffers;
  }
};

/// All waiting datagrams, copied.
class read_batch : public receiver {
 public:
  explicit read_batch(const settings& s) : receiver(s), buffers_(s.vector), messages_(s.vector) {
    for (std::size_t i = 0; i < messages_.size(); ++i) messages_[i].buffer = buffers_[i];
  }

 private:
  uring6::task<> work(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const std::size_t count = uring6::or_throw(co_await conn_.read_batch(messages_));
      for (std::size_t i = 0; i < count; ++i) take(messages_[i].received);
    }
    seen_.buffers = conn_.stats().received_buffers;
  }

  std::vector<std::array<std::byte, largest_payload>> buffers_;
  std::vector<uring6::read_slot> messages_;
};

/// All waiting datagrams, lent.
class receive : public receiver {
 public:
  using receiver::receiver;

 private:
  uring6::task<> work(std::uint64_t total) override {
    uring6::datagram_batch batch;
    while (seen_.datagrams < total) {
      uring6::or_throw(co_await conn_.receive(batch));
      for (const uring6::datagram& each : batch) take(each);
    }
    seen_.buffers = conn_.stats().received_buffers;
  }
};

}  // namespace

std::unique_ptr<subject> receive_by_read_from(const settings& s) {
  return make<read_from>(s);
}
std::unique_ptr<subject> receive_by_read_batch(const settings& s) {
  return make<read_batch>(s);
}
std::unique_ptr<subject> receive_by_receive(const settings& s) {
  return s.sockets > 1 || s.spread ? receive_in_a_crowd(s) : make<receive>(s);
}

}  // namespace bench::u6
