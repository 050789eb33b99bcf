#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char poll_uri[] = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/Poll/IntervalForRemainingScheduledRetries";
constexpr char page[] = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/FirstSyncStatus/";

std::string setting_uri(std::string const& name) { return "./Device/Vendor/MSFT/Policy/Config/Area/" + name; }

std::int64_t traces_kept(store::database& db) {
    return db.read([](store::connection& c) {
        auto const r = c.query("SELECT count(*) FROM trace");
        return r->next() ? r->integer(0) : 0;
    });
}

}  // namespace

TEST_CASE_METHOD(
    session_fixture, "a poll interval that changes reaches enrolled devices, and only when it changes", "[service]") {
    sync("1");
    CHECK(std::none_of(seen.begin(), seen.end(),
        [](auto const& s) { return s.starts_with("Replace") && s.find("/Poll/") != s.npos; }));
    tree[poll_uri] = "480";
    config.settings.management.poll = 4h;
    reconfigure();
    seen.clear();
    sync("2");
    CHECK(seen == std::vector<std::string>{std::string("Replace ") + poll_uri + "=240"});
    seen.clear();
    sync("3");
    CHECK(seen.empty());
}

TEST_CASE_METHOD(session_fixture, "a device that speaks a later version of the protocol is asked to", "[service]") {
    tree["./Vendor/MSFT/DMClient/Provider/mdmd/MaxSyncApplicationVersion"] = "5.0";
    sync("1");
    sync("2");
    CHECK(was_sent("Add ./Device/Vendor/MSFT/DMClient/Provider/mdmd/SyncApplicationVersion=4.0"));
}

TEST_CASE_METHOD(
    session_fixture, "a computer that joins is told what its setup waits for, and that it may end", "[service]") {
    add_policy().settings = {{setting_uri("A"), "int", "1", 1}, {setting_uri("B"), "int", "2", 2}};
    reconfigure();
    for (auto const* leaf : {"TimeOutUntilSyncFailure", "SkipDeviceStatusPage", "SkipUserStatusPage",
             "BlockInStatusPage", "ServerHasFinishedProvisioning"})
        tree[std::string(page) + leaf] = "";
    sync("1");
    CHECK(tree[std::string(page) + "SkipDeviceStatusPage"] == "false");
    CHECK(tree[std::string(page) + "TimeOutUntilSyncFailure"] == "60");
    CHECK(tree[std::string(page) + "ExpectedPolicies"] == setting_uri("A") + "\xEF\x80\x80" + setting_uri("B"));
    CHECK(tree[std::string(page) + "ServerHasFinishedProvisioning"] == "true");
    auto const all = written();
    CHECK(all.back() == std::string("Replace ") + page + "ServerHasFinishedProvisioning=true");
    seen.clear();
    sync("2");
    CHECK(seen.empty());
}

TEST_CASE_METHOD(
    session_fixture, "a session that breaks off before its end ends the setup's page with the next", "[service]") {
    post(syncml("1", 1, first_body));
    sync("2");
    CHECK(was_sent(std::string("Replace ") + page + "ServerHasFinishedProvisioning=true"));
}

TEST_CASE_METHOD(
    appliance_fixture, "a computer shows no page where none is wanted, and a work account never", "[service]") {
    bool const corporate = GENERATE(true, false);
    config.settings.enrollment.status_page.on = !corporate;
    reconfigure();
    certificate = enroll_one(corporate);
    auto const r = post(syncml("1", 1, first_body));
    CHECK(r.body.find("FirstSyncStatus") == std::string::npos);
}

TEST_CASE_METHOD(
    session_fixture, "settings of the area DeviceLock go together, and stand or fall together", "[service]") {
    auto const uri = [](std::string const& leaf) { return "./Device/Vendor/MSFT/Policy/Config/DeviceLock/" + leaf; };
    add_policy().settings = {{uri("DevicePasswordEnabled"), "int", "0", 1}, {setting_uri("A"), "int", "1", 2},
        {uri("MinDevicePasswordLength"), "int", "8", 3}};
    reconfigure();
    auto const r = post(syncml("1", 1, first_body));
    auto const from = r.body.find("<Atomic>"), to = r.body.find("</Atomic>");
    REQUIRE(to != r.body.npos);
    auto const atomic = r.body.substr(from, to - from);
    CHECK(atomic.find("DevicePasswordEnabled") != atomic.npos);
    CHECK(atomic.find("MinDevicePasswordLength") != atomic.npos);
    CHECK(atomic.find("Area/A") == atomic.npos);
    CHECK(r.body.find("<Atomic>", to) == r.body.npos);
}

TEST_CASE_METHOD(session_fixture, "the network adapters that a device has are read one by one", "[service]") {
    std::string const root = "./Vendor/MSFT/DeviceStatus/NetworkIdentifiers";
    tree[root] = "AABBCCDDEEFF/001122334455";
    tree[root + "/AABBCCDDEEFF/IPAddressV4"] = "192.0.2.7";
    sync("1");
    auto const d = service::details(*appliance, "PC1").value();
    CHECK(std::any_of(d.facts.begin(), d.facts.end(),
        [&](auto const& f) { return f.node == root + "/AABBCCDDEEFF/IPAddressV4" && f.value == "192.0.2.7"; }));
}

TEST_CASE_METHOD(session_fixture, "what is read whole is read again after management.refresh", "[service]") {
    sync("1");
    tree["./DevDetail/Ext/Microsoft/FreeStorage"] = "7";
    time.advance(23h);
    sync("2");
    auto const free_storage = [&] {
        for (auto const& f : service::details(*appliance, "PC1").value().facts)
            if (f.node == "./DevDetail/Ext/Microsoft/FreeStorage") return f.value.value_or("-");
        return std::string("none");
    };
    CHECK(free_storage() == "-");
    time.advance(1h);
    sync("3");
    CHECK(free_storage() == "7");
}

TEST_CASE_METHOD(
    session_fixture, "a policy for a group holds when Graph says so, and stays while Graph is silent", "[service]") {
    constexpr char group[] = "99999999-0000-0000-0000-000000000001";
    auto& p = add_policy();
    p.settings = {{setting_uri("A"), "int", "1", 1}};
    p.target.groups = {group};
    tenant->groups[user_id] = {group};
    reconfigure();
    sync("1");
    CHECK(setting_states().empty());
    appliance->groups.tick();
    sync("2");
    CHECK(setting_states() == setting_uri("A") + ":applied ");
    tenant->away = true;
    time.advance(48h);
    appliance = start();
    appliance->groups.tick();
    sync("3");
    CHECK(setting_states() == setting_uri("A") + ":applied ");
    tenant->away = false;
    tenant->groups[user_id] = {};
    time.advance(2min);
    appliance->groups.tick();
    sync("4");
    CHECK(setting_states().empty());
    CHECK_FALSE(tree.contains(setting_uri("A")));
}

TEST_CASE_METHOD(
    session_fixture, "sessions are kept message by message, their secrets blanked", "[service][security]") {
    auto const token = device_token();
    auto const event =
        R"(<Alert><CmdID>9</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/AADUserToken</Type></Meta><Data>)" +
        token + "</Data></Item></Alert>";
    play(post(syncml("1", 1, std::string(first_body) + event)), "1");
    auto const all = service::traces(*appliance, "PC1").value();
    REQUIRE(all.size() == 1);
    CHECK_FALSE(all[0].idle);
    CHECK(all[0].session_id == "1");
    CHECK(json::parse(all[0].messages).as_array().size() >= 2);
    CHECK(all[0].messages.find(token) == std::string::npos);
    CHECK(all[0].messages.find("LoginStatus") != std::string::npos);
    appliance->tend_sessions();
    appliance = start();
    CHECK(service::traces(*appliance, "PC1").value().size() == 1);
    for (auto const* session : {"2", "3"}) {
        time.advance(1s);
        sync(session);
    }
    appliance->tend_sessions();
    auto const later = service::traces(*appliance, "PC1").value();
    REQUIRE(later.size() == 2);
    CHECK(later[1].idle);
    CHECK(later[1].session_id == "3");
    CHECK(traces_kept(db) == 1);  // an idle session costs no write
    appliance->sessions.flush();
    CHECK(traces_kept(db) == 2);
    config.settings.management.trace = 0;
    reconfigure();
    sync("4");
    CHECK(service::traces(*appliance, "PC1").value().size() == 2);
}

TEST_CASE_METHOD(
    session_fixture, "a setting that cannot be removed is left alone until the device is read whole", "[service]") {
    add_policy().settings = {{setting_uri("A"), "int", "1", 1}};
    reconfigure();
    sync("1");
    config.policies.clear();
    reconfigure();
    refuse[setting_uri("A")] = 500;
    auto const deletes = [&] { return std::count(seen.begin(), seen.end(), "Delete " + setting_uri("A")); };
    sync("2");
    CHECK(deletes() == 1);
    CHECK(setting_states() == setting_uri("A") + ":removal_failed ");
    seen.clear();
    sync("3");
    CHECK(seen.empty());
    time.advance(24h);
    sync("4");
    CHECK(deletes() == 1);
    refuse.clear();
    time.advance(24h);
    sync("5");
    CHECK(setting_states().empty());
}

TEST_CASE_METHOD(
    session_fixture, "what drifts and is asked for by a rule is put right in the same session", "[service]") {
    auto& p = add_policy();
    p.settings = {{setting_uri("A"), "int", "1", 1}};
    config::uri_rule rule;
    rule.uri = setting_uri("A");
    rule.values = {"1"};
    p.rules.push_back({rule, 1});
    reconfigure();
    sync("1");
    tree[setting_uri("A")] = "0";
    seen.clear();
    sync("2");
    CHECK(tree[setting_uri("A")] == "1");
    CHECK(service::devices(*appliance)[0].compliance == "compliant");
}

TEST_CASE_METHOD(session_fixture, "what is said of a setting stays said through a session", "[service]") {
    add_policy("a").settings = {{setting_uri("A"), "int", "1", 1}};
    add_policy("b").settings = {{setting_uri("A"), "int", "2", 1}};
    reconfigure();
    CHECK(sync("1") > 1);
    auto const noted = [&] {
        for (auto const& s : service::details(*appliance, "PC1").value().settings)
            if (s.uri == setting_uri("A")) return s.note;
        return std::string();
    };
    CHECK(noted() == "conflict with b");
}

TEST_CASE_METHOD(
    session_fixture, "what is withheld is not sent while nobody knows whether its policy fits", "[service]") {
    constexpr char group[] = "99999999-0000-0000-0000-000000000001";
    auto& p = add_policy();
    p.settings = {{setting_uri("A"), "chr", "{{device.serial}}", 1}};
    p.target.groups = {group};
    tenant->groups[user_id] = {group};
    reconfigure();
    appliance->groups.tick();
    sync("1");
    REQUIRE(setting_states() == setting_uri("A") + ":pending ");
    CHECK_FALSE(tree.contains(std::string(page) + "ExpectedPolicies"));  // nothing waits for what is not sent
    seen.clear();
    db.write([](store::connection& c) { store::forget_user_groups(c); });
    sync("2");
    CHECK(std::none_of(seen.begin(), seen.end(), [](auto const& s) { return s.find("Area/A") != s.npos; }));
    CHECK(setting_states() == setting_uri("A") + ":pending ");
}

TEST_CASE_METHOD(
    session_fixture, "what a setup waits for is told until the device has answered it, and then no more", "[service]") {
    add_policy().settings = {{setting_uri("A"), "int", "1", 1}};
    reconfigure();
    auto const told = [&](char const* what) {
        return std::count_if(seen.begin(), seen.end(), [&](auto const& s) { return s.find(what) != s.npos; });
    };
    bool const sent = post(syncml("1", 1, first_body)).body.find("ExpectedPolicies") != std::string::npos;
    CHECK(sent);
    appliance = start();
    auto r = post(syncml("2", 1, first_body));
    for (int msg = 2; msg < 4; ++msg) r = post(syncml("2", msg, answers(commands_of(r.body), msg - 1)));
    CHECK(was_sent("Add " + std::string(page) + "ExpectedPolicies=" + setting_uri("A")));
    CHECK(was_sent("Replace " + std::string(page) + "BlockInStatusPage=6"));
    seen.clear();
    sync("3");
    CHECK(told("FirstSyncStatus/") == told("ServerHasFinishedProvisioning"));
    CHECK(was_sent("Replace " + std::string(page) + "ServerHasFinishedProvisioning=true"));
    seen.clear();
    sync("4");
    CHECK(told("FirstSyncStatus/") == 0);
}

TEST_CASE_METHOD(
    session_fixture, "the end of a setup is told again where the device has not answered it", "[service]") {
    auto const end = std::string(page) + "ServerHasFinishedProvisioning";
    auto r = post(syncml("1", 1, first_body));
    for (int msg = 2; r.body.find(end) == r.body.npos; ++msg) {
        REQUIRE(msg < 10);
        r = post(syncml("1", msg, answers(commands_of(r.body), msg - 1)));
    }
    sync("2");
    CHECK(was_sent("Replace " + end + "=true"));
    seen.clear();
    sync("3");
    CHECK(seen.empty());
}

TEST_CASE_METHOD(session_fixture, "network adapters that a device has no more are forgotten", "[service][security]") {
    std::string const root = "./Vendor/MSFT/DeviceStatus/NetworkIdentifiers";
    auto const kept = [&] {
        auto const facts = service::details(*appliance, "PC1").value().facts;
        return std::count_if(facts.begin(), facts.end(), [&](auto const& f) { return f.node.starts_with(root + "/"); });
    };
    for (int day = 1; day < 4; ++day) {
        tree[root] = fmt::format("00112233440{}", day);
        sync(std::to_string(day));
        time.advance(24h);
    }
    CHECK(kept() == 4);
}

TEST_CASE_METHOD(appliance_fixture, "sessions that do not end fill no memory", "[service][security]") {
    auto& all = appliance->sessions;
    std::string const body(600'000, 'x');
    auto const say = [&](std::string const& device, std::string_view text) {
        all.note({.device_id = device, .session_id = "1", .request = text, .reply = "", .at = time.now()});
    };
    constexpr int devices = 160;
    for (int i = 0; i < devices; ++i) say(std::to_string(i), body);
    for (int i = 0; i < 20'000; ++i) say("0", "x");
    std::size_t kept = 0;
    for (int i = 0; i < devices; ++i)
        for (auto const& t : all.of(std::to_string(i))) kept += t.messages.size();
    CHECK(kept < (std::size_t{66} << 20));
    CHECK(all.of("0").at(0).messages.size() < 1'000'000);
}
