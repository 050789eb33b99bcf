#include "store/enrollment.hpp"

#include "core/text.hpp"

namespace mdmd::store {

std::optional<std::string> get_meta(connection& db, std::string_view name) {
    auto const r = db.query("SELECT value FROM meta WHERE name = $1", {name});
    return r->next() ? std::optional(r->text(0)) : std::nullopt;
}

void set_meta(connection& db, std::string_view name, std::string_view value) {
    db.execute(
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2", {name, value});
}

namespace {

constexpr std::string_view consent_columns =
    "id, user_id, upn, ownership, client_request_id, text_version, language, accepted, expires, device_id, used";

consent read_consent(rows const& r) {
    return {.id = r.text(0),
        .user_id = r.text(1),
        .upn = r.text(2),
        .ownership = r.text(3),
        .client_request_id = r.text(4),
        .text_version = r.text(5),
        .language = r.text(6),
        .accepted = r.time(7),
        .expires = r.time(8),
        .device_id = r.maybe_text(9),
        .used = r.maybe_time(10)};
}

}  // namespace

bool add_consent(connection& db, consent const& c) {
    return db.execute("INSERT INTO consent (" + std::string(consent_columns) +
                          ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
               {c.id, c.user_id, c.upn, c.ownership, c.client_request_id, c.text_version, c.language, c.accepted,
                   c.expires, c.device_id, c.used}) == 1;
}

std::optional<consent> find_consent(connection& db, std::string_view id) {
    auto const r = db.query("SELECT " + std::string(consent_columns) + " FROM consent WHERE id = $1", {id});
    return r->next() ? std::optional(read_consent(*r)) : std::nullopt;
}

std::vector<consent> list_consents(connection& db, std::string_view user) {
    std::vector<consent> all;
    auto const r =
        db.query("SELECT " + std::string(consent_columns) +
                     " FROM consent WHERE $1 = '' OR lower(upn) = $1 OR user_id = $1 ORDER BY accepted DESC, id",
            {user});
    while (r->next()) all.push_back(read_consent(*r));
    return all;
}

bool use_consent(connection& db, std::string_view id, std::string_view device_id, time_point now) {
    return db.execute("UPDATE consent SET device_id = $2, used = $3 WHERE id = $1 AND used IS NULL",
               {id, device_id, now}) == 1;
}

namespace {

constexpr std::string_view device_columns =
    "id, mdm_device_id, hardware_id, entra_device_id, user_id, upn, ownership, enrollment_type, name, os_version, "
    "os_edition, correlation_id, state, enrolled, server_secret, server_nonce, device_secret, device_nonce, first_sync";

device read_device(rows const& r) {
    return {.id = r.text(0),
        .mdm_device_id = r.text(1),
        .hardware_id = r.text(2),
        .entra_device_id = r.text(3),
        .user_id = r.text(4),
        .upn = r.text(5),
        .ownership = r.text(6),
        .enrollment_type = r.text(7),
        .name = r.text(8),
        .os_version = r.text(9),
        .os_edition = r.text(10),
        .correlation_id = r.text(11),
        .state = r.text(12),
        .enrolled = r.time(13),
        .server_secret = secret(r.text(14)),
        .device_secret = secret(r.text(16)),
        .server_nonce = r.text(15),
        .device_nonce = r.text(17),
        .first_sync = r.text(18)};
}

std::vector<device> devices_where(connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<device> all;
    auto const sql = "SELECT " + std::string(device_columns) + " FROM device WHERE " + std::string(condition);
    for (auto const r = db.query(sql, values); r->next();) all.push_back(read_device(*r));
    return all;
}

std::optional<device> device_where(
    connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    auto all = devices_where(db, condition, values);
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

}  // namespace

void add_device(connection& db, device const& d) {
    db.execute(
        "INSERT INTO device (id, mdm_device_id, hardware_id, entra_device_id, user_id, upn, ownership, enrollment_type, name, "
        "os_version, os_edition, correlation_id, state, enrolled, server_secret, server_nonce, device_secret, device_nonce, first_sync) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        {d.id, d.mdm_device_id, d.hardware_id, d.entra_device_id, d.user_id, d.upn, d.ownership, d.enrollment_type,
            d.name, d.os_version, d.os_edition, d.correlation_id, d.state, d.enrolled, d.server_secret.reveal(),
            d.server_nonce, d.device_secret.reveal(), d.device_nonce, d.first_sync});
}

std::optional<device> find_device(connection& db, std::string_view id) { return device_where(db, "id = $1", {id}); }

std::vector<device> find_devices(connection& db, std::string_view id_or_name) {
    auto all = devices_where(db, "id = $1", {id_or_name});
    if (!all.empty()) return all;
    for (char const* where : {"(entra_device_id = $1 OR name = $1) AND state = 'enrolled' ORDER BY enrolled",
             "entra_device_id = $1 OR name = $1 ORDER BY enrolled"}) {
        all = devices_where(db, where, {id_or_name});
        if (!all.empty()) return all;
    }
    return all;
}

std::vector<device> list_devices(connection& db) { return devices_where(db, "1 = 1 ORDER BY enrolled, id", {}); }

std::vector<device> find_enrolled_hardware(connection& db, std::string_view hardware_id) {
    return devices_where(db, "hardware_id = $1 AND state = 'enrolled'", {hardware_id});
}

std::vector<device> find_enrolled_entra(connection& db, std::string_view entra_device_id) {
    return devices_where(db, "entra_device_id = $1 AND state = 'enrolled'", {entra_device_id});
}

std::vector<device> find_leaving(connection& db, std::string_view hardware_id, std::string_view entra_device_id) {
    std::vector<device> all;
    if (!hardware_id.empty())
        all = devices_where(db, "hardware_id = $1 AND state IN ('retired', 'wiped')", {hardware_id});
    if (!entra_device_id.empty())
        for (auto& d : devices_where(db, "entra_device_id = $1 AND state IN ('retired', 'wiped')", {entra_device_id}))
            if (d.hardware_id != hardware_id || hardware_id.empty()) all.push_back(std::move(d));
    return all;
}

std::int64_t count_enrolled(connection& db, std::string_view user_id) {
    auto const r = db.query("SELECT count(*) FROM device WHERE user_id = $1 AND state = 'enrolled'", {user_id});
    return r->next() ? r->integer(0) : 0;
}

void remove_device(connection& db, std::string_view id) { db.execute("DELETE FROM device WHERE id = $1", {id}); }

void set_device_state(connection& db, std::string_view id, std::string_view state) {
    db.execute("UPDATE device SET state = $2 WHERE id = $1", {id, state});
}

void set_device_details(connection& db, std::string_view id, std::string_view name, std::string_view os_version) {
    db.execute("UPDATE device SET name = $2, os_version = $3 WHERE id = $1", {id, name, os_version});
}

void set_entra_device_id(connection& db, std::string_view id, std::string_view entra_device_id) {
    db.execute("UPDATE device SET entra_device_id = $2 WHERE id = $1", {id, entra_device_id});
}

void set_first_sync(connection& db, std::string_view id, std::string_view stage) {
    db.execute("UPDATE device SET first_sync = $2 WHERE id = $1", {id, stage});
}

void set_nonces(connection& db, std::string_view id, std::string_view server_nonce, std::string_view device_nonce) {
    db.execute(
        "UPDATE device SET server_nonce = $2, device_nonce = $3 WHERE id = $1", {id, server_nonce, device_nonce});
}

std::optional<device> find_device_by_source(connection& db, std::string_view mdm_device_id) {
    return device_where(db,
        "mdm_device_id = $1 AND (state = 'enrolled' OR (state IN ('retired', 'wiped') AND EXISTS "
        "(SELECT 1 FROM certificate c WHERE c.device_id = device.id AND c.revoked IS NULL))) "
        "ORDER BY state = 'enrolled' DESC, enrolled DESC",
        {mdm_device_id});
}

void put_device_user(connection& db, std::string_view device_id, device_user const& u) {
    db.execute(
        "INSERT INTO device_user (device_id, user_id, upn, first_seen, first_sync) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (device_id, user_id) DO UPDATE SET upn = $3, first_sync = $5",
        {device_id, u.user_id, u.upn, u.first_seen, u.first_sync});
}

std::vector<device_user> list_device_users(connection& db, std::string_view device_id) {
    std::vector<device_user> all;
    auto const r = db.query(
        "SELECT user_id, upn, first_seen, first_sync FROM device_user WHERE device_id = $1 ORDER BY first_seen, user_id",
        {device_id});
    while (r->next()) all.push_back({r->text(0), r->text(1), r->time(2), r->text(3)});
    return all;
}

void put_user_groups(connection& db, user_groups const& u) {
    std::string joined;
    for (auto const& g : u.groups) joined += (joined.empty() ? "" : ",") + g;
    db.execute(
        "INSERT INTO user_groups (user_id, groups, fetched) VALUES ($1, $2, $3) "
        "ON CONFLICT (user_id) DO UPDATE SET groups = $2, fetched = $3",
        {u.user_id, joined, u.fetched});
}

std::optional<user_groups> find_user_groups(connection& db, std::string_view user_id) {
    auto const r = db.query("SELECT user_id, groups, fetched FROM user_groups WHERE user_id = $1", {user_id});
    if (!r->next()) return std::nullopt;
    user_groups u{.user_id = r->text(0), .groups = {}, .fetched = r->time(2)};
    auto const joined = r->text(1);
    for (auto const g : split(joined, ','))
        if (!g.empty()) u.groups.emplace_back(g);
    return u;
}

void forget_user_groups(connection& db) { db.execute("DELETE FROM user_groups"); }

std::vector<std::string> users_to_look_up(connection& db, time_point before, std::int64_t most) {
    std::vector<std::string> all;
    auto const r = db.query(
        "SELECT user_id FROM ("
        "SELECT user_id, 0 AS fetched FROM device WHERE state = 'enrolled' AND user_id <> '' "
        "AND user_id NOT IN (SELECT user_id FROM user_groups) "
        "UNION SELECT u.user_id, 0 FROM device_user u WHERE u.user_id NOT IN (SELECT user_id FROM user_groups) "
        "AND EXISTS (SELECT 1 FROM device d WHERE d.id = u.device_id AND d.state = 'enrolled') "
        "UNION SELECT g.user_id, g.fetched FROM user_groups g WHERE g.fetched <= $1 AND ("
        "EXISTS (SELECT 1 FROM device d WHERE d.user_id = g.user_id AND d.state = 'enrolled') OR "
        "EXISTS (SELECT 1 FROM device_user u JOIN device d ON d.id = u.device_id WHERE u.user_id = g.user_id "
        "AND d.state = 'enrolled'))) due ORDER BY fetched, user_id LIMIT $2",
        {before, most});
    while (r->next()) all.push_back(r->text(0));
    return all;
}

}  // namespace mdmd::store
