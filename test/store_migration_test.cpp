#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <array>
#include <csignal>
#include <set>

#include <fmt/format.h>

#include "store/database.hpp"
#include "store/files.hpp"
#include "store/schema.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

using store::connection;
using store::migration;

constexpr migration first{"CREATE TABLE a (x BIGINT); CREATE TABLE b (y BIGINT); INSERT INTO a VALUES (1)"};
constexpr migration second{"ALTER TABLE a ADD COLUMN z BIGINT NOT NULL DEFAULT 7"};
constexpr migration third{"CREATE TABLE c (v BIGINT)", [](connection& c) { c.execute("INSERT INTO c VALUES (3)"); }};
constexpr migration fourth{"DROP TABLE b"};
constexpr std::array all_steps{first, second, third, fourth};
std::span<migration const> upto(std::size_t version) { return std::span(all_steps).first(version); }

void fills(connection& c) {
    c.execute(
        "INSERT INTO a (x, z) SELECT value, 1 FROM (WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 "
        "FROM n LIMIT 100000) SELECT value FROM n)");
}
void dies(connection& c) {
    fills(c);
    ::kill(::getpid(), SIGKILL);
}

struct place {
    test::scratch folder;
    std::filesystem::path file = folder.path() / "mdmd.db";

    void migrate(std::span<migration const> steps) const { store::sqlite_engine(file, steps)->migrate(); }
    std::int64_t number(char const* sql) const {
        auto const c = store::sqlite_engine(file)->connect(true);
        auto const r = c->query(sql);
        return r->next() ? r->integer(0) : -1;
    }
    std::int64_t version() const { return number("PRAGMA user_version"); }
    std::set<std::string> others() const {  // files beside the database and its side files
        std::set<std::string> all;
        for (auto const& f : std::filesystem::directory_iterator(folder.path())) {
            auto const name = f.path().filename().string();
            if (name != "mdmd.db" && name != "mdmd.db-wal" && name != "mdmd.db-shm") all.insert(name);
        }
        return all;
    }
    std::string copy(int version) const { return fmt::format("{}.schema-{}", file.string(), version); }
    // In a process of its own; how it ended, as of waitpid().
    template <class Work> int apart(Work work) const {
        pid_t const child = ::fork();
        if (child == 0) {
            try {
                work();
                ::_exit(0);
            } catch (store::store_error const&) {
                ::_exit(1);
            }
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return status;
    }
};

}  // namespace

TEST_CASE_METHOD(place, "a database is copied before it is changed, and only then", "[store]") {
    migrate(upto(1));
    CHECK(others().empty());
    migrate(upto(1));
    CHECK(others().empty());
    migrate(upto(3));
    CHECK(version() == 3);
    CHECK(number("SELECT z FROM a") == 7);
    CHECK(number("SELECT v FROM c") == 3);
    CHECK(others() == std::set<std::string>{"mdmd.db.schema-1"});
    struct stat s {};
    REQUIRE(::stat(copy(1).c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0600);
    auto const before = store::sqlite_engine(copy(1))->connect(true);
    CHECK(before->query("SELECT x FROM a")->next());
    CHECK_THROWS_AS(before->query("SELECT z FROM a"), store::store_error);
}

TEST_CASE_METHOD(place, "a copy before an upgrade has what is in the write-ahead log only", "[store]") {
    migrate(upto(1));
    auto const writer = store::sqlite_engine(file)->connect(false);
    writer->execute("INSERT INTO a VALUES (42)");
    migrate(upto(2));
    CHECK(store::sqlite_engine(copy(1))->connect(true)->query("SELECT x FROM a WHERE x = 42")->next());
}

TEST_CASE_METHOD(place, "the newest two copies are kept", "[store]") {
    for (std::size_t version = 1; version <= 4; ++version) migrate(upto(version));
    CHECK(others() == std::set<std::string>{"mdmd.db.schema-2", "mdmd.db.schema-3"});
}

TEST_CASE_METHOD(place, "an upgrade that is killed at any step leaves the database as it was", "[store]") {
    migrate(upto(1));
    for (std::size_t at = 1; at < all_steps.size(); ++at) {
        CAPTURE(at);
        auto steps = all_steps;
        steps[at].then = dies;
        int const ended = apart([&] { migrate(steps); });
        REQUIRE(WIFSIGNALED(ended));
        CHECK(WTERMSIG(ended) == SIGKILL);
        CHECK(version() == 1);
        CHECK(number("SELECT count(*) FROM a") == 1);
        CHECK(number("SELECT count(*) FROM b") == 0);
        CHECK(number("SELECT count(*) FROM sqlite_master") == 2);
        migrate(upto(1));  // the program before it goes on with it
    }
    migrate(all_steps);
    CHECK(version() == 4);
    CHECK(others() == std::set<std::string>{"mdmd.db.schema-1"});
}

TEST_CASE_METHOD(place, "an upgrade for which the disk is too small leaves the database as it was", "[store]") {
    migrate(upto(1));
    auto steps = all_steps;
    SECTION("in a step") {
        steps[2] = {"PRAGMA max_page_count = 10", fills};
        CHECK_THROWS_WITH(migrate(steps), Catch::Contains("stays at schema version 1; bringing it to 4 failed"));
        CHECK(others() == std::set<std::string>{"mdmd.db.schema-1"});
    }
    SECTION("for the copy") {
        {
            auto const writer = store::sqlite_engine(file)->connect(false);
            for (int i = 0; i < 100; ++i) writer->execute("INSERT INTO b SELECT randomblob(4000)");
        }
        int const ended = apart([&] {
            // No file grows further than this; the database is longer, its side files are not.
            rlimit const small{100'000, 100'000};
            std::signal(SIGXFSZ, SIG_IGN);
            ::setrlimit(RLIMIT_FSIZE, &small);
            migrate(steps);
        });
        REQUIRE(WIFEXITED(ended));
        CHECK(WEXITSTATUS(ended) == 1);
        CHECK(others().empty());
    }
    CHECK(version() == 1);
    CHECK(number("SELECT count(*) FROM a") == 1);
    migrate(all_steps);
    CHECK(version() == 4);
}

TEST_CASE_METHOD(place, "a copy that a killed upgrade began is removed by the next one", "[store]") {
    migrate(upto(1));
    folder.write("mdmd.db.schema-1.unfinished-AbCdEf", "half");
    migrate(upto(2));
    CHECK(others() == std::set<std::string>{"mdmd.db.schema-1"});
}

TEST_CASE_METHOD(place, "steps that leave rows without what they refer to are undone", "[store]") {
    constexpr std::array steps{
        migration{"CREATE TABLE p (id BIGINT PRIMARY KEY); CREATE TABLE q (p BIGINT REFERENCES p (id));"
                  "INSERT INTO p VALUES (1); INSERT INTO q VALUES (1)"},
        migration{"DELETE FROM p"}};
    migrate(std::span(steps).first(1));
    CHECK_THROWS_WITH(migrate(steps), Catch::Contains("stays at schema version 1"));
    CHECK(number("SELECT count(*) FROM p") == 1);
}

TEST_CASE_METHOD(place, "a step makes a table anew without losing the rows that refer to it", "[store]") {
    constexpr std::array steps{
        migration{"CREATE TABLE p (id BIGINT PRIMARY KEY); CREATE TABLE q (p BIGINT REFERENCES p (id) "
                  "ON DELETE CASCADE); INSERT INTO p VALUES (1); INSERT INTO q VALUES (1)"},
        migration{
            "CREATE TABLE n (id BIGINT PRIMARY KEY, more TEXT); INSERT INTO n SELECT id, '' FROM p; DROP TABLE p; "
            "ALTER TABLE n RENAME TO p"}};
    migrate(std::span(steps).first(1));
    migrate(steps);
    CHECK(number("SELECT count(*) FROM q") == 1);
}

TEST_CASE_METHOD(place, "a newer database is refused with both versions and the copy to go back to", "[store]") {
    migrate(upto(1));
    migrate(upto(3));
    CHECK_THROWS_WITH(migrate(upto(2)),
        Catch::Contains("has schema version 3, this mdmd knows 2") && Catch::Contains("mdmctl restore " + copy(1)));
    CHECK(version() == 3);
    std::filesystem::remove(copy(1));
    CHECK_THROWS_WITH(migrate(upto(2)), Catch::Contains("mdmctl restore BACKUP"));
}

TEST_CASE_METHOD(place, "going back with the kept copy gives what was there before the upgrade", "[store]") {
    migrate(upto(1));
    migrate(upto(4));
    store::sqlite_engine(file)->connect(false)->execute("INSERT INTO c VALUES (99)");
    {
        store::file_lock const lock(file, store::file_lock::kind::alone, 0ms);
        std::filesystem::copy_file(copy(1), folder.path() / "back");
        store::replace_database(folder.path() / "back", file, folder.path() / "aside", lock);
    }
    migrate(upto(1));
    CHECK(number("SELECT x FROM a") == 1);
    CHECK(number("SELECT count(*) FROM sqlite_master") == 2);
    CHECK(store::sqlite_engine(folder.path() / "aside")->connect(true)->query("SELECT v FROM c WHERE v = 99")->next());
    migrate(upto(4));
    CHECK(version() == 4);
}

TEST_CASE_METHOD(place, "the log of a replaced database is never taken for one of the new", "[store]") {
    migrate(upto(1));
    auto const kept = folder.path() / "kept";
    { std::ofstream(kept).close(); }
    store::copy_database(file, kept);
    // A daemon that was killed leaves its log; the database itself is wrecked.
    apart([&] {
        auto const c = store::sqlite_engine(file)->connect(false);
        c->execute("INSERT INTO a VALUES (2)");
        ::kill(::getpid(), SIGKILL);
    });
    REQUIRE(std::filesystem::file_size(file.string() + "-wal") > 0);
    std::ofstream(file, std::ios::binary) << std::string(5000, 'x');
    {
        store::file_lock const lock(file, store::file_lock::kind::alone, 0ms);
        store::replace_database(kept, file, folder.path() / "aside", lock);
    }
    CHECK(number("SELECT count(*) FROM a") == 1);
    CHECK(test::read_file(folder.path() / "aside") == std::string(5000, 'x'));
}

TEST_CASE_METHOD(place, "a database that a program has open is not replaced", "[store]") {
    migrate(upto(1));
    auto const open = store::sqlite_engine(file, upto(1));
    open->migrate();
    CHECK_THROWS_WITH(store::file_lock(file, store::file_lock::kind::alone, 0ms), Catch::Contains("in use"));
}

TEST_CASE_METHOD(place, "a database with tables that is not mdmd's is refused", "[store]") {
    store::sqlite_engine(file)->connect(false)->execute("CREATE TABLE theirs (x)");
    CHECK_THROWS_WITH(migrate(all_steps), Catch::Contains("is not a database of mdmd"));
    CHECK(number("SELECT count(*) FROM sqlite_master") == 1);
}

namespace {

// Every statement that makes the schema, in the order of its making.
std::string schema_of(std::filesystem::path const& file) {
    std::string all;
    auto const c = store::sqlite_engine(file)->connect(true);
    auto const r = c->query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid");
    while (r->next()) all += r->text(0) + ";\n";
    return all;
}

std::filesystem::path released(std::size_t version) {
    return test::golden(fmt::format("store/schema-{}.sql", version));
}

}  // namespace

TEST_CASE_METHOD(place, "no step to a released schema has changed since", "[store]") {
    for (std::size_t version = 1; version <= store::migrations().size(); ++version) {
        CAPTURE(version);
        auto const one = folder.path() / fmt::format("{}.db", version);
        store::sqlite_engine(one, store::migrations().first(version))->migrate();
        test::matches_golden(fmt::format("store/schema-{}.sql", version), schema_of(one));
    }
}

TEST_CASE_METHOD(place, "a database of every released schema is brought to today's", "[store]") {
    store::sqlite_engine(file)->migrate();
    for (std::size_t version = 1; std::filesystem::exists(released(version)); ++version) {
        CAPTURE(version);
        auto const one = folder.path() / fmt::format("{}.db", version);
        auto const sql = test::read_file(released(version));
        {
            auto const c = store::sqlite_engine(one)->connect(false);
            for (std::size_t at = 0, end = 0; (end = sql.find(";\n", at)) != std::string::npos; at = end + 2)
                c->execute(sql.substr(at, end - at));
            c->execute(fmt::format("PRAGMA application_id = {}", 0x6d646d64));
            c->execute(fmt::format("PRAGMA user_version = {}", version));
        }
        store::sqlite_engine(one)->migrate();
        CHECK(schema_of(one) == schema_of(file));
    }
}
