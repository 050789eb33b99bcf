#include "store/commands.hpp"

namespace mdmd::store {
namespace {

constexpr std::string_view columns =
    "id, device_id, kind, user_id, verb, uri, format, value, queued, state, status, original_error, result, updated, "
    "deliveries, expires, stage, memory, detail";

std::vector<command> commands_where(
    connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<command> all;
    auto const sql = "SELECT " + std::string(columns) + " FROM command WHERE " + std::string(condition);
    for (auto const r = db.query(sql, values); r->next();)
        all.push_back({.id = r->text(0),
            .device_id = r->text(1),
            .kind = r->text(2),
            .user_id = r->text(3),
            .verb = r->text(4),
            .uri = r->text(5),
            .format = r->text(6),
            .value = r->maybe_text(7),
            .queued = r->time(8),
            .state = r->text(9),
            .status = r->maybe_integer(10),
            .original_error = r->text(11),
            .result = r->maybe_text(12),
            .updated = r->time(13),
            .deliveries = r->integer(14),
            .expires = r->maybe_time(15),
            .stage = r->text(16),
            .memory = r->text(17),
            .detail = r->text(18)});
    return all;
}

}  // namespace

void add_command(connection& db, command const& c) {
    db.execute(
        "INSERT INTO command (id, device_id, position, kind, user_id, verb, uri, format, value, queued, state, deliveries, "
        "status, original_error, result, updated, expires, stage, memory, detail) "
        "VALUES ($1, $2, (SELECT coalesce(max(position), 0) + 1 FROM command WHERE device_id = $2), $3, $4, $5, $6, $7, $8, "
        "$9, $10, 0, $11, $12, $13, $14, $15, $16, $17, $18)",
        {c.id, c.device_id, c.kind, c.user_id, c.verb, c.uri, c.format, c.value, c.queued, c.state, c.status,
            c.original_error, c.result, c.updated, c.expires, c.stage, c.memory, c.detail});
}

std::vector<command> list_commands(connection& db, std::string_view device_id) {
    return commands_where(db, "device_id = $1 ORDER BY position", {device_id});
}

// "state IN ('queued', 'sent')", as the index command_open has it: so the commands that are over are not looked at.
std::vector<command> open_commands(
    connection& db, std::string_view device_id, std::string_view user_id, std::int64_t most) {
    return commands_where(db,
        "device_id = $1 AND state IN ('queued', 'sent') AND user_id IN ('', $2) ORDER BY position LIMIT $3",
        {device_id, user_id, most});
}

std::optional<command> find_command(connection& db, std::string_view id) {
    auto all = commands_where(db, "id = $1", {id});
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

bool deliver_command(connection& db, std::string_view id, time_point now) {
    return db.execute(
               "UPDATE command SET state = 'sent', deliveries = deliveries + 1, updated = $2 "
               "WHERE id = $1 AND state IN ('queued', 'sent')",
               {id, now}) == 1;
}

bool update_command(connection& db, command const& c) {
    return db.execute(
               "UPDATE command SET state = $2, status = $3, original_error = $4, result = $5, stage = $6, memory = $7, detail = $8, "
               "updated = $9 WHERE id = $1 AND state IN ('queued', 'sent')",
               {c.id, c.state, c.status, c.original_error, c.result, c.stage, c.memory, c.detail, c.updated}) == 1;
}

void return_unanswered(connection& db, std::string_view device_id, time_point now) {
    db.execute(
        "UPDATE command SET state = CASE WHEN verb = 'exec' THEN 'unknown' WHEN deliveries >= $3 THEN 'failed' ELSE 'queued' END, "
        "detail = CASE WHEN verb = 'exec' THEN 'the device did not say what came of it' "
        "WHEN deliveries >= $3 THEN 'no answer, as often as it was sent' ELSE detail END, updated = $2 "
        "WHERE device_id = $1 AND state IN ('queued', 'sent') AND state = 'sent' AND stage IN ('', $4)",
        {device_id, now, most_deliveries, asked_stage});
}

void cancel_commands(connection& db, std::string_view device_id, time_point now) {
    db.execute(
        "UPDATE command SET state = 'cancelled', updated = $2 WHERE device_id = $1 AND state IN ('queued', 'sent')",
        {device_id, now});
}

bool cancel_command(connection& db, std::string_view id, std::string_view detail, time_point now) {
    return db.execute(
               "UPDATE command SET state = 'cancelled', detail = $2, updated = $3 WHERE id = $1 AND state = 'queued'",
               {id, detail, now}) == 1;
}

bool has_expired_commands(connection& db, time_point now) {
    return db.query("SELECT 1 FROM command WHERE state = 'queued' AND expires <= $1 LIMIT 1", {now})->next();
}

std::int64_t expire_commands(connection& db, time_point now, std::int64_t most) {
    return db.execute(
        "UPDATE command SET state = 'cancelled', detail = 'expired before the device took it', updated = $1 "
        "WHERE id IN (SELECT id FROM command WHERE state = 'queued' AND expires <= $1 LIMIT $2)",
        {now, most});
}

// "state NOT IN ('queued', 'sent')", as the index command_finished has it: no row is read, nor its result.
std::vector<std::string> commands_to_forget(
    connection& db, time_point before, std::int64_t most_kept, std::int64_t most) {
    std::vector<std::string> ids;
    auto const r = db.query(
        "SELECT id FROM (SELECT id, updated, row_number() OVER (PARTITION BY device_id ORDER BY position DESC) AS place "
        "FROM command WHERE state NOT IN ('queued', 'sent')) AS finished WHERE updated < $1 OR place > $2 LIMIT $3",
        {before, most_kept, most});
    while (r->next()) ids.push_back(r->text(0));
    return ids;
}

void forget_commands(connection& db, std::vector<std::string> const& ids) {
    for (auto const& id : ids) db.execute("DELETE FROM command WHERE id = $1", {id});
}

bool confirm_order(connection& db, std::string_view device_id, std::string_view kind, time_point now) {
    return db.execute(
               "UPDATE command SET state = 'done', detail = 'confirmed by the device', updated = $3 "
               "WHERE device_id = $1 AND kind = $2 AND state IN ('sent', 'unknown')",
               {device_id, kind, now}) > 0;
}

void refute_orders(connection& db, std::string_view device_id, std::string_view detail, time_point now) {
    db.execute(
        "UPDATE command SET state = 'failed', detail = $2, updated = $3 "
        "WHERE device_id = $1 AND kind IN ('wipe', 'retire') AND state = 'done'",
        {device_id, detail, now});
}

std::int64_t count_commands(connection& db, std::string_view state) {
    auto const r = db.query("SELECT count(*) FROM command WHERE state = $1", {state});
    return r->next() ? r->integer(0) : 0;
}

bool has_open_commands(connection& db, std::string_view device_id) {
    auto const r =
        db.query("SELECT 1 FROM command WHERE device_id = $1 AND state IN ('queued', 'sent') LIMIT 1", {device_id});
    return r->next();
}

}  // namespace mdmd::store
