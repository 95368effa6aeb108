#include "http3.hpp"

#include <stdexcept>
#include <utility>
#include <vector>

namespace quic {

namespace {

std::string_view text(nghttp3_rcbuf* of) {
  const nghttp3_vec octets = nghttp3_rcbuf_get_buf(of);
  return {reinterpret_cast<const char*>(octets.base), octets.len};
}

void check(int code, const char* what) {
  if (code != 0) throw std::runtime_error(std::string(what) + ": " + nghttp3_strerror(code));
}

/// nghttp3 copies names and values.
std::vector<nghttp3_nv> to_nghttp3(std::span<const http3::field> fields) {
  const auto octets = [](std::string_view of) { return reinterpret_cast<std::uint8_t*>(const_cast<char*>(of.data())); };
  std::vector<nghttp3_nv> list;
  for (const http3::field& each : fields) {
    list.push_back({octets(each.name), octets(each.value), each.name.size(), each.value.size(), NGHTTP3_NV_FLAG_NONE});
  }
  return list;
}

/// Gives the whole body at once: nghttp3 makes one DATA frame of it.
nghttp3_ssize give_body(nghttp3_conn*, std::int64_t, nghttp3_vec* parts, std::size_t, std::uint32_t* flags, void*,
                        void* stream_user) {
  const auto& body = *static_cast<const std::span<const std::uint8_t>*>(stream_user);
  *flags |= NGHTTP3_DATA_FLAG_EOF;
  if (body.empty()) return 0;
  parts[0] = {const_cast<std::uint8_t*>(body.data()), body.size()};
  return 1;
}

}  // namespace

/// nghttp3 is C: no exception may pass through it.
template <class F>
int http3::guarded(void* user, F&& call) noexcept {
  http3& me = *static_cast<http3*>(user);
  try {
    call(*me.to_);
    return 0;
  } catch (...) {
    me.thrown_ = std::current_exception();
    return NGHTTP3_ERR_CALLBACK_FAILURE;
  }
}

void http3::rethrow() {
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

nghttp3_callbacks http3::callbacks() {
  nghttp3_callbacks mine{};
  mine.recv_data = [](nghttp3_conn*, std::int64_t stream, const std::uint8_t* data, std::size_t length, void* user,
                      void*) {
    return guarded(user, [&](http3_events& events) {
      events.on_body(stream, {data, length});
      events.on_consumed(stream, length);
    });
  };
  mine.deferred_consume = [](nghttp3_conn*, std::int64_t stream, std::size_t octets, void* user, void*) {
    return guarded(user, [&](http3_events& events) { events.on_consumed(stream, octets); });
  };
  mine.recv_header = [](nghttp3_conn*, std::int64_t stream, std::int32_t, nghttp3_rcbuf* name, nghttp3_rcbuf* value,
                        std::uint8_t, void* user, void*) {
    return guarded(user, [&](http3_events& events) { events.on_field(stream, text(name), text(value)); });
  };
  mine.end_stream = [](nghttp3_conn*, std::int64_t stream, void* user, void*) {
    return guarded(user, [&](http3_events& events) { events.on_end(stream); });
  };
  mine.stop_sending = [](nghttp3_conn*, std::int64_t stream, std::uint64_t why, void* user, void*) {
    return guarded(user, [&](http3_events& events) { events.on_stop_sending(stream, why); });
  };
  mine.reset_stream = [](nghttp3_conn*, std::int64_t stream, std::uint64_t why, void* user, void*) {
    return guarded(user, [&](http3_events& events) { events.on_reset(stream, why); });
  };
  return mine;
}

http3::http3(role mine, const own_streams& with, http3_events& to) : to_(&to) {
  const nghttp3_callbacks calls = callbacks();
  nghttp3_settings settings;
  nghttp3_settings_default(&settings);
  nghttp3_conn* made = nullptr;
  const auto make = mine == role::server ? nghttp3_conn_server_new_versioned : nghttp3_conn_client_new_versioned;
  check(
      make(&made, NGHTTP3_CALLBACKS_VERSION, &calls, NGHTTP3_SETTINGS_VERSION, &settings, nghttp3_mem_default(), this),
      "HTTP/3");
  inside_.reset(made);
  check(nghttp3_conn_bind_control_stream(made, with.control), "HTTP/3 control stream");
  check(nghttp3_conn_bind_qpack_streams(made, with.encoder, with.decoder), "HTTP/3 QPACK streams");
}

void http3::request(std::int64_t stream, std::span<const field> fields) {
  const std::vector<nghttp3_nv> list = to_nghttp3(fields);
  check(nghttp3_conn_submit_request(inside_.get(), stream, list.data(), list.size(), nullptr, nullptr),
        "HTTP/3 request");
}

void http3::respond(std::int64_t stream, std::span<const field> fields, std::span<const std::uint8_t> body) {
  const std::vector<nghttp3_nv> list = to_nghttp3(fields);
  auto& kept = bodies_[stream];
  kept = body;
  check(nghttp3_conn_set_stream_user_data(inside_.get(), stream, &kept), "HTTP/3 stream");
  const nghttp3_data_reader reader{give_body};
  check(nghttp3_conn_submit_response(inside_.get(), stream, list.data(), list.size(), body.empty() ? nullptr : &reader),
        "HTTP/3 response");
}

std::int64_t http3::read(std::int64_t stream, std::span<const std::uint8_t> data, bool last) {
  const auto done = nghttp3_conn_read_stream(inside_.get(), stream, data.data(), data.size(), last ? 1 : 0);
  rethrow();
  return done;
}

int http3::acknowledged(std::int64_t stream, std::uint64_t octets) {
  int code = 0;
  if (acknowledged_stream_ != stream) {
    code = settle_acknowledged();
    acknowledged_stream_ = stream;
  }
  acknowledged_ += octets;
  return code;
}

int http3::settle_acknowledged() {
  const std::uint64_t octets = std::exchange(acknowledged_, 0);
  return octets > 0 ? nghttp3_conn_add_ack_offset(inside_.get(), acknowledged_stream_, octets) : 0;
}

int http3::close(std::int64_t stream, std::uint64_t why) {
  if (stream_ == stream) drop_piece();
  if (const int code = settle_acknowledged(); code != 0) return code;
  const int closed = nghttp3_conn_close_stream(inside_.get(), stream, why);
  bodies_.erase(stream);
  rethrow();
  return closed == NGHTTP3_ERR_STREAM_NOT_FOUND ? 0 : closed;  // a stream without a request
}

http3::piece http3::next() {
  if (stream_ < 0) {
    check(settle_acknowledged(), "HTTP/3 acknowledgement");
    std::array<nghttp3_vec, 16> given;
    int last = 0;
    const auto count = nghttp3_conn_writev_stream(inside_.get(), &stream_, &last, given.data(), given.size());
    check(count < 0 ? static_cast<int>(count) : 0, "HTTP/3 data");
    first_ = 0;
    end_ = static_cast<std::size_t>(count);
    last_ = last != 0;
    for (std::size_t i = 0; i < end_; ++i) parts_[i] = {given[i].base, given[i].len};
  }
  return {stream_, last_, std::span(parts_).subspan(first_, end_ - first_)};
}

void http3::sent(std::size_t octets) {
  unsettled_ += octets;
  has_left_ = true;
  while (first_ < end_ && octets >= parts_[first_].len) octets -= parts_[first_++].len;
  if (first_ == end_) return settle();
  parts_[first_].base += octets;
  parts_[first_].len -= octets;
}

void http3::settle() {
  if (stream_ >= 0 && has_left_) {
    check(nghttp3_conn_add_write_offset(inside_.get(), stream_, unsettled_), "HTTP/3 data");
  }
  drop_piece();
}

void http3::blocked() {
  const std::int64_t stream = stream_;
  settle();
  nghttp3_conn_block_stream(inside_.get(), stream);
}

void http3::abandoned() {
  const std::int64_t stream = stream_;
  settle();
  nghttp3_conn_shutdown_stream_write(inside_.get(), stream);
}

}  // namespace quic
