#include "admin/listener.hpp"

#include <arpa/inet.h>
#include <algorithm>
#include <array>

#include "admin/graph.hpp"
#include "core/log.hpp"
#include "core/text.hpp"
#include "crypto/server_certificate.hpp"

namespace mdmd::admin {
namespace {

// "[::1]:8080" is ::1, "MDM.contoso.com:443" is mdm.contoso.com; empty: it is no host.
std::string without_port(std::string_view host) {
    std::string_view name;
    std::string_view port;
    if (host.starts_with('[')) {
        auto const end = host.find(']');
        if (end == host.npos) return {};
        name = host.substr(1, end - 1);
        port = host.substr(end + 1);
    } else {
        auto const colon = std::min(host.find(':'), host.size());
        name = host.substr(0, colon);
        port = host.substr(colon);
    }
    bool const good_port =
        port.empty() || (port.size() <= 6 && port[0] == ':' &&
                            std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; }));
    return good_port ? lower(name) : std::string();
}

// The same address has many texts, such as 0:0:0:0:0:0:0:1; empty: it is no address.
std::string address_bytes(std::string const& text) {
    std::array<char, 16> bytes{};
    if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return {bytes.data(), 4};
    if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return {bytes.data(), 16};
    return {};
}

http::response plain(int status, std::string_view text) {
    return {status, {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
        std::string(text) + "\n"};
}

http::response refuse(
    service::appliance& a, http::request const& r, int status, std::string_view code, std::string_view why) {
    log::warning("request to the admin listener refused", {{"reason", std::string(why)}, {"address", r.peer_address}});
    return is_graph_path(r.path) ? graph_error(a, r, status, code, why) : plain(status, why);
}

// Browsers say where a request that may change something comes from. Programs say nothing.
bool is_of_another_page(http::request const& r, std::initializer_list<std::string_view> ours) {
    if (r.method == "GET" || r.method == "HEAD" || r.method == "OPTIONS") return false;
    if (auto const site = r.headers.get("Sec-Fetch-Site"); site && *site != "same-origin" && *site != "none")
        return true;
    auto const from = r.headers.get("Origin");
    return from && std::none_of(ours.begin(), ours.end(), [&](auto const& one) { return iequals(*from, one); });
}

}  // namespace

bool is_our_host(config::settings const& s, std::string_view host) {
    auto const name = without_port(host);
    if (name.empty()) return false;
    if (name == "localhost" || name == s.server.public_url.host || name == s.server.management_url.host ||
        name == s.admin.public_url.host)
        return true;
    auto const address = address_bytes(name);
    if (!address.empty()) {
        auto const own = address_bytes(s.admin.listen.address);
        bool const all = own.find_first_not_of('\0') == own.npos;
        if (all || address == own || address == address_bytes("127.0.0.1") || address == address_bytes("::1"))
            return true;
    }
    if (s.admin.certificate_pem.empty()) return false;
    auto const certificate = crypto::certificate::from_pem(s.admin.certificate_pem);
    return certificate && crypto::is_for_host(*certificate, name);
}

http::response serve_listener(service::appliance& a, http::handler const& others, http::request const& r) {
    auto const config = a.ctx.config();
    auto const& s = config->settings;
    auto const host = r.headers.get("Host").value_or("");
    if (!is_our_host(s, host))
        return refuse(a, r, 421, "invalidRequest",
            "The Host of this request is no name of this listener. Use its address, localhost, the host of "
            "server.public_url or admin.public_url, or a name in admin.tls_certificate.");
    auto const direct = fmt::format("{}://{}", s.admin.certificate_pem.empty() ? "http" : "https", host);
    auto const& origin = s.admin.public_url.text.empty() ? direct : s.admin.public_url.text;
    // Of the name that is served by https alone there is no page of ours by http.
    bool const by_proxy = s.admin.certificate_pem.empty() && without_port(host) == s.admin.public_url.host;
    if (is_of_another_page(r, {by_proxy ? origin : direct, origin}))
        return refuse(a, r, 403, "accessDenied", "Pages of other origins may not change anything here.");
    return is_graph_path(r.path) ? serve_graph(a, origin, r) : others(r);
}

http::response refused_request(service::appliance& a, http::request const& head, int status, std::string_view why) {
    auto const text = status >= 500 && status != 501 && status != 505
                          ? std::string("Something went wrong here. The log names the cause under this request-id.")
                          : fmt::format("The request was refused: {}.", why);
    if (!head.path.empty() && !is_graph_path(head.path)) return plain(status, text);
    auto const code = [&]() -> std::string_view {
        switch (status) {
            case 413: return "payloadTooLarge";
            case 501:
            case 505: return "notSupported";
            default: return status >= 500 ? "generalException" : "invalidRequest";
        }
    };
    return graph_error(a, head, status, code(), text);
}

}  // namespace mdmd::admin
