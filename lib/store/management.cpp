#include "store/management.hpp"

namespace mdmd::store {

void put_session(connection& db, session const& s) {
    db.execute(
        "INSERT INTO session (device_id, state, request_digest, reply, seen) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (device_id) DO UPDATE SET state = $2, request_digest = $3, reply = $4, seen = $5",
        {s.device_id, s.state, s.request_digest, s.reply, s.seen});
}

std::optional<session> find_session(connection& db, std::string_view device_id) {
    auto const r =
        db.query("SELECT device_id, state, request_digest, reply, seen FROM session WHERE device_id = $1", {device_id});
    if (!r->next()) return std::nullopt;
    return session{r->text(0), r->text(1), r->text(2), r->text(3), r->time(4)};
}

std::optional<time_point> last_seen(connection& db, std::string_view device_id) {
    auto const r = db.query("SELECT seen FROM session WHERE device_id = $1", {device_id});
    return r->next() ? std::optional(r->time(0)) : std::nullopt;
}

namespace {

constexpr std::string_view command_columns =
    "id, device_id, verb, uri, format, value, queued, state, status, original_error, result, updated, deliveries";

std::vector<command> commands_where(
    connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<command> all;
    auto const sql = "SELECT " + std::string(command_columns) + " FROM command WHERE " + std::string(condition) +
                     " ORDER BY position";
    for (auto const r = db.query(sql, values); r->next();)
        all.push_back({r->text(0), r->text(1), r->text(2), r->text(3), r->text(4), r->maybe_text(5), r->time(6),
            r->text(7), r->maybe_integer(8), r->text(9), r->maybe_text(10), r->time(11), r->integer(12)});
    return all;
}

}  // namespace

void add_command(connection& db, command const& c) {
    db.execute(
        "INSERT INTO command (id, device_id, position, verb, uri, format, value, queued, state, deliveries, status, original_error, result, updated) "
        "VALUES ($1, $2, (SELECT coalesce(max(position), 0) + 1 FROM command WHERE device_id = $2), $3, $4, $5, $6, $7, $8, 0, $9, "
        "$10, $11, $12)",
        {c.id, c.device_id, c.verb, c.uri, c.format, c.value, c.queued, c.state, c.status, c.original_error, c.result,
            c.updated});
}

std::vector<command> list_commands(connection& db, std::string_view device_id) {
    return commands_where(db, "device_id = $1", {device_id});
}

std::vector<command> open_commands(connection& db, std::string_view device_id) {
    return commands_where(db, "device_id = $1 AND state IN ('queued', 'sent')", {device_id});
}

void deliver_command(connection& db, std::string_view id, time_point now) {
    db.execute("UPDATE command SET state = 'sent', deliveries = deliveries + 1, updated = $2 WHERE id = $1", {id, now});
}

void finish_command(connection& db, std::string_view id, std::string_view state, int status,
    std::string_view original_error, std::optional<std::string> const& result, time_point now) {
    db.execute(
        "UPDATE command SET state = $2, status = $3, original_error = $4, result = $5, updated = $6 WHERE id = $1",
        {id, state, status, original_error, result, now});
}

void return_unanswered(connection& db, std::string_view device_id, time_point now) {
    db.execute(
        "UPDATE command SET state = CASE WHEN verb = 'exec' THEN 'unknown' WHEN deliveries >= $3 THEN 'failed' ELSE 'queued' END, "
        "original_error = CASE WHEN verb <> 'exec' AND deliveries >= $3 THEN 'no answer, as often as it was sent' "
        "ELSE original_error END, updated = $2 WHERE device_id = $1 AND state = 'sent'",
        {device_id, now, most_deliveries});
}

void cancel_commands(connection& db, std::string_view device_id, time_point now) {
    db.execute(
        "UPDATE command SET state = 'cancelled', updated = $2 WHERE device_id = $1 AND state IN ('queued', 'sent')",
        {device_id, now});
}

std::vector<setting> list_settings(connection& db, std::string_view device_id) {
    std::vector<setting> all;
    auto const r = db.query(
        "SELECT node, uri, format, value, policy, position, state, status, original_error, reported, attempts, delivered FROM setting "
        "WHERE device_id = $1 ORDER BY position, node",
        {device_id});
    while (r->next())
        all.push_back({r->text(0), r->text(1), r->text(2), r->maybe_text(3), r->text(4), r->integer(5), r->text(6),
            r->integer(7), r->text(8), r->maybe_text(9), r->integer(10), r->flag(11)});
    return all;
}

void put_setting(connection& db, std::string_view device_id, setting const& s) {
    db.execute(
        "INSERT INTO setting (device_id, node, uri, format, value, policy, position, state, status, original_error, reported, attempts, delivered) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (device_id, node) DO UPDATE SET uri = $3, "
        "format = $4, value = $5, policy = $6, position = $7, state = $8, status = $9, original_error = $10, reported = $11, "
        "attempts = $12, delivered = $13",
        {device_id, s.node, s.uri, s.format, s.value, s.policy, s.position, s.state, s.status, s.original_error,
            s.reported, s.attempts, s.delivered});
}

void remove_setting(connection& db, std::string_view device_id, std::string_view node) {
    db.execute("DELETE FROM setting WHERE device_id = $1 AND node = $2", {device_id, node});
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

}  // namespace mdmd::store
