// The to_string functions of ICMPv6 messages and their parts, for people and logs.
#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <string>
#include <string_view>
#include <variant>

#include "ipv6/value/codec_text.hpp"
#include "uring6/icmp.hpp"

namespace uring6::inline v0::icmp {
namespace {

class printer {
 public:
  template <class... T>
  void print(fmt::format_string<const T&...> format, const T&... values) {
    fmt::format_to(std::back_inserter(text_), format, values...);
  }

  void address(const ip_address& address) { text_ += packet_address_text(address); }

  /// Writes " [a] [b]": each element in brackets.
  template <class T>
  void elements(const list<T>& list) {
    for (const T& one : list) print(" [{}]", to_string(one));
  }

  /// Writes " a b".
  void addresses(const list<ip_address>& list) {
    for (const ip_address& one : list) {
      text_ += ' ';
      address(one);
    }
  }

  /// Writes text from a packet. A byte that a terminal may take for a control character is written as \DDD.
  void hostile(std::string_view text) {
    for (const char c : text) {
      const auto octet = static_cast<unsigned char>(c);
      if (octet < 0x20 || octet == 0x7f || c == '\\') {
        print("\\{:03}", octet);
      } else {
        text_ += c;
      }
    }
  }

  void hex(std::span<const std::byte> octets) {
    for (std::size_t i = 0; i < octets.size(); ++i) {
      print("{}{:02x}", i == 0 ? "" : ":", std::to_integer<unsigned>(octets[i]));
    }
  }

  /// Writes "valid=3600s" or "valid=infinite".
  void lifetime(std::string_view name, std::chrono::seconds value) {
    if (value == infinite_lifetime) return print("{}=infinite", name);
    print("{}={}s", name, value.count());
  }

  /// Writes the name of a code, or its number.
  template <class Code>
  void code(Code code) {
    const std::string_view words = to_string(code);
    if (words.empty()) return print("{}", static_cast<unsigned>(code));
    text_ += words;
  }

  /// Writes " (port unreachable)".
  template <class Code>
  void reason(Code why) {
    text_ += " (";
    code(why);
    text_ += ')';
  }

  /// Writes a letter for each flag that is set; "-" if none is.
  void flags(std::initializer_list<std::pair<bool, char>> all) {
    const std::size_t before = text_.size();
    for (const auto& [set, letter] : all) {
      if (set) text_ += letter;
    }
    if (text_.size() == before) text_ += '-';
  }

  void name(icmp_type type) {
    const std::string_view words = to_string(type);
    if (words.empty()) return print("icmp type {}", static_cast<unsigned>(type));
    text_ += words;
  }

  std::string take() && { return std::move(text_); }

 private:
  std::string text_;
};

struct extension_printer {
  printer& out;

  void operator()(const raw_extension& object) const {
    out.print("class {} type {} data={}", object.class_number, object.type, object.data.size());
  }
  void operator()(const mpls_label_stack& stack) const {
    out.print("mpls");
    for (const mpls_label& entry : stack.labels) {
      out.print(" {}/{}{} ttl={}", entry.label, entry.traffic_class, entry.bottom_of_stack ? "S" : "", entry.ttl);
    }
  }
  void operator()(const interface_info& info) const {
    static constexpr std::string_view roles[] = {"incoming", "incoming sub-ip", "outgoing", "next hop"};
    const auto role = static_cast<std::size_t>(info.role);
    out.print("interface {}", role < std::size(roles) ? roles[role] : "?");
    if (info.index) out.print(" ifindex={}", *info.index);
    if (info.address) {
      out.print(" addr=");
      out.address(*info.address);
    }
    if (!info.name.empty()) {
      out.print(" name=");
      out.hostile(info.name);
    }
    if (info.mtu) out.print(" mtu={}", *info.mtu);
  }
  void operator()(const interface_ident& ident) const { std::visit(*this, ident.by); }
  void operator()(const interface_by_name& by) const {
    out.print("interface name=");
    out.hostile(by.name);
  }
  void operator()(const interface_by_index& by) const { out.print("interface ifindex={}", by.index); }
  void operator()(const interface_by_address& by) const {
    out.print("interface family={} addr=", by.family);
    out.hex(by.address);
  }
};

struct option_printer {
  printer& out;

  void operator()(const raw_option& one) const {
    out.print("option {} data={}", static_cast<unsigned>(one.type), one.data.size());
  }
  void operator()(const source_link_layer_address& one) const {
    out.print("source link-layer address ");
    out.hex(one.address);
  }
  void operator()(const target_link_layer_address& one) const {
    out.print("target link-layer address ");
    out.hex(one.address);
  }
  void operator()(const prefix_information& one) const {
    out.print("prefix ");
    out.address(one.prefix);
    out.print("/{} flags=", one.prefix_length);
    out.flags({{one.on_link, 'L'}, {one.autonomous, 'A'}, {one.router_address, 'R'}});
    out.lifetime(" valid", one.valid_lifetime);
    out.lifetime(" preferred", one.preferred_lifetime);
  }
  void operator()(const redirected_header& one) const { out.print("redirected header data={}", one.data.size()); }
  void operator()(const link_mtu& one) const { out.print("mtu {}", one.mtu); }
  void operator()(const recursive_dns_servers& one) const {
    out.print("dns servers");
    out.lifetime(" lifetime", one.lifetime);
    out.addresses(one.servers);
  }
  void operator()(const dns_search_list& one) const {
    out.print("dns search list");
    out.lifetime(" lifetime", one.lifetime);
    for (const domain_name& domain : one.domains) out.print(" {}", to_string(domain));
  }
};

// Writes the body of a message, behind the name of its type.
struct body_printer {
  printer& out;

  void operator()(const raw_body& body) const { out.print(" code={} data={}", body.code, body.data.size()); }
  void operator()(const destination_unreachable& body) const { quotation(body); }
  void operator()(const time_exceeded& body) const { quotation(body); }
  void operator()(const packet_too_big& body) const { out.print(" mtu={} data={}", body.mtu, body.data.size()); }
  void operator()(const parameter_problem& body) const {
    out.reason(body.code);
    out.print(" pointer={} data={}", body.pointer, body.data.size());
  }

  template <icmp_type Type>
  void operator()(const echo<Type>& body) const {
    out.print(" id={} seq={} data={}", body.identifier, body.sequence, body.data.size());
  }
  void operator()(const extended_echo_request& body) const {
    out.print(" id={} seq={} local={}", body.identifier, body.sequence, body.local);
    out.elements(body.extensions);
  }
  void operator()(const extended_echo_reply& body) const {
    out.reason(body.code);
    out.print(" id={} seq={} state=", body.identifier, body.sequence);
    out.code(body.state);
    out.print(" active={} ipv4={} ipv6={}", body.active, body.ipv4, body.ipv6);
  }

  template <icmp_type Type>
  void operator()(const version1_multicast_listener<Type>& body) const {
    if (Type == icmp_type::multicast_listener_query) out.print(" delay={}ms", body.max_response_delay.count());
    address(" group=", body.group);
  }
  void operator()(const version2_multicast_listener_query& body) const {
    out.print(" version=2 delay={}ms", body.max_response_delay().count());
    address(" group=", body.group);
    out.print(" suppress={} robustness={} interval={}s", body.suppress_router_processing, body.robustness,
              body.query_interval().count());
    if (!body.sources.empty()) out.print(" sources");
    out.addresses(body.sources);
  }
  void operator()(const version2_multicast_listener_report& body) const { out.elements(body.records); }

  void operator()(const router_solicitation& body) const { out.elements(body.options); }
  void operator()(const router_advertisement& body) const {
    out.print(" hoplim={} flags=", body.hop_limit);
    out.flags({{body.managed, 'M'}, {body.other, 'O'}, {body.home_agent, 'H'}, {body.proxy, 'P'}});
    out.print(" preference=");
    out.code(body.preference);
    out.print(" lifetime={}s reachable={}ms retransmit={}ms", body.lifetime.count(), body.reachable_time.count(),
              body.retransmit_timer.count());
    out.elements(body.options);
  }
  void operator()(const neighbor_solicitation& body) const {
    address(" target=", body.target);
    out.elements(body.options);
  }
  void operator()(const neighbor_advertisement& body) const {
    address(" target=", body.target);
    out.print(" flags=");
    out.flags({{body.router, 'R'}, {body.solicited, 'S'}, {body.override_cache, 'O'}});
    out.elements(body.options);
  }
  void operator()(const redirect& body) const {
    address(" target=", body.target);
    address(" dst=", body.destination);
    out.elements(body.options);
  }

 private:
  template <class Body>
  void quotation(const Body& body) const {
    out.reason(body.code);
    out.print(" data={}", body.data.size());
    out.elements(body.extensions);
  }

  void address(std::string_view name, const ip_address& value) const {
    out.print("{}", name);
    out.address(value);
  }
};

}  // namespace

std::string to_string(const extension& object) {
  printer out;
  std::visit(extension_printer{out}, object);
  return std::move(out).take();
}

std::string to_string(const option& one) {
  printer out;
  std::visit(option_printer{out}, one);
  return std::move(out).take();
}

std::string to_string(const listener_record& record) {
  printer out;
  out.code(record.type);
  out.print(" ");
  out.address(record.group);
  if (!record.sources.empty()) out.print(" sources");
  out.addresses(record.sources);
  if (!record.auxiliary.empty()) out.print(" auxiliary={}", record.auxiliary.size());
  return std::move(out).take();
}

std::string to_string(const message_body& body) {
  printer out;
  out.name(type_of(body));
  std::visit(body_printer{out}, body);
  return std::move(out).take();
}

std::string to_string(const message& one) {
  return to_string(one.body);
}

}  // namespace uring6::inline v0::icmp
