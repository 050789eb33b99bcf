#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

std::string location(http::response const& r) { return std::string(r.headers.get("Location").value_or("")); }

store::event last_event(appliance_fixture& f) {
    auto const all = service::events(*f.appliance);
    REQUIRE_FALSE(all.empty());
    return all.front();
}

}  // namespace

TEST_CASE_METHOD(appliance_fixture,
    "the page is shown to a user with a good token, and accepting leads back with a blob", "[service]") {
    bool const corporate = GENERATE(true, false);
    auto const page = open_terms(corporate, tenant->token(time.now(), {}, GENERATE(true, false)));
    REQUIRE(page.status == 200);
    CHECK((page.body.find("value=\"decline\"") == std::string::npos) == corporate);
    auto const done = answer_terms(page.body, "accept");
    CHECK(done.status == 302);
    CHECK_THAT(location(done), Catch::StartsWith("ms-appx-web://app/ToUResponse?IsAccepted=true&OpaqueBlob="));
    CHECK_THAT(location(done), Catch::Contains("client-request-id=34be581c-6ebd-49d6-a4e1-150eff4b7213"));
}

TEST_CASE_METHOD(appliance_fixture, "declining is for personal devices, and keeps nothing", "[service]") {
    auto const token = tenant->token(time.now());
    CHECK_THAT(location(answer_terms(open_terms(false, token).body, "decline")),
        Catch::Contains("IsAccepted=false") && !Catch::Contains("OpaqueBlob"));
    CHECK(answer_terms(open_terms(true, token).body, "decline").status == 400);
    CHECK(answer_terms(open_terms(true, token).body, "maybe").status == 400);
}

TEST_CASE_METHOD(appliance_fixture, "a form is answered once, in time, and unchanged", "[service][security]") {
    auto const page = open_terms(true, tenant->token(time.now()));
    CHECK(answer_terms(page.body, "accept").status == 302);
    CHECK(answer_terms(page.body, "accept").status == 400);
    auto const late = open_terms(true, tenant->token(time.now()));
    time.advance(31min);
    CHECK(answer_terms(late.body, "accept").status == 400);
    CHECK(appliance->terms.decide(request("POST", "/TermsOfUse", "state=x.y&decision=accept")).status == 400);
    CHECK(appliance->terms.decide(request("POST", "/TermsOfUse", "")).status == 400);
}

TEST_CASE_METHOD(appliance_fixture, "every way the Terms of Use can fail has its redirect", "[service]") {
    auto const to = [&](std::string const& query, std::string const& token) {
        auto r = request("GET", "/TermsOfUse?" + query);
        if (!token.empty()) r.headers.add("Authorization", "Bearer " + token);
        auto const answer = appliance->terms.show(r);
        return fmt::format("{} {}", answer.status, location(answer));
    };
    std::string const base = "redirect_uri=ms-appx-web://app/x&client-request-id=34be581c-6ebd-49d6-a4e1-150eff4b7213";
    auto const good = tenant->token(time.now());
    CHECK_THAT(to(base + "&api-version=2.0", good),
        Catch::StartsWith("302 ms-appx-web://app/x?error=invalid_request&error_description=unsupported%20version"));
    CHECK_THAT(to(base + "&api-version=1.0", ""),
        Catch::Contains("error=unauthorized_client&error_description=unauthorized_client"));
    CHECK_THAT(to(base + "&api-version=1.0", "a.b.c"),
        Catch::Contains("error=unauthorized_client&error_description=unauthorized_client"));
    CHECK_THAT(to("api-version=1.0", good), Catch::StartsWith("400 "));
    CHECK_THAT(to("redirect_uri=https://evil.test/&api-version=1.0", good), Catch::StartsWith("400 "));
    config.settings.enrollment.personal_devices = false;
    reconfigure();
    auto const turned_away = open_terms(false, good);
    CHECK(turned_away.status == 200);
    CHECK_THAT(turned_away.body,
        Catch::Contains("error=unauthorized_client") && Catch::Contains("Personal devices are not accepted"));
    CHECK_THAT(open_terms(true, good).body, Catch::Contains("name=\"state\""));
}

TEST_CASE_METHOD(appliance_fixture, "without any signing keys the Terms of Use answer server_error", "[service]") {
    tenant->away = true;
    auto const answer = open_terms(true, tenant->token(time.now()));
    CHECK_THAT(location(answer), Catch::Contains("error=server_error&error_description=internal%20service%20error"));
}

TEST_CASE_METHOD(appliance_fixture,
    "a rolled signing key is accepted at once, and unknown keys cannot make us hammer Entra", "[service][security]") {
    CHECK(open_terms(true, tenant->token(time.now())).status == 200);
    CHECK(tenant->fetches == 1);
    tenant->kid = "k2";
    CHECK(open_terms(true, tenant->token(time.now())).status == 200);
    CHECK(tenant->fetches == 2);
    tenant->kid = "k3";
    auto const unknown = tenant->token(time.now());
    tenant->kid = "k2";
    for (int i = 0; i < 50; ++i) CHECK(open_terms(true, unknown).status == 302);
    CHECK(tenant->fetches <= 3);
    time.advance(6min);
    CHECK(open_terms(true, unknown).status == 302);
    CHECK(tenant->fetches <= 4);
}

TEST_CASE_METHOD(appliance_fixture,
    "one version's keys serve where the other's cannot be had, and replace no whole set", "[service]") {
    tenant->no_v1 = true;
    CHECK(open_terms(true, tenant->token(time.now(), {}, true)).status == 200);
    CHECK(open_terms(true, tenant->token(time.now())).status == 302);
    tenant->no_v1 = false;
    time.advance(6min);
    appliance->keys.refresh_if_due();
    CHECK(open_terms(true, tenant->token(time.now())).status == 200);
    tenant->no_v1 = true;
    time.advance(2h);
    appliance->keys.refresh_if_due();
    CHECK(open_terms(true, tenant->token(time.now())).status == 200);
}

TEST_CASE_METHOD(appliance_fixture, "keys that could not be refreshed are used for a day and no longer", "[service]") {
    appliance->keys.refresh_if_due();
    CHECK(appliance->keys.attempted());
    tenant->away = true;
    time.advance(23h);
    appliance->keys.refresh_if_due();
    CHECK(open_terms(true, tenant->token(time.now())).status == 200);
    time.advance(2h);
    CHECK_THAT(location(open_terms(true, tenant->token(time.now()))), Catch::Contains("server_error"));
}

TEST_CASE_METHOD(appliance_fixture, "an accepted user enrolls a device, once for each blob", "[service]") {
    bool const corporate = GENERATE(true, false);
    auto const blob = accept_terms(corporate);
    enrollment const one{.corporate = corporate, .blob = blob, .token = device_token()};
    auto const first = certificate_of(enroll(one));
    auto const all = service::devices(*appliance);
    REQUIRE(all.size() == 1);
    CHECK(all[0].device.ownership == (corporate ? "corporate" : "personal"));
    CHECK(all[0].device.entra_device_id == entra_device);
    CHECK(all[0].device.correlation_id == "34be581c-6ebd-49d6-a4e1-150eff4b7213");

    // The answer was lost: the same request gets the same certificate, and no second device.
    CHECK(certificate_of(enroll(one)) == first);
    CHECK(service::devices(*appliance).size() == 1);

    auto again = one;
    again.csr = rsa_key().request();
    auto const refused = enroll(again);
    CHECK(refused.status == 500);
    CHECK_THAT(refused.body, Catch::Contains("<ErrorType>InvalidEnrollmentData</ErrorType>"));
    CHECK(last_event(*this).category == "badRequest");
}

TEST_CASE_METHOD(
    appliance_fixture, "consent must be there, fresh, and of the same user and ownership", "[service][security]") {
    auto const refused = [&](enrollment const& e) {
        auto const r = enroll(e);
        CHECK(r.status == 500);
        CHECK_THAT(r.body, Catch::Contains("InvalidEnrollmentData"));
        CHECK(service::devices(*appliance).empty());
    };
    auto const token = device_token();
    refused({.blob = "", .token = token});
    refused({.blob = "forged", .token = token});
    refused({.corporate = false, .blob = accept_terms(true), .token = token});
    refused({.blob = accept_terms(true, {{"oid", "0d000000-0000-0000-0000-000000000002"}}), .token = token});
    auto const old = accept_terms(true);
    time.advance(61min);
    refused({.blob = old, .token = device_token()});
    config.settings.terms.required = false;
    reconfigure();
    CHECK(enroll({.blob = "", .token = device_token()}).status == 200);
}

TEST_CASE_METHOD(appliance_fixture, "a failed enrollment leaves the consent usable", "[service]") {
    auto const blob = accept_terms(true);
    CHECK(enroll({.blob = blob, .token = device_token(), .csr = "no request"}).status == 500);
    CHECK(enroll({.blob = blob, .token = device_token()}).status == 200);
}

TEST_CASE_METHOD(appliance_fixture,
    "an enrollment refused at the cap changes nothing: the same request succeeds when there is room",
    "[service][security]") {
    auto const first = certificate_of(enroll({.blob = accept_terms(true), .token = device_token()}));
    config.settings.enrollment.max_devices_per_user = 0;
    reconfigure();
    // The user, at the cap, brings the same device of Entra's.
    enrollment const e{
        .blob = accept_terms(true), .token = device_token(), .csr = rsa_key().request(), .hardware = "HW2"};
    CHECK_THAT(enroll(e).body, Catch::Contains("DeviceCapReached"));
    auto const all = service::devices(*appliance);
    REQUIRE(all.size() == 1);
    CHECK(all[0].device.state == "enrolled");
    config.settings.enrollment.max_devices_per_user = 1;
    reconfigure();
    CHECK(enroll(e).status == 200);
}

TEST_CASE_METHOD(appliance_fixture, "strangers cannot crowd out the events of users", "[service][security]") {
    for (int i = 0; i < 200; ++i) enroll({.blob = "", .token = "nonsense"});
    enroll({.blob = "", .token = device_token()});
    auto const all = service::events(*appliance);
    CHECK(all.size() <= 30);
    CHECK(std::any_of(all.begin(), all.end(), [](auto const& e) { return e.user_id == user_id; }));
}

TEST_CASE_METHOD(appliance_fixture, "every refusal has its fault and its event, which agree", "[service]") {
    struct row {
        std::string name;
        std::function<void(service::configuration&, enrollment&)> change;
        std::string in_fault, category;
    };
    auto const row = GENERATE(values<struct row>({
        {"enrollment off", [](auto& c, auto&) { c.settings.enrollment.enabled = false; }, "<ErrorType>NotSupported<",
            "accountValidation"},
        {"enrollment off, with a text",
            [](auto& c, auto&) {
                c.settings.enrollment.enabled = false;
                c.settings.enrollment.disabled_message = "Ask <IT> first";
            },
            "<ErrorType>CustomServerError</ErrorType><Message>Ask &lt;IT&gt; first<", "accountValidation"},
        {"personal blocked",
            [](auto& c, auto& e) {
                c.settings.enrollment.personal_devices = false;
                e.corporate = false;
            },
            "<ErrorType>NotSupported<", "featureNotSupported"},
        {"old Windows", [](auto& c, auto&) { c.settings.enrollment.min_os_version = parse_os_version("10.0.30000"); },
            "<ErrorType>DeviceNotSupported<", "enrollmentRestrictionsEnforced"},
        {"new Windows",
            [](auto& c, auto&) { c.settings.enrollment.max_os_version = parse_last_os_version("10.0.22630"); },
            "<ErrorType>DeviceNotSupported<", "enrollmentRestrictionsEnforced"},
        {"another edition",
            [](auto& c, auto&) {
                c.settings.enrollment.editions = {48, 121};
            },
            "<ErrorType>DeviceNotSupported<", "enrollmentRestrictionsEnforced"},
        {"Windows 8.1", [](auto&, auto& e) { e.os_version = "6.3.9600"; }, "<ErrorType>DeviceNotSupported<",
            "deviceNotSupported"},
        {"no version", [](auto&, auto& e) { e.os_version = "ten"; }, "<ErrorType>DeviceNotSupported<",
            "deviceNotSupported"},
        {"a phone", [](auto&, auto& e) { e.device_type = "WindowsPhone"; }, "<ErrorType>DeviceNotSupported<",
            "deviceNotSupported"},
        {"a type that is not allowed",
            [](auto& c, auto&) { c.settings.enrollment.allowed_types = {config::enrollment_type::bulk}; },
            "<ErrorType>NotSupported<", "featureNotSupported"},
        {"a blocked name", [](auto& c, auto&) { c.settings.enrollment.blocked_users = {"user@contoso.com"}; },
            ">s:Authorization<", "accountValidation"},
        {"a blocked object ID", [](auto& c, auto&) { c.settings.enrollment.blocked_users = {user_id}; },
            ">s:Authorization<", "accountValidation"},
        {"recovery",
            [](auto&, auto& e) { e.request_type = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Recovery"; },
            "<ErrorType>NotSupported<", "featureNotSupported"},
        {"bad request", [](auto&, auto& e) { e.csr = "x"; }, ">s:CertificateRequest<", "badRequest"},
        {"renewal",
            [](auto&, auto& e) {
                e.request_type = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Renew";
                e.binary_type = "PKCS7";
            },
            ">s:MessageFormat<", "badRequest"},
        {"bad token", [](auto&, auto& e) { e.token.replace(e.token.size() - 8, 4, "AAAA"); }, ">s:Authentication<",
            "authentication"},
        {"no token", [](auto&, auto& e) { e.token = "nonsense"; }, ">a:InvalidSecurity<", "authentication"},
        {"cap", [](auto& c, auto&) { c.settings.enrollment.max_devices_per_user = 0; }, "<ErrorType>DeviceCapReached<",
            "enrollmentRestrictionsEnforced"},
    }));
    CAPTURE(row.name);
    auto const blob = accept_terms(true);
    enrollment e{.blob = blob, .token = device_token()};
    row.change(config, e);
    reconfigure();
    auto const r = enroll(e);
    CHECK(r.status == 500);
    CHECK(r.headers.get("Content-Type") == "application/soap+xml; charset=utf-8");
    CHECK_THAT(r.body, Catch::Contains(row.in_fault));
    CHECK_THAT(r.body, Catch::Contains("RelatesTo>urn:uuid:0d5a1441-5891-453b-becf-a2e5f6ea3749<"));
    auto const event = last_event(*this);
    CHECK(event.category == row.category);
    CHECK_THAT(r.body, Catch::Contains("<TraceId>" + event.correlation_id.value_or("") + "</TraceId>"));
    CHECK(event.correlation_id == "34be581c-6ebd-49d6-a4e1-150eff4b7213");
    CHECK(service::devices(*appliance).empty());
}

TEST_CASE_METHOD(appliance_fixture, "what is no XML gets a 4xx and leaves no event", "[service][security]") {
    auto const [body, status] = GENERATE(table<std::string, int>({
        {"", 400},
        {"hello", 400},
        {"<a>", 400},
        {"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>", 400},
        {std::string(3'000'000, ' '), 413},
        {"<a>\xff</a>", 400},
        {"<a>&#0;</a>", 400},
    }));
    CHECK(appliance->enroll.discover(request("POST", "/x", body)).status == status);
    CHECK(appliance->enroll.policies(request("POST", "/x", body)).status == status);
    CHECK(appliance->enroll.enroll(request("POST", "/x", body)).status == status);
    CHECK(service::events(*appliance).empty());
}

TEST_CASE_METHOD(appliance_fixture, "the same computer enrolled anew replaces its record, for the same user only",
    "[service][security]") {
    CHECK(enroll({.blob = accept_terms(true), .token = device_token()}).status == 200);
    CHECK(enroll({.blob = accept_terms(true), .token = device_token(), .csr = rsa_key().request()}).status == 200);
    auto all = service::devices(*appliance);
    REQUIRE(all.size() == 2);
    CHECK(std::count_if(all.begin(), all.end(), [](auto const& v) { return v.device.state == "enrolled"; }) == 1);

    json::object const other{
        {"oid", "0d000000-0000-0000-0000-000000000002"}, {"deviceid", "de000000-0000-0000-0000-000000000002"}};
    auto const again = [&] {
        return enroll(
            {.blob = accept_terms(true, other), .token = tenant->token(time.now(), other), .csr = rsa_key().request()});
    };
    auto const conflict = again();
    CHECK(conflict.status == 500);
    CHECK_THAT(conflict.body, Catch::Contains(">s:Authorization<") && Catch::Contains("enrolled by another user"));
    auto const event = last_event(*this);
    CHECK(event.category == "enrollmentRestrictionsEnforced");
    auto const enrolled =
        std::find_if(all.begin(), all.end(), [](auto const& v) { return v.device.state == "enrolled"; });
    CHECK_THAT(event.reason.value_or(""), Catch::Contains(enrolled->device.id));
    // The operator decides.
    CHECK(service::remove(*appliance, enrolled->device.id));
    CHECK(again().status == 200);
    all = service::devices(*appliance);
    REQUIRE(std::count_if(all.begin(), all.end(), [](auto const& v) { return v.device.state == "enrolled"; }) == 1);
    CHECK(std::find_if(all.begin(), all.end(), [](auto const& v) {
        return v.device.state == "enrolled";
    })->device.user_id == "0d000000-0000-0000-0000-000000000002");
}

TEST_CASE_METHOD(appliance_fixture,
    "another user's computer is a conflict without its HWDevID too, by the device of Entra's", "[service][security]") {
    CHECK(enroll({.blob = accept_terms(true), .token = device_token()}).status == 200);
    json::object const other{{"oid", "0d000000-0000-0000-0000-000000000002"}, {"deviceid", entra_device}};
    auto const r = enroll({.blob = accept_terms(true, other),
        .token = tenant->token(time.now(), other),
        .csr = rsa_key().request(),
        .hardware = ""});
    CHECK_THAT(r.body, Catch::Contains("enrolled by another user"));
}

TEST_CASE_METHOD(appliance_fixture, "a device's own token replaces its own record alone", "[service][security]") {
    config.settings.enrollment.allowed_types.insert(config::enrollment_type::device_token);
    reconfigure();
    auto const by = [&](char const* device) {
        auto const token = tenant->token(time.now(), {{"idtyp", "device"}, {"upn", ""}, {"deviceid", device}});
        return enroll({.token = token, .csr = rsa_key().request()});
    };
    CHECK(by("de000000-0000-0000-0000-000000000001").status == 200);
    CHECK(by("de000000-0000-0000-0000-000000000001").status == 200);
    CHECK_THAT(by("de000000-0000-0000-0000-000000000002").body, Catch::Contains("enrolled by another user"));
}

TEST_CASE_METHOD(appliance_fixture,
    "a computer that no token names is not the organization's where personal ones are blocked", "[service][security]") {
    config.settings.enrollment.personal_devices = false;
    reconfigure();
    auto const r = enroll({.blob = accept_terms(true), .token = tenant->token(time.now())});
    CHECK_THAT(r.body, Catch::Contains("<ErrorType>NotSupported<"));
    CHECK(enroll({.blob = accept_terms(true), .token = device_token()}).status == 200);
}

TEST_CASE("the authority is made at the first start and outlives a restart", "[service]") {
    test::scratch const folder;
    store::database db(store::sqlite_engine(folder.path() / "mdmd.db"));
    manual_clock const time(from_ms(1'800'000'000'000));
    auto const config = service::ready(appliance_fixture::default_configuration());
    auto const start = [&] { return service::context(db, time, config, {}).authority().issuing.fingerprint(); };
    auto const before = start();
    CHECK(before.size() == 64);
    CHECK(start() == before);
}
