// Requests to Entra's token endpoint and to Microsoft Graph, and their answers.
#include <openssl/rsa.h>
#include <boost/json.hpp>
#include <set>

#include "core/text.hpp"
#include "entra/graph.hpp"
#include "test/crypto_support.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

entra::application const app{.login_url = "https://login.microsoftonline.com/",
    .graph_url = "https://graph.microsoft.com",
    .tenant_id = "11111111-2222-3333-4444-555555555555",
    .client_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"};
auto const now = from_ms(1'800'000'000'000);  // Fri, 15 Jan 2027 08:00:00 GMT
entra::access_token const token{secret("t0ken"), now + 1h};

std::string as_text(http::call const& call) {
    auto text = call.method + " " + call.url + "\n";
    for (auto const& [name, value] : call.headers) text += name + ": " + value + "\n";
    return text + "\n" + call.body + "\n";
}

http::response answer(int status, std::string body, http::fields headers = {}) {
    return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}

}  // namespace

TEST_CASE("requests are written as Microsoft documents them", "[entra]") {
    test::matches_golden("entra/token-request.txt",
        as_text(entra::token_request(app, {.text = secret("p~w&r=d +%/é")}, entra::assertion_form::ps256, {}).value()));
    std::array const requests{entra::find_device("12345678-aaaa-bbbb-cccc-1234567890ab"),
        entra::report_compliance("0f0f0f0f-0000-0000-0000-000000000001", true, false)};
    test::matches_golden("entra/batch.txt", as_text(entra::batch(app, token, requests, "req-1")));
    test::matches_golden("entra/read-application.txt", as_text(entra::read_application(app, token, "req-3")));
    test::matches_golden("entra/member-groups.txt",
        as_text(entra::member_groups(app, token, "0d000000-0000-0000-0000-000000000001", "req-5")));
    test::matches_golden("entra/registered-owners.txt",
        as_text(entra::registered_owners(app, token, "12345678-aaaa-bbbb-cccc-1234567890ab", "req-6")));
    test::matches_golden("entra/read-mdm-policy.txt", as_text(entra::read_mdm_policy(app, token, "req-4")));
}

TEST_CASE("a form gives the secret back as it was", "[entra]") {
    auto const call =
        entra::token_request(app, {.text = secret("p~w&r=d +%/é")}, entra::assertion_form::ps256, {}).value();
    auto const form = parse_query(call.body);
    CHECK(find_parameter(form, "client_secret") == "p~w&r=d +%/é");
    CHECK(find_parameter(form, "scope") == "https://graph.microsoft.com/.default");
    CHECK(find_parameter(form, "grant_type") == "client_credentials");
    CHECK(find_parameter(form, "client_id") == app.client_id);
}

TEST_CASE("an identifier cannot leave its place in a request", "[entra]") {
    CHECK(entra::find_device("x' or '1' eq '1").url.find("x%27%27%20or%20%27%271") != std::string::npos);
    CHECK(entra::report_compliance("../users/1?x#y", true, true).url == "/devices/%2E%2E%2Fusers%2F1%3Fx%23y");
    auto odd = app;
    odd.client_id = "x'/../y?";
    CHECK(entra::read_application(odd, token, "").url.find("applications(appId='x%27%27%2F%2E%2E%2Fy%3F')?$select=") !=
          std::string::npos);
    CHECK(entra::read_mdm_policy(odd, token, "").url.ends_with("mobileDeviceManagementPolicies/x%27%2F%2E%2E%2Fy%3F"));
}

TEST_CASE("the answers of a batch are put back into the order of its requests", "[entra]") {
    auto const got = entra::parse_batch(answer(200, R"({"responses":[
            {"id":"3","status":429,"headers":{"Retry-After":"2.128"},"body":{"error":{"code":"TooManyRequests"}}},
            {"id":"1","status":204,"headers":{},"body":null},
            {"id":"4","status":429,"headers":{"retry-after":7}}]})"),
        4)
                         .value();
    REQUIRE(got.size() == 4);
    REQUIRE(got[0]);
    CHECK(got[0]->status == 204);
    CHECK(got[0]->body.empty());
    CHECK_FALSE(got[1]);  // left out: no answer
    REQUIRE(got[2]);
    CHECK(entra::retry_after(*got[2], {}) == std::chrono::milliseconds(2128));
    CHECK(entra::parse_graph_error(*got[2]).code == "TooManyRequests");
    REQUIRE(got[3]);
    CHECK(entra::retry_after(*got[3], {}) == std::chrono::seconds(7));
}

TEST_CASE("of a batch's answers those that answer nothing are left aside", "[entra]") {
    auto const one = GENERATE(as<std::string>(), R"({"id":"0","status":204})", R"({"id":"3","status":204})",
        R"({"id":"01","status":204})", R"({"id":"","status":204})", R"({"id":1,"status":204})", R"({"status":204})",
        R"({"id":"1"})", R"({"id":"1","status":"204"})", R"({"id":"1","status":0})",
        R"({"id":"1","status":99999999999})", R"({"id":"18446744073709551617","status":204})", "7", "null");
    CAPTURE(one);
    auto const got =
        entra::parse_batch(answer(200, R"({"responses":[)" + one + R"(,{"id":"2","status":204}]})"), 2).value();
    CHECK_FALSE(got.at(0));
    CHECK(got.at(1));
}

TEST_CASE("of several answers to one request the first counts", "[entra]") {
    auto const got =
        entra::parse_batch(answer(200, R"({"responses":[{"id":"1","status":429},{"id":"1","status":204}]})"), 1)
            .value();
    CHECK(got.at(0).value().status == 429);
}

TEST_CASE("an answer that is no batch's is none", "[entra]") {
    auto const body = GENERATE(as<std::string>(), "", "{}", "[]", "<html>", R"({"responses":{}})",
        R"({"responses":null})", R"({"responses":[]}x)", R"({"responses":[],"responses":[]})");
    CAPTURE(body);
    CHECK_FALSE(entra::parse_batch(answer(200, body), 1));
}

namespace {

// The application's own certificate, as an administrator makes one.
crypto::certificate const& own_certificate() {
    static auto const made =
        test::make_leaf(test::contoso().issuing, test::contoso().issuing_key, test::device_key(), {});
    return made;
}
credential certificate_credential() {
    return {.text = {}, .certificate_pem = own_certificate().pem(), .key_pem = test::device_key().to_pem()};
}

bool is_signed(std::string_view text, std::string_view signature, bool pss) {
    crypto::handle<EVP_MD_CTX, EVP_MD_CTX_free> const context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;
    REQUIRE(EVP_DigestVerifyInit(context.get(), &options, EVP_sha256(), nullptr, test::raw(test::device_key())) == 1);
    if (pss) {
        REQUIRE(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1);
        REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 32) == 1);
    }
    return EVP_DigestVerify(
               context.get(), crypto::bytes(signature), signature.size(), crypto::bytes(text), text.size()) == 1;
}

}  // namespace

TEST_CASE("the owner of a certificate proves itself by a signed assertion", "[entra]") {
    auto const [kind, algorithm, name, thumbprint] =
        GENERATE(table<entra::assertion_form, std::string, std::string, std::string>({
            {entra::assertion_form::ps256, "PS256", "x5t#S256", crypto::sha256(own_certificate().der())},
            {entra::assertion_form::rs256, "RS256", "x5t", crypto::sha1(own_certificate().der())},
        }));
    CAPTURE(algorithm);
    auto const call = entra::token_request(app, certificate_credential(), kind, now + 999ms);
    REQUIRE(call);
    CHECK(call->method == "POST");
    CHECK(call->headers.get("content-type") == "application/x-www-form-urlencoded");
    auto const form = parse_query(call->body);
    CHECK(form.size() == 5);
    CHECK(find_parameter(form, "client_id") == app.client_id);
    CHECK(find_parameter(form, "scope") == "https://graph.microsoft.com/.default");
    CHECK(find_parameter(form, "grant_type") == "client_credentials");
    CHECK(find_parameter(form, "client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    auto const assertion = std::string(find_parameter(form, "client_assertion").value_or(""));
    auto const parts = split(assertion, '.');
    REQUIRE(parts.size() == 3);

    auto const header = boost::json::parse(unbase64url(parts[0]).value()).as_object();
    CHECK(header.size() == 3);
    CHECK(header.at("alg").as_string() == algorithm);
    CHECK(header.at("typ").as_string() == "JWT");
    CHECK(header.at(name).as_string() == base64url(thumbprint));

    auto const claims = boost::json::parse(unbase64url(parts[1]).value()).as_object();
    CHECK(claims.size() == 7);
    CHECK(claims.at("aud").as_string() == call->url);
    CHECK(claims.at("iss").as_string() == app.client_id);
    CHECK(claims.at("sub").as_string() == app.client_id);
    CHECK(is_guid(claims.at("jti").as_string()));
    CHECK(claims.at("nbf").as_int64() == 1'800'000'000);
    CHECK(claims.at("iat").as_int64() == 1'800'000'000);
    CHECK(claims.at("exp").as_int64() == 1'800'000'600);

    auto const signed_text = std::string_view(assertion).substr(0, assertion.rfind('.'));
    CHECK(is_signed(signed_text, unbase64url(parts[2]).value(), kind == entra::assertion_form::ps256));

    auto const again = entra::token_request(app, certificate_credential(), kind, now + 999ms);
    REQUIRE(again);
    CHECK(again->body != call->body);  // an id of its own
}

TEST_CASE("a credential that cannot be used is malformed, and never quoted", "[entra]") {
    auto const good = certificate_credential();
    auto const other = crypto::private_key::make_rsa(2048).to_pem();
    auto const curve = crypto::private_key::make_p256();
    auto const curve_certificate =
        test::make_leaf(test::contoso().issuing, test::contoso().issuing_key, curve, {}).pem();
    auto const [what, key] = GENERATE_COPY(table<std::string, credential>({
        {"neither a client secret nor a certificate", {}},
        {"no certificate in the PEM", {.text = {}, .certificate_pem = "hunter2", .key_pem = good.key_pem}},
        {"not a PEM private key", {.text = {}, .certificate_pem = good.certificate_pem, .key_pem = secret("hunter2")}},
        {"not a PEM private key", {.text = {}, .certificate_pem = good.certificate_pem, .key_pem = {}}},
        {"no pair", {.text = {}, .certificate_pem = good.certificate_pem, .key_pem = other}},
        {"not an RSA key", {.text = {}, .certificate_pem = curve_certificate, .key_pem = curve.to_pem()}},
    }));
    CAPTURE(what);
    auto const got = entra::token_request(app, key, entra::assertion_form::ps256, now);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
    CAPTURE(got.error().detail);
    CHECK(got.error().detail.find(what) != std::string::npos);
    CHECK(got.error().detail.find("hunter2") == std::string::npos);
    CHECK(got.error().detail.find("BEGIN") == std::string::npos);
}

TEST_CASE("a token is taken from the answer with its lifetime", "[entra]") {
    auto const lifetime = GENERATE("3599", "\"3599\"");
    auto const got = entra::parse_token_answer(answer(200, std::string(R"({"token_type":"bearer","expires_in":)") +
                                                               lifetime + R"(,"access_token":"abc.def"})"),
        now);
    REQUIRE(got.token);
    CHECK(got.token->text.reveal() == "abc.def");
    CHECK(got.token->expires == now + 3599s);
}

TEST_CASE("a success without a usable token is a refusal", "[entra]") {
    auto const body = GENERATE("", "<html>", "{}", "[]", R"({"token_type":"Bearer","expires_in":3599})",
        R"({"token_type":"pop","expires_in":3599,"access_token":"abc"})",
        R"({"token_type":"Bearer","expires_in":0,"access_token":"abc"})",
        R"({"token_type":"Bearer","expires_in":-5,"access_token":"abc"})",
        R"({"token_type":"Bearer","expires_in":"1h","access_token":"abc"})",
        R"({"token_type":"Bearer","expires_in":3599,"access_token":""})",
        R"({"token_type":"Bearer","expires_in":3599,"access_token":"a\r\nb"})",
        R"({"token_type":"Bearer","expires_in":3599,"access_token":"a","access_token":"b"})");
    CAPTURE(body);
    auto const got = entra::parse_token_answer(answer(200, body), now);
    CHECK_FALSE(got.token);
    CHECK(got.refusal.error == "invalid_answer");
    CHECK_FALSE(got.refusal.credential_is_wrong);
    CHECK_FALSE(got.refusal.summary().empty());
}

TEST_CASE("a refusal names the code, its meaning and remedy, and Microsoft's ids", "[entra]") {
    auto const got = entra::parse_token_answer(
        answer(401,
            R"({"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app are )"
            R"(expired.","error_codes":[7000222],"timestamp":"2027-01-15 08:00:00Z","trace_id":"tr-1",)"
            R"("correlation_id":"co-1","error_uri":"https://login.microsoftonline.com/error?code=7000222"})"),
        now);
    CHECK_FALSE(got.token);
    CHECK(got.refusal.http_status == 401);
    CHECK(got.refusal.error == "invalid_client");
    CHECK(got.refusal.code == 7000222);
    CHECK(got.refusal.credential_is_wrong);
    CHECK(got.refusal.summary() ==
          "AADSTS7000222: the client secret or certificate has expired. Create a new client secret or certificate for "
          "the application and enter it. (HTTP 401, invalid_client, trace tr-1, correlation co-1)");
}

TEST_CASE("refusals of every shape tell whether to try again", "[entra]") {
    auto const [status, body, code, wrong] = GENERATE(table<int, std::string, int, bool>({
        {400, R"({"error":"unauthorized_client","error_codes":[700016]})", 700016, true},
        {400, R"({"error":"invalid_client","error_codes":[1,7000215]})", 7000215, true},
        {400, R"({"error":"invalid_client","error_codes":[123]})", 123, true},
        {401, R"({"error":"invalid_client"})", 0, true},
        {401, R"({"error":"invalid_client","error_codes":[700024]})", 700024, false},
        {400, R"({"error":"invalid_client","error_codes":"7000215"})", 0, true},
        {400, R"({"error":"invalid_request","error_codes":[90002]})", 90002, true},
        {400, R"({"error":"invalid_scope","error_codes":[70011]})", 70011, false},
        {400, R"({"error":"x","error_codes":[-1,1.5,"2",999999999999]})", 0, false},
        {429, "", 0, false},
        {503, "<html>busy</html>", 0, false},
        {404, "", 0, false},
        {400, R"({"error":{"code":1},"trace_id":7})", 0, false},
        {302, "", 0, false},
    }));
    CAPTURE(status, body);
    auto const got = entra::parse_token_answer(answer(status, body), now);
    CHECK_FALSE(got.token);
    CHECK(got.refusal.code == code);
    CHECK(got.refusal.credential_is_wrong == wrong);
    CHECK_FALSE(got.refusal.meaning.empty());
    CHECK_FALSE(got.refusal.remedy.empty());
}

TEST_CASE("a refusal is one line whatever the answer holds", "[entra]") {
    auto const got = entra::parse_token_answer(
        answer(400, R"({"error":"a\r\nb","trace_id":")" + std::string(5000, 'x') + R"(","correlation_id":"\u0000"})"),
        now);
    auto const line = got.refusal.summary();
    CHECK(line.find('\n') == std::string::npos);
    CHECK(line.find('\r') == std::string::npos);
    CHECK(line.find('\0') == std::string::npos);
    CHECK(line.size() < 500);
}

TEST_CASE("every AADSTS code of the operator's table is explained", "[entra]") {
    for (int const code : {7000222, 7000215, 7000218, 700016, 700011, 7000112, 70001, 90002, 900432, 90038, 900382,
             700027, 700021, 700023, 700024, 700030, 70011, 28002, 700022, 500011, 70002, 50012, 65001, 650056, 650057,
             53003, 530032, 90006, 90024, 90033, 90055, 50196}) {
        CAPTURE(code);
        auto const* known = entra::find_code(code);
        REQUIRE(known);
        CHECK(known->code == code);
        CHECK(std::string(known->remedy).back() == '.');
        CHECK(std::string(known->meaning).back() != '.');
    }
    CHECK(entra::find_code(0) == nullptr);
    CHECK(entra::find_code(7000223) == nullptr);
}

TEST_CASE("only where this very credential is refused may its successor help", "[entra]") {
    std::set<int> helped;
    for (int code = 0; code < 10'000'000; ++code)
        if (entra::successor_may_help(code)) helped.insert(code);
    CHECK(helped == std::set{700027, 7000215, 7000222});
    for (int const code : helped) CHECK(entra::find_code(code)->credential_is_wrong);
}

TEST_CASE("a device is found, or it is known that there is none", "[entra]") {
    auto const found = entra::parse_found_device(
        answer(200, R"({"@odata.context":"x","value":[{"id":"0f0f-1","deviceId":"12345678"}]})"));
    REQUIRE(found);
    CHECK(found.value() == "0f0f-1");
    auto const none = entra::parse_found_device(answer(200, R"({"value":[]})"));
    REQUIRE(none);
    CHECK_FALSE(none->has_value());
}

TEST_CASE("an answer about a device that cannot be used is an error", "[entra]") {
    auto const [status, body, code] = GENERATE(table<int, std::string, errc>({
        {200, "", errc::malformed},
        {200, "{}", errc::malformed},
        {200, R"({"value":{}})", errc::malformed},
        {200, R"({"value":[1]})", errc::malformed},
        {200, R"({"value":[{"id":7}]})", errc::malformed},
        {200, R"({"value":[{"id":""}]})", errc::malformed},
        {200, R"({"value":[{"id":"a/b"}]})", errc::malformed},
        {200, R"({"value":[{"id":"a"},{"id":"b"}]})", errc::malformed},
        {204, "", errc::unavailable},
        {401, R"({"error":{"code":"InvalidAuthenticationToken","message":"m"}})", errc::unavailable},
        {403, R"({"error":{"code":"Authorization_RequestDenied","message":"m"}})", errc::unavailable},
        {404, "", errc::unavailable},
        {503, "busy", errc::unavailable},
    }));
    CAPTURE(status, body);
    auto const got = entra::parse_found_device(answer(status, body));
    REQUIRE_FALSE(got);
    CHECK(got.error().code == code);
}

TEST_CASE("the owners of a device are read in lower case, and an answer that cannot be used is an error", "[entra]") {
    using ids = std::set<std::string>;
    constexpr char one[] = "0d000000-0000-0000-0000-00000000000a";
    auto const of = [](std::string body) { return entra::parse_registered_owners(answer(200, std::move(body))); };
    CHECK(of(R"({"value":[]})").value() == ids());
    CHECK(of(R"({"value":[{"@odata.type":"#microsoft.graph.user","id":"0D000000-0000-0000-0000-00000000000A"}]})")
              .value() == ids{one});
    for (auto const* body : {"", "[]", "{}", R"({"value":null})", R"({"value":[null]})", R"({"value":[{"ID":"x"}]})",
             R"({"value":[{"id":"me"}]})", R"({"value":[{"id":7}]})"}) {
        CAPTURE(body);
        CHECK(of(body).error().code == errc::malformed);
    }
    struct row {
        int status;
        errc code;
    };
    for (auto const& r : {row{401, errc::unavailable}, row{403, errc::forbidden}, row{404, errc::not_found},
             row{429, errc::unavailable}, row{500, errc::unavailable}, row{204, errc::unavailable}}) {
        CAPTURE(r.status);
        CHECK(entra::parse_registered_owners(answer(r.status, R"({"value":[]})")).error().code == r.code);
    }
    CHECK_THAT(entra::parse_registered_owners(answer(403, "")).error().detail, Catch::Contains("Device.ReadWrite.All"));
}

TEST_CASE("a user's groups are read page by page, in lower case", "[entra]") {
    auto const page = entra::parse_member_groups(app,
        answer(200, R"({"@odata.context":"x","value":["AAAAAAAA-0000-0000-0000-000000000001"],)"
                    R"("@odata.nextLink":"https://graph.microsoft.com/v1.0/users/1/getMemberGroups?$skiptoken=x"})"));
    REQUIRE(page);
    CHECK(page->groups == std::vector<std::string>{"aaaaaaaa-0000-0000-0000-000000000001"});
    CHECK(page->next == "https://graph.microsoft.com/v1.0/users/1/getMemberGroups?$skiptoken=x");
    auto const next = entra::next_member_groups(token, page->next, "req");
    CHECK(next.method == "GET");
    CHECK(next.url == page->next);
    CHECK(next.headers.get("Authorization") == "Bearer t0ken");
    auto const last = entra::parse_member_groups(app, answer(200, R"({"value":[],"@odata.nextLink":null})"));
    REQUIRE(last);
    CHECK(last->groups.empty());
    CHECK(last->next.empty());
    CHECK(entra::member_groups(app, token, "../groups/1?x", "").url ==
          "https://graph.microsoft.com/v1.0/users/%2E%2E%2Fgroups%2F1%3Fx/getMemberGroups");
}

TEST_CASE("an answer about a user's groups that cannot be used is an error", "[entra][security]") {
    auto const [status, body, code, detail] = GENERATE(table<int, char const*, errc, char const*>({
        {403, R"({"error":{"code":"Authorization_RequestDenied"}})", errc::forbidden,
            "needs the permissions GroupMember.Read.All and User.Read.All"},
        {404, R"({"error":{"code":"Request_ResourceNotFound"}})", errc::not_found, "Request_ResourceNotFound"},
        {401, "", errc::unavailable, "401"},
        {503, "", errc::unavailable, "503"},
        {200, "", errc::malformed, ""},
        {200, R"({"values":[]})", errc::malformed, "no array `value`"},
        {200, R"({"value":["Sales"]})", errc::malformed, "what is no ID"},
        {200, R"({"value":[1]})", errc::malformed, "what is no ID"},
        {200, R"({"value":[],"@odata.nextLink":"https://evil.test/v1.0/users"})", errc::malformed, "not Graph's"},
        {200, R"({"value":[],"@odata.nextLink":"https://graph.microsoft.com.evil.test/"})", errc::malformed,
            "not Graph's"},
        {200, R"({"value":[],"@odata.nextLink":"https://graph.microsoft.com@evil.test/"})", errc::malformed,
            "not Graph's"},
        {200, R"({"value":[],"@odata.nextLink":"http://graph.microsoft.com/v1.0/"})", errc::malformed, "not Graph's"},
        {200, R"({"value":[],"@odata.nextLink":"https://graph.microsoft.com/a b"})", errc::malformed, "not Graph's"},
        {200, R"({"value":[],"@odata.nextLink":5})", errc::malformed, "not Graph's"},
    }));
    CAPTURE(status, body);
    auto const got = entra::parse_member_groups(app, answer(status, body));
    REQUIRE_FALSE(got);
    CHECK(got.error().code == code);
    CHECK_THAT(got.error().detail, Catch::Contains(detail));
}

TEST_CASE("Graph's errors give code, message and request id in either spelling", "[entra]") {
    auto const inner = GENERATE("innerError", "innererror");
    auto const got = entra::parse_graph_error(
        answer(404, std::string(R"({"error":{"code":"Request_ResourceNotFound","message":"Resource 'x'\nnone",")") +
                        inner + R"(":{"date":"2027-01-15T08:00:00","request-id":"r-1","client-request-id":"c-1"}}})"));
    CHECK(got.code == "Request_ResourceNotFound");
    CHECK(got.message == "Resource 'x'\\nnone");
    CHECK(got.request_id == "r-1");
    auto const bare = entra::parse_graph_error(answer(502, "<html>", {{"Request-Id", "r-2"}}));
    CHECK(bare.code.empty());
    CHECK(bare.request_id == "r-2");
}

TEST_CASE("Retry-After is read in seconds, fractions and dates, and is at most a day", "[entra]") {
    auto const [text, ms] = GENERATE(table<std::string, std::int64_t>({
        {"0", 0},
        {"120", 120'000},
        {" 120 ", 120'000},
        {"2.128", 2'128},
        {"0.0001", 1},
        {"86400", 86'400'000},
        {"86401", 86'400'000},
        {"99999999999999999999999999", 86'400'000},
        {"Fri, 15 Jan 2027 08:00:30 GMT", 30'000},
        {"Fri, 15 Jan 2027 07:00:00 GMT", 0},
        {"Fri, 15 Jan 2094 07:00:00 GMT", 86'400'000},
        {"", -1},
        {".", -1},
        {"-5", -1},
        {"+5", -1},
        {"1e3", -1},
        {"0x10", -1},
        {"inf", -1},
        {"nan", -1},
        {"5 s", -1},
        {"1.2.3", -1},
        {"Fri, 32 Jan 2027 08:00:30 GMT", -1},
        {"Fri, 15 Jam 2027 08:00:30 GMT", -1},
        {"Fri, 15 Jan 2027 08:00:30 UTC", -1},
    }));
    CAPTURE(text);
    auto const got = entra::retry_after(answer(429, "", {{"retry-after", text}}), now);
    CHECK(got.has_value() == (ms >= 0));
    CHECK(got.value_or(-1ms).count() == ms);
    CHECK_FALSE(entra::retry_after(answer(429, ""), now));
    CHECK(entra::parse_token_answer(answer(429, "", {{"Retry-After", text}}), now).refusal.retry_after == got);
}

namespace {

// As Graph writes it; `id` and `key` are the JSON values of the first certificate.
std::string registration_text(std::string const& id, std::string const& key) {
    return R"({"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#applications/$entity","id":"o-1",)"
           R"("appId":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","displayName":"mdmd",)"
           R"("identifierUris":["https://mdm.contoso.com","api://aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"],)"
           R"("passwordCredentials":[{"customKeyIdentifier":null,"displayName":"old\nkey","endDateTime":)"
           R"("2027-02-01T00:00:00.1234567Z","hint":"abc","keyId":"k-1","secretText":null,"startDateTime":null},)"
           R"({"displayName":null,"endDateTime":"2028-02-01T00:00:00Z","hint":"xyz","keyId":"k-2"},)"
           R"({"displayName":"no end","endDateTime":null,"hint":"end","keyId":"k-3"}],)"
           R"("keyCredentials":[{"customKeyIdentifier":)" +
           id + R"(,"displayName":"CN=mdmd","endDateTime":"2027-06-30T12:00:00Z","key":)" + key +
           R"(,"keyId":"k-4","startDateTime":"2026-06-30T12:00:00Z","type":"AsymmetricX509Cert","usage":"Verify"},)"
           R"({"customKeyIdentifier":null,"endDateTime":"2029-06-30T12:00:00Z","keyId":"k-5",)"
           R"("type":"AsymmetricX509Cert","usage":"Sign"}]})";
}
std::string json_text(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

TEST_CASE("the application's keys are read with their ends", "[entra]") {
    auto const got = entra::parse_application(answer(200, registration_text("null", "null")));
    REQUIRE(got);
    CHECK(got->identifier_uris ==
          std::vector<std::string>{"https://mdm.contoso.com", "api://aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"});
    REQUIRE(got->keys.size() == 3);
    auto const& first = got->keys[0];
    CHECK_FALSE(first.certificate);
    CHECK(first.key_id == "k-1");
    CHECK(first.name == "old\\nkey");
    CHECK(first.hint == "abc");
    CHECK(first.thumbprint.empty());
    CHECK(rfc3339(first.ends) == "2027-02-01T00:00:00.123Z");
    CHECK(got->keys[1].name.empty());
    auto const& third = got->keys[2];
    CHECK(third.certificate);
    CHECK(third.key_id == "k-4");
    CHECK(third.name == "CN=mdmd");
    CHECK(third.hint.empty());
    CHECK(third.thumbprint.empty());
    CHECK(rfc3339(third.ends) == "2027-06-30T12:00:00Z");
}

TEST_CASE("a certificate is known by every form in which Graph's users write its thumbprint", "[entra]") {
    auto const& own = own_certificate();
    auto const sha1 = crypto::sha1(own.der());
    auto const sha256 = crypto::sha256(own.der());
    auto const der = json_text(base64(own.der()));
    auto const [id, key, thumbprint] = GENERATE_COPY(table<std::string, std::string, std::string>({
        {json_text(base64(sha1)), "null", hex_upper(sha1)},
        {json_text(base64(sha256)), "null", hex_upper(sha256)},
        {json_text(hex(sha1)), "null", hex_upper(sha1)},
        {json_text(hex_upper(sha1)), "null", hex_upper(sha1)},
        {json_text(hex(sha256)), "null", hex_upper(sha256)},
        {json_text(base64(hex_upper(sha1))), "null", hex_upper(sha1)},
        {json_text(base64(hex(sha256))), "null", hex_upper(sha256)},
        {"null", der, hex_upper(sha1)},
        {json_text("my key"), der, hex_upper(sha1)},
        {json_text(base64(std::string(20, 'x'))), der, hex_upper(sha1)},
        {json_text(base64(sha1)), json_text("AAAA"), hex_upper(sha1)},
        {json_text(base64(sha1)), "7", hex_upper(sha1)},
        {json_text("my key"), "null", ""},
        {json_text(base64("my key")), "null", ""},
        {json_text(""), json_text(""), ""},
        {"7", "null", ""},
    }));
    CAPTURE(id, key);
    auto const got = entra::parse_application(answer(200, registration_text(id, key)));
    REQUIRE(got);
    CHECK(got->keys.at(2).thumbprint == thumbprint);
    auto const ends = entra::end_of(certificate_credential(), *got, now);
    CHECK(ends == (thumbprint.empty() ? std::nullopt : parse_rfc3339("2027-06-30T12:00:00Z")));
}

TEST_CASE("the end of a secret is that of its hint, the next one to come where several have it", "[entra]") {
    auto const key = [](std::string hint, std::chrono::milliseconds in, bool certificate = false) {
        return entra::application_key{certificate, "k", "n", std::move(hint), "", now + in};
    };
    using keys = std::vector<entra::application_key>;
    using end = std::optional<std::chrono::milliseconds>;
    auto const [what, all, expected] = GENERATE_COPY(table<std::string, keys, end>({
        {"none", {}, std::nullopt},
        {"its own", {key("xyz", 1h), key("abc", 2h)}, 2h},
        {"another's only", {key("xyz", 1h), key("ABC", 2h)}, std::nullopt},
        {"no hint", {key("", 1h)}, std::nullopt},
        {"a shorter hint", {key("ab", 1h)}, std::nullopt},
        {"a longer hint", {key("abcd", 1h)}, std::nullopt},
        {"a certificate's", {key("abc", 1h, true)}, std::nullopt},
        {"the next to end", {key("abc", 5h), key("abc", 2h), key("abc", 9h)}, 2h},
        {"not one that has ended", {key("abc", -1h), key("abc", 0h), key("abc", 2h)}, 2h},
        {"the last where all have ended", {key("abc", -5h), key("abc", -1h), key("abc", -2h)}, -1h},
    }));
    CAPTURE(what);
    auto const got = entra::end_of({.text = secret("abcdef")}, {{}, all}, now);
    CHECK(got == (expected ? std::optional(now + *expected) : std::nullopt));
    CHECK_FALSE(entra::end_of({}, {{}, all}, now));
    CHECK_FALSE(entra::end_of({.text = secret("ab")}, {{}, all}, now));
    CHECK_FALSE(entra::end_of({.text = {}, .certificate_pem = "no PEM", .key_pem = {}}, {{}, all}, now));
}

TEST_CASE("an answer about the application, or its addresses, that cannot be used is an error", "[entra]") {
    auto const [status, body, code] = GENERATE(table<int, std::string, errc>({
        {200, "", errc::malformed},
        {200, "[]", errc::malformed},
        {200, R"({"identifierUris":{},"termsOfUseUrl":1})", errc::malformed},
        {200, R"({"identifierUris":[1],"discoveryUrl":[]})", errc::malformed},
        {200, R"({"passwordCredentials":"x","complianceUrl":{}})", errc::malformed},
        {200, R"({"passwordCredentials":[1],"complianceUrl":false})", errc::malformed},
        {200, R"({"keyCredentials":[[]],"complianceUrl":false})", errc::malformed},
        {200, R"({"appId":"a","appId":"b"})", errc::malformed},
        {204, "", errc::unavailable},
        {401, R"({"error":{"code":"InvalidAuthenticationToken","message":"m"}})", errc::unavailable},
        {403, R"({"error":{"code":"Authorization_RequestDenied","message":"m"}})", errc::forbidden},
        {404, R"({"error":{"code":"Request_ResourceNotFound","message":"m"}})", errc::not_found},
        {429, "", errc::unavailable},
        {503, "busy", errc::unavailable},
    }));
    CAPTURE(status, body);
    auto const application = entra::parse_application(answer(status, body));
    REQUIRE_FALSE(application);
    CHECK(application.error().code == code);
    auto const addresses = entra::parse_mdm_policy(answer(status, body));
    REQUIRE_FALSE(addresses);
    CHECK(addresses.error().code == code);
    if (status == 403) CHECK(addresses.error().detail.find("Authorization_RequestDenied") != std::string::npos);
}

TEST_CASE("an application without keys is one", "[entra]") {
    auto const body = GENERATE(R"({"passwordCredentials":[]})", R"({"keyCredentials":[],"passwordCredentials":null})",
        R"({"passwordCredentials":[],"keyCredentials":null,"identifierUris":null})");
    auto const got = entra::parse_application(answer(200, body));
    REQUIRE(got);
    CHECK(got->keys.empty());
    CHECK(got->identifier_uris.empty());
    // But an answer that is about no keys at all does not say that there are none.
    for (auto const* nothing : {"{}", R"({"passwordCredentials":null,"keyCredentials":null})"})
        CHECK(entra::parse_application(answer(200, nothing)).error().code == errc::malformed);
}

TEST_CASE("the MDM application's addresses are read, those that are not set too", "[entra]") {
    auto const got = entra::parse_mdm_policy(answer(200,
        R"({"id":"x","appliesTo":"all","isValid":true,"termsOfUseUrl":"https://mdm.contoso.com/TermsOfUse",)"
        R"("discoveryUrl":"https://mdm.contoso.com/EnrollmentServer/Discovery.svc","complianceUrl":null})"));
    REQUIRE(got);
    CHECK(got->terms_of_use_url == "https://mdm.contoso.com/TermsOfUse");
    CHECK(got->discovery_url == "https://mdm.contoso.com/EnrollmentServer/Discovery.svc");
    CHECK(got->compliance_url.empty());
    auto const odd = entra::parse_mdm_policy(answer(200, R"({"discoveryUrl":"a\r\nb"})"));
    REQUIRE(odd);
    CHECK(odd->discovery_url == "a\\r\\nb");
    CHECK(odd->terms_of_use_url.empty());
}

TEST_CASE("the roles that a token grants are read where it can be read", "[entra]") {
    auto const jwt = [](std::string const& claims) {
        return entra::access_token{secret(base64url("{}") + "." + base64url(claims) + ".AAAA"), now};
    };
    CHECK(entra::roles_of(jwt(R"({"roles":["Device.ReadWrite.All","Application.Read.All",7,"a\nb"]})")) ==
          std::set<std::string>{"Device.ReadWrite.All", "Application.Read.All", "a\\nb"});
    for (auto const* claims :
        {"", "{}", "[]", R"({"roles":"x"})", R"({"roles":{}})", R"({"roles":[]})", R"({"roles":["a"],"roles":["b"]})"})
        CHECK(entra::roles_of(jwt(claims)).empty());
    for (auto const* text : {"", "opaque", "a.b", "..", "e30.*.AAAA", "a.b.c.d"})
        CHECK(entra::roles_of({secret(text), now}).empty());
    CHECK(entra::roles_of({secret(std::string(70'000, 'a') + ".e30.a"), now}).empty());
}
