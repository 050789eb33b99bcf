// Backups, and the drill that shows that they are of use.
#include <sqlite3.h>
#include <sys/stat.h>
#include <atomic>
#include <csignal>
#include <set>
#include <thread>

#include "e2e/managed.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

std::map<std::string, std::string> contents(e2e::appliance const& app) {
    std::map<std::string, std::string> all;
    for (auto const& f : std::filesystem::directory_iterator(app.file("mdmd.db").parent_path()))
        if (f.path().filename().string().starts_with("mdmd.db"))
            all[f.path().filename().string()] = test::read_file(f.path());
    return all;
}

void wreck(e2e::appliance const& app) {
    std::ofstream(app.file("mdmd.db"), std::ios::binary) << std::string(100'000, 'x');
    std::ofstream(app.file("mdmd.db-wal"), std::ios::binary) << "y";
}

bool graph_has(e2e::world const& w, sim::device const& d, bool compliant) {
    return e2e::becomes_true(20s, [&] {
        auto const known = w.registered(d.entra_device_id());
        return known.is_managed && known.is_compliant == compliant;
    });
}

std::string backup_to(e2e::world const& w, std::string const& name, std::vector<std::string> more = {}) {
    auto const file = w.app->file(name).string();
    more.insert(more.begin(), {"backup", file});
    auto const done = w.app->mdmctl(more);
    CAPTURE(done.err);
    REQUIRE(done.code == 0);
    return file;
}

}  // namespace

TEST_CASE("after a restore devices are managed, known by their certificates and reported as before", "[e2e]") {
    auto const encrypted = GENERATE(false, true);
    e2e::world w;
    e2e::write_mode_rule(*w.app);
    w.app->write("passphrase", "correct horse battery staple\n");
    w.app->start();
    auto const device = joined(w, "ALICE-PC", "alice@contoso.test");
    e2e::check_in(w, *device, true);
    REQUIRE(graph_has(w, *device, true));
    REQUIRE(w.app->mdmctl({"devices", "send", "ALICE-PC", "get", "./DevDetail/SwV"}).code == 0);
    e2e::require_clean(device->sync(w.sync()));

    // Taken while commands are queued and sessions run.
    std::atomic<bool> done = false;
    std::atomic<int> failures = 0;
    std::thread work([&] {
        while (!done) {
            if (w.app->mdmctl({"devices", "send", "ALICE-PC", "get", "./DevDetail/SwV"}).code != 0) ++failures;
            if (!device->sync(w.sync()).failure.empty()) ++failures;
        }
    });
    auto const file = backup_to(w, "one.backup",
        encrypted ? std::vector<std::string>{"--passphrase-file", w.app->file("passphrase").string()}
                  : std::vector<std::string>{});
    done = true;
    work.join();
    CHECK(failures == 0);
    struct stat s {};
    REQUIRE(::stat(file.c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0600);
    CHECK((test::read_file(file).find("alice@contoso.test") == std::string::npos) == encrypted);

    REQUIRE(w.app->stop() == 0);
    wreck(*w.app);
    CHECK_THROWS(w.app->start());
    std::vector<std::string> restore{"restore", file};
    if (encrypted) restore.insert(restore.end(), {"--passphrase-file", w.app->file("passphrase").string()});
    auto const said = w.app->ask(restore);
    CHECK(test::read_file(std::string(said.at("replaced").as_string())) == std::string(100'000, 'x'));
    REQUIRE(::stat(w.app->file("mdmd.db").c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0600);

    w.app->start();
    CHECK(e2e::text(e2e::shown(w, "ALICE-PC"), "state") == "enrolled");
    CHECK(e2e::text(e2e::last_command(w, "ALICE-PC", "send"), "uri") == "./DevDetail/SwV");
    e2e::check_in(w, *device, false);
    CHECK(graph_has(w, *device, false));
    auto const another = joined(w, "BOB-PC", "bob@contoso.test");
    e2e::check_in(w, *another, true);
    CHECK(graph_has(w, *another, true));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("what cannot be restored is refused, and nothing is changed", "[e2e][security]") {
    e2e::world w;
    e2e::write_mode_rule(*w.app);
    w.app->write("passphrase", "correct horse battery staple\n");
    w.app->write("another", "wrong\n");
    auto const right = w.app->file("passphrase").string(), wrong = w.app->file("another").string();
    w.app->start();
    auto const plain = backup_to(w, "plain.backup");
    auto const locked = backup_to(w, "locked.backup", {"--passphrase-file", right});
    auto const running = w.app->mdmctl({"restore", plain});
    CHECK(running.code == 1);
    CHECK(running.err == "mdmctl: mdmd runs: stop it first (systemctl stop mdmd)\n");
    CHECK(w.app->mdmctl({"restore", plain, "--check"}).code == 0);
    REQUIRE(w.app->stop() == 0);

    auto const whole = test::read_file(plain);
    auto const changed = [&](char const* name, std::string const& text) {
        w.app->write(name, text);
        return w.app->file(name).string();
    };
    auto flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 1);
    auto newer = whole;
    newer[12] = 2;
    auto const before = contents(*w.app);
    auto const refused = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "restore");
        auto const got = w.app->mdmctl(arguments);
        CHECK(got.code == 1);
        CHECK(contents(*w.app) == before);
        return got.err;
    };
    using Catch::Contains;
    CHECK_THAT(refused({locked, "--passphrase-file", wrong}), Contains("passphrase is another one"));
    CHECK_THAT(refused({locked}), Contains("it is encrypted"));
    CHECK_THAT(refused({plain, "--passphrase-file", right}), Contains("it is not encrypted"));
    CHECK_THAT(refused({changed("cut", whole.substr(0, whole.size() - 1000))}), Contains("damaged, or cut off"));
    CHECK_THAT(refused({changed("flipped", flipped)}), Contains("damaged, or cut off"));
    CHECK_THAT(refused({changed("newer", newer)}), Contains("backup format 2, this mdmctl reads 1"));
    CHECK_THAT(refused({changed("foreign", "PK\3\4" + std::string(1000, 'z'))}), Contains("not a backup of mdmd"));
    CHECK_THAT(refused({changed("empty", "")}), Contains("not a backup of mdmd"));
    CHECK_THAT(refused({w.app->file("absent").string()}), Contains("cannot be read"));
    CHECK_THAT(refused({w.app->config_file().string()}), Contains("not a backup of mdmd"));
    w.app->start();
    CHECK(w.app->stop() == 0);
}

TEST_CASE("after an upgrade the older program refuses the database, and goes on with the copy that was kept", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const device = joined(w, "ALICE-PC", "alice@contoso.test");
    REQUIRE(w.app->stop() == 0);
    // As a newer mdmd leaves it.
    auto const copy = w.app->file("mdmd.db.schema-1").string();
    {
        sqlite3* raw = nullptr;
        REQUIRE(sqlite3_open(w.app->file("mdmd.db").c_str(), &raw) == SQLITE_OK);
        std::unique_ptr<sqlite3, int (*)(sqlite3*)> const db(raw, sqlite3_close);
        auto const sql = fmt::format("VACUUM INTO '{}'; CREATE TABLE newer (x); PRAGMA user_version = 99", copy);
        REQUIRE(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    }
    CHECK_THROWS_WITH(w.app->start(),
        Catch::Contains("has schema version 99, this mdmd knows 1") && Catch::Contains("mdmctl restore " + copy));
    auto const done = w.app->mdmctl({"restore", copy});
    CAPTURE(done.err);
    REQUIRE(done.code == 0);
    w.app->start();
    e2e::require_clean(device->sync(w.sync()));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a backup never takes the place of a file, and a failed one leaves none", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const file = backup_to(w, "one.backup");
    auto const first = test::read_file(file);
    auto const again = w.app->mdmctl({"backup", file});
    CHECK(again.code == 1);
    CHECK_THAT(again.err, Catch::Contains("is there already"));
    CHECK(test::read_file(file) == first);
    CHECK(w.app->mdmctl({"backup"}).code == 2);
    CHECK(w.app->mdmctl({"backup", file, "--keep", "2"}).code == 2);
    auto const nowhere = w.app->mdmctl({"backup", w.app->file("absent/two.backup").string()});
    CHECK(nowhere.code == 1);
    auto const open_to_all = w.app->file("open");
    std::ofstream(open_to_all) << "word\n";
    std::filesystem::permissions(open_to_all, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
    auto const seen =
        w.app->mdmctl({"backup", w.app->file("three.backup").string(), "--passphrase-file", open_to_all.string()});
    CHECK(seen.code == 1);
    CHECK_FALSE(std::filesystem::exists(w.app->file("three.backup")));
    CHECK(w.app->stop() == 0);
    // It takes no daemon.
    backup_to(w, "stopped.backup");
}

TEST_CASE("backups in a folder are named by time, and the newest are kept", "[e2e]") {
    e2e::world w;
    w.app->start();
    w.app->write("nightly/mdmd-20200101T000000Z.backup", "old");
    w.app->write("nightly/mdmd-20200102T000000Z.backup", "less old");
    w.app->write("nightly/mdmd-20200101T000000Z.backup.txt", "another's");
    auto const made = w.app->ask({"backup", "--directory", w.app->file("nightly").string(), "--keep", "2"});
    std::set<std::string> names;
    for (auto const& f : std::filesystem::directory_iterator(w.app->file("nightly")))
        names.insert(f.path().filename().string());
    CHECK(names == std::set<std::string>{"mdmd-20200102T000000Z.backup", "mdmd-20200101T000000Z.backup.txt",
                       std::filesystem::path(std::string(made.at("file").as_string())).filename().string()});
    CHECK(w.app->mdmctl({"restore", std::string(made.at("file").as_string()), "--check"}).code == 0);
    CHECK(w.app->stop() == 0);
}
