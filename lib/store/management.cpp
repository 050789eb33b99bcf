#include "store/management.hpp"

namespace mdmd::store {

void put_session(connection& db, session const& s) {
    db.execute(
        "INSERT INTO session (device_id, state, request_digest, reply, seen, refreshed) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (device_id) DO UPDATE SET state = $2, request_digest = $3, reply = $4, seen = $5, refreshed = $6",
        {s.device_id, s.state, s.request_digest, s.reply, s.seen, s.refreshed});
}

std::optional<session> find_session(connection& db, std::string_view device_id) {
    auto const r =
        db.query("SELECT device_id, state, request_digest, reply, seen, refreshed FROM session WHERE device_id = $1",
            {device_id});
    if (!r->next()) return std::nullopt;
    return session{r->text(0), r->text(1), r->text(2), r->text(3), r->time(4), r->time(5)};
}

std::optional<time_point> last_seen(connection& db, std::string_view device_id) {
    auto const r = db.query("SELECT seen FROM session WHERE device_id = $1", {device_id});
    return r->next() ? std::optional(r->time(0)) : std::nullopt;
}

void put_trace(connection& db, trace const& t, std::int64_t most) {
    if (t.idle)
        db.execute(
            "DELETE FROM trace WHERE device_id = $1 AND idle = 1 AND position = (SELECT max(position) FROM trace WHERE device_id = $1)",
            {t.device_id});
    // A device that is gone meanwhile leaves no trace.
    db.execute(
        "INSERT INTO trace (device_id, position, began, session_id, idle, messages) "
        "SELECT $1, (SELECT coalesce(max(position), 0) + 1 FROM trace WHERE device_id = $1), $2, $3, $4, $5 "
        "WHERE EXISTS (SELECT 1 FROM device WHERE id = $1)",
        {t.device_id, t.began, t.session_id, t.idle, t.messages});
    db.execute(
        "DELETE FROM trace WHERE device_id = $1 AND position NOT IN "
        "(SELECT position FROM trace WHERE device_id = $1 ORDER BY position DESC LIMIT $2)",
        {t.device_id, most});
}

std::vector<trace> list_traces(connection& db, std::string_view device_id) {
    std::vector<trace> all;
    auto const r = db.query(
        "SELECT device_id, began, session_id, idle, messages FROM trace WHERE device_id = $1 ORDER BY position",
        {device_id});
    while (r->next()) all.push_back({r->text(0), r->time(1), r->text(2), r->flag(3), r->text(4)});
    return all;
}

namespace {

std::vector<setting> settings_of(std::unique_ptr<rows> r) {
    std::vector<setting> all;
    while (r->next())
        all.push_back({r->text(0), r->text(1), r->text(2), r->text(3), r->maybe_text(4), r->text(5), r->integer(6),
            r->text(7), r->integer(8), r->text(9), r->maybe_text(10), r->integer(11), r->flag(12), r->text(13)});
    return all;
}

}  // namespace

std::vector<setting> list_settings(connection& db, std::string_view device_id) {
    return settings_of(db.query(
        "SELECT user_id, node, uri, format, value, policy, position, state, status, original_error, reported, attempts, delivered, "
        "note FROM setting WHERE device_id = $1 ORDER BY user_id, position, node",
        {device_id}));
}

std::vector<setting> list_settings_of(connection& db, std::string_view device_id, std::string_view user_id) {
    return settings_of(db.query(
        "SELECT user_id, node, uri, format, value, policy, position, state, status, original_error, reported, attempts, delivered, "
        "note FROM setting WHERE device_id = $1 AND user_id = $2 ORDER BY node",
        {device_id, user_id}));
}

std::map<std::string, std::int64_t> count_settings(connection& db) {
    std::map<std::string, std::int64_t> all;
    auto const r = db.query(
        "SELECT s.state, count(*) FROM setting s JOIN device d ON d.id = s.device_id WHERE d.state = 'enrolled' "
        "GROUP BY s.state");
    while (r->next()) all[r->text(0)] = r->integer(1);
    return all;
}

void put_setting(connection& db, std::string_view device_id, setting const& s) {
    db.execute(
        "INSERT INTO setting (device_id, user_id, node, uri, format, value, policy, position, state, status, original_error, reported, "
        "attempts, delivered, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
        "ON CONFLICT (device_id, user_id, node) DO UPDATE SET uri = $4, format = $5, value = $6, policy = $7, position = $8, "
        "state = $9, status = $10, original_error = $11, reported = $12, attempts = $13, delivered = $14, note = $15",
        {device_id, s.user_id, s.node, s.uri, s.format, s.value, s.policy, s.position, s.state, s.status,
            s.original_error, s.reported, s.attempts, s.delivered, s.note});
}

void remove_setting(connection& db, std::string_view device_id, std::string_view user_id, std::string_view node) {
    db.execute("DELETE FROM setting WHERE device_id = $1 AND user_id = $2 AND node = $3", {device_id, user_id, node});
}

std::vector<fact> list_facts(connection& db, std::string_view device_id) {
    std::vector<fact> all;
    auto const r =
        db.query("SELECT node, status, value, since FROM fact WHERE device_id = $1 ORDER BY node", {device_id});
    while (r->next()) all.push_back({r->text(0), r->integer(1), r->maybe_text(2), r->time(3)});
    return all;
}

void put_fact(connection& db, std::string_view device_id, fact const& f) {
    db.execute(
        "INSERT INTO fact (device_id, node, status, value, since) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (device_id, node) DO UPDATE SET status = $3, value = $4, since = $5",
        {device_id, f.node, f.status, f.value, f.since});
}

void remove_fact(connection& db, std::string_view device_id, std::string_view node) {
    db.execute("DELETE FROM fact WHERE device_id = $1 AND node = $2", {device_id, node});
}

}  // namespace mdmd::store
