// Devices that keep their rules, or do not: what the administrator sees of it, and what is done.
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

constexpr char status_nodes[] = "./Vendor/MSFT/DeviceStatus/";

std::string text(boost::json::value const& v) { return v.is_string() ? std::string(v.get_string()) : "-"; }

void answers(sim::device& d, std::string const& node, std::string const& value) {
    d.tree().set(status_nodes + node, {"int", value, "G"});
}

}  // namespace

TEST_CASE("a device's verdict explains itself, has its history, and leads to what its policy says", "[e2e]") {
    e2e::world w(e2e::settings{{"compliance.interval", "1s"}, {"notify.command", "hook"}});
    w.app->write("hook", "#!/bin/sh\ncat >>\"$(dirname \"$0\")/told\"\necho >>\"$(dirname \"$0\")/told\"\n");
    std::filesystem::permissions(w.app->file("hook"), std::filesystem::perms::owner_all);
    w.app->write("policies.d/baseline.yaml",
        "name: baseline\ncompliance:\n  grace_period: 8s\n  rules:\n    - min_os_version: 10.0.19045\n"
        "    - encryption: required\n    - secure_boot: required\n    - firewall: required\n    - tpm: \"2.0\"\n"
        "  actions:\n    - notify: 0s\n    - lock: 9s\n");
    w.app->start();
    auto const d = joined(w, "PC-1", "ada@contoso.test");
    answers(*d, "Firewall/Status", "3");
    answers(*d, "SecureBootState", "1");
    e2e::require_clean(d->sync(w.sync()));
    auto const state = [&] { return text(w.app->ask({"compliance", "show", "PC-1"}).at("state")); };
    CHECK(state() == "unknown");  // Windows does not know yet whether the firewall is on
    answers(*d, "Firewall/Status", "0");
    e2e::require_clean(d->sync(w.sync()));
    CHECK(state() == "compliant");
    REQUIRE(e2e::becomes_true(20s, [&] { return w.registered(d->entra_device_id()).is_compliant == true; }));

    answers(*d, "SecureBootState", "2");
    e2e::require_clean(d->sync(w.sync()));
    auto const listed = w.app->ask({"compliance", "list"}).at("value").at(0);
    CHECK(text(listed.at("state")) == "inGracePeriod");
    CHECK(listed.at("grace_until").is_string());
    auto const& why = listed.at("reasons").at(0);
    CHECK(text(why.at("rule")) == "secure_boot");
    CHECK(text(why.at("uri")) == std::string(status_nodes) + "SecureBootState");
    CHECK(text(why.at("wanted")) == "required");
    CHECK(text(why.at("found")) == "2 (off)");
    CHECK(why.at("since").is_string());
    CHECK(text(why.at("grace_until")) == text(listed.at("grace_until")));
    // Time alone ends the grace, and Graph is told.
    REQUIRE(e2e::becomes_true(20s, [&] { return state() == "noncompliant"; }));
    REQUIRE(e2e::becomes_true(20s, [&] { return w.registered(d->entra_device_id()).is_compliant == false; }));
    REQUIRE(e2e::becomes_true(20s, [&] {
        auto const all = w.app->ask({"commands", "list", "PC-1"}).at("value").as_array();
        return std::any_of(all.begin(), all.end(), [](auto const& c) { return text(c.at("kind")) == "lock"; });
    }));
    REQUIRE(e2e::becomes_true(20s, [&] { return std::filesystem::exists(w.app->file("told")); }));
    auto const told = boost::json::parse(test::read_file(w.app->file("told")));
    CHECK(text(told.at("event")) == "noncompliance");
    CHECK(text(told.at("name")) == "PC-1");
    CHECK(text(told.at("policy")) == "baseline");
    CHECK(text(told.at("state")) == "inGracePeriod");

    CHECK(w.app->ask({"compliance", "list", "--state", "compliant"}).at("value").as_array().empty());
    CHECK(w.app->mdmctl({"compliance", "list", "--state", "bad"}).code == 2);
    auto const shown = w.app->mdmctl({"compliance", "show", "PC-1"});
    CHECK(shown.code == 0);
    for (auto const* line :
        {"PC-1  noncompliant since ", "policy baseline is not kept since ", "policy baseline has led to: lock",
            "passed         baseline: encryption: wanted required, found 1 (encrypted)",
            "failed         baseline: secure_boot: wanted required, found 2 (off), since "}) {
        CAPTURE(line, shown.out);
        CHECK(shown.out.find(line) != std::string::npos);
    }
    std::vector<std::string> course;
    auto const past = w.app->ask({"compliance", "history", "PC-1"});
    for (auto const& e : past.at("value").as_array())
        course.push_back(text(e.at("what")) == "report" ? (e.at("is_compliant") == true ? "told true" : "told false")
                                                        : text(e.at("state")));
    CHECK(course ==
          std::vector<std::string>{"unknown", "compliant", "told true", "inGracePeriod", "noncompliant", "told false"});
    CHECK(w.app->mdmctl({"compliance", "history", "PC-1"}).out.find("Entra was told of") != std::string::npos);
    CHECK(w.app->mdmctl({"compliance", "history", "nobody"}).code == 1);
    CHECK(w.app->admin("/metrics").body.find("mdmd_devices{state=\"noncompliant\"} 1") != std::string::npos);

    // A rule that no node of Windows answers is refused with the reason; rules that contradict each other are told of.
    w.app->write("policies.d/more.yaml",
        "name: more\ncompliance:\n  rules:\n    - max_os_version: 10.0.17763\n    - health_attestation: required\n");
    auto const refused = w.app->check_config();
    CHECK(refused.code == 1);
    CHECK(refused.err.find(
              "more.yaml:5:7: compliance.rules[1].health_attestation: expected a rule that a node of Windows "
              "answers, got 'health_attestation': Windows tells it in a Health Attestation report alone") !=
          std::string::npos);
    w.app->write("policies.d/more.yaml", "name: more\ncompliance:\n  rules:\n    - max_os_version: 10.0.17763\n");
    auto const warned = w.app->check_config();
    CHECK(warned.code == 0);
    CHECK((warned.err + warned.out).find("are kept by no device") != std::string::npos);
    w.app->reloaded();
    answers(*d, "SecureBootState", "1");
    e2e::require_clean(d->sync(w.sync()));
    CHECK(state() == "conflict");
    CHECK(w.app->stop() == 0);
}
