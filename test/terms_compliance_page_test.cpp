#include <fmt/format.h>
#include <array>

#include "lib/terms/compliance_words.hpp"
#include "terms/compliance_page.hpp"
#include "terms/language.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::terms;

namespace {

constexpr auto key = "a key that seals";
constexpr std::array languages{"en", "de", "fr", "es", "ja", "zh-Hans", "ar"};
time_point const now = from_ms(1'800'000'000'000);  // 2027-01-15T08:00:00Z

std::vector<compliance_words const*> all_words() {
    std::vector<compliance_words const*> all;
    for (auto const& w : latin_compliance_words) all.push_back(&w);
    for (auto const& w : other_compliance_words) all.push_back(&w);
    return all;
}

std::string body(device_health const& d, std::string const& language = "en") {
    return compliance_page(d, {language}, now).body;
}

bool holds(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

device_health noncompliant(std::vector<shortfall> all) {
    return {.name = "PC-1",
        .now = device_health::state::noncompliant,
        .grace_until = {},
        .last_seen = now - std::chrono::hours(24 * 31),
        .shortfalls = std::move(all)};
}

}  // namespace

TEST_CASE("a link opens as it was sealed, until it expires", "[terms]") {
    auto const sealed = seal_link({"device-1", now + std::chrono::seconds(1)}, key);
    auto const opened = open_link(sealed, key, now);
    REQUIRE(opened);
    CHECK(opened->device_id == "device-1");
    CHECK(opened->expires == now + std::chrono::seconds(1));
    CHECK(open_link(sealed, key, now + std::chrono::seconds(1)).error().code == errc::conflict);
    CHECK(sealed.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == sealed.npos);
}

TEST_CASE("a link that anybody changed does not open", "[terms]") {
    auto const sealed = seal_link({"device-1", now + std::chrono::hours(1)}, key);
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto other = sealed;
        other[i] = other[i] == 'A' ? 'B' : 'A';
        CAPTURE(i);
        CHECK_FALSE(open_link(other, key, now));
    }
    for (auto const& bad : {std::string(), std::string("."), sealed + ".", sealed + "A", "." + sealed,
             sealed.substr(0, sealed.find('.')), std::string(5000, 'A') + ".AAAA"})
        CHECK_FALSE(open_link(bad, key, now));
    CHECK(open_link(sealed, "another key", now).error().code == errc::unauthenticated);
    CHECK_THROWS_AS(open_link(sealed, "", now), std::logic_error);
    CHECK_THROWS_AS(seal_link({"d", now}, ""), std::logic_error);
}

TEST_CASE("every language has all words, with the values in their places", "[terms]") {
    auto const all = all_words();
    REQUIRE(all.size() == languages.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto const& w = *all[i];
        CAPTURE(w.locale);
        CHECK(w.locale == languages[i]);
        for (auto const plain :
            {w.general_title, w.general_what, w.link_hint, w.link_invalid, w.steps_title, w.step_network, w.step_sync,
                w.step_wait, w.step_ask, w.this_device, w.noncompliant_what, w.unknown_what, w.compliant_what,
                w.shortfalls_title, w.seen_today, w.never_seen, w.os_version.title, w.last_seen.title, w.other.title,
                w.encryption.title, w.encryption.text, w.secure_boot.title, w.secure_boot.text, w.antivirus.title,
                w.antivirus.text, w.firewall.title, w.firewall.text, w.tpm.title, w.tpm.text}) {
            CHECK_FALSE(plain.empty());
            CHECK(plain.find_first_of("{}") == plain.npos);
        }
        for (auto const one : {w.noncompliant_title, w.grace_title, w.unknown_title, w.compliant_title, w.grace_what,
                 w.last_seen.text, w.other.text})
            CHECK(holds(fmt::format(fmt::runtime(one), "VALUE"), "VALUE"));
        auto const versions = fmt::format(fmt::runtime(w.os_version.text), "FOUND", "WANTED");
        CHECK(versions.find("FOUND") < versions.find("WANTED"));
        CHECK(holds(versions, "WANTED"));
    }
}

TEST_CASE("days are counted as each language counts them", "[terms]") {
    auto const days = [](std::string_view locale, std::int64_t n) {
        for (auto const* w : all_words())
            if (w->locale == locale) return w->days(n);
        return std::string();
    };
    CHECK(days("en", 1) == "1 day");
    CHECK(days("en", 2) == "2 days");
    CHECK(days("de", 1) == "1 Tag");
    CHECK(days("de", 40) == "40 Tagen");
    CHECK(days("fr", 31) == "31 jours");
    CHECK(days("es", 1) == "1 día");
    CHECK(days("ja", 3) == "3 日間");
    CHECK(days("zh-Hans", 3) == "3 天");
    CHECK(days("ar", 1) == "يوم واحد");
    CHECK(days("ar", 2) == "يومين");
    CHECK(days("ar", 10) == "10 أيام");
    CHECK(days("ar", 11) == "11 يومًا");
    CHECK(days("ar", 100) == "100 يوم");
    CHECK(days("ar", 103) == "103 أيام");
}

TEST_CASE("the page speaks the visitor's language", "[terms]") {
    struct {
        std::vector<std::string> asked;
        std::string_view tag, direction;
    } const rows[]{{{}, "en", "ltr"}, {{"de-CH"}, "de", "ltr"}, {{"sw", "ar-EG"}, "ar", "rtl"},
        {{"zh-CN"}, "zh-Hans", "ltr"}, {{"sw"}, "en", "ltr"}};
    for (auto const& row : rows) {
        auto const page = compliance_page(visitor::without_link, row.asked);
        CHECK(holds(page.body, fmt::format("<html lang=\"{}\" dir=\"{}\">", row.tag, row.direction)));
        CHECK(page.headers.get("Content-Language") == row.tag);
        CHECK(page.headers.get("Vary") == "Accept-Language");
    }
}

TEST_CASE("the page is closed to scripts, frames, caches and other origins", "[terms]") {
    for (auto const& page : {compliance_page(visitor::without_link, {}),
             compliance_page(visitor::with_invalid_link, {}), compliance_page(noncompliant({}), {}, now)}) {
        auto const policy = std::string(page.headers.get("Content-Security-Policy").value());
        for (auto const* part :
            {"default-src 'none'; ", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'", "'sha256-"})
            CHECK(holds(policy, part));
        CHECK_FALSE(holds(policy, "unsafe"));
        CHECK(page.headers.get("Cache-Control") == "no-store");
        CHECK(page.headers.get("Referrer-Policy") == "no-referrer");
        CHECK(page.headers.get("X-Content-Type-Options") == "nosniff");
        CHECK_FALSE(holds(page.body, "<script"));
        CHECK_FALSE(holds(page.body, "http"));
    }
    CHECK(compliance_page(visitor::without_link, {}).status == 200);
    CHECK(compliance_page(visitor::with_invalid_link, {}).status == 404);
}

TEST_CASE("each state has a page of its own in every language", "[terms]") {
    using state = device_health::state;
    for (auto const* language : languages) {
        CAPTURE(language);
        std::set<std::string> titles;
        for (auto const s : {state::compliant, state::in_grace_period, state::noncompliant, state::unknown}) {
            auto const page = body({.name = "PC-1",
                                       .now = s,
                                       .grace_until = now + std::chrono::hours(5),
                                       .last_seen = now,
                                       .shortfalls = {{"firewall", "p", "", ""}}},
                language);
            auto const from = page.find("<h1>");
            titles.insert(page.substr(from, page.find("</h1>") - from));
            CHECK(holds(page, "<bdi>PC-1</bdi>"));
            CHECK(holds(page, "<ol>") == (s != state::compliant));
            CHECK(holds(page, "class=\"shortfalls\">") == (s == state::noncompliant || s == state::in_grace_period));
            CHECK(holds(page, "datetime=\"2027-01-15T13:00:00Z\"") == (s == state::in_grace_period));
        }
        CHECK(titles.size() == 4);
    }
}

TEST_CASE("each rule is told in words of its own, any other by its policy", "[terms]") {
    for (auto const* language : languages) {
        CAPTURE(language);
        std::set<std::string> told;
        for (auto const* rule :
            {"min_os_version", "last_seen", "encryption", "secure_boot", "antivirus", "firewall", "tpm", "uri"}) {
            auto const page = body(noncompliant({{rule, "Baseline", "10.0.19045.3803", "10.0.19045.1"}}), language);
            auto const from = page.find("<h3>");
            REQUIRE(from != page.npos);
            told.insert(page.substr(from, page.find("</li>", from) - from));
            CHECK(holds(page, "10.0.19045.3803") == (std::string_view(rule) == "min_os_version"));
            CHECK(holds(page, "Baseline") == (std::string_view(rule) == "uri"));
        }
        CHECK(told.size() == 8);
        CHECK(body(noncompliant({{"of_the_future", "Baseline", "", ""}}), language) ==
              body(noncompliant({{"uri", "Baseline", "", ""}}), language));
    }
    auto const page = body(noncompliant({{"min_os_version", "p", "10.0.19045.3803", "10.0.19045.1"}}));
    CHECK(holds(page, "version <bdi>10.0.19045.1</bdi>; version <bdi>10.0.19045.3803</bdi> or later"));
    CHECK(holds(page, "Settings &gt; Windows Update"));
}

TEST_CASE("a page never shows what a setting is or what it should be", "[terms]") {
    auto const page =
        body(noncompliant({{"uri", "Baseline", "eq 5", "./Vendor/MSFT/Secret"}, {"tpm", "p", "eq twenty", "eleven"}}));
    for (auto const* hidden : {"eq 5", "./Vendor", "twenty", "eleven"}) CHECK_FALSE(holds(page, hidden));
}

TEST_CASE("what is said of two rules alike is said once", "[terms]") {
    auto const page =
        body(noncompliant({{"uri", "Baseline", "", "1"}, {"uri", "Baseline", "", "2"}, {"uri", "Other", "", ""}}));
    std::size_t count = 0;
    for (auto at = page.find("<h3>"); at != page.npos; at = page.find("<h3>", at + 1)) ++count;
    CHECK(count == 2);
}

TEST_CASE("the last contact is told in days, or that there was none", "[terms]") {
    auto d = noncompliant({{"last_seen", "", "within 30d", "2026-12-15T08:00:00Z"}});
    CHECK(holds(body(d), "It has not been in contact for 31 days."));
    d.last_seen = now - std::chrono::hours(3);
    CHECK(holds(body(d), "Its last contact is too long ago."));
    d.last_seen.reset();
    CHECK(holds(body(d), "It has never been in contact."));
}

TEST_CASE("a device's name and a policy's are text, whatever they hold", "[terms]") {
    auto d = noncompliant({{"uri", "{0}<b>&\"'", "", ""}, {"min_os_version", "", "<i>{}", "{1}"}});
    d.name = "<script>{0}{1}";
    for (auto const* language : languages) {
        auto const page = body(d, language);
        CHECK(holds(page, "&lt;script&gt;{0}{1}"));
        CHECK(holds(page, "<bdi>{0}&lt;b&gt;&amp;&quot;&#39;</bdi>"));
        CHECK_FALSE(holds(page, "<script"));
        CHECK_FALSE(holds(page, "<i>"));
    }
    d.name.clear();
    CHECK(holds(body(d), "<bdi>This device</bdi>"));
}
