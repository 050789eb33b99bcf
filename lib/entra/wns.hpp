// Windows' push service: what is asked of it and what its answers say, as values only. [Windows Push Notification
// Services]
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/http_message.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"
#include "entra/graph.hpp"

namespace mdmd::entra {

// POST {login_url}/accesstoken.srf for the app identity of that package SID. The body holds the key: wipe it after use.
http::call push_token_request(std::string_view login_url, std::string_view package_sid, secret const& key);
// Errors: forbidden (the app identity or its key is refused), malformed (no usable token), unavailable (another
// status).
[[nodiscard]] result<access_token> parse_push_token(http::response const&, time_point now);

// Whether a device's channel address is one of the push service: https, port 443, a host below .notify.windows.com or
// .wns.windows.com, no user name, no fragment, at most 1024 bytes of visible ASCII. The device chooses what it tells:
// without this it would choose whom this appliance calls.
bool is_push_channel(std::string_view uri);

// POST of a raw notification to a channel. The device takes any content as "begin a session".
http::call push_request(std::string channel, access_token const&);

enum class push_outcome {
    delivered,     // or kept for a device that is offline
    dropped,       // the service took it and threw it away: the device's own schedule holds
    token_ended,   // 401
    foreign,       // 403: the channel belongs to another app identity
    channel_gone,  // 404, 410
    later,         // 500, 502, 503, 504, or the channel is throttled
    throttled,     // 406, 429: we ask for too much, whatever the channel
    refused,       // all else
};
struct push_answer {
    push_outcome what = push_outcome::refused;
    std::optional<std::chrono::milliseconds> retry_after;
    std::string detail;  // status and what the service said of it, for the log
};
push_answer parse_push_answer(http::response const&, time_point now);

// Push/Status as a device tells it, in words.
std::string_view push_status_text(int);

}  // namespace mdmd::entra
