#include "terms/terms.hpp"
#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> const schemes{"ms-appx-web"};
std::string const redirect_uri = "ms-appx-web://ContosoMdm/ToUResponse";
std::string const guid = "34be581c-6ebd-49d6-a4e1-150eff4b7213";
std::string const key = "0123456789abcdef0123456789abcdef";
auto const now = parse_rfc3339("2026-01-31T12:00:00Z").value();

terms::query query(std::string const& uri = redirect_uri) {
    return {.redirect_uri = uri, .client_request_id = guid, .api_version = "1.0", .owner = terms::ownership::personal};
}

terms::form_state state(terms::ownership owner = terms::ownership::personal) {
    terms::form_state s{.id = "AbC-_123",
        .user_id = "11111111-2222-4333-8444-555555555555",
        .upn = "user@contoso.com",
        .tenant_id = "99999999-2222-4333-8444-555555555555",
        .from = query(),
        .text_version = "0123456789ab",
        .language = "en",
        .look = terms::theme::oobe_light,
        .expires = now + 10min};
    s.from.owner = owner;
    return s;
}

std::string header(http::response const& r, std::string_view name) {
    return std::string(r.headers.get(name).value_or("(none)"));
}

bool same(terms::form_state const& a, terms::form_state const& b) {
    return a.id == b.id && a.user_id == b.user_id && a.upn == b.upn && a.tenant_id == b.tenant_id &&
           a.text_version == b.text_version && a.language == b.language && a.look == b.look &&
           a.from.redirect_uri == b.from.redirect_uri && a.from.client_request_id == b.from.client_request_id &&
           a.from.api_version == b.from.api_version && a.from.owner == b.from.owner && a.expires == b.expires;
}

}  // namespace

TEST_CASE("the documented request is read", "[terms]") {
    auto const q = terms::parse_query(
        "redirect_uri=ms-appx-web://ContosoMdm/ToUResponse&client-request-id=" + guid + "&api-version=1.0", schemes)
                       .value();
    CHECK(q.redirect_uri == redirect_uri);
    CHECK(q.client_request_id == guid);
    CHECK(terms::version_supported(q));
    CHECK(q.owner == terms::ownership::personal);
}

TEST_CASE("the redirect_uri is decoded once", "[terms]") {
    auto const [sent, expected] = GENERATE(table<std::string, std::string>({
        {"ms-appx-web://App/R", "ms-appx-web://App/R"},
        {"ms-appx-web%3A%2F%2FApp%2FR", "ms-appx-web://App/R"},
        {"ms-appx-web%3a%2f%2fApp%2fR%3Fa%3Db", "ms-appx-web://App/R?a=b"},
        {"ms-appx-web://App/R%2520x", "ms-appx-web://App/R%20x"},
        {"ms-appx-web://App/R+x", "ms-appx-web://App/R+x"},
        {"MS-APPX-WEB://App/R", "MS-APPX-WEB://App/R"},
    }));
    CHECK(terms::parse_query("redirect_uri=" + sent, schemes).value().redirect_uri == expected);
}

TEST_CASE("names and the mode are compared without regard to case, order and strangers do not matter", "[terms]") {
    auto const [text, owner] = GENERATE(table<std::string, terms::ownership>({
        {"mode=azureadjoin&redirect_uri=ms-appx-web://a&api-version=1.0", terms::ownership::corporate},
        {"MODE=AzureADJoin&Redirect_URI=ms-appx-web://a&API-Version=1.0&x=y&&=", terms::ownership::corporate},
        {"mode=other&redirect_uri=ms-appx-web://a&api-version=1.0", terms::ownership::personal},
        {"mode=&redirect_uri=ms-appx-web://a&api-version=1.0", terms::ownership::personal},
        {"redirect_uri=ms-appx-web://a&api-version=1.0&broken=%zz", terms::ownership::personal},
    }));
    CAPTURE(text);
    auto const q = terms::parse_query(text, schemes);
    REQUIRE(q);
    CHECK(q->owner == owner);
    CHECK(terms::version_supported(*q));
}

TEST_CASE("a mode that is not known is a personal device's, and told", "[terms]") {
    auto const [sent, told] = GENERATE(table<std::string, std::string>(
        {{"", ""}, {"&mode=", ""}, {"&mode=AzureADJoin", ""}, {"&mode=kiosk", "kiosk"}, {"&mode=a%0ab", "a\\nb"}}));
    CAPTURE(sent);
    auto const q = terms::parse_query("redirect_uri=ms-appx-web://a&api-version=1.0" + sent, schemes).value();
    CHECK(q.unknown_mode == told);
}

TEST_CASE("there is no way to be sent anywhere else", "[terms][security]") {
    auto const uri = GENERATE(values<std::string>({
        "",
        "https://evil.example/",
        "http://evil.example/",
        "//evil.example/",
        "/relative",
        "javascript:alert(1)",
        "data:text/html,x",
        "ms-appx-web",
        "ms-appx-web:",
        "ms-appx-webx://a",
        "ms-appx://a",
        " ms-appx-web://a",
        "%20ms-appx-web://a",
        "%09ms-appx-web://a",
        "x%0d%0ams-appx-web://a",
        "ms-appx-web%253A//a",
        "ms-appx-web://a%0d%0aSet-Cookie:x",
        "ms-appx-web://a%0a",
        "ms-appx-web://a%00",
        "ms-appx-web://a%7f",
        "ms-appx-web://a%23fragment",
        "ms-appx-web://a#fragment",
        "ms-appx-web://a%ff",
        "ms-appx-web://a%zz",
        "https://evil.example/?ms-appx-web://a",
        ":ms-appx-web://a",
        "ms-appx-web://a&redirect_uri=ms-appx-web://b",
        "ms-appx-web://a&Redirect_Uri=https://evil.example",
        "ms-appx-web://" + std::string(4000, 'a'),
    }));
    CAPTURE(uri);
    auto const q = terms::parse_query("api-version=1.0&redirect_uri=" + uri, schemes);
    REQUIRE_FALSE(q);
    CHECK(q.error().code == errc::malformed);
}

TEST_CASE("without a redirect_uri or an allowed scheme there is nowhere to redirect to", "[terms]") {
    CHECK(terms::parse_query("", schemes).error().code == errc::malformed);
    CHECK(terms::parse_query("api-version=1.0", schemes).error().code == errc::malformed);
    CHECK(terms::parse_query("redirect_uri=ms-appx-web://a", {}).error().code == errc::malformed);
    CHECK(terms::parse_query("redirect_uri=ms-app://a", {"ms-appx-web", "MS-APP"}));
}

TEST_CASE("only version 1.0 is supported", "[terms]") {
    auto const [version, supported] =
        GENERATE(table<std::string, bool>({{"&api-version=1.0", true}, {"&api-version=1", false},
            {"&api-version=1.00", false}, {"&api-version=2.0", false}, {"&api-version=", false}, {"", false}}));
    CHECK(terms::version_supported(terms::parse_query("redirect_uri=ms-appx-web://a" + version, schemes).value()) ==
          supported);
}

TEST_CASE("a request id that is none is replaced by a GUID of ours", "[terms]") {
    auto const [sent, kept] = GENERATE_REF(table<std::string, bool>({{guid, true}, {"abc_DEF-1", true}, {"", false},
        {"a%0ab", false}, {"%3Cscript%3E", false}, {"a b", false}, {std::string(65, 'a'), false}}));
    CAPTURE(sent);
    auto const q = terms::parse_query("redirect_uri=ms-appx-web://a&client-request-id=" + sent, schemes).value();
    if (kept)
        CHECK(q.client_request_id == sent);
    else
        CHECK(is_guid(q.client_request_id));
    CHECK(is_guid(terms::parse_query("redirect_uri=ms-appx-web://a", schemes).value().client_request_id));
}

TEST_CASE("a decision is a redirect of the documented form", "[terms]") {
    auto const yes = terms::accepted(query(), "Zm9v-_x");
    CHECK(yes.status == 302);
    CHECK(header(yes, "Location") ==
          "ms-appx-web://ContosoMdm/ToUResponse?IsAccepted=true&OpaqueBlob=Zm9v-_x&client-request-id=" + guid);
    auto const no = terms::declined(query());
    CHECK(no.status == 302);
    CHECK(header(no, "Location") == "ms-appx-web://ContosoMdm/ToUResponse?IsAccepted=false&client-request-id=" + guid);
    for (auto const& r : {yes, no}) {
        CHECK(header(r, "Cache-Control") == "no-store");
        CHECK(header(r, "Referrer-Policy") == "no-referrer");
    }
}

TEST_CASE("each failure redirects with its literal error", "[terms]") {
    using terms::failure;
    auto const [why, text] = GENERATE(table<failure, std::string>({
        {failure::unsupported_version, "error=invalid_request&error_description=unsupported%20version"},
        {failure::unauthorized_user_or_tenant,
            "error=unauthorized_client&error_description=unauthorized%20user%20or%20tenant"},
        {failure::token_refused, "error=unauthorized_client&error_description=unauthorized_client"},
        {failure::internal, "error=server_error&error_description=internal%20service%20error"},
    }));
    auto const r = terms::failed(query(), why);
    CHECK(r.status == 302);
    CHECK(header(r, "Location") == redirect_uri + "?" + text + "&client-request-id=" + guid);
}

TEST_CASE("what is appended joins the query that is there", "[terms]") {
    auto const [uri, expected] = GENERATE(table<std::string, std::string>({
        {"ms-appx-web://a/b", "ms-appx-web://a/b?"},
        {"ms-appx-web://a/b?", "ms-appx-web://a/b?"},
        {"ms-appx-web://a/b?x=1", "ms-appx-web://a/b?x=1&"},
        {"ms-appx-web://a/b?x=1&", "ms-appx-web://a/b?x=1&"},
        {"ms-appx-web://a&b", "ms-appx-web://a&b?"},
        {"ms-appx-web://a/b c\xc3\xa9\"<>", "ms-appx-web://a/b%20c%C3%A9%22%3C%3E?"},
        {"ms-appx-web://a/b%20c", "ms-appx-web://a/b%20c?"},
    }));
    CHECK(header(terms::declined(query(uri)), "Location") == expected + "IsAccepted=false&client-request-id=" + guid);
}

TEST_CASE("values in a redirect are percent-encoded", "[terms][security]") {
    auto const location = header(terms::accepted(query(), "a+b/c=.&x\r\n"), "Location");
    CHECK(location.find("OpaqueBlob=a%2Bb%2Fc%3D%2E%26x%0D%0A&") != location.npos);
}

TEST_CASE("a sealed state opens to what was sealed", "[terms]") {
    auto s = state(GENERATE(terms::ownership::personal, terms::ownership::corporate));
    s.upn = "o'neil&=%.\xc3\xa9@contoso.com";
    s.from.redirect_uri += "?a=1&b=%20";
    auto const sealed = terms::seal(s, key);
    CHECK(sealed.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == sealed.npos);
    auto const opened = terms::open(sealed, key, now);
    REQUIRE(opened);
    CHECK(same(*opened, s));
}

TEST_CASE("an empty field stays empty under the seal", "[terms]") {
    auto s = state();
    s.upn.clear();
    CHECK(same(terms::open(terms::seal(s, key), key, now).value(), s));
}

TEST_CASE("a state is good until it expires", "[terms]") {
    auto const sealed = terms::seal(state(), key);
    CHECK(terms::open(sealed, key, now + 10min - 1ms));
    CHECK(terms::open(sealed, key, now + 10min).error().code == errc::conflict);
}

TEST_CASE("no changed state opens", "[terms][security]") {
    auto const sealed = terms::seal(state(), key);
    SECTION("another key") { CHECK(terms::open(sealed, key + "x", now).error().code == errc::unauthenticated); }
    SECTION("any one character changed") {
        for (std::size_t i = 0; i < sealed.size(); ++i) {
            auto changed = sealed;
            changed[i] = changed[i] == 'A' ? 'B' : 'A';
            CAPTURE(i);
            CHECK_FALSE(terms::open(changed, key, now));
        }
    }
    SECTION("cut anywhere") {
        for (std::size_t i = 0; i < sealed.size(); ++i) CHECK_FALSE(terms::open(sealed.substr(0, i), key, now));
    }
    SECTION("another payload under the same signature") {
        auto const signature = sealed.substr(sealed.find('.'));
        auto forged = unbase64url(sealed.substr(0, sealed.find('.'))).value();
        forged.replace(forged.find("personal"), 8, "corporate");
        CHECK(terms::open(base64url(forged) + signature, key, now).error().code == errc::unauthenticated);
    }
    SECTION("a plain HMAC of the payload with the same key") {
        auto const payload = sealed.substr(0, sealed.find('.'));
        CHECK(terms::open(payload + "." + base64url(crypto::hmac_sha256(key, payload)), key, now).error().code ==
              errc::unauthenticated);
    }
    SECTION("no state at all") {
        for (auto const* const text : {"", ".", "a.b", "a.b.c", "!.!", "..", "\xff.\xff"})
            CHECK_FALSE(terms::open(text, key, now));
        CHECK(terms::open(std::string(1 << 20, 'A'), key, now).error().code == errc::malformed);
    }
}
