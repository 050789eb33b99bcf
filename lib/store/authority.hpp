// The repository of the device authority: every root and every issuing certificate that was ever used.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.hpp"
#include "store/connection.hpp"

namespace mdmd::store {

struct authority_part {
    std::string fingerprint;  // SHA-256 of the certificate's DER, hex
    std::string role;         // "root", "issuing"
    std::string origin;       // "own", "external"
    std::string root;         // fingerprint of the root it hangs on; a root's is its own
    std::string certificate_pem;
    secret key_pem;      // perhaps encrypted; empty: not kept here
    time_point created;  // since when it is known here
};
// False: there is one of that fingerprint already, which stays as it is.
bool add_authority(connection&, authority_part const&);
std::vector<authority_part> list_authorities(connection&);  // in the order they were added
// Empty: forgets it.
void set_authority_key(connection&, std::string_view fingerprint, secret const& key_pem);

// The certificates of enrolled devices that are good at `now`, one after the other, with their devices.
void each_valid_certificate(
    connection&, time_point now, std::function<void(std::string device_id, std::string pem)> const&);

}  // namespace mdmd::store
