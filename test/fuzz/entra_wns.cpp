// Property: what counts as a channel of Windows' push service is that to the client's URL parser too: no other host, no
// other port, no user name.
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/text.hpp"
#include "entra/wns.hpp"

static void one_line(std::string_view text) {
    for (char const c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (entra::is_push_channel(text)) {
        auto const u = boost::urls::parse_uri({text.data(), text.size()});
        if (u) {
            std::string const host = lower(std::string(u->host()));
            bool const ours = host.ends_with(".notify.windows.com") || host.ends_with(".wns.windows.com");
            bool const plain = !u->has_userinfo() && (!u->has_port() || u->port() == "443") &&
                               u->scheme_id() == boost::urls::scheme::https && !u->has_fragment();
            if (!ours || !plain) std::abort();
        }
    }
    http::response const answer{200, {{"X-WNS-Status", "received"}}, std::string(text)};
    if (auto const token = entra::parse_push_token(answer, from_ms(0))) one_line(token->text.reveal());
    for (int const status : {200, 401, 404, 429, 503}) {
        std::string const field(text);
        auto const told =
            entra::parse_push_answer({status,
                                         {{"X-WNS-Status", field}, {"X-WNS-Error-Description", field},
                                             {"X-WNS-Notification-Status", field}, {"Retry-After", field}},
                                         ""},
                from_ms(0));
        one_line(told.detail);
        if (told.retry_after && told.retry_after->count() < 0) std::abort();
    }
    return 0;
}
