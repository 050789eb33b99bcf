#include "service/sign_in.hpp"

#include "store/sign_ins.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char app[] = "ms-app://windows.immersivecontrolpanel";

// Entra's half of a sign-in: what the browser was sent with, and what the token endpoint then does.
struct sign_in_fixture : appliance_fixture {
    sign_in_fixture() {
        config.settings.enrollment.federated = true;
        reconfigure();
        tenant->instead = [this](http::call const& c) { return token_endpoint(c); };
    }
    ~sign_in_fixture() { tenant->instead = nullptr; }

    parameters asked;  // of the redirect to Entra
    json::object claims;
    std::optional<http::response> answer;  // instead of a token
    std::set<std::string> redeemed;
    int exchanges = 0;

    std::string of(char const* name) const { return std::string(find_parameter(asked, name).value_or("")); }

    std::optional<http::response> token_endpoint(http::call const& c) {
        if (!c.url.ends_with("/oauth2/v2.0/token")) return std::nullopt;
        auto const fields = parse_query(c.body, true);
        if (find_parameter(fields, "grant_type") != "authorization_code") return std::nullopt;
        ++exchanges;
        if (answer) return answer;
        auto const field = [&](char const* name) { return std::string(find_parameter(fields, name).value_or("")); };
        auto const refused = [](int code) {
            return http::response{
                400, {}, json::serialize(json::object{{"error", "invalid_grant"}, {"error_codes", json::array{code}}})};
        };
        if (field("client_secret") != "the-application-secret") return refused(7000215);
        if (base64url(crypto::sha256(field("code_verifier"))) != of("code_challenge")) return refused(501481);
        if (field("redirect_uri") != of("redirect_uri")) return refused(500112);
        if (!field("code").starts_with("good") || !redeemed.insert(field("code")).second) return refused(54005);
        json::object all{{"nonce", of("nonce")}, {"scp", nullptr}};
        for (auto const& [k, v] : claims) all[k] = v;
        if (all["scp"].is_null()) all.erase("scp");
        auto const token = tenant->token(time.now(), all, true);
        return http::response{200, {}, json::serialize(json::object{{"token_type", "Bearer"}, {"id_token", token}})};
    }

    http::response begin(std::string const& query = std::string("appru=") + app + "&login_hint=user%40contoso.com") {
        auto const r = appliance->sign_in.begin(request("GET", "/EnrollmentServer/Auth?" + query));
        if (r.status == 302) {
            auto const location = std::string(r.headers.get("Location").value());
            asked = parse_query(location.substr(location.find('?') + 1), true);
        }
        return r;
    }
    http::response finish(
        std::string const& query, std::string const& address = "192.0.2.1", char const* method = "GET") {
        auto r = request(method, "/EnrollmentServer/Auth/Response?" + query);
        r.peer_address = address;
        return appliance->sign_in.finish(r);
    }
    std::string back(std::string const& code = "good1") const {
        return fmt::format("code={}&state={}", percent_encode(code), percent_encode(of("state")));
    }
    static std::string token_of(http::response const& r) { return between(r.body, "name=\"wresult\" value=\"", "\""); }
    std::string sign_in(std::string const& code = "good1") {
        REQUIRE(begin().status == 302);
        auto const r = finish(back(code));
        REQUIRE(r.status == 200);
        auto const token = token_of(r);
        REQUIRE_FALSE(token.empty());
        return token;
    }
    service::outcome<service::enrollee> identify(std::string const& token) {
        service::attempt who;
        return appliance->who.identify(enroll::user_token{secret(token)}, who);
    }
    store::event last_event() {
        auto const all = service::events(*appliance);
        REQUIRE_FALSE(all.empty());
        return all.front();
    }
    bool use(std::string const& token, std::string const& device = "d1") {
        return db.write([&](store::connection& c) {
            return store::use_sign_in(c, service::sign_in::id_of(token), device, time.now());
        });
    }
};

}  // namespace

TEST_CASE_METHOD(sign_in_fixture, "the user is sent to Entra, and comes back to a form that gives Windows its token",
    "[service][sign-in]") {
    auto const go = begin();
    CHECK(go.status == 302);
    CHECK_THAT(std::string(go.headers.get("Location").value()),
        Catch::StartsWith(fmt::format("https://login.test/{}/oauth2/v2.0/authorize?", tenant_id)));
    CHECK(go.headers.get("Cache-Control") == "no-store");
    CHECK(of("client_id") == client_id);
    CHECK(of("redirect_uri") == "https://mdm.test/EnrollmentServer/Auth/Response");
    CHECK(of("code_challenge_method") == "S256");
    CHECK(of("login_hint") == "user@contoso.com");
    CHECK(of("nonce").size() == 43);
    auto const done = finish(back());
    REQUIRE(done.status == 200);
    CHECK(done.headers.get("Content-Type") == "text/html; charset=UTF-8");
    CHECK(done.headers.get("Cache-Control") == "no-store");
    auto const policy = std::string(done.headers.get("Content-Security-Policy").value());
    auto const nonce = between(done.body, "<script nonce=\"", "\"");
    CHECK(nonce.size() >= 22);
    CHECK_THAT(policy, Catch::Contains("script-src 'nonce-" + nonce + "';") &&
                           Catch::Contains("form-action ms-app:;") && Catch::Contains("default-src 'none'"));
    CHECK_THAT(done.body, Catch::Contains(fmt::format("method=\"post\" action=\"{}\"", app)) &&
                              Catch::Contains("<button class=\"first\" type=\"submit\">") &&
                              Catch::Contains("user@contoso.com"));
    auto const token = token_of(done);
    CHECK(unbase64url(token).value().size() == 32);
    auto const who = identify(token);
    REQUIRE(who.has_value());
    CHECK(who->what == service::enrollee::kind::federated);
    CHECK(who->user_id == user_id);
    CHECK(who->upn == "user@contoso.com");
}

TEST_CASE_METHOD(sign_in_fixture, "each sign-in has a state, a nonce, a verifier and a token of its own",
    "[service][sign-in][security]") {
    std::set<std::string> seen;
    for (int i = 0; i < 3; ++i) {
        auto const token = sign_in(fmt::format("good{}", i));
        for (auto const& one : {token, of("state"), of("nonce"), of("code_challenge")}) CHECK(seen.insert(one).second);
    }
}

TEST_CASE_METHOD(sign_in_fixture, "parameters are found behind a question mark or an ampersand, with or without others",
    "[service][sign-in]") {
    std::string const client = "OSVersion=10.0.22631.1&DeviceType=CIMClient_Windows";
    for (auto const* join : {"?", "&"}) {
        asked.clear();
        CHECK(begin(client + join + "appru=ms-app%3A%2F%2Fwindows.immersivecontrolpanel&login_hint=a%40b.c").status ==
              302);
        CHECK(of("login_hint") == "a@b.c");
        CHECK_THAT(finish(back(fmt::format("good{}", percent_encode(join)))).body, Catch::Contains(app));
    }
    CHECK(begin(std::string("appru=") + app).status == 302);
    CHECK(of("prompt") == "select_account");
}

TEST_CASE_METHOD(sign_in_fixture, "nothing but an ms-app address gets the token", "[service][sign-in][security]") {
    auto const long_one = "ms-app://" + std::string(600, 'a');
    for (std::string const& query : {std::string(), std::string("appru="), std::string("login_hint=a%40b.c"),
             std::string("appru=https://evil.test/"), std::string("appru=javascript:alert(1)"),
             std::string("appru=ms-app:x"), std::string("appru=ms-app%3A%2F%2F"), std::string("appru=ms-appx-web://x"),
             std::string("appru=%20ms-app://x"), std::string("appru=ms-app://x%22%3E%3Cscript%3E"),
             std::string("appru=ms-app://x%0d%0ay"), std::string("appru=ms-app://x%00"),
             std::string("appru=ms-app://x%27"), std::string("appru=ms-app://%ff"), "appru=" + long_one}) {
        CAPTURE(query.substr(0, 60));
        auto const r = begin(query);
        CHECK(r.status == 400);
        CHECK_FALSE(r.headers.get("Location"));
    }
    // Whatever its parameters are called, the first is taken, and is what was checked.
    CHECK(begin("appru=https://evil.test/&appru=ms-app://x").status == 400);
    CHECK(begin("APPRU=MS-APP://x").status == 302);
    CHECK_THAT(finish(back()).body, Catch::Contains("action=\"MS-APP://x\""));
}

TEST_CASE_METHOD(sign_in_fixture, "a hint that is none is left out", "[service][sign-in][security]") {
    for (std::string const& hint :
        {std::string("a%0d%0ab"), std::string("%ff"), std::string(300, 'a'), std::string("a%00")}) {
        CHECK(begin(std::string("appru=") + app + "&login_hint=" + hint).status == 302);
        CHECK(of("login_hint").empty());
        CHECK(of("prompt") == "select_account");
    }
}

TEST_CASE_METHOD(
    sign_in_fixture, "a state that is forged, late or used before gives no token", "[service][sign-in][security]") {
    CHECK(begin().status == 302);
    auto const good = of("state");
    auto const no_token = [&](std::string const& state, int status) {
        auto const r = finish("code=good1&state=" + percent_encode(state));
        CHECK(r.status == status);
        CHECK(token_of(r).empty());
    };
    no_token("", 400);
    no_token("x", 400);
    no_token("x.y", 400);
    no_token(good.substr(0, good.size() - 1), 400);
    no_token("A" + good.substr(1), 400);
    auto const payload = *unbase64url(split(good, '.')[0]);
    auto forged = payload;
    forged.replace(forged.find("windows"), 7, "evil000");
    no_token(base64url(forged) + "." + std::string(split(good, '.')[1]), 400);
    CHECK(exchanges == 0);
    CHECK(finish(back() + "&state=x").status == 400);
    CHECK(finish("state=" + percent_encode(good)).status == 400);
    // What only looks at the address does not use it up.
    CHECK(finish(back(), "192.0.2.1", "HEAD").status == 405);

    CHECK_FALSE(token_of(finish(back())).empty());
    no_token(good, 400);
    CHECK(finish(back("good2")).status == 400);
    CHECK(exchanges == 1);

    CHECK(begin().status == 302);
    time.advance(15min);
    auto const late = finish(back("good3"));
    CHECK(late.status == 200);
    CHECK(token_of(late).empty());
    CHECK(exchanges == 1);
}

TEST_CASE_METHOD(sign_in_fixture, "a state gives one token even after a restart", "[service][sign-in][security]") {
    sign_in("good1");
    appliance = start();
    auto const again = finish(back("good2"));
    CHECK(again.status == 400);
    CHECK(token_of(again).empty());
}

TEST_CASE_METHOD(sign_in_fixture, "a code of another sign-in, used before or made up gives no token",
    "[service][sign-in][security]") {
    sign_in("good1");
    for (auto const* code : {"good1", "made-up"}) {
        CHECK(begin().status == 302);
        auto const r = finish(back(code));
        CHECK(r.status == 200);
        CHECK(token_of(r).empty());
        CHECK_THAT(r.body, Catch::Contains("AADSTS54005"));
        CHECK(last_event().category == "authentication");
        CHECK_THAT(last_event().reason.value_or(""), Catch::Contains("the sign-in was used before"));
    }
    // The verifier is that of the state: another browser's code is of no use.
    CHECK(begin().status == 302);
    auto const mine = of("state");
    CHECK(begin().status == 302);
    CHECK(token_of(finish("code=good7&state=" + percent_encode(mine))).empty());
}

TEST_CASE_METHOD(sign_in_fixture, "an ID token that does not fit gives no token", "[service][sign-in][security]") {
    json::object const wrong = GENERATE(json::object{{"nonce", "x"}}, json::object{{"nonce", nullptr}},
        json::object{{"aud", "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee"}}, json::object{{"tid", client_id}},
        json::object{{"exp", 1'700'000'000}}, json::object{{"ver", "1.0"}}, json::object{{"oid", ""}},
        json::object{{"iss", "https://login.test/other/v2.0"}});
    claims = wrong;
    CAPTURE(json::serialize(wrong));
    CHECK(begin().status == 302);
    auto const r = finish(back());
    CHECK(r.status == 200);
    CHECK(token_of(r).empty());
    CHECK(last_event().category == "authentication");
    CHECK_THAT(last_event().reason.value_or(""), Catch::Contains("ID token was refused"));
}

TEST_CASE_METHOD(
    sign_in_fixture, "what Entra answers instead of a code is shown and put on record", "[service][sign-in]") {
    struct row {
        std::string answer, page, category;
    };
    row const rows[] = {
        {"error=access_denied&error_subcode=cancel", "cancelled", "userAbandonment"},
        {"error=access_denied&error_description=AADSTS65004%3A+declined", "AADSTS65004", "userAbandonment"},
        {"error=access_denied&error_description=AADSTS50105%3A+not+assigned", "not among those", "authorization"},
        {"error=server_error&error_description=AADSTS90033", "AADSTS90033", "authentication"},
        {"error=%3Cscript%3E", "&lt;script&gt;", "authentication"},
    };
    for (auto const& row : rows) {
        CAPTURE(row.answer);
        time.advance(1s);
        CHECK(begin().status == 302);
        auto const r = finish(row.answer + "&state=" + percent_encode(of("state")));
        CHECK(r.status == 200);
        CHECK_THAT(r.body, Catch::Contains(row.page) && !Catch::Contains("<script") && !Catch::Contains("wresult"));
        CHECK(last_event().category == row.category);
        CHECK(last_event().enrollment_type == "userEnrollment");
        CHECK(finish(back()).status == 400);  // the state is used up
    }
}

TEST_CASE_METHOD(sign_in_fixture, "when Entra cannot be asked the page says so", "[service][sign-in]") {
    CHECK(begin().status == 302);
    answer = GENERATE(http::response{503, {}, ""}, http::response{429, {}, "{}"}, http::response{200, {}, "{}"},
        http::response{401, {}, R"({"error":"invalid_client","error_codes":[7000222]})"});
    auto const r = finish(back());
    CHECK(r.status == 200);
    CHECK(token_of(r).empty());
    CHECK_THAT(r.body, Catch::Contains("Signing in did not work"));
    CHECK_FALSE(last_event().reason.value_or("").empty());
    CHECK_THAT(last_event().reason.value_or(""), !Catch::Contains("the-application-secret"));
}

TEST_CASE_METHOD(sign_in_fixture, "made-up codes wear out their address and no other", "[service][sign-in][security]") {
    for (int i = 0; i < 20; ++i) {
        begin();
        finish(back("made-up"), "192.0.2.66");
    }
    CHECK(exchanges == 20);
    begin();
    CHECK(token_of(finish(back("good1"), "192.0.2.66")).empty());
    CHECK(exchanges == 20);
    begin();
    CHECK_FALSE(token_of(finish(back("good2"), "192.0.2.1")).empty());
    time.advance(15min);
    begin();
    CHECK_FALSE(token_of(finish(back("good3"), "192.0.2.66")).empty());
    for (int i = 0; i < 40; ++i) sign_in(fmt::format("good-{}", i));  // good ones do not count
}

TEST_CASE_METHOD(sign_in_fixture, "without the setting, in maintenance and with enrollment off there is no sign-in",
    "[service][sign-in]") {
    begin();
    auto const state = back();
    SECTION("federated_auth is off") {
        config.settings.enrollment.federated = false;
        reconfigure();
        CHECK_THAT(begin().body, Catch::Contains("not enrolled by signing in"));
        CHECK(last_event().category == "featureNotSupported");
        CHECK(token_of(finish(state)).empty());
        CHECK(exchanges == 0);
    }
    SECTION("enrollment is off") {
        config.settings.enrollment.enabled = false;
        reconfigure();
        auto const r = begin();
        CHECK(r.status == 200);
        CHECK_THAT(r.body, Catch::Contains("switched off"));
    }
    SECTION("maintenance") {
        appliance->ctx.set_maintenance(true);
        CHECK_THAT(begin().body, Catch::Contains("Maintenance is under way"));
        CHECK(last_event().category == "inMaintenance");
    }
}

TEST_CASE_METHOD(sign_in_fixture, "a token opens one enrollment, within ten minutes", "[service][sign-in][security]") {
    auto const token = sign_in();
    CHECK(identify(token).has_value());  // asking for the certificate policy does not use it up
    CHECK(identify(token).has_value());
    CHECK(use(token));
    CHECK_FALSE(use(token, "d2"));
    CHECK_FALSE(use(token));
    CHECK(identify(token).has_value());  // the same request again, after a lost answer

    auto const late = sign_in("good2");
    time.advance(10min);
    CHECK_FALSE(use(late));
    auto const refused = identify(late);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().what == enroll::refusal::authentication);
    for (std::string const& other :
        {std::string(), std::string("x"), late + "x", std::string(100'000, 'x'), service::sign_in::id_of(token)}) {
        auto const unknown = identify(other);
        REQUIRE_FALSE(unknown);
        CHECK(unknown.error().what == enroll::refusal::authentication);
    }
}

TEST_CASE_METHOD(sign_in_fixture, "whoever signs in and never enrolls has left", "[service][sign-in]") {
    auto const token = sign_in();
    auto const gone = sign_in("good2");
    CHECK(use(token));
    CHECK(service::events(*appliance).empty());
    time.advance(61min);
    appliance->trouble.tick();
    auto const all = service::events(*appliance);
    REQUIRE(all.size() == 1);
    CHECK(all[0].category == "userAbandonment");
    CHECK(all[0].user_id == user_id);
    CHECK_THAT(all[0].reason.value_or(""), Catch::Contains("signed in on our page"));
    CHECK(all[0].correlation_id == appliance->who.flow_of(enroll::user_token{secret(gone)}));
}

TEST_CASE_METHOD(sign_in_fixture, "the store holds no token", "[service][sign-in][security]") {
    auto const token = sign_in();
    db.read([&](store::connection& c) {
        auto const found = store::find_sign_in(c, service::sign_in::id_of(token));
        REQUIRE(found);
        CHECK(found->id != token);
        CHECK_FALSE(store::find_sign_in(c, token));
    });
    for (auto const* file : {"mdmd.db", "mdmd.db-wal"})
        CHECK(read_file(folder.path() / file).find(token) == std::string::npos);
}

TEST_CASE_METHOD(
    sign_in_fixture, "the page speaks the user's language and looks as the Terms of Use", "[service][sign-in]") {
    begin();
    auto r = request("GET", "/EnrollmentServer/Auth/Response?" + back());
    r.headers.add("Accept-Language", "de-AT");
    CHECK_THAT(appliance->sign_in.finish(r).body, Catch::Contains("Sie sind angemeldet") &&
                                                      Catch::Contains(">Weiter</button>") &&
                                                      Catch::Contains("lang=\"de\""));
    for (auto const* language : {"en", "de", "fr", "es", "ja", "zh", "ar"}) {
        auto wrong = request(
            "GET", "/EnrollmentServer/Auth/Response?error=x&state=" + [&] {
                begin();
                return percent_encode(of("state"));
            }());
        wrong.headers.add("Accept-Language", language);
        auto const page = appliance->sign_in.finish(wrong).body;
        CAPTURE(language, page);
        CHECK((page.find("Signing in did not work") != std::string::npos) == (std::string(language) == "en"));
        CHECK((page.find("dir=\"rtl\"") != std::string::npos) == (std::string(language) == "ar"));
    }
}

TEST_CASE_METHOD(
    sign_in_fixture, "while Entra does not answer nobody is locked out of the sign-in page", "[service][sign-in]") {
    struct outage {
        char const* what;
        std::function<void(sign_in_fixture&)> begin, end;
    };
    auto const o = GENERATE(values<outage>({
        {"nobody is there", [](auto& f) { f.tenant->away = true; }, [](auto& f) { f.tenant->away = false; }},
        {"503",
            [](auto& f) {
                f.answer = http::response{503, {}, ""};
            },
            [](auto& f) { f.answer.reset(); }},
        {"429",
            [](auto& f) {
                f.answer = http::response{429, {}, ""};
            },
            [](auto& f) { f.answer.reset(); }},
        {"the application's key is refused",
            [](auto& f) {
                f.answer = http::response{401, {}, R"({"error":"invalid_client","error_codes":[7000222]})"};
            },
            [](auto& f) { f.answer.reset(); }},
    }));
    CAPTURE(o.what);
    sign_in("good0");  // Entra's signing keys are known
    o.begin(*this);
    for (int i = 0; i < 50; ++i) {
        REQUIRE(begin().status == 302);
        CHECK(token_of(finish(back(fmt::format("good-{}", i)))).empty());
    }
    CHECK_THAT(last_event().reason.value_or(""), !Catch::Contains("too many wrong codes"));
    o.end(*this);
    CHECK_FALSE(sign_in("good-after").empty());
    // Codes that Entra does not take are counted all the same.
    for (int i = 0; i < 20; ++i) {
        REQUIRE(begin().status == 302);
        CHECK(token_of(finish(back("bad"))).empty());
    }
    time.advance(11s);  // an address has room for some events in ten seconds
    REQUIRE(begin().status == 302);
    CHECK(token_of(finish(back("good-late"))).empty());
    CHECK_THAT(last_event().reason.value_or(""), Catch::Contains("too many wrong codes"));
}
