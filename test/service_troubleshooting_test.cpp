// Failed enrollments on record: accounts, attempts that fall silent, what an event holds, how long it is kept.
#include "service/troubleshooting.hpp"
#include "store/attempts.hpp"
#include "store/events.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char flow[] = "34be581c-6ebd-49d6-a4e1-150eff4b7213";  // of the fixture's Terms of Use

struct trouble_fixture : appliance_fixture {
    std::vector<store::event> events() { return service::events(*appliance); }
    // "category user type" of each, newest first.
    std::vector<std::string> summaries() {
        std::vector<std::string> all;
        for (auto const& e : events())
            all.push_back(fmt::format("{} {} {}", e.category, e.user_id.value_or("-"), e.enrollment_type));
        return all;
    }
    void after(std::chrono::seconds d) {
        time.advance(d);
        appliance->trouble.tick();
    }
    void session(std::string const& der) {
        auto r = request(
            "POST", "/ManagementServer/MDM.svc", syncml("1", 1, "<Alert><CmdID>1</CmdID><Data>1201</Data></Alert>"));
        r.headers.add("Content-Type", "application/vnd.syncml.dm+xml");
        r.peer_certificate = der;
        CHECK(appliance->manage.session(r).status == 200);
    }
};
std::string const abandoned = std::string("userAbandonment ") + user_id + " windowsAzureADJoin";
std::string const disconnected = std::string("clientDisconnected ") + user_id + " windowsAzureADJoin";

}  // namespace

TEST_CASE_METHOD(
    trouble_fixture, "Terms of Use that nobody answers are an abandonment after a while, once", "[service][events]") {
    auto const page = open_terms(true, tenant->token(time.now()));
    after(59min);
    CHECK(events().empty());
    after(61s);
    CHECK(summaries() == std::vector{abandoned});
    auto const e = events().at(0);
    CHECK(e.correlation_id == flow);
    CHECK_THAT(e.reason.value_or(""), Catch::Contains("neither accepted nor declined"));
    after(24h);
    CHECK(events().size() == 1);
}

TEST_CASE_METHOD(
    trouble_fixture, "accepted Terms of Use without an enrollment are an abandonment", "[service][events]") {
    accept_terms(true);
    after(61min);
    REQUIRE(summaries() == std::vector{abandoned});
    CHECK_THAT(events().at(0).reason.value_or(""), Catch::Contains("no enrollment followed"));
}

TEST_CASE_METHOD(trouble_fixture, "declining is an abandonment at once, and only once", "[service][events]") {
    auto const page = open_terms(false, tenant->token(time.now()));
    CHECK(answer_terms(page.body, "decline").status == 302);
    std::vector const once{std::string("userAbandonment ") + user_id + " windowsAutoEnrollment"};
    CHECK(summaries() == once);
    after(2h);
    CHECK(summaries() == once);
}

TEST_CASE_METHOD(trouble_fixture,
    "a device that never comes after its certificate is a disconnection; one that came is none", "[service][events]") {
    bool const comes = GENERATE(true, false);
    auto const der = enroll_one();
    if (comes) session(der);
    after(2h);
    if (comes) {
        CHECK(events().empty());
        return;
    }
    REQUIRE(summaries() == std::vector{disconnected});
    auto const e = events().at(0);
    CHECK(e.managed_device_id == service::devices(*appliance).at(0).device.id);
    CHECK(e.entra_device_id == entra_device);
    CHECK(e.os_version == "10.0.22631.3447");
}

TEST_CASE_METHOD(
    trouble_fixture, "a refused enrollment is one event, not an abandonment besides", "[service][events]") {
    auto const blob = accept_terms(true);
    CHECK(enroll({.blob = blob, .token = device_token(), .csr = "x"}).status == 500);
    after(2h);
    CHECK(summaries() == std::vector{std::string("badRequest ") + user_id + " windowsAzureADJoin"});
}

TEST_CASE_METHOD(trouble_fixture,
    "a refusal behind accepted Terms of Use is one event of their flow, whichever message is refused",
    "[service][events]") {
    accept_terms(true);
    auto const now = to_ms(time.now()) / 1000;
    auto const [claims, category] = GENERATE_COPY(table<json::object, std::string>({
        {{{"exp", now - 3600}, {"nbf", now - 7200}}, "authentication"},
        {{{"scp", "something_else"}}, "authorization"},
    }));
    bool const at_policies = GENERATE(true, false);
    auto const token = tenant->token(time.now(), claims);
    auto const answer = at_policies ? policies(token) : enroll({.blob = "", .token = token});
    CHECK(answer.status == 500);
    CHECK_THAT(answer.body, Catch::Contains(flow));
    after(2h);
    REQUIRE(events().size() == 1);
    auto const e = events().at(0);
    CHECK(e.category == category);
    CHECK(e.correlation_id == flow);
    CHECK(e.user_id == user_id);
    CHECK(e.enrollment_type == "windowsAzureADJoin");
}

TEST_CASE_METHOD(trouble_fixture, "a token that Entra did not sign ends nobody's attempt, nor does another user's",
    "[service][security]") {
    accept_terms(true);
    auto const now = to_ms(time.now()) / 1000;
    json::object claims{{"exp", now - 3600}, {"nbf", now - 7200}};
    bool const forged = GENERATE(true, false);
    if (!forged) claims["oid"] = "0d000000-0000-0000-0000-000000000002";
    auto token = tenant->token(time.now(), claims);
    if (forged) token = token.substr(0, token.rfind('.') + 1) + base64url(std::string(256, 'x'));
    CHECK(policies(token).status == 500);
    after(2h);
    auto const all = summaries();
    CHECK(all.size() == 2);
    CHECK(std::count(all.begin(), all.end(), abandoned) == 1);
}

TEST_CASE_METHOD(trouble_fixture, "silence outlives a restart", "[service][events]") {
    open_terms(true, tenant->token(time.now()));
    appliance = start();
    after(61min);
    CHECK(summaries() == std::vector{abandoned});
}

TEST_CASE_METHOD(trouble_fixture, "one user's open pages are few, another's flow is not touched by the same id",
    "[service][security]") {
    json::object const other{{"oid", "0d000000-0000-0000-0000-000000000002"}};
    open_terms(true, tenant->token(time.now(), other));
    for (int i = 0; i < 50; ++i) {
        auto r = request(
            "GET", "/TermsOfUse?redirect_uri=ms-appx-web://a/b&api-version=1.0&mode=azureadjoin&client-request-id=" +
                       new_guid());
        r.headers.add("Authorization", "Bearer " + tenant->token(time.now()));
        CHECK(appliance->terms.show(r).status == 200);
    }
    open_terms(true, tenant->token(time.now()));
    after(61min);
    auto const all = summaries();
    CHECK(std::count(all.begin(), all.end(), abandoned) == 20);
    CHECK(all.size() == 21);
}

TEST_CASE_METHOD(trouble_fixture, "an event holds all that Graph's type has", "[service][events]") {
    auto const blob = accept_terms(true);
    auto const r = enroll({.blob = blob, .token = device_token(), .csr = "x"});
    auto const e = events().at(0);
    CHECK(e.at == time.now());
    CHECK(e.correlation_id == flow);
    CHECK(e.managed_device_id == "MDMDEVICE1");
    CHECK(e.operating_system == "Windows");
    CHECK(e.os_version == "10.0.22631.3447");
    CHECK(e.user_id == user_id);
    CHECK(e.entra_device_id == entra_device);
    CHECK(e.enrollment_type == "windowsAzureADJoin");
    CHECK(e.category == "badRequest");
    CHECK_THAT(e.reason.value_or(""), Catch::StartsWith("MENROLL_E_DEVICE_CERTIFCATEREQUEST_ERROR (0x80180004): "));
    CHECK(e.event_name == "enrollmentFailed");
    auto const more = json::parse(e.additional_information).as_array();
    std::map<std::string, std::string> pairs;
    for (auto const& p : more) pairs[std::string(p.at("name").as_string())] = std::string(p.at("value").as_string());
    CHECK(pairs.at("userPrincipalName") == "user@contoso.com");
    CHECK(pairs.at("deviceName") == "PC1");
    CHECK(pairs.at("osEdition") == "4");
    CHECK(pairs.at("errorCode") == "0x80180004");
    auto const details = json::parse(e.details).as_object();
    CHECK_THAT(std::string(details.at("context").as_string()), Catch::Contains("RequestSecurityToken"));
    CHECK(details.at("failure") == "MENROLL_E_DEVICE_CERTIFCATEREQUEST_ERROR");
    CHECK_FALSE(details.at("failureDetails").as_string().empty());
    CHECK_FALSE(details.at("remediation").as_string().empty());
    CHECK(details.at("resources").as_array().size() == 1);
}

TEST_CASE_METHOD(
    trouble_fixture, "every way to be turned away at the Terms of Use has its category", "[service][events]") {
    struct row {
        std::string name;
        std::function<void(trouble_fixture&)> change;
        std::string category;
        bool corporate = true;
    };
    auto const row = GENERATE(values<struct row>({
        {"enrollment off", [](auto& f) { f.config.settings.enrollment.enabled = false; }, "accountValidation"},
        {"personal blocked", [](auto& f) { f.config.settings.enrollment.personal_devices = false; },
            "featureNotSupported", false},
        {"maintenance", [](auto& f) { f.appliance->ctx.set_maintenance(true); }, "inMaintenance"},
        {"not in a group",
            [](auto& f) { f.config.settings.enrollment.allowed_groups = {"5a1e5000-0000-0000-0000-000000000001"}; },
            "authorization"},
        {"groups not known",
            [](auto& f) {
                f.config.settings.enrollment.allowed_groups = {"5a1e5000-0000-0000-0000-000000000001"};
                f.tenant->group_answers = {http::response{503, {}, ""}};
            },
            "unknown"},
        {"blocked", [](auto& f) { f.config.settings.enrollment.blocked_users = {user_id}; }, "accountValidation"},
        {"disabled", [](auto& f) { f.tenant->disabled_users = {user_id}; }, "accountValidation"},
        {"gone", [](auto& f) { f.tenant->gone_users = {user_id}; }, "userValidation"},
        {"type not allowed",
            [](auto& f) { f.config.settings.enrollment.allowed_types = {config::enrollment_type::work_account}; },
            "featureNotSupported"},
    }));
    CAPTURE(row.name);
    row.change(*this);
    reconfigure();
    auto const page = open_terms(row.corporate, tenant->token(time.now()));
    CHECK(page.body.find("name=\"state\"") == std::string::npos);
    REQUIRE(events().size() == 1);
    CHECK(events().at(0).category == row.category);
    CHECK(events().at(0).correlation_id == flow);
    after(2h);
    CHECK(events().size() == 1);
}

TEST_CASE_METHOD(
    trouble_fixture, "tokens and versions that the Terms of Use refuse are on record", "[service][events]") {
    open_terms(true, "a.b.c");
    CHECK(events().at(0).category == "authentication");
    auto r = request(
        "GET", std::string("/TermsOfUse?redirect_uri=ms-appx-web://a/b&api-version=9.0&client-request-id=") + flow);
    CHECK(appliance->terms.show(r).status == 302);
    time.advance(1s);
    CHECK(events().size() == 2);
    auto const all = summaries();
    CHECK(std::count_if(all.begin(), all.end(), [](auto const& s) { return s.starts_with("badRequest"); }) == 1);
}

TEST_CASE_METHOD(trouble_fixture,
    "a user who is gone or disabled in Entra enrolls nothing; Graph's silence stops nobody", "[service][events]") {
    auto const blob = accept_terms(true);
    time.advance(31s);
    SECTION("gone") {
        tenant->gone_users = {user_id};
        CHECK_THAT(enroll({.blob = blob, .token = device_token()}).body, Catch::Contains("<ErrorType>UserLicense<"));
        CHECK(events().at(0).category == "userValidation");
    }
    SECTION("disabled") {
        tenant->disabled_users = {user_id};
        CHECK_THAT(enroll({.blob = blob, .token = device_token()}).body, Catch::Contains(">s:Authorization<"));
        CHECK(events().at(0).category == "accountValidation");
    }
    SECTION("silent or not permitted") {
        tenant->account_answer =
            GENERATE(http::response{403, {}, ""}, http::response{503, {}, ""}, http::response{200, {}, "[]"});
        CHECK(enroll({.blob = blob, .token = device_token()}).status == 200);
    }
}

TEST_CASE_METHOD(trouble_fixture, "a record that a new enrollment replaces is not missed", "[service][events]") {
    enroll_one();
    auto const second =
        certificate_of(enroll({.blob = accept_terms(true), .token = device_token(), .csr = rsa_key().request()}));
    session(second);
    after(2h);
    CHECK(events().empty());
}

TEST_CASE_METHOD(trouble_fixture, "many strangers at one address leave room for those at others and for users",
    "[service][security]") {
    auto const lost = [&](std::string const& address) {
        auto head = request("POST", "/EnrollmentServer/Policy.svc");
        head.peer_address = address;
        appliance->trouble.lost(head, false);
    };
    for (int i = 0; i < 60; ++i) lost("192.0.2.1");
    CHECK(events().size() == 20);
    lost("192.0.2.2");
    CHECK(events().size() == 21);
    for (int i = 0; i < 120; ++i) enroll({.blob = "", .token = device_token()});
    CHECK(events().size() == 121);
}

TEST_CASE_METHOD(
    trouble_fixture, "a store that does not write is no bare 500 at the Terms of Use", "[service][events]") {
    auto const page = open_terms(true, tenant->token(time.now()));
    *store_is_broken = true;
    auto const answered = answer_terms(page.body, "accept");
    CHECK(answered.status == 302);
    CHECK_THAT(std::string(answered.headers.get("Location").value_or("")),
        Catch::StartsWith("ms-appx-web://app/ToUResponse?") && Catch::Contains("error=server_error"));
    // To be read is all there is to the page: it needs no write.
    auto const shown = open_terms(true, tenant->token(time.now()));
    CHECK(shown.status == 200);
    CHECK_THAT(shown.body, Catch::Contains("name=\"state\""));
    *store_is_broken = false;
    appliance->trouble.tick();
    REQUIRE(events().size() == 1);
    CHECK(events().at(0).category == "unknown");
    CHECK_THAT(events().at(0).reason.value_or(""), Catch::Contains("the consent could not be kept"));
    CHECK(answer_terms(shown.body, "accept").status == 302);
    CHECK(enroll({.blob = accept_terms(true), .token = device_token()}).status == 200);
}

TEST_CASE_METHOD(trouble_fixture, "events wait for the store to work again, and end their attempts then, once",
    "[service][events]") {
    auto const blob = accept_terms(true);
    *store_is_broken = true;
    auto const answer = enroll({.blob = blob, .token = device_token()});
    CHECK(answer.status == 500);
    CHECK_THAT(answer.body, Catch::Contains(">s:EnrollmentServer<"));
    appliance->trouble.lost(request("POST", "/EnrollmentServer/Policy.svc"), false);
    CHECK(events().empty());
    CHECK_NOTHROW(appliance->trouble.flush());  // still nothing, and nothing is forgotten
    CHECK(events().empty());
    *store_is_broken = false;
    bool const at_the_end = GENERATE(true, false);
    if (at_the_end)
        appliance->trouble.flush();
    else
        appliance->trouble.tick();
    auto all = summaries();
    std::sort(all.begin(), all.end());
    CHECK(all == std::vector<std::string>{
                     "clientDisconnected - unknown", std::string("unknown ") + user_id + " windowsAzureADJoin"});
    after(2h);  // no abandonment of what has failed
    appliance->trouble.flush();
    CHECK(events().size() == 2);
}

TEST_CASE_METHOD(
    trouble_fixture, "a lost client's event tells whose enrollment it was, and is its only one", "[service][events]") {
    accept_terms(true);
    auto const lost = [&](std::string const& id) {
        auto head = request("POST", "/EnrollmentServer/Enrollment.svc?client-request-id=" + id);
        head.peer_address = "192.0.2.7";
        appliance->trouble.lost(head, false);
    };
    lost(flow);
    REQUIRE(summaries() == std::vector{disconnected});
    auto const e = events().at(0);
    CHECK(e.correlation_id == flow);
    CHECK_THAT(e.additional_information, Catch::Contains("user@contoso.com") && Catch::Contains("192.0.2.7"));
    after(2h);
    CHECK(events().size() == 1);

    // One that came as far as its certificate.
    enroll_one();
    lost(flow);
    auto const issued = events().at(0);
    CHECK(issued.managed_device_id == service::devices(*appliance).at(0).device.id);
    CHECK(issued.entra_device_id == entra_device);
    CHECK(issued.os_version == "10.0.22631.3447");
    // Of a flow that nobody knows, and of one id that two users have, nobody is named.
    time.advance(1s);
    lost(new_guid());
    CHECK_FALSE(events().at(0).user_id);
    open_terms(true, tenant->token(time.now()));
    open_terms(true, tenant->token(time.now(), {{"oid", "0d000000-0000-0000-0000-000000000002"}}));
    time.advance(1s);
    lost(flow);
    CHECK_FALSE(events().at(0).user_id);
}

TEST_CASE_METHOD(trouble_fixture, "a client that is gone in mid-request is on record", "[service][events]") {
    auto const head = request("POST", std::string("/EnrollmentServer/Enrollment.svc?client-request-id=") + flow);
    appliance->trouble.lost(head, false);
    REQUIRE(events().size() == 1);
    CHECK(events().at(0).category == "clientDisconnected");
    CHECK(events().at(0).correlation_id == flow);
}

TEST_CASE_METHOD(
    trouble_fixture, "events go by age, and by number apart for users and for strangers", "[service][events]") {
    config.settings.events.keep = 24h;
    reconfigure();
    appliance->trouble.lost(request("POST", "/EnrollmentServer/Policy.svc"), false);
    after(23h);
    CHECK(events().size() == 1);
    after(61min);
    CHECK(events().empty());

    config.settings.events.most = 5;
    reconfigure();
    for (int i = 0; i < 9; ++i) {
        appliance->trouble.lost(request("POST", "/EnrollmentServer/Policy.svc"), false);
        enroll({.blob = "", .token = device_token()});
        time.advance(11s);
    }
    after(1min);
    auto const all = events();
    CHECK(all.size() == 10);
    CHECK(std::count_if(all.begin(), all.end(), [](auto const& e) { return e.user_id.has_value(); }) == 5);
}
