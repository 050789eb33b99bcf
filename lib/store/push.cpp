#include "store/push.hpp"

namespace mdmd::store {

void put_push_channel(connection& db, push_channel const& c) {
    db.execute(
        "INSERT INTO push_channel (device_id, uri, status, since) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (device_id) DO UPDATE SET uri = $2, status = $3, since = $4",
        {c.device_id, c.uri, c.status, c.since});
}

std::optional<push_channel> find_push_channel(connection& db, std::string_view device_id) {
    auto const r = db.query("SELECT device_id, uri, status, since FROM push_channel WHERE device_id = $1", {device_id});
    if (!r->next()) return std::nullopt;
    return push_channel{r->text(0), r->text(1), r->integer(2), r->time(3)};
}

void drop_push_channel(connection& db, std::string_view device_id, std::string_view uri) {
    db.execute("UPDATE push_channel SET uri = '' WHERE device_id = $1 AND uri = $2", {device_id, uri});
}

}  // namespace mdmd::store
