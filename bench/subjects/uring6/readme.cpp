// The README's service, exactly as printed: its text is taken out of the README when the benchmark is built.
#include <array>
#include <cstdio>
#include <string_view>

#include "common/socket.hpp"
#include "subjects/uring6/echo.hpp"
#include "uring6/uring6.hpp"

namespace printed {
namespace u6 = uring6;
#include "readme_service.hpp"
}  // namespace printed

namespace bench::u6 {
namespace {

class printed_echo : public subject {
 public:
  explicit printed_echo(const settings&) : conn_(printed::open_service(loop_, "[::1]:0")) {
    widen_buffers(conn_.native_handle());
  }

  std::vector<std::uint16_t> ports() const override { return {uring6::or_throw(conn_.local_endpoint()).port}; }

  void run_until(std::uint64_t) override { loop_.run(printed::serve(conn_)); }

 private:
  uring6::event_loop loop_;
  uring6::packet_conn conn_;
};

}  // namespace

std::unique_ptr<subject> echo_of_readme(const settings& s) {
  return make<printed_echo>(s);
}

}  // namespace bench::u6
