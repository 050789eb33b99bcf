#include "store/entra.hpp"

namespace mdmd::store {

void put_document(connection& db, entra_document const& d) {
    db.execute(
        "INSERT INTO entra_document (name, text, fetched) VALUES ($1, $2, $3) "
        "ON CONFLICT (name) DO UPDATE SET text = $2, fetched = $3",
        {d.name, d.text, d.fetched});
}

std::optional<entra_document> find_document(connection& db, std::string_view name) {
    auto const r = db.query("SELECT name, text, fetched FROM entra_document WHERE name = $1", {name});
    if (!r->next()) return std::nullopt;
    return entra_document{r->text(0), r->text(1), r->time(2)};
}

void put_reminder(connection& db, reminder const& m) {
    db.execute(
        "INSERT INTO reminder (what, ends, threshold, at, command_due, webhook_due, attempts, next_try, error) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (what) DO UPDATE SET ends = $2, threshold = $3, "
        "at = $4, command_due = $5, webhook_due = $6, attempts = $7, next_try = $8, error = $9",
        {m.what, m.ends, m.threshold_s, m.at, m.command_due, m.webhook_due, m.attempts, m.next_try, m.error});
}

void remove_reminder(connection& db, std::string_view what) {
    db.execute("DELETE FROM reminder WHERE what = $1", {what});
}

std::vector<reminder> list_reminders(connection& db) {
    std::vector<reminder> all;
    auto const r = db.query(
        "SELECT what, ends, threshold, at, command_due, webhook_due, attempts, next_try, error FROM reminder ORDER BY ends, what");
    while (r->next())
        all.push_back({r->text(0), r->time(1), r->integer(2), r->time(3), r->flag(4), r->flag(5), r->integer(6),
            r->time(7), r->text(8)});
    return all;
}

}  // namespace mdmd::store
