#include "harness/peers/exchange.hpp"

#include "common/forward.hpp"
#include "common/payload.hpp"

namespace bench {
namespace {

class echoed : public exchange {
 public:
  explicit echoed(std::size_t size) : size_(size) {}

  std::size_t ask(std::span<std::byte> room, std::uint64_t number) const override {
    write_pattern(room.data(), size_);
    write_stamp(room.data(), size_, number);
    return size_;
  }

  bool is_answer(std::span<const std::byte> said, std::uint64_t number) const override {
    tally one;
    one.take(said.data(), said.size());
    return one.bad == 0 && said.size() == size_ && one.sequence_sum == number;
  }

 private:
  std::size_t size_;
};

class forwarded : public exchange {
 public:
  explicit forwarded(std::size_t size) : behind_id_(size - id_size) {}

  std::size_t ask(std::span<std::byte> room, std::uint64_t number) const override {
    write_id(room.data(), static_cast<std::uint16_t>(number));
    return id_size + behind_id_.ask(room.subspan(id_size), number);
  }

  bool is_answer(std::span<const std::byte> said, std::uint64_t number) const override {
    return said.size() > id_size && read_id(said.data()) == static_cast<std::uint16_t>(number) &&
           behind_id_.is_answer(said.subspan(id_size), number);
  }

 private:
  echoed behind_id_;
};

}  // namespace

std::shared_ptr<const exchange> echo_exchange(std::size_t size) {
  return std::make_shared<echoed>(size);
}

std::shared_ptr<const exchange> forward_exchange(std::size_t size) {
  return std::make_shared<forwarded>(size);
}

}  // namespace bench
