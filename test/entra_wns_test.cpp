#include "entra/wns.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using entra::push_outcome;

namespace {

auto const now = from_ms(1'800'000'000'000);
entra::access_token const token{secret(std::string("the-token")), now + 1h};

}  // namespace

TEST_CASE("only addresses of Windows' push service are channels", "[wns]") {
    for (auto const* good :
        {"https://db5.notify.windows.com/?token=AwYAAAB%2b%2f", "https://wns2-par02p.notify.windows.com/?token=x",
            "https://a.wns.windows.com/x", "HTTPS://DB5.Notify.Windows.com/?token=x",
            "https://db5.notify.windows.com:443/?token=x", "https://db5.notify.windows.com"})
        CHECK(entra::is_push_channel(good));
    for (auto const* bad : {"", "https://", "http://db5.notify.windows.com/", "https://notify.windows.com/",
             "https://.notify.windows.com/", "https://evilnotify.windows.com/", "https://notify.windows.com.evil.test/",
             "https://db5.notify.windows.com.evil.test/", "https://evil.test/.notify.windows.com",
             "https://evil.test?.notify.windows.com", "https://evil.test#.notify.windows.com",
             "https://evil.test\\.notify.windows.com", "https://evil.test\\@db5.notify.windows.com/",
             "https://user@db5.notify.windows.com/", "https://db5.notify.windows.com@evil.test/",
             "https://user:pass@db5.notify.windows.com/", "https://db5.notify.windows.com:8443/",
             "https://db5.notify.windows.com:/", "https://db5.notify.windows.com:443:443/",
             "https://db5.notify.windows.com./", "https://127.0.0.1/", "https://[::1]/",
             "https://[::1].notify.windows.com/", "https://10.0.0.1/.notify.windows.com", "https://localhost/",
             "https://a..notify.windows.com/", "https://-a.notify.windows.com/", "https://a%2enotify.windows.com/",
             "https://a.notify.windows.com%00.evil.test/", "ftp://a.notify.windows.com/",
             " https://a.notify.windows.com/", "https://a.notify.windows.com/ x",
             "https://a.notify.windows.com/\r\nHost: x", "https://a.notify.windows.com/#x",
             "https:/a.notify.windows.com/", "//a.notify.windows.com/", "https://\xc3\xa4.notify.windows.com/"}) {
        INFO(bad);
        CHECK_FALSE(entra::is_push_channel(bad));
    }
    CHECK_FALSE(entra::is_push_channel("https://a.notify.windows.com/" + std::string(1024, 'x')));
}

TEST_CASE("a token is asked for with the package's SID and secret, encoded", "[wns]") {
    auto const c =
        entra::push_token_request("https://login.live.com/", "ms-app://s-1-15-2-1", secret(std::string("a+b&c=d")));
    CHECK(c.method == "POST");
    CHECK(c.url == "https://login.live.com/accesstoken.srf");
    CHECK(c.headers.get("Content-Type") == "application/x-www-form-urlencoded");
    CHECK(c.body ==
          "grant_type=client_credentials&client_id=ms-app%3A%2F%2Fs-1-15-2-1&scope=notify.windows.com&client_secret="
          "a%2Bb%26c%3Dd");
}

TEST_CASE("the token endpoint's answers are told apart", "[wns]") {
    auto const good =
        entra::parse_push_token({200, {}, R"({"access_token":"EgAc","token_type":"bearer","expires_in":86400})"}, now);
    REQUIRE(good);
    CHECK(good->text.reveal() == "EgAc");
    CHECK(good->expires == now + 24h);
    struct row {
        int status;
        char const* body;
        errc code;
    };
    for (auto const& r : {row{400, R"({"error":"invalid_client","error_description":"x"})", errc::forbidden},
             row{401, "", errc::forbidden}, row{403, "", errc::forbidden}, row{500, "", errc::unavailable},
             row{302, "", errc::unavailable}, row{200, "", errc::malformed}, row{200, "[]", errc::malformed},
             row{200, "{}", errc::malformed}, row{200, R"({"access_token":"","token_type":"bearer"})", errc::malformed},
             row{200, R"({"access_token":"a\r\nb","token_type":"bearer"})", errc::malformed},
             row{200, R"({"access_token":"a","token_type":"mac"})", errc::malformed},
             row{200, R"({"access_token":7,"token_type":"bearer"})", errc::malformed}}) {
        INFO(r.status << " " << r.body);
        auto const got = entra::parse_push_token({r.status, {}, r.body}, now);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == r.code);
    }
    auto const long_lived = entra::parse_push_token(
        {200, {}, R"({"access_token":"a","token_type":"bearer","expires_in":99999999999})"}, now);
    CHECK(long_lived.value().expires == now + 24h);
}

TEST_CASE("a wake-up is a raw notification that is kept for a device that is away", "[wns]") {
    auto const c = entra::push_request("https://a.notify.windows.com/?token=x", token);
    CHECK(c.method == "POST");
    CHECK(c.url == "https://a.notify.windows.com/?token=x");
    CHECK(c.headers.get("Authorization") == "Bearer the-token");
    CHECK(c.headers.get("X-WNS-Type") == "wns/raw");
    CHECK(c.headers.get("Content-Type") == "application/octet-stream");
    CHECK(c.headers.get("X-WNS-Cache-Policy") == "cache");
    CHECK((!c.body.empty() && c.body.size() < 5000));
}

TEST_CASE("each answer of the push service leads to one reaction", "[wns]") {
    struct row {
        int status;
        http::fields headers;
        push_outcome what;
    };
    for (auto const& r : {row{200, {{"X-WNS-Status", "received"}}, push_outcome::delivered},
             row{200, {}, push_outcome::delivered}, row{200, {{"X-WNS-Status", "dropped"}}, push_outcome::dropped},
             row{200, {{"X-WNS-Status", "channelthrottled"}}, push_outcome::later},
             row{401, {}, push_outcome::token_ended}, row{403, {}, push_outcome::foreign},
             row{404, {}, push_outcome::channel_gone}, row{410, {}, push_outcome::channel_gone},
             row{406, {}, push_outcome::throttled}, row{429, {}, push_outcome::throttled},
             row{500, {}, push_outcome::later}, row{503, {}, push_outcome::later}, row{400, {}, push_outcome::refused},
             row{405, {}, push_outcome::refused}, row{413, {}, push_outcome::refused},
             row{302, {{"Location", "https://evil.test/"}}, push_outcome::refused}}) {
        INFO(r.status);
        CHECK(entra::parse_push_answer({r.status, r.headers, ""}, now).what == r.what);
    }
    for (int const status : {503, 406})
        CHECK(entra::parse_push_answer({status, {{"Retry-After", "17"}}, ""}, now).retry_after == 17s);
    auto const odd = entra::parse_push_answer({400, {{"X-WNS-Error-Description", "no\r\nforged line"}}, ""}, now);
    CHECK(odd.detail.find('\n') == std::string::npos);
}
