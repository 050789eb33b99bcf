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

TEST_CASE("a device that names itself is reported once Entra says that its user owns it, and as nobody else's device",
    "[e2e][security]") {
    e2e::world w;
    e2e::write_mode_rule(*w.app);
    w.app->start();
    auto const colleagues = joined(w, "ALICE-PC", "alice@contoso.test");
    e2e::check_in(w, *colleagues, false);
    auto const unnamed = [&](char const* name, std::string const& upn) {
        auto d = std::make_unique<sim::device>(w.device(name));
        auto o = w.join(upn);
        o.name = name;
        o.token_claims = {{"deviceid", nullptr}};
        auto const r = d->join(o);
        if (r.failure) throw std::runtime_error(r.failure->step + ": " + r.failure->text);
        return d;
    };
    auto const claim = [&](char const* name) { return w.app->ask({"devices", "show", name}).at("entra_claim"); };

    auto const own = unnamed("BOB-PC", "bob@contoso.test");
    e2e::check_in(w, *own, true);
    CHECK(e2e::becomes_true(20s, [&] { return w.registered(own->entra_device_id()).is_compliant == true; }));
    CHECK(claim("BOB-PC").is_null());
    CHECK(field(w.app->ask({"devices", "show", "BOB-PC"}), "entra_device_id") == own->entra_device_id());

    // A compliant computer says that it is a colleague's, which another enrolled as, and one that nobody manages.
    auto const unmanaged = w.tenant.add_device("alice@contoso.test", "ALICE-SPARE", "joined").value().device_id;
    constexpr char said[] = "./Vendor/MSFT/DMClient/Provider/mdmd/AADDeviceID";
    for (auto const& [name, user, id] : {std::tuple("M1", "mallory@contoso.test", colleagues->entra_device_id()),
             std::tuple("M2", "mallory@contoso.test", unmanaged)}) {
        CAPTURE(name);
        auto const liar = unnamed(name, user);
        liar->tree().set(said, {"chr", id, "G"});
        e2e::check_in(w, *liar, true);
        CHECK(e2e::becomes_true(20s, [&] { return claim(name).at("problem").is_string(); }));
        CHECK(field(claim(name), "problem") == "its owner in Entra is not who enrolled the device");
        CHECK(field(claim(name), "entra_device_id") == id);
        CHECK(w.app->ask({"devices", "show", name}).at("entra_device_id").is_null());
    }
    w.app->ask({"compliance", "report"});
    CHECK(w.registered(colleagues->entra_device_id()).is_compliant != true);
    CHECK_FALSE(w.registered(unmanaged).is_managed.has_value());
    CHECK(w.app->stop() == 0);
}
