#include "entra/authorization_code.hpp"

#include "test/entra_factory.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

entra::application app() { return {"https://login.test/", "https://graph.test", test::tenant, test::client_id}; }

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    auto const at = text.find(what);
    REQUIRE(at != text.npos);
    return text.replace(at, what.size(), with);
}

// As Entra makes them for `openid profile`.
std::string const good_id_token =
    R"({"aud":")" + client_id + R"(","iss":")" + issuer_v2 +
    R"(","iat":1799999700,"nbf":1799999700,"exp":1800003600,"name":"U","nonce":"n1",)"
    R"("oid":"99999999-8888-7777-6666-555555555555","preferred_username":"user@contoso.com","rh":"x","sub":"s","tid":")" +
    test::tenant + R"(","uti":"abc","ver":"2.0"})";

result<entra::identity> verified(std::string const& payload, std::string_view nonce = "n1") {
    return entra::verify_id_token(
        signer().token(good_header, payload), tenant_keys(), our_audience(), nonce, token_noon);
}

}  // namespace

TEST_CASE("the browser is sent to the tenant with the verifier's digest alone", "[entra][sign-in]") {
    std::string const verifier = "dBjftJeZ4CVP-mBLRtQq8gTlYhCcYc3HrtN3kW2J8Mk";
    auto const url = entra::authorization_url(app(), {.redirect_uri = "https://mdm.test/EnrollmentServer/Auth/Response",
                                                         .state = "a&b=c",
                                                         .nonce = "n 1",
                                                         .verifier = verifier,
                                                         .login_hint = "us+er@contoso.com"});
    CHECK_THAT(url, Catch::StartsWith("https://login.test/" + test::tenant + "/oauth2/v2.0/authorize?"));
    CHECK(url.find(verifier) == url.npos);
    auto const all = parse_query(url.substr(url.find('?') + 1), true);
    parameters const wanted{{"client_id", test::client_id}, {"response_type", "code"}, {"response_mode", "query"},
        {"redirect_uri", "https://mdm.test/EnrollmentServer/Auth/Response"}, {"scope", "openid profile"},
        {"state", "a&b=c"}, {"nonce", "n 1"}, {"code_challenge", base64url(crypto::sha256(verifier))},
        {"code_challenge_method", "S256"}, {"login_hint", "us+er@contoso.com"}};
    CHECK(all == wanted);
    auto const unknown = entra::authorization_url(
        app(), {.redirect_uri = {}, .state = {}, .nonce = {}, .verifier = {}, .login_hint = {}});
    CHECK_THAT(unknown, Catch::Contains("&prompt=select_account") && !Catch::Contains("login_hint"));
}

TEST_CASE("RFC 7636's example gives its challenge", "[entra][sign-in]") {
    auto const url = entra::authorization_url(app(), {.redirect_uri = {},
                                                         .state = {},
                                                         .nonce = {},
                                                         .verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                                                         .login_hint = {}});
    CHECK_THAT(url, Catch::Contains("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"));
}

TEST_CASE("Entra's redirect is read, or refused where it is not one", "[entra][sign-in][security]") {
    auto const good = entra::parse_authorization_answer("code=0.AX-1_x&state=s.t&session_state=x");
    REQUIRE(good.has_value());
    CHECK(good->code.reveal() == "0.AX-1_x");
    CHECK(good->state == "s.t");
    CHECK(good->error.empty());
    auto const refused = entra::parse_authorization_answer(
        "error=access_denied&error_subcode=cancel&error_description=AADSTS65004%3a+User+declined%0d%0aTrace&state=s");
    REQUIRE(refused.has_value());
    CHECK(refused->error == "access_denied");
    CHECK(refused->subcode == "cancel");
    CHECK(refused->aadsts == 65004);
    CHECK(refused->code.empty());
    auto const forged = entra::parse_authorization_answer("error=x%0d%0aINFO+forged&state=s");
    REQUIRE(forged.has_value());
    CHECK(forged->error.find('\n') == std::string::npos);
    for (std::string const& bad : {std::string(), std::string("state=s"), std::string("code=c"), std::string("error=e"),
             std::string("code=c&error=e&state=s"), std::string("code=c&code=d&state=s"),
             std::string("code=c&state=s&State=t"), std::string("code=%20&state=s"), std::string("code=c&state=a%0ab"),
             "code=" + std::string(9'000, 'c') + "&state=s", "code=c&state=" + std::string(5'000, 's'),
             std::string(20'000, 'x')}) {
        CAPTURE(bad.substr(0, 60));
        auto const got = entra::parse_authorization_answer(bad);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::malformed);
    }
}

TEST_CASE("a code is exchanged with the application's secret and the verifier", "[entra][sign-in]") {
    credential key;
    key.text = secret("s&cret");
    auto const call = entra::code_request(app(), key, entra::assertion_form::ps256, secret("c0de"),
        "https://mdm.test/EnrollmentServer/Auth/Response", "verifier", token_noon);
    REQUIRE(call);
    CHECK(call->method == "POST");
    CHECK(call->url == "https://login.test/" + test::tenant + "/oauth2/v2.0/token");
    parameters const wanted{{"client_id", test::client_id}, {"scope", "openid profile"}, {"code", "c0de"},
        {"redirect_uri", "https://mdm.test/EnrollmentServer/Auth/Response"}, {"code_verifier", "verifier"},
        {"client_secret", "s&cret"}, {"grant_type", "authorization_code"}};
    CHECK(parse_query(call->body, true) == wanted);
    CHECK_FALSE(entra::code_request(app(), {}, entra::assertion_form::ps256, secret("c"), "r", "v", token_noon));
}

TEST_CASE("the exchange's answer is an ID token or a refusal that says why", "[entra][sign-in]") {
    auto const good = entra::parse_code_answer({200, {}, R"({"token_type":"Bearer","id_token":"a.b.c"})"}, token_noon);
    REQUIRE(good.id_token);
    CHECK(good.id_token->reveal() == "a.b.c");
    for (auto const* body : {"", "[]", "{}", R"({"id_token":1})", R"({"id_token":""})", R"({"id_token":"a b"})",
             R"({"token_type":"Bearer","expires_in":3599,"access_token":"x"})"}) {
        auto const got = entra::parse_code_answer({200, {}, body}, token_noon);
        CHECK_FALSE(got.id_token);
        CHECK(got.refusal.error == "invalid_answer");
    }
    auto const used = entra::parse_code_answer(
        {400, {}, R"({"error":"invalid_grant","error_codes":[54005],"trace_id":"t"})"}, token_noon);
    CHECK_FALSE(used.id_token);
    CHECK(used.refusal.code == 54005);
    CHECK(used.refusal.meaning == "the sign-in was used before");
    CHECK_FALSE(used.refusal.credential_is_wrong);
}

TEST_CASE("an ID token says who signed in", "[entra][sign-in]") {
    auto const got = verified(good_id_token);
    REQUIRE(got);
    CHECK(got->user_id == test::user_id);
    CHECK(got->upn == "user@contoso.com");
}

TEST_CASE("an ID token that is another's, for another or of another sign-in is refused", "[entra][sign-in][security]") {
    auto const code_of = [](std::string const& payload, std::string_view nonce = "n1") {
        auto const got = verified(payload, nonce);
        REQUIRE_FALSE(got);
        return got.error().code;
    };
    auto const& good = good_id_token;
    CHECK(code_of(good, "n2") == errc::unauthenticated);
    CHECK(code_of(good, "") == errc::unauthenticated);
    CHECK(code_of(replaced(good, R"("nonce":"n1",)", ""), "") == errc::unauthenticated);
    CHECK(code_of(replaced(good, R"("nonce":"n1",)", "")) == errc::unauthenticated);
    CHECK(code_of(replaced(good, R"("nonce":"n1")", R"("nonce":["n1"])")) == errc::malformed);
    CHECK(code_of(replaced(good, client_id, "aaaaaaaa-bbbb-cccc-dddd-ffffffffffff")) == errc::unauthenticated);
    CHECK(code_of(replaced(good, '"' + client_id + '"', "\"" + app_id + "\"")) == errc::unauthenticated);
    CHECK(code_of(replaced(good, '"' + client_id + '"', "[\"" + client_id + "\",\"x\"]")) == errc::unauthenticated);
    CHECK(code_of(replaced(good, R"("tid":")" + test::tenant, R"("tid":"99999999-2222-3333-4444-555555555555)")) ==
          errc::unauthenticated);
    CHECK(code_of(replaced(good, issuer_v2, "https://login.microsoftonline.com/common/v2.0")) == errc::unauthenticated);
    CHECK(code_of(replaced(good, "1800003600", "1799999699")) == errc::unauthenticated);
    CHECK(code_of(replaced(good, R"("oid":"99999999-8888-7777-6666-555555555555",)", "")) == errc::forbidden);
    auto const v1 = replaced(replaced(good, R"("ver":"2.0")", R"("ver":"1.0")"), issuer_v2, issuer_v1);
    CHECK(code_of(v1) == errc::unsupported);
    auto const forged = signer().token(good_header, good) + "A";
    CHECK_FALSE(entra::verify_id_token(forged, tenant_keys(), our_audience(), "n1", token_noon));
    // Nor does it open what an access token opens.
    auto const as_access = entra::verify(signer().token(good_header, good), tenant_keys(), our_audience(), token_noon,
        std::chrono::seconds(300), entra::bearer::user_or_device);
    REQUIRE_FALSE(as_access);
    CHECK(as_access.error().code == errc::forbidden);
}

TEST_CASE("a device's token is taken only where it is asked for, and an application's nowhere", "[entra][security]") {
    std::string const device = R"("deviceid":"12345678-AAAA-BBBB-CCCC-1234567890AB",)";
    auto const userless = replaced(
        replaced(good_v2, R"("scp":"mdm_delegation",)", ""), R"("preferred_username":"user@contoso.com",)", device);
    auto const verify = [](std::string const& payload, entra::bearer may_be) {
        return entra::verify(signer().token(good_header, payload), tenant_keys(), our_audience(), token_noon,
            std::chrono::seconds(300), may_be);
    };
    auto const with = [](std::string payload, std::string_view claim) { return payload.insert(1, claim); };
    std::string const flagged = with(userless, R"("idtyp":"device",)");
    for (auto const& payload : {userless, flagged}) {
        auto const refused = verify(payload, entra::bearer::user);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == errc::forbidden);
        auto const got = verify(payload, entra::bearer::user_or_device);
        REQUIRE(got);
        CHECK(got->user_id.empty());
        CHECK(got->upn.empty());
        CHECK(got->device_id == "12345678-aaaa-bbbb-cccc-1234567890ab");
    }
    for (auto const& payload : {
             with(userless, R"("roles":["mdm.manage"],)"),                // an application
             with(flagged, R"("roles":["mdm.manage"],)"),                 //
             with(userless, R"("idtyp":"app",)"),                         //
             replaced(userless, device, ""),                              // of no device
             replaced(flagged, device, ""),                               //
             with(userless, R"("upn":"user@contoso.com",)"),              // of a user, without any scope
             with(replaced(good_v2, "mdm_delegation", "other"), device),  // of a user, with another scope
         }) {
        CAPTURE(payload);
        auto const got = verify(payload, entra::bearer::user_or_device);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::forbidden);
    }
    auto const user = verify(good_v2, entra::bearer::user_or_device);
    REQUIRE(user);
    CHECK(user->user_id == test::user_id);
}
