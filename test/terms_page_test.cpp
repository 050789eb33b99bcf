// What the pages hold: words, form, headers, and nothing that came unescaped.
#include <fmt/format.h>
#include <regex>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "terms/language.hpp"
#include "terms/library.hpp"
#include "terms/words.hpp"
#include "test/support.hpp"

using namespace mdmd;
using terms::ownership;
using terms::pin_field;
using terms::theme;

namespace {

terms::form_state state(ownership owner = ownership::personal) {
    return {.id = "AbC-_123",
        .user_id = "11111111-2222-4333-8444-555555555555",
        .upn = "user@contoso.com",
        .tenant_id = "99999999-2222-4333-8444-555555555555",
        .from = {.redirect_uri = "ms-appx-web://ContosoMdm/ToUResponse",
            .client_request_id = "34be581c-6ebd-49d6-a4e1-150eff4b7213",
            .api_version = "1.0",
            .owner = owner},
        .text_version = {},
        .language = {},
        .expires = {}};
}

terms::appearance looks(theme look = theme::automatic, terms::words const& speak = terms::english) {
    return {.look = look, .speak = &speak, .texts = nullptr, .organization = "Contoso"};
}

terms::library const none;
http::response page(std::string const& language, ownership owner = ownership::personal, theme look = theme::automatic,
    pin_field pin = pin_field::none) {
    return terms::page(looks(look), state(owner), "payload.signature", none.choose(owner, {}, {language}), pin);
}

std::string header(http::response const& r, std::string_view name) {
    return std::string(r.headers.get(name).value_or("(none)"));
}

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++n;
    return n;
}

void check_headers(http::response const& r) {
    CHECK(header(r, "Content-Type") == "text/html; charset=UTF-8");
    CHECK(header(r, "Cache-Control") == "no-store");
    CHECK(header(r, "Referrer-Policy") == "no-referrer");
    CHECK(header(r, "X-Content-Type-Options") == "nosniff");
    CHECK(header(r, "Set-Cookie") == "(none)");
    // Windows 11 shows the page in a frame.
    CHECK(header(r, "X-Frame-Options") == "(none)");
    auto const policy = header(r, "Content-Security-Policy");
    CHECK(policy.find("default-src 'none'") == 0);
    CHECK(policy.find("base-uri 'none'") != policy.npos);
    CHECK(policy.find("unsafe-inline") == policy.npos);
    CHECK(policy.find("frame-ancestors") == policy.npos);
    for (auto const* const absent : {"<script", " style=", " onclick", "http:", "https:", "<img", "javascript"}) {
        CAPTURE(absent);
        CHECK(count(r.body, absent) == 0);
    }
    // No element has an id that another has.
    CHECK(count(r.body, "<main>") == 1);
    CHECK(count(r.body, "<h1") == 1);
}

// The one style block is the one that the policy lets through.
void check_own_style(http::response const& r) {
    auto const from = r.body.find("<style>") + 7;
    auto const style = r.body.substr(from, r.body.find("</style>") - from);
    CHECK(count(r.body, "<style") == 1);
    CHECK(count(r.body, "<link") == 0);
    CHECK(header(r, "Content-Security-Policy").find("style-src 'sha256-" + base64(crypto::sha256(style)) + "';") !=
          std::string::npos);
}

}  // namespace

TEST_CASE("each theme has its page", "[terms][golden]") {
    auto const look = GENERATE(from_range(terms::all_themes));
    auto const r = page("en", ownership::corporate, look);
    check_headers(r);
    check_own_style(r);
    test::matches_golden(fmt::format("terms/corporate-{}.html", terms::name_of(look)), r.body);
}

TEST_CASE("each language has its page, labelled and allowed to send its decision home", "[terms][golden]") {
    auto const* const speak = GENERATE(from_range(terms::all_words().begin(), terms::all_words().end()));
    std::string const tag(speak->tag);
    CAPTURE(tag);
    auto const r = page(tag, ownership::personal, theme::settings, pin_field::wrong);
    CHECK(r.status == 200);
    check_headers(r);
    check_own_style(r);
    CHECK(header(r, "Content-Security-Policy").find("form-action 'self' ms-appx-web:;") != std::string::npos);
    CHECK(r.body.find(fmt::format("<html lang=\"{}\" dir=\"{}\">", tag, tag == "ar" ? "rtl" : "ltr")) != r.body.npos);
    CHECK(r.body.find("<form method=\"post\" action=\"/TermsOfUse\">") != r.body.npos);
    CHECK(r.body.find("<input type=\"hidden\" name=\"state\" value=\"payload.signature\">") != r.body.npos);
    CHECK(r.body.find("<bdi>user@contoso.com</bdi>") != r.body.npos);
    CHECK(r.body.find(none.choose(ownership::personal, {}, {tag}).version) != r.body.npos);
    for (auto const& said : {speak->accept, speak->decline, speak->pin, speak->pin_hint, speak->pin_wrong})
        CHECK(r.body.find(html_escape(said)) != r.body.npos);
    test::matches_golden("terms/personal-" + tag + ".html", r.body);
    test::matches_golden(
        "terms/corporate-" + tag + ".txt", std::string(none.choose(ownership::corporate, {}, {tag}).html));
}

TEST_CASE("no language lacks a word, and none has another's", "[terms]") {
    auto const* const speak = GENERATE(from_range(terms::all_words().begin(), terms::all_words().end()));
    auto const all = [](terms::words const& w) {
        return std::vector{w.title, w.signed_in, w.accept, w.decline, w.pin, w.pin_hint, w.pin_missing, w.pin_wrong,
            w.management, w.turned_away, w.enrollment_off, w.personal_blocked, w.not_in_group, w.maintenance,
            w.pin_locked, w.next, w.refused, w.incomplete, w.foreign, w.expired, w.answered, w.no_such_answer,
            w.text_changed, w.start_again, w.corporate, w.personal};
    };
    auto const mine = all(*speak);
    auto const english = all(terms::english);
    CAPTURE(speak->tag);
    for (std::size_t i = 0; i < mine.size(); ++i) {
        CAPTURE(i, mine[i]);
        CHECK_FALSE(mine[i].empty());
        CHECK(is_utf8(mine[i]));
        if (speak != &terms::english) CHECK(mine[i] != english[i]);
        for (auto const* name : {"{organization}", "{user}"})
            CHECK((count(mine[i], name) > 0) == (count(english[i], name) > 0));
    }
    CHECK(count(speak->version, "{version}") == 1);
    CHECK(terms::is_language_tag(speak->tag));
    // As many things to know in each: headings and points.
    for (auto owner : {ownership::corporate, ownership::personal})
        for (auto const* element : {"<h2>", "<li>", "<p>"})
            CHECK(count(none.choose(owner, {}, {std::string(speak->tag)}).html, element) ==
                  count(none.choose(owner, {}, {"en"}).html, element));
}

TEST_CASE("decline is offered for personal devices alone, after accept", "[terms]") {
    auto const personal = page("en").body;
    CHECK(count(personal, "<button") == 2);
    CHECK(personal.find("value=\"accept\"") < personal.find("value=\"decline\""));
    auto const corporate = page("en", ownership::corporate).body;
    CHECK(count(corporate, "<button") == 1);
    CHECK(corporate.find("value=\"accept\"") != corporate.npos);
    CHECK(corporate.find("value=\"decline\"") == corporate.npos);
}

TEST_CASE("a PIN is asked for in a field that is no password's, and what was wrong is told where it is", "[terms]") {
    CHECK(page("en").body.find("name=\"pin\"") == std::string::npos);
    auto const asked = page("en", ownership::personal, theme::settings, pin_field::asked).body;
    CHECK(
        count(asked,
            "<input type=\"text\" id=\"pin\" name=\"pin\" inputmode=\"numeric\" autocomplete=\"one-time-code\"") == 1);
    CHECK(count(asked, "type=\"password\"") == 0);
    CHECK(count(asked, "<label for=\"pin\">") == 1);
    CHECK(count(asked, "aria-describedby=\"pin-hint\"") == 1);
    CHECK(count(asked, "aria-invalid") + count(asked, "autofocus") == 0);
    auto const [what, said] = GENERATE(table<pin_field, std::string_view>(
        {{pin_field::wrong, terms::english.pin_wrong}, {pin_field::missing, terms::english.pin_missing}}));
    auto const again = page("en", ownership::personal, theme::settings, what).body;
    CHECK(count(again, "aria-describedby=\"pin-error pin-hint\" aria-invalid=\"true\" autofocus>") == 1);
    CHECK(again.find(fmt::format("id=\"pin-error\">{}<", said)) != again.npos);
}

TEST_CASE("a typed PIN is read whatever keyboard it comes from", "[terms]") {
    auto const [typed,
        read] = GENERATE(table<std::string, std::string>({{"12345678", "12345678"}, {" 1234-5678\t", "12345678"},
        {"１２３４　５６７８", "12345678"}, {"١٢٣٤٥٦٧٨", "12345678"}, {"۰۱۲۳۴۵۶۷۸۹", "0123456789"}, {"", ""},
        {"\xd9", "\xd9"}, {"\xef\xbc", "\xef\xbc"}, {"abc", "abc"}, {std::string(1000, '1'), std::string(64, '1')}}));
    CHECK(terms::typed_pin(typed) == read);
}

TEST_CASE("form-action names the checked scheme and nothing that could be read as more", "[terms][security]") {
    auto const [uri, expected] = GENERATE(table<std::string, std::string>({
        {"ms-appx-web://a", "form-action 'self' ms-appx-web:;"},
        {"MS-APP://a", "form-action 'self' ms-app:;"},
        {"a b; script-src *://x", "form-action 'self';"},
        {"", "form-action 'self';"},
    }));
    auto s = state();
    s.from.redirect_uri = uri;
    CHECK(header(terms::page(looks(), s, "s", none.choose(ownership::personal, {}, {})), "Content-Security-Policy")
              .find(expected) != std::string::npos);
}

TEST_CASE("nothing is reflected unescaped", "[terms][security]") {
    std::string const hostile = "<script>\"'&{organization}{user}";
    std::string const escaped = "&lt;script&gt;&quot;&#39;&amp;{organization}{user}";
    auto const owner = GENERATE(ownership::personal, ownership::corporate);
    auto s = state(owner);
    s.upn = hostile;
    s.from.redirect_uri = "ms-appx-web://a/<script>\"'";
    s.from.client_request_id = hostile;
    auto look = looks();
    look.organization = hostile;
    auto const shown = terms::page(look, s, hostile, none.choose(owner, {}, {"en"}));
    auto const away = terms::turned_away_page(look, s.from, terms::turned_away_because::not_in_group);
    for (auto const& r : {shown, away}) {
        check_headers(r);
        CHECK(r.body.find("<script") == r.body.npos);
        CHECK(r.body.find("<bdi>" + escaped + "</bdi>") != r.body.npos);
        for (auto const& [name, value] : r.headers) CHECK(value.find("script>") == value.npos);
    }
}

TEST_CASE("a refusal is a page of its own with status 400 and no form, in the user's language", "[terms]") {
    using terms::refused_because;
    auto const why = GENERATE(refused_because::incomplete, refused_because::foreign, refused_because::expired,
        refused_because::answered, refused_because::no_such_answer, refused_because::text_changed);
    for (auto const* speak : terms::all_words()) {
        auto const r = terms::refusal_page(looks(theme::oobe_dark, *speak), why);
        CHECK(r.status == 400);
        check_headers(r);
        check_own_style(r);
        CHECK(r.body.find(fmt::format("<html lang=\"{}\"", speak->tag)) != r.body.npos);
        CHECK(r.body.find(html_escape(speak->because(why))) != r.body.npos);
        CHECK(r.body.find("<form") == r.body.npos);
        CHECK(header(r, "Content-Security-Policy").find("form-action 'none'") != std::string::npos);
        CHECK(header(r, "Location") == "(none)");
    }
}

TEST_CASE("a user who is turned away reads why and goes on to the documented error", "[terms][golden]") {
    using terms::turned_away_because;
    auto const why = GENERATE(turned_away_because::enrollment_off, turned_away_because::personal_blocked,
        turned_away_because::not_in_group, turned_away_because::maintenance, turned_away_because::pin_locked);
    for (auto const* speak : terms::all_words()) {
        auto const r = terms::turned_away_page(looks(theme::oobe_light, *speak), state().from, why);
        CHECK(r.status == 200);
        check_headers(r);
        auto const next = header(terms::failed(state().from, terms::failure::unauthorized_user_or_tenant), "Location");
        CHECK(r.body.find("href=\"" + html_escape(next) + "\"") != r.body.npos);
        CHECK(r.body.find(html_escape(speak->because(why))) != r.body.npos);
        if (why == turned_away_because::personal_blocked && (speak == &terms::english || speak == &terms::arabic))
            test::matches_golden(fmt::format("terms/turned-away-{}.html", speak->tag), r.body);
    }
}

TEST_CASE("the words around a text in a language without words here are English and say so", "[terms]") {
    terms::text dutch{
        .language = "nl", .owner = ownership::personal, .group = {}, .version = "v", .html = "<p>Hallo {user}</p>"};
    auto const r = terms::page(looks(), state(), "s", dutch).body;
    CHECK(r.find("<html lang=\"nl\" dir=\"ltr\">") != r.npos);
    CHECK(r.find("<h1 lang=\"en\" dir=\"ltr\">") != r.npos);
    CHECK(r.find("action=\"/TermsOfUse\" lang=\"en\" dir=\"ltr\">") != r.npos);
    CHECK(r.find("<p>Hallo <bdi>user@contoso.com</bdi></p>") != r.npos);
    dutch.language = "de-AT";
    dutch.has_title = true;
    dutch.html = "<h1>Servus</h1>";
    auto const austrian = terms::page(looks(), state(), "s", dutch).body;
    CHECK(austrian.find("<html lang=\"de-AT\" dir=\"ltr\">") != austrian.npos);
    CHECK(count(austrian, "<h1") == 1);
    CHECK(austrian.find("Annehmen") != austrian.npos);
    CHECK(austrian.find("lang=\"en\"") == austrian.npos);
}

TEST_CASE("every colour pair of every theme can be read", "[terms]") {
    // WCAG 2.2, relative luminance; #abc or #aabbcc.
    auto const luminance = [](std::string hex) {
        if (hex.size() == 3) hex = {hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]};
        double out = 0;
        double const weights[] = {0.2126, 0.7152, 0.0722};
        for (std::size_t i = 0; i < 3; ++i) {
            auto const v = std::stoi(hex.substr(2 * i, 2), nullptr, 16) / 255.0;
            out += weights[i] * (v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4));
        }
        return out;
    };
    auto const look = GENERATE(from_range(terms::all_themes));
    std::string const style(terms::style_of(look));
    std::regex const one(R"(--([a-z-]+):#([0-9a-f]+))");
    std::size_t schemes = 0;
    for (auto at = style.find("--back:"); at != style.npos; at = style.find("--back:", at + 1)) {
        if (style.substr(at, 8) != "--back:#") continue;
        ++schemes;
        auto const block = style.substr(at, style.find('}', at) - at);
        std::map<std::string, double> light;
        for (std::sregex_iterator i(block.begin(), block.end(), one), end; i != end; ++i)
            light[(*i)[1]] = luminance((*i)[2]);
        auto const contrast = [&](char const* a, char const* b) {
            auto const [low, high] = std::minmax(light.at(a), light.at(b));
            return (high + 0.05) / (low + 0.05);
        };
        CAPTURE(terms::name_of(look), block);
        CHECK(contrast("text", "back") >= 4.5);
        CHECK(contrast("quiet", "back") >= 4.5);
        CHECK(contrast("wrong", "back") >= 4.5);
        CHECK(contrast("on-act", "act") >= 4.5);
        CHECK(contrast("act", "back") >= 3);
        CHECK(contrast("line", "back") >= 3);
    }
    CHECK(schemes == (look == theme::automatic ? 2 : 1));
}

TEST_CASE("what surrounds the page chooses its theme", "[terms]") {
    auto const [host, version, expected] = GENERATE(table<std::string, std::string, theme>({
        {"FRX", R"({"osVersion":"10.0.19045.3803"})", theme::oobe_dark},
        {"FRX", R"({"osVersion":"10.0.22631.3447"})", theme::oobe_light},
        {"frx", "10.0.22000", theme::oobe_light},
        {"FRX", "10.0.21999", theme::oobe_dark},
        {"FRX", "{\"major\":10,\"minor\":0,\"buildNumber\":26100}", theme::oobe_light},
        {"FRX", "2814751249597971", theme::oobe_light},  // 10.0.22621.2131
        {"FRX", "2814751014977536", theme::oobe_dark},   // 10.0.19041.0
        {"FRX", "", theme::oobe_dark},
        {"FRX", "???", theme::oobe_dark},
        {"FRX", "99999999999999999999999999", theme::oobe_dark},
        {"MOSET", "10.0.22631", theme::settings},
        {" moset ", "", theme::settings},
        {"", "10.0.22631", theme::automatic},
        {"other", "10.0.22631", theme::automatic},
    }));
    CAPTURE(host, version);
    for (auto const* name : {"CXH-HOST", "cxh-hosthttp"})
        CHECK(terms::theme_of({{name, host}, {"cxh-osVersionInfo", version}}) == expected);
    CHECK(terms::theme_of({{"cxh-osVersionInfo", version}}) == theme::automatic);
    CHECK(terms::theme_of({{"CXH-HOST", host}, {"CXH-HOSTHTTP", "MOSET"}, {"cxh-osVersionInfo", version}}) == expected);
}
