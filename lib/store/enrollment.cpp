#include "store/enrollment.hpp"

namespace mdmd::store {

std::optional<std::string> get_meta(connection& db, std::string_view name) {
    auto const r = db.query("SELECT value FROM meta WHERE name = $1", {name});
    return r->next() ? std::optional(r->text(0)) : std::nullopt;
}

void set_meta(connection& db, std::string_view name, std::string_view value) {
    db.execute(
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2", {name, value});
}

std::optional<authority_part> find_authority(connection& db, std::string_view role) {
    auto const r = db.query("SELECT role, certificate, private_key, created FROM authority WHERE role = $1", {role});
    if (!r->next()) return std::nullopt;
    return authority_part{r->text(0), r->text(1), secret(r->text(2)), r->time(3)};
}

void add_authority(connection& db, authority_part const& a) {
    db.execute("INSERT INTO authority (role, certificate, private_key, created) VALUES ($1, $2, $3, $4)",
        {a.role, a.certificate_pem, a.key_pem.reveal(), a.created});
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
    "os_edition, correlation_id, state, enrolled, server_secret, server_nonce, device_secret, device_nonce";

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
        .device_nonce = r.text(17)};
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
        "os_version, os_edition, correlation_id, state, enrolled, server_secret, server_nonce, device_secret, device_nonce) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        {d.id, d.mdm_device_id, d.hardware_id, d.entra_device_id, d.user_id, d.upn, d.ownership, d.enrollment_type,
            d.name, d.os_version, d.os_edition, d.correlation_id, d.state, d.enrolled, d.server_secret.reveal(),
            d.server_nonce, d.device_secret.reveal(), d.device_nonce});
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

std::optional<device> find_enrolled_hardware(connection& db, std::string_view hardware_id, std::string_view user_id) {
    return device_where(db, "hardware_id = $1 AND user_id = $2 AND state = 'enrolled'", {hardware_id, user_id});
}

std::vector<device> find_enrolled_entra(connection& db, std::string_view entra_device_id) {
    return devices_where(db, "entra_device_id = $1 AND state = 'enrolled'", {entra_device_id});
}

std::int64_t count_enrolled(connection& db, std::string_view user_id) {
    auto const r = db.query("SELECT count(*) FROM device WHERE user_id = $1 AND state = 'enrolled'", {user_id});
    return r->next() ? r->integer(0) : 0;
}

void set_device_state(connection& db, std::string_view id, std::string_view state) {
    db.execute("UPDATE device SET state = $2 WHERE id = $1", {id, state});
}

void set_device_details(connection& db, std::string_view id, std::string_view name, std::string_view os_version) {
    db.execute("UPDATE device SET name = $2, os_version = $3 WHERE id = $1", {id, name, os_version});
}

void set_entra_device_id(connection& db, std::string_view id, std::string_view entra_device_id) {
    db.execute("UPDATE device SET entra_device_id = $2 WHERE id = $1", {id, entra_device_id});
}

namespace {

constexpr std::string_view certificate_columns =
    "fingerprint, device_id, serial, pem, not_before, not_after, request_digest, revoked";

std::vector<certificate> certificates_where(
    connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<certificate> all;
    auto const sql = "SELECT " + std::string(certificate_columns) + " FROM certificate WHERE " + std::string(condition);
    for (auto const r = db.query(sql, values); r->next();)
        all.push_back(
            {r->text(0), r->text(1), r->text(2), r->text(3), r->time(4), r->time(5), r->text(6), r->maybe_time(7)});
    return all;
}

}  // namespace

void add_certificate(connection& db, certificate const& c) {
    db.execute(
        "INSERT INTO certificate (fingerprint, device_id, serial, pem, not_before, not_after, request_digest, revoked) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        {c.fingerprint, c.device_id, c.serial, c.pem, c.not_before, c.not_after, c.request_digest, c.revoked});
}

std::optional<certificate> find_certificate(connection& db, std::string_view fingerprint) {
    auto all = certificates_where(db, "fingerprint = $1", {fingerprint});
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

std::optional<certificate> find_certificate_by_request(connection& db, std::string_view request_digest) {
    auto all = certificates_where(db, "request_digest = $1", {request_digest});
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

std::vector<certificate> list_certificates(connection& db, std::string_view device_id) {
    return certificates_where(db, "device_id = $1 ORDER BY not_before", {device_id});
}

void revoke_certificates(connection& db, std::string_view device_id, time_point now) {
    db.execute("UPDATE certificate SET revoked = $2 WHERE device_id = $1 AND revoked IS NULL", {device_id, now});
}

}  // namespace mdmd::store
