// A fleet lives longer than its certificates: each makes way for a new one.
#include <atomic>

#include "core/text.hpp"
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t not_eligible = 0x80180016;

// A certificate can be renewed as soon as it is there.
e2e::settings const always{{"enrollment.certificate_validity", "1441m"}, {"enrollment.renewal_window", "24h"}};

std::string text(boost::json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

void require_renewed(sim::join_report const& r) {
    INFO((r.failure ? r.failure->step + ": " + r.failure->text : ""));
    REQUIRE_FALSE(r.failure);
}

// Certificates of the device that are good, by fingerprint.
std::set<std::string> good_certificates(e2e::appliance const& a, std::string const& device) {
    std::set<std::string> good;
    auto const shown = a.ask({"devices", "show", device});
    for (auto const& c : shown.at("certificates").as_array())
        if (c.at("revoked").is_null()) good.insert(text(c.at("fingerprint")));
    return good;
}
std::string fingerprint(std::optional<sim::identity> const& id) { return hex(sim::sha256(id.value().own.der())); }

int session_status(e2e::world& w, sim::device& d, bool previous) {
    auto o = w.sync();
    o.previous_certificate = previous;
    auto const r = d.sync(o);
    return r.failure.empty() ? 200 : r.last_http_status;
}

// The same device in another folder, to do as it did before.
std::filesystem::path copied(e2e::world const& w, std::string const& name) {
    auto const to = w.device(name + "-copy");
    std::filesystem::copy(w.device(name), to, std::filesystem::copy_options::recursive);
    return to;
}

}  // namespace

TEST_CASE("a device renews in every form, and the first session with the new certificate ends the old one", "[e2e]") {
    e2e::world w(always);
    w.app->start();
    bool corporate = true;
    for (auto const& [name, how] : std::vector<std::pair<std::string, sim::renew_options>>{{"AS-WINDOWS", {}},
             {"MICROSOFTS-TYPE", {.form = sim::token_form::pkcs7_microsoft}},
             {"TWICE", {.form = sim::token_form::pkcs7_twice}}, {"NO-NAME", {.user_name = false}},
             {"NO-CERTIFICATE", {.without_certificate = true}}}) {
        CAPTURE(name);
        corporate = !corporate;
        auto const d = joined(w, name, "alice@contoso.test", corporate);
        e2e::require_clean(d->sync(w.sync()));
        auto const old = fingerprint(d->credentials());
        auto o = how;
        o.net = w.app->net();
        require_renewed(d->renew(o));
        auto const renewed = fingerprint(d->credentials());
        CHECK(good_certificates(*w.app, name) == std::set<std::string>{old, renewed});
        CHECK(session_status(w, *d, true) == 200);
        sim::device again(copied(w, name));

        e2e::require_clean(d->sync(w.sync()));
        CHECK(good_certificates(*w.app, name) == std::set<std::string>{renewed});
        CHECK(session_status(w, again, true) == 403);
        o.by_previous = true;
        auto const refused = again.renew(o);
        REQUIRE(refused.failure);
        // Without a name in the header, the certificate in TLS is what opens the policy.
        if (how.user_name) CHECK(refused.failure->hresult == not_eligible);
        // And so on, from one certificate to the next.
        o.by_previous = false;
        require_renewed(d->renew(o));
        e2e::require_clean(d->sync(w.sync()));
    }
    CHECK(w.app->logs("certificate renewed"));
    CHECK(w.app->logs("the renewed certificate is in use"));
}

TEST_CASE("a certificate can be renewed in its window alone", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const early = joined(w, "EARLY", "alice@contoso.test");
    auto const refused = early->renew({.net = w.app->net()});
    REQUIRE(refused.failure);
    CHECK(refused.failure->step == "enrollment");
    CHECK(refused.failure->http_status == 500);
    CHECK(refused.failure->hresult == not_eligible);
    CHECK(w.app->logs("can be renewed from"));
    auto const events = w.app->ask({"events", "list"}).at("value").as_array();
    REQUIRE_FALSE(events.empty());
    CHECK(text(events.front().at("failureCategory")) == "authorization");
    CHECK(text(events.front().at("deviceId")) == early->entra_device_id());
    CHECK(text(events.front().at("correlationId")) == refused.failure->trace_id);

    w.app->configure({{"enrollment.certificate_validity", "4s"}, {"enrollment.renewal_window", "3s"}});
    REQUIRE(w.app->stop() == 0);
    w.app->start();
    auto const late = joined(w, "LATE", "alice@contoso.test");
    auto const ends = late->credentials()->own.ends();
    REQUIRE(e2e::becomes_true(20s, [&] { return std::chrono::system_clock::now() > ends; }));
    auto const expired = late->renew({.net = w.app->net()});
    REQUIRE(expired.failure);
    CHECK(expired.failure->hresult == not_eligible);
    CHECK(w.app->logs("has expired"));
}

TEST_CASE("nobody renews by what is not the device's own certificate", "[e2e][security]") {
    e2e::world w(always);
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const other = joined(w, "BOB-PC", "bob@contoso.test");
    auto const own = d->credentials().value();
    auto const ca = sim::make_authority("Device CA of somebody else");
    auto const key = sim::private_key::rsa(2048);
    sim::identity const forged{sim::issue_client(ca, key.public_der(), own.own.common_name()), key};
    sim::identity const mixed{own.own, key};

    struct row {
        char const* name;
        sim::renew_options how;
        std::uint32_t hresult;
        char const* why;
    };
    for (auto const& r : std::vector<row>{
             {"foreign signer", {.sign_with = forged}, not_eligible, "not one of this appliance"},
             {"foreign signer, shown in TLS too", {.sign_with = forged, .connect_with = forged}, not_eligible,
                 "not one of this appliance"},
             {"another device's certificate in TLS", {.connect_with = other->credentials()}, not_eligible,
                 "another than the signer"},
             {"foreign certificate in TLS", {.user_name = false, .connect_with = forged}, 0x80180007, ""},
             {"the key it has", {.same_key = true}, not_eligible, "not a new one"},
             {"no signed request", {.signed_request = "0 no CMS"}, 0x80180001, "not a CMS message"},
             {"signed nonsense", {.signed_request = sim::cms_sign("nonsense", own)}, 0x80180004, "PKCS#10"},
         }) {
        CAPTURE(r.name);
        auto o = r.how;
        o.net = w.app->net();
        auto const refused = d->renew(o);
        REQUIRE(refused.failure);
        CHECK(refused.failure->http_status == 500);
        CHECK(fmt::format("{:08x}", refused.failure->hresult) == fmt::format("{:08x}", r.hresult));
        CHECK(w.app->logs(r.why));
        CHECK(good_certificates(*w.app, "ALICE-PC") == std::set<std::string>{fingerprint(own)});
    }
    // By another device's certificate that device is renewed, and no other.
    auto const theirs =
        d->renew({.sign_with = other->credentials(), .connect_with = other->credentials(), .net = w.app->net()});
    REQUIRE(theirs.failure);
    CHECK(theirs.failure->step == "provisioning");  // it is not for this one
    CHECK(good_certificates(*w.app, "ALICE-PC").size() == 1);
    CHECK(good_certificates(*w.app, "BOB-PC").size() == 2);
    e2e::require_clean(d->sync(w.sync()));
    e2e::require_clean(other->sync(w.sync()));
}

TEST_CASE("a device that has left or was enrolled anew does not renew", "[e2e][security]") {
    e2e::world w(always);
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    sim::device ghost(copied(w, "ALICE-PC"));
    auto goodbye = w.sync();
    goodbye.unenroll = true;
    e2e::require_clean(d->sync(goodbye));
    auto const refused = ghost.renew({.without_certificate = true, .net = w.app->net()});
    REQUIRE(refused.failure);
    CHECK(refused.failure->hresult == not_eligible);
    auto o = w.join("alice@contoso.test");
    o.name = "ALICE-PC";
    REQUIRE_FALSE(d->join(o).failure);
    CHECK(ghost.renew({.without_certificate = true, .net = w.app->net()}).failure->hresult == not_eligible);
    require_renewed(d->renew({.net = w.app->net()}));
}

TEST_CASE(
    "a renewal whose answer was lost is repeated, over a kill -9 too, and no third certificate is good", "[e2e]") {
    e2e::world w(always);
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    e2e::require_clean(d->sync(w.sync()));
    auto const old = fingerprint(d->credentials());

    REQUIRE(d->renew({.lose_reply = true, .net = w.app->net()}).failure);
    auto const first = good_certificates(*w.app, "ALICE-PC");
    CHECK(first.size() == 2);
    w.app->kill9();
    w.app->start();
    e2e::require_clean(d->sync(w.sync()));  // by the old one
    require_renewed(d->renew({.again = true, .net = w.app->net()}));
    CHECK(good_certificates(*w.app, "ALICE-PC") == first);
    CHECK(first.contains(fingerprint(d->credentials())));

    // Another request instead of the same one.
    sim::device other(copied(w, "ALICE-PC"));
    require_renewed(other.renew({.by_previous = true, .net = w.app->net()}));
    CHECK(good_certificates(*w.app, "ALICE-PC") == std::set<std::string>{old, fingerprint(other.credentials())});
    CHECK(session_status(w, *d, false) == 403);
    e2e::require_clean(other.sync(w.sync()));
    w.app->kill9();
    w.app->start();
    CHECK(good_certificates(*w.app, "ALICE-PC") == std::set<std::string>{fingerprint(other.credentials())});
    CHECK(session_status(w, *d, true) == 403);
    e2e::require_clean(other.sync(w.sync()));
}

TEST_CASE("kill -9 in the middle of a renewal leaves a device that is managed and can renew", "[e2e]") {
    e2e::world w(always);
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    for (int round = 0; round < 6; ++round) {
        CAPTURE(round);
        std::atomic<int> renewed = 0;
        {
            std::jthread const asking([&](std::stop_token const& stop) {
                while (!stop.stop_requested()) {
                    if (d->renew({.net = w.app->net()}).failure) return;
                    if (!d->sync(w.sync()).failure.empty()) return;
                    ++renewed;
                }
            });
            e2e::becomes_true(10s, [&] { return renewed >= 1; });
            std::this_thread::sleep_for(std::chrono::milliseconds(7 * round));  // the moment is any
            w.app->kill9();
        }
        w.app->start();
        // The device goes on by one of the two certificates that it may have.
        auto const status = session_status(w, *d, false);
        CHECK((status == 200 || session_status(w, *d, true) == 200));
        CHECK(good_certificates(*w.app, "ALICE-PC").size() <= 2);
        require_renewed(d->renew({.by_previous = status != 200, .net = w.app->net()}));
        e2e::require_clean(d->sync(w.sync()));
        CHECK(good_certificates(*w.app, "ALICE-PC") == std::set<std::string>{fingerprint(d->credentials())});
    }
}

TEST_CASE("mdm-sim renews a device from the command line", "[e2e]") {
    e2e::world w(always);
    w.app->start();
    auto const before = fingerprint(joined(w, "ALICE-PC", "alice@contoso.test")->credentials());
    w.folder.write("ca.pem", w.app->authority().own.pem());
    auto const n = w.app->net();
    std::vector<std::string> command{MDM_SIM_BIN, "device", "--dir", w.device("ALICE-PC").string(), "renew",
        "--value-type", "twice", "--server-ca", (w.folder.path() / "ca.pem").string(), "--json"};
    for (auto const& [from, to] : n.connect_to) command.insert(command.end(), {"--connect-to", from + "=" + to});
    auto const r = e2e::run(command);
    CAPTURE(r.err);
    REQUIRE(r.code == 0);
    CHECK(boost::json::parse(r.out).at("ok") == true);
    sim::device d(w.device("ALICE-PC"));
    CHECK(fingerprint(d.credentials()) != before);
    CHECK(fingerprint(d.previous_credentials()) == before);
    command.emplace_back("--by-previous");
    e2e::require_clean(d.sync(w.sync()));
    CHECK(e2e::run(command).code == 1);
}
