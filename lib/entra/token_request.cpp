#include <fmt/format.h>

#include "core/random.hpp"
#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {
namespace {

namespace json = boost::json;

constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr std::chrono::seconds assertion_lifetime = std::chrono::minutes(10);

// Writes a form into memory that is taken once, so that no copy of a secret stays behind in what a growing text left.
class form {
public:
    // `longest`: of all the names and values together, before they are encoded.
    explicit form(std::size_t longest) { text_.reserve(longest * 3 + 64); }

    form& add(std::string_view name, std::string_view value) {
        if (!text_.empty()) text_ += '&';
        text_ += name;
        text_ += '=';
        for (std::size_t i = 0; i < value.size(); ++i) text_ += percent_encode(value.substr(i, 1));
        return *this;
    }
    std::string take() { return std::move(text_); }

private:
    std::string text_;
};

http::call post(std::string url, std::string body) {
    http::call out{.method = "POST", .url = std::move(url), .headers = {}, .body = std::move(body)};
    out.headers.add("Content-Type", "application/x-www-form-urlencoded");
    out.headers.add("Accept", "application/json");
    return out;
}

error unusable(error const& e) {
    return fail(errc::malformed, "the application's certificate cannot be used: " + e.detail);
}

// A JWT by which the owner of the certificate's key shows itself. [RFC 7523 section 3]
result<std::string> make_assertion(
    application const& app, credential const& key, assertion_form kind, std::string const& url, time_point now) {
    auto const own = crypto::certificate::from_pem(key.certificate_pem);
    if (!own) return unusable(own.error());
    auto const signer = crypto::private_key::from_pem(key.key_pem);
    if (!signer) return unusable(signer.error());
    if (!crypto::is_pair(*own, *signer))
        return fail(errc::malformed, "the application's certificate and its private key are no pair");

    bool const pss = kind == assertion_form::ps256;
    json::object header;
    header["alg"] = pss ? "PS256" : "RS256";
    header["typ"] = "JWT";
    header[pss ? "x5t#S256" : "x5t"] = base64url(pss ? crypto::sha256(own->der()) : crypto::sha1(own->der()));
    auto const seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    json::object claims;
    claims["aud"] = url;
    claims["iss"] = app.client_id;
    claims["sub"] = app.client_id;
    claims["jti"] = new_guid();
    claims["nbf"] = seconds.count();
    claims["iat"] = seconds.count();
    claims["exp"] = (seconds + assertion_lifetime).count();
    auto const signed_text = base64url(json::serialize(header)) + "." + base64url(json::serialize(claims));
    auto signature = pss ? crypto::sign_ps256(*signer, signed_text) : crypto::sign_rs256(*signer, signed_text);
    if (!signature) return unusable(signature.error());
    auto encoded = base64url(*signature);
    std::string out;
    out.reserve(signed_text.size() + 1 + encoded.size());
    out.append(signed_text).append(".").append(encoded);
    wipe(*signature);
    wipe(encoded);
    return out;
}

}  // namespace

result<http::call> token_call(application const& app, credential const& key, assertion_form kind,
    std::initializer_list<std::pair<std::string_view, std::string_view>> fields, std::string_view grant_type,
    time_point now) {
    auto url = fmt::format("{}/{}/oauth2/v2.0/token", without_last_slash(app.login_url), percent_encode(app.tenant_id));
    auto const start = [&](std::size_t more) {
        for (auto const& [name, value] : fields) more += name.size() + value.size() + 2;
        form out(app.client_id.size() + more + 200);
        out.add("client_id", app.client_id);
        for (auto const& [name, value] : fields) out.add(name, value);
        return out;
    };
    if (key.is_certificate()) {
        auto assertion = make_assertion(app, key, kind, url, now);
        if (!assertion) return assertion.error();
        auto out = start(assertion->size());
        out.add("client_assertion_type", assertion_type).add("client_assertion", *assertion);
        wipe(*assertion);
        return post(std::move(url), out.add("grant_type", grant_type).take());
    }
    auto const text = key.text.reveal();
    if (text.empty()) return fail(errc::malformed, "the application has neither a client secret nor a certificate");
    auto out = start(text.size());
    return post(std::move(url), out.add("client_secret", text).add("grant_type", grant_type).take());
}

result<http::call> token_request(application const& app, credential const& key, assertion_form kind, time_point now) {
    auto const scope = std::string(without_last_slash(app.graph_url)) + "/.default";
    return token_call(app, key, kind, {{"scope", scope}}, "client_credentials", now);
}

}  // namespace mdmd::entra
