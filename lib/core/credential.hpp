#pragma once
#include <string>

#include "core/secret.hpp"

namespace mdmd {

// How the application proves to Entra ID who it is: by a client secret, or by the private key of a certificate.
struct credential {
    secret text;                  // the client secret; empty where a certificate is used
    std::string certificate_pem;  // the application's own certificate first
    secret key_pem;

    bool is_certificate() const { return !certificate_pem.empty(); }
    bool empty() const { return text.empty() && certificate_pem.empty(); }
};

}  // namespace mdmd
