// Verdicts and what they lead to, in an appliance.
#include <set>

#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char mode[] = "./Vendor/MSFT/DeviceStatus/OS/Mode";

struct compliance_fixture : appliance_fixture {
    compliance_fixture() {
        config.policies.push_back({.name = "baseline",
            .rules = {{config::uri_rule{mode, config::comparison::eq, {"0"}}, 1}},
            .actions = {{config::action_kind::notify, 0s}, {config::action_kind::lock, 2h}}});
        config.settings.notify.webhook = "https://hook.test/x";
        reconfigure();
        certificate = enroll_one();
        device = service::devices(*appliance)[0].device.id;
        timers();
    }
    std::string device;

    void finds(int status, std::string const& value) {
        auto const now = time.now();
        db.write([&](store::connection& c) {
            store::put_fact(c, device, {mode, status, status == 200 ? std::optional(value) : std::nullopt, now});
            store::put_session(c, {device, "", "", "", now});
        });
        appliance->report.judge_all();
    }
    void later(std::chrono::seconds by) {
        time.advance(by);
        timers();
        appliance->notices.deliver();
    }
    std::string state() { return service::devices(*appliance)[0].compliance; }
    std::vector<json::object> told() {
        std::vector<json::object> all;
        for (auto const& body : tenant->hook_bodies)
            if (auto o = json::parse(body).as_object(); o.at("event") == "noncompliance") all.push_back(std::move(o));
        return all;
    }
    std::vector<store::command> locks() {
        auto all = service::commands(*appliance, device).value();
        std::erase_if(all, [](store::command const& c) { return c.kind != "lock"; });
        return all;
    }
};

}  // namespace

TEST_CASE_METHOD(
    compliance_fixture, "a device that fails its rules is told of and locked, each once and in time", "[service]") {
    finds(200, "1");
    later(0s);
    REQUIRE(told().size() == 1);
    auto const notice = told()[0];
    CHECK(notice.at("device").as_string() == device);
    CHECK(notice.at("policy") == "baseline");
    CHECK(notice.at("state") == "noncompliant");
    CHECK(notice.at("since").as_string().starts_with("20"));
    CHECK(notice.at("reasons").as_array().at(0).at("found") == "1");
    CHECK_THAT(std::string(notice.at("message").as_string()),
        Catch::Contains("does not keep the policy baseline: " + std::string(mode) + ": wanted eq 0, found 1"));
    CHECK(notice.at("docs").is_string());
    CHECK(locks().empty());
    later(1h);
    CHECK(locks().empty());
    later(1h);
    REQUIRE(locks().size() == 1);
    CHECK(locks()[0].state == "queued");
    CHECK(locks()[0].uri == "./Device/Vendor/MSFT/RemoteLock/Lock");
    appliance = start();
    later(10h);
    CHECK(told().size() == 1);
    CHECK(locks().size() == 1);
    finds(200, "0");
    finds(200, "1");
    later(1s);
    CHECK(told().size() == 2);
}

TEST_CASE_METHOD(compliance_fixture, "a notice that nobody takes is tried again, over a restart", "[service]") {
    tenant->hook_status = 503;
    finds(200, "1");
    later(0s);
    auto const tries = told().size();
    CHECK(tries == 1);
    appliance = start();
    later(1s);
    CHECK(told().size() == tries);
    tenant->hook_status = 204;
    later(30s);
    CHECK(told().size() == tries + 1);
    later(2h);
    CHECK(told().size() == tries + 1);
}

TEST_CASE_METHOD(compliance_fixture, "history keeps each change of state and what Entra was told of it", "[service]") {
    finds(200, "0");
    report_now();
    time.advance(1h);
    finds(200, "1");
    report_now();
    time.advance(1h);
    finds(404, "");
    finds(200, "0");
    auto const all = service::compliance_history(*appliance, device).value();
    std::vector<std::string> course;
    for (auto const& e : all)
        course.push_back(e.report ? "told " + std::string(e.report->is_compliant ? "compliant" : "noncompliant") + " " +
                                        e.report->result
                                  : e.state);
    CHECK(course == std::vector<std::string>{"unknown", "compliant", "told compliant 204", "noncompliant",
                        "told noncompliant 204", "compliant"});
    CHECK(all[3].reasons.at(0).found == "1");
    CHECK(all[3].at == all[2].at + 1h);
}

TEST_CASE_METHOD(compliance_fixture, "every rule of a device can be seen, kept ones too", "[service]") {
    config.policies[0].rules.push_back({config::named_rule{config::rule_id::secure_boot, "required", {}}, 2});
    config.policies.push_back({.name = "other",
        .target = {.ownerships = {config::ownership::personal}},
        .rules = {{config::named_rule{config::rule_id::encryption, "required", {}}, 1}}});
    reconfigure();
    finds(200, "1");
    auto const d = service::compliance_of(*appliance, device).value();
    REQUIRE(d.rules.size() == 2);
    CHECK(d.rules[0].result == compliance::outcome::failed);
    CHECK(d.rules[0].since == time.now());
    CHECK(d.rules[1].rule == "secure_boot");
    CHECK(d.rules[1].found == "never asked");
    CHECK(d.rules[1].result == compliance::outcome::unknown);
    finds(200, "0");
    CHECK(service::compliance_of(*appliance, device).value().rules[0].result == compliance::outcome::passed);
}

TEST_CASE_METHOD(compliance_fixture, "silence is borne for as long as the setting says", "[service]") {
    config.settings.compliance.keep_last = 24h;
    reconfigure();
    finds(200, "0");
    report_now();
    finds(404, "");
    CHECK(state() == "compliant");
    later(24h - 1s);
    CHECK(state() == "compliant");
    later(1s);
    CHECK(state() == "noncompliant");
    report_now();
    CHECK(json::parse(tenant->writes.back().body).at("isCompliant") == false);
}

TEST_CASE_METHOD(session_fixture, "what rules ask is asked in every session, together in one message", "[service]") {
    std::set<std::string> const wanted{"./DevDetail/SwV", "./Vendor/MSFT/BitLocker/Status/DeviceEncryptionStatus",
        "./Vendor/MSFT/DeviceStatus/Compliance/EncryptionCompliance", "./Vendor/MSFT/DeviceStatus/Firewall/Status",
        mode};
    config::policy_file p{.name = "rules",
        .rules = {{config::named_rule{config::rule_id::min_os_version, "10.0", {{10, 0, 0, 0}}}, 1},
            {config::named_rule{config::rule_id::bitlocker, "required", {}}, 2},
            {config::named_rule{config::rule_id::firewall, "required", {}}, 3},
            {config::uri_rule{mode, config::comparison::eq, {"0"}}, 4}}};
    config.policies = {p};
    reconfigure();
    sync("1");  // the first one reads the whole inventory as well
    for (auto const* session : {"2", "3", "4"}) {
        time.advance(1h);
        std::vector<std::set<std::string>> messages;
        auto reply = post(syncml(session, 1, first_body));
        std::set<std::string> asked;
        for (auto const& c : commands_of(reply.body)) {
            CHECK(c.name == "Get");
            asked.insert(c.uri);
        }
        CHECK(asked == wanted);
        CHECK(play(std::move(reply), session) == 2);  // and no other message asks anything
    }
}
