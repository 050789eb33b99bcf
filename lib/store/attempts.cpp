#include "store/attempts.hpp"

namespace mdmd::store {

void put_attempt(connection& db, attempt const& a, std::int64_t most) {
    end_attempt(db, a.id, a.user_id);
    db.execute(
        "INSERT INTO attempt (id, user_id, stage, upn, entra_device_id, os_version, device_id, enrollment_type, due) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        {a.id, a.user_id, a.stage, a.upn, a.entra_device_id, a.os_version, a.device_id, a.enrollment_type, a.due});
    db.execute(
        "DELETE FROM attempt WHERE user_id = $1 AND stage <> 'issued' AND id IN (SELECT id FROM attempt "
        "WHERE user_id = $1 AND stage <> 'issued' ORDER BY due DESC, id LIMIT 1000 OFFSET $2)",
        {a.user_id, most});
}

void end_attempt(connection& db, std::string_view id, std::string_view user_id) {
    db.execute("DELETE FROM attempt WHERE id = $1 AND user_id = $2", {id, user_id});
}

void end_attempts_of(connection& db, std::string_view device_id) {
    db.execute("DELETE FROM attempt WHERE device_id = $1", {device_id});
}

bool any_due_attempt(connection& db, time_point now) {
    return db.query("SELECT 1 FROM attempt WHERE due <= $1 LIMIT 1", {now})->next();
}

namespace {

constexpr std::string_view columns =
    "id, user_id, stage, upn, entra_device_id, os_version, device_id, enrollment_type, due";

std::vector<attempt> attempts_where(
    connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<attempt> all;
    auto const sql = "SELECT " + std::string(columns) + " FROM attempt WHERE " + std::string(condition);
    for (auto const r = db.query(sql, values); r->next();)
        all.push_back({r->text(0), r->text(1), r->text(2), r->text(3), r->text(4), r->text(5), r->text(6), r->text(7),
            r->time(8)});
    return all;
}

}  // namespace

std::optional<attempt> find_attempt(connection& db, std::string_view id) {
    auto all = attempts_where(db, "id = $1", {id});
    return all.size() == 1 ? std::optional(std::move(all.front())) : std::nullopt;
}

std::optional<attempt> find_accepted_attempt(connection& db, std::string_view user_id) {
    auto all = attempts_where(db, "user_id = $1 AND stage = 'accepted' ORDER BY due DESC, id LIMIT 1", {user_id});
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

std::vector<attempt> take_due_attempts(connection& db, time_point now, std::int64_t most) {
    auto due = attempts_where(db, "due <= $1 ORDER BY due, id LIMIT $2", {now, most});
    for (auto const& a : due) end_attempt(db, a.id, a.user_id);
    return due;
}

}  // namespace mdmd::store
