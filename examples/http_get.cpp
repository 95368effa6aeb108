// Fetches a page by HTTP/1.0, from the first of the host's addresses that answers.
//
//     http_get ::1 8080 /
#include <uring6/uring6.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

namespace u6 = uring6;
using namespace std::chrono_literals;

u6::task<u6::result<void>> get(std::string host, std::string service, std::string path) {
  u6::event_loop& loop = co_await u6::this_task::loop();
  auto dialed = co_await u6::dial_tcp(loop, "tcp", host, service);
  if (!dialed) co_return u6::fail(dialed);
  const std::string name = host.find(':') == host.npos ? host : "[" + host + "]";  // RFC 3986, section 3.2.2
  const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", path, name);
  const auto sent = co_await dialed->write(request);
  if (!sent) co_return u6::fail(sent);
  for (std::array<std::byte, 16384> buffer;;) {
    const auto count = co_await dialed->read(buffer);
    if (!count) co_return u6::fail(count);
    if (*count == 0) co_return u6::result<void>();
    std::fwrite(buffer.data(), 1, *count, stdout);
  }
}

u6::task<> run(char** arguments) {
  const auto page = co_await u6::with_timeout(10s, get(arguments[0], arguments[1], arguments[2]));
  u6::or_throw(page);
}

int main(int argc, char** argv) try {
  if (argc < 4) return 2;
  u6::event_loop loop;
  loop.run(run(argv + 1));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "http_get: {}\n", failed.what());
  return 1;
}
