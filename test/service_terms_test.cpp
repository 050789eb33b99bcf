// The Terms of Use as a whole: texts by group and language, PINs, what is kept of a consent.
#include "service/consent.hpp"
#include "store/enrollment.hpp"
#include "terms/words.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using test::appliance_fixture;

namespace {

constexpr char sales[] = "5a1e5000-0000-0000-0000-000000000000";
constexpr char user[] = "user@contoso.com";

struct terms_fixture : appliance_fixture {
    void texts(std::vector<config::terms_file> files) {
        config.settings.terms.files = std::move(files);
        auto made = service::compile_texts(config.settings);
        REQUIRE(made.problems.empty());
        config.texts = std::move(made.value);
        reconfigure();
    }
    http::response open(bool corporate, http::fields const& headers, std::string const& more = "") {
        auto r = request("GET",
            "/TermsOfUse?redirect_uri=ms-appx-web://app/ToUResponse&client-request-id=34be581c-6ebd-49d6-a4e1-150eff4b7213"
            "&api-version=1.0" +
                std::string(corporate ? "&mode=azureadjoin" : "") + more);
        r.headers = headers;
        r.headers.add("Authorization", "Bearer " + tenant->token(time.now()));
        return appliance->terms.show(r);
    }
    http::response answer(http::response const& page, std::string const& pin, std::string const& decision = "accept") {
        return appliance->terms.decide(request("POST", "/TermsOfUse",
            "state=" + percent_encode(between(page.body, "name=\"state\" value=\"", "\"")) +
                "&pin=" + percent_encode(pin) + "&decision=" + decision));
    }
    std::optional<store::consent> consent_of(http::response const& accepted) {
        auto const to = std::string(accepted.headers.get("Location").value_or(""));
        auto const all = parse_query(to.substr(to.find('?') + 1));
        auto const blob = find_parameter(all, "OpaqueBlob").value_or("");
        return db.read([&](store::connection& c) { return store::find_consent(c, service::consent_id(blob)); });
    }
    std::size_t consents() {
        return db.read([](store::connection& c) { return store::list_consents(c, "").size(); });
    }
};

}  // namespace

TEST_CASE_METHOD(
    terms_fixture, "a consent tells who accepted which text, in which language, when", "[service][terms]") {
    texts({{"de/corporate.md", "Unser Text"}});
    auto const page = open(true, {{"CXH-HOST", "FRX"}, {"cxh-preferredLanguage", "de-AT"}});
    CHECK_THAT(page.body, Catch::Contains("<p>Unser Text</p>") && Catch::Contains("<html lang=\"de\"") &&
                              Catch::Contains("Annehmen") && Catch::Contains("class=\"oobe-dark\""));
    auto const kept = consent_of(answer(page, ""));
    REQUIRE(kept);
    CHECK(kept->upn == user);
    CHECK(kept->ownership == "corporate");
    CHECK(kept->text_version == hex(crypto::sha256("Unser Text")).substr(0, 12));
    CHECK(kept->language == "de");
    CHECK(kept->accepted == time.now());
    CHECK(kept->client_request_id == "34be581c-6ebd-49d6-a4e1-150eff4b7213");
}

TEST_CASE_METHOD(terms_fixture, "who reads a page agrees to that text, though it changed since", "[service][terms]") {
    texts({{"en/corporate.md", "Old"}});
    auto const page = open(true, {});
    texts({{"en/corporate.md", "New"}});
    auto const kept = consent_of(answer(page, ""));
    REQUIRE(kept);
    CHECK(kept->text_version == hex(crypto::sha256("Old")).substr(0, 12));
}

TEST_CASE_METHOD(
    terms_fixture, "members of a group read its text; Graph is asked only where there is one", "[service][terms]") {
    texts({{"en/corporate.md", "For all"}});
    CHECK_THAT(open(true, {}).body, Catch::Contains("For all"));
    CHECK(tenant->group_calls.empty());
    texts({{"en/corporate.md", "For all"}, {std::string("en/corporate@") + sales + ".md", "For sales"}});
    SECTION("a member") {
        tenant->groups[test::user_id] = {sales};
        CHECK_THAT(open(true, {}).body, Catch::Contains("For sales"));
    }
    SECTION("somebody else") {
        tenant->groups[test::user_id] = {"aaaaaaaa-0000-0000-0000-000000000000"};
        CHECK_THAT(open(true, {}).body, Catch::Contains("For all"));
    }
    SECTION("where Graph does not answer, the general text stands") {
        tenant->group_answers.assign(3, http::response{503, {}, ""});
        auto const page = open(true, {});
        CHECK(page.status == 200);
        CHECK_THAT(page.body, Catch::Contains("For all"));
    }
    CHECK_FALSE(tenant->group_calls.empty());
}

TEST_CASE_METHOD(
    terms_fixture, "only members of the allowed groups see the Terms of Use", "[service][terms][security]") {
    config.settings.enrollment.allowed_groups = {sales};
    reconfigure();
    SECTION("a member") {
        tenant->groups[test::user_id] = {sales};
        CHECK_THAT(open(true, {}).body, Catch::Contains("name=\"state\""));
    }
    SECTION("somebody else reads why") {
        tenant->groups[test::user_id] = {};
        auto const page = open(true, {{"Accept-Language", "de"}});
        CHECK(page.status == 200);
        CHECK_THAT(page.body, Catch::Contains("IT-Abteilung") && Catch::Contains("error=unauthorized_client") &&
                                  !Catch::Contains("name=\"state\""));
    }
    SECTION("nobody is let in by an answer that is not there") {
        tenant->group_answers.assign(3, http::response{503, {}, ""});
        auto const got = open(true, {});
        CHECK(got.status == 302);
        CHECK_THAT(std::string(got.headers.get("Location").value()), Catch::Contains("error=server_error"));
    }
}

TEST_CASE_METHOD(terms_fixture, "maintenance turns users away, also while they read", "[service][terms]") {
    auto const page = open(true, {});
    appliance->ctx.set_maintenance(true);
    for (auto const& r : {open(true, {}), answer(page, "")}) {
        CHECK(r.status == 200);
        CHECK_THAT(r.body, Catch::Contains("Maintenance") && Catch::Contains("error=unauthorized_client"));
    }
    appliance->ctx.set_maintenance(false);
    CHECK(answer(page, "").status == 302);
}

TEST_CASE_METHOD(terms_fixture, "a PIN is asked for where the configuration says so", "[service][terms]") {
    using config::pin_use;
    auto const [use, corporate, asked] = GENERATE(table<pin_use, bool, bool>(
        {{pin_use::off, true, false}, {pin_use::off, false, false}, {pin_use::personal, true, false},
            {pin_use::personal, false, true}, {pin_use::all, true, true}, {pin_use::all, false, true}}));
    config.settings.terms.pin = use;
    reconfigure();
    auto const page = open(corporate, {});
    CHECK((page.body.find("name=\"pin\"") != std::string::npos) == asked);
    // What the form does not ask for is not skipped by leaving it out.
    CHECK(answer(page, "").status == (asked ? 200 : 302));
    CHECK(consents() == (asked ? 0 : 1));
}

TEST_CASE_METHOD(
    terms_fixture, "a wrong PIN shows the page again, the right one opens, once", "[service][terms][security]") {
    config.settings.terms.pin = config::pin_use::all;
    reconfigure();
    auto const pin = appliance->pins.create(user, 1h).value().pin;
    auto const wrong = pin == "00000000" ? "11111111" : "00000000";
    auto const page = open(false, {{"Accept-Language", "ar"}, {"CXH-HOST", "MOSET"}});
    // The web view's own headers come with the first request alone.
    auto const again = answer(page, wrong);
    CHECK(again.status == 200);
    CHECK_THAT(again.body, Catch::Contains("id=\"pin-error\"") && Catch::Contains("<html lang=\"ar\" dir=\"rtl\"") &&
                               Catch::Contains("class=\"settings\"") && !Catch::Contains(wrong));
    CHECK_THAT(answer(again, "").body, Catch::Contains(std::string(html_escape(terms::arabic.pin_missing))));
    CHECK(consents() == 0);
    auto const done = answer(again, " " + pin.substr(0, 4) + "-" + pin.substr(4));
    CHECK(done.status == 302);
    CHECK(consent_of(done));
    // Neither of the two pages is good for another consent.
    CHECK(answer(page, pin).status == 400);
    CHECK(answer(again, pin).status == 400);
    CHECK(consents() == 1);
    // The PIN is used up for the next page too.
    CHECK(answer(open(false, {}), pin).status == 200);
}

TEST_CASE_METHOD(terms_fixture, "declining needs no PIN", "[service][terms]") {
    config.settings.terms.pin = config::pin_use::all;
    reconfigure();
    CHECK(answer(open(false, {}), "", "decline").status == 302);
}

TEST_CASE_METHOD(terms_fixture, "five wrong PINs lock it, and the user reads so", "[service][terms][security]") {
    config.settings.terms.pin = config::pin_use::all;
    reconfigure();
    auto const pin = appliance->pins.create(user, 1h).value().pin;
    auto page = open(true, {});
    http::response last;
    for (int i = 0; i < 6; ++i) last = answer(page, pin == "00000000" ? "11111111" : "00000000");
    CHECK(last.status == 200);
    CHECK_THAT(last.body,
        Catch::Contains("locked") && Catch::Contains("error=unauthorized_client") && !Catch::Contains("name=\"pin\""));
    CHECK_THAT(answer(page, pin).body, Catch::Contains("locked"));
    CHECK(consents() == 0);
}

TEST_CASE_METHOD(terms_fixture, "a wrong PIN on a text that has changed since starts anew", "[service][terms]") {
    config.settings.terms.pin = config::pin_use::all;
    texts({{"en/corporate.md", "Old"}});
    auto const page = open(true, {});
    texts({{"en/corporate.md", "New"}});
    auto const got = answer(page, "00000000");
    CHECK(got.status == 400);
    CHECK_THAT(got.body, Catch::Contains("have changed"));
}

TEST_CASE_METHOD(terms_fixture, "an unknown mode is a personal device's", "[service][terms]") {
    auto const page = open(false, {}, "&mode=kiosk");
    CHECK(page.status == 200);
    CHECK_THAT(page.body, Catch::Contains("value=\"decline\""));
}

TEST_CASE_METHOD(
    terms_fixture, "the customer's style is served to whoever asks, and nothing beside it", "[service][terms]") {
    texts({{"css/own.css", "p{}"}, {"de/corporate.md", "D"}});
    CHECK(appliance->terms.style(request("GET", "/termsofuse/css/own.css")).body == "p{}");
    for (auto const* path :
        {"/TermsOfUse/", "/TermsOfUse/de/corporate.md", "/TermsOfUse/css/", "/TermsOfUse/css/../css/own.css"})
        CHECK(appliance->terms.style(request("GET", path)).status == 404);
}
