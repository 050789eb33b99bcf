#include "pki.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/random.hpp"
#include "core/text.hpp"

namespace mdmd::sim {
namespace {

template <auto free_it> struct freed_by {
    template <class T> void operator()(T* p) const { free_it(p); }
};
template <class T, auto free_it> using owned = std::unique_ptr<T, freed_by<free_it>>;

void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }  // the macro has no address

[[noreturn]] void broken(char const* what) {
    auto const code = ERR_get_error();
    ERR_clear_error();
    throw std::runtime_error(fmt::format("{}: {}", what, ERR_error_string(code, nullptr)));
}

void must(bool ok, char const* what) {
    if (!ok) broken(what);
}

unsigned char const* bytes_of(std::string_view s) { return reinterpret_cast<unsigned char const*>(s.data()); }

std::string digest(std::string_view bytes, EVP_MD const* kind) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    must(EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, kind, nullptr) == 1, "digest");
    return {reinterpret_cast<char const*>(out.data()), size};
}

template <class T> std::string encoded(T const* what, int (*encode)(T const*, unsigned char**)) {
    auto const size = encode(what, nullptr);
    must(size > 0, "DER encoding");
    std::string out(static_cast<std::size_t>(size), '\0');
    auto* at = reinterpret_cast<unsigned char*>(out.data());
    encode(what, &at);
    return out;
}

std::string taken_from(BIO* bio) {
    char* data = nullptr;
    auto const size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

owned<BIO, BIO_free> memory() { return owned<BIO, BIO_free>(BIO_new(BIO_s_mem())); }
owned<BIO, BIO_free> memory(std::string_view text) {
    return owned<BIO, BIO_free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string number(private_key const& key, char const* name) {
    BIGNUM* raw = nullptr;
    must(EVP_PKEY_get_bn_param(key.get(), name, &raw) == 1, name);
    owned<BIGNUM, BN_free> const n(raw);
    std::string out(static_cast<std::size_t>(BN_num_bytes(n.get())), '\0');
    BN_bn2bin(n.get(), reinterpret_cast<unsigned char*>(out.data()));
    return out;
}

std::string name_text(X509_NAME const* name) {
    auto const bio = memory();
    must(X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0, "name");
    return taken_from(bio.get());
}

time_point moment(ASN1_TIME const* t) {
    owned<ASN1_TIME, ASN1_TIME_free> const epoch(ASN1_TIME_set(nullptr, 0));
    int days = 0, seconds = 0;
    must(epoch && ASN1_TIME_diff(&days, &seconds, epoch.get(), t) == 1, "time");
    return time_point(std::chrono::hours(24) * days + std::chrono::seconds(seconds));
}

struct recipe {
    std::string common_name;
    std::string extensions_ca;  // basicConstraints
    std::string key_usage;
    std::string extended_usage;  // empty: none
    std::string alternative_names;
    int days;
};

certificate issue(recipe const& r, EVP_PKEY* subject_key, certificate const* issuer, EVP_PKEY* issuer_key) {
    owned<X509, X509_free> x(X509_new());
    must(x != nullptr, "X509_new");
    X509_set_version(x.get(), X509_VERSION_3);
    auto serial = random_bytes(16);
    serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);
    owned<BIGNUM, BN_free> const n(BN_bin2bn(bytes_of(serial), static_cast<int>(serial.size()), nullptr));
    BN_to_ASN1_INTEGER(n.get(), X509_get_serialNumber(x.get()));
    X509_gmtime_adj(X509_getm_notBefore(x.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x.get()), 86'400L * r.days);
    auto* const name = X509_get_subject_name(x.get());
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes_of(r.common_name), -1, -1, 0) == 1, "name");
    X509_set_issuer_name(x.get(), issuer ? X509_get_subject_name(issuer->get()) : name);
    must(X509_set_pubkey(x.get(), subject_key) == 1, "public key");

    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer ? issuer->get() : x.get(), x.get(), nullptr, nullptr, 0);
    auto const extend = [&](int nid, std::string const& value) {
        if (value.empty()) return;
        owned<X509_EXTENSION, X509_EXTENSION_free> const e(X509V3_EXT_conf_nid(nullptr, &ctx, nid, value.c_str()));
        must(e != nullptr && X509_add_ext(x.get(), e.get(), -1) == 1, "extension");
    };
    extend(NID_basic_constraints, r.extensions_ca);
    extend(NID_key_usage, r.key_usage);
    extend(NID_ext_key_usage, r.extended_usage);
    extend(NID_subject_alt_name, r.alternative_names);
    extend(NID_subject_key_identifier, "hash");
    extend(NID_authority_key_identifier, "keyid:always");
    must(X509_sign(x.get(), issuer_key, EVP_sha256()) > 0, "signing a certificate");
    auto made = certificate::from_der(encoded<X509>(x.get(), i2d_X509));
    return std::move(made.value());
}

recipe const authority_recipe{.common_name = {},
    .extensions_ca = "critical,CA:TRUE",
    .key_usage = "critical,keyCertSign,cRLSign",
    .extended_usage = {},
    .alternative_names = {},
    .days = 3650};

}  // namespace

std::string sha1(std::string_view bytes) { return digest(bytes, EVP_sha1()); }
std::string sha256(std::string_view bytes) { return digest(bytes, EVP_sha256()); }
std::string md5(std::string_view bytes) { return digest(bytes, EVP_md5()); }

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    must(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(), out.data(),
             &size) != nullptr,
        "HMAC");
    return {reinterpret_cast<char const*>(out.data()), size};
}

private_key::private_key(evp_pkey_st* key) : key_(key, &EVP_PKEY_free) { must(key != nullptr, "key"); }

private_key private_key::rsa(unsigned bits) { return private_key(EVP_RSA_gen(bits)); }
private_key private_key::p256() { return private_key(EVP_EC_gen("P-256")); }
private_key private_key::from_pem(std::string_view pem) {
    auto const bio = memory(pem);
    return private_key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

std::string private_key::pem() const {
    auto const bio = memory();
    must(PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1, "key PEM");
    return taken_from(bio.get());
}

std::string private_key::public_der() const { return encoded<EVP_PKEY>(key_.get(), i2d_PUBKEY); }
std::string private_key::modulus() const { return number(*this, OSSL_PKEY_PARAM_RSA_N); }
std::string private_key::exponent() const { return number(*this, OSSL_PKEY_PARAM_RSA_E); }

namespace {

std::string signature(EVP_PKEY* key, EVP_MD const* digest, std::string_view bytes) {
    owned<EVP_MD_CTX, EVP_MD_CTX_free> const ctx(EVP_MD_CTX_new());
    std::size_t size = 0;
    must(EVP_DigestSignInit(ctx.get(), nullptr, digest, nullptr, key) == 1 &&
             EVP_DigestSign(ctx.get(), nullptr, &size, bytes_of(bytes), bytes.size()) == 1,
        "signing");
    std::string out(size, '\0');
    must(EVP_DigestSign(
             ctx.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes_of(bytes), bytes.size()) == 1,
        "signing");
    out.resize(size);
    return out;
}

}  // namespace

std::string private_key::sign_sha256(std::string_view bytes) const {
    return signature(key_.get(), EVP_sha256(), bytes);
}
std::string private_key::sign_sha1(std::string_view bytes) const { return signature(key_.get(), EVP_sha1(), bytes); }

std::string private_key::sign_pss_sha256(std::string_view bytes, int salt) const {
    owned<EVP_MD_CTX, EVP_MD_CTX_free> const ctx(EVP_MD_CTX_new());
    EVP_PKEY_CTX* how = nullptr;  // the context's own
    std::size_t size = 0;
    must(EVP_DigestSignInit(ctx.get(), &how, EVP_sha256(), nullptr, key_.get()) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(how, salt) == 1 &&
             EVP_DigestSign(ctx.get(), nullptr, &size, bytes_of(bytes), bytes.size()) == 1,
        "signing");
    std::string out(size, '\0');
    must(EVP_DigestSign(
             ctx.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes_of(bytes), bytes.size()) == 1,
        "signing");
    out.resize(size);
    return out;
}

certificate::certificate(x509_st* x509, std::string der) : x509_(x509, &X509_free), der_(std::move(der)) {}

result<certificate> certificate::from_der(std::string_view der) {
    auto const* at = bytes_of(der);
    auto* const x = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
    ERR_clear_error();
    if (!x) return fail(errc::malformed, "not an X.509 certificate");
    certificate made(x, std::string(der));
    if (at != bytes_of(der) + der.size()) return fail(errc::malformed, "bytes after the certificate");
    return made;
}

result<certificate> certificate::from_pem(std::string_view pem) {
    auto const bio = memory(pem);
    owned<X509, X509_free> const x(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    ERR_clear_error();
    if (!x) return fail(errc::malformed, "not a PEM certificate");
    return from_der(encoded<X509>(x.get(), i2d_X509));
}

std::string certificate::pem() const {
    auto const bio = memory();
    must(PEM_write_bio_X509(bio.get(), x509_.get()) == 1, "certificate PEM");
    return taken_from(bio.get());
}

std::string certificate::thumbprint() const { return hex_upper(sha1(der_)); }
std::string certificate::subject() const { return name_text(X509_get_subject_name(x509_.get())); }

std::string certificate::common_name() const {
    auto* const name = X509_get_subject_name(x509_.get());
    auto const at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0) return {};
    auto const* const data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    return {
        reinterpret_cast<char const*>(ASN1_STRING_get0_data(data)), static_cast<std::size_t>(ASN1_STRING_length(data))};
}

std::string certificate::public_der() const {
    return encoded<X509_PUBKEY>(X509_get_X509_PUBKEY(x509_.get()), i2d_X509_PUBKEY);
}

bool certificate::is_self_signed() const { return X509_self_signed(x509_.get(), 1) == 1; }
bool certificate::for_client_authentication() const {
    return (X509_get_extension_flags(x509_.get()) & EXFLAG_XKUSAGE) != 0 &&
           (X509_get_extended_key_usage(x509_.get()) & XKU_SSL_CLIENT) != 0;
}
bool certificate::is_authority() const { return X509_check_ca(x509_.get()) == 1; }

bool certificate::verifies(std::string_view bytes, std::string_view signature) const {
    owned<EVP_MD_CTX, EVP_MD_CTX_free> const ctx(EVP_MD_CTX_new());
    auto* const key = X509_get0_pubkey(x509_.get());
    auto const good =
        key && EVP_DigestVerifyInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
        EVP_DigestVerify(ctx.get(), bytes_of(signature), signature.size(), bytes_of(bytes), bytes.size()) == 1;
    ERR_clear_error();
    return good;
}

bool certificate::verifies_pss(std::string_view bytes, std::string_view signature) const {
    owned<EVP_MD_CTX, EVP_MD_CTX_free> const ctx(EVP_MD_CTX_new());
    auto* const key = X509_get0_pubkey(x509_.get());
    EVP_PKEY_CTX* how = nullptr;  // the context's own
    auto const good =
        key && EVP_PKEY_is_a(key, "RSA") == 1 &&
        EVP_DigestVerifyInit(ctx.get(), &how, EVP_sha256(), nullptr, key) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_pss_saltlen(how, 32) == 1 &&
        EVP_DigestVerify(ctx.get(), bytes_of(signature), signature.size(), bytes_of(bytes), bytes.size()) == 1;
    ERR_clear_error();
    return good;
}

time_point certificate::starts() const { return moment(X509_get0_notBefore(x509_.get())); }
time_point certificate::ends() const { return moment(X509_get0_notAfter(x509_.get())); }

std::optional<std::string> chain_failure(
    certificate const& leaf, std::vector<certificate> const& intermediates, certificate const& root) {
    owned<X509_STORE, X509_STORE_free> const store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), root.get());
    owned<STACK_OF(X509), free_stack> const others(sk_X509_new_null());
    for (auto const& c : intermediates) sk_X509_push(others.get(), c.get());
    owned<X509_STORE_CTX, X509_STORE_CTX_free> const ctx(X509_STORE_CTX_new());
    must(X509_STORE_CTX_init(ctx.get(), store.get(), leaf.get(), others.get()) == 1, "chain");
    X509_STORE_CTX_set_purpose(ctx.get(), X509_PURPOSE_SSL_CLIENT);
    if (X509_verify_cert(ctx.get()) == 1) return std::nullopt;
    ERR_clear_error();
    return X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx.get()));
}

identity make_authority(std::string const& common_name) {
    auto key = private_key::p256();
    auto r = authority_recipe;
    r.common_name = common_name;
    return {issue(r, key.get(), nullptr, key.get()), key};
}

identity make_server(identity const& authority, std::vector<std::string> const& names) {
    std::string all;
    for (auto const& name : names) {
        auto const is_address = name.find_first_not_of("0123456789.") == name.npos;
        all += fmt::format("{}{}:{}", all.empty() ? "" : ",", is_address ? "IP" : "DNS", name);
    }
    auto key = private_key::p256();
    recipe const r{.common_name = names.front(),
        .extensions_ca = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature",
        .extended_usage = "serverAuth",
        .alternative_names = all,
        .days = 730};
    return {issue(r, key.get(), &authority.own, authority.key.get()), key};
}

certificate issue_client(identity const& authority, std::string_view public_key_der, std::string const& common_name) {
    auto const* at = bytes_of(public_key_der);
    owned<EVP_PKEY, EVP_PKEY_free> const key(d2i_PUBKEY(nullptr, &at, static_cast<long>(public_key_der.size())));
    must(key != nullptr, "public key");
    recipe const r{.common_name = common_name,
        .extensions_ca = "critical,CA:FALSE",
        .key_usage = "critical,digitalSignature,keyEncipherment",
        .extended_usage = "clientAuth",
        .alternative_names = {},
        .days = 365};
    return issue(r, key.get(), &authority.own, authority.key.get());
}

certificate self_signed(private_key const& key, std::string const& common_name, int days) {
    auto r = authority_recipe;
    r.common_name = common_name;
    r.days = days;
    return issue(r, key.get(), nullptr, key.get());
}

namespace {

std::string signed_data(std::string_view content, identity const& signer, unsigned flags) {
    auto const in = memory(content);
    owned<CMS_ContentInfo, CMS_ContentInfo_free> const cms(
        CMS_sign(nullptr, nullptr, nullptr, nullptr, flags | CMS_PARTIAL));
    must(cms && CMS_add1_signer(cms.get(), signer.own.get(), signer.key.get(), EVP_sha256(), flags) &&
             CMS_final(cms.get(), in.get(), nullptr, flags) == 1,
        "CMS");
    return encoded<CMS_ContentInfo>(cms.get(), i2d_CMS_ContentInfo);
}

}  // namespace

std::string cms_sign(std::string_view content, identity const& signer) {
    return signed_data(content, signer, CMS_BINARY);
}

std::string cms_sign_detached(std::string_view content, identity const& signer) {
    return signed_data(content, signer, CMS_BINARY | CMS_DETACHED);
}

}  // namespace mdmd::sim
