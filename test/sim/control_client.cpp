#include "control_client.hpp"

#include <fstream>
#include <iterator>

#include "json_read.hpp"

namespace mdmd::sim {
namespace json = boost::json;

result<std::string> read_text(std::filesystem::path const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(errc::not_found, "cannot read " + path.string());
    return std::string{std::istreambuf_iterator<char>(in), {}};
}

void write_text(std::filesystem::path const& path, std::string_view text, bool is_private) {
    namespace fs = std::filesystem;
    auto const next = path.string() + ".new";
    std::ofstream(next, std::ios::binary).close();
    fs::permissions(next, is_private ? fs::perms::owner_read | fs::perms::owner_write : fs::perms(0644));
    std::ofstream out(next, std::ios::binary);
    out << text << std::flush;
    if (!out) throw std::runtime_error("cannot write " + next);
    fs::rename(next, path);
}

result<tenant_access> read_tenant_access(std::filesystem::path const& directory) {
    auto const text = read_text(directory / "tenant.json");
    if (!text) return text.error();
    auto const o = parse_object(*text);
    if (!o) return fail(errc::malformed, "tenant.json: " + o.error().detail);
    tenant_access a{text_or(*o, "url"), text_or(*o, "tenant_id"), text_or(*o, "client_id"), text_or(*o, "app_id"), {},
        text_or(*o, "control_token")};
    auto ca = read_text(directory / text_or(*o, "ca", "tenant-ca.pem"));
    if (!ca) return ca.error();
    a.ca_pem = std::move(*ca);
    return a;
}

control_client::control_client(tenant_access a)
    : access_(std::move(a)),
      client_(std::make_unique<http::client>(http::client_options{.extra_roots_pem = access_.ca_pem,
          .system_roots = false,
          .certificate_pem = {},
          .key_pem = {},
          .connect_to = {},
          .unix_socket = {},
          .user_agent = "mdm-sim"})) {}

result<json::object> control_client::send(
    std::string const& method, std::string const& path, json::object const& body) {
    http::call call{.method = method,
        .url = access_.url + path,
        .headers = {{"Authorization", "Bearer " + access_.control_token}},
        .body = {}};
    if (!body.empty()) {
        call.headers.add("Content-Type", "application/json");
        call.body = json::serialize(body);
    }
    auto const r = client_->send(call);
    if (!r) return r.error();
    auto o = r->body.empty() ? result<json::object>(json::object{}) : parse_object(r->body);
    if (r->status >= 300) {
        auto const why = o ? text_or(*o, "error", "no reason given") : std::string("no reason given");
        auto const code = r->status == 404 ? errc::not_found : r->status == 409 ? errc::conflict : errc::malformed;
        return fail(code, fmt::format("the tenant answers {}: {}", r->status, why));
    }
    return o;
}

}  // namespace mdmd::sim
