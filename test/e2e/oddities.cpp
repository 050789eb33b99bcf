// Clients differ in what they write. Nothing of that keeps a device out.
#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "e2e/tls_peer.hpp"
#include "sim/soap.hpp"

using namespace mdmd;

namespace {

struct odd_client {
    char const* name;
    sim::oddities odd = {};
    char const* request_version = "4.0";
    sim::context_items items = {};
};

std::vector<odd_client> const clients{
    {"CONSTANT-MESSAGE-IDS", {.constant_message_ids = true}},
    {"SPACED-MESSAGE-IDS", {.spaced_message_ids = true}},
    {"SLASH-NAMESPACES", {.slash_namespaces = true}},
    {"NO-SLASH-NAMESPACE", {.no_slash_namespace = true}},
    {"DEFAULT-NAMESPACES", {.default_namespaces = true}},
    {"PREFIXED-ATTRIBUTES", {.prefixed_attributes = true}},
    {"WHITE-SPACE", {.white_space = true}},
    {"WRAPPED-BASE64", {.wrapped_base64 = true}},
    {"CAPITAL-BOOLEANS", {.capital_booleans = true}, "4.0", {{"NotInOobe", "true"}}},
    {"REQUIRED-ITEMS-ONLY", {.required_items_only = true}},
    {"REPEATED-ITEMS", {.repeated_items = true}},
    {"UNKNOWN-ITEMS", {.unknown_items = true}},
    {"SHA1-REQUEST", {.sha1_request = true}},
    {"UTF16-TOKEN", {.utf16_token = true}},
    {"QUERY", {.query = "?client-request-id=34be581c-6ebd-49d6-a4e1-150eff4b7213&api-version=1.0&x=%00%ff&x&=&&"}},
    {"AGENT-OF-PHONES", {.user_agent = "Windows Phone 8 Enrollment Client"}},
    {"NO-AGENT", {.user_agent = ""}},
    {"ALL-AT-ONCE",
        {.constant_message_ids = true,
            .slash_namespaces = true,
            .prefixed_attributes = true,
            .white_space = true,
            .wrapped_base64 = true,
            .capital_booleans = true,
            .repeated_items = true,
            .unknown_items = true,
            .sha1_request = true,
            .utf16_token = true,
            .query = "?a=b",
            .user_agent = "Windows Enrollment Client"},
        "12.5"},
    {"VERSION-3", {}, "3.0"},
    {"VERSION-5", {}, "5.0"},
    {"VERSION-6", {}, "6.0"},
    {"VERSION-7", {}, "7.0"},
    {"VERSION-8", {}, "8.0"},
    {"VERSION-9", {}, "9.0"},
    {"VERSION-12", {}, "12.5"},
};

}  // namespace

TEST_CASE("no oddity of a client keeps its device from enrolling, renewing and being managed", "[e2e]") {
    e2e::world w(e2e::settings{{"enrollment.max_devices_per_user", "1000"},
        {"enrollment.certificate_validity", "1441m"}, {"enrollment.renewal_window", "24h"}});
    w.app->start();
    bool corporate = false;
    for (auto const& c : clients) {
        CAPTURE(c.name);
        corporate = !corporate;
        sim::device d(w.device(c.name));
        auto o = w.join("alice@contoso.test", corporate);
        o.name = c.name;
        o.odd = c.odd;
        o.request_version = c.request_version;
        o.more_context = c.items;
        auto const report = d.join(o);
        INFO((report.failure ? report.failure->step + ": " + report.failure->text : ""));
        REQUIRE_FALSE(report.failure);
        e2e::require_clean(d.sync(w.sync()));
        auto const renewed = d.renew({.odd = c.odd, .net = w.app->net()});
        INFO((renewed.failure ? "renewal: " + renewed.failure->step + ": " + renewed.failure->text : ""));
        REQUIRE_FALSE(renewed.failure);
        e2e::require_clean(d.sync(w.sync()));
    }
    CHECK(w.app->ask({"devices", "list"}).at("value").as_array().size() == clients.size());
}

TEST_CASE("a client that waits for 100 Continue gets it on every address", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const id = std::string("urn:uuid:748132ec-a575-4329-b01b-6171a9cf8478");
    auto const credential = sim::jwt_credential(w.token("alice@contoso.test"));
    struct row {
        char const *listener, *path, *type;
        std::string body, answer;
    };
    for (auto const& r : std::vector<row>{
             {"public", "/EnrollmentServer/Discovery.svc", "application/soap+xml; charset=utf-8",
                 sim::discover_request(id, e2e::discovery_url, "alice@contoso.test", "4.0", "10.0.22631.1", "4",
                     {"OnPremise", "Federated"}),
                 "<EnrollmentServiceUrl>"},
             {"public", "/EnrollmentServer/Policy.svc", "application/soap+xml; charset=utf-8",
                 sim::policies_request(id, e2e::policy_url, credential), "<policySchema>3"},
             {"public", "/EnrollmentServer/Enrollment.svc", "application/soap+xml; charset=utf-8",
                 sim::token_request(id, e2e::enrollment_url, credential, "no request",
                     {{"DeviceID", "X"}, {"EnrollmentType", "Device"}, {"DeviceType", "CIMClient_Windows"},
                         {"OSVersion", "10.0.22631.1"}}),
                 "s:CertificateRequest"},
             {"management", "/ManagementServer/MDM.svc", "application/vnd.syncml.dm+xml", "no SyncML", "not a SyncML"},
         }) {
        CAPTURE(r.path);
        e2e::tls_peer peer(w.app->port(r.listener), e2e::host, d->credentials());
        REQUIRE(
            peer.send(fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
                                  "Expect: 100-continue\r\nConnection: close\r\n\r\n",
                r.path, e2e::host, r.type, r.body.size())));
        CHECK(peer.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
        REQUIRE(peer.send(r.body));
        CHECK_THAT(peer.read_to_end(), Catch::Contains(r.answer));
    }
}
