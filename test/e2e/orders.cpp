// What an administrator has devices do, from mdmctl to the device and back: outcomes, not promises.
#include "core/text.hpp"
#include "e2e/managed.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using e2e::session;
using e2e::text;

namespace {

std::string state_of(e2e::world const& w, std::string const& device) { return text(e2e::shown(w, device), "state"); }

void order(e2e::world const& w, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "devices");
    auto const r = w.app->mdmctl(arguments);
    INFO(r.err);
    REQUIRE(r.code == 0);
}

std::string refused(e2e::world const& w, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "devices");
    auto const r = w.app->mdmctl(arguments);
    CHECK(r.code != 0);
    return r.err;
}

struct outcome {
    std::string state, status, detail;
};
outcome outcome_of(e2e::world const& w, std::string const& device, std::string const& kind) {
    auto const c = e2e::last_command(w, device, kind);
    return {text(c, "state"), text(c, "status"), text(c, "detail")};
}

bool managed(e2e::world const& w, sim::device const& d, bool wanted) {
    return e2e::becomes_true(20s, [&] { return w.registered(d.entra_device_id()).is_managed == wanted; });
}

}  // namespace

TEST_CASE("orders tell what came of them, not that they were sent", "[e2e]") {
    e2e::world w;
    e2e::write_mode_rule(*w.app);
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    auto const o = w.sync();
    session(*d, o);
    CHECK(d->boots() == 1);

    order(w, {"reboot", "PC-1"});
    order(w, {"lock", "PC-1"});
    order(w, {"scan", "PC-1", "--kind", "full"});
    order(w, {"update-signatures", "PC-1"});
    order(w, {"rotate-recovery-key", "PC-1"});
    order(w, {"sync", "PC-1"});
    d->tree().set("./Device/Vendor/MSFT/Defender/Health/SignatureOutOfDate", {"bool", "true", "G"});
    session(*d, o);
    CHECK(outcome_of(w, "PC-1", "reboot").state == "done");
    CHECK(outcome_of(w, "PC-1", "sync").state == "done");
    auto const lock = outcome_of(w, "PC-1", "lock");
    CHECK((lock.state == "failed" && lock.status == "405"));
    CHECK_THAT(lock.detail, Catch::Contains("cannot be locked from afar"));
    for (auto const* kind : {"scan", "update-signatures", "rotate-recovery-key"}) {
        CAPTURE(kind, outcome_of(w, "PC-1", kind).detail);
        CHECK(outcome_of(w, "PC-1", kind).state == "sent");
    }
    CHECK(outcome_of(w, "PC-1", "rotate-recovery-key").detail == "the device is at it");
    CHECK(outcome_of(w, "PC-1", "scan").detail == "the scan has not ended yet");
    session(*d, o);
    CHECK(d->boots() == 2);
    CHECK(outcome_of(w, "PC-1", "scan").state == "done");
    CHECK_THAT(outcome_of(w, "PC-1", "scan").detail, Catch::Contains("scanned at 20"));
    CHECK(outcome_of(w, "PC-1", "update-signatures").detail == "the signatures are current: 1.409.90.0");
    CHECK(outcome_of(w, "PC-1", "rotate-recovery-key").state == "done");
    CHECK(e2e::changes(session(*d, o)).empty());

    // A rotation that fails, a restart that cuts the session short.
    order(w, {"rotate-recovery-key", "PC-1"});
    auto failing = o;
    failing.does.rotation_status = -2147024809;
    session(*d, failing);
    session(*d, o);
    CHECK(outcome_of(w, "PC-1", "rotate-recovery-key").state == "failed");
    CHECK_THAT(outcome_of(w, "PC-1", "rotate-recovery-key").detail, Catch::Contains("-2147024809"));
    order(w, {"reboot", "PC-1"});
    auto dropping = o;
    dropping.does.drops_at = {"reboot"};
    CHECK(d->sync(dropping).dropped);
    CHECK(outcome_of(w, "PC-1", "reboot").state == "sent");
    CHECK_FALSE(e2e::has(session(*d, o).executed, "RebootNow"));  // never twice
    CHECK(outcome_of(w, "PC-1", "reboot").state == "unknown");

    // One that is taken back, one that expires.
    order(w, {"reboot", "PC-1"});
    auto const id = text(e2e::last_command(w, "PC-1", "reboot"), "id");
    CHECK(w.app->mdmctl({"commands", "cancel", id}).code == 0);
    CHECK(w.app->mdmctl({"commands", "cancel", id}).code != 0);
    order(w, {"lock", "PC-1", "--expires", "1s"});
    CHECK(e2e::becomes_true(20s, [&] { return outcome_of(w, "PC-1", "lock").state == "cancelled"; }));
    CHECK(session(*d, o).executed.empty());
    CHECK(outcome_of(w, "PC-1", "reboot").state == "cancelled");
    CHECK_THAT(refused(w, {"reboot", "PC-1", "--expires", "soon"}), Catch::Contains("soon"));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("devices that are wiped or retired are gone for Entra, and one that comes back is not lost", "[e2e]") {
    e2e::world w;
    e2e::write_mode_rule(*w.app);
    w.app->start();
    std::vector<std::unique_ptr<sim::device>> all;
    for (int i = 0; i < 5; ++i) {
        all.push_back(e2e::joined(w, fmt::format("PC-{}", i), "alice@contoso.test"));
        e2e::check_in(w, *all.back(), true);
    }
    for (auto const& d : all) REQUIRE(managed(w, *d, true));
    auto const o = w.sync();

    // What cannot be undone is asked for twice, and counted.
    CHECK_THAT(refused(w, {"wipe", "PC-0"}), Catch::Contains("lost for good") && Catch::Contains("--yes"));
    CHECK_THAT(refused(w, {"retire", "PC-0"}), Catch::Contains("un-joined") && Catch::Contains("--yes"));
    CHECK_THAT(refused(w, {"wipe", "--all", "--yes"}), Catch::Contains("5 devices"));
    CHECK_THAT(refused(w, {"wipe", "--where", "name=PC-*", "--count", "4", "--yes"}),
        Catch::Contains("expected 4 devices, the condition holds for 5"));
    refused(w, {"reboot", "--where", "nmae=PC-1"});
    refused(w, {"reboot", "PC-1", "--all"});
    refused(w, {"wipe", "PC-0", "--keep", "everything", "--yes"});
    for (auto const& d : all) CHECK(d->sync(o).executed.empty());

    // 0: wiped. 1: accepted, and nothing came of it. 2: no answer at all, and gone.
    order(w, {"wipe", "--where", "name=PC-0", "--count", "1", "--yes", "--keep", "keep-user-data"});
    order(w, {"reboot", "PC-0", "--expires", "7d"});  // behind it: cancelled
    CHECK(e2e::has(session(*all[0], o).executed, "doWipePersistUserData"));
    CHECK(all[0]->state() == "wiped");
    CHECK(state_of(w, "PC-0") == "wiped");
    CHECK(outcome_of(w, "PC-0", "wipe").state == "done");
    CHECK(outcome_of(w, "PC-0", "reboot").state == "cancelled");
    CHECK(managed(w, *all[0], false));
    CHECK_THAT(refused(w, {"reboot", "PC-0"}), Catch::Contains("not enrolled any more"));

    order(w, {"retire", "PC-1", "--yes"});
    auto silent = o;
    silent.does.says_goodbye = false;
    session(*all[1], silent);
    CHECK(state_of(w, "PC-1") == "retired");
    CHECK(managed(w, *all[1], false));

    order(w, {"retire", "PC-2", "--yes"});
    session(*all[2], o);
    CHECK(all[2]->state() == "unenrolled");
    CHECK(state_of(w, "PC-2") == "retired");
    CHECK(outcome_of(w, "PC-2", "retire").state == "done");
    CHECK(managed(w, *all[2], false));
    auto const gone = e2e::shown(w, "PC-2");
    for (auto const& c : gone.at("certificates").as_array()) CHECK(text(c, "revoked") != "");

    // The device leaves before its Status: its goodbye tells.
    order(w, {"retire", "PC-3", "--yes"});
    auto dropping = o;
    dropping.does.drops_at = {"unenroll"};
    (void)all[3]->sync(dropping);
    CHECK(all[3]->state() == "unenrolled");
    CHECK(state_of(w, "PC-3") == "retired");
    CHECK(outcome_of(w, "PC-3", "retire").detail == "confirmed by the device");
    CHECK(managed(w, *all[3], false));

    // A user goes on their own.
    auto leaving = o;
    leaving.unenroll = true;
    session(*all[4], leaving);
    CHECK(state_of(w, "PC-4") == "unenrolled");
    CHECK(managed(w, *all[4], false));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a device that took a wipe and comes back is managed again, and the order failed", "[e2e]") {
    e2e::world w;
    e2e::write_mode_rule(*w.app);
    w.app->start();
    auto d = e2e::joined(w, "PC-1", "alice@contoso.test");
    e2e::check_in(w, *d, true);
    d->save();
    // What the disk has from before: the wipe never came to anything.
    std::filesystem::copy(w.device("PC-1"), w.device("before"), std::filesystem::copy_options::recursive);
    order(w, {"wipe", "PC-1", "--yes"});
    session(*d, w.sync());
    CHECK(managed(w, *d, false));
    sim::device back(w.device("before"));
    e2e::check_in(w, back, true);
    CHECK(state_of(w, "PC-1") == "enrolled");
    CHECK(outcome_of(w, "PC-1", "wipe").state == "failed");
    CHECK_THAT(outcome_of(w, "PC-1", "wipe").detail, Catch::Contains("came back"));
    CHECK(managed(w, back, true));
    CHECK(w.app->logs("a device that was to be gone is back"));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("orders for many, the plan of a session, and its trace without a secret", "[e2e]") {
    e2e::world w(e2e::settings{{"management.authentication", "certificate-or-digest"}});
    w.app->write("policies.d/baseline.yaml",
        "name: baseline\nsettings:\n  - {uri: ./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera, format: int, "
        "value: 0}\n");
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    auto const home = e2e::joined(w, "HOME-1", "bob@contoso.test", false);

    // The plan is what the session then does.
    std::vector<std::string> planned, done;
    auto const plan = w.app->ask({"policies", "plan", "PC-1"});
    for (auto const& c : plan.at("value").as_array()) planned.push_back(lower(text(c, "verb")) + " " + text(c, "uri"));
    CHECK(e2e::has(planned, "Camera/AllowCamera"));
    CHECK_THAT(w.app->mdmctl({"policies", "plan", "PC-1"}).out, Catch::Contains("Camera/AllowCamera"));
    auto o = e2e::signed_in(w);
    for (auto const& c : session(*d, o).commands) done.push_back(lower(c.verb) + " " + c.uri);
    for (auto const& p : planned) {
        CAPTURE(p);
        CHECK(std::find(done.begin(), done.end(), p) != done.end());
    }
    session(*home, w.sync());
    session(*d, o);  // which writes what the first one told to be possible
    CHECK(e2e::changes(session(*d, o)).empty());
    auto const idle = w.app->ask({"policies", "plan", "PC-1"});
    for (auto const& c : idle.at("value").as_array()) CHECK(text(c, "verb") == "Get");

    order(w, {"reboot", "--where", "ownership=corporate"});
    order(w, {"scan", "--all", "--count", "2"});
    CHECK_THAT(refused(w, {"sync", "--all", "--count", "3"}), Catch::Contains("expected 3 devices"));
    CHECK(e2e::has(session(*d, o).executed, "RebootNow"));
    auto const at_home = session(*home, w.sync()).executed;
    CHECK(at_home == std::vector<std::string>{"./Device/Vendor/MSFT/Defender/Scan"});

    // Every kind of secret goes by: a user's token in header and alert, credentials, nonces.
    o.token_in_both = true;
    o.user_token = w.tenant.make({.upn = "alice@contoso.test", .device_id = d->entra_device_id()}).value();
    session(*d, o);
    o.without_certificate = true;
    o.digest_at_once = false;
    auto const proven = session(*d, o);
    CHECK(proven.server_authenticated);
    std::vector<std::string> secrets{o.user_token, proven.next_nonce};
    for (auto const& t : proven.transcript)
        for (auto const* tag : {"<Cred>", "<NextNonce"})
            for (auto at = t.body.find(tag); at != t.body.npos; at = t.body.find(tag, at + 1)) {
                auto const from = t.body.find(std::string(tag) == "<Cred>" ? "<Data>" : ">", at);
                auto const begin = t.body.find('>', from) + 1;
                secrets.push_back(t.body.substr(begin, t.body.find('<', begin) - begin));
            }
    CHECK(secrets.size() >= 5);
    auto const whole = w.app->mdmctl({"trace", "PC-1"});
    CHECK(whole.code == 0);
    CHECK_THAT(whole.out, Catch::Contains("Camera/AllowCamera") && Catch::Contains("RebootNow"));
    auto const folder = w.app->file("trace");
    CHECK(w.app->mdmctl({"trace", "PC-1", "--output", folder.string()}).code == 0);
    std::string all = whole.out + boost::json::serialize(w.app->ask({"trace", "PC-1"})) + w.app->log();
    int files = 0;
    for (auto const& f : std::filesystem::directory_iterator(folder)) {
        all += test::read_file(f.path());
        ++files;
    }
    CHECK(files >= 8);
    for (auto const& s : secrets) {
        CAPTURE(s);
        REQUIRE(s.size() > 8);
        CHECK(all.find(s) == all.npos);
    }

    // How often devices come is theirs to learn in the session after it was changed.
    w.app->configure({{"management.poll", "2h"}});
    w.app->reloaded();
    std::string const poll = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/Poll/IntervalForRemainingScheduledRetries";
    CHECK(d->tree().get(poll).value == "480");
    CHECK(e2e::changes(session(*d, w.sync())) == std::vector<std::string>{"replace " + poll});
    CHECK(d->tree().get(poll).value == "120");
    CHECK(e2e::changes(session(*d, w.sync())).empty());
    session(*home, w.sync());
    CHECK(home->tree().get(poll).value == "120");
    CHECK(w.app->stop() == 0);
}
