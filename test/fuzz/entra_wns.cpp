// Property: what counts as a channel of Windows' push service is that to the client's URL parser too: no other host, no
// other port, no user name.
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/text.hpp"
#include "entra/wns.hpp"

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
    static_cast<void>(entra::parse_push_token(answer, from_ms(0)));
    return 0;
}
