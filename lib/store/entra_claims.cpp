#include "store/entra_claims.hpp"

namespace mdmd::store {

void put_entra_claim(connection& db, entra_claim const& c) {
    db.execute(
        "INSERT INTO entra_claim (device_id, entra_device_id, since, next_try, problem) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (device_id) DO UPDATE SET entra_device_id = $2, since = $3, next_try = $4, problem = $5",
        {c.device_id, c.entra_device_id, c.since, c.next_try, c.problem});
}

void remove_entra_claim(connection& db, std::string_view device_id) {
    db.execute("DELETE FROM entra_claim WHERE device_id = $1", {device_id});
}

std::optional<entra_claim> find_entra_claim(connection& db, std::string_view device_id) {
    auto const r =
        db.query("SELECT device_id, entra_device_id, since, next_try, problem FROM entra_claim WHERE device_id = $1",
            {device_id});
    if (!r->next()) return std::nullopt;
    return entra_claim{r->text(0), r->text(1), r->time(2), r->time(3), r->text(4)};
}

std::vector<due_claim> due_entra_claims(
    connection& db, time_point now, std::chrono::milliseconds longest, std::int64_t most) {
    std::vector<due_claim> all;
    auto const r = db.query(
        "SELECT c.device_id, c.entra_device_id, c.since, c.next_try, c.problem, d.user_id FROM entra_claim c "
        "JOIN device d ON d.id = c.device_id WHERE d.state = 'enrolled' AND (c.next_try <= $1 OR c.next_try > $2) "
        "ORDER BY c.next_try LIMIT $3",
        {now, now + longest, most});
    while (r->next()) all.push_back({{r->text(0), r->text(1), r->time(2), r->time(3), r->text(4)}, r->text(5)});
    return all;
}

void retry_entra_claims_now(connection& db, time_point now) {
    db.execute("UPDATE entra_claim SET next_try = $1 WHERE next_try > $1", {now});
}

}  // namespace mdmd::store
