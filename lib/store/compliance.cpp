#include "store/compliance.hpp"

#include <algorithm>
#include <iterator>

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

constexpr time_point never{std::chrono::seconds(253'402'300'799)};

// As the indexes have it.
constexpr char fresh[] = "phase = 'due' AND attempts = 0";
constexpr char tried[] = "phase = 'due' AND attempts > 0";
constexpr char parked[] = "phase = 'parked'";
constexpr char done[] = "phase = 'done'";

std::vector<report> reports_where(connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<report> all;
    auto const sql =
        "SELECT device_id, entra_device_id, is_managed, is_compliant, decided, revision, told, phase, object_id, "
        "was_known, attempts, next_try, error, last_success, resolved_again FROM report WHERE " +
        std::string(condition);
    for (auto const r = db.query(sql, values); r->next();)
        all.push_back({.device_id = r->text(0),
            .entra_device_id = r->text(1),
            .is_managed = r->flag(2),
            .is_compliant = r->flag(3),
            .decided = r->time(4),
            .revision = r->integer(5),
            .told = r->integer(6),
            .phase = r->text(7),
            .object_id = r->text(8),
            .was_known = r->flag(9),
            .attempts = r->integer(10),
            .next_try = r->time(11),
            .error = r->text(12),
            .last_success = r->maybe_time(13),
            .resolved_again = r->flag(14)});
    return all;
}

}  // namespace

void put_report(connection& db, report const& p) {
    db.execute(
        "INSERT INTO report (device_id, entra_device_id, is_managed, is_compliant, decided, revision, told, phase, object_id, "
        "was_known, attempts, next_try, error, last_success, resolved_again) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (device_id) DO UPDATE SET "
        "entra_device_id = $2, is_managed = $3, is_compliant = $4, decided = $5, revision = $6, told = $7, phase = $8, "
        "object_id = $9, was_known = $10, attempts = $11, next_try = $12, error = $13, last_success = $14, resolved_again = $15",
        {p.device_id, p.entra_device_id, p.is_managed, p.is_compliant, p.decided, p.revision, p.told, p.phase,
            p.object_id, p.was_known, p.attempts, p.next_try, p.error, p.last_success, p.resolved_again});
}

void remove_reports_of(connection& db, std::string_view entra_device_id) {
    db.execute("DELETE FROM report WHERE entra_device_id = $1", {entra_device_id});
}

std::optional<report> find_report(connection& db, std::string_view device_id) {
    auto all = reports_where(db, "device_id = $1", {device_id});
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

std::vector<report> due_reports(
    connection& db, time_point now, std::chrono::milliseconds longest, std::int64_t most, which_reports which) {
    // Each of these is a walk along one index, which ends after as many rows as are wanted.
    auto const come = [&](std::string const& condition) {
        std::vector<report> all;
        for (auto const& [from, to] :
            {std::pair(from_ms(-1), now), {now + longest, never - std::chrono::milliseconds(1)}}) {
            auto more = reports_where(
                db, condition + " AND next_try > $1 AND next_try <= $2 ORDER BY next_try LIMIT $3", {from, to, most});
            std::move(more.begin(), more.end(), std::back_inserter(all));
        }
        return all;
    };
    auto all = come(tried);
    if (which == which_reports::all) {
        auto more = come(fresh);
        std::move(more.begin(), more.end(), std::back_inserter(all));
        std::stable_sort(
            all.begin(), all.end(), [](report const& a, report const& b) { return a.next_try < b.next_try; });
    }
    for (auto const* condition : {parked, done}) {
        if (all.size() >= static_cast<std::size_t>(most)) break;
        auto more = come(condition);
        std::move(more.begin(), more.end(), std::back_inserter(all));
    }
    if (all.size() > static_cast<std::size_t>(most)) all.resize(static_cast<std::size_t>(most));
    return all;
}

void retry_reports_now(connection& db, time_point now) {
    for (std::string const condition : {fresh, tried, parked})
        db.execute("UPDATE report SET next_try = $1 WHERE " + condition + " AND next_try > $1", {now});
}

void hasten_refresh(connection& db, std::chrono::seconds refresh) {
    auto const ms = std::chrono::milliseconds(refresh).count();
    db.execute(
        "UPDATE report SET next_try = last_success + $1 WHERE phase = 'done' AND is_managed = 1 AND next_try > last_success + $2",
        {ms, ms + ms / 10 + 1});
}

report_totals total_reports(connection& db) {
    report_totals t;
    auto const count = [&](std::string const& condition) {
        auto const r = db.query("SELECT count(*) FROM report WHERE " + condition);
        return r->next() ? r->integer(0) : 0;
    };
    t.parked = count(parked);
    t.queued = t.parked + count(fresh) + count(tried);
    if (auto const r =
            db.query("SELECT decided FROM report WHERE phase = 'due' AND told <> revision ORDER BY decided LIMIT 1");
        r->next())
        t.oldest = r->time(0);
    if (auto const r = db.query("SELECT max(last_success) FROM report"); r->next()) t.last_success = r->maybe_time(0);
    // The one that is tried last.
    std::optional<time_point> latest;
    for (auto const* failed : {tried, parked}) {
        auto const r = db.query(
            std::string("SELECT error, next_try FROM report WHERE ") + failed + " ORDER BY next_try DESC LIMIT 1");
        if (!r->next() || (latest && r->time(1) <= *latest)) continue;
        t.last_error = r->text(0);
        latest = r->time(1);
    }
    return t;
}

std::vector<report_reason> queued_reasons(connection& db, std::int64_t most) {
    std::vector<report_reason> all;
    auto const r = db.query(
        "SELECT error, count(*) FROM report WHERE phase IN ('due', 'parked') GROUP BY error ORDER BY 2 DESC, 1 LIMIT $1",
        {most});
    while (r->next()) all.push_back({r->text(0), r->integer(1)});
    return all;
}

void add_told_report(connection& db, told_report const& t, std::int64_t most) {
    std::int64_t last = 0;
    if (auto const r = db.query(
            "SELECT position FROM report_history WHERE device_id = $1 ORDER BY position DESC LIMIT 1", {t.device_id});
        r->next())
        last = r->integer(0);
    db.execute(
        "INSERT INTO report_history (device_id, position, entra_device_id, at, decided, is_managed, is_compliant, result) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        {t.device_id, last + 1, t.entra_device_id, t.at, t.decided, t.is_managed, t.is_compliant, t.result});
    db.execute("DELETE FROM report_history WHERE device_id = $1 AND position <= $2", {t.device_id, last + 1 - most});
}

bool was_refused(connection& db, std::string_view device_id, time_point decided) {
    return db
        .query("SELECT 1 FROM report_history WHERE device_id = $1 AND decided = $2 AND result <> '204'",
            {device_id, decided})
        ->next();
}

std::vector<told_report> list_told_reports(connection& db, std::string_view device_id) {
    std::vector<told_report> all;
    auto const r = db.query(
        "SELECT device_id, entra_device_id, at, decided, is_managed, is_compliant, result FROM report_history "
        "WHERE device_id = $1 ORDER BY position DESC",
        {device_id});
    while (r->next())
        all.push_back({r->text(0), r->text(1), r->time(2), r->time(3), r->flag(4), r->flag(5), r->text(6)});
    return all;
}

std::int64_t forget_told_reports(connection& db, time_point before, std::int64_t most) {
    return db.execute(
        "DELETE FROM report_history WHERE (device_id, position) IN "
        "(SELECT device_id, position FROM report_history WHERE at < $1 ORDER BY at LIMIT $2)",
        {before, most});
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
