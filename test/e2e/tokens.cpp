// Whose token it is: forged, expired and foreign ones get nowhere, and Entra's new keys are taken as they come.
#include "core/random.hpp"
#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "sim/csr.hpp"
#include "sim/jwt.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

constexpr char upn[] = "alice@contoso.test";

std::string const& other_guid() {
    static std::string const id = new_guid();
    return id;
}

std::int64_t now_s() { return to_ms(system_clock().now()) / 1000; }

// The middle of a token replaced by what `change` makes of its claims; header and signature stay.
template <class Change> std::string with_payload(std::string const& token, Change change) {
    auto const parts = split(token, '.');
    auto claims = json::parse(*unbase64url(parts[1])).as_object();
    change(claims);
    return fmt::format("{}.{}.{}", parts[0], base64url(json::serialize(claims)), parts[2]);
}

struct bad_token {
    char const* what;
    std::string text;
};

// Every one differs from a good token of this user in what its name says.
std::vector<bad_token> bad_tokens(sim::tenant& tenant, sim::tenant& other, std::string const& good) {
    std::vector<bad_token> all;
    auto const order = [] {
        sim::token_order o;
        o.upn = upn;
        return o;
    };
    auto const add = [&](char const* what, sim::token_order const& o) {
        all.push_back({what, tenant.make(o).value()});
    };
    auto const claims = [&](char const* what, json::object over) {
        auto o = order();
        o.claims = std::move(over);
        add(what, o);
    };
    auto const header = [&](char const* what, json::object over) {
        auto o = order();
        o.header = std::move(over);
        add(what, o);
    };
    auto const signed_by = [&](char const* what, sim::signature how, json::object over = {}) {
        auto o = order();
        o.how = how;
        o.header = std::move(over);
        add(what, o);
    };
    using signer = sim::token_order::signer;
    auto const kid = sim::kid_of(good);

    // Time
    claims("expired an hour ago", {{"exp", now_s() - 3600}, {"nbf", now_s() - 7200}, {"iat", now_s() - 7200}});
    claims("expired just over the leeway ago", {{"exp", now_s() - 330}});
    claims("valid in an hour", {{"nbf", now_s() + 3600}, {"exp", now_s() + 7200}});
    claims("without exp", {{"exp", nullptr}});
    claims("without nbf", {{"nbf", nullptr}});
    claims("with exp as text", {{"exp", std::to_string(now_s() + 3600)}});
    claims("with exp beyond all calendars", {{"exp", std::numeric_limits<std::int64_t>::max()}});
    // Signature
    auto foreign = order();
    foreign.key = signer::foreign;
    add("signed by a key that Entra does not have", foreign);
    foreign.header = {{"kid", kid}};
    add("signed by another key than it names", foreign);
    foreign.header = {{"kid", kid}, {"x5c", json::array{"MIIB"}}, {"jwk", json::object{{"kty", "RSA"}, {"e", "AQAB"}}},
        {"jku", "https://attacker.test/keys"}};
    add("that brings its own key", foreign);
    signed_by("not signed", sim::signature::none);
    signed_by("not signed, in another spelling", sim::signature::none, {{"alg", "nOnE"}});
    signed_by("signed by HMAC with the public key", sim::signature::hs256);
    signed_by("with the signature of something else", sim::signature::broken);
    header("that says RS512", {{"alg", "RS512"}});
    header("without alg", {{"alg", nullptr}});
    header("without kid", {{"kid", nullptr}});
    header("with a kid that is a path", {{"kid", "../../../../dev/null"}});
    header("with critical extensions", {{"crit", json::array{"exp"}}, {"exp", now_s()}});
    header("that is no JWT", {{"typ", "dpop+jwt"}});
    all.push_back({"with another user put in", with_payload(good, [](json::object& o) { o["oid"] = other_guid(); })});
    all.push_back({"with its end moved", with_payload(good, [](json::object& o) { o["exp"] = now_s() + 86400; })});
    all.push_back({"cut off", good.substr(0, good.size() - 20)});
    all.push_back({"without a signature", good.substr(0, good.rfind('.') + 1)});
    all.push_back({"of two parts", good.substr(0, good.rfind('.'))});
    all.push_back({"that is no token", "secret"});
    // Audience, issuer, tenant
    claims("for another application", {{"aud", other_guid()}});
    claims("for Microsoft Graph", {{"aud", "00000003-0000-0000-c000-000000000000"}});
    claims("without aud", {{"aud", nullptr}});
    claims("for nobody", {{"aud", json::array{}}});
    claims("for an address that begins like ours", {{"aud", "https://mdm.contoso.test.attacker.test"}});
    claims("of another issuer", {{"iss", fmt::format("https://login.attacker.test/{}/v2.0", tenant.tenant_id())}});
    claims("of the issuer of the other version",
        {{"iss", fmt::format("https://sts.windows.net/{}/", tenant.tenant_id())}});
    claims("without iss", {{"iss", nullptr}});
    claims("of another tenant", {{"tid", other_guid()}});
    claims("without a tenant", {{"tid", nullptr}});
    claims("of version 3.0", {{"ver", "3.0"}});
    claims("without a version", {{"ver", nullptr}});
    all.push_back({"of another tenant altogether", other.make(order()).value()});
    // User
    claims("without a user", {{"oid", nullptr}});
    claims("with a user who is no GUID", {{"oid", "alice"}});
    claims("without scopes", {{"scp", nullptr}});
    claims("with other scopes", {{"scp", "User.Read mdm_delegation2"}});
    auto app = order();
    app.who = sim::token_order::kind::app;
    add("of an application", app);
    auto device = order();
    device.who = sim::token_order::kind::device;
    device.device_id = tenant.add_device(upn, "LONE", "joined").value().device_id;
    add("of a device alone", device);
    return all;
}

http::response post(http::client& c, std::string const& url, std::string body) {
    return c
        .send({.method = "POST",
            .url = url,
            .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}},
            .body = std::move(body)})
        .value();
}

std::string message_id() { return "urn:uuid:" + new_guid(); }

}  // namespace

TEST_CASE("no forged, expired or foreign token gets past the Terms of Use, policies or enrollment", "[e2e]") {
    e2e::world w;
    sim::tenant other(sim::tenant_options{.app_id = e2e::public_url});
    other.start();
    for (auto* t : {&w.tenant, &other}) REQUIRE(t->add_user(upn));
    w.app->start();
    auto const good = w.token(upn);
    auto const consent = w.visit(good);
    REQUIRE(consent.failure.text == "");
    REQUIRE(consent.accepted);

    http::client c(w.app->client_options());
    auto const key = sim::private_key::rsa(2048);
    std::string const device_id = "0123456789ABCDEF0123456789ABCDEF";
    sim::context_items const context{{"DeviceID", device_id}, {"HWDevID", std::string(64, 'A')},
        {"DeviceName", "ALICE-PC"}, {"DeviceType", "CIMClient_Windows"}, {"EnrollmentType", "Device"},
        {"OSVersion", "10.0.22631.3447"}, {"EnrollmentData", consent.blob}};
    auto const policies = [&](std::string const& token) {
        auto const id = message_id();
        return sim::read_policies(
            post(c, e2e::policy_url, sim::policies_request(id, e2e::policy_url, sim::jwt_credential(token))), id);
    };
    auto const enroll = [&](std::string const& token) {
        auto const id = message_id();
        auto const body = sim::token_request(
            id, e2e::enrollment_url, sim::jwt_credential(token), sim::make_request(key, "E2E", device_id), context);
        return sim::read_token_response(post(c, e2e::enrollment_url, body), id);
    };

    auto const all = bad_tokens(w.tenant, other, good);
    CHECK(all.size() >= 22);
    for (auto const& bad : all) {
        CAPTURE(bad.what);
        auto const visit = w.visit(bad.text);
        CHECK_FALSE(visit.accepted);
        CHECK_THAT(visit.failure.text, Catch::StartsWith("unauthorized_client:"));
        CHECK_THAT(visit.failure.location, Catch::StartsWith("ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS?"));
        auto const refused_policies = policies(bad.text);
        auto const refused_enrollment = enroll(bad.text);
        CHECK_FALSE(refused_policies.value);
        CHECK_FALSE(refused_enrollment.value);
        for (auto const& failure : {refused_policies.failure, refused_enrollment.failure}) {
            CHECK(failure.http_status == 500);
            CHECK_THAT(failure.subcode, Catch::Equals("s:Authentication") || Catch::Equals("s:Authorization") ||
                                            Catch::Equals("a:InvalidSecurity"));
        }
    }
    CHECK(w.app->ask({"devices", "list"}).at("value").as_array().empty());

    // The same requests with the good token, by the same consent, which none of the others has used up.
    CHECK(policies(good).value);
    auto const enrolled = enroll(good);
    CHECK(enrolled.failure.text == "");
    CHECK(enrolled.value);
    // As version 1.0 writes them.
    sim::token_order v1;
    v1.upn = upn;
    v1.version = "1.0";
    CHECK(policies(w.tenant.make(v1).value()).value);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a rolled signing key is taken without a restart, and one that was withdrawn is not kept", "[e2e]") {
    e2e::world w;
    REQUIRE(w.tenant.add_user(upn));
    w.app->start();
    auto const before = w.token(upn);
    REQUIRE(w.visit(before).accepted);
    w.tenant.rotate_keys(false);
    auto const after = w.token(upn);
    REQUIRE(sim::kid_of(after) != sim::kid_of(before));
    CHECK(w.visit(after).accepted);
    CHECK_FALSE(w.visit(before).accepted);
    auto const d = joined(w, "ALICE-PC", upn);
    e2e::require_clean(d->sync(w.sync()));
}

TEST_CASE("without signing keys at the start it is ready, says server_error, and works once there are some", "[e2e]") {
    e2e::world w;
    REQUIRE(w.tenant.add_user(upn));
    w.tenant.stop();
    w.app->start();
    auto const token = w.token(upn);
    CHECK(w.app->admin("/healthz").status == 200);
    CHECK(w.app->admin("/readyz").status == 200);
    CHECK_THAT(w.visit(token).failure.text, Catch::StartsWith("server_error:"));
    w.tenant.start();
    // The first failure is tried again after ten seconds.
    CHECK(e2e::becomes_true(25s, [&] { return w.visit(token).accepted; }));
    auto const d = joined(w, "ALICE-PC", upn);
    CHECK(d->enrolled());
}
