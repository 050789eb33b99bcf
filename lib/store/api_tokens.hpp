// The repository of local tokens of the administrator's API.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct api_token {
    std::string name;
    std::string role;    // "reader", "operator", "admin"
    std::string digest;  // SHA-256 of the token, hex: the token itself is kept nowhere
    time_point created, expires;
    std::optional<time_point> last_used;
};
bool add_api_token(connection&, api_token const&);  // false: there is one of that name
std::optional<api_token> find_api_token(connection&, std::string_view digest);
std::vector<api_token> list_api_tokens(connection&);        // by name
bool remove_api_token(connection&, std::string_view name);  // false: there is none
void set_api_token_used(connection&, std::string_view digest, time_point now);

}  // namespace mdmd::store
