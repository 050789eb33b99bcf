// Several users of one computer: each has what is for them, and nobody what is another's.
#include "core/text.hpp"
#include "e2e/managed.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using e2e::session;
using e2e::text;

namespace {

constexpr char spotlight[] = "./User/Vendor/MSFT/Policy/Config/Experience/AllowWindowsSpotlight";
constexpr char tips[] = "./User/Vendor/MSFT/Policy/Config/Experience/AllowTailoredExperiencesWithDiagnosticData";
constexpr char wallpaper[] = "./User/Vendor/MSFT/Policy/Config/Education/DefaultPrinterName";
constexpr char camera[] = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";

void write_policy(e2e::world const& w, std::string const& name, std::string const& target, std::string const& uri,
    std::string const& format, std::string const& value) {
    w.app->write(fmt::format("policies.d/{}.yaml", name),
        fmt::format("name: {}\ntarget: {{{}}}\nsettings:\n  - {{uri: {}, format: {}, value: \"{}\"}}\n", name, target,
            uri, format, value));
}

// URI -> value, of that user's settings as mdmctl shows them; of the device's where it is empty.
std::map<std::string, std::string> settings_of(
    e2e::world const& w, std::string const& device, std::string const& user) {
    std::map<std::string, std::string> all;
    auto const whole = e2e::shown(w, device);
    for (auto const& s : whole.at("settings").as_array())
        if (text(s, "user") == user && text(s, "state") == "applied") all[text(s, "uri")] = text(s, "wanted");
    return all;
}

std::vector<std::string> of_users(std::vector<std::string> all) {
    std::erase_if(
        all, [](std::string const& c) { return c.find("./User/") == c.npos || c.find("FirstSyncStatus") != c.npos; });
    return all;
}

using settings_map = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("three users of a joined computer each get their own settings, and nobody gets them alone", "[e2e]") {
    e2e::world w;
    for (auto const* name : {"alice", "bob", "carol"}) REQUIRE(w.tenant.add_user(fmt::format("{}@contoso.test", name)));
    auto const sales = w.tenant.add_group("Sales", {"bob@contoso.test"}).value();
    auto const field = w.tenant.add_group("Field", {sales.id, "carol@contoso.test"}).value();
    write_policy(w, "device", "", camera, "int", "0");
    write_policy(w, "everyone", "scope: user", wallpaper, "chr", "{{user.name}} at {{device.name}}");
    write_policy(w, "sales", fmt::format("scope: user, groups: [{}]", sales.id), spotlight, "int", "0");
    write_policy(w, "field", fmt::format("scope: user, groups: [{}]", field.id), tips, "int", "0");
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");

    // At the first start nobody is there: the device's own alone.
    auto nobody = w.sync();
    nobody.login_status = "none";
    auto const first = e2e::changes(session(*d, nobody));
    CHECK(e2e::has(first, camera));
    CHECK(of_users(first).empty());
    // Nor is a local account anybody's.
    auto guest = w.sync();
    guest.login_status = "others";
    CHECK(of_users(e2e::changes(session(*d, guest))).empty());

    // Whoever is new is looked up in the tenant; what is for groups waits until it has answered.
    auto const settled = [&](std::string const& user, sim::sync_options o, settings_map const& wanted) {
        CAPTURE(user);
        o.user = user + "@contoso.test";
        auto const good = e2e::becomes_true(20s, [&] {
            session(*d, o);
            return settings_of(w, "PC-1", o.user) == wanted;
        });
        CHECK(good);
        CHECK(settings_of(w, "PC-1", o.user) == wanted);
        for (auto const& [uri, value] : wanted) CHECK(d->tree().get(uri).value == value);
        CHECK(of_users(e2e::changes(session(*d, o))).empty());
    };
    auto in_header = e2e::signed_in(w);
    auto in_alert = in_header;
    in_alert.token_in_alert = true;
    auto in_both = in_header;
    in_both.token_in_both = true;
    settled("alice", in_header, {{wallpaper, "alice at PC-1"}});
    settled("bob", in_alert, {{wallpaper, "bob at PC-1"}, {spotlight, "0"}, {tips, "0"}});
    settled("carol", in_both, {{wallpaper, "carol at PC-1"}, {tips, "0"}});
    settled("alice", in_alert, {{wallpaper, "alice at PC-1"}});
    CHECK(settings_of(w, "PC-1", "")[camera] == "0");
    std::set<std::string> users;
    auto const whole = e2e::shown(w, "PC-1");
    for (auto const& u : whole.at("users").as_array()) users.insert(text(u, "user"));
    CHECK(users == std::set<std::string>{"alice@contoso.test", "bob@contoso.test", "carol@contoso.test"});

    // A command for one of them waits for that one, while others come and go.
    REQUIRE(w.app->mdmctl({"devices", "send", "PC-1", "get", wallpaper, "--user", "bob@contoso.test"}).code == 0);
    CHECK(w.app->mdmctl({"devices", "send", "PC-1", "get", wallpaper, "--user", "dave@contoso.test"}).code != 0);
    CHECK(w.app->mdmctl({"devices", "send", "PC-1", "get", camera, "--user", "bob@contoso.test"}).code != 0);
    session(*d, nobody);
    session(*d, guest);
    session(*d, e2e::signed_in(w, "carol@contoso.test"));
    CHECK(text(e2e::last_command(w, "PC-1", "send"), "state") == "queued");
    session(*d, e2e::signed_in(w, "bob@contoso.test"));
    CHECK(text(e2e::last_command(w, "PC-1", "send"), "state") == "done");
    CHECK(text(e2e::last_command(w, "PC-1", "send"), "result") == "bob at PC-1");

    // A token of another device's, or of nobody whom the tenant knows, is nobody's.
    auto forged = e2e::signed_in(w, "bob@contoso.test");
    sim::token_order order;
    order.upn = "bob@contoso.test";
    order.device_id = "99999999-0000-4000-8000-000000000000";
    forged.user_token = w.tenant.make(order).value();
    order.device_id = d->entra_device_id();
    order.key = sim::token_order::signer::foreign;
    write_policy(w, "everyone", "scope: user", wallpaper, "chr", "changed");
    w.app->reloaded();
    CHECK(of_users(e2e::changes(session(*d, forged))).empty());
    forged.user_token = w.tenant.make(order).value();
    CHECK(of_users(e2e::changes(session(*d, forged))).empty());
    CHECK(e2e::has(e2e::changes(session(*d, e2e::signed_in(w, "bob@contoso.test"))), wallpaper));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a work account's settings are those of who added it, while that user is signed in", "[e2e]") {
    e2e::world w;
    write_policy(w, "device", "", camera, "int", "0");
    write_policy(w, "everyone", "scope: user", wallpaper, "chr", "{{user.upn}}");
    w.app->start();
    auto const d = e2e::joined(w, "HOME-1", "alice@contoso.test", false);
    auto away = w.sync();
    away.login_status = "none";
    auto const first = e2e::changes(session(*d, away));
    CHECK(e2e::has(first, camera));
    CHECK(of_users(first).empty());
    CHECK(text(e2e::row(e2e::shown(w, "HOME-1").at("settings"), "uri", wallpaper), "state") == "pending");
    CHECK(e2e::has(e2e::changes(session(*d, w.sync())), wallpaper));
    CHECK(d->tree().get(wallpaper).value == "alice@contoso.test");
    CHECK(settings_of(w, "HOME-1", "alice@contoso.test") == settings_map{{wallpaper, "alice@contoso.test"}});
    CHECK(e2e::changes(session(*d, away)).empty());
    CHECK(text(e2e::row(e2e::shown(w, "HOME-1").at("settings"), "uri", wallpaper), "state") == "applied");
    CHECK(w.app->stop() == 0);
}
