// The repository of sign-ins on our own page: each gave a device one token to enroll with.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "store/connection.hpp"

namespace mdmd::store {

struct sign_in {
    std::string id;       // SHA-256 of the token, hex: the token itself is not kept
    std::string request;  // of the page's state, which leads to one token and no more
    std::string user_id, upn;
    std::string correlation_id;  // of the attempt to enroll that began with it
    time_point at, expires;
    std::optional<std::string> device_id;  // whose enrollment used it
};
// False: that request has led to a token before. What expired over a day ago goes.
bool add_sign_in(connection&, sign_in const&);
std::optional<sign_in> find_sign_in(connection&, std::string_view id);
// It is used up by the enrollment of this device, and the attempt that began with it has ended. False: it has been used
// before, has expired, or is not there.
bool use_sign_in(connection&, std::string_view id, std::string_view device_id, time_point now);

}  // namespace mdmd::store
