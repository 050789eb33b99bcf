// MSI packages from the appliance's own folder, followed on a device from the order to the end.
#include <sqlite3.h>

#include "core/text.hpp"
#include "e2e/managed.hpp"

using namespace mdmd;
using e2e::session;
using e2e::text;

namespace {

constexpr char viewer[] = "{11111111-2222-3333-4444-555555555555}";
constexpr char tool[] = "{22222222-2222-3333-4444-555555555555}";
constexpr char printer[] = "{33333333-2222-3333-4444-555555555555}";
constexpr char renamed[] = "{44444444-2222-3333-4444-555555555555}";
constexpr char family[] = "{99999999-2222-3333-4444-555555555555}";

std::string node(std::string const& product, std::string const& leaf = {}) {
    return "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/" + percent_encode(product) + leaf;
}

std::string app(std::string const& product, std::string const& more) {
    return fmt::format("  - {{product_code: \"{}\", {}}}\n", product, more);
}

void write_apps(e2e::world& w, std::string const& apps) {
    w.app->write("policies.d/apps.yaml", "name: apps\napps:\n" + apps);
}

boost::json::value record(e2e::world const& w, std::string const& product) {
    return e2e::row(e2e::shown(w, "PC-1").at("apps"), "product_code", product);
}

// The pause before another try is hours: it ends now.
void end_pause(e2e::world const& w) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(w.app->file("mdmd.db").c_str(), &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 10'000);
    CHECK(sqlite3_exec(db, "UPDATE app SET next_try = 1", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
}

}  // namespace

TEST_CASE("packages are installed, upgraded, tried again and removed, and mdmctl shows how far they are", "[e2e]") {
    e2e::world w;
    w.app->write("packages/viewer-1.0.msi", std::string(300'000, '1') + fmt::format("UpgradeCode={}", family));
    w.app->write("packages/viewer-2.0.msi", std::string(300'000, '2') + fmt::format("UpgradeCode={}", family));
    w.app->write("packages/printer.msi", "a driver");
    auto const tool_line = app(tool, "url: printer.msi, version: 5.0");
    write_apps(w, app(viewer, "url: viewer-1.0.msi, version: 1.0") + tool_line);
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    d->tree().set(node(tool, "/Version"), {"chr", "5.1.2", "G"});
    auto o = e2e::signed_in(w);

    // The device downloads behind the session, and tells the end in the next one.
    o.does.install.block = 65'536;
    auto first = session(*d, o);
    CHECK(first.executed == std::vector<std::string>{node(viewer, "/DownloadInstall")});
    CHECK(text(record(w, viewer), "state") == "installing");
    CHECK_THAT(w.app->mdmctl({"devices", "show", "PC-1"}).out, Catch::Contains("installing"));
    auto const second = session(*d, o);
    CHECK_THAT(second.transcript.at(0).body, Catch::Contains("com.microsoft.mdm.win32csp_install"));
    CHECK(text(record(w, viewer), "state") == "installed");
    CHECK(text(record(w, viewer), "installed_version") == "1.0");
    CHECK(text(record(w, viewer), "policy") == "apps");
    // What is there already is left alone.
    CHECK(text(record(w, tool), "state") == "installed");
    CHECK(text(record(w, tool), "installed_version") == "5.1.2");
    CHECK(session(*d, o).executed.empty());

    // A later version, one step a session.
    write_apps(w, app(viewer, "url: viewer-2.0.msi, version: 2.0") + tool_line);
    w.app->reloaded();
    o.does.install.slowly = true;
    CHECK(session(*d, o).executed == std::vector<std::string>{node(viewer, "/DownloadInstall")});
    std::vector<std::string> steps;
    for (int i = 0; i < 4; ++i) {
        CHECK(session(*d, o).executed.empty());
        auto const r = record(w, viewer);
        steps.push_back(text(r, "state") + " " + text(r, "msi_status"));
    }
    CHECK(steps == std::vector<std::string>{"installing 20", "installing 40", "installing 50", "installed 70"});
    CHECK(text(record(w, viewer), "installed_version") == "2.0");
    o.does.install.slowly = false;

    // Another product of the family counts in the version that is wanted.
    write_apps(w, app(renamed, fmt::format("url: viewer-1.0.msi, version: 1.5, upgrade_code: \"{}\"", family)));
    w.app->reloaded();
    CHECK(session(*d, o).executed.empty());
    CHECK(text(record(w, renamed), "state") == "installed");
    CHECK(text(record(w, renamed), "installed_version") == "2.0");
    CHECK(e2e::shown(w, "PC-1").at("apps").as_array().size() == 1);

    // A file that was changed under its name is another one than the policy's: the device does not take it.
    write_apps(w, app(printer, "url: printer.msi, version: 3.1"));
    w.app->reloaded();
    w.app->write("packages/printer.msi", "another driver");
    CHECK(session(*d, o).executed.size() == 1);
    session(*d, o);
    CHECK(text(record(w, printer), "state") == "failed");
    CHECK(text(record(w, printer), "last_error") == "0x80091007");
    CHECK_THAT(text(record(w, printer), "detail"), Catch::Contains("hash"));
    // A reload looks at it again: a new job, which the installer makes fail.
    w.app->reloaded();
    o.does.install.error = 0x80070643;
    CHECK(session(*d, o).executed.size() == 1);
    session(*d, o);
    CHECK(text(record(w, printer), "state") == "failed");
    CHECK(text(record(w, printer), "msi_status") == "60");
    CHECK(text(record(w, printer), "last_error") == "0x80070643");
    CHECK(text(record(w, printer), "detail") == "the installer failed");
    CHECK_THAT(w.app->mdmctl({"devices", "show", "PC-1"}).out, Catch::Contains("0x80070643"));
    CHECK(session(*d, o).executed.empty());  // not at once
    end_pause(w);
    o.does.install.error = 0;
    CHECK(session(*d, o).executed.size() == 1);
    session(*d, o);
    CHECK(text(record(w, printer), "state") == "installed");
    CHECK(text(record(w, printer), "last_error") == "");

    write_apps(w, app(printer, "intent: uninstall"));
    w.app->reloaded();
    CHECK(e2e::has(e2e::changes(session(*d, o)), "delete " + node(printer)));
    CHECK(text(record(w, printer), "state") == "removing");
    CHECK(d->tree().get(node(printer)).status == 404);
    session(*d, o);
    CHECK(text(record(w, printer), "state") == "removed");
    CHECK(e2e::changes(session(*d, o)).empty());

    write_apps(w, app(viewer, fmt::format("url: viewer-1.0.msi, version: 1.0, sha256: {}", std::string(64, 'a'))));
    auto const checked = w.app->check_config();
    CHECK(checked.code == 1);
    CHECK_THAT(checked.err, Catch::Contains("apps.yaml") && Catch::Contains("sha256"));
    CHECK(w.app->stop() == 0);
}
