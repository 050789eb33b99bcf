// Attacks on the check of access tokens. Every token here is a good one with one change, and each row says how it must
// be refused. Most are genuinely signed by the tenant's key, so that only the check in question can refuse them.
#include <openssl/hmac.h>
#include <boost/json.hpp>

#include "crypto/openssl.hpp"
#include "test/entra_factory.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

std::string const other_tenant = "66666666-2222-3333-4444-555555555555";

// A change that changes nothing would make a row pass for the wrong reason.
std::string changed(std::string text, std::string const& from, std::string const& to) {
    auto const at = text.find(from);
    if (at == text.npos || from == to) throw std::runtime_error("no such change: " + from + " to " + to);
    return text.replace(at, from.size(), to);
}
// A JSON object with one member's value replaced or added; `name` and `value` are put in as they are.
std::string with(std::string const& object, std::string const& name, std::string const& value) {
    auto all = boost::json::parse(object).as_object();
    if (!all.contains(name)) all[name] = nullptr;
    std::string out;
    for (auto const& [key, old] : all)
        out += (out.empty() ? "{\"" : ",\"") + std::string(key) +
               "\":" + (key == name ? value : boost::json::serialize(old));
    return out + "}";
}
std::string without(std::string const& object, std::string const& name) {
    auto all = boost::json::parse(object).as_object();
    if (all.erase(name) != 1) throw std::runtime_error("no such member: " + name);
    return boost::json::serialize(all);
}

// "" where the token is accepted, else the kind of refusal.
std::string verdict(std::string const& token, entra::key_set const& keys = tenant_keys(), time_point now = token_noon) {
    auto const got = entra::verify(token, keys, our_audience(), now);
    if (got) return "";
    CHECK(got.error().detail.size() < 400);
    CHECK(printable(got.error().detail) == got.error().detail);
    switch (got.error().code) {
        case errc::malformed: return "malformed";
        case errc::unsupported: return "unsupported";
        case errc::unauthenticated: return "unauthenticated";
        case errc::forbidden: return "forbidden";
        case errc::not_found: return "not_found";
        default: return "another error";
    }
}
std::string const malformed = "malformed";
std::string const unsupported = "unsupported";
std::string const unauthenticated = "unauthenticated";
std::string const forbidden = "forbidden";
std::string const not_found = "not_found";
std::string const accepted;

struct attack {
    std::string name;
    std::string token;
    std::string expected;
};
void run(std::vector<attack> const& attacks, entra::key_set const& keys = tenant_keys()) {
    for (auto const& a : attacks) {
        INFO(a.name);
        CHECK(verdict(a.token, keys) == a.expected);
    }
}

std::string signed_header(std::string const& header) { return signer().token(header, good_v1); }
std::string signed_v1(std::string const& payload) { return signer().token(good_header, payload); }
std::string signed_v2(std::string const& payload) { return signer().token(good_header, payload); }
std::string joined(std::string const& header, std::string const& payload, std::string const& signature) {
    return base64url(header) + "." + base64url(payload) + "." + base64url(signature);
}
std::string signed_text(std::string const& header, std::string const& payload) {
    return base64url(header) + "." + base64url(payload);
}

std::string const& good_token() {
    static auto const one = signed_v1(good_v1);
    return one;
}
std::string part(int number) { return std::string(split(good_token(), '.').at(static_cast<std::size_t>(number))); }

crypto::private_key signer_key() {
    EVP_PKEY_up_ref(signer().raw());
    return crypto::private_key(std::make_shared<crypto::private_key::impl const>(
        crypto::private_key::impl{crypto::pkey_handle(signer().raw())}));
}

std::string digest_signature(EVP_PKEY* key, EVP_MD const* digest, std::string const& text) {
    crypto::handle<EVP_MD_CTX, EVP_MD_CTX_free> const context(EVP_MD_CTX_new());
    std::string out(512, '\0');
    std::size_t size = out.size();
    REQUIRE(EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key) == 1);
    REQUIRE(EVP_DigestSign(context.get(), crypto::bytes(out), &size, crypto::bytes(text), text.size()) == 1);
    return out.substr(0, size);
}
std::string hmac(EVP_MD const* digest, std::string const& key, std::string const& text) {
    unsigned size = 0;
    std::string out(EVP_MAX_MD_SIZE, '\0');
    REQUIRE(HMAC(digest, key.data(), static_cast<int>(key.size()), crypto::bytes(text), text.size(), crypto::bytes(out),
                &size) != nullptr);
    return out.substr(0, size);
}

// The tenant's public key as an attacker may have it, in each form that a library might take for an HMAC key.
std::vector<std::pair<std::string, std::string>> public_key_forms() {
    auto* key = signer().raw();
    auto const written = [](auto&& write) {
        crypto::bio_handle const out(BIO_new(BIO_s_mem()));
        REQUIRE(write(out.get()) == 1);
        return crypto::text_of(out.get());
    };
    auto const spki = crypto::to_der(key, i2d_PUBKEY, "i2d_PUBKEY");
    auto const spki_pem = written([&](BIO* b) { return PEM_write_bio_PUBKEY(b, key); });
    auto const pkcs1 = crypto::to_der(key, i2d_PublicKey, "i2d_PublicKey");
    auto const body = base64(pkcs1);
    std::string pkcs1_pem = "-----BEGIN RSA PUBLIC KEY-----\n";
    for (std::size_t i = 0; i < body.size(); i += 64) pkcs1_pem += body.substr(i, 64) + "\n";
    pkcs1_pem += "-----END RSA PUBLIC KEY-----\n";
    auto const n = signer().modulus();
    auto const jwk = R"({"kty":"RSA","kid":"k1","n":")" + base64url(n) + R"(","e":"AQAB"})";
    return {{"SPKI in PEM", spki_pem},
        {"SPKI in PEM without the last line end", spki_pem.substr(0, spki_pem.size() - 1)}, {"SPKI in DER", spki},
        {"SPKI in base64", base64(spki)}, {"PKCS#1 in PEM", pkcs1_pem}, {"PKCS#1 in DER", pkcs1}, {"the modulus", n},
        {"the modulus in base64url", base64url(n)}, {"the modulus in hex", hex(n)}, {"the JWK", jwk}, {"the kid", "k1"},
        {"one zero byte", std::string(1, '\0')}, {"nothing", ""}};
}

}  // namespace

TEST_CASE("the tokens that the attacks change are accepted, and what is harmless in them is", "[attack]") {
    run({
        {"version 1.0", signed_v1(good_v1), accepted},
        {"version 2.0", signed_v2(good_v2), accepted},
        {"made by the changers", signed_v1(with(without(good_v1, "uti"), "uti", R"("abc")")), accepted},
        {"members escaped", signed_v1(changed(good_v1, R"("oid")", R"("\u006fid")")), accepted},
        {"blanks and line ends around", signed_v1(" \r\n\t" + good_v1 + "\n"), accepted},
        {"claims that nobody knows", signed_v1(with(good_v1, "x", R"({"y":[1.5,null,true]})")), accepted},
        {"roles of a user", signed_v1(with(good_v1, "roles", R"(["x"])")), accepted},
        {"said to be a user's", signed_v1(with(good_v1, "idtyp", R"("user")")), accepted},
        {"no typ", signed_header(without(good_header, "typ")), accepted},
        {"x5t of something", signed_header(with(good_header, "x5t", R"("AAAA")")), accepted},
        {"ours among strangers' audiences",
            signed_v1(with(good_v1, "aud", R"(["https://graph.microsoft.com","https://mdm.contoso.com","x"])")),
            accepted},
        {"our client id among strangers' audiences", signed_v2(with(good_v2, "aud", R"(["x",")" + client_id + R"("])")),
            accepted},
    });
}

TEST_CASE("a public key is never taken for an HMAC key", "[attack]") {
    for (auto const& [name, key] : public_key_forms()) {
        INFO(name);
        for (auto const& [algorithm, digest] :
            {std::pair("HS256", EVP_sha256()), std::pair("HS384", EVP_sha384()), std::pair("HS512", EVP_sha512())}) {
            auto const header = with(good_header, "alg", "\"" + std::string(algorithm) + "\"");
            auto const text = signed_text(header, good_v1);
            CHECK(verdict(text + "." + base64url(hmac(digest, key, text))) == unsupported);
        }
        auto const text = signed_text(good_header, good_v1);
        CHECK(verdict(text + "." + base64url(hmac(EVP_sha256(), key, text))) == unauthenticated);
    }
}

TEST_CASE("no algorithm but RS256 is taken, however well it is signed", "[attack]") {
    auto const key = signer_key();
    auto const named = [](std::string const& value) { return with(good_header, "alg", value); };
    auto const signed_by = [&](std::string const& algorithm, auto&& sign) {
        auto const header = named("\"" + algorithm + "\"");
        auto const text = signed_text(header, good_v1);
        return text + "." + base64url(sign(text));
    };
    auto const rsa = [&](EVP_MD const* digest) {
        return [digest](std::string const& text) { return signer().sign(text, digest); };
    };
    auto const pss = [&](std::string const& text) { return crypto::sign_ps256(key, text).value(); };
    crypto::pkey_handle const curve(EVP_EC_gen("P-256"));
    auto const ecdsa = [&](std::string const& text) { return digest_signature(curve.get(), EVP_sha256(), text); };
    crypto::pkey_handle const edwards(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    auto const eddsa = [&](std::string const& text) { return digest_signature(edwards.get(), nullptr, text); };
    std::vector<attack> attacks = {
        {"RS384", signed_by("RS384", rsa(EVP_sha384())), unsupported},
        {"RS512", signed_by("RS512", rsa(EVP_sha512())), unsupported},
        {"RS1", signed_by("RS1", rsa(EVP_sha1())), unsupported},
        {"PS256", signed_by("PS256", pss), unsupported},
        {"PS256 called RS256",
            signed_text(good_header, good_v1) + "." + base64url(pss(signed_text(good_header, good_v1))),
            unauthenticated},
        {"ES256", signed_by("ES256", ecdsa), unsupported},
        {"EdDSA", signed_by("EdDSA", eddsa), unsupported},
        {"RS256 in lower case", signed_by("rs256", rsa(EVP_sha256())), unsupported},
        {"RS256 and a blank", signed_by("RS256 ", rsa(EVP_sha256())), unsupported},
        {"RS256 and NUL", signed_by("RS256\\u0000", rsa(EVP_sha256())), unsupported},
        {"RS256 in full-width letters", signed_by("\xef\xbc\xb2S256", rsa(EVP_sha256())), unsupported},
        {"a key-wrapping algorithm", signed_by("RSA-OAEP", rsa(EVP_sha256())), unsupported},
        {"dir", signed_by("dir", rsa(EVP_sha256())), unsupported},
        {"an empty name", signed_by("", rsa(EVP_sha256())), unsupported},
        {"no name", signed_header(without(good_header, "alg")), malformed},
        {"a name in other case", signed_header(changed(good_header, R"("alg")", R"("ALG")")), malformed},
        {"the signature of ES256 under RS256",
            signed_text(good_header, good_v1) + "." + base64url(ecdsa(signed_text(good_header, good_v1))),
            unauthenticated},
    };
    for (auto const* none : {"none", "None", "NONE", "nOnE", "none ", "n\\u006fne"}) {
        attacks.push_back({std::string(none) + ", no signature",
            signed_text(named("\"" + std::string(none) + "\""), good_v1) + ".", unsupported});
        attacks.push_back(
            {std::string(none) + ", well signed", signed_header(named("\"" + std::string(none) + "\"")), unsupported});
    }
    attacks.push_back({"none without the last dot", signed_text(named("\"none\""), good_v1), malformed});
    run(attacks);
}

TEST_CASE("a key that the token brings along is not used", "[attack]") {
    token_signer const thief;
    auto const jwk = R"({"kty":"RSA","alg":"RS256","use":"sig","kid":"k1","n":")" + base64url(thief.modulus()) +
                     R"(","e":")" + base64url(thief.exponent()) + R"("})";
    for (auto const& [name, value] : std::vector<std::pair<std::string, std::string>>{{"jwk", jwk},
             {"jku", R"("https://login.microsoftonline.com.evil.test/keys")"},
             {"x5u", R"("https://evil.test/cert.pem")"}, {"x5c", R"(["MIIB"])"}, {"x5t", R"("AAAA")"},
             {"x5t#S256", R"("AAAA")"}}) {
        INFO(name);
        auto const header = with(good_header, name, value);
        CHECK(verdict(thief.token(header, good_v1)) == unauthenticated);
        CHECK(verdict(thief.token(with(header, "kid", R"("thief")"), good_v1)) == not_found);
        CHECK(verdict(thief.token(without(header, "kid"), good_v1)) == malformed);
        CHECK(verdict(signed_header(header)) == accepted);  // not looked at
    }
}

TEST_CASE("the key is the one of exactly that id, and no other", "[attack]") {
    token_signer const second;
    auto keys = tenant_keys();
    keys.keys["k2"] = {{"k2", second.public_key(), ""}};
    auto const named = [](std::string const& kid) { return with(good_header, "kid", kid); };
    run(
        {
            {"the second key's own", second.token(named(R"("k2")"), good_v1), accepted},
            {"another key's id", signed_header(named(R"("k2")")), unauthenticated},
            {"the first's id, the second's signature", second.token(good_header, good_v1), unauthenticated},
            {"a path", signed_header(named(R"("../../../../dev/null")")), not_found},
            {"a path that ends well", signed_header(named(R"("../keys/k1")")), not_found},
            {"SQL", signed_header(named(R"("k1' OR '1'='1")")), not_found},
            {"SQL that gives a key", signed_header(named(R"("x' UNION SELECT 'k1';--")")), not_found},
            {"a command", signed_header(named(R"("k1|/bin/id")")), not_found},
            {"an address", signed_header(named(R"("https://evil.test/k1")")), not_found},
            {"in other case", signed_header(named(R"("K1")")), not_found},
            {"with a blank", signed_header(named(R"("k1 ")")), not_found},
            {"with NUL", signed_header(named(R"("k1\u0000")")), not_found},
            {"with a line end", signed_header(named(R"("k1\r\nlevel=info forged")")), not_found},
            {"very long", signed_header(named("\"" + std::string(30'000, 'k') + "\"")), not_found},
            {"a confusable letter",
                signed_header(named("\"\xd0\xba"
                                    "1\"")),
                not_found},
            {"empty", signed_header(named(R"("")")), malformed},
            {"missing", signed_header(without(good_header, "kid")), malformed},
            {"a number", signed_header(named("1")), malformed},
            {"null", signed_header(named("null")), malformed},
            {"a list", signed_header(named(R"(["k1"])")), malformed},
            {"an object", signed_header(named(R"({"k1":1})")), malformed},
        },
        keys);
}

TEST_CASE("a header that changes the rules is refused", "[attack]") {
    auto const plus = [](std::string const& name, std::string const& value) {
        return signed_header(with(good_header, name, value));
    };
    run({
        {"crit: b64", signed_header(with(with(good_header, "crit", R"(["b64"])"), "b64", "false")), unsupported},
        {"crit: exp", signed_header(with(with(good_header, "crit", R"(["exp"])"), "exp", "9")), unsupported},
        {"crit empty", plus("crit", "[]"), unsupported},
        {"crit null", plus("crit", "null"), unsupported},
        {"crit false", plus("crit", "false"), unsupported},
        {"crit a text", plus("crit", R"("exp")"), unsupported},
        {"crit escaped", plus(R"(\u0063rit)", R"(["exp"])"), unsupported},
        {"typ of a logout token", plus("typ", R"("logout+jwt")"), unsupported},
        {"typ of a proof of possession", plus("typ", R"("dpop+jwt")"), unsupported},
        {"typ JOSE", plus("typ", R"("JOSE")"), unsupported},
        {"typ empty", plus("typ", R"("")"), unsupported},
        {"typ with NUL", plus("typ", R"("JWT\u0000")"), unsupported},
        {"typ a number", plus("typ", "1"), malformed},
        {"typ null", plus("typ", "null"), malformed},
        {"typ a list", plus("typ", R"(["JWT"])"), malformed},
        {"alg null", plus("alg", "null"), malformed},
        {"alg a number", plus("alg", "256"), malformed},
        {"alg a list", plus("alg", R"(["RS256"])"), malformed},
        {"alg an object", plus("alg", R"({"RS256":1})"), malformed},
        {"alg true", plus("alg", "true"), malformed},
        {"a list", signed_header("[" + good_header + "]"), malformed},
        {"a text", signed_header(R"("RS256")"), malformed},
        {"null", signed_header("null"), malformed},
        {"nothing", signed_header(""), malformed},
        {"the payload", signed_header(good_v1), malformed},
    });
}

TEST_CASE("a member that is named twice is refused, however the second name is written", "[attack]") {
    auto const header = [](std::string const& more) {
        return signed_header(changed(good_header, "}", "," + more + "}"));
    };
    auto const payload = [](std::string const& more) {
        return signed_v1(good_v1.substr(0, good_v1.size() - 1) + "," + more + "}");
    };
    run({
        {"a name of its own", payload(R"("tid2":"x")"), accepted},
        {"a name in other case", payload(R"("TID":"x")"), accepted},
        {"alg", header(R"("alg":"none")"), malformed},
        {"alg, the same", header(R"("alg":"RS256")"), malformed},
        {"alg, escaped", header(R"("\u0061lg":"none")"), malformed},
        {"alg, all of it escaped", header(R"("\u0061\u006c\u0067":"none")"), malformed},
        {"alg, escaped in capitals", header(R"("al\u0067":"none")"), malformed},
        {"kid", header(R"("kid":"k2")"), malformed},
        {"kid, escaped", header(R"("k\u0069d":"k2")"), malformed},
        {"crit", header(R"("crit":[],"crit":[])"), malformed},
        {"oid", payload(R"("oid":"88888888-8888-7777-6666-555555555555")"), malformed},
        {"oid, escaped", payload(R"("o\u0069d":"88888888-8888-7777-6666-555555555555")"), malformed},
        {"tid, the same", payload(R"("tid":")" + tenant + "\""), malformed},
        {"aud", payload(R"("aud":"https://mdm.contoso.com")"), malformed},
        {"exp", payload(R"("exp":1900000000)"), malformed},
        {"exp, escaped", payload(R"("\u0065xp":1900000000)"), malformed},
        {"a claim that nobody reads", payload(R"("xyz":1,"xyz":1)"), malformed},
        {"the empty name", payload(R"("":1,"":2)"), malformed},
        {"below", payload(R"("x":{"y":[{"a":1,"\u0061":1}]})"), malformed},
        {"a slash, escaped", payload(R"("a/b":1,"a\/b":1)"), malformed},
        {"beyond the basic plane", payload("\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1"), malformed},
    });
}

TEST_CASE("what is not strict JSON is refused", "[attack]") {
    std::string const bom = "\xef\xbb\xbf";
    auto const utf16 = [](std::string const& text) {
        std::string out;
        for (char const c : text) out.append({c, '\0'});
        return out;
    };
    auto const open = good_v1.substr(0, good_v1.size() - 1);
    auto const nested = [&](std::size_t depth) {
        return signed_v1(open + R"(,"x":)" + std::string(depth, '[') + std::string(depth, ']') + "}");
    };
    run({
        {"nested as deep as it may be", nested(7), accepted},
        {"nested one deeper", nested(8), malformed},
        {"nested very deeply", nested(20'000), malformed},
        {"nested very deeply and left open", signed_v1(open + R"(,"x":)" + std::string(40'000, '[')), malformed},
        {"objects nested deeply", signed_v1(open + R"(,"x":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}}})"),
            malformed},
        {"a header nested deeply",
            signed_header(with(good_header, "x", std::string(5'000, '[') + std::string(5'000, ']'))), malformed},
        {"byte order mark before the header", signed_header(bom + good_header), malformed},
        {"byte order mark before the payload", signed_v1(bom + good_v1), malformed},
        {"payload in UTF-16", signed_v1(utf16(good_v1)), malformed},
        {"payload in UTF-16 with its mark", signed_v1("\xff\xfe" + utf16(good_v1)), malformed},
        {"garbage after the header", signed_header(good_header + "x"), malformed},
        {"garbage after the payload", signed_v1(good_v1 + "]"), malformed},
        {"a second object", signed_v1(good_v1 + good_v1), malformed},
        {"NUL after the payload", signed_v1(good_v1 + std::string(1, '\0')), malformed},
        {"NUL before the payload", signed_v1(std::string(1, '\0') + good_v1), malformed},
        {"a comment before", signed_v1("/* */" + good_v1), malformed},
        {"a comment within", signed_v1(changed(good_v1, ",", ",/*,*/")), malformed},
        {"a comment to the line's end", signed_v1(good_v1 + "// x"), malformed},
        {"a comment in the header", signed_header(changed(good_header, ",", ",/**/")), malformed},
        {"a comma too many", signed_v1(open + ",}"), malformed},
        {"single quotes", signed_v1(changed(good_v1, R"("abc")", "'abc'")), malformed},
        {"a bare name", signed_v1(changed(good_v1, R"("uti")", "uti")), malformed},
        {"not closed", signed_v1(open), malformed},
        {"broken UTF-8", signed_v1(changed(good_v1, "abc", "a\xc3(")), malformed},
        {"overlong UTF-8", signed_v1(changed(good_v1, "abc", "\xc0\xaf")), malformed},
        {"a surrogate in UTF-8", signed_v1(changed(good_v1, "abc", "\xed\xa0\x80")), malformed},
        {"half a surrogate pair", signed_v1(changed(good_v1, "abc", "\\ud800")), malformed},
        {"a control character", signed_v1(changed(good_v1, "abc", "a\tc")), malformed},
        {"an unknown escape", signed_v1(changed(good_v1, "abc", "\\x61")), malformed},
        {"NaN", signed_v1(with(good_v1, "exp", "NaN")), malformed},
        {"Infinity", signed_v1(with(good_v1, "exp", "Infinity")), malformed},
        {"payload a list", signed_v1("[" + good_v1 + "]"), malformed},
        {"payload a text", signed_v1(boost::json::serialize(boost::json::value(good_v1))), malformed},
        {"payload a token", signed_v1(good_token()), malformed},
        {"payload empty", signed_v1(""), malformed},
        {"payload null", signed_v1("null"), malformed},
    });
}

TEST_CASE("a claim of the wrong type is refused, whatever it looks like", "[attack]") {
    auto base = good_v1;
    base = with(base, "idtyp", R"("user")");
    base = with(base, "preferred_username", R"("user@contoso.com")");
    REQUIRE(verdict(signed_v1(base)) == accepted);
    auto const value_of = [&](std::string const& name) {
        return boost::json::serialize(boost::json::parse(base).as_object().at(name));
    };
    using texts = std::vector<std::string>;
    for (auto const& name : texts{"iss", "tid", "ver", "oid", "scp", "appid", "deviceid", "upn", "preferred_username",
             "uti", "idtyp", "aud"}) {
        auto const good = value_of(name);
        for (auto const& value : texts{"null", "true", "false", "0", "1.0", "[]", "{}", "[[" + good + "]]",
                 "{\"0\":" + good + "}", "[" + good + ",null]"}) {
            INFO(name << ": " << value);
            CHECK(verdict(signed_v1(with(base, name, value))) == malformed);
        }
        if (name != "aud") CHECK(verdict(signed_v1(with(base, name, "[" + good + "]"))) == malformed);
    }
    for (auto const& name : texts{"exp", "nbf", "iat"}) {
        auto const good = value_of(name);
        for (auto const& value : texts{"null", "true", "[]", "{}", "\"" + good + "\"", "[" + good + "]", good + ".0",
                 good + ".5", good + "e0", "1.8e9", "-" + good, "-1", "-9223372036854775808", "-9223372036854775809",
                 "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e400",
                 "-1e400", "1e-400", good + "000000", "0" + good, "+" + good, "0x6b49d200", "NaN", "-Infinity",
                 "253402300800", std::string(10'000, '9')}) {
            INFO(name << ": " << value.substr(0, 40));
            CHECK(verdict(signed_v1(with(base, name, value))) == malformed);
        }
    }
}

TEST_CASE("a claim that is needed cannot be left out, or be empty", "[attack]") {
    run({
        {"no ver", signed_v1(without(good_v1, "ver")), malformed},
        {"no iss", signed_v1(without(good_v1, "iss")), malformed},
        {"no aud", signed_v1(without(good_v1, "aud")), malformed},
        {"no exp", signed_v1(without(good_v1, "exp")), malformed},
        {"no nbf", signed_v1(without(good_v1, "nbf")), malformed},
        {"no tid", signed_v1(without(good_v1, "tid")), unauthenticated},
        {"no oid", signed_v1(without(good_v1, "oid")), forbidden},
        {"no scp", signed_v1(without(good_v1, "scp")), forbidden},
        {"ver empty", signed_v1(with(good_v1, "ver", R"("")")), malformed},
        {"iss empty", signed_v1(with(good_v1, "iss", R"("")")), malformed},
        {"aud empty", signed_v1(with(good_v1, "aud", R"("")")), malformed},
        {"tid empty", signed_v1(with(good_v1, "tid", R"("")")), malformed},
        {"oid empty", signed_v1(with(good_v1, "oid", R"("")")), malformed},
        {"scp empty", signed_v1(with(good_v1, "scp", R"("")")), forbidden},
        {"scp blank", signed_v1(with(good_v1, "scp", R"("  ")")), forbidden},
        {"names in other case", signed_v1(changed(good_v1, R"("exp")", R"("Exp")")), malformed},
        {"an empty object", signed_v1("{}"), malformed},
    });
}

TEST_CASE("version, tenant and issuer must fit each other and us, in every combination", "[attack]") {
    std::vector<std::pair<std::string, std::string>> const issuers = {{issuer_v1, "1.0"}, {issuer_v2, "2.0"},
        {changed(issuer_v1, tenant, other_tenant), ""}, {changed(issuer_v2, tenant, other_tenant), ""},
        {issuer_template, ""}, {"https://sts.windows.net/{tenantid}/", ""},
        {"https://login.microsoftonline.us/" + tenant + "/v2.0", ""},
        {"https://sts.chinacloudapi.cn/" + tenant + "/", ""}, {"https://login.microsoftonline.com/common/v2.0", ""},
        {issuer_v1.substr(0, issuer_v1.size() - 1), ""}, {issuer_v2 + "/", ""},
        {changed(issuer_v1, "https", "http"), ""}, {changed(issuer_v1, "sts", "STS"), ""}, {tenant, ""}};
    entra::key_set const listed = tenant_keys();
    auto free = tenant_keys();  // keys without issuers, under metadata for all tenants
    free.keys["k1"] = {{"k1", signer().public_key(), ""}};
    free.issuer_v1 = "https://sts.windows.net/{tenantid}/";
    free.issuer_v2 = issuer_template;
    for (auto const& keys : {listed, free})
        for (std::string const version : {"1.0", "2.0"}) {
            auto const& good = version == "1.0" ? good_v1 : good_v2;
            for (auto const& in : {tenant, other_tenant, std::string("00000000-0000-0000-0000-000000000000")})
                for (auto const& [issuer, fits] : issuers) {
                    INFO("version " << version << ", tenant " << in << ", issuer " << issuer);
                    auto const payload = with(with(good, "tid", "\"" + in + "\""), "iss", "\"" + issuer + "\"");
                    CHECK(verdict(signer().token(good_header, payload), keys) ==
                          (in == tenant && fits == version ? accepted : unauthenticated));
                }
        }
    run({
        {"a v1 token that says 2.0", signed_v1(with(good_v1, "ver", R"("2.0")")), unauthenticated},
        {"a v2 token that says 1.0", signed_v2(with(good_v2, "ver", R"("1.0")")), unauthenticated},
        {"version 1", signed_v1(with(good_v1, "ver", R"("1")")), unsupported},
        {"version 1.1", signed_v1(with(good_v1, "ver", R"("1.1")")), unsupported},
        {"version 1.0 and a blank", signed_v1(with(good_v1, "ver", R"("1.0 ")")), unsupported},
        {"version 3.0", signed_v2(with(good_v2, "ver", R"("3.0")")), unsupported},
        {"version 2.0 in full-width digits", signed_v2(with(good_v2, "ver", "\"\xef\xbc\x92.0\"")), unsupported},
    });
}

TEST_CASE("letters that only look like ours, and NUL, fit nothing", "[attack]") {
    std::string const nul = "\\u0000";
    auto const text = [](std::string const& value) { return "\"" + value + "\""; };
    auto const aud = [&](std::string const& value) { return signed_v1(with(good_v1, "aud", text(value))); };
    auto const iss = [&](std::string const& value) { return signed_v1(with(good_v1, "iss", text(value))); };
    auto const tid = [&](std::string const& value) { return signed_v1(with(good_v1, "tid", text(value))); };
    run({
        {"tid with a full-width digit", tid("\xef\xbc\x91" + tenant.substr(1)), malformed},
        {"tid with an Arabic digit", tid("\xd9\xa1" + tenant.substr(1)), malformed},
        {"tid with another dash", tid(changed(tenant, "-", "\xe2\x80\x90")), malformed},
        {"tid and NUL", tid(tenant + nul), malformed},
        {"tid, NUL and more", tid(tenant + nul + other_tenant), malformed},
        {"tid and a blank", tid(tenant + " "), malformed},
        {"tid in braces", tid("{" + tenant + "}"), malformed},
        {"tid without dashes", tid("11111111222233334444555555555555"), malformed},
        {"iss with a Cyrillic letter", iss(changed(issuer_v1, "sts", "st\xd1\x95")), unauthenticated},
        {"iss with a letter of no width", iss(changed(issuer_v1, "sts", "s\xe2\x80\x8bts")), unauthenticated},
        {"iss with a soft hyphen", iss(changed(issuer_v1, "sts", "s\xc2\xadts")), unauthenticated},
        {"iss with a mark that turns the order", iss("\xe2\x80\xae" + issuer_v1), unauthenticated},
        {"iss and NUL", iss(issuer_v1 + nul), malformed},
        {"iss, NUL and more", iss(issuer_v1 + nul + "evil.test"), malformed},
        {"iss and a line end", iss(issuer_v1 + "\\n"), malformed},
        {"iss and DEL", iss(issuer_v1 + "\x7f"), malformed},
        {"iss of a longer host", iss(changed(issuer_v1, "windows.net", "windows.net.evil.test")), unauthenticated},
        {"iss with user and host", iss("https://sts.windows.net@evil.test/" + tenant + "/"), unauthenticated},
        {"iss and a path upwards", iss(issuer_v1 + "../" + other_tenant + "/"), unauthenticated},
        {"aud with a Cyrillic letter", aud("https://mdm.c\xd0\xbentoso.com"), unauthenticated},
        {"aud with the Kelvin sign", aud("https://mdm.contoso.com\xe2\x84\xaa"), unauthenticated},
        {"aud in full-width letters",
            aud("https://\xef\xbd\x8d"
                "dm.contoso.com"),
            unauthenticated},
        {"aud with a letter of no width", aud("https://mdm.contoso.com\xe2\x80\x8b"), unauthenticated},
        {"aud and NUL", aud(app_id + nul), malformed},
        {"aud, NUL and more", aud(app_id + nul + ".evil.test"), malformed},
        {"an aud list with NUL", signed_v1(with(good_v1, "aud", R"(["https://mdm.contoso.com","x\u0000"])")),
            malformed},
        {"oid with a full-width digit", signed_v1(with(good_v1, "oid", text("\xef\xbc\x99" + user_id.substr(1)))),
            malformed},
        {"oid and NUL", signed_v1(with(good_v1, "oid", text(user_id + nul))), malformed},
        {"scp with a Cyrillic letter", signed_v1(with(good_v1, "scp", text("mdm_d\xd0\xb5legation"))), forbidden},
        {"scp and NUL", signed_v1(with(good_v1, "scp", text("mdm_delegation" + nul))), malformed},
        {"upn and NUL", signed_v1(with(good_v1, "upn", text("user@contoso.com" + nul))), malformed},
    });
}

TEST_CASE("a token for somebody else is refused", "[attack]") {
    auto const v1 = [](std::string const& value) { return signed_v1(with(good_v1, "aud", value)); };
    auto const v2 = [](std::string const& value) { return signed_v2(with(good_v2, "aud", value)); };
    run({
        {"Graph", v1(R"("https://graph.microsoft.com")"), unauthenticated},
        {"Graph's id", v2(R"("00000003-0000-0000-c000-000000000000")"), unauthenticated},
        {"another application", v2("\"" + user_id + "\""), unauthenticated},
        {"a longer host", v1(R"("https://mdm.contoso.com.evil.test")"), unauthenticated},
        {"a shorter host", v1(R"("https://contoso.com")"), unauthenticated},
        {"a path below", v1(R"("https://mdm.contoso.com/x")"), unauthenticated},
        {"two slashes", v1(R"("https://mdm.contoso.com//")"), unauthenticated},
        {"a port", v1(R"("https://mdm.contoso.com:443")"), unauthenticated},
        {"a user", v1(R"("https://mdm.contoso.com@evil.test")"), unauthenticated},
        {"a query", v1(R"("https://mdm.contoso.com?x")"), unauthenticated},
        {"a fragment", v1(R"("https://mdm.contoso.com#x")"), unauthenticated},
        {"another scheme", v1(R"("http://mdm.contoso.com")"), unauthenticated},
        {"no scheme", v1(R"("mdm.contoso.com")"), unauthenticated},
        {"percent escapes", v1(R"("https://mdm%2Econtoso%2Ecom")"), unauthenticated},
        {"api:// and our id", v1("\"api://" + client_id + "\""), unauthenticated},
        {"a blank before", v1(R"(" https://mdm.contoso.com")"), unauthenticated},
        {"several in one text", v1(R"("https://mdm.contoso.com https://x.test")"), unauthenticated},
        {"the App ID URI in a v2 token", v2("\"" + app_id + "\""), unauthenticated},
        {"the App ID URI in a list of a v2 token", v2("[\"" + app_id + "\"]"), unauthenticated},
        {"strangers only", v1(R"(["https://a.test","https://b.test"])"), unauthenticated},
        {"an empty list", v1("[]"), malformed},
        {"an empty text in the list", v1(R"(["https://mdm.contoso.com",""])"), malformed},
        {"a number in the list", v1(R"(["https://mdm.contoso.com",1])"), malformed},
        {"a list in the list", v1(R"([["https://mdm.contoso.com"]])"), malformed},
    });
}

TEST_CASE("a token out of its time is refused", "[attack]") {
    auto const times = [](std::int64_t nbf, std::int64_t exp) {
        return signed_v1(with(with(good_v1, "nbf", std::to_string(nbf)), "exp", std::to_string(exp)));
    };
    std::int64_t const now = to_ms(token_noon) / 1000;
    run({
        {"at the very edges", times(now + 300, now + 301), accepted},
        {"expired just within the leeway", times(now - 4000, now - 299), accepted},
        {"expired", times(now - 4000, now - 300), unauthenticated},
        {"expired long ago", times(now - 4'000'000, now - 3'996'400), unauthenticated},
        {"not valid yet", times(now + 301, now + 4000), unauthenticated},
        {"never valid", times(253'402'300'798, 253'402'300'799), unauthenticated},
        {"exp before nbf, both within the leeway", times(now + 200, now - 200), unauthenticated},
        {"exp at nbf", times(now, now), unauthenticated},
        {"exp 0", times(0, 0), unauthenticated},
        {"exp minus zero", signed_v1(with(good_v1, "exp", "-0")), unauthenticated},
        {"the largest time there is", times(now, 253'402'300'799), accepted},
    });
    auto keys = tenant_keys();
    keys.fetched = token_noon - 24h - 1ms;
    CHECK(verdict(good_token(), keys) == not_found);
}

TEST_CASE("a token of an application, or without our scope, is refused", "[attack]") {
    run({
        {"roles instead of scp", signed_v1(with(without(good_v1, "scp"), "roles", R"(["mdm_delegation"])")), forbidden},
        {"roles, scp empty", signed_v1(with(with(good_v1, "scp", R"("")"), "roles", R"(["x"])")), forbidden},
        {"app-only, v2", signed_v2(with(without(good_v2, "scp"), "roles", R"(["x"])")), forbidden},
        {"app-only with its own oid and sub",
            signed_v2(with(with(without(good_v2, "scp"), "idtyp", R"("app")"), "sub", "\"" + user_id + "\"")),
            forbidden},
        {"idtyp app and a scope", signed_v1(with(good_v1, "idtyp", R"("app")")), forbidden},
        {"idtyp App", signed_v1(with(good_v1, "idtyp", R"("App")")), forbidden},
        {"idtyp device", signed_v1(with(good_v1, "idtyp", R"("device")")), forbidden},
        {"another scope", signed_v1(with(good_v1, "scp", R"("User.Read")")), forbidden},
        {"a longer scope", signed_v1(with(good_v1, "scp", R"("mdm_delegation.x")")), forbidden},
        {"a shorter scope", signed_v1(with(good_v1, "scp", R"("mdm_")")), forbidden},
        {"our scope in other case", signed_v1(with(good_v1, "scp", R"("MDM_Delegation")")), forbidden},
        {"our scope after a comma", signed_v1(with(good_v1, "scp", R"("x,mdm_delegation")")), forbidden},
        {"our scope after a hard blank", signed_v1(with(good_v1, "scp", "\"x\xc2\xa0mdm_delegation\"")), forbidden},
        {"our scope after a tab", signed_v1(with(good_v1, "scp", R"("x\tmdm_delegation")")), malformed},
        {"scp a list", signed_v1(with(good_v1, "scp", R"(["mdm_delegation"])")), malformed},
        {"scope instead of scp", signed_v1(changed(good_v1, R"("scp")", R"("scope")")), forbidden},
    });
}

TEST_CASE("a key that is listed for another issuer signs nothing for ours", "[attack]") {
    auto const keys = [](std::string const& issuer) {
        auto out = tenant_keys();
        out.keys["k1"] = {{"k1", signer().public_key(), issuer}};
        return out;
    };
    for (auto const& issuer : {changed(issuer_v2, tenant, other_tenant), changed(issuer_v1, tenant, other_tenant),
             std::string("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"),
             std::string("https://evil.test/{tenantid}/v2.0"), std::string("{tenantid}"), issuer_v2 + "/"}) {
        INFO(issuer);
        CHECK(verdict(signed_v1(good_v1), keys(issuer)) == unauthenticated);
        CHECK(verdict(signed_v2(good_v2), keys(issuer)) == unauthenticated);
    }
    CHECK(verdict(signed_v2(good_v2), keys(issuer_v1)) == unauthenticated);  // a v1 key, a v2 token
    CHECK(verdict(signed_v1(good_v1), keys(issuer_v1)) == accepted);
    CHECK(verdict(signed_v2(good_v2), keys(issuer_template)) == accepted);

    auto none = tenant_keys();
    none.keys.clear();
    CHECK(verdict(good_token(), none) == not_found);
    auto nameless = tenant_keys();
    nameless.issuer_v1.clear();
    CHECK(verdict(good_token(), nameless) == unauthenticated);
    CHECK(verdict(signed_v1(with(good_v1, "iss", R"("x")")), nameless) == unauthenticated);
}

TEST_CASE("what is not three parts in canonical base64url is refused", "[attack]") {
    auto const h = part(0);
    auto const p = part(1);
    auto const s = part(2);
    REQUIRE(verdict(h + "." + p + "." + s) == accepted);
    // The last letter of 256 bytes holds four bits that must be 0.
    auto const stray_bits = s.substr(0, s.size() - 1) + static_cast<char>(s.back() + 1);
    auto const has = [](std::string text, char c) {  // `text` with its first letter replaced
        text[0] = c;
        return text;
    };
    auto const signed_as_is = [](std::string const& text) { return text + "." + base64url(signer().sign(text)); };
    // A payload whose length leaves bits over, and its encoding with those bits set.
    auto const leaving_bits = [](std::string text) {
        while (text.size() % 3 != 1) text += ' ';
        return text;
    };
    auto const strict = signed_text(good_header, leaving_bits(good_v1));
    auto loose = strict;
    loose.back() = static_cast<char>(loose.back() + 1);
    run({
        {"no dot", h + p + s, malformed},
        {"two parts", h + "." + p, malformed},
        {"two parts and a dot", h + "." + p + ".", unauthenticated},
        {"four parts", h + "." + p + "." + s + "." + s, malformed},
        {"a dot after", h + "." + p + "." + s + ".", malformed},
        {"a dot before", "." + h + "." + p + "." + s, malformed},
        {"two dots within", h + ".." + p + "." + s, malformed},
        {"JWE, five parts", h + "." + p + "." + p + "." + p + "." + s, malformed},
        {"JWE, empty key and all", h + "....", malformed},
        {"dots only", "..", malformed},
        {"nothing", "", malformed},
        {"no header", "." + p + "." + s, malformed},
        {"no payload", h + ".." + s, unauthenticated},
        {"header cut short", h.substr(0, h.size() - 4) + "." + p + "." + s, malformed},
        {"payload cut short", h + "." + base64url(good_v1.substr(0, good_v1.size() - 3)) + "." + s, unauthenticated},
        {"signature cut short", h + "." + p + "." + base64url(unbase64url(s).value().substr(0, 253)), unauthenticated},
        {"signature one letter too short", h + "." + p + "." + s.substr(0, s.size() - 1), malformed},
        {"padded signature", h + "." + p + "." + s + "==", malformed},
        {"a signed header with its padding", signed_as_is(base64url(leaving_bits(good_header)) + "==." + p), malformed},
        {"a signed payload with its padding", signed_as_is(strict + "=="), malformed},
        {"stray bits in the signature", h + "." + p + "." + stray_bits, malformed},
        {"stray bits in a signed payload", signed_as_is(loose), malformed},
        {"+ of the other alphabet", h + "." + p + "." + has(s, '+'), malformed},
        {"/ of the other alphabet", h + "." + p + "." + has(s, '/'), malformed},
        {"percent escapes", h + "." + p + "." + "%41" + s.substr(1), malformed},
        {"a blank before", " " + h + "." + p + "." + s, malformed},
        {"a blank after", h + "." + p + "." + s + " ", malformed},
        {"a blank within what is signed", signed_as_is(h + "." + p.substr(0, 20) + " " + p.substr(20)), malformed},
        {"a line end within what is signed", signed_as_is(h + "." + p.substr(0, 64) + "\r\n" + p.substr(64)),
            malformed},
        {"a blank within", h + "." + p.substr(0, 20) + " " + p.substr(20) + "." + s, malformed},
        {"a line end after", h + "." + p + "." + s + "\r\n", malformed},
        {"a line end within", h + "." + p.substr(0, 64) + "\n" + p.substr(64) + "." + s, malformed},
        {"a tab within", h + "." + p + ".\t" + s, malformed},
        {"NUL after", h + "." + p + "." + s + std::string(1, '\0'), malformed},
        {"NUL and another token", h + "." + p + "." + s + std::string(1, '\0') + h + "." + p + "." + s, malformed},
        {"the scheme before it", "Bearer " + h + "." + p + "." + s, malformed},
        {"two tokens", h + "." + p + "." + s + "," + h + "." + p + "." + s, malformed},
        {"quoted", "\"" + h + "." + p + "." + s + "\"", malformed},
        {"in base64 once more", base64(h + "." + p + "." + s), malformed},
        {"byte order mark before it", "\xef\xbb\xbf" + h + "." + p + "." + s, malformed},
        {"letters that only look like ours", "\xd0\xb5" + h.substr(1) + "." + p + "." + s, malformed},
        {"the JSON form", R"({"protected":")" + h + R"(","payload":")" + p + R"(","signature":")" + s + R"("})",
            malformed},
    });
}

TEST_CASE("a signature stands for its own header and payload, byte for byte", "[attack]") {
    auto const text = signed_text(good_header, good_v1);
    auto const s = signer().sign(text);
    auto const flipped = [&](std::size_t at) {
        auto out = s;
        out[at] = static_cast<char>(out[at] ^ 1);
        return out;
    };
    auto const again = [&](std::string const& signature) { return text + "." + base64url(signature); };
    run({
        {"its own", again(s), accepted},
        {"of another payload", joined(good_header, good_v2, s), unauthenticated},
        {"of a payload that says the same", joined(good_header, good_v1 + " ", s), unauthenticated},
        {"of a header that says the same", joined(good_header + " ", good_v1, s), unauthenticated},
        {"of another user's token", joined(good_header, with(good_v1, "oid", "\"" + device_id + "\""), s),
            unauthenticated},
        {"of the payload alone", again(signer().sign(base64url(good_v1))), unauthenticated},
        {"of the decoded text", again(signer().sign(good_header + "." + good_v1)), unauthenticated},
        {"of the digest", again(signer().sign(crypto::sha256(text))), unauthenticated},
        {"with SHA-1", again(signer().sign(text, EVP_sha1())), unauthenticated},
        {"with SHA-512", again(signer().sign(text, EVP_sha512())), unauthenticated},
        {"first bit", again(flipped(0)), unauthenticated},
        {"last bit", again(flipped(255)), unauthenticated},
        {"empty", again(""), unauthenticated},
        {"one byte", again("x"), unauthenticated},
        {"all zero", again(std::string(256, '\0')), unauthenticated},
        {"one", again(std::string(255, '\0') + '\1'), unauthenticated},
        {"all ones", again(std::string(256, '\xff')), unauthenticated},
        {"the modulus", again(signer().modulus()), unauthenticated},
        {"a zero before", again(std::string(1, '\0') + s), unauthenticated},
        {"a zero after", again(s + '\0'), unauthenticated},
        {"a byte less in front", again(s.substr(1)), unauthenticated},
        {"a byte less behind", again(s.substr(0, 255)), unauthenticated},
        {"twice", again(s + s), unauthenticated},
        {"backwards", again(std::string(s.rbegin(), s.rend())), unauthenticated},
        {"in hex", again(hex(s)), unauthenticated},
        {"in base64 once more", again(base64url(s)), unauthenticated},
    });
}

TEST_CASE("a signature has the modulus' length and is less than the modulus", "[attack]") {
    // One signature in 256 begins with a zero byte: it must not be left out, and nothing may be added to it.
    std::string text;
    std::string s;
    for (int i = 0; s.empty() || s[0] != '\0'; ++i) {
        text = signed_text(good_header, with(good_v1, "uti", "\"" + std::to_string(i) + "\""));
        s = signer().sign(text);
    }
    CHECK(verdict(text + "." + base64url(s)) == accepted);
    CHECK(verdict(text + "." + base64url(s.substr(1))) == unauthenticated);
    CHECK(verdict(text + "." + base64url(std::string(1, '\0') + s)) == unauthenticated);

    auto const n = signer().modulus();
    crypto::bn_handle const number(BN_bin2bn(crypto::bytes(s), 256, nullptr));
    crypto::bn_handle const modulus(BN_bin2bn(crypto::bytes(n), 256, nullptr));
    REQUIRE(BN_add(number.get(), number.get(), modulus.get()) == 1);
    std::string sum(static_cast<std::size_t>(std::max(256, BN_num_bytes(number.get()))), '\0');
    BN_bn2bin(number.get(), crypto::bytes(sum));
    CHECK(verdict(text + "." + base64url(sum)) == unauthenticated);
}

TEST_CASE("a token may be 64 KiB long, and no more", "[attack]") {
    auto const padded = [](std::size_t by) {
        return signed_v1(with(good_v1, "x", "\"" + std::string(by, 'x') + "\""));
    };
    auto by = (65'536 - padded(0).size()) * 3 / 4;
    while (padded(by).size() > 65'536) --by;
    while (padded(by + 1).size() <= 65'536) ++by;
    std::string many = good_v1.substr(0, good_v1.size() - 1);
    for (int i = 0; i < 4000; ++i) many += ",\"m" + std::to_string(i) + "\":0";
    std::string list = "[";
    for (int i = 0; i < 10'000; ++i) list += "\"x\",";
    run({
        {"as long as it may be", padded(by), accepted},
        {"a letter longer", padded(by + 1), malformed},
        {"a megabyte", padded(1'000'000), malformed},
        {"a megabyte of letters", std::string(1'000'000, 'A'), malformed},
        {"a megabyte of dots", std::string(1'000'000, '.'), malformed},
        {"a megabyte of signature", signed_text(good_header, good_v1) + "." + std::string(1'000'000, 'A'), malformed},
        {"thousands of claims", signed_v1(many + "}"), accepted},
        {"thousands of audiences", signed_v1(with(good_v1, "aud", list + "\"y\"]")), unauthenticated},
    });
}
