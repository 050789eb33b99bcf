#include "bench/store.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <memory>

#include "core/text.hpp"

namespace mdmd::bench {
namespace {

class database {
public:
    explicit database(std::filesystem::path const& file) {
        sqlite3* raw = nullptr;
        int const rc = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
        db_.reset(raw);
        if (rc != SQLITE_OK) fail(file.string());
    }
    void run(std::string const& sql) {
        if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
    }
    // The rows as text.
    std::vector<std::vector<std::string>> ask(std::string const& sql) {
        std::vector<std::vector<std::string>> all;
        auto const each = [](void* to, int count, char** values, char**) {
            auto& row = static_cast<decltype(all)*>(to)->emplace_back();
            for (int i = 0; i < count; ++i) row.emplace_back(values[i] ? values[i] : "");
            return 0;
        };
        if (sqlite3_exec(db_.get(), sql.c_str(), each, &all, nullptr) != SQLITE_OK) fail(sql);
        return all;
    }

private:
    [[noreturn]] void fail(std::string const& doing) const {
        throw std::runtime_error(fmt::format("{}: {}", doing.substr(0, 200), sqlite3_errmsg(db_.get())));
    }
    struct close {
        void operator()(sqlite3* d) const { sqlite3_close(d); }
    };
    std::unique_ptr<sqlite3, close> db_;
};

std::string quoted(std::string const& s) {
    std::string out = "'";
    for (char const c : s) {
        out += c;
        if (c == '\'') out += c;
    }
    return out + "'";
}

// What makes a row of another device: each column's name, and an expression over `n.i`, the number of the device.
std::string own_value(std::string const& table, std::string const& column) {
    auto const numbered = [](char const* form) { return fmt::format("printf('{}', n.i)", form); };
    if (column == "device_id" || (table == "device" && column == "id"))
        return numbered("0d000000-0000-4000-8000-%012x");
    if (column == "entra_device_id") return numbered("0e000000-0000-4000-8000-%012x");
    if (table == "report" && column == "object_id") return numbered("0f000000-0000-4000-8000-%012x");
    if (table == "device" && column == "mdm_device_id") return numbered("0D000000000000000000%012X");
    if (table == "device" && column == "hardware_id") return numbered("0A000000000000000000%012X");
    if (table == "device" && column == "name") return numbered("PC-%d");
    return "t." + column;
}

}  // namespace

std::vector<device> multiply(std::filesystem::path const& file, std::string const& name, std::size_t many,
    std::size_t playable, sim::private_key const& key) {
    database db(file);
    auto const found = db.ask("SELECT id FROM device WHERE name = " + quoted(name));
    if (found.size() != 1) throw std::runtime_error("there is no one device " + name);
    auto const id = quoted(found[0][0]);
    db.run(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; BEGIN; CREATE TEMP TABLE n (i INTEGER PRIMARY KEY)");
    db.run(
        fmt::format("INSERT INTO n WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT {}) SELECT i "
                    "FROM c",
            many));
    for (auto const* const table : {"device", "device_user", "session", "setting", "fact", "verdict", "verdict_history",
             "report", "push_channel"}) {
        std::vector<std::string> names, values;
        for (auto const& column : db.ask(fmt::format("PRAGMA table_info({})", table))) {
            names.push_back(column[1]);
            values.push_back(own_value(table, column[1]));
        }
        db.run(fmt::format("INSERT INTO {0} ({1}) SELECT {2} FROM n JOIN {0} t WHERE t.{3} = {4} ORDER BY n.i", table,
            fmt::join(names, ", "), fmt::join(values, ", "), std::string_view(table) == "device" ? "id" : "device_id",
            id));
    }

    auto const ca = db.ask("SELECT certificate, private_key FROM authority WHERE role = 'issuing'");
    auto const like = db.ask("SELECT pem, not_before, not_after FROM certificate WHERE device_id = " + id);
    if (ca.size() != 1 || like.size() != 1) throw std::runtime_error("no one authority and certificate");
    sim::identity const authority{sim::certificate::from_pem(ca[0][0]).value(), sim::private_key::from_pem(ca[0][1])};
    std::vector<device> devices;
    auto const public_key = key.public_der();
    for (std::size_t i = 1; i <= playable; ++i) {
        auto const own = sim::issue_client(authority, public_key, fmt::format("0d000000-0000-4000-8000-{:012x}", i));
        devices.push_back({fmt::format("0D000000000000000000{:012X}", i), own.der()});
        db.run(fmt::format(
            "INSERT INTO certificate VALUES ('{0}', '0d000000-0000-4000-8000-{1:012x}', 'b{1}', {2}, {3}, {4}, "
            "'b{1}', NULL, '', {3})",
            hex(sim::sha256(own.der())), i, quoted(own.pem()), to_ms(own.starts()), to_ms(own.ends())));
    }
    db.run(fmt::format(
        "INSERT INTO certificate SELECT printf('%064x', i), printf('0d000000-0000-4000-8000-%012x', i), 'b' || i, "
        "{}, {}, {}, 'b' || i, NULL, '', {} FROM n WHERE i > {}",
        quoted(like[0][0]), like[0][1], like[0][2], like[0][1], playable));
    db.run("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    return devices;
}

}  // namespace mdmd::bench
