// Windows' Enrollment Status Page while a computer is set up.
#include "core/text.hpp"
#include "e2e/managed.hpp"

using namespace mdmd;
using e2e::session;

namespace {

constexpr char separator[] = "\xEF\x80\x80";  // U+F000
constexpr char product[] = "{11111111-2222-3333-4444-555555555555}";
constexpr char job[] =
    "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B11111111-2222-3333-4444-555555555555%7D/"
    "DownloadInstall;1";
constexpr char camera[] = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";
constexpr char length[] = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength";
constexpr char spotlight[] = "./User/Vendor/MSFT/Policy/Config/Experience/AllowWindowsSpotlight";

std::string of_page(sim::device& d, std::string const& scope, std::string const& leaf) {
    return d.tree().get(fmt::format("./{}/Vendor/MSFT/DMClient/Provider/mdmd/FirstSyncStatus/{}", scope, leaf)).value;
}

void write_policies(e2e::appliance const& a) {
    a.write("packages/viewer.msi", std::string(10'000, 'v'));
    a.write("policies.d/device.yaml",
        fmt::format(
            "name: device\nsettings:\n  - {{uri: {}, format: int, value: 0}}\n  - {{uri: {}, format: int, value: "
            "8}}\napps:\n  - {{product_code: \"{}\", url: viewer.msi, version: 1.0}}\n",
            camera, length, product));
    a.write("policies.d/user.yaml",
        fmt::format(
            "name: user\ntarget: {{scope: user}}\nsettings:\n  - {{uri: {}, format: int, value: 0}}\n", spotlight));
}

}  // namespace

TEST_CASE("the setup's page tracks the policies and packages of this appliance, and ends", "[e2e]") {
    e2e::world w(e2e::settings{{"enrollment.status_page", "user"}, {"enrollment.status_page_timeout", "45m"}});
    write_policies(*w.app);
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");

    // The first session has nobody signed in yet: the page of the device alone.
    auto nobody = w.sync();
    nobody.login_status = "none";
    nobody.does.install.slowly = true;
    session(*d, nobody);
    auto const policies = of_page(*d, "Device", "ExpectedPolicies");
    CHECK((policies == fmt::format("{}{}{}", camera, separator, length) ||
           policies == fmt::format("{}{}{}", length, separator, camera)));
    CHECK(of_page(*d, "Device", "ExpectedMSIAppPackages") == job);
    CHECK(of_page(*d, "Device", "SkipDeviceStatusPage") == "false");
    CHECK(of_page(*d, "Device", "SkipUserStatusPage") == "false");
    CHECK(of_page(*d, "Device", "BlockInStatusPage") == "6");
    CHECK(of_page(*d, "Device", "TimeOutUntilSyncFailure") == "45");
    CHECK(of_page(*d, "Device", "ServerHasFinishedProvisioning") == "true");
    CHECK(of_page(*d, "Device", "IsSyncDone") == "false");  // the package is on its way
    for (int i = 0; i < 4 && of_page(*d, "Device", "IsSyncDone") != "true"; ++i) {
        auto const r = session(*d, nobody);
        CHECK_FALSE(e2e::has(e2e::changes(r), "FirstSyncStatus"));  // what the page has was said once
    }
    CHECK(of_page(*d, "Device", "IsSyncDone") == "true");
    CHECK(of_page(*d, "Device", "WasDeviceSuccessfullyProvisioned") == "1");

    // Then the first user's part, and that of nobody twice.
    auto const r = session(*d, e2e::signed_in(w));
    CHECK(e2e::has(e2e::changes(r), "./User/Vendor/MSFT/DMClient/Provider/mdmd/FirstSyncStatus/"));
    CHECK(of_page(*d, "User", "ExpectedPolicies") == spotlight);
    CHECK(of_page(*d, "User", "ServerHasFinishedProvisioning") == "true");
    CHECK(of_page(*d, "User", "IsSyncDone") == "true");
    CHECK(e2e::changes(session(*d, e2e::signed_in(w))).empty());
    CHECK(w.app->stop() == 0);
}

TEST_CASE("of a setup's page there is as much as is wanted, and none for a work account", "[e2e]") {
    e2e::world w;  // device: the default
    write_policies(*w.app);
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    session(*d, e2e::signed_in(w));
    CHECK(of_page(*d, "Device", "SkipDeviceStatusPage") == "false");
    CHECK(of_page(*d, "Device", "SkipUserStatusPage") == "true");
    CHECK(of_page(*d, "Device", "IsSyncDone") == "true");
    CHECK(of_page(*d, "User", "ServerHasFinishedProvisioning") == "false");
    CHECK(d->tree().get(spotlight).value == "0");

    auto const account = e2e::joined(w, "HOME-1", "bob@contoso.test", false);
    CHECK_FALSE(e2e::has(e2e::changes(session(*account, e2e::signed_in(w))), "FirstSyncStatus"));

    w.app->configure({{"enrollment.status_page", "off"}});
    w.app->reloaded();
    auto const later = e2e::joined(w, "PC-2", "carol@contoso.test");
    CHECK_FALSE(e2e::has(e2e::changes(session(*later, e2e::signed_in(w))), "FirstSyncStatus"));
    CHECK(of_page(*later, "Device", "SkipDeviceStatusPage") == "true");
    CHECK(w.app->stop() == 0);
}
