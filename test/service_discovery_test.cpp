#include "service/discovery.hpp"

#include "test/service_fixture.hpp"

using namespace mdmd;

namespace {

config::settings settings_with(bool on_premise, bool federated) {
    auto s = test::appliance_fixture::default_configuration().settings;
    s.enrollment.on_premise = on_premise;
    s.enrollment.federated = federated;
    return s;
}

enroll::discover_request offering(std::vector<std::string> policies) {
    enroll::discover_request r;
    r.email = "user@contoso.com";
    r.request_version = "4.0";
    r.auth_policies = std::move(policies);
    return r;
}

}  // namespace

TEST_CASE("discovery answers with an authentication that both sides have", "[service][discovery]") {
    struct row {
        bool on_premise, federated;
        std::vector<std::string> offered;
        std::string answer;  // empty: refused
        bool sign_in_page = false;
    };
    row const rows[] = {
        {false, false, {"OnPremise", "Federated"}, "Federated"},
        {false, false, {"Federated", "Certificate"}, "Federated"}, {false, false, {"OnPremise"}, ""},
        {false, false, {"Certificate"}, ""}, {false, false, {"Fax"}, ""},
        // A client that offers both and has no token would find no sign-in page.
        {true, false, {"OnPremise", "Federated"}, "OnPremise"},
        {true, false, {"Federated", "OnPremise", "Certificate"}, "OnPremise"},
        {true, false, {"Federated"}, "Federated"}, {true, false, {"OnPremise"}, "OnPremise"},
        {true, false, {"Certificate"}, ""}, {false, true, {"OnPremise", "Federated"}, "Federated", true},
        {false, true, {"OnPremise"}, ""}, {true, true, {"OnPremise", "Federated"}, "Federated", true},
        {true, true, {"OnPremise"}, "OnPremise"}, {true, true, {"federated"}, ""},  // a schema's value: its case counts
    };
    for (auto const& r : rows) {
        CAPTURE(r.on_premise, r.federated, r.offered);
        auto const got = service::discover(settings_with(r.on_premise, r.federated), offering(r.offered));
        if (r.answer.empty()) {
            REQUIRE_FALSE(got.has_value());
            CHECK(got.error().what == enroll::refusal::not_supported);
            CHECK_THAT(got.error().text, Catch::Contains("Federated"));
            CHECK((got.error().text.find("OnPremise") != std::string::npos) == r.on_premise);
            continue;
        }
        REQUIRE(got.has_value());
        CHECK(got->auth_policy == r.answer);
        CHECK(got->authentication_url == (r.sign_in_page ? "https://mdm.test/EnrollmentServer/Auth" : ""));
    }
}

TEST_CASE("every version from 4.0 on is answered with 4.0", "[service][discovery]") {
    for (auto const& [asked, answer] :
        {std::pair("3.0", "3.0"), {"4.0", "4.0"}, {"5.0", "4.0"}, {"6.0", "4.0"}, {"7.0", "4.0"}, {"8.0", "4.0"},
            {"9.0", "4.0"}, {"10.0", "4.0"}, {"99999999999999999999.0", "4.0"}, {"", "4.0"}, {"x", "4.0"}}) {
        CAPTURE(asked);
        auto r = offering({"Federated"});
        r.request_version = asked;
        CHECK(service::discover(settings_with(false, false), r)->enrollment_version == answer);
    }
}

TEST_CASE("the addresses carry what the client says of itself, whatever it says", "[service][discovery][security]") {
    auto r = offering({"Federated"});
    auto const policy_url = [&] { return service::discover(settings_with(false, true), r)->policy_url; };
    std::string const bare = "https://mdm.test/EnrollmentServer/Policy.svc";
    CHECK(policy_url() == bare);
    r.application_version = "10.0.22631.1";
    r.os_edition = "4";
    r.device_type = "CIMClient_Windows";
    CHECK(policy_url() == bare + "?ApplicationVersion=10.0.22631.1&OSEdition=4&DeviceType=CIMClient_Windows");
    r.os_version = "10.0.22631.3447";
    auto const got = service::discover(settings_with(false, true), r);
    std::string const all =
        "?OSVersion=10.0.22631.3447&ApplicationVersion=10.0.22631.1&OSEdition=4&DeviceType=CIMClient_Windows";
    CHECK(got->policy_url == bare + all);
    CHECK(got->enrollment_url == "https://mdm.test/EnrollmentServer/Enrollment.svc" + all);
    CHECK(got->authentication_url == "https://mdm.test/EnrollmentServer/Auth" + all);
    CHECK_THAT(enroll::discover_response(*got, "", ""),
        Catch::Contains("<EnrollmentServiceUrl>https://mdm.test/EnrollmentServer/Enrollment.svc?OSVersion="
                        "10.0.22631.3447&amp;ApplicationVersion=") &&
            Catch::Contains("<AuthenticationServiceUrl>https://mdm.test/EnrollmentServer/Auth?OSVersion="));

    for (std::string const& hostile :
        {std::string("\"><x>&y=#?/\\"), std::string(100'000, 'A'), std::string("\xff\xc3"),
            std::string("\xd9\xa1\xd9\xa0"), std::string("1\r\nLocation: x"), std::string("\0x", 2)}) {
        r.os_version = hostile;
        auto const answer = service::discover(settings_with(false, true), r);
        REQUIRE(answer.has_value());
        auto const& url = answer->enrollment_url;
        CHECK(url.size() < 400);
        CHECK(url.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/?&=.%_-~") ==
              url.npos);
        CHECK(std::count(url.begin(), url.end(), '&') == 3);
        auto const query = parse_query(url.substr(url.find('?') + 1));
        CHECK(find_parameter(query, "OSVersion") == cut_utf8(hostile, 64));
    }
}
