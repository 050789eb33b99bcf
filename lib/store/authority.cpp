#include "store/authority.hpp"

namespace mdmd::store {

bool add_authority(connection& db, authority_part const& a) {
    return db.execute(
               "INSERT INTO authority (fingerprint, role, origin, root, certificate, private_key, created, position) "
               "VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT coalesce(max(position), 0) + 1 FROM authority)) "
               "ON CONFLICT (fingerprint) DO NOTHING",
               {a.fingerprint, a.role, a.origin, a.root, a.certificate_pem, a.key_pem.reveal(), a.created}) == 1;
}

std::vector<authority_part> list_authorities(connection& db) {
    std::vector<authority_part> all;
    auto const r = db.query(
        "SELECT fingerprint, role, origin, root, certificate, private_key, created FROM authority ORDER BY position");
    while (r->next())
        all.push_back({r->text(0), r->text(1), r->text(2), r->text(3), r->text(4), secret(r->text(5)), r->time(6)});
    return all;
}

void set_authority_key(connection& db, std::string_view fingerprint, secret const& key_pem) {
    db.execute("UPDATE authority SET private_key = $2 WHERE fingerprint = $1", {fingerprint, key_pem.reveal()});
}

void each_valid_certificate(
    connection& db, time_point now, std::function<void(std::string device_id, std::string pem)> const& take) {
    auto const r = db.query(
        "SELECT c.device_id, c.pem FROM certificate c JOIN device d ON d.id = c.device_id "
        "WHERE d.state = 'enrolled' AND c.revoked IS NULL AND c.not_before <= $1 AND c.not_after > $1",
        {now});
    while (r->next()) take(r->text(0), r->text(1));
}

}  // namespace mdmd::store
