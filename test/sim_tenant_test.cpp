#include <boost/json.hpp>

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
    explicit running_tenant(sim::tenant_options o = {}) : tenant(std::move(o)) {
        tenant.start();
        http::client_options c;
        c.extra_roots_pem = tenant.ca_pem();
        c.system_roots = false;
        client.emplace(std::move(c));
    }

    http::response send(
        std::string const& method, std::string const& path, http::fields headers = {}, std::string body = {}) {
        auto r = client->send(
            {.method = method, .url = tenant.url() + path, .headers = std::move(headers), .body = std::move(body)});
        REQUIRE(r);
        return *r;
    }
    json::object get_json(std::string const& path) { return json::parse(send("GET", path).body).as_object(); }

    std::string login(std::string const& rest) { return "/" + tenant.tenant_id() + rest; }
    http::response ask_token(std::string const& id, std::string const& secret, std::string const& scope) {
        return send("POST", login("/oauth2/v2.0/token"), {{"Content-Type", "application/x-www-form-urlencoded"}},
            "grant_type=client_credentials&client_id=" + percent_encode(id) +
                "&client_secret=" + percent_encode(secret) + "&scope=" + percent_encode(scope));
    }
    std::string graph_token() {
        auto const r = ask_token(tenant.client_id(), tenant.secret(), tenant.url() + "/.default");
        REQUIRE(r.status == 200);
        return sim::text_or(json::parse(r.body).as_object(), "access_token");
    }
    http::response graph(std::string const& method, std::string const& path, std::string body = {},
        std::string const& type = "application/json") {
        if (token_.empty()) token_ = graph_token();
        http::fields h{{"Authorization", "Bearer " + token_}, {"client-request-id", "c-1"}};
        if (!body.empty()) h.add("Content-Type", type);
        return send(method, "/v1.0" + path, h, std::move(body));
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
                {"ID", "KEY", "https://graph.microsoft.com/.default", 400, 70011, "invalid_scope"}}));
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

TEST_CASE("the application shows when its secrets end, and a hint of each", "[sim]") {
    running_tenant t;
    auto const r = t.graph("GET", "/applications(appId='" + t.tenant.client_id() + "')?$select=id,passwordCredentials");
    REQUIRE(r.status == 200);
    auto const first = json::parse(r.body).at("passwordCredentials").at(0);
    CHECK(text(first, "hint") == t.tenant.secret().substr(0, 3));
    CHECK(parse_rfc3339(json::value_to<std::string>(first.at("endDateTime"))));
    CHECK(r.body.find(t.tenant.secret()) == std::string::npos);
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
    for (auto const& e : t.tenant.log())
        CHECK(json::serialize(sim::as_json(e)).find(t.tenant.secret()) == std::string::npos);
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
    CHECK(t.send("GET", "/sim/log").status == 401);
    CHECK(t.send("GET", "/sim/log", {{"Authorization", "Bearer " + std::string(43, 'x')}}).status == 401);
}
