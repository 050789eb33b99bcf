#include "store/apps.hpp"

namespace mdmd::store {

std::vector<app> list_apps(connection& db, std::string_view device_id) {
    std::vector<app> all;
    auto const r = db.query(
        "SELECT product_code, policy, intent, job, version, state, status, msi_status, last_error, detail, installed_version, "
        "attempts, since, next_try FROM app WHERE device_id = $1 ORDER BY product_code",
        {device_id});
    while (r->next())
        all.push_back({r->text(0), r->text(1), r->text(2), r->text(3), r->text(4), r->text(5), r->integer(6),
            r->integer(7), r->text(8), r->text(9), r->text(10), r->integer(11), r->time(12), r->time(13)});
    return all;
}

void put_app(connection& db, std::string_view device_id, app const& a) {
    db.execute(
        "INSERT INTO app (device_id, product_code, policy, intent, job, version, state, status, msi_status, last_error, detail, "
        "installed_version, attempts, since, next_try) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
        "ON CONFLICT (device_id, product_code) DO UPDATE SET policy = $3, intent = $4, job = $5, version = $6, state = $7, "
        "status = $8, msi_status = $9, last_error = $10, detail = $11, installed_version = $12, attempts = $13, since = $14, "
        "next_try = $15",
        {device_id, a.product_code, a.policy, a.intent, a.job, a.version, a.state, a.status, a.msi_status, a.last_error,
            a.detail, a.installed_version, a.attempts, a.since, a.next_try});
}

void remove_app(connection& db, std::string_view device_id, std::string_view product_code) {
    db.execute("DELETE FROM app WHERE device_id = $1 AND product_code = $2", {device_id, product_code});
}

}  // namespace mdmd::store
