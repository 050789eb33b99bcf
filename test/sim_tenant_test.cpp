#include <boost/json.hpp>

#include "core/random.hpp"
#include "core/text.hpp"
#include "http/client.hpp"
#include "sim/control_client.hpp"
#include "sim/json_read.hpp"
#include "sim/tenant.hpp"
#include "test/support.hpp"

namespace json = boost::json;
using namespace mdmd;

namespace {

// One running tenant for all tests of this program that do not change what others see.
class running_tenant {
public:
    explicit running_tenant(sim::tenant_options const& o = {}) : tenant(o) {
        tenant.start();
        http::client_options c;
        c.extra_roots_pem = tenant.ca_pem();
        c.system_roots = false;
        for (auto const& host : {o.login_host, o.graph_host})
            if (!host.empty()) c.connect_to[host + ":443"] = tenant.address();
        client.emplace(std::move(c));
    }

    http::response send(
        std::string const& method, std::string const& path, http::fields headers = {}, std::string body = {}) {
        return send_to(tenant.url(), method, path, std::move(headers), std::move(body));
    }
    http::response send_to(std::string const& origin, std::string const& method, std::string const& path,
        http::fields headers = {}, std::string body = {}) {
        auto r = client->send(
            {.method = method, .url = origin + path, .headers = std::move(headers), .body = std::move(body)});
        REQUIRE(r);
        return *r;
    }
    json::object get_json(std::string const& path) { return json::parse(send("GET", path).body).as_object(); }

    std::string login(std::string const& rest) { return "/" + tenant.tenant_id() + rest; }
    http::response ask_token(std::string const& id, std::string const& secret, std::string const& scope) {
        return post_token({{"client_id", id}, {"client_secret", secret}, {"scope", scope}});
    }
    http::response post_token(parameters const& fields) {
        std::string body = "grant_type=client_credentials";
        for (auto const& [name, value] : fields) body += "&" + name + "=" + percent_encode(value);
        return send_to(tenant.login_url(), "POST", login("/oauth2/v2.0/token"),
            {{"Content-Type", "application/x-www-form-urlencoded"}}, std::move(body));
    }
    // By certificate.
    http::response ask_token(std::string const& assertion) {
        return post_token({{"client_id", tenant.client_id()}, {"scope", tenant.graph_url() + "/.default"},
            {"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
            {"client_assertion", assertion}});
    }
    std::string graph_token() {
        auto const r = ask_token(tenant.client_id(), tenant.secret(), tenant.graph_url() + "/.default");
        REQUIRE(r.status == 200);
        return sim::text_or(json::parse(r.body).as_object(), "access_token");
    }
    http::response graph(std::string const& method, std::string const& path, std::string body = {},
        std::string const& type = "application/json") {
        if (token_.empty()) token_ = graph_token();
        http::fields h{{"Authorization", "Bearer " + token_}, {"client-request-id", "c-1"}};
        if (!body.empty()) h.add("Content-Type", type);
        return send_to(tenant.graph_url(), method, "/v1.0" + path, h, std::move(body));
    }
    http::response beta(std::string const& path) {
        return send_to(tenant.graph_url(), "GET", "/beta" + path, {{"Authorization", "Bearer " + graph_token()}});
    }

    sim::tenant tenant;
    std::optional<http::client> client;

private:
    std::string token_;
};

// A member that is a string, of an object or of a value that is one.
std::string text(json::value const& v, char const* name) { return json::value_to<std::string>(v.at(name)); }

std::string error_code(http::response const& r) {
    return sim::text_or(sim::object_or_empty(json::parse(r.body).as_object(), "error"), "code");
}

// The text with the first of these words, if it is there, replaced.
std::string filled(std::string text, std::vector<std::pair<std::string, std::string>> const& words) {
    for (auto const& [word, value] : words)
        if (auto const at = text.find(word); at != text.npos) return text.replace(at, word.size(), value);
    return text;
}

json::object claims_of(std::string const& token) { return json::parse(*unbase64url(split(token, '.')[1])).as_object(); }
json::object header_of(std::string const& token) { return json::parse(*unbase64url(split(token, '.')[0])).as_object(); }

// The AADSTS code of a refusal, 0 for a token.
std::int64_t code_of(http::response const& r) {
    return r.status == 200 ? 0 : json::parse(r.body).at("error_codes").at(0).as_int64();
}

// What an application proves with: a certificate, and how its assertions are made.
struct prover {
    sim::private_key key = sim::private_key::rsa(2048);
    sim::certificate own = sim::self_signed(key, "mdmd");

    static json::object claims(sim::tenant const& t) {
        auto const now = to_ms(system_clock().now()) / 1000;
        return {{"aud", t.login_url() + "/" + t.tenant_id() + "/oauth2/v2.0/token"}, {"iss", t.client_id()},
            {"sub", t.client_id()}, {"jti", "f2c1d9a0"}, {"nbf", now}, {"iat", now}, {"exp", now + 600}};
    }
    json::object header(bool pss) const {
        json::object h{{"alg", pss ? "PS256" : "RS256"}, {"typ", "JWT"}};
        h[pss ? "x5t#S256" : "x5t"] = base64url(pss ? sim::sha256(own.der()) : sim::sha1(own.der()));
        return h;
    }
    std::string sign(json::object const& header, json::object const& claims, int salt = 32) const {
        auto const head = base64url(json::serialize(header)) + "." + base64url(json::serialize(claims));
        auto const pss = sim::text_or(header, "alg") == "PS256";
        return head + "." + base64url(pss ? key.sign_pss_sha256(head, salt) : key.sign_sha256(head));
    }
};

}  // namespace

TEST_CASE("the metadata of both versions name their issuer and their keys on the tenant's own origin", "[sim]") {
    running_tenant t;
    auto const id = t.tenant.tenant_id(), url = t.tenant.url();
    auto const v1 = t.get_json(t.login("/.well-known/openid-configuration"));
    auto const v2 = t.get_json(t.login("/v2.0/.well-known/openid-configuration"));
    CHECK(text(v1, "issuer") == "https://sts.windows.net/" + id + "/");
    CHECK(text(v1, "jwks_uri") == url + "/" + id + "/discovery/keys");
    CHECK(text(v2, "issuer") == url + "/" + id + "/v2.0");
    CHECK(text(v2, "jwks_uri") == url + "/" + id + "/discovery/v2.0/keys");
    for (auto const* path : {"/discovery/keys", "/discovery/v2.0/keys"}) {
        auto const keys = t.get_json(t.login(path)).at("keys").as_array();
        REQUIRE(keys.size() >= 2);
        for (auto const& k : keys) {
            CHECK(text(k, "kty") == "RSA");
            CHECK(text(k, "use") == "sig");
            CHECK(unbase64url(json::value_to<std::string>(k.at("n")))->size() == 256);
            CHECK(k.as_object().contains("issuer") == (std::string_view(path).find("v2.0") != std::string_view::npos));
            auto const der = unbase64(json::value_to<std::string>(k.at("x5c").at(0)));
            REQUIRE(der);
            CHECK(json::value_to<std::string>(k.at("x5t")) == base64url(sim::sha1(*der)));
        }
    }
    CHECK(t.send("GET", "/" + std::string(36, '0') + "/v2.0/.well-known/openid-configuration").status == 400);
}

TEST_CASE("the token endpoint says what is wrong with a request as Entra does", "[sim]") {
    running_tenant t;
    t.tenant.add_secret("old-secret-value", system_clock().now() - std::chrono::hours(1));
    // Rows are made once and every row gets a tenant of its own: its ids are filled in later.
    auto const [id, key, scope, status, code, error] =
        GENERATE(table<std::string, std::string, std::string, int, int, char const*>(
            {{"ID", "wrong", "URL/.default", 401, 7000215, "invalid_client"},
                {"ID", "old-secret-value", "URL/.default", 401, 7000222, "invalid_client"},
                {"ID", "", "URL/.default", 401, 7000218, "invalid_client"},
                {"11111111-2222-3333-4444-555555555555", "KEY", "URL/.default", 400, 700016, "unauthorized_client"},
                {"ID", "KEY", "URL/.default ", 400, 70011, "invalid_scope"},
                {"ID", "KEY", "URL", 400, 70011, "invalid_scope"},
                {"ID", "KEY", "https://graph.microsoft.com/.default", 400, 500011, "invalid_resource"}}));
    CAPTURE(code);
    auto const r = t.ask_token(filled(id, {{"ID", t.tenant.client_id()}}), filled(key, {{"KEY", t.tenant.secret()}}),
        filled(scope, {{"URL", t.tenant.url()}}));
    auto const o = json::parse(r.body).as_object();
    CHECK(r.status == status);
    CHECK(text(o, "error") == error);
    CHECK(o.at("error_codes").at(0).as_int64() == code);
    CHECK(sim::text_or(o, "error_description").starts_with("AADSTS" + std::to_string(code)));
    CHECK(o.contains("trace_id"));
    CHECK(o.contains("correlation_id"));
}

TEST_CASE("a token request must be a form post for this tenant", "[sim]") {
    running_tenant t;
    auto const body = "grant_type=client_credentials&client_id=" + t.tenant.client_id() +
                      "&client_secret=" + percent_encode(t.tenant.secret()) +
                      "&scope=" + percent_encode(t.tenant.url() + "/.default");
    http::fields const form{{"Content-Type", "application/x-www-form-urlencoded"}};
    CHECK(t.send("POST", t.login("/oauth2/v2.0/token"), form, body).status == 200);
    CHECK(t.send("POST", t.login("/oauth2/v2.0/token"), {{"Content-Type", "application/json"}}, body).status == 400);
    auto const elsewhere = t.send("POST", "/contoso.onmicrosoft.com/oauth2/v2.0/token", form, body);
    CHECK(elsewhere.status == 400);
    CHECK(json::parse(elsewhere.body).at("error_codes").at(0) == 90002);
}

TEST_CASE("a registered certificate proves the application, by PS256 or RS256", "[sim]") {
    running_tenant t;
    prover const p;
    auto const thumbprint = t.tenant.add_certificate(p.own.pem());
    REQUIRE(thumbprint);
    CHECK(*thumbprint == p.own.thumbprint());
    CHECK(t.tenant.add_certificate(p.own.pem()).error().code == errc::conflict);
    CHECK(t.tenant.add_certificate("no certificate").error().code == errc::malformed);
    for (auto const pss : {true, false}) {
        CAPTURE(pss);
        auto const r = t.ask_token(p.sign(p.header(pss), prover::claims(t.tenant)));
        REQUIRE(r.status == 200);
        auto const token = text(json::parse(r.body), "access_token");
        CHECK(text(claims_of(token), "appidacr") == "2");
        CHECK(t.send("GET", "/v1.0/devices", {{"Authorization", "Bearer " + token}}).status == 200);
    }
    auto const log = t.tenant.log();
    REQUIRE(log.size() == 2);
    CHECK(log[0].body.at("key_id") == log[1].body.at("key_id"));
    CHECK_FALSE(log[0].body.as_object().contains("assertion_repeated"));
    CHECK(log[1].body.at("assertion_repeated").as_bool());  // taken all the same, as Entra does
}

TEST_CASE("an assertion that is not exactly right is refused with Entra's code for what is wrong", "[sim]") {
    running_tenant t;
    prover const p;
    REQUIRE(t.tenant.add_certificate(p.own.pem()));
    auto const now = to_ms(system_clock().now()) / 1000;
    auto const id = t.tenant.client_id();
    struct row {
        char const* what;
        json::object header, claims;  // laid over good ones; null removes
        int code;
    };
    auto const other_tenant = t.tenant.url() + "/" + new_guid() + "/oauth2/v2.0/token";
    auto const v1 = t.tenant.url() + "/" + t.tenant.tenant_id() + "/oauth2/token";
    std::vector<row> const rows{
        {"good", {}, {}, 0},
        {"ends too late", {}, {{"exp", now + 3700}}, 700024},
        {"has ended", {}, {{"nbf", now - 600}, {"exp", now - 1}}, 700024},
        {"begins later", {}, {{"nbf", now + 60}}, 700024},
        {"without exp", {}, {{"exp", nullptr}}, 700024},
        {"without nbf", {}, {{"nbf", nullptr}}, 700024},
        {"exp is text", {}, {{"exp", std::to_string(now + 600)}}, 700024},
        {"another iss", {}, {{"iss", new_guid()}}, 700021},
        {"another sub", {}, {{"sub", new_guid()}}, 700021},
        {"without sub", {}, {{"sub", nullptr}}, 700021},
        {"aud of another tenant", {}, {{"aud", other_tenant}}, 700023},
        {"aud of v1", {}, {{"aud", v1}}, 700023},
        {"aud is the issuer", {}, {{"aud", t.tenant.url() + "/" + t.tenant.tenant_id() + "/v2.0"}}, 700023},
        {"without aud", {}, {{"aud", nullptr}}, 700023},
        {"unknown thumbprint", {{"x5t#S256", base64url(std::string(32, 'x'))}}, {}, 700027},
        {"SHA-1 under x5t#S256", {{"x5t#S256", base64url(sim::sha1(p.own.der()))}}, {}, 50027},
        {"x5t for PS256", {{"x5t#S256", nullptr}, {"x5t", base64url(sim::sha1(p.own.der()))}}, {}, 50027},
        {"another alg", {{"alg", "PS384"}}, {}, 50027},
        {"no alg", {{"alg", "none"}}, {}, 50027},
        {"crit", {{"crit", json::array{"exp"}}}, {}, 50027},
    };
    for (auto const& r : rows) {
        CAPTURE(r.what);
        auto header = p.header(true);
        auto claims = prover::claims(t.tenant);
        sim::overlay(header, r.header);
        sim::overlay(claims, r.claims);
        CHECK(code_of(t.ask_token(p.sign(header, claims))) == r.code);
    }
    auto const good = p.sign(p.header(true), prover::claims(t.tenant));
    CHECK(code_of(t.ask_token(p.sign(p.header(true), prover::claims(t.tenant), 20))) == 700027);  // another salt length
    prover forger;
    CHECK(code_of(t.ask_token(forger.sign(p.header(true), prover::claims(t.tenant)))) == 700027);
    CHECK(code_of(t.ask_token(forger.sign(forger.header(true), prover::claims(t.tenant)))) == 700027);
    auto const cross = p.sign(p.header(false), prover::claims(t.tenant));  // RS256's signature for PS256
    auto const parts = split(good, '.');
    CHECK(code_of(t.ask_token(std::string(parts[0]) + "." + std::string(parts[1]) + "." +
                              std::string(split(cross, '.')[2]))) == 700027);
    CHECK(code_of(t.ask_token("nonsense")) == 50027);
    CHECK(code_of(t.ask_token(good + ".x")) == 50027);
}

TEST_CASE("a token request holds one credential, and says what kind it is", "[sim]") {
    running_tenant t;
    prover const p;
    REQUIRE(t.tenant.add_certificate(p.own.pem()));
    parameters const common{{"client_id", t.tenant.client_id()}, {"scope", t.tenant.url() + "/.default"}};
    auto const code = [&](parameters more) {
        more.insert(more.begin(), common.begin(), common.end());
        return code_of(t.post_token(more));
    };
    auto const jwt = p.sign(p.header(true), prover::claims(t.tenant));
    std::string const type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    CHECK(code({{"client_assertion_type", type}, {"client_assertion", jwt}}) == 0);
    CHECK(code({{"client_assertion", jwt}}) == 900144);
    CHECK(code({{"client_assertion_type", type + "x"}, {"client_assertion", jwt}}) == 90023);
    CHECK(code({{"client_assertion_type", type}}) == 7000218);
    CHECK(code({{"client_assertion_type", type}, {"client_assertion", jwt}, {"client_secret", t.tenant.secret()}}) ==
          7000216);
}

TEST_CASE("certificates can be refused, made to expire and removed while the tenant runs", "[sim]") {
    running_tenant t;
    prover const p;
    auto const thumbprint = t.tenant.add_certificate(p.own.pem()).value();
    auto const code = [&](prover const& by) {
        return code_of(t.ask_token(by.sign(by.header(true), prover::claims(t.tenant))));
    };
    for (auto const* state : {"refused", "expired", "removed"}) {
        CAPTURE(state);
        CHECK(code(p) == 0);
        CHECK(t.tenant.set_certificate(thumbprint, state));
        CHECK(code(p) == 700027);
        t.tenant.set_certificate(thumbprint, "valid");
    }
    CHECK_FALSE(t.tenant.set_certificate(thumbprint, "valid"));
    prover ended;
    ended.own = sim::self_signed(ended.key, "mdmd", 0);
    REQUIRE(t.tenant.add_certificate(ended.own.pem()));
    CHECK(code(ended) == 700027);
    REQUIRE(t.tenant.set_certificate(ended.own.thumbprint(), "valid"));
    CHECK(code(ended) == 700027);  // nobody can make it last longer than it says itself
}

TEST_CASE("a cloud's hosts have a half of the tenant each, under their own names", "[sim]") {
    auto const [login, graph, v1_issuer, cloud] = GENERATE(table<std::string, std::string, std::string, std::string>({
        {"login.microsoftonline.com", "graph.microsoft.com", "sts.windows.net", "microsoftonline.com"},
        {"login.microsoftonline.us", "graph.microsoft.us", "sts.windows.net", "microsoftonline.us"},
        {"login.microsoftonline.us", "dod-graph.microsoft.us", "sts.windows.net", "microsoftonline.us"},
        {"login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn", "sts.chinacloudapi.cn",
            "partner.microsoftonline.cn"},
    }));
    CAPTURE(graph);
    sim::tenant_options o;
    o.login_host = login;
    o.graph_host = graph;
    running_tenant t(o);
    auto const id = t.tenant.tenant_id(), login_url = "https://" + login, graph_url = "https://" + graph;
    CHECK(t.tenant.login_url() == login_url);
    CHECK(t.tenant.graph_url() == graph_url);
    auto const metadata = [&](char const* path) {
        return json::parse(t.send_to(login_url, "GET", t.login(path)).body).as_object();
    };
    auto const v1 = metadata("/.well-known/openid-configuration"),
               v2 = metadata("/v2.0/.well-known/openid-configuration");
    CHECK(text(v1, "issuer") == "https://" + v1_issuer + "/" + id + "/");
    CHECK(text(v2, "issuer") == login_url + "/" + id + "/v2.0");
    CHECK(text(v1, "jwks_uri") == login_url + "/" + id + "/discovery/keys");
    CHECK(text(v2, "token_endpoint") == login_url + "/" + id + "/oauth2/v2.0/token");
    CHECK(text(v2, "cloud_instance_name") == cloud);
    CHECK(text(v2, "msgraph_host") == graph);
    CHECK(t.send_to(login_url, "GET", t.login("/discovery/v2.0/keys")).status == 200);

    auto const scope = graph_url + "/.default";
    auto const got = t.ask_token(t.tenant.client_id(), t.tenant.secret(), scope);
    REQUIRE(got.status == 200);
    auto const token = text(json::parse(got.body), "access_token");
    CHECK(text(claims_of(token), "aud") == graph_url);
    CHECK(text(claims_of(token), "iss") == text(v1, "issuer"));
    CHECK(code_of(t.ask_token(t.tenant.client_id(), t.tenant.secret(), t.tenant.url() + "/.default")) == 500011);
    CHECK(t.graph("GET", "/devices").status == 200);

    // Nothing of one is found at another.
    http::fields const bearer{{"Authorization", "Bearer " + token}};
    CHECK(t.send_to(login_url, "GET", "/v1.0/devices", bearer).status == 404);
    CHECK(t.send("GET", "/v1.0/devices", bearer).status == 404);
    CHECK(t.send_to(graph_url, "GET", t.login("/discovery/v2.0/keys")).status == 404);
    CHECK(t.send("GET", t.login("/discovery/v2.0/keys")).status == 404);
    http::fields const steering{{"Authorization", "Bearer " + t.tenant.control_token()}};
    CHECK(t.send("GET", "/sim/tenant", steering).status == 200);
    CHECK(t.send_to(login_url, "GET", "/sim/tenant", steering).status == 404);
    CHECK(t.send_to(graph_url, "GET", "/sim/tenant", steering).status == 404);

    REQUIRE(t.tenant.add_user("ada@contoso.com"));
    sim::token_order order{.upn = "ada@contoso.com", .device_id = {}, .claims = {}, .header = {}};
    CHECK(text(claims_of(t.tenant.make(order).value()), "iss") == text(v2, "issuer"));
    prover const p;
    REQUIRE(t.tenant.add_certificate(p.own.pem()));
    CHECK(t.ask_token(p.sign(p.header(true), prover::claims(t.tenant))).status == 200);
}

TEST_CASE("Graph takes what an MDM may say of a Windows device and refuses the rest", "[sim]") {
    running_tenant t;
    REQUIRE(t.tenant.add_user("ada@contoso.com"));
    auto const d = t.tenant.add_device("ada@contoso.com", "PC", "joined").value();
    auto const phone = t.tenant.add_device("ada@contoso.com", "Phone", "workplace", "17.0", "iOS").value();
    std::string const good = R"({"isManaged":true,"isCompliant":false})";
    auto const [path, body, type, status, code] =
        GENERATE(table<std::string, std::string, std::string, int, std::string>(
            {{"/devices/OBJECT", "GOOD", "application/json", 204, ""},
                {"/devices(deviceId='DEVICE')", "GOOD", "application/json; charset=utf-8", 204, ""},
                {"/devices/OBJECT", R"({"isCompliant":"false"})", "application/json", 400, "Request_BadRequest"},
                {"/devices/OBJECT", R"({"isCompliant":1})", "application/json", 400, "Request_BadRequest"},
                {"/devices/OBJECT", R"({"isCompliant":true,"mdmAppId":"x"})", "application/json", 400,
                    "Request_BadRequest"},
                {"/devices/OBJECT", "GOOD", "text/plain", 400, "Request_BadRequest"},
                {"/devices/OBJECT", "{", "application/json", 400, "Request_BadRequest"},
                {"/devices/PHONE", "GOOD", "application/json", 400, "Request_BadRequest"},
                {"/devices/DEVICE", "GOOD", "application/json", 404, "Request_ResourceNotFound"},
                {"/devices(deviceId='OBJECT')", "GOOD", "application/json", 404, "Request_ResourceNotFound"}}));
    CAPTURE(path, body, type);
    auto const got =
        t.graph("PATCH", filled(path, {{"OBJECT", d.object_id}, {"DEVICE", d.device_id}, {"PHONE", phone.object_id}}),
            filled(body, {{"GOOD", good}}), type);
    CHECK(got.status == status);
    CHECK(got.headers.get("client-request-id") == "c-1");
    if (status == 204) {
        CHECK(got.body.empty());
        CHECK(t.tenant.devices().front().is_managed == true);
        CHECK(t.tenant.devices().front().is_compliant == false);
        auto const log = t.tenant.log().back();
        CHECK(log.what == "graph");
        CHECK(log.status == 204);
        CHECK(json::serialize(log.body) == good);
    } else {
        CHECK(error_code(got) == code);
        CHECK_FALSE(t.tenant.devices().front().is_managed.has_value());
    }
}

TEST_CASE("a device is found by its device id, with the properties that were asked for", "[sim]") {
    running_tenant t;
    REQUIRE(t.tenant.add_user("ada@contoso.com"));
    auto const d = t.tenant.add_device("ada@contoso.com", "PC", "joined").value();
    auto const find = [&](std::string const& filter, std::string const& more = "") {
        return t.graph("GET", "/devices?$filter=" + percent_encode(filter) + more);
    };
    auto const found = find("deviceId eq '" + d.device_id + "'", "&$select=id,deviceId");
    REQUIRE(found.status == 200);
    auto const list = json::parse(found.body).at("value").as_array();
    REQUIRE(list.size() == 1);
    CHECK(list[0] == json::value(json::object{{"id", d.object_id}, {"deviceId", d.device_id}}));
    CHECK(json::parse(find("deviceId eq '00000000-0000-0000-0000-000000000000'").body).at("value").as_array().empty());
    CHECK(find("deviceId eq 'no guid'").status == 400);
    CHECK(find("deviceId = 'x'").status == 400);
    CHECK(find("deviceId eq '" + d.device_id + "'", "&$select=shoeSize").status == 400);
    CHECK(t.graph("GET", "/devices/" + d.object_id).status == 200);
    CHECK(t.graph("GET", "/toasters").status == 400);
}

TEST_CASE("who registered a device is its owner, by either of its ids", "[sim]") {
    running_tenant t;
    auto const ada = t.tenant.add_user("ada@contoso.com").value();
    auto const d = t.tenant.add_device("ada@contoso.com", "PC", "workplace").value();
    auto const owners = [&](std::string const& key, std::string const& query = "") {
        return t.send_to(t.tenant.graph_url(), "GET", "/v1.0/devices" + key + "/registeredOwners" + query,
            {{"Authorization", "Bearer " + t.graph_token()}});
    };
    auto const by_device_id = "(deviceId='" + d.device_id + "')";
    for (auto const& key : {by_device_id, "/" + d.object_id}) {
        auto const got = owners(key, "?$select=id");
        REQUIRE(got.status == 200);
        CHECK(json::parse(got.body).at("value") == json::value(json::array{json::object{{"id", ada.id}}}));
    }
    CHECK(owners("(deviceId='" + d.object_id + "')").status == 404);
    CHECK(owners("/" + d.device_id).status == 404);
    CHECK(owners(by_device_id, "?$select=shoeSize").status == 400);
    CHECK(owners(by_device_id, "?$orderby=id").status == 400);
    t.tenant.set_roles({"User.Read.All"});
    CHECK(owners(by_device_id).status == 403);
    t.tenant.set_roles({"Device.Read.All"});
    CHECK(owners(by_device_id).status == 200);
}

TEST_CASE("Graph wants a token of this tenant for Graph, with the role", "[sim]") {
    running_tenant t;
    REQUIRE(t.tenant.add_user("ada@contoso.com"));
    auto const d = t.tenant.add_device("ada@contoso.com", "PC", "joined").value();
    auto const path = "/v1.0/devices/" + d.object_id;
    auto const with = [&](std::string const& authorization) {
        return t.send("GET", path, {{"Authorization", authorization}});
    };
    CHECK(t.send("GET", path).status == 401);
    CHECK(error_code(t.send("GET", path)) == "InvalidAuthenticationToken");
    CHECK(with("Bearer nonsense").status == 401);
    sim::token_order order{.upn = "ada@contoso.com", .device_id = {}, .claims = {}, .header = {}};
    CHECK(with("Bearer " + t.tenant.make(order).value()).status == 401);  // for the MDM, not for Graph
    order.claims["aud"] = t.tenant.url();
    order.claims["roles"] = json::array{"Device.Read.All"};
    CHECK(with("Bearer " + t.tenant.make(order).value()).status == 200);
    order.lifetime = std::chrono::seconds(-10);
    CHECK(with("Bearer " + t.tenant.make(order).value()).status == 401);
    t.tenant.set_roles({"Device.Read.All"});
    auto const refused = t.graph("PATCH", "/devices/" + d.object_id, R"({"isManaged":true})");
    CHECK(refused.status == 403);
    CHECK(error_code(refused) == "Authorization_RequestDenied");
}

TEST_CASE("group membership reaches through groups, and asks as Graph wants to be asked", "[sim]") {
    running_tenant t;
    auto const ada = t.tenant.add_user("ada@contoso.com").value();
    auto const inner = t.tenant.add_group("pilots", {"ada@contoso.com"}).value();
    auto const outer = t.tenant.add_group("staff", {"pilots"}).value();
    auto const other = t.tenant.add_group("others").value();
    auto const all = t.graph("POST", "/users/" + ada.id + "/getMemberGroups", R"({"securityEnabledOnly":true})");
    REQUIRE(all.status == 200);
    CHECK(json::parse(all.body).at("value").as_array().size() == 2);
    auto const some = t.graph("POST", "/users/" + ada.upn + "/checkMemberGroups",
        json::serialize(json::object{{"groupIds", json::array{other.id, outer.id}}}));
    CHECK(json::serialize(json::parse(some.body).at("value")) == "[\"" + outer.id + "\"]");
    CHECK(t.graph("POST", "/users/" + ada.id + "/getMemberGroups", "{}").status == 400);
    CHECK(t.graph("POST", "/users/nobody/getMemberGroups", R"({"securityEnabledOnly":true})").status == 404);
    json::array many;
    for (int i = 0; i < 21; ++i) many.emplace_back(inner.id);
    CHECK(t.graph("POST", "/users/" + ada.id + "/checkMemberGroups", json::serialize(json::object{{"groupIds", many}}))
              .status == 400);
}

TEST_CASE("the application shows when its credentials end and which they are, never what they are", "[sim]") {
    running_tenant t;
    prover const p;
    auto const ends = parse_rfc3339("2031-02-03T04:05:06.789Z").value();
    REQUIRE(t.tenant.add_certificate(p.own.pem(), ends));
    auto const second = sim::make_client_secret();
    auto const key_id = t.tenant.add_secret(second, ends);
    auto const address = "/applications(appId='" + t.tenant.client_id() + "')";
    auto const r = t.graph("GET", address + "?$select=id,appId,identifierUris,passwordCredentials,keyCredentials");
    REQUIRE(r.status == 200);
    auto const app = json::parse(r.body);
    CHECK(text(app, "appId") == t.tenant.client_id());
    CHECK(json::serialize(app.at("identifierUris")) == json::serialize(json::array{t.tenant.app_id()}));
    auto const passwords = app.at("passwordCredentials").as_array();
    REQUIRE(passwords.size() == 2);
    CHECK(text(passwords[0], "hint") == t.tenant.secret().substr(0, 3));
    CHECK(text(passwords[1], "hint") == second.substr(0, 3));
    CHECK(text(passwords[1], "keyId") == key_id);
    CHECK(text(passwords[1], "endDateTime") == "2031-02-03T04:05:06.7890000Z");
    CHECK(parse_rfc3339(text(passwords[0], "endDateTime")));
    auto const key = app.at("keyCredentials").at(0);
    CHECK(unbase64(text(key, "customKeyIdentifier")) == sim::sha1(p.own.der()));
    CHECK(text(key, "type") == "AsymmetricX509Cert");
    CHECK(text(key, "usage") == "Verify");
    CHECK(text(key, "endDateTime") == "2031-02-03T04:05:06.7890000Z");
    CHECK(unbase64(text(key, "key")) == p.own.der());
    CHECK(r.body.find("s1mS3cret") == std::string::npos);

    auto const whole = json::parse(t.graph("GET", address).body);
    CHECK(whole.at("keyCredentials").at(0).at("key").is_null());  // only for who selects it
    auto const filtered = t.graph("GET", "/applications?$filter=appId%20eq%20'" + t.tenant.client_id() + "'");
    REQUIRE(filtered.status == 200);
    CHECK(json::parse(filtered.body).at("value").as_array().size() == 1);
    CHECK(json::parse(t.graph("GET", "/applications?$filter=appId%20eq%20'" + new_guid() + "'").body)
              .at("value")
              .as_array()
              .empty());
    CHECK(t.graph("GET", "/applications(appId='" + new_guid() + "')").status == 404);
}

TEST_CASE("credentials and the MDM settings are shown to whom the permission was granted", "[sim]") {
    running_tenant t;
    auto const address = "/applications(appId='" + t.tenant.client_id() + "')";
    auto const policy = "/policies/mobileDeviceManagementPolicies/" + t.tenant.client_id();
    CHECK(error_code(t.beta(policy)) == "Authorization_RequestDenied");
    t.tenant.set_roles({"Device.ReadWrite.All", "Policy.Read.All"});
    for (auto const& path : {address, std::string("/applications")}) {
        auto const r = t.graph("GET", path);
        CHECK(r.status == 403);
        CHECK(error_code(r) == "Authorization_RequestDenied");
    }
    auto const got = t.beta(policy);
    REQUIRE(got.status == 200);
    auto const all = json::parse(got.body);
    CHECK(text(all, "termsOfUseUrl") == "https://mdm.contoso.com/TermsOfUse");
    CHECK(text(all, "discoveryUrl") == "https://mdm.contoso.com/EnrollmentServer/Discovery.svc");
    CHECK(text(all, "complianceUrl") == "https://mdm.contoso.com/compliance");
    t.tenant.set_mdm_urls({.terms_of_use = {}, .discovery = "https://elsewhere/d", .compliance = {}});
    CHECK(text(json::parse(t.beta(policy).body), "discoveryUrl") == "https://elsewhere/d");
    CHECK(text(json::parse(t.beta(policy).body), "complianceUrl") == "https://mdm.contoso.com/compliance");
    CHECK(t.beta("/policies/mobileDeviceManagementPolicies/" + new_guid()).status == 404);
    CHECK(t.beta(address).status == 400);         // of v1.0
    CHECK(t.graph("GET", policy).status == 400);  // of beta
    CHECK(t.send("GET", "/beta" + policy).status == 401);
}

TEST_CASE("a batch holds at most 20 requests and each is judged alone", "[sim]") {
    running_tenant t;
    REQUIRE(t.tenant.add_user("ada@contoso.com"));
    auto const d = t.tenant.add_device("ada@contoso.com", "PC", "joined").value();
    auto const request = [&](std::string const& id, std::string const& device) {
        return json::object{{"id", id}, {"method", "PATCH"}, {"url", "/devices/" + device},
            {"headers", {{"Content-Type", "application/json"}}}, {"body", {{"isManaged", true}}}};
    };
    auto const r = t.graph("POST", "/$batch",
        json::serialize(json::object{{"requests", json::array{request("1", d.object_id), request("2", d.device_id)}}}));
    REQUIRE(r.status == 200);
    std::map<std::string, std::int64_t> got;
    auto const answer = json::parse(r.body);
    for (auto const& one : answer.at("responses").as_array())
        got[json::value_to<std::string>(one.at("id"))] = one.at("status").as_int64();
    CHECK(got == std::map<std::string, std::int64_t>{{"1", 204}, {"2", 404}});
    json::array many;
    for (int i = 0; i < 21; ++i) many.push_back(request(std::to_string(i), d.object_id));
    CHECK(t.graph("POST", "/$batch", json::serialize(json::object{{"requests", many}})).status == 400);
    CHECK(t.graph("POST", "/$batch",
               json::serialize(
                   json::object{{"requests", json::array{request("1", d.object_id), request("1", d.object_id)}}}))
              .status == 400);
}

TEST_CASE("of a batch each request can fail in its own way, and the whole in another", "[sim]") {
    running_tenant t;
    REQUIRE(t.tenant.add_user("ada@contoso.com"));
    std::vector<sim::entra_device> devices;
    for (int i = 0; i < 3; ++i) devices.push_back(t.tenant.add_device("ada@contoso.com", "PC", "joined").value());
    json::array requests;
    for (auto const& d : devices)
        requests.push_back(json::object{{"id", d.object_id}, {"method", "PATCH"}, {"url", "/devices/" + d.object_id},
            {"headers", {{"Content-Type", "application/json"}}}, {"body", {{"isManaged", true}}}});
    auto const body = json::serialize(json::object{{"requests", requests}});
    auto const ask = [&] { return t.graph("POST", "/$batch", body); };
    auto const answers = [&] {
        std::map<std::string, json::value> all;
        auto const got = json::parse(ask().body);
        for (auto const& one : got.at("responses").as_array()) all[json::value_to<std::string>(one.at("id"))] = one;
        return all;
    };
    auto const managed = [&](int i) { return t.tenant.devices()[static_cast<std::size_t>(i)].is_managed.has_value(); };
    auto const path = [&](int i) { return "/v1.0/devices/" + devices[static_cast<std::size_t>(i)].object_id; };
    auto const order = [&](json::object rule) { t.tenant.add_fault(sim::parse_fault(rule).value()); };
    SECTION("a request is left out, and another throttled") {
        order({{"path", path(0)}, {"drop", true}, {"count", 1}});
        order(
            {{"path", path(1)}, {"status", 429}, {"headers", {{"Retry-After", "2.5"}}}, {"apply", true}, {"count", 1}});
        auto got = answers();
        CHECK(got.size() == 2);
        CHECK(got.at(devices[1].object_id).at("headers").at("Retry-After") == "2.5");
        CHECK(got.at(devices[2].object_id).at("status") == 204);
        CHECK_FALSE(managed(0));
        CHECK(managed(1));
        CHECK(answers().size() == 3);
    }
    SECTION("the connection is closed, before or after the work") {
        bool const late = GENERATE(false, true);
        t.tenant.add_fault(sim::named_fault(late ? "graph-hangs-up-late" : "graph-hangs-up").value());
        auto const got = t.client->send({.method = "POST",
            .url = t.tenant.graph_url() + "/v1.0/$batch",
            .headers = {{"Authorization", "Bearer " + t.graph_token()}, {"Content-Type", "application/json"}},
            .body = body});
        CHECK(got.has_error());
        CHECK(managed(2) == late);
    }
    SECTION("a device is not known yet") {
        CHECK(t.tenant.hide_device(devices[1].device_id, true));
        CHECK(answers().at(devices[1].object_id).at("status") == 404);
        t.tenant.hide_device(devices[1].device_id, false);
        CHECK(answers().at(devices[1].object_id).at("status") == 204);
    }
    SECTION("an address must be relative") {
        auto const absolute = json::object{{"id", "1"}, {"method", "GET"}, {"url", t.tenant.url() + "/v1.0/devices"}};
        CHECK(t.graph("POST", "/$batch", json::serialize(json::object{{"requests", json::array{absolute}}})).status ==
              400);
    }
}

TEST_CASE("tokens say what Entra's would, in both versions, with what was ordered laid over", "[sim]") {
    running_tenant t;
    auto const ada = t.tenant.add_user("ada@contoso.com").value();
    sim::token_order order{
        .upn = ada.upn, .device_id = "0f1e2d3c-0000-4000-8000-000000000001", .claims = {}, .header = {}};
    auto const v2 = claims_of(t.tenant.make(order).value());
    CHECK(text(v2, "aud") == t.tenant.client_id());
    CHECK(text(v2, "iss") == t.tenant.url() + "/" + t.tenant.tenant_id() + "/v2.0");
    CHECK(text(v2, "preferred_username") == ada.upn);
    CHECK(text(v2, "oid") == ada.id);
    CHECK(text(v2, "scp") == "mdm_delegation");
    CHECK(text(v2, "deviceid") == order.device_id);
    order.version = "1.0";
    order.claims = {{"scp", nullptr}, {"extra", 7}};
    order.header = {{"crit", json::array{"exp"}}};
    auto const token = t.tenant.make(order).value();
    auto const v1 = claims_of(token);
    CHECK(text(v1, "aud") == t.tenant.app_id());
    CHECK(text(v1, "iss") == "https://sts.windows.net/" + t.tenant.tenant_id() + "/");
    CHECK(text(v1, "upn") == ada.upn);
    CHECK_FALSE(v1.contains("scp"));
    CHECK(v1.at("extra") == 7);
    CHECK(header_of(token).contains("crit"));
    order.upn = "nobody@contoso.com";
    CHECK(t.tenant.make(order).error().code == errc::not_found);
}

TEST_CASE("a rotated key signs at once, the former one stays known, a foreign one never is", "[sim]") {
    running_tenant t;
    REQUIRE(t.tenant.add_user("ada@contoso.com"));
    auto const known = [&](std::string const& kid) {
        auto const keys = t.get_json(t.login("/discovery/v2.0/keys")).at("keys").as_array();
        return std::any_of(keys.begin(), keys.end(), [&](json::value const& k) { return text(k, "kid") == kid; });
    };
    auto const kid = [&](sim::token_order::signer with) {
        sim::token_order order{.upn = "ada@contoso.com", .device_id = {}, .claims = {}, .header = {}};
        order.key = with;
        return sim::kid_of(t.tenant.make(order).value());
    };
    using signer = sim::token_order::signer;
    auto const before = kid(signer::current);
    auto const fresh = t.tenant.rotate_keys();
    CHECK(fresh != before);
    CHECK(kid(signer::current) == fresh);
    CHECK(kid(signer::previous) == before);
    CHECK(known(fresh));
    CHECK(known(before));
    CHECK_FALSE(known(kid(signer::foreign)));
    t.tenant.rotate_keys(false);
    CHECK_FALSE(known(fresh));
}

TEST_CASE("a fault is answered instead, as often as it was ordered", "[sim]") {
    running_tenant t;
    t.graph("GET", "/users/x");  // the token is there before the fault
    auto const rule = sim::parse_fault(json::parse(
        R"({"method":"GET","path":"^/v1.0/users/.*","status":429,"headers":{"Retry-After":"2.5"},"body":{"a":1},"count":2})"));
    REQUIRE(rule);
    t.tenant.add_fault(*rule);
    CHECK(t.graph("GET", "/users/x").headers.get("Retry-After") == "2.5");
    CHECK(t.graph("GET", "/users/x").body == R"({"a":1})");
    CHECK(t.graph("GET", "/users/x").status == 404);
    for (auto const* name : {"metadata", "jwks-down", "jwks-broken", "jwks-empty", "token-down", "graph-down",
             "graph-refused", "graph-throttled"})
        CHECK(sim::named_fault(name));
    t.tenant.add_fault(*sim::named_fault("jwks-broken"));
    CHECK(t.send("GET", t.login("/discovery/v2.0/keys")).body.find("kid") == std::string::npos);
    t.tenant.clear_faults();
    CHECK(t.send("GET", t.login("/discovery/v2.0/keys")).body.find("kid") != std::string::npos);
    CHECK_FALSE(sim::parse_fault(json::parse(R"({"path":"/x"})")));
    CHECK_FALSE(sim::parse_fault(json::parse(R"({"path":"/x","apply":true})")));
    CHECK(sim::parse_fault(json::parse(R"({"path":"/x","drop":true})")));
    CHECK_FALSE(sim::parse_fault(json::parse(R"({"path":"^(","status":500})")));
    CHECK_FALSE(sim::parse_fault(json::parse(R"({"path":"/x","status":500,"unknown":1})")));
}

TEST_CASE("secrets can be refused and made to expire while the tenant runs", "[sim]") {
    running_tenant t;
    auto const code = [&] {
        auto const r = t.ask_token(t.tenant.client_id(), t.tenant.secret(), t.tenant.url() + "/.default");
        return r.status == 200 ? 0 : json::parse(r.body).at("error_codes").at(0).as_int64();
    };
    CHECK(code() == 0);
    CHECK(t.tenant.set_secret(t.tenant.secret(), "refused"));
    CHECK(code() == 7000215);
    CHECK(t.tenant.set_secret(t.tenant.secret(), "expired"));
    CHECK(code() == 7000222);
    CHECK(t.tenant.set_secret(t.tenant.secret(), "valid"));
    CHECK(code() == 0);
    CHECK_FALSE(t.tenant.set_secret("unknown", "valid"));
}

TEST_CASE("the log says which credential was shown, and never what it is", "[sim]") {
    running_tenant t;
    auto const second = sim::make_client_secret();
    CHECK(second.size() == t.tenant.secret().size());
    CHECK(second.substr(0, 3) != t.tenant.secret().substr(0, 3));
    auto const key_id = t.tenant.add_secret(second, system_clock().now() - std::chrono::hours(1));
    prover const p;
    REQUIRE(t.tenant.add_certificate(p.own.pem()));
    auto const scope = t.tenant.url() + "/.default", id = t.tenant.client_id();
    t.ask_token(id, t.tenant.secret(), scope);
    t.ask_token(id, second, scope);
    t.ask_token(id, second + "x", scope);
    t.ask_token(second, id, scope);  // a secret in the wrong field
    t.ask_token(id, id, "https://" + second + "/.default");
    auto const jwt = p.sign(p.header(true), prover::claims(t.tenant));
    t.ask_token(jwt);
    t.post_token({{"client_id", id}, {"scope", scope}, {"client_secret", second}, {"client_assertion", jwt}});
    t.tenant.add_fault(*sim::named_fault("token-down"));
    t.ask_token(id, second, scope);
    auto const log = t.tenant.log();
    REQUIRE(log.size() == 8);
    CHECK(is_guid(text(log[0].body, "key_id")));
    CHECK(text(log[1].body, "key_id") == key_id);
    CHECK_FALSE(log[2].body.as_object().contains("key_id"));
    for (auto const& e : log) {
        auto const line = json::serialize(sim::as_json(e));
        CHECK(line.find("s1mS3cret") == std::string::npos);
        CHECK(line.find(std::string(split(jwt, '.')[1])) == std::string::npos);
    }
}

TEST_CASE("another process steers the tenant by what tenant.json says, and nobody without it", "[sim]") {
    test::scratch const dir;
    sim::tenant_options o;
    o.directory = dir.path();
    running_tenant t(o);
    CHECK((std::filesystem::status(dir.path() / "tenant.json").permissions() & std::filesystem::perms(0077)) ==
          std::filesystem::perms::none);
    auto const access = sim::read_tenant_access(dir.path());
    REQUIRE(access);
    CHECK(access->ca_pem == t.tenant.ca_pem());
    sim::control_client c(*access);
    REQUIRE(c.send("POST", "/sim/users", {{"upn", "ada@contoso.com"}}));
    CHECK(c.send("POST", "/sim/users", {{"upn", "ada@contoso.com"}}).error().code == errc::conflict);
    auto const d = c.send("POST", "/sim/devices", {{"upn", "ada@contoso.com"}, {"trust", "workplace"}});
    REQUIRE(d);
    CHECK(is_guid(sim::text_or(*d, "device_id")));
    CHECK(is_guid(sim::text_or(*d, "object_id")));
    CHECK(sim::text_or(*d, "trustType") == "Workplace");
    CHECK(c.send("POST", "/sim/token", {{"kind", "app"}}));
    CHECK(c.send("POST", "/sim/token", {{"kind", "user"}, {"upn", "nobody@contoso.com"}}).error().code ==
          errc::not_found);
    CHECK(c.send("POST", "/sim/token", {{"knid", "user"}}).error().code == errc::malformed);
    CHECK(c.send("GET", "/sim/devices")->at("value").as_array().size() == 1);
    CHECK(c.send("DELETE", "/sim/devices/" + sim::text_or(*d, "device_id")));
    CHECK(c.send("GET", "/sim/devices")->at("value").as_array().empty());
    CHECK(c.send("GET", "/sim/log"));
    prover const p;
    auto const registered = c.send("POST", "/sim/certificates", {{"pem", p.own.pem()}});
    REQUIRE(registered);
    CHECK(sim::text_or(*registered, "thumbprint") == p.own.thumbprint());
    json::object const expired{{"thumbprint", p.own.thumbprint()}, {"state", "expired"}};
    CHECK(c.send("POST", "/sim/certificates", expired));
    CHECK(code_of(t.ask_token(p.sign(p.header(true), prover::claims(t.tenant)))) == 700027);
    CHECK(c.send("POST", "/sim/certificates", {{"thumbprint", "00"}, {"state", "expired"}}).error().code ==
          errc::malformed);
    CHECK(c.send("POST", "/sim/roles", {{"roles", json::array{"Policy.Read.All"}}}));
    CHECK(c.send("POST", "/sim/mdm-urls", {{"terms_of_use", "https://elsewhere/t"}}));
    CHECK(text(json::parse(t.beta("/policies/mobileDeviceManagementPolicies/" + t.tenant.client_id()).body),
              "termsOfUseUrl") == "https://elsewhere/t");
    CHECK(t.send("GET", "/sim/log").status == 401);
    CHECK(t.send("GET", "/sim/log", {{"Authorization", "Bearer " + std::string(43, 'x')}}).status == 401);
}
