#include "store/sign_ins.hpp"

#include "store/attempts.hpp"

namespace mdmd::store {

bool add_sign_in(connection& db, sign_in const& s) {
    db.execute("DELETE FROM sign_in WHERE expires < $1", {s.at - std::chrono::hours(24)});
    return db.execute(
               "INSERT INTO sign_in (id, request, user_id, upn, correlation_id, at, expires, device_id) "
               "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
               {s.id, s.request, s.user_id, s.upn, s.correlation_id, s.at, s.expires, s.device_id}) == 1;
}

std::optional<sign_in> find_sign_in(connection& db, std::string_view id) {
    auto const r = db.query(
        "SELECT id, request, user_id, upn, correlation_id, at, expires, device_id FROM sign_in WHERE id = $1", {id});
    if (!r->next()) return std::nullopt;
    return sign_in{.id = r->text(0),
        .request = r->text(1),
        .user_id = r->text(2),
        .upn = r->text(3),
        .correlation_id = r->text(4),
        .at = r->time(5),
        .expires = r->time(6),
        .device_id = r->maybe_text(7)};
}

bool use_sign_in(connection& db, std::string_view id, std::string_view device_id, time_point now) {
    auto const known = find_sign_in(db, id);
    if (!known || known->device_id || known->expires <= now) return false;
    db.execute("UPDATE sign_in SET device_id = $2 WHERE id = $1", {id, device_id});
    end_attempt(db, known->correlation_id, known->user_id);
    return true;
}

}  // namespace mdmd::store
