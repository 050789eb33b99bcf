// Many devices at once, and a power cut in the one moment in which a certificate exists that no device has.
#include <sqlite3.h>
#include <thread>

#include "core/random.hpp"
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

std::string text(json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

// What the database holds, read beside the daemon.
class database {
public:
    explicit database(std::filesystem::path const& file) {
        REQUIRE(sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
        sqlite3_busy_timeout(db_, 5'000);
    }
    database(database const&) = delete;
    database& operator=(database const&) = delete;
    ~database() { sqlite3_close(db_); }

    // The one number that the statement gives; -1: it gives none.
    std::int64_t number(char const* sql) {
        sqlite3_stmt* s = nullptr;
        std::int64_t value = -1;
        if (sqlite3_prepare_v2(db_, sql, -1, &s, nullptr) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
            value = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        return value;
    }

private:
    sqlite3* db_ = nullptr;
};

}  // namespace

TEST_CASE("200 devices enroll at once: each is on record, no serial number is there twice", "[e2e][fleet]") {
    constexpr int many = 200;
    e2e::world w(e2e::settings{{"enrollment.max_devices_per_user", "1000"}});
    w.app->start();
    // Making keys is the devices' work, of which this machine would do all at once.
    std::vector<sim::private_key> keys;
    for (int i = 0; i < 8; ++i) keys.push_back(sim::private_key::rsa(2048));
    std::vector<sim::join_options> options;
    for (int i = 0; i < many; ++i) {
        auto o = w.join(fmt::format("user{}@contoso.test", i % 20), i % 2 == 0);
        o.name = fmt::format("FLEET-{}", i);
        o.key = keys[static_cast<std::size_t>(i) % keys.size()];
        o.net.timeout = 3min;
        options.push_back(std::move(o));
    }
    std::vector<std::string> failures(many);
    {
        std::vector<std::jthread> all;
        for (int i = 0; i < many; ++i)
            all.emplace_back([&, i] {
                auto const at = static_cast<std::size_t>(i);
                sim::device d(w.device(options[at].name));
                if (auto const r = d.join(options[at]); r.failure)
                    failures[at] = r.failure->step + ": " + r.failure->text;
            });
    }
    for (int i = 0; i < many; ++i) {
        CAPTURE(i);
        CHECK(failures[static_cast<std::size_t>(i)] == "");
    }
    std::set<std::string> names;
    auto const listed = w.app->ask({"devices", "list"});
    for (auto const& d : listed.at("value").as_array())
        if (text(d.at("state")) == "enrolled") names.insert(text(d.at("name")));
    CHECK(names.size() == many);
    database db(w.app->file("mdmd.db"));
    CHECK(db.number("SELECT count(DISTINCT serial) FROM certificate") == many);
    CHECK(db.number("SELECT count(*) FROM certificate WHERE revoked IS NULL") == many);
    CHECK(db.number("SELECT count(*) FROM consent WHERE used IS NOT NULL") == many);
    for (int i = 0; i < many; i += 40)
        e2e::require_clean(sim::device(w.device(fmt::format("FLEET-{}", i))).sync(w.sync()));
}

TEST_CASE("kill -9 between issuing and answering: the device enrolls again, and the orphan is trusted no more",
    "[e2e][fleet]") {
    e2e::world w(e2e::settings{{"enrollment.max_devices_per_user", "1000"}});
    w.app->start();
    int orphans = 0;
    for (int round = 0; round < 40 && orphans < 3; ++round) {
        CAPTURE(round);
        auto const name = fmt::format("PC-{}", round);
        auto o = w.join("alice@contoso.test");
        o.name = name;
        sim::device d(w.device(name));
        database db(w.app->file("mdmd.db"));
        auto const before = db.number("SELECT count(*) FROM certificate");
        bool failed = false;
        {
            std::jthread const joining([&] { failed = d.join(o).failure.has_value(); });
            // As soon as the certificate is on disk, and with luck before it is on its way.
            auto const until = std::chrono::steady_clock::now() + 20s;
            while (
                db.number("SELECT count(*) FROM certificate") == before && std::chrono::steady_clock::now() < until) {}
            w.app->kill9();
        }
        w.app->start();
        if (!failed) continue;
        ++orphans;
        CHECK_FALSE(d.enrolled());
        auto again = w.join("alice@contoso.test");
        again.name = name;
        auto const second = d.join(again);
        REQUIRE_FALSE(second.failure.has_value());
        e2e::require_clean(d.sync(w.sync()));
        // Of this computer there is one record that counts, and one certificate that does.
        database after(w.app->file("mdmd.db"));
        auto const of_it = [&](char const* what) {
            return after.number(
                fmt::format("SELECT count(*) FROM device d JOIN certificate c ON c.device_id = d.id "
                            "WHERE d.name = '{}' AND {}",
                    name, what)
                    .c_str());
        };
        CHECK(of_it("c.revoked IS NULL AND d.state = 'enrolled'") == 1);
        CHECK(of_it("c.revoked IS NULL AND d.state <> 'enrolled'") == 0);
        CHECK(of_it("c.revoked IS NOT NULL AND d.state = 'replaced'") == 1);
    }
    CHECK(orphans >= 1);
}
