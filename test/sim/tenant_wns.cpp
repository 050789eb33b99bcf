// The Windows Push Notification Service beside the tenant: tokens for senders, channels of devices, raw notifications.
// Source: "Push notification service request and response headers"
#include "core/random.hpp"
#include "core/text.hpp"
#include "json_read.hpp"
#include "tenant_state.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

constexpr auto token_life = std::chrono::seconds(86400);
constexpr std::size_t most_octets = 5000;

// "Name_13 letters and digits of the publisher"
bool is_pfn(std::string_view s) {
    auto const cut = s.rfind('_');
    if (cut == s.npos || cut == 0 || s.size() - cut - 1 != 13) return false;
    return s.substr(cut + 1).find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz") == s.npos;
}

http::response refusal(int status, char const* description) {
    return {.status = status,
        .headers = {{"X-WNS-Error-Description", description}, {"X-WNS-Msg-ID", hex_upper(random_bytes(8))},
            {"X-WNS-Debug-Trace", "SIM"}},
        .body = {}};
}

std::string token_of(std::string_view uri) {
    auto const at = uri.find('?');
    return at == uri.npos ? std::string()
                          : std::string(find_parameter(parse_query(uri.substr(at + 1)), "token").value_or(""));
}

}  // namespace

json::object as_json(wns_push const& p) {
    return {{"at", rfc3339_ms(p.at)}, {"channel", p.channel}, {"device", p.device}, {"status", p.status},
        {"ttl", p.ttl}, {"cache_policy", p.cache_policy}, {"octets", p.octets}};
}

std::string tenant::impl::wns_origin() const {
    return options.wns_host.empty() ? origin + "/wns/" : fmt::format("https://{}/", options.wns_host);
}

http::response tenant::impl::wns_token(http::request const& r) {
    auto const refused = [](char const* kind, char const* text) {
        return json_response(400, json::object{{"error", kind}, {"error_description", text}});
    };
    if (r.method != "POST") return json_response(405, nullptr);
    if (r.headers.get("Content-Type").value_or("").substr(0, 33) != "application/x-www-form-urlencoded")
        return refused("invalid_request", "not a form");
    auto const fields = parse_query(r.body);
    auto const field = [&](char const* name) { return find_parameter(fields, name).value_or(""); };
    if (field("grant_type") != "client_credentials")
        return refused("unsupported_grant_type", "client_credentials only");
    if (field("scope") != "notify.windows.com") return refused("invalid_scope", "scope is notify.windows.com");
    if (field("client_id") != options.wns_sid || field("client_secret") != options.wns_secret)
        return refused("invalid_client", "Invalid client id or client secret");
    std::scoped_lock const lock(mutex);
    auto const made = base64url(random_bytes(48));
    wns_tokens[made] = wall_clock() + token_life;
    return json_response(
        200, json::object{{"token_type", "bearer"}, {"access_token", made}, {"expires_in", token_life.count()}});
}

http::response tenant::impl::notify(http::request const& r) {
    std::scoped_lock const lock(mutex);
    auto const field = [&](char const* name) { return std::string(r.headers.get(name).value_or("")); };
    auto const token = std::string(find_parameter(parse_query(r.query), "token").value_or(""));
    auto const at = channels.find(token);
    wns_push seen{.at = wall_clock(),
        .channel = wns_origin() + "?" + r.query,
        .device = at == channels.end() ? std::string() : at->second.device,
        .ttl = field("X-WNS-TTL"),
        .cache_policy = field("X-WNS-Cache-Policy"),
        .octets = r.body.size()};
    auto const answer = [&](http::response made) {
        seen.status = made.status;
        wns_pushes.push_back(seen);
        return made;
    };
    if (r.method != "POST" && r.method != "DELETE")
        return answer(refusal(405, "the method is neither POST nor DELETE"));
    auto const bearer = field("Authorization");
    auto const known = bearer.starts_with("Bearer ") ? wns_tokens.find(bearer.substr(7)) : wns_tokens.end();
    if (known == wns_tokens.end() || known->second < seen.at) return answer(refusal(401, "the token is not valid"));
    if (at == channels.end()) return answer(refusal(404, "there is no such channel"));
    if (at->second.expired) return answer(refusal(410, "the channel has expired"));
    if (at->second.pfn != options.wns_pfn) return answer(refusal(403, "the channel is another application's"));
    if (r.body.size() > most_octets) return answer(refusal(413, "over 5000 octets"));
    if (field("X-WNS-Type") != "wns/raw") return answer(refusal(400, "X-WNS-Type is not wns/raw"));
    if (field("Content-Type") != "application/octet-stream")
        return answer(refusal(400, "Content-Type is not application/octet-stream"));
    ++at->second.received;
    return answer({.status = 200,
        .headers = {{"X-WNS-Status", "received"}, {"X-WNS-DeviceConnectionStatus", "connected"},
            {"X-WNS-Msg-ID", hex_upper(random_bytes(8))}, {"X-WNS-Debug-Trace", "SIM"}},
        .body = {}});
}

std::optional<http::response> tenant::impl::wns_control(http::request const& r, json::object const& o) {
    auto const is = [&](char const* method, char const* path) { return r.method == method && r.path == path; };
    auto const none = [] { return json_response(404, json::object{{"error", "there is no such channel"}}); };
    if (is("GET", "/sim/wns")) {
        auto const a = self->wns();
        return json_response(
            200, json::object{{"token_url", a.token_url}, {"sid", a.sid}, {"secret", a.secret}, {"pfn", a.pfn}});
    }
    if (is("GET", "/sim/wns/pushes")) {
        json::array all;
        for (auto const& p : self->pushes()) all.push_back(as_json(p));
        return json_response(200, json::object{{"value", std::move(all)}});
    }
    if (is("POST", "/sim/wns/channels")) {
        auto const made = self->open_channel(text_or(o, "pfn"), text_or(o, "device"));
        return made ? json_response(200, json::object{{"channel", *made}})
                    : json_response(400, json::object{{"error", made.error().detail}});
    }
    if (is("POST", "/sim/wns/received")) {
        std::scoped_lock const lock(mutex);
        auto const at = channels.find(token_of(text_or(o, "channel")));
        return at == channels.end() ? none() : json_response(200, json::object{{"count", at->second.received}});
    }
    if (is("POST", "/sim/wns/expire"))
        return self->expire_channel(text_or(o, "channel")) ? json_response(204, nullptr) : none();
    if (is("DELETE", "/sim/wns/tokens")) {
        self->drop_wns_tokens();
        return json_response(204, nullptr);
    }
    return std::nullopt;
}

wns_account tenant::wns() const {
    auto const& o = impl_->options;
    auto const base = o.wns_login_host.empty() ? impl_->origin : "https://" + o.wns_login_host;
    return {base + "/accesstoken.srf", o.wns_sid, o.wns_secret, o.wns_pfn};
}

std::vector<wns_push> tenant::pushes() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->wns_pushes;
}

result<std::string> tenant::open_channel(std::string const& pfn, std::string const& device_id) {
    if (!is_pfn(pfn)) return fail(errc::malformed, "that is no package family name");
    std::scoped_lock const lock(impl_->mutex);
    for (auto const& [token, c] : impl_->channels)
        if (!c.expired && c.pfn == pfn && c.device == device_id)
            return impl_->wns_origin() + "?token=" + percent_encode(token);
    auto const token = "AwY" + base64(random_bytes(45));
    impl_->channels[token] = {.pfn = pfn, .device = device_id};
    return impl_->wns_origin() + "?token=" + percent_encode(token);
}

bool tenant::expire_channel(std::string const& uri) {
    std::scoped_lock const lock(impl_->mutex);
    auto const at = impl_->channels.find(token_of(uri));
    if (at == impl_->channels.end()) return false;
    at->second.expired = true;
    return true;
}

void tenant::drop_wns_tokens() {
    std::scoped_lock const lock(impl_->mutex);
    impl_->wns_tokens.clear();
}

}  // namespace mdmd::sim
