#include "tenant.hpp"

#include <fcntl.h>

#include "control_client.hpp"
#include "core/descriptor.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "json_read.hpp"
#include "tenant_state.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

constexpr auto secret_life = std::chrono::hours(24 * 180);

std::vector<std::string> server_names(tenant_options const& o) {
    std::vector<std::string> all{"localhost", "127.0.0.1"};
    for (auto const& host : {o.login_host, o.graph_host, o.wns_host, o.wns_login_host})
        if (!host.empty()) all.push_back(host);
    return all;
}

// An answer of which not a byte of the body comes, which ends the connection.
http::response hang_up() {
    auto const nothing = std::make_shared<descriptor const>(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return {.status = 200, .headers = {}, .body = {}, .file = http::file_part{nothing, 0, 1}};
}

// "valid", "refused", "expired" or "removed" for a credential of the application. False: no such state or credential.
template <class T, class F> bool change_state(std::vector<T>& all, std::string const& state, F const& fits) {
    auto const at = std::find_if(all.begin(), all.end(), fits);
    if (at == all.end()) return false;
    if (state == "removed") {
        all.erase(at);
        return true;
    }
    if (state != "refused" && state != "expired" && state != "valid") return false;
    auto const now = wall_clock();
    at->refused = state == "refused";
    if (state == "expired") at->ends = now - std::chrono::hours(1);
    if (state == "valid" && at->ends <= now) at->ends = now + secret_life;
    return true;
}

// The Host field names this host, on the port that https means by itself.
bool names(http::request const& r, std::string const& host) {
    auto const field = r.headers.get("Host").value_or("");
    return !host.empty() && (iequals(field, host) || iequals(field, host + ":443"));
}

}  // namespace

std::string make_client_secret() {
    auto made = base64url(random_bytes(30));
    return made.replace(8, 9, "s1mS3cret");
}

time_point wall_clock() { return system_clock().now(); }

http::response json_response(int status, json::value const& body) {
    return {.status = status,
        .headers = {{"Content-Type", "application/json; charset=utf-8"}},
        .body = body.is_null() ? std::string() : json::serialize(body)};
}

json::object as_json(log_entry const& e) {
    return {{"at", rfc3339_ms(e.at)}, {"what", e.what}, {"method", e.method}, {"path", e.path}, {"status", e.status},
        {"body", e.body}, {"client_request_id", e.client_request_id}};
}

tenant::impl::impl(tenant_options o)
    : options(std::move(o)),
      control_token(base64url(random_bytes(32))),
      authority(make_authority("Simulated tenant root")),
      server_identity(make_server(authority, server_names(options))) {
    if (options.tenant_id.empty()) options.tenant_id = new_guid();
    if (options.client_id.empty()) options.client_id = new_guid();
    options.tenant_id = lower(options.tenant_id);
    options.client_id = lower(options.client_id);
    if (options.wns_secret.empty()) options.wns_secret = make_client_secret();
    if (options.secrets.empty()) options.secrets.push_back(make_client_secret());
    for (auto const& s : options.secrets)
        what.secrets.push_back({.key_id = new_guid(), .value = s, .ends = wall_clock() + secret_life});
    auto const url = [&](std::string const& given, char const* path) {
        return given.empty() ? options.app_id + path : given;
    };
    what.urls = {.terms_of_use = url(options.urls.terms_of_use, "/TermsOfUse"),
        .discovery = url(options.urls.discovery, "/EnrollmentServer/Discovery.svc"),
        .compliance = url(options.urls.compliance, "/compliance")};
    if (options.redirect_uris.empty())
        options.redirect_uris.push_back(options.app_id + "/EnrollmentServer/Auth/Response");
    keys.push_back(make_signing_key());
    keys.push_back(make_signing_key());
}

tenant::tenant(tenant_options o) : impl_(std::make_unique<impl>(std::move(o))) { impl_->self = this; }
tenant::~tenant() { stop(); }

void tenant::start() {
    auto& t = *impl_;
    auto const chain = t.server_identity.own.pem() + t.authority.own.pem();
    auto tls = http::make_tls(
        {.certificate_pem = chain, .key_pem = mdmd::secret(t.server_identity.key.pem()), .client_authority_pem = {}});
    if (!tls) throw std::runtime_error(tls.error().detail);
    t.server = std::make_unique<http::server>(1u, 8u);
    auto const port = t.server->listen(t.options.listen_address, t.options.listen_port,
        {{.host = "localhost", .tls = tls.value(), .handle = [&t](http::request const& r) { return t.handle(r); }}});
    t.options.listen_port = port;  // the same again after a stop()
    t.origin = fmt::format("https://localhost:{}", port);
    t.login_origin = t.options.login_host.empty() ? t.origin : "https://" + t.options.login_host;
    t.graph_origin = t.options.graph_host.empty() ? t.origin : "https://" + t.options.graph_host;
    if (!t.options.directory.empty()) {
        std::filesystem::create_directories(t.options.directory);
        write_text(t.options.directory / "tenant-ca.pem", ca_pem(), false);
        json::object const about{{"url", url()}, {"login_url", login_url()}, {"graph_url", graph_url()},
            {"address", address()}, {"tenant_id", tenant_id()}, {"client_id", client_id()}, {"app_id", app_id()},
            {"ca", "tenant-ca.pem"}, {"control_token", control_token()}};
        write_text(t.options.directory / "tenant.json", json::serialize(about) + "\n", true);
    }
    t.server->start();
}

void tenant::stop() {
    if (impl_->server) impl_->server->stop(std::chrono::seconds(1));
    impl_->server.reset();
}

std::string tenant::url() const { return impl_->origin; }
std::string tenant::login_url() const { return impl_->login_origin; }
std::string tenant::graph_url() const { return impl_->graph_origin; }
std::string tenant::address() const {
    return fmt::format("{}:{}", impl_->options.listen_address, impl_->options.listen_port);
}
std::string tenant::ca_pem() const { return impl_->authority.own.pem(); }
std::string tenant::control_token() const { return impl_->control_token; }
std::string tenant::tenant_id() const { return impl_->options.tenant_id; }
std::string tenant::client_id() const { return impl_->options.client_id; }
std::string tenant::app_id() const { return impl_->options.app_id; }
std::string tenant::secret() const { return impl_->options.secrets.front(); }

result<user> tenant::add_user(std::string upn, std::string display_name, std::string id) {
    std::scoped_lock const lock(impl_->mutex);
    if (upn.find('@') == upn.npos) return fail(errc::malformed, "a user principal name is name@domain");
    if (impl_->what.find_user(upn)) return fail(errc::conflict, fmt::format("{} exists already", upn));
    if (display_name.empty()) display_name = upn.substr(0, upn.find('@'));
    impl_->what.users.push_back(
        {.id = id.empty() ? new_guid() : lower(id), .upn = std::move(upn), .display_name = std::move(display_name)});
    return impl_->what.users.back();
}

bool tenant::set_user_enabled(std::string const& id_or_upn, bool enabled) {
    std::scoped_lock const lock(impl_->mutex);
    for (auto& u : impl_->what.users)
        if (iequals(u.id, id_or_upn) || iequals(u.upn, id_or_upn)) {
            u.enabled = enabled;
            return true;
        }
    return false;
}

bool tenant::remove_user(std::string const& id_or_upn) {
    std::scoped_lock const lock(impl_->mutex);
    return std::erase_if(impl_->what.users,
               [&](user const& u) { return iequals(u.id, id_or_upn) || iequals(u.upn, id_or_upn); }) > 0;
}

result<group> tenant::add_group(std::string name, std::vector<std::string> const& members, std::string id) {
    {
        std::scoped_lock const lock(impl_->mutex);
        if (impl_->what.find_group(name)) return fail(errc::conflict, fmt::format("{} exists already", name));
        impl_->what.groups.push_back({.id = id.empty() ? new_guid() : lower(id), .name = name, .members = {}});
    }
    for (auto const& m : members)
        if (auto const added = add_member(name, m); !added) return added.error();
    std::scoped_lock const lock(impl_->mutex);
    return *impl_->what.find_group(name);
}

result<void> tenant::add_member(std::string const& group_id_or_name, std::string const& member) {
    std::scoped_lock const lock(impl_->mutex);
    auto* const g = impl_->what.find_group(group_id_or_name);
    if (!g) return fail(errc::not_found, fmt::format("no group {}", group_id_or_name));
    if (auto const* const u = impl_->what.find_user(member))
        g->members.insert(u->id);
    else if (auto const* const inner = impl_->what.find_group(member))
        g->members.insert(inner->id);
    else if (impl_->what.knows_object(member))
        g->members.insert(lower(member));
    else
        return fail(errc::not_found, fmt::format("no user, group or device {}", member));
    return {};
}

result<entra_device> tenant::add_device(
    std::string const& upn, std::string name, std::string const& trust, std::string os_version, std::string os) {
    std::scoped_lock const lock(impl_->mutex);
    if (trust != "joined" && trust != "workplace") return fail(errc::malformed, "trust: joined or workplace");
    auto const* const owner = impl_->what.find_user(upn);
    if (!owner) return fail(errc::not_found, fmt::format("no user {}", upn));
    impl_->what.devices.push_back({.object_id = new_guid(),
        .device_id = new_guid(),
        .name = std::move(name),
        .owner = owner->id,
        .trust = trust == "joined" ? "AzureAd" : "Workplace",
        .os = std::move(os),
        .os_version = std::move(os_version),
        .is_managed = std::nullopt,
        .is_compliant = std::nullopt,
        .registered = wall_clock()});
    return impl_->what.devices.back();
}

bool tenant::hide_device(std::string const& device_id, bool hidden) {
    std::scoped_lock const lock(impl_->mutex);
    auto* const d = impl_->what.by_device_id(device_id);
    if (d) d->hidden = hidden;
    return d != nullptr;
}

bool tenant::remove_device(std::string const& device_id) {
    std::scoped_lock const lock(impl_->mutex);
    return std::erase_if(impl_->what.devices, [&](auto const& d) { return iequals(d.device_id, device_id); }) > 0;
}

std::vector<entra_device> tenant::devices() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->what.devices;
}

result<std::string> tenant::make(token_order const& order) {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->make_locked(order);
}

std::string tenant::rotate_keys(bool keep_previous) {
    auto fresh = make_signing_key();
    std::scoped_lock const lock(impl_->mutex);
    impl_->keys.insert(impl_->keys.begin(), std::move(fresh));
    auto const kept = std::min<std::size_t>(impl_->keys.size(), keep_previous ? 3 : 1);
    impl_->keys.erase(impl_->keys.begin() + static_cast<std::ptrdiff_t>(kept), impl_->keys.end());
    return impl_->keys.front().kid;
}

std::string tenant::add_secret(std::string value, time_point ends) {
    std::scoped_lock const lock(impl_->mutex);
    impl_->what.secrets.push_back({.key_id = new_guid(), .value = std::move(value), .ends = ends});
    return impl_->what.secrets.back().key_id;
}

bool tenant::set_secret(std::string const& value, std::string const& state) {
    std::scoped_lock const lock(impl_->mutex);
    return change_state(impl_->what.secrets, state, [&](app_secret const& s) { return s.value == value; });
}

result<std::string> tenant::add_certificate(std::string_view pem, std::optional<time_point> ends) {
    auto const own = certificate::from_pem(pem);
    if (!own) return own.error();
    std::scoped_lock const lock(impl_->mutex);
    for (auto const& c : impl_->what.certificates)
        if (c.own.der() == own->der()) return fail(errc::conflict, "the certificate is registered already");
    impl_->what.certificates.push_back({.key_id = new_guid(), .own = *own, .ends = ends.value_or(own->ends())});
    return own->thumbprint();
}

bool tenant::set_certificate(std::string const& thumbprint, std::string const& state) {
    std::scoped_lock const lock(impl_->mutex);
    return change_state(impl_->what.certificates, state,
        [&](app_certificate const& c) { return iequals(c.own.thumbprint(), thumbprint); });
}

void tenant::set_mdm_urls(mdm_urls urls) {
    std::scoped_lock const lock(impl_->mutex);
    auto& now = impl_->what.urls;
    if (!urls.terms_of_use.empty()) now.terms_of_use = std::move(urls.terms_of_use);
    if (!urls.discovery.empty()) now.discovery = std::move(urls.discovery);
    if (!urls.compliance.empty()) now.compliance = std::move(urls.compliance);
}

void tenant::refuse_sign_ins(std::string error, int aadsts) {
    std::scoped_lock const lock(impl_->mutex);
    impl_->sign_in_error = std::move(error);
    impl_->sign_in_aadsts = aadsts;
}

void tenant::set_roles(std::set<std::string> roles) {
    std::scoped_lock const lock(impl_->mutex);
    impl_->what.roles = std::move(roles);
}

void tenant::add_fault(fault_rule rule) {
    std::scoped_lock const lock(impl_->mutex);
    impl_->faults.add(std::move(rule));
}

void tenant::clear_faults() {
    std::scoped_lock const lock(impl_->mutex);
    impl_->faults.clear();
}

std::vector<log_entry> tenant::log() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->entries;
}

http::response tenant::impl::handle(http::request const& r) {
    auto const on_login = names(r, options.login_host), on_graph = names(r, options.graph_host);
    auto const on_wns = names(r, options.wns_host), on_wns_login = names(r, options.wns_login_host);
    auto const for_graph = r.path.starts_with("/v1.0/") || r.path.starts_with("/beta/");
    auto const nothing_here = [] { return json_response(404, json::object{{"error", "not_found"}}); };
    auto const on_any = on_login || on_graph || on_wns || on_wns_login;
    if (r.path.starts_with("/sim/")) return on_any ? nothing_here() : control(r);
    auto const for_wns = r.path == "/" || r.path == "/wns/", for_wns_login = r.path == "/accesstoken.srf";
    auto const& its_host = for_graph       ? options.graph_host
                           : for_wns       ? options.wns_host
                           : for_wns_login ? options.wns_login_host
                                           : options.login_host;
    if (its_host.empty() ? on_any : !names(r, its_host)) return nothing_here();
    std::optional<fault_rule> fault;
    {
        std::scoped_lock const lock(mutex);
        fault = faults.take(r.method, r.path);
    }
    if (fault) std::this_thread::sleep_for(fault->delay);
    if (!fault || (fault->status == 0 && !fault->drop)) return serve(r);
    if (fault->apply) {
        serve(r);
    } else {
        std::scoped_lock const lock(mutex);
        auto const writes = r.path.starts_with("/v1.0/") && r.method != "GET";
        if (writes || r.path.ends_with("/oauth2/v2.0/token"))
            entries.push_back({.at = wall_clock(),
                .what = writes ? "graph" : "token",
                .method = r.method,
                .path = r.path,
                .status = fault->status,
                .body = "answered by a fault",
                .client_request_id = std::string(r.headers.get("client-request-id").value_or(""))});
        if (for_wns)
            wns_pushes.push_back(
                {.at = wall_clock(), .channel = wns_origin() + "?" + r.query, .status = fault->status});
    }
    if (fault->drop) return hang_up();
    return {.status = fault->status, .headers = fault->headers, .body = fault->body};
}

http::response tenant::impl::serve(http::request const& r) {
    auto const nothing_here = [] { return json_response(404, json::object{{"error", "not_found"}}); };
    if (r.path.starts_with("/v1.0/") || r.path.starts_with("/beta/")) return graph_request(r);
    if (r.path == "/" || r.path == "/wns/") return notify(r);
    if (r.path == "/accesstoken.srf") return wns_token(r);
    auto const cut = r.path.find('/', 1);
    if (cut != r.path.npos)
        return login(r, std::string_view(r.path).substr(1, cut - 1), std::string_view(r.path).substr(cut));
    return nothing_here();
}

}  // namespace mdmd::sim
