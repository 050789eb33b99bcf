// Requests to Entra's token endpoint and to Microsoft Graph, and their answers.
#include <set>

#include "core/text.hpp"
#include "entra/graph.hpp"
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
    test::matches_golden("entra/find-device.txt",
        as_text(entra::find_device(app, token, "12345678-aaaa-bbbb-cccc-1234567890ab", "req-1")));
    test::matches_golden("entra/report-compliance.txt",
        as_text(entra::report_compliance(app, token, "0f0f0f0f-0000-0000-0000-000000000001", true, false, "req-2")));
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
    CHECK(
        entra::find_device(app, token, "x' or '1' eq '1", "").url.find("x%27%27%20or%20%27%271") != std::string::npos);
    CHECK(entra::report_compliance(app, token, "../users/1?x#y", true, true, "").url ==
          "https://graph.microsoft.com/v1.0/devices/%2E%2E%2Fusers%2F1%3Fx%23y");
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
