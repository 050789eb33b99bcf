// What an administrator is told of policies before a device is.
#include "e2e/appliance.hpp"

using namespace mdmd;

namespace {

constexpr char const* wrong =
    "name: wrong\n"
    "settings:\n"
    "  - uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePaswordLength\n"
    "    format: int\n"
    "    value: 8\n"
    "  - uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordHistory\n"
    "    format: int\n"
    "    value: 51\n";
constexpr char const* refusal = "wrong.yaml:8:12: settings[1].value: expected a number from 0 to 50, got 51\n";
constexpr char const* doubt = "warning: wrong.yaml:3:10: settings[0].uri: expected a node of Windows', got ";

}  // namespace

TEST_CASE("mdmctl policies check and mdmd --check-config say the same of policies", "[e2e]") {
    e2e::world w;
    SECTION("nothing of good ones") {
        w.app->write("policies.d/good.yaml",
            "name: good\nsettings: [{uri: ./Vendor/MSFT/BitLocker/RequireDeviceEncryption, "
            "format: int, value: 1}]\n");
        auto const r = w.app->mdmctl({"policies", "check"});
        CHECK(r.code == 0);
        CHECK(r.out == "policies: 1, errors: 0, warnings: 0\n");
        CHECK(w.app->check_config().code == 0);
    }
    SECTION("what a device would refuse, and what it may not know") {
        w.app->write("policies.d/wrong.yaml", wrong);
        auto const r = w.app->mdmctl({"policies", "check"});
        CHECK(r.code == 1);
        CHECK_THAT(r.out, Catch::StartsWith(doubt) && Catch::EndsWith(refusal));
        CHECK(r.err == "mdmctl: policies: 1, errors: 1, warnings: 1\n");
        auto const checked = w.app->check_config();
        CHECK(checked.code == 1);
        CHECK_THAT(checked.err, Catch::Contains(doubt) && Catch::Contains(std::string("\n") + refusal));
    }
    SECTION("of single files, and as JSON") {
        w.app->write("elsewhere/wrong.yaml", wrong);
        w.app->write("elsewhere/broken.yaml", "name: broken\nsetings: []\n");
        auto const r = w.app->mdmctl({"policies", "check", w.app->file("elsewhere/wrong.yaml").string(),
            w.app->file("elsewhere/broken.yaml").string(), "--json"});
        CHECK(r.code == 1);
        auto const found = boost::json::parse(r.out).at("value").as_array();
        REQUIRE(found.size() == 4);
        auto const shown = [&](std::size_t i) { return boost::json::serialize(found[i]); };
        CHECK(shown(1) ==
              "{\"file\":\"broken.yaml\",\"line\":2,\"column\":1,\"key\":\"setings\",\"severity\":\"error\","
              "\"message\":\"expected a known key, got 'setings' (did you mean 'settings'?)\"}");
        CHECK_THAT(shown(2), Catch::Contains("\"key\":\"settings[0].uri\",\"severity\":\"warning\""));
        CHECK(shown(3) ==
              "{\"file\":\"wrong.yaml\",\"line\":8,\"column\":12,\"key\":\"settings[1].value\",\"severity\":"
              "\"error\",\"message\":\"expected a number from 0 to 50, got 51\"}");
    }
}

TEST_CASE("a policy that a device would refuse keeps no daemon from starting", "[e2e]") {
    e2e::world w;
    w.app->write("policies.d/wrong.yaml", wrong);
    w.app->start();
    CHECK_THAT(w.app->log(), Catch::Contains("wrong.yaml:8:12: settings[1].value"));
}
