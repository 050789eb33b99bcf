#include "store/compliance.hpp"

namespace mdmd::store {

void put_verdict(connection& db, verdict const& v) {
    db.execute(
        "INSERT INTO verdict (device_id, state, since, grace_until, failing, unclear_since, acted, reasons, next_check) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (device_id) DO UPDATE SET state = $2, since = $3, "
        "grace_until = $4, failing = $5, unclear_since = $6, acted = $7, reasons = $8, next_check = $9",
        {v.device_id, v.state, v.since, v.grace_until, v.failing, v.unclear_since, v.acted, v.reasons, v.next_check});
}

std::optional<verdict> find_verdict(connection& db, std::string_view device_id) {
    auto const r = db.query(
        "SELECT device_id, state, since, grace_until, failing, unclear_since, acted, reasons, next_check FROM verdict "
        "WHERE device_id = $1",
        {device_id});
    if (!r->next()) return std::nullopt;
    return verdict{.device_id = r->text(0),
        .state = r->text(1),
        .since = r->time(2),
        .grace_until = r->maybe_time(3),
        .unclear_since = r->maybe_time(5),
        .failing = r->text(4),
        .acted = r->text(6),
        .reasons = r->text(7),
        .next_check = r->maybe_time(8)};
}

void add_past_verdict(connection& db, std::string_view device_id, past_verdict const& v, std::int64_t most) {
    std::int64_t number = 1;
    if (auto const r = db.query("SELECT max(number) FROM verdict_history WHERE device_id = $1", {device_id}); r->next())
        number = r->maybe_integer(0).value_or(0) + 1;
    db.execute("INSERT INTO verdict_history (device_id, number, at, state, reasons) VALUES ($1, $2, $3, $4, $5)",
        {device_id, number, v.at, v.state, v.reasons});
    db.execute("DELETE FROM verdict_history WHERE device_id = $1 AND number <= $2", {device_id, number - most});
}

std::vector<past_verdict> list_past_verdicts(connection& db, std::string_view device_id) {
    std::vector<past_verdict> all;
    auto const r =
        db.query("SELECT at, state, reasons FROM verdict_history WHERE device_id = $1 ORDER BY number", {device_id});
    while (r->next()) all.push_back({r->time(0), r->text(1), r->text(2)});
    return all;
}

std::vector<std::string> devices_to_check(connection& db, time_point now, std::int64_t most) {
    std::vector<std::string> all;
    auto const r = db.query(
        "SELECT v.device_id FROM verdict v JOIN device d ON d.id = v.device_id "
        "WHERE v.next_check <= $1 AND d.state = 'enrolled' ORDER BY v.next_check LIMIT $2",
        {now, most});
    while (r->next()) all.push_back(r->text(0));
    return all;
}

std::vector<std::string> enrolled_ids(connection& db) {
    std::vector<std::string> all;
    auto const r = db.query("SELECT id FROM device WHERE state = 'enrolled' ORDER BY id");
    while (r->next()) all.push_back(r->text(0));
    return all;
}

namespace {

constexpr std::string_view report_columns =
    "device_id, entra_device_id, is_managed, is_compliant, phase, object_id, attempts, next_try, error, last_success, resolved_again";

std::vector<report> reports_where(connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<report> all;
    auto const sql = "SELECT " + std::string(report_columns) + " FROM report WHERE " + std::string(condition);
    for (auto const r = db.query(sql, values); r->next();)
        all.push_back({r->text(0), r->text(1), r->flag(2), r->flag(3), r->text(4), r->text(5), r->integer(6),
            r->time(7), r->text(8), r->maybe_time(9), r->flag(10)});
    return all;
}

}  // namespace

void put_report(connection& db, report const& p) {
    db.execute(
        "INSERT INTO report (device_id, entra_device_id, is_managed, is_compliant, phase, object_id, attempts, next_try, error, "
        "last_success, resolved_again) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (device_id) DO UPDATE SET "
        "entra_device_id = $2, is_managed = $3, is_compliant = $4, phase = $5, object_id = $6, attempts = $7, next_try = $8, "
        "error = $9, last_success = $10, resolved_again = $11",
        {p.device_id, p.entra_device_id, p.is_managed, p.is_compliant, p.phase, p.object_id, p.attempts, p.next_try,
            p.error, p.last_success, p.resolved_again});
}

void remove_reports_of(connection& db, std::string_view entra_device_id) {
    db.execute("DELETE FROM report WHERE entra_device_id = $1", {entra_device_id});
}

std::optional<report> find_report(connection& db, std::string_view device_id) {
    auto all = reports_where(db, "device_id = $1", {device_id});
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

std::vector<report> due_reports(
    connection& db, time_point now, std::chrono::milliseconds longest, std::int64_t most, bool only_retries) {
    constexpr time_point never{std::chrono::seconds(253'402'300'799)};
    return reports_where(db,
        "phase IN ('due', 'parked') AND (next_try <= $1 OR (next_try > $4 AND next_try < $5)) AND attempts >= $3 "
        "AND entra_device_id <> '' ORDER BY next_try LIMIT $2",
        {now, most, only_retries ? 1 : 0, now + longest, never});
}

std::vector<report> old_reports(connection& db, time_point before, std::int64_t most) {
    return reports_where(
        db, "phase = 'done' AND is_managed = 1 AND last_success <= $1 ORDER BY last_success LIMIT $2", {before, most});
}

void retry_reports_now(connection& db, time_point now) {
    db.execute("UPDATE report SET next_try = $1 WHERE phase IN ('due', 'parked') AND next_try > $1", {now});
}

report_totals total_reports(connection& db) {
    report_totals t;
    {
        auto const r = db.query(
            "SELECT sum(CASE WHEN phase IN ('due', 'parked') THEN 1 ELSE 0 END), max(last_success) FROM report");
        if (r->next()) {
            t.queued = r->integer(0);
            t.last_success = r->maybe_time(1);
        }
    }
    auto const r = db.query(
        "SELECT error FROM report WHERE phase IN ('due', 'parked') AND error <> '' ORDER BY next_try DESC LIMIT 1");
    if (r->next()) t.last_error = r->text(0);
    return t;
}

std::vector<state_count> count_verdicts(connection& db) {
    std::vector<state_count> all;
    auto const r = db.query(
        "SELECT coalesce(v.state, 'unknown'), count(*) FROM device d LEFT JOIN verdict v ON v.device_id = d.id "
        "WHERE d.state = 'enrolled' GROUP BY 1 ORDER BY 1");
    while (r->next()) all.push_back({r->text(0), r->integer(1)});
    return all;
}

}  // namespace mdmd::store
