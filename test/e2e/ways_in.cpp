// Every way in: names and passwords, signing in on our page, tokens of packages and of devices.
#include <atomic>
#include <thread>

#include "core/random.hpp"
#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "sim/csr.hpp"
#include "sim/sign_in_client.hpp"
#include "sim/soap.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

// As `htpasswd -B` writes it.
constexpr char users[] =
    "# who has no account in Entra\n"
    "alice:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n";
constexpr char password[] = "correct horse";
constexpr char costly_hash[] = "$2y$10$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu";  // of `password`

json::array events(e2e::world const& w) { return w.app->ask({"events", "list"}).at("value").as_array(); }
std::string last_category(e2e::world const& w) {
    auto const all = events(w);
    REQUIRE_FALSE(all.empty());
    return std::string(all.front().at("failureCategory").as_string());
}

sim::join_options with_password(e2e::world& w, std::string const& user, std::string const& typed) {
    sim::join_options o;
    o.user = user;
    o.password = typed;
    o.corporate = false;
    o.discovery_url = e2e::discovery_url;
    o.net = w.app->net();
    return o;
}

sim::join_options signing_in(e2e::world& w, std::string const& upn) {
    auto o = w.join(upn, false);
    o.federated = true;
    o.terms_url.clear();
    return o;
}

void require_joined(sim::join_report const& r) {
    INFO((r.failure ? r.failure->step + ": " + r.failure->text : ""));
    REQUIRE_FALSE(r.failure);
}

// What Windows' sign-in window has, for calls to us and to the tenant.
http::client browser(e2e::world& w) {
    auto o = w.app->client_options();
    o.extra_roots_pem += w.tenant.ca_pem();
    return http::client(std::move(o));
}

}  // namespace

TEST_CASE("users of an htpasswd file enroll with their password, beside those of Entra", "[e2e][ways-in]") {
    e2e::world w(e2e::settings{{"enrollment.on_premise_auth", "file"}, {"enrollment.users_file", "users"}});
    w.app->write("users", users);
    w.app->start();
    sim::device pc(w.device("pc"));
    require_joined(pc.join(with_password(w, "CONTOSO\\Alice", password)));
    e2e::require_clean(pc.sync(w.sync()));
    auto const shown = w.app->ask({"devices", "show", "DESKTOP-SIM"});
    CHECK(shown.at("user").as_string() == "alice");
    CHECK(shown.at("ownership").as_string() == "personal");
    CHECK(events(w).empty());

    // A device that has a token shows it, whatever discovery says.
    auto const other = joined(w, "ENTRA-PC", "bob@contoso.test");
    e2e::require_clean(other->sync(w.sync()));

    sim::device stranger(w.device("stranger"));
    auto const wrong = stranger.join(with_password(w, "alice", "wr0ng-horse"));
    REQUIRE(wrong.failure);
    CHECK(wrong.failure->step == "policy");
    CHECK(wrong.failure->subcode == "s:Authentication");
    CHECK(wrong.failure->hresult == 0x80180002);
    CHECK(last_category(w) == "authentication");
    for (auto const* typed : {"wr0ng-horse", password}) CHECK(w.app->log().find(typed) == std::string::npos);

    for (int i = 0; i < 12; ++i) {
        auto const again = stranger.join(with_password(w, "alice", "wr0ng-horse"));
        REQUIRE(again.failure);
        CHECK(again.failure->subcode == "s:Authentication");
    }
    auto const late = stranger.join(with_password(w, "alice", password));
    REQUIRE(late.failure);
    CHECK(late.failure->subcode == "s:Authentication");
    CHECK(w.app->logs("too many wrong passwords"));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a hundred devices enroll by password at once, and those of Entra beside them", "[e2e][ways-in][fleet]") {
    constexpr std::size_t many = 100, of_entra = 10;
    e2e::world w(e2e::settings{{"enrollment.on_premise_auth", "file"}, {"enrollment.users_file", "users"}});
    std::string file;
    for (std::size_t i = 0; i < many; ++i) file += fmt::format("user{}:{}\n", i, costly_hash);
    w.app->write("users", file);
    w.app->start();
    auto const key = sim::private_key::rsa(2048);  // making keys is the devices' work
    std::vector<sim::join_options> options;
    for (std::size_t i = 0; i < many; ++i) {
        options.push_back(with_password(w, fmt::format("user{}", i), password));
        options.back().name = fmt::format("FLEET-{}", i);
    }
    for (std::size_t i = 0; i < of_entra; ++i) {
        options.push_back(w.join("alice@contoso.test"));
        options.back().name = fmt::format("ENTRA-{}", i);
    }
    std::vector<std::string> failures(many + of_entra);
    std::atomic<std::size_t> by_password = 0, before_the_last = 0;
    {
        std::vector<std::jthread> all;
        for (std::size_t i = 0; i < options.size(); ++i)
            all.emplace_back([&, i] {
                options[i].key = key;
                options[i].net.timeout = 2min;
                sim::device d(w.device(options[i].name));
                if (auto const r = d.join(options[i]); r.failure)
                    failures[i] = r.failure->step + ": " + r.failure->text;
                if (i < many)
                    ++by_password;
                else if (by_password < many)
                    ++before_the_last;
            });
    }
    for (std::size_t i = 0; i < failures.size(); ++i) {
        CAPTURE(i);
        CHECK(failures[i] == "");
    }
    CHECK(before_the_last >= 1);  // nobody of Entra's waits for all passwords
    CHECK(events(w).empty());
}

TEST_CASE("users without a token sign in at Entra on our page, once for each enrollment", "[e2e][ways-in]") {
    e2e::world w(e2e::settings{{"enrollment.federated_auth", "entra"}});
    w.app->start();
    sim::device pc(w.device("pc"));
    auto const report = pc.join(signing_in(w, "carol@contoso.test"));
    require_joined(report);
    CHECK(std::find(report.steps.begin(), report.steps.end(), "sign-in") != report.steps.end());
    e2e::require_clean(pc.sync(w.sync()));
    CHECK(w.app->ask({"devices", "show", "DESKTOP-SIM"}).at("user").as_string() == "carol@contoso.test");
    CHECK(events(w).empty());

    auto window = browser(w);
    auto const send = [&](http::call const& c) { return window.send(c); };
    auto const visit = sim::visit_sign_in(
        {.url = std::string(e2e::public_url) + "/EnrollmentServer/Auth", .user = "carol@contoso.test"}, send);
    CHECK(visit.failure.text == "");
    // Back in the browser's history.
    auto const again = send({.method = "GET", .url = visit.address, .headers = {}, .body = {}});
    REQUIRE(again);
    CHECK(again->status == 400);
    CHECK(again->body.find("wresult") == std::string::npos);

    auto const enroll = [&](std::string const& token, std::string const& csr, std::string const& device_id) {
        auto const id = "urn:uuid:" + new_guid();
        return send({.method = "POST",
                        .url = std::string(e2e::enrollment_url) + "?OSVersion=10.0.22631.1&x=%ff",
                        .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}},
                        .body = sim::token_request(id, e2e::enrollment_url, sim::user_token_credential(token), csr,
                            {{"DeviceID", device_id}, {"EnrollmentType", "Full"}, {"DeviceType", "CIMClient_Windows"},
                                {"OSVersion", "10.0.22631.3447"}, {"OSEdition", "4"}, {"HWDevID", device_id}})})
            .value();
    };
    auto const key = sim::private_key::rsa(2048);
    auto const csr = sim::make_request(key, "11", "DEVICE-A");
    auto const first = enroll(visit.token, csr, "DEVICE-A");
    REQUIRE(first.status == 200);
    // After a lost answer; the document is the same, whatever the moment.
    auto const repeated = enroll(visit.token, csr, "DEVICE-A");
    REQUIRE(repeated.status == 200);
    auto const document = [](http::response const& r) {
        auto const from = r.body.find("#base64binary\">");
        return r.body.substr(from, r.body.find("</", from) - from);
    };
    CHECK(document(first) == document(repeated));
    for (auto const& token : {visit.token, std::string("made-up")}) {
        auto const other = enroll(token, sim::make_request(key, "12", "DEVICE-B"), "DEVICE-B");
        CHECK(other.status == 500);
        CHECK(other.body.find("s:Authentication") != std::string::npos);
        CHECK(last_category(w) == "authentication");
    }
    CHECK(w.app->log().find(visit.token) == std::string::npos);

    w.tenant.refuse_sign_ins("access_denied", 65004);
    sim::device gone(w.device("gone"));
    auto const left = gone.join(signing_in(w, "carol@contoso.test"));
    REQUIRE(left.failure);
    CHECK(left.failure->step == "sign-in");
    CHECK(last_category(w) == "userAbandonment");
    w.tenant.refuse_sign_ins({}, 0);
    require_joined(gone.join(signing_in(w, "carol@contoso.test")));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a sign-in that Entra cannot confirm leaves a page that says so, and an event", "[e2e][ways-in]") {
    e2e::world w(e2e::settings{{"enrollment.federated_auth", "entra"}});
    w.app->start();
    sim::device pc(w.device("pc"));
    REQUIRE(w.tenant.set_secret(w.tenant.secret(), "expired"));
    auto const refused = pc.join(signing_in(w, "dave@contoso.test"));
    REQUIRE(refused.failure);
    CHECK(refused.failure->step == "sign-in");
    auto const reason = std::string(events(w).front().at("failureReason").as_string());
    CHECK_THAT(reason, Catch::Contains("Entra did not confirm the sign-in") && Catch::Contains("7000222"));
    REQUIRE(w.tenant.set_secret(w.tenant.secret(), "valid"));
    require_joined(pc.join(signing_in(w, "dave@contoso.test")));
}

TEST_CASE("where the redirect URI is not registered, Entra's own page says which one is missing", "[e2e][ways-in]") {
    e2e::world w(e2e::settings{{"enrollment.federated_auth", "entra"}},
        {.app_id = e2e::public_url, .redirect_uris = {"https://other.test/"}});
    w.app->start();
    sim::device pc(w.device("pc"));
    w.tenant.add_user("erin@contoso.test").value();
    auto window = browser(w);
    auto const visit = sim::visit_sign_in(
        {.url = std::string(e2e::public_url) + "/EnrollmentServer/Auth", .user = "erin@contoso.test"},
        [&](http::call const& c) { return window.send(c); });
    CHECK_THAT(visit.page,
        Catch::Contains("AADSTS50011") && Catch::Contains("https://mdm.contoso.test/EnrollmentServer/Auth/Response"));
}

TEST_CASE("packages and devices enroll by their own tokens where that is allowed", "[e2e][ways-in]") {
    bool const allowed = GENERATE(false, true);
    e2e::world w(e2e::settings{{"enrollment.allowed_types",
        allowed ? "[entra_join, work_account, bulk, device_token]" : "[entra_join, work_account]"}});
    w.app->start();
    auto const by = [&](char const* name, std::string const& user, std::string const& kind) {
        auto o = w.join(user);
        o.name = name;
        o.token_kind = kind;
        o.token_version = "1.0";  // has the claim upn, which a package is known by
        o.terms_url.clear();      // nobody is there to read them
        if (kind == "user") o.more_context = {{"BulkAADJ", "true"}};
        sim::device d(w.device(name));
        auto const r = d.join(o);
        if (allowed) {
            require_joined(r);
            e2e::require_clean(d.sync(w.sync()));
            CHECK(w.app->ask({"devices", "show", name}).at("entra_device_id").as_string() == d.entra_device_id());
            return;
        }
        REQUIRE(r.failure);
        CHECK(r.failure->error_type == "NotSupported");
        CHECK(r.failure->hresult == 0x80180015);
        auto const event = events(w).front();
        CHECK(event.at("failureCategory").as_string() == "featureNotSupported");
        CHECK(event.at("enrollmentType").as_string() ==
              (kind == "user" ? "windowsBulkAzureDomainJoin" : "windowsAzureADJoinUsingDeviceAuth"));
    };
    by("BULK-PC", "package_0d1e2f3a-1111-2222-3333-444455556666@contoso.test", "user");
    by("DEVICE-PC", "frank@contoso.test", "device");
    // What a request says of itself changes nothing: a user's token is a user's.
    auto o = w.join("grace@contoso.test");
    o.terms_url.clear();
    o.more_context = {{"BulkAADJ", "true"}, {"WhiteGlove", "true"}};
    sim::device liar(w.device("liar"));
    auto const r = liar.join(o);
    REQUIRE(r.failure);
    CHECK(r.failure->error_type == "InvalidEnrollmentData");  // the Terms of Use were not accepted
    CHECK(w.app->stop() == 0);
}
