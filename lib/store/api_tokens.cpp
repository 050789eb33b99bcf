#include "store/api_tokens.hpp"

namespace mdmd::store {
namespace {

api_token read_token(rows const& r) {
    return {.name = r.text(0),
        .role = r.text(1),
        .digest = r.text(2),
        .created = r.time(3),
        .expires = r.time(4),
        .last_used = r.maybe_time(5)};
}

}  // namespace

bool add_api_token(connection& db, api_token const& t) {
    return db.execute(
               "INSERT INTO api_token (name, role, digest, created, expires, last_used) VALUES ($1, $2, $3, $4, $5, "
               "$6) ON CONFLICT (name) DO NOTHING",
               {t.name, t.role, t.digest, t.created, t.expires, t.last_used}) == 1;
}

std::optional<api_token> find_api_token(connection& db, std::string_view digest) {
    auto const r =
        db.query("SELECT name, role, digest, created, expires, last_used FROM api_token WHERE digest = $1", {digest});
    return r->next() ? std::optional(read_token(*r)) : std::nullopt;
}

std::vector<api_token> list_api_tokens(connection& db) {
    std::vector<api_token> all;
    auto const r = db.query("SELECT name, role, digest, created, expires, last_used FROM api_token ORDER BY name");
    while (r->next()) all.push_back(read_token(*r));
    return all;
}

bool remove_api_token(connection& db, std::string_view name) {
    return db.execute("DELETE FROM api_token WHERE name = $1", {name}) == 1;
}

void set_api_token_used(connection& db, std::string_view digest, time_point now) {
    db.execute("UPDATE api_token SET last_used = $2 WHERE digest = $1", {digest, now});
}

}  // namespace mdmd::store
