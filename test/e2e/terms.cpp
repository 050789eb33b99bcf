// Who is let in by the Terms of Use and at enrollment: one-time PINs, allowed groups, maintenance; and what is kept of
// it.
#include "core/random.hpp"
#include "core/text.hpp"
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

constexpr char alice[] = "alice@contoso.test";
constexpr char bob[] = "bob@contoso.test";

std::string field(boost::json::value const& v, char const* name) { return std::string(v.at(name).as_string()); }

// A visit of a user who types a PIN. The page that refuses one is answered again with the same, three times in all.
sim::terms_outcome visit(e2e::world& w, std::string const& upn, std::string const& pin) {
    static_cast<void>(w.join(upn));
    http::client c(w.app->client_options());
    sim::terms_visit v;
    v.url = e2e::terms_url;
    v.jwt = w.token(upn);
    v.client_request_id = new_guid();
    v.pin = pin;
    return sim::visit_terms(v, [&](http::call const& call) { return c.send(call); });
}

// Enrolls without Terms of Use, with what accepting them gave.
sim::join_report enroll(e2e::world& w, std::string const& upn, std::string const& blob) {
    auto o = w.join(upn);
    o.terms_url.clear();
    o.enrollment_data = blob;
    sim::device d(w.device(new_guid()));
    return d.join(o);
}

std::string refusal(sim::join_report const& r) {
    return r.failure ? fmt::format("{:08x} {}", r.failure->hresult, r.failure->error_type) : "enrolled";
}

std::string state_of_pin(e2e::world const& w) {
    auto const list = w.app->ask({"pin", "list"}).at("value").as_array();
    return list.empty() ? "none" : fmt::format("{} {}", field(list[0], "state"), list[0].at("tries").as_int64());
}

std::string other_than(std::string pin) {
    pin.back() = pin.back() == '9' ? '0' : static_cast<char>(pin.back() + 1);
    return pin;
}

}  // namespace

TEST_CASE("a one-time PIN opens the Terms of Use once, to its user, and is locked by five wrong tries", "[e2e]") {
    e2e::world w(e2e::settings{{"terms.pin", "all"}});
    w.app->start();
    CHECK_FALSE(visit(w, alice, "12345678").accepted);
    auto const made = w.app->ask({"pin", "create", "Alice@contoso.test"});
    CHECK(field(made, "upn") == alice);
    CHECK(field(made, "expires").ends_with("Z"));
    auto const pin = field(made, "pin");
    CHECK(pin.size() == 8);
    CHECK(w.app->mdmctl({"pin", "list"}).out.find(pin) == std::string::npos);

    CHECK_FALSE(visit(w, alice, "").accepted);
    CHECK_FALSE(visit(w, bob, pin).accepted);
    CHECK(state_of_pin(w) == "usable 0");
    CHECK_FALSE(visit(w, alice, other_than(pin)).accepted);
    CHECK(state_of_pin(w) == "usable 3");
    w.app->kill9();
    w.app->start();
    CHECK(state_of_pin(w) == "usable 3");
    auto o = w.join(alice);
    o.pin = pin.substr(0, 4) + " " + pin.substr(4);
    CHECK(refusal(sim::device(w.device("PC1")).join(o)) == "enrolled");
    CHECK(state_of_pin(w) == "used 4");
    CHECK_FALSE(visit(w, alice, pin).accepted);

    auto const second = field(w.app->ask({"pin", "create", alice, "--ttl", "30d"}), "pin");
    CHECK_FALSE(visit(w, alice, other_than(second)).accepted);
    CHECK_FALSE(visit(w, alice, other_than(second)).accepted);
    CHECK(state_of_pin(w) == "locked 5");
    CHECK_FALSE(visit(w, alice, second).accepted);

    auto const third = field(w.app->ask({"pin", "create", alice, "--ttl", "1s"}), "pin");
    CHECK(e2e::becomes_true(10s, [&] { return state_of_pin(w) == "expired 0"; }));
    CHECK_FALSE(visit(w, alice, third).accepted);
    CHECK(w.app->mdmctl({"pin", "revoke", alice}).code == 0);
    CHECK(w.app->mdmctl({"pin", "revoke", alice}).code == 1);
    CHECK(state_of_pin(w) == "none");
    for (auto const& secret : {pin, second, third}) CHECK(w.app->log().find(secret) == std::string::npos);
}

TEST_CASE("mdmctl's words about PINs and maintenance are checked before the daemon is asked", "[e2e]") {
    e2e::world w;
    auto const words = GENERATE(as<std::vector<std::string>>{}, std::vector<std::string>{"pin"},
        std::vector<std::string>{"pin", "create"}, std::vector<std::string>{"pin", "create", "alice"},
        std::vector<std::string>{"pin", "create", alice, "--ttl", "0s"},
        std::vector<std::string>{"pin", "create", alice, "--ttl", "31d"},
        std::vector<std::string>{"pin", "create", alice, "--ttl", "hour"}, std::vector<std::string>{"pin", "revoke"},
        std::vector<std::string>{"maintenance"}, std::vector<std::string>{"maintenance", "maybe"},
        std::vector<std::string>{"consents"});
    CAPTURE(words);
    CHECK(w.app->mdmctl(words).code == 2);
}

TEST_CASE("members of an allowed group enroll, through other groups too; a stranger is turned away twice", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const blob = visit(w, bob, "").blob;
    REQUIRE_FALSE(blob.empty());
    static_cast<void>(w.join(alice));
    auto const team = w.tenant.add_group("Team", {alice}).value();
    auto const allowed = w.tenant.add_group("Allowed", {team.id}).value();
    w.app->configure({{"enrollment.allowed_groups", fmt::format("[{}]", allowed.id)}});
    w.app->reload();
    REQUIRE(w.app->logs("configuration taken"));

    auto const turned_away = visit(w, bob, "");
    CHECK_FALSE(turned_away.accepted);
    CHECK_THAT(turned_away.page, Catch::Contains("error=unauthorized_client"));
    CHECK(refusal(enroll(w, bob, blob)) == "80180003 ");
    CHECK(field(w.app->ask({"events", "list"}).at("value").at(0), "failureCategory") == "authorization");
    CHECK(joined(w, "ALICE-PC", alice));

    // While Graph does not answer, those that it told of are let in, and nobody else.
    w.tenant.add_fault(*sim::named_fault("graph-down"));
    auto const carol_blob = [&] {
        w.app->configure({});
        w.app->reload();
        REQUIRE(e2e::becomes_true(10s, [&] { return visit(w, "carol@contoso.test", "").accepted; }));
        auto const got = visit(w, "carol@contoso.test", "").blob;
        w.app->configure({{"enrollment.allowed_groups", fmt::format("[{}]", allowed.id)}});
        w.app->reload();
        REQUIRE(e2e::becomes_true(10s, [&] { return !visit(w, "carol@contoso.test", "").accepted; }));
        return got;
    }();
    CHECK(visit(w, alice, "").accepted);
    CHECK(refusal(enroll(w, "carol@contoso.test", carol_blob)) == "80180006 ");
    REQUIRE(w.tenant.add_member("Team", "carol@contoso.test"));
    w.tenant.clear_faults();
    CHECK(e2e::becomes_true(20s, [&] { return visit(w, "carol@contoso.test", "").accepted; }));
    CHECK(refusal(enroll(w, "carol@contoso.test", carol_blob)) == "enrolled");
}

TEST_CASE("in maintenance no device enrolls, after a kill -9 too, and enrolled ones are managed", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const device = joined(w, "ALICE-PC", alice);
    auto const blob = visit(w, bob, "").blob;
    CHECK(w.app->ask({"status"}).at("maintenance") == false);
    CHECK(w.app->ask({"maintenance", "on"}).at("maintenance") == true);
    w.app->kill9();
    w.app->start();
    CHECK(w.app->ask({"status"}).at("maintenance") == true);
    CHECK_THAT(w.app->mdmctl({"status"}).out, Catch::Contains("maintenance"));
    auto const turned_away = visit(w, bob, "");
    CHECK_FALSE(turned_away.accepted);
    CHECK_THAT(turned_away.page, Catch::Contains("error=unauthorized_client"));
    CHECK(refusal(enroll(w, bob, blob)) == "80180017 InMaintenance");
    CHECK(field(w.app->ask({"events", "list"}).at("value").at(0), "failureCategory") == "inMaintenance");
    e2e::require_clean(device->sync(w.sync()));
    CHECK(w.app->ask({"maintenance", "off"}).at("maintenance") == false);
    CHECK(refusal(enroll(w, bob, blob)) == "enrolled");
}

TEST_CASE("consents are kept for audit, used or not, and exported", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const device = joined(w, "ALICE-PC", alice, false);
    REQUIRE(visit(w, bob, "").accepted);
    auto const list = w.app->ask({"consents", "list"}).at("value").as_array();
    REQUIRE(list.size() == 2);
    CHECK(field(list[0], "user") == bob);
    CHECK(field(list[0], "ownership") == "corporate");
    CHECK(list[0].at("used").is_null());
    CHECK(list[0].at("device_id").is_null());
    CHECK(field(list[1], "user") == alice);
    CHECK(field(list[1], "ownership") == "personal");
    CHECK(field(list[1], "language") == "en");
    CHECK_FALSE(field(list[1], "version").empty());
    CHECK(is_guid(field(list[1], "client_request_id")));
    auto const shown = w.app->ask({"devices", "show", "ALICE-PC"});
    CHECK(field(list[1], "device_id") == field(shown, "id"));
    CHECK(field(list[1], "client_request_id") == field(shown, "client_request_id"));
    CHECK(field(list[1], "used") >= field(list[1], "accepted"));
    CHECK(w.app->ask({"consents", "list", "--user", "BOB@contoso.test"}).at("value").as_array().size() == 1);

    auto const csv = w.app->mdmctl({"consents", "list", "--csv"}).out;
    auto const lines = split(csv, '\n');
    REQUIRE(lines.size() == 4);
    CHECK(lines[0] == "user,user_id,version,language,ownership,accepted,client_request_id,device_id,used\r");
    CHECK(lines[1].starts_with("bob@contoso.test,"));
    CHECK(lines[1].ends_with(",,\r"));
    CHECK(lines[2].starts_with("alice@contoso.test,"));
    CHECK(lines[3].empty());
}
