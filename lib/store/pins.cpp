#include "store/pins.hpp"

namespace mdmd::store {
namespace {

pin read_pin(rows const& r) {
    return {.upn = r.text(0),
        .salt = r.text(1),
        .hash = r.text(2),
        .created = r.time(3),
        .expires = r.time(4),
        .tries = r.integer(5),
        .used = r.maybe_time(6)};
}

}  // namespace

void put_pin(connection& db, pin const& p) {
    db.execute(
        "INSERT INTO pin (upn, salt, hash, created, expires, tries, used) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (upn) DO UPDATE SET salt = $2, hash = $3, created = $4, expires = $5, tries = $6, used = $7",
        {p.upn, p.salt, p.hash, p.created, p.expires, p.tries, p.used});
}

std::optional<pin> find_pin(connection& db, std::string_view upn) {
    auto const r = db.query("SELECT upn, salt, hash, created, expires, tries, used FROM pin WHERE upn = $1", {upn});
    return r->next() ? std::optional(read_pin(*r)) : std::nullopt;
}

bool remove_pin(connection& db, std::string_view upn) {
    return db.execute("DELETE FROM pin WHERE upn = $1", {upn}) == 1;
}

std::vector<pin> list_pins(connection& db) {
    std::vector<pin> all;
    auto const r = db.query("SELECT upn, salt, hash, created, expires, tries, used FROM pin ORDER BY upn");
    while (r->next()) all.push_back(read_pin(*r));
    return all;
}

}  // namespace mdmd::store
