#include "store/notices.hpp"

namespace mdmd::store {

void put_notice(connection& db, notice const& n) {
    db.execute(
        "INSERT INTO notice (id, at, body, command_due, webhook_due, attempts, next_try, error) VALUES ($1, $2, $3, $4, $5, "
        "$6, $7, $8) ON CONFLICT (id) DO UPDATE SET command_due = $4, webhook_due = $5, attempts = $6, next_try = $7, "
        "error = $8",
        {n.id, n.at, n.body, n.command_due, n.webhook_due, n.attempts, n.next_try, n.error});
}

std::vector<notice> list_notices(connection& db, std::int64_t most) {
    std::vector<notice> all;
    auto const r = db.query(
        "SELECT id, at, body, command_due, webhook_due, attempts, next_try, error FROM notice ORDER BY next_try, at LIMIT $1",
        {most});
    while (r->next())
        all.push_back(
            {r->text(0), r->time(1), r->text(2), r->flag(3), r->flag(4), r->integer(5), r->time(6), r->text(7)});
    return all;
}

void remove_notice(connection& db, std::string_view id) { db.execute("DELETE FROM notice WHERE id = $1", {id}); }

std::int64_t count_notices(connection& db) {
    auto const r = db.query("SELECT count(*) FROM notice");
    return r->next() ? r->integer(0) : 0;
}

}  // namespace mdmd::store
