#include "backup/backup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <set>

#include "core/text.hpp"
#include "crypto/seal.hpp"
#include "store/database.hpp"
#include "store/enrollment.hpp"
#include "store/schema.hpp"
#include "test/support.hpp"

using namespace mdmd;

namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;

std::string sealed(std::string_view content, secret const& passphrase = {}) {
    std::string out;
    backup::envelope_writer to([&](std::string_view s) { out += s; }, passphrase);
    to.add(content);
    to.finish();
    return out;
}

result<std::string> opened(std::string file, secret const& passphrase = {}, std::size_t piece = chunk_bytes) {
    auto from = backup::envelope_reader::open(
        [&](std::size_t most) {
            auto some = file.substr(0, std::min(most, piece));
            file.erase(0, some.size());
            return some;
        },
        passphrase);
    if (!from) return from.error();
    std::string all;
    while (true) {
        auto more = from->next();
        if (!more) return more.error();
        if (more->empty()) return all;
        all += *more;
    }
}

struct place {
    test::scratch folder;
    std::filesystem::path file = folder.path() / "mdmd.db";
    secret const passphrase{"correct horse"};

    place() {
        store::database db(store::sqlite_engine(file));
        db.write([](store::connection& c) {
            for (int i = 0; i < 300; ++i) store::set_meta(c, std::to_string(i), std::string(1000, 'v'));
        });
    }
    result<backup::manifest> write(std::string const& name, secret const& with = {}) const {
        descriptor const to(::open((folder.path() / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
        return backup::write(file, to.get(), with, {"1.2.3", "mdm1", from_ms(1'800'000'000'000)});
    }
    result<backup::unpacked> unpack(std::string const& name, secret const& with = {}) const {
        descriptor const from(::open((folder.path() / name).c_str(), O_RDONLY));
        return backup::unpack(from.get(), with, file);
    }
    std::set<std::string> files() const {  // but for the database's side files
        std::set<std::string> all;
        for (auto const& f : std::filesystem::directory_iterator(folder.path())) {
            auto const name = f.path().filename().string();
            if (name != "mdmd.db-wal" && name != "mdmd.db-shm") all.insert(name);
        }
        return all;
    }
};

// An envelope whose content is this manifest and then this.
std::string made(std::string const& manifest, std::string const& rest) {
    std::string content(4, '\0');
    content[2] = static_cast<char>(manifest.size() >> 8);
    content[3] = static_cast<char>(manifest.size() & 0xff);
    return sealed(content + manifest + rest);
}

}  // namespace

TEST_CASE("what was put into an envelope comes out of it, whatever its length", "[backup]") {
    auto const length = GENERATE(
        as<std::size_t>(), 0, 1, chunk_bytes - 1, chunk_bytes, chunk_bytes + 1, 2 * chunk_bytes, 3 * chunk_bytes + 17);
    auto const passphrase = GENERATE(as<std::string>(), "", "word");
    std::string content;
    while (content.size() < length) content += fmt::format("{} ", content.size());
    content.resize(length);
    auto const file = sealed(content, secret(passphrase));
    CHECK(opened(file, secret(passphrase)).value() == content);
    CHECK(opened(file, secret(passphrase), 1000).value() == content);
    CHECK(sealed(content, secret(passphrase)) != file);
}

TEST_CASE("an envelope that was changed anywhere is not opened", "[backup][security]") {
    auto const passphrase = secret(GENERATE(as<std::string>(), "", "word"));
    auto const file = sealed(std::string(2 * chunk_bytes + 100, 'x'), passphrase);
    auto const tag = (file.size() - 32 - (2 * chunk_bytes + 100)) / 3;
    SECTION("one bit of it") {
        // Each opening of an encrypted one takes a tenth of a second.
        for (auto const at : {std::size_t{0}, std::size_t{12}, std::size_t{13}, std::size_t{14}, std::size_t{20},
                 std::size_t{32}, 32 + chunk_bytes - 1, 32 + chunk_bytes, 32 + chunk_bytes + tag, file.size() - tag - 1,
                 file.size() - 1}) {
            auto bad = file;
            bad[at] = static_cast<char>(bad[at] ^ 4);
            CAPTURE(at);
            CHECK_FALSE(opened(bad, passphrase));
        }
    }
    SECTION("its end") {
        for (auto const length : {std::size_t{0}, std::size_t{5}, std::size_t{31}, std::size_t{32}, std::size_t{40},
                 32 + chunk_bytes, 32 + chunk_bytes + tag, 32 + 2 * (chunk_bytes + tag), file.size() - 1}) {
            CAPTURE(length);
            CHECK_FALSE(opened(file.substr(0, length), passphrase));
        }
        CHECK_FALSE(opened(file + "x", passphrase));
    }
    SECTION("the order of its chunks") {
        auto const first = file.substr(32, chunk_bytes + tag),
                   second = file.substr(32 + chunk_bytes + tag, chunk_bytes + tag);
        CHECK_FALSE(
            opened(file.substr(0, 32) + second + first + file.substr(32 + 2 * (chunk_bytes + tag)), passphrase));
        CHECK_FALSE(opened(file.substr(0, 32) + first + file.substr(32 + 2 * (chunk_bytes + tag)), passphrase));
    }
}

TEST_CASE("an envelope says why it is not opened", "[backup]") {
    auto const locked = sealed("content", secret("word"));
    auto newer = sealed("content");
    newer[12] = 2;
    CHECK(opened(locked, secret("Word")).error().code == errc::unauthenticated);
    CHECK(opened(locked).error().detail == "it is encrypted: name its --passphrase-file");
    CHECK(opened(sealed("content"), secret("word")).error().code == errc::unauthenticated);
    CHECK(opened(newer).error().code == errc::unsupported);
    CHECK(opened("PK\3\4 a zip archive, longer than a header").error().code == errc::malformed);
}

TEST_CASE("an encrypted envelope shows nothing of its content", "[backup][security]") {
    CHECK(sealed("BEGIN PRIVATE KEY", secret("word")).find("PRIVATE") == std::string::npos);
    CHECK(sealed("BEGIN PRIVATE KEY").find("PRIVATE") != std::string::npos);
}

TEST_CASE("the format is what is written down of it", "[backup]") {
    auto const file = sealed("content", secret("word"));
    auto const header = file.substr(0, 32);
    CHECK(header.substr(0, 16) == std::string("mdmd backup\n\1\1\0\0", 16));
    auto const key = crypto::scrypt("word", header.substr(16), 16);
    CHECK(crypto::unseal(key, std::string(11, '\0') + '\1', header, file.substr(32)).value() == "content");
    auto const plain = sealed("content");
    CHECK(plain.substr(32) == "content" + crypto::sha256(plain.substr(0, 32) + std::string(11, '\0') + "\1content"));
}

TEST_CASE_METHOD(place, "a backup holds what the database has at that moment, while others write", "[backup]") {
    store::database db(store::sqlite_engine(file));
    db.write([](store::connection& c) { store::set_meta(c, "last", "1"); });
    auto const with = GENERATE(as<std::string>(), "", "word");
    auto const m = write("backup", secret(with)).value();
    CHECK(m.mdmd == "1.2.3");
    CHECK(m.host == "mdm1");
    CHECK(m.schema == static_cast<std::int64_t>(store::migrations().size()));
    db.write([](store::connection& c) { store::set_meta(c, "last", "2"); });
    auto const got = unpack("backup", secret(with)).value();
    CHECK(got.what->sha256 == m.sha256);
    CHECK(std::filesystem::file_size(got.file->path()) == m.size);
    auto const copy = store::sqlite_engine(got.file->path())->connect(true);
    CHECK(store::get_meta(*copy, "last") == "1");
}

TEST_CASE_METHOD(place, "neither a backup nor what comes of it leaves anything beside the database", "[backup]") {
    REQUIRE(write("backup", passphrase));
    REQUIRE(unpack("backup", passphrase));
    CHECK_FALSE(unpack("backup", secret("another")));
    CHECK(files() == std::set<std::string>{"mdmd.db", "backup"});
}

TEST_CASE_METHOD(place, "a damaged database is not backed up", "[backup]") {
    auto bytes = test::read_file(file);
    // The last page is one that is in use.
    bytes.replace(bytes.size() - 4096, 4096, std::string(4096, '\xff'));
    std::ofstream(file, std::ios::binary) << bytes;
    bool refused = false;
    try {
        refused = !write("backup");
    } catch (store::store_error const&) {
        refused = true;
    }
    CHECK(refused);
}

TEST_CASE_METHOD(place, "a copy that mdmd kept before an upgrade is taken as it is", "[backup]") {
    folder.write("mdmd.db.schema-1", "");
    store::copy_database(file, folder.path() / "mdmd.db.schema-1");
    auto const got = unpack("mdmd.db.schema-1").value();
    CHECK_FALSE(got.what);
    CHECK(got.schema == 1);
}

TEST_CASE_METHOD(place, "what is not a whole database of this mdmd's is refused", "[backup][security]") {
    auto const mend = [&](std::string const& sql) {
        auto const copy = folder.write("copy", "");
        store::copy_database(file, copy);
        auto const c = store::sqlite_engine(copy)->connect(false);
        c->execute("PRAGMA journal_mode = DELETE");
        c->execute(sql);
    };
    SECTION("a newer schema") {
        mend("PRAGMA user_version = 999");
        CHECK(unpack("copy").error().code == errc::conflict);
        CHECK(unpack("copy").error().detail.find("schema version 999") != std::string::npos);
    }
    SECTION("another program's") {
        mend("PRAGMA application_id = 1");
        CHECK(unpack("copy").error().code == errc::malformed);
    }
    SECTION("the file of one in use") {
        std::filesystem::copy_file(file, folder.path() / "copy");
        CHECK(unpack("copy").error().detail.find("-wal") != std::string::npos);
    }
    SECTION("rows that refer to nothing") {
        auto const copy = folder.write("copy", "");
        store::copy_database(file, copy);
        auto const c = store::sqlite_engine(copy)->connect(false);
        c->execute("PRAGMA journal_mode = DELETE");
        c->execute("PRAGMA foreign_keys = OFF");
        c->execute("INSERT INTO push_channel VALUES ('nobody', '', 0, 0)");
        CHECK(unpack("copy").error().code == errc::malformed);
    }
}

TEST_CASE_METHOD(place, "a backup whose content is not what its manifest says is refused", "[backup][security]") {
    folder.write("db", "");
    store::copy_database(file, folder.path() / "db");
    auto const db = test::read_file(folder.path() / "db");
    auto const good =
        backup::manifest{"1.2.3", 1, from_ms(1'800'000'000'000), "mdm1", db.size(), hex(crypto::sha256(db))};
    auto const refused = [&](std::string const& manifest, std::string const& rest) {
        folder.write("bad", made(manifest, rest));
        auto const got = unpack("bad");
        return got ? std::string("taken") : got.error().detail;
    };
    auto const change = [&](auto what) {
        auto m = good;
        what(m);
        return backup::to_json(m);
    };
    CHECK(refused(backup::to_json(good), db) == "taken");
    CHECK(refused(backup::to_json(good), db + "x") == "it is longer than it says");
    CHECK(refused(backup::to_json(good), db.substr(1)) == "it is shorter than it says");
    CHECK(refused(change([](auto& m) { m.sha256[0] = m.sha256[0] == '0' ? '1' : '0'; }), db) ==
          "its database is not the one that it names");
    CHECK(refused(change([](auto& m) { m.schema = 7; }), db) == "its database has another schema version than it says");
    CHECK(refused("{\"format\": 2}", db).find("manifest has format 2") != std::string::npos);
    CHECK(refused(std::string(20'000, ' '), db) == "its manifest is too long");
    for (auto const* text :
        {"", "[]", "{}", "{\"format\":\"1\"}", "{\"format\":1}", "\xff",
            R"({"format":1,"mdmd":"1","schema":1,"made":"yesterday","host":"h","parts":[]})",
            R"({"format":1,"mdmd":"1","schema":-1,"made":"2026-11-27T20:00:00Z","host":"h","parts":[{"name":"database","size":1,"sha256":""}]})",
            R"({"format":1,"mdmd":"1","schema":1,"made":"2026-11-27T20:00:00Z","host":"h","parts":[{"name":"../x","size":1,"sha256":""}]})",
            R"({"format":1,"mdmd":"1","schema":1,"made":"2026-11-27T20:00:00Z","host":"h","parts":[{"name":"database","size":-1,"sha256":""}]})"}) {
        CAPTURE(text);
        CHECK(refused(text, db) == "its manifest cannot be read");
    }
    CHECK(files() == std::set<std::string>{"mdmd.db", "bad", "db"});
}
