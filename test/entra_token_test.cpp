// Access tokens, signing keys and when to fetch them.
#include "test/entra_factory.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

std::string replaced(std::string text, std::string const& from, std::string const& to) {
    auto const at = text.find(from);
    if (at == text.npos) throw std::runtime_error("the token holds no " + from);
    return text.replace(at, from.size(), to);
}

result<entra::identity> check(std::string const& token, time_point now = token_noon) {
    return entra::verify(token, tenant_keys(), our_audience(), now);
}

int code_of(result<entra::identity> const& r) { return r ? 0 : static_cast<int>(r.error().code); }

}  // namespace

TEST_CASE("a v1 token is accepted and says whose it is", "[entra]") {
    auto const got = check(signer().token(good_header, good_v1));
    REQUIRE(got);
    CHECK(got->version == "1.0");
    CHECK(got->tenant_id == tenant);
    CHECK(got->user_id == user_id);
    CHECK(got->upn == "user@contoso.com");
    CHECK(got->device_id == device_id);
    CHECK(got->client == "29d9ed98-a469-4536-ade2-f981bc1d605e");
    CHECK(got->token_id == "abc");
    CHECK(rfc3339(got->expires) == "2027-01-15T09:00:00Z");
}

TEST_CASE("a v2 token is accepted and says whose it is", "[entra]") {
    auto const got = check(signer().token(good_header, good_v2));
    REQUIRE(got);
    CHECK(got->version == "2.0");
    CHECK(got->user_id == user_id);
    CHECK(got->upn == "user@contoso.com");
    CHECK(got->device_id.empty());
    CHECK(got->client == "29d9ed98-a469-4536-ade2-f981bc1d605e");
}

TEST_CASE("harmless variations of a token are accepted", "[entra]") {
    auto const [header, payload] = GENERATE(table<std::string, std::string>({
        {R"({"alg":"RS256","kid":"k1"})", good_v1},
        {R"({"typ":"jwt","alg":"RS256","kid":"k1","x5t":"k1"})", good_v1},
        {R"({"typ":"at+jwt","alg":"RS256","kid":"k1"})", good_v2},
        {R"({"alg":"RS256","kid":"k1","jku":"https://evil.test/","x5c":["AAAA"],"jwk":{"kty":"RSA"}})", good_v1},
        {good_header, replaced(good_v1, app_id, "HTTPS://MDM.Contoso.com/")},
        {good_header, replaced(good_v1, app_id, client_id)},
        {good_header,
            replaced(good_v1, R"("https://mdm.contoso.com")", R"(["https://other.test","https://mdm.contoso.com"])")},
        {good_header, replaced(good_v2, client_id, "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE")},
        {good_header, replaced(good_v2, R"("tid":"1111)", R"("tid":"1111)")},
        {good_header, replaced(good_v2, R"("iat":1799999700,)", "")},
        {good_header, replaced(good_v2, R"("preferred_username":"user@contoso.com",)", "")},
    }));
    CAPTURE(header, payload);
    CHECK(check(signer().token(header, payload)));
}

TEST_CASE("forged, foreign, expired and malformed tokens are refused", "[entra]") {
    auto const [what, header, payload, code] = GENERATE(table<std::string, std::string, std::string, errc>({
        // Header.
        {"alg none", replaced(good_header, "RS256", "none"), good_v1, errc::unsupported},
        {"alg HS256", replaced(good_header, "RS256", "HS256"), good_v1, errc::unsupported},
        {"alg PS256", replaced(good_header, "RS256", "PS256"), good_v1, errc::unsupported},
        {"alg in lower case", replaced(good_header, "RS256", "rs256"), good_v1, errc::unsupported},
        {"alg with a blank", replaced(good_header, "RS256", "RS256 "), good_v1, errc::unsupported},
        {"no alg", R"({"typ":"JWT","kid":"k1"})", good_v1, errc::malformed},
        {"alg twice", R"({"alg":"none","alg":"RS256","kid":"k1"})", good_v1, errc::malformed},
        {"alg twice, once escaped", R"({"alg":"none","\u0061lg":"RS256","kid":"k1"})", good_v1, errc::malformed},
        {"alg a list", R"({"alg":["RS256"],"kid":"k1"})", good_v1, errc::malformed},
        {"no kid", R"({"alg":"RS256"})", good_v1, errc::malformed},
        {"empty kid", R"({"alg":"RS256","kid":""})", good_v1, errc::malformed},
        {"kid a number", R"({"alg":"RS256","kid":1})", good_v1, errc::malformed},
        {"crit", R"({"alg":"RS256","kid":"k1","crit":["b64"],"b64":false})", good_v1, errc::unsupported},
        {"empty crit", R"({"alg":"RS256","kid":"k1","crit":[]})", good_v1, errc::unsupported},
        {"typ of something else", replaced(good_header, "JWT", "dpop+jwt"), good_v1, errc::unsupported},
        {"header a list", "[]", good_v1, errc::malformed},
        {"header empty", "", good_v1, errc::malformed},
        {"header with more after it", good_header + "x", good_v1, errc::malformed},
        {"unknown kid", replaced(good_header, "k1", "k2"), good_v1, errc::not_found},
        // Payload.
        {"payload no object", good_header, "\"text\"", errc::malformed},
        {"payload with a comment", good_header, "/**/" + good_v1, errc::malformed},
        {"payload with broken UTF-8", good_header, replaced(good_v1, "abc", "\xff"), errc::malformed},
        {"claim twice", good_header, replaced(good_v1, R"("ver")", R"("oid":"x","ver")"), errc::malformed},
        {"member twice below", good_header, replaced(good_v1, R"(["x"])", R"([{"a":1,"a":2}])"), errc::malformed},
        {"nested deeply", good_header, replaced(good_v1, R"(["x"])", "[[[[[[[[[1]]]]]]]]]"), errc::malformed},
        {"unknown version", good_header, replaced(good_v1, R"("1.0")", R"("3.0")"), errc::unsupported},
        {"version a number", good_header, replaced(good_v1, R"("1.0")", "1.0"), errc::malformed},
        {"no version", good_header, replaced(good_v1, R"("ver":"1.0",)", ""), errc::malformed},
        // Issuer and tenant.
        {"foreign tenant", good_header, replaced(good_v1, R"("tid":"1)", R"("tid":"2)"), errc::unauthenticated},
        {"tenant no GUID", good_header, replaced(good_v1, R"("tid":"1)", R"("tid":"x)"), errc::malformed},
        {"no tenant", good_header, replaced(good_v1, R"("tid")", R"("did")"), errc::unauthenticated},
        {"foreign issuer", good_header, replaced(good_v1, "windows.net", "windows.test"), errc::unauthenticated},
        {"issuer without its slash", good_header, replaced(good_v1, "/\",\"iat", "\",\"iat"), errc::unauthenticated},
        {"v1 issuer in a v2 token", good_header, replaced(good_v2, issuer_v2, issuer_v1), errc::unauthenticated},
        {"v2 issuer in a v1 token", good_header, replaced(good_v1, issuer_v1, issuer_v2), errc::unauthenticated},
        {"issuer a template", good_header, replaced(good_v2, issuer_v2, issuer_template), errc::unauthenticated},
        {"no issuer", good_header, replaced(good_v1, R"("iss")", R"("isz")"), errc::malformed},
        // Audience.
        {"foreign audience", good_header, replaced(good_v1, "mdm.contoso", "mdm.fabrikam"), errc::unauthenticated},
        {"audience and more", good_header, replaced(good_v1, app_id, app_id + "/x"), errc::unauthenticated},
        {"audience with two slashes", good_header, replaced(good_v1, app_id, app_id + "//"), errc::unauthenticated},
        {"Graph's audience", good_header, replaced(good_v1, app_id, "https://graph.microsoft.com"),
            errc::unauthenticated},
        {"App ID URI in a v2 token", good_header, replaced(good_v2, client_id, app_id), errc::unauthenticated},
        {"audience a number", good_header, replaced(good_v1, "\"" + app_id + "\"", "1"), errc::malformed},
        {"audience list empty", good_header, replaced(good_v1, "\"" + app_id + "\"", "[]"), errc::malformed},
        {"audience list mixed", good_header, replaced(good_v1, "\"" + app_id + "\"", "[\"" + app_id + "\",1]"),
            errc::malformed},
        {"audience list foreign", good_header, replaced(good_v1, "\"" + app_id + "\"", "[\"a\",\"b\"]"),
            errc::unauthenticated},
        {"no audience", good_header, replaced(good_v1, R"("aud")", R"("auz")"), errc::malformed},
        // Time.
        {"expired", good_header, replaced(good_v1, "1800003600", "1799999700"), errc::unauthenticated},
        {"not valid yet", good_header, replaced(good_v1, "\"nbf\":1799999700", "\"nbf\":1800000301"),
            errc::unauthenticated},
        {"no exp", good_header, replaced(good_v1, R"("exp")", R"("exz")"), errc::malformed},
        {"no nbf", good_header, replaced(good_v1, R"("nbf")", R"("nbz")"), errc::malformed},
        {"exp a text", good_header, replaced(good_v1, "1800003600", "\"1800003600\""), errc::malformed},
        {"exp a fraction", good_header, replaced(good_v1, "1800003600", "1800003600.5"), errc::malformed},
        {"exp huge", good_header, replaced(good_v1, "1800003600", "9223372036854775807"), errc::malformed},
        {"exp huger", good_header, replaced(good_v1, "1800003600", "18446744073709551615"), errc::malformed},
        {"exp enormous", good_header, replaced(good_v1, "1800003600", "1e300"), errc::malformed},
        {"exp negative", good_header, replaced(good_v1, "1800003600", "-1"), errc::malformed},
        {"iat a text", good_header, replaced(good_v1, "\"iat\":1799999700", "\"iat\":\"x\""), errc::malformed},
        // User.
        {"no user", good_header, replaced(good_v1, R"("oid")", R"("oiz")"), errc::forbidden},
        {"user no GUID", good_header, replaced(good_v1, "\"" + user_id, "\"x" + user_id), errc::malformed},
        {"user null", good_header, replaced(good_v1, "\"" + user_id + "\"", "null"), errc::malformed},
        {"of an application", good_header, replaced(good_v1, R"("scp":"other mdm_delegation")", R"("roles":["x"])"),
            errc::forbidden},
        {"of an application, with a scope", good_header, replaced(good_v1, R"("uti")", R"("idtyp":"app","uti")"),
            errc::forbidden},
        {"without the scope", good_header, replaced(good_v1, "other mdm_delegation", "other"), errc::forbidden},
        {"scope only begins like it", good_header, replaced(good_v1, "mdm_delegation", "mdm_delegation2"),
            errc::forbidden},
        {"scope in other case", good_header, replaced(good_v1, "mdm_delegation", "MDM_delegation"), errc::forbidden},
        {"scope a list", good_header, replaced(good_v1, R"("other mdm_delegation")", R"(["mdm_delegation"])"),
            errc::malformed},
        {"device no GUID", good_header, replaced(good_v1, R"("12345678-AAAA)", R"("2345678-AAAA)"), errc::malformed},
        {"device empty", good_header, replaced(good_v1, "12345678-AAAA-BBBB-CCCC-1234567890AB", ""), errc::malformed},
        {"UPN with a line end", good_header, replaced(good_v1, "user@", "user\\n@"), errc::malformed},
    }));
    CAPTURE(what);
    auto const got = check(signer().token(header, payload));
    REQUIRE_FALSE(got);
    CAPTURE(got.error().detail);
    CHECK(got.error().code == code);
    CHECK(got.error().detail.size() < 400);
}

TEST_CASE("what is not three canonical parts is malformed", "[entra]") {
    auto const good = signer().token(good_header, good_v1);
    auto const dot = good.find('.');
    // 256 bytes leave 4 unused bits in the last letter.
    auto const stray_bits = good.substr(0, good.size() - 1) + static_cast<char>(good.back() + 1);
    auto const bad = GENERATE_COPY(std::string(), std::string("."), std::string(".."), std::string("a.b"), good + ".",
        good + ".x", good + "=", good + " ", " " + good, "Bearer " + good, good.substr(0, good.rfind('.')),
        good.substr(0, dot) + "." + good, good.substr(0, dot) + "=" + good.substr(dot), stray_bits,
        std::string(70000, 'A'), good.substr(0, dot) + "\n" + good.substr(dot), std::string("\0.\0.\0", 5));
    CAPTURE(bad);
    CHECK(code_of(check(bad)) == static_cast<int>(errc::malformed));
}

TEST_CASE("a token must be signed by the key that it names", "[entra]") {
    auto const good = signer().token(good_header, good_v1);
    auto const text = good.substr(0, good.rfind('.'));
    token_signer const other;
    auto const unsigned_text = base64url(replaced(good_header, "RS256", "none")) + "." + base64url(good_v1) + ".";
    auto const flipped = [](std::string bytes) {
        bytes[100] = static_cast<char>(bytes[100] ^ 1);
        return bytes;
    };
    CHECK(code_of(check(other.token(good_header, good_v1))) == static_cast<int>(errc::unauthenticated));
    CHECK(code_of(check(text + ".")) == static_cast<int>(errc::unauthenticated));
    CHECK(code_of(check(unsigned_text)) == static_cast<int>(errc::unsupported));
    for (auto const& signature : {flipped(signer().sign(text)), signer().sign(text).substr(1),
             std::string(1, '\0') + signer().sign(text), signer().sign(text, EVP_sha1()),
             signer().sign(text, EVP_sha512()), std::string(256, '\0'), crypto::hmac_sha256(signer().modulus(), text)})
        CHECK(code_of(check(text + "." + base64url(signature))) == static_cast<int>(errc::unauthenticated));
    auto const other_payload = base64url(good_header) + "." + base64url(good_v2) + "." + base64url(signer().sign(text));
    CHECK(code_of(check(other_payload)) == static_cast<int>(errc::unauthenticated));
}

TEST_CASE("time has its leeway to the second", "[entra]") {
    auto const token = signer().token(good_header, good_v1);
    auto const expires = from_ms(1'800'003'600'000);
    auto const begins = from_ms(1'799'999'700'000);
    auto keys = tenant_keys();
    CHECK(check(token, expires + 300s - 1ms));
    CHECK_FALSE(check(token, expires + 300s));
    CHECK(check(token, begins - 300s));
    CHECK_FALSE(check(token, begins - 300s - 1ms));
    CHECK(entra::verify(token, keys, our_audience(), expires - 1ms, 0s));
    CHECK_FALSE(entra::verify(token, keys, our_audience(), expires, 0s));
    CHECK_FALSE(entra::verify(token, keys, our_audience(), begins - 1ms, 0s));
}

TEST_CASE("keys that roll are found by their id, and every key of one id is tried", "[entra]") {
    token_signer const second;
    auto const token = second.token(replaced(good_header, "k1", "k2"), good_v2);
    auto keys = tenant_keys();
    CHECK(code_of(entra::verify(token, keys, our_audience(), token_noon)) == static_cast<int>(errc::not_found));
    keys.keys["k2"] = {{"k2", signer().public_key(), ""}, {"k2", second.public_key(), ""}};
    CHECK(entra::verify(token, keys, our_audience(), token_noon));
    CHECK(entra::verify(signer().token(good_header, good_v2), keys, our_audience(), token_noon));
    keys.keys["k2"].clear();
    CHECK(code_of(entra::verify(token, keys, our_audience(), token_noon)) == static_cast<int>(errc::not_found));
}

TEST_CASE("keys over a day old are not used", "[entra]") {
    auto keys = tenant_keys();
    auto const token = signer().token(good_header, good_v2);
    keys.fetched = token_noon - 24h;
    CHECK(entra::verify(token, keys, our_audience(), token_noon));
    keys.fetched = token_noon - 24h - 1ms;
    CHECK(code_of(entra::verify(token, keys, our_audience(), token_noon)) == static_cast<int>(errc::not_found));
}

TEST_CASE("a key that is listed for another issuer does not sign for ours", "[entra]") {
    auto keys = tenant_keys();
    auto const foreign = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    keys.keys["k1"] = {{"k1", signer().public_key(), ""}, {"k1", signer().public_key(), foreign}};
    CHECK(code_of(entra::verify(signer().token(good_header, good_v2), keys, our_audience(), token_noon)) ==
          static_cast<int>(errc::unauthenticated));
    CHECK(code_of(entra::verify(signer().token(good_header, good_v1), keys, our_audience(), token_noon)) ==
          static_cast<int>(errc::unauthenticated));
    keys.keys["k1"] = {{"k1", signer().public_key(), issuer_v2}};
    CHECK(entra::verify(signer().token(good_header, good_v1), keys, our_audience(), token_noon));
    CHECK(entra::verify(signer().token(good_header, good_v2), keys, our_audience(), token_noon));
}

TEST_CASE("what is not configured accepts nothing", "[entra]") {
    auto keys = tenant_keys();
    keys.issuer_v1.clear();
    auto const v1 = signer().token(good_header, replaced(good_v1, issuer_v1, ""));
    CHECK_FALSE(entra::verify(v1, keys, our_audience(), token_noon));
    CHECK_FALSE(entra::verify(signer().token(good_header, good_v1), keys, our_audience(), token_noon));
    auto us = our_audience();
    us.app_id.clear();
    us.client_id.clear();
    auto const nobody = replaced(good_v1, app_id, "");
    CHECK_FALSE(entra::verify(signer().token(good_header, nobody), tenant_keys(), us, token_noon));
    us = our_audience();
    us.required_scope.clear();
    auto const any = signer().token(good_header, replaced(good_v1, "other mdm_delegation", "other"));
    CHECK(entra::verify(any, tenant_keys(), us, token_noon));
    auto const no_scope = signer().token(good_header, replaced(good_v1, "other mdm_delegation", " "));
    CHECK(code_of(entra::verify(no_scope, tenant_keys(), us, token_noon)) == static_cast<int>(errc::forbidden));
}

TEST_CASE("metadata gives the tenant's issuer and where its keys are", "[entra]") {
    auto const got = entra::parse_metadata(
        R"({"issuer":"https://sts.windows.net/{tenantid}/","jwks_uri":"https://login.test/keys","x":[1]})", tenant);
    REQUIRE(got);
    CHECK(got->issuer == issuer_v1);
    CHECK(got->jwks_uri == "https://login.test/keys");
    auto const bad = GENERATE(R"({})", R"([])", "", R"({"issuer":"","jwks_uri":"https://x/"})",
        R"({"issuer":"i","jwks_uri":"http://x/"})", R"({"issuer":"i","jwks_uri":"https://"})",
        R"({"issuer":"i","jwks_uri":"https:///keys"})", R"({"issuer":"i","jwks_uri":"https://x/ y"})",
        R"({"issuer":"i","jwks_uri":"file:///etc/passwd"})", R"({"issuer":1,"jwks_uri":"https://x/"})",
        R"({"issuer":"i","issuer":"j","jwks_uri":"https://x/"})", R"({"issuer":"i","jwks_uri":"https://x/\r\nA: b"})");
    CAPTURE(bad);
    auto const refused = entra::parse_metadata(bad, tenant);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::malformed);
}

TEST_CASE("a JWKS gives its usable keys and leaves out the others", "[entra]") {
    auto const n = base64url(signer().modulus());
    auto const key = [&](std::string const& members) { return R"({"e":"AQAB","n":")" + n + "\"," + members + "}"; };
    auto const text =
        R"({"keys":[)" +
        key(R"("kty":"RSA","use":"sig","kid":"a","x5t":"a","x5c":["AA"],"issuer":")" + issuer_template + "\"") + "," +
        key(R"("kty":"RSA","kid":"b","alg":"RS256")") + "," + key(R"("kty":"RSA","kid":"no","use":"enc")") + "," +
        key(R"("kty":"RSA","kid":"no","alg":"RS512")") + "," + key(R"("kty":"RSA","kid":"no","issuer":7)") + "," +
        key(R"("kty":"EC","kid":"no")") + "," + key(R"("kty":"RSA","kid":"")") + "," + key(R"("kty":"RSA","kid":7)") +
        "," + key(R"("kty":"RSA")") + "," +
        R"({"kty":"RSA","kid":"short","e":"AQAB","n":"AQAB"},)"
        R"({"kty":"RSA","kid":"no n","e":"AQAB"},{"kty":"oct","kid":"no","k":"AAAA"},{}]})";
    auto const got = entra::parse_jwks(text);
    REQUIRE(got);
    REQUIRE(got->size() == 2);
    CHECK(got->at(0).kid == "a");
    CHECK(got->at(0).issuer == issuer_template);
    CHECK(got->at(1).kid == "b");
    CHECK(got->at(1).issuer.empty());
    CHECK(got->at(0).key.verify_rs256("text", signer().sign("text")));
}

TEST_CASE("what is no JWKS, or has no usable key, is malformed", "[entra]") {
    auto const text = GENERATE("", "{}", "[]", R"({"keys":{}})", R"({"keys":[]})", R"({"keys":[1]})",
        R"({"keys":[{}]})", R"({"keys":[],"keys":[]})", R"({"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]})");
    CAPTURE(text);
    auto const got = entra::parse_jwks(text);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
}

TEST_CASE("keys are refreshed hourly, give or take a tenth", "[entra]") {
    entra::refresh_policy policy;
    CHECK(policy.due(token_noon));
    auto const [jitter, wait] =
        GENERATE(table<double, std::chrono::minutes>({{0.0, 54min}, {0.5, 60min}, {1.0, 66min}}));
    policy.succeeded(token_noon, jitter);
    CHECK_FALSE(policy.due(token_noon));
    CHECK_FALSE(policy.due(token_noon + wait - 1ms));
    CHECK(policy.due(token_noon + wait));
    CHECK(policy.due(token_noon - 13min));  // the clock was set back
}

TEST_CASE("a failed refresh is tried again after 10 s, doubling to 5 min", "[entra]") {
    entra::refresh_policy policy;
    auto now = token_noon;
    for (auto const wait : {10s, 20s, 40s, 80s, 160s, 300s, 300s, 300s}) {
        policy.failed(now, 0.5, std::nullopt);
        CHECK_FALSE(policy.due(now + wait - 1ms));
        CHECK(policy.due(now + wait));
        now += wait;
    }
    policy.succeeded(now, 0);
    policy.failed(now, 0.5, std::nullopt);
    CHECK(policy.due(now + 10s));
}

TEST_CASE("a failed refresh is tried again up to a fifth earlier or later, and not before Entra wants it", "[entra]") {
    auto const [jitter, asked, wait] = GENERATE(
        table<double, std::optional<std::chrono::milliseconds>, std::chrono::milliseconds>({{0.0, std::nullopt, 8s},
            {1.0, std::nullopt, 12s}, {0.5, 3s, 10s}, {0.5, 90s, 90s}, {0.5, 1h, 1h}, {0.5, 24h, 1h}}));
    CAPTURE(jitter, wait.count());
    entra::refresh_policy policy;
    policy.failed(token_noon, jitter, asked);
    CHECK_FALSE(policy.due(token_noon + wait - 1ms));
    CHECK(policy.due(token_noon + wait));
}

TEST_CASE("an unknown key forces one refresh, then at most one every 5 minutes", "[entra]") {
    entra::refresh_policy policy;
    policy.succeeded(token_noon, 0.5);
    CHECK(policy.unknown_kid_allows(token_noon));
    CHECK_FALSE(policy.unknown_kid_allows(token_noon));
    CHECK_FALSE(policy.unknown_kid_allows(token_noon + 5min - 1ms));
    CHECK(policy.unknown_kid_allows(token_noon + 5min));
    CHECK_FALSE(policy.unknown_kid_allows(token_noon + 9min));
    CHECK(policy.unknown_kid_allows(token_noon - 1h));  // the clock was set back
}
