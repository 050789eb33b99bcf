#include <boost/json.hpp>

#include "core/text.hpp"
#include "http/client.hpp"
#include "sim/sign_in_client.hpp"
#include "sim/tenant.hpp"
#include "test/support.hpp"

namespace json = boost::json;
using namespace mdmd;

namespace {

constexpr char back[] = "https://mdm.contoso.com/EnrollmentServer/Auth/Response";
std::string const verifier(43, 'v');

struct signing_in {
    signing_in() : tenant({}) {
        tenant.start();
        tenant.add_user("alice@contoso.com").value();
        http::client_options c;
        c.extra_roots_pem = tenant.ca_pem();
        c.system_roots = false;
        client.emplace(std::move(c));
    }
    std::map<std::string, std::string> good() const {
        return {{"client_id", tenant.client_id()}, {"response_type", "code"}, {"redirect_uri", back},
            {"scope", "openid profile"}, {"state", "s"}, {"nonce", "n"},
            {"code_challenge", base64url(sim::sha256(verifier))}, {"code_challenge_method", "S256"},
            {"login_hint", "alice@contoso.com"}};
    }
    static std::string form(std::map<std::string, std::string> const& all) {
        std::string out;
        for (auto const& [name, value] : all)
            if (!value.empty()) out += (out.empty() ? "" : "&") + name + "=" + percent_encode(value);
        return out;
    }
    http::response authorize(std::map<std::string, std::string> const& all) {
        return client
            ->send({.method = "GET",
                .url = fmt::format("{}/{}/oauth2/v2.0/authorize?{}", tenant.url(), tenant.tenant_id(), form(all)),
                .headers = {},
                .body = {}})
            .value();
    }
    parameters answer(std::map<std::string, std::string> const& all) {
        auto const r = authorize(all);
        REQUIRE(r.status == 302);
        auto const location = std::string(r.headers.get("Location").value());
        REQUIRE_THAT(location, Catch::StartsWith(std::string(back) + "?"));
        return parse_query(location.substr(location.find('?') + 1), true);
    }
    std::string code() { return std::string(find_parameter(answer(good()), "code").value()); }
    http::response redeem(std::map<std::string, std::string> more) {
        std::map<std::string, std::string> all{{"client_id", tenant.client_id()}, {"client_secret", tenant.secret()},
            {"grant_type", "authorization_code"}, {"scope", "openid profile"}, {"redirect_uri", back},
            {"code_verifier", verifier}};
        for (auto const& [name, value] : more) all[name] = value;
        return client
            ->send({.method = "POST",
                .url = fmt::format("{}/{}/oauth2/v2.0/token", tenant.url(), tenant.tenant_id()),
                .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                .body = form(all)})
            .value();
    }
    static int code_of(http::response const& r) {
        return static_cast<int>(json::parse(r.body).at("error_codes").as_array().at(0).as_int64());
    }

    sim::tenant tenant;
    std::optional<http::client> client;
};

}  // namespace

TEST_CASE("the sign-in page is as strict as Entra's", "[sim][sign-in]") {
    signing_in s;
    struct row {
        char const *name, *value, *error;  // error: of the redirect; empty: a page, nobody is sent anywhere
        int status, code;
    };
    row const rows[] = {
        {"client_id", "11111111-2222-3333-4444-555555555555", "", 400, 700016},
        {"redirect_uri", "https://evil.test/", "", 400, 50011},
        {"redirect_uri", "https://mdm.contoso.com/EnrollmentServer/Auth/Response/", "", 400, 50011},
        {"response_type", "token", "unsupported_response_type", 302, 700051},
        {"response_mode", "fragment", "invalid_request", 302, 9002305},
        {"scope", "profile", "invalid_request", 302, 70011},
        {"code_challenge", "", "invalid_request", 302, 9002325},
        {"code_challenge_method", "plain", "invalid_request", 302, 9002325},
        {"nonce", "", "invalid_request", 302, 900144},
        {"login_hint", "", "", 200, 50058},
        {"login_hint", "nobody@contoso.com", "", 200, 50034},
    };
    for (auto const& row : rows) {
        CAPTURE(row.name, row.value);
        auto all = s.good();
        all[row.name] = row.value;
        auto const r = s.authorize(all);
        CHECK(r.status == row.status);
        auto const location = std::string(r.headers.get("Location").value_or(""));
        auto const code = fmt::format("AADSTS{}", row.code);
        if (row.status != 302) {
            CHECK(location.empty());
            CHECK_THAT(r.body, Catch::Contains(code));
            continue;
        }
        auto const query = parse_query(location.substr(location.find('?') + 1), true);
        CHECK(find_parameter(query, "error") == row.error);
        CHECK(find_parameter(query, "state") == "s");
        CHECK_THAT(std::string(find_parameter(query, "error_description").value_or("")), Catch::StartsWith(code));
        CHECK_FALSE(find_parameter(query, "code"));
    }
    s.tenant.refuse_sign_ins("access_denied", 65004);
    CHECK(find_parameter(s.answer(s.good()), "error") == "access_denied");
}

TEST_CASE("a code is redeemed once, by whom it is for", "[sim][sign-in]") {
    signing_in s;
    auto const code = s.code();
    CHECK(s.code_of(s.redeem({{"code", "made-up"}})) == 70000);
    CHECK(s.code_of(s.redeem({{"code", code}, {"client_secret", "wrong"}})) == 7000215);
    CHECK(s.code_of(s.redeem({{"code", code}, {"code_verifier", std::string(43, 'w')}})) == 501481);
    CHECK(s.code_of(s.redeem({{"code", code}, {"code_verifier", ""}})) == 501481);
    CHECK(s.code_of(s.redeem({{"code", code}, {"redirect_uri", "https://evil.test/"}})) == 500112);
    auto const good = s.redeem({{"code", code}});
    REQUIRE(good.status == 200);
    auto const token = std::string(json::parse(good.body).at("id_token").as_string());
    auto const claims = json::parse(*unbase64url(split(token, '.')[1]));
    CHECK(claims.at("nonce").as_string() == "n");
    CHECK(claims.at("aud").as_string() == s.tenant.client_id());
    CHECK(claims.at("preferred_username").as_string() == "alice@contoso.com");
    CHECK_FALSE(claims.as_object().contains("scp"));
    CHECK(s.code_of(s.redeem({{"code", code}})) == 54005);
}

TEST_CASE("Windows' sign-in window refuses a page that would not work there", "[sim][sign-in]") {
    http::response page{200,
        {{"Content-Type", "text/html; charset=UTF-8"}, {"Cache-Control", "no-store"},
            {"Content-Security-Policy", "default-src 'none'; script-src 'nonce-n1'; form-action ms-app:"}},
        "<form id=\"f\" method=\"post\" action=\"ms-app://windows.immersivecontrolpanel\"><input type=\"hidden\" "
        "name=\"wresult\" value=\"t0ken\"/><input type=\"submit\" value=\"Continue\"/></form>"
        "<script nonce=\"n1\">document.getElementById('f').submit();</script>"};
    std::string asked;
    auto const visit = [&](http::response const& r) {
        return sim::visit_sign_in({.url = "https://mdm.test/Auth?a=b", .user = "a@b.c"}, [&](http::call const& c) {
            asked = c.url;
            return result<http::response>(r);
        });
    };
    auto const good = visit(page);
    CHECK(good.failure.text == "");
    CHECK(good.token == "t0ken");
    CHECK_THAT(asked, Catch::StartsWith("https://mdm.test/Auth?a=b&appru=ms-app%3A%2F%2F") &&
                          Catch::EndsWith("&login_hint=a%40b%2Ec"));
    struct row {
        char const *what, *with, *why;
    };
    for (auto const& row : {row{"ms-app://windows.immersive", "https://evil.test/", "the form goes to"},
             row{"name=\"wresult\"", "name=\"x\"", "no form with a token"}, row{"t0ken", "", "the token is empty"},
             row{"method=\"post\"", "method=\"get\"", "by get"}, row{"type=\"submit\"", "type=\"text\"", "no button"},
             row{"nonce=\"n1\"", "nonce=\"n2\"", "does not allow its script"}, row{".submit()", "", "no script"}}) {
        CAPTURE(row.what);
        auto changed = page;
        changed.body.replace(changed.body.find(row.what), std::string_view(row.what).size(), row.with);
        CHECK_THAT(visit(changed).failure.text, Catch::Contains(row.why));
    }
    auto stored = page;
    stored.headers = {{"Content-Type", "text/html; charset=UTF-8"}};
    CHECK_THAT(visit(stored).failure.text, Catch::Contains("stored"));
    CHECK(visit({400, {}, ""}).failure.http_status == 400);
    CHECK_THAT(visit({302, {{"Location", "http://mdm.test/"}}, ""}).failure.text, Catch::Contains("a redirect to"));
    CHECK_THAT(visit({302, {{"Location", "https://mdm.test/"}}, ""}).failure.text, Catch::Contains("without an end"));
}
