#include <sys/stat.h>

#include <thread>

#include "core/random.hpp"
#include "store/certificates.hpp"
#include "store/compliance.hpp"
#include "store/database.hpp"
#include "store/enrollment.hpp"
#include "store/management.hpp"
#include "store/pins.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

struct fixture {
    test::scratch folder;
    std::filesystem::path file = folder.path() / "mdmd.db";
    store::database db{store::sqlite_engine(file)};
    time_point now = from_ms(1'800'000'000'000);

    store::device make(std::string id, std::string name = "PC") {
        return {.id = id,
            .mdm_device_id = "M" + id,
            .hardware_id = "H" + id,
            .entra_device_id = "E" + id,
            .user_id = "U",
            .upn = "u@contoso.com",
            .ownership = "corporate",
            .enrollment_type = "Device",
            .name = std::move(name),
            .os_version = "10.0.22631.1",
            .os_edition = "4",
            .correlation_id = "c",
            .enrolled = now,
            .server_secret = secret("s"),
            .device_secret = secret("d"),
            .server_nonce = "n",
            .device_nonce = "m"};
    }
};

}  // namespace

TEST_CASE_METHOD(fixture, "the database and its side files are for their owner alone", "[store][security]") {
    db.write([](store::connection& c) { store::set_meta(c, "a", "b"); });
    for (auto const* suffix : {"", "-wal", "-shm"}) {
        struct stat s {};
        REQUIRE(::stat((file.string() + suffix).c_str(), &s) == 0);
        CHECK((s.st_mode & 0077) == 0);
    }
}

TEST_CASE_METHOD(fixture, "what was written is read by other connections at once", "[store]") {
    db.write([](store::connection& c) { store::set_meta(c, "a", "x'; DROP TABLE meta; --"); });
    CHECK(db.read([](store::connection& c) { return store::get_meta(c, "a"); }) == "x'; DROP TABLE meta; --");
    CHECK(db.read([](store::connection& c) { return store::get_meta(c, "b"); }) == std::nullopt);
}

TEST_CASE_METHOD(fixture, "a change that throws leaves nothing, and its neighbours stay", "[store]") {
    std::vector<std::thread> callers;
    std::atomic<int> threw = 0;
    for (int i = 0; i < 40; ++i)
        callers.emplace_back([&, i] {
            try {
                db.write([&](store::connection& c) {
                    store::set_meta(c, "k" + std::to_string(i), "v");
                    if (i % 2) throw std::runtime_error("no");
                });
            } catch (std::runtime_error const&) {
                ++threw;
            }
        });
    for (auto& t : callers) t.join();
    CHECK(threw == 20);
    CHECK(db.healthy());
    for (int i = 0; i < 40; ++i)
        CHECK(db.read([&](store::connection& c) { return store::get_meta(c, "k" + std::to_string(i)).has_value(); }) ==
              (i % 2 == 0));
}

TEST_CASE_METHOD(fixture, "a reader cannot write", "[store][security]") {
    CHECK_THROWS_AS(db.read([](store::connection& c) { store::set_meta(c, "a", "b"); }), store::store_error);
    CHECK(db.read([](store::connection& c) { return store::get_meta(c, "a"); }) == std::nullopt);
}

TEST_CASE("what was overwritten or removed is in no file of the store any more", "[store][security]") {
    test::scratch const folder;
    auto const file = folder.path() / "mdmd.db";
    store::database db(store::sqlite_engine(file));
    std::string const old(3000, 'K');
    db.write([&](store::connection& c) { store::set_meta(c, "key", old); });
    db.write([&](store::connection& c) { store::set_meta(c, "gone", old); });
    db.forget_history();
    db.write([](store::connection& c) {
        store::set_meta(c, "key", "new");
        c.execute("DELETE FROM meta WHERE name = 'gone'");
    });
    db.forget_history();
    for (auto const& part : std::filesystem::directory_iterator(folder.path()))
        CHECK(test::read_file(part.path()).find("KKKKKKKKKK") == std::string::npos);
}

TEST_CASE("acknowledged writes are there when the file is opened again", "[store]") {
    test::scratch const folder;
    auto const file = folder.path() / "mdmd.db";
    {
        store::database(store::sqlite_engine(file)).write([](store::connection& c) { store::set_meta(c, "a", "1"); });
    }
    store::database again(store::sqlite_engine(file));
    CHECK(again.read([](store::connection& c) { return store::get_meta(c, "a"); }) == "1");
}

TEST_CASE("a database of a newer version is refused untouched", "[store]") {
    test::scratch const folder;
    auto const file = folder.path() / "mdmd.db";
    store::sqlite_engine(file)->migrate();
    store::sqlite_engine(file)->connect(false)->execute("PRAGMA user_version = 999");
    CHECK_THROWS_WITH(store::database(store::sqlite_engine(file)), Catch::Contains("newer version"));
    auto const c = store::sqlite_engine(file)->connect(true);
    auto const r = c->query("PRAGMA user_version");
    REQUIRE(r->next());
    CHECK(r->integer(0) == 999);
}

TEST_CASE("a file that is no database of ours is refused", "[store]") {
    test::scratch const folder;
    auto const file = folder.write("mdmd.db", std::string(4096, 'x'));
    CHECK_THROWS_AS(store::database(store::sqlite_engine(file)), store::store_error);
    CHECK_THROWS_WITH(
        store::database(store::sqlite_engine(folder.path() / "absent" / "mdmd.db")), Catch::Contains("No such file"));
}

TEST_CASE_METHOD(fixture, "a consent is added once and used once", "[store]") {
    store::consent const c{.id = "h",
        .user_id = "U",
        .upn = "u",
        .ownership = "personal",
        .client_request_id = "r",
        .accepted = now,
        .expires = now + 1h,
        .device_id = {},
        .used = {}};
    CHECK(db.write([&](store::connection& d) { return store::add_consent(d, c); }));
    CHECK_FALSE(db.write([&](store::connection& d) { return store::add_consent(d, c); }));
    CHECK(db.write([&](store::connection& d) { return store::use_consent(d, "h", "D1", now); }));
    CHECK_FALSE(db.write([&](store::connection& d) { return store::use_consent(d, "h", "D2", now); }));
    auto const found = db.read([](store::connection& d) { return store::find_consent(d, "h"); });
    REQUIRE(found);
    CHECK(found->device_id == "D1");
    CHECK(found->expires == now + 1h);
}

TEST_CASE_METHOD(fixture, "consents are listed newest first, all or those of one user", "[store]") {
    for (int i = 0; i < 3; ++i)
        CHECK(db.write([&](store::connection& d) {
            return store::add_consent(d, {.id = std::to_string(i),
                                             .user_id = i == 1 ? "u2" : "u1",
                                             .upn = i == 1 ? "Other@contoso.com" : "User@contoso.com",
                                             .ownership = "corporate",
                                             .client_request_id = "r",
                                             .text_version = "v" + std::to_string(i),
                                             .language = "de",
                                             .accepted = now + std::chrono::seconds(i),
                                             .expires = now + 1h,
                                             .device_id = {},
                                             .used = {}});
        }));
    auto const ids = [&](std::string_view user) {
        std::string all;
        for (auto const& c : db.read([&](store::connection& d) { return store::list_consents(d, user); }))
            all += c.id + c.text_version + c.language + " ";
        return all;
    };
    CHECK(ids("") == "2v2de 1v1de 0v0de ");
    CHECK(ids("user@contoso.com") == "2v2de 0v0de ");
    CHECK(ids("u2") == "1v1de ");
    CHECK(ids("nobody").empty());
}

TEST_CASE_METHOD(fixture, "a user has one PIN, the last that was put there", "[store]") {
    store::pin p{.upn = "b@contoso.com", .salt = "s", .hash = "h", .created = now, .expires = now + 1h, .used = {}};
    db.write([&](store::connection& c) { store::put_pin(c, p); });
    p.tries = 3;
    p.used = now;
    p.hash = "h2";
    db.write([&](store::connection& c) { store::put_pin(c, p); });
    p.upn = "a@contoso.com";
    db.write([&](store::connection& c) { store::put_pin(c, p); });
    auto const found = db.read([](store::connection& c) { return store::find_pin(c, "b@contoso.com"); });
    REQUIRE(found);
    CHECK(found->hash == "h2");
    CHECK(found->tries == 3);
    CHECK(found->used == now);
    CHECK(found->expires == now + 1h);
    auto const all = db.read([](store::connection& c) { return store::list_pins(c); });
    REQUIRE(all.size() == 2);
    CHECK(all[0].upn == "a@contoso.com");
    CHECK(db.write([](store::connection& c) { return store::remove_pin(c, "b@contoso.com"); }));
    CHECK_FALSE(db.write([](store::connection& c) { return store::remove_pin(c, "b@contoso.com"); }));
}

TEST_CASE_METHOD(fixture, "devices are found by id, Entra id and name, enrolled ones first", "[store]") {
    db.write([&](store::connection& c) {
        store::add_device(c, make("1", "PC"));
        store::add_device(c, make("2", "PC"));
        store::add_device(c, make("3", "Other"));
        store::set_device_state(c, "2", "unenrolled");
    });
    auto const ids = [&](std::string_view what) {
        std::string all;
        for (auto const& d : db.read([&](store::connection& c) { return store::find_devices(c, what); })) all += d.id;
        return all;
    };
    CHECK(ids("1") == "1");
    CHECK(ids("PC") == "1");
    CHECK(ids("E3") == "3");
    CHECK(ids("2") == "2");
    CHECK(ids("nobody").empty());
    CHECK(db.read([](store::connection& c) { return store::count_enrolled(c, "U"); }) == 2);
    CHECK(db.read([](store::connection& c) { return store::find_enrolled_hardware(c, "H2"); }).empty());
    auto const d = db.read([](store::connection& c) { return store::find_device(c, "3"); });
    REQUIRE(d);
    CHECK(d->device_secret.reveal() == "d");
    CHECK(d->device_nonce == "m");
    CHECK(d->server_nonce == "n");
}

TEST_CASE_METHOD(fixture, "one enrollment request never gets two certificates", "[store]") {
    store::certificate const one{"f1", "1", "S1", "pem", now, now + 24h, "request", {}};
    db.write([&](store::connection& c) {
        store::add_device(c, make("1"));
        store::add_certificate(c, one);
    });
    auto two = one;
    two.fingerprint = "f2";
    two.serial = "S2";
    CHECK_THROWS_AS(db.write([&](store::connection& c) { store::add_certificate(c, two); }), store::store_error);
    db.write([&](store::connection& c) { store::revoke_certificates(c, "1", now); });
    CHECK(
        db.read([](store::connection& c) { return store::find_certificate_by_request(c, "request"); })->revoked == now);
}

TEST_CASE("a probe of the store writes each time", "[store]") {
    test::scratch const folder;
    store::database db(store::sqlite_engine(folder.path() / "mdmd.db"));
    auto const log_size = [&] { return std::filesystem::file_size(folder.path() / "mdmd.db-wal"); };
    REQUIRE(db.probe());
    auto const before = log_size();
    REQUIRE(db.probe());
    CHECK(log_size() > before);
}

TEST_CASE("a full disk fails the write, is told, and ends when there is room", "[store]") {
    test::scratch const folder;
    store::database db(store::sqlite_engine(folder.path() / "mdmd.db"));
    db.write([](store::connection& c) { c.execute("PRAGMA max_page_count = 60"); });
    auto const fill = [&] {
        db.write([](store::connection& c) {
            for (int i = 0; i < 100; ++i) store::set_meta(c, new_guid(), std::string(4000, 'x'));
        });
    };
    CHECK_THROWS_AS(fill(), store::store_error);
    CHECK(db.probe());
    CHECK(db.healthy());
}
