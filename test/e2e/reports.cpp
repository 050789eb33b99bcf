// Reports to a Graph that is away, throttles, forgets and refuses.
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

struct fleet {
    e2e::world w{e2e::settings{{"compliance.interval", "1s"}}};
    std::vector<std::unique_ptr<sim::device>> all;

    explicit fleet(std::size_t many) {
        e2e::write_mode_rule(*w.app);
        w.app->start();
        for (std::size_t i = 0; i < many; ++i)
            all.push_back(joined(w, fmt::format("PC-{}", i), fmt::format("user{}@contoso.test", i)));
    }
    void check_in(std::size_t i, bool compliant) { e2e::check_in(w, *all[i], compliant); }
    void order(char const* name, int count) {
        auto rule = sim::named_fault(name).value();
        rule.count = count;
        w.tenant.add_fault(rule);
    }
    boost::json::value reports() const { return w.app->ask({"status"}).at("report"); }
    bool held_up_by(std::string const& what) const {
        return e2e::becomes_true(
            20s, [&] { return boost::json::serialize(reports().at("held_up")).find(what) != std::string::npos; });
    }
    // What mdmctl lists is what Graph's directory holds.
    bool agree(std::chrono::seconds patience = 40s) const {
        return e2e::becomes_true(patience, [&] {
            auto const list = w.app->ask({"compliance", "list"});
            for (auto const& one : list.at("value").as_array()) {
                auto const known = w.registered(std::string(one.at("entra_device_id").as_string()));
                auto const state = one.at("state").as_string();
                if (one.at("reported").at("state") != "done" || known.is_managed != true ||
                    known.is_compliant != (state == "compliant"))
                    return false;
            }
            return reports().at("queued") == 0;
        });
    }
};

}  // namespace

TEST_CASE("outages and throttling end with Graph's directory holding what mdmctl lists", "[e2e]") {
    fleet f(5);
    for (std::size_t i = 0; i < 5; ++i) f.check_in(i, i % 2 == 0);
    REQUIRE(f.agree());

    f.order("graph-hangs-up-late", 1);
    f.order("graph-hangs-up", 1);
    f.order("graph-down", 1);
    f.order("graph-throttled", 1);
    f.order("graph-some-throttled", 3);
    f.order("graph-some-dropped", 2);
    f.w.tenant.add_fault(
        sim::parse_fault(boost::json::parse(R"({"method":"PATCH","path":"/v1.0/devices/","status":401,"count":1})"))
            .value());
    for (std::size_t i = 0; i < 5; ++i) f.check_in(i, i % 2 != 0);
    f.w.app->kill9();
    f.w.app->start();
    f.check_in(0, true);
    REQUIRE(f.agree());
    auto const page = f.w.app->admin("/metrics").body;
    for (auto const* line : {"mdmd_reports_queued 0", "mdmd_reports_parked 0", "mdmd_report_lag_seconds 0",
             "mdmd_report_last_success_timestamp_seconds ", "mdmd_graph_answers_total{code=\"204\"}"}) {
        CAPTURE(line);
        CHECK(page.find(line) != std::string::npos);
    }
    CHECK(f.w.app->stop() == 0);
}

TEST_CASE(
    "an application that Graph refuses, and a device that Entra does not know, are told to the operator", "[e2e]") {
    fleet f(3);
    for (std::size_t i = 0; i < 3; ++i) f.check_in(i, true);
    REQUIRE(f.agree());
    f.order("graph-refused", -1);
    for (std::size_t i = 0; i < 3; ++i) f.check_in(i, false);
    REQUIRE(f.held_up_by("Graph refuses every report"));
    CHECK(f.w.app->logs("Graph refuses every report"));
    auto const told = f.w.app->mdmctl({"status"}).out;
    CHECK(told.find("403 Authorization_RequestDenied") != std::string::npos);
    f.w.tenant.clear_faults();
    f.w.app->mdmctl({"compliance", "report"});
    REQUIRE(f.agree());
    CHECK(f.reports().at("held_up").is_null());

    auto const late = joined(f.w, "PC-LATE", "late@contoso.test");
    f.w.tenant.hide_device(late->entra_device_id(), true);
    e2e::check_in(f.w, *late, true);
    std::string shown;
    e2e::becomes_true(20s, [&] {
        shown = f.w.app->mdmctl({"compliance", "list"}).out;
        return shown.find("Entra does not know this device yet") != std::string::npos;
    });
    CAPTURE(shown, boost::json::serialize(f.reports()));
    REQUIRE(shown.find("Entra does not know this device yet") != std::string::npos);
    auto const said = f.w.app->mdmctl({"compliance", "report"});
    CHECK(said.code == 1);
    CHECK(said.out.find("1 Entra does not know this device yet") != std::string::npos);
    f.w.tenant.hide_device(late->entra_device_id(), false);
    REQUIRE(f.agree());
    CHECK(f.w.app->stop() == 0);
}
