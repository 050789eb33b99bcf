// What requests to Microsoft's services and their answers have in common. Private to lib/entra.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "entra/graph.hpp"
#include "entra/json.hpp"

namespace mdmd::entra {

inline constexpr std::size_t largest_answer = 1024 * 1024;  // bytes
inline constexpr std::size_t largest_access_token = 64 * 1024;

inline std::string_view without_last_slash(std::string_view url) {
    if (url.ends_with('/')) url.remove_suffix(1);
    return url;
}

// A request to the tenant's token endpoint: client_id, these fields, the credential, grant_type. Errors: as
// token_request()'s.
result<http::call> token_call(application const&, credential const&, assertion_form,
    std::initializer_list<std::pair<std::string_view, std::string_view>> fields, std::string_view grant_type,
    time_point now);

// Authorization, Accept and client-request-id.
http::fields graph_headers(access_token const&, std::string client_request_id);

// A text out of an answer, fit for one line of a log; empty where it is absent or no text.
std::string printable_text(boost::json::object const&, std::string_view name, std::size_t most = 256);

}  // namespace mdmd::entra
