// The repository of the certificates of devices.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct certificate {
    std::string fingerprint;  // SHA-256 of the DER, hex
    std::string device_id;
    std::string serial;
    std::string pem;
    time_point not_before, not_after;
    std::string request_digest;  // of what it was the answer to
    std::optional<time_point> revoked;
    std::string renewed_from = {};  // fingerprint of the one that asked for it; empty: an enrollment
    std::optional<time_point> first_used = std::nullopt;  // when the device first showed that it has it

    bool valid_at(time_point now) const { return !revoked && now >= not_before && now < not_after; }
};
void add_certificate(connection&, certificate const&);
std::optional<certificate> find_certificate(connection&, std::string_view fingerprint);
std::optional<certificate> find_certificate_by_request(connection&, std::string_view request_digest);
std::vector<certificate> list_certificates(connection&, std::string_view device_id);  // oldest first
void revoke_certificates(connection&, std::string_view device_id, time_point now);

// The device has shown that it has this certificate: the one it had before, or any other it was given, ends with that.
// False: this one is revoked itself, and nothing was changed.
bool use_certificate(connection&, std::string_view fingerprint, time_point now);
// Revokes what the device has but this one.
void revoke_other_certificates(
    connection&, std::string_view device_id, std::string_view but_fingerprint, time_point now);
// Forgets the oldest of the device's revoked certificates until no more than `keep` are left.
void trim_certificates(connection&, std::string_view device_id, std::int64_t keep);

}  // namespace mdmd::store
