#include "store/certificates.hpp"

namespace mdmd::store {
namespace {

constexpr std::string_view columns =
    "fingerprint, device_id, serial, pem, not_before, not_after, request_digest, revoked, renewed_from, first_used";

std::vector<certificate> certificates_where(
    connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    std::vector<certificate> all;
    auto const sql = "SELECT " + std::string(columns) + " FROM certificate WHERE " + std::string(condition);
    for (auto const r = db.query(sql, values); r->next();)
        all.push_back({.fingerprint = r->text(0),
            .device_id = r->text(1),
            .serial = r->text(2),
            .pem = r->text(3),
            .not_before = r->time(4),
            .not_after = r->time(5),
            .request_digest = r->text(6),
            .revoked = r->maybe_time(7),
            .renewed_from = r->text(8),
            .first_used = r->maybe_time(9)});
    return all;
}

std::optional<certificate> certificate_where(
    connection& db, std::string_view condition, std::initializer_list<parameter> values) {
    auto all = certificates_where(db, condition, values);
    return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

}  // namespace

void add_certificate(connection& db, certificate const& c) {
    db.execute(
        "INSERT INTO certificate (fingerprint, device_id, serial, pem, not_before, not_after, request_digest, revoked, "
        "renewed_from, first_used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        {c.fingerprint, c.device_id, c.serial, c.pem, c.not_before, c.not_after, c.request_digest, c.revoked,
            c.renewed_from, c.first_used});
}

std::optional<certificate> find_certificate(connection& db, std::string_view fingerprint) {
    return certificate_where(db, "fingerprint = $1", {fingerprint});
}

std::optional<certificate> find_certificate_by_request(connection& db, std::string_view request_digest) {
    return certificate_where(db, "request_digest = $1", {request_digest});
}

std::vector<certificate> list_certificates(connection& db, std::string_view device_id) {
    return certificates_where(db, "device_id = $1 ORDER BY not_before, not_after, fingerprint", {device_id});
}

void revoke_certificates(connection& db, std::string_view device_id, time_point now) {
    db.execute("UPDATE certificate SET revoked = $2 WHERE device_id = $1 AND revoked IS NULL", {device_id, now});
}

bool use_certificate(connection& db, std::string_view fingerprint, time_point now) {
    auto const c = find_certificate(db, fingerprint);
    if (!c || c->revoked) return false;
    if (c->first_used) return true;
    db.execute("UPDATE certificate SET first_used = $2 WHERE fingerprint = $1", {fingerprint, now});
    revoke_other_certificates(db, c->device_id, fingerprint, now);
    return true;
}

void revoke_other_certificates(
    connection& db, std::string_view device_id, std::string_view but_fingerprint, time_point now) {
    db.execute("UPDATE certificate SET revoked = $3 WHERE device_id = $1 AND fingerprint <> $2 AND revoked IS NULL",
        {device_id, but_fingerprint, now});
}

void trim_certificates(connection& db, std::string_view device_id, std::int64_t keep) {
    db.execute(
        "DELETE FROM certificate WHERE device_id = $1 AND revoked IS NOT NULL AND fingerprint NOT IN (SELECT "
        "fingerprint FROM certificate WHERE device_id = $1 AND revoked IS NOT NULL ORDER BY revoked DESC, fingerprint "
        "LIMIT $2)",
        {device_id, keep});
}

}  // namespace mdmd::store
