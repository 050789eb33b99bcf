// The main job: devices join, take policies, and Graph learns whether they comply.
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

constexpr char length[] = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength";
constexpr char mode[] = "./Vendor/MSFT/DeviceStatus/OS/Mode";

std::string field(boost::json::value const& v, char const* name) { return std::string(v.at(name).as_string()); }

}  // namespace

TEST_CASE("corporate and personal devices join, take the policy, and Graph learns whether they comply", "[e2e]") {
    e2e::world w;
    w.app->write("policies.d/baseline.yaml",
        fmt::format("name: baseline\nsettings:\n  - {{ uri: {}, format: int, value: 8 }}\ncompliance:\n  rules:\n"
                    "    - {{ uri: {}, op: eq, value: 0 }}\n",
            length, mode));
    w.app->start();
    auto const corporate = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const personal = joined(w, "BOB-LAPTOP", "bob@contoso.test", false);
    auto const shown = w.app->ask({"devices", "show", "BOB-LAPTOP"});
    CHECK(field(shown, "ownership") == "personal");
    CHECK(field(shown, "entra_device_id") == personal->entra_device_id());

    auto const graph_says = [&](sim::device const& d, bool managed, bool compliant) {
        return e2e::becomes_true(20s, [&] {
            auto const known = w.registered(d.entra_device_id());
            return known.is_managed == managed && known.is_compliant == compliant;
        });
    };
    for (auto* d : {corporate.get(), personal.get()}) {
        d->tree().set(mode, {"int", "0", "G"});
        e2e::require_clean(d->sync(w.sync()));
        REQUIRE(d->tree().find(sim::csp_tree::canonical(length)));
        CHECK(d->tree().find(sim::csp_tree::canonical(length))->value == "8");
    }
    CHECK(graph_says(*corporate, true, true));
    CHECK(graph_says(*personal, true, true));

    corporate->tree().set(mode, {"int", "1", "G"});
    e2e::require_clean(corporate->sync(w.sync()));
    CHECK(graph_says(*corporate, true, false));
    CHECK(graph_says(*personal, true, true));

    auto goodbye = w.sync();
    goodbye.unenroll = true;
    e2e::require_clean(personal->sync(goodbye));
    CHECK(graph_says(*personal, false, false));
    CHECK(w.app->stop() == 0);
}
