#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <ctime>

#include "core/random.hpp"
#include "core/text.hpp"
#include "crypto/openssl.hpp"

namespace mdmd::crypto {
namespace {

using namespace std::chrono_literals;

using bits_handle = handle<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using constraints_handle = handle<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using key_id_handle = handle<AUTHORITY_KEYID, AUTHORITY_KEYID_free>;
using octets_handle = handle<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using usage_handle = handle<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using names_handle = handle<GENERAL_NAMES, GENERAL_NAMES_free>;
using general_name_handle = handle<GENERAL_NAME, GENERAL_NAME_free>;
using type_handle = handle<ASN1_TYPE, ASN1_TYPE_free>;
using utf8_handle = handle<ASN1_UTF8STRING, ASN1_UTF8STRING_free>;
using store_handle = handle<X509_STORE, X509_STORE_free>;
using check_handle = handle<X509_STORE_CTX, X509_STORE_CTX_free>;
struct stack_free {  // sk_X509_free is a macro; the certificates in the stack are not ours to free
    void operator()(STACK_OF(X509) * s) const noexcept { sk_X509_free(s); }
};
using stack_handle = std::unique_ptr<STACK_OF(X509), stack_free>;

constexpr auto clock_slack = 1h;  // how far a device's clock may run behind ours
constexpr auto one_year = 8766h;  // 365.25 days

// Bits of KeyUsage, RFC 5280 section 4.2.1.3.
constexpr int digital_signature = 0;
constexpr int key_encipherment = 2;
constexpr int key_cert_sign = 5;
constexpr int crl_sign = 6;

// How it signs: SHA-2 as strong as the key, of which those we make need SHA-256.
EVP_MD const* digest_for(EVP_PKEY const* key) {
    int const bits = EVP_PKEY_is_a(key, "EC") ? EVP_PKEY_get_bits(key) : 0;
    return bits > 384 ? EVP_sha512() : bits > 256 ? EVP_sha384() : EVP_sha256();
}

std::time_t to_seconds(time_point t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); }

// The parts that all our certificates share; extensions and the signature are added by the caller.
class draft {
public:
    draft(std::string_view common_name, EVP_PKEY* key, time_point from, time_point to)
        : x509_(must(X509_new(), "X509_new")) {
        must(X509_set_version(x509_.get(), X509_VERSION_3) == 1, "X509_set_version");
        set_serial();
        name_handle const name(must(X509_NAME_new(), "X509_NAME_new"));
        must(X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8, bytes(common_name),
                 static_cast<int>(common_name.size()), -1, 0) == 1,
            "X509_NAME_add_entry_by_NID");
        must(X509_set_subject_name(x509_.get(), name.get()) == 1, "X509_set_subject_name");
        must(ASN1_TIME_set(X509_getm_notBefore(x509_.get()), to_seconds(from)) != nullptr, "ASN1_TIME_set");
        must(ASN1_TIME_set(X509_getm_notAfter(x509_.get()), to_seconds(to)) != nullptr, "ASN1_TIME_set");
        must(X509_set_pubkey(x509_.get(), key) == 1, "X509_set_pubkey");
        add_subject_key_id();
    }

    void add(int extension, void* value, bool critical) {
        must(X509_add1_ext_i2d(x509_.get(), extension, value, critical, X509V3_ADD_DEFAULT) == 1, "X509_add1_ext_i2d");
    }

    void add_constraints(std::optional<int> path_length_of_authority) {
        constraints_handle const value(must(BASIC_CONSTRAINTS_new(), "BASIC_CONSTRAINTS_new"));
        if (path_length_of_authority) {
            value->ca = 0xff;  // DER's TRUE
            value->pathlen = must(ASN1_INTEGER_new(), "ASN1_INTEGER_new");
            must(ASN1_INTEGER_set(value->pathlen, *path_length_of_authority) == 1, "ASN1_INTEGER_set");
        }
        add(NID_basic_constraints, value.get(), path_length_of_authority.has_value());
    }

    void add_key_usage(std::initializer_list<int> usages) {
        bits_handle const value(must(ASN1_BIT_STRING_new(), "ASN1_BIT_STRING_new"));
        for (int const bit : usages) must(ASN1_BIT_STRING_set_bit(value.get(), bit, 1) == 1, "ASN1_BIT_STRING_set_bit");
        add(NID_key_usage, value.get(), true);
    }

    void add_client_authentication() {
        usage_handle const value(must(EXTENDED_KEY_USAGE_new(), "EXTENDED_KEY_USAGE_new"));
        must(sk_ASN1_OBJECT_push(value.get(), must(OBJ_nid2obj(NID_client_auth), "OBJ_nid2obj")) > 0,
            "sk_ASN1_OBJECT_push");
        add(NID_ext_key_usage, value.get(), false);
    }

    void add_upn(std::string_view upn) {
        utf8_handle text(must(ASN1_UTF8STRING_new(), "ASN1_UTF8STRING_new"));
        must(ASN1_STRING_set(text.get(), upn.data(), static_cast<int>(upn.size())) == 1, "ASN1_STRING_set");
        type_handle value(must(ASN1_TYPE_new(), "ASN1_TYPE_new"));
        ASN1_TYPE_set(value.get(), V_ASN1_UTF8STRING, text.release());
        general_name_handle name(must(GENERAL_NAME_new(), "GENERAL_NAME_new"));
        must(GENERAL_NAME_set0_othername(name.get(), must(OBJ_nid2obj(NID_ms_upn), "OBJ_nid2obj"), value.get()) == 1,
            "GENERAL_NAME_set0_othername");
        value.release();
        names_handle const names(must(GENERAL_NAMES_new(), "GENERAL_NAMES_new"));
        must(sk_GENERAL_NAME_push(names.get(), name.get()) > 0, "sk_GENERAL_NAME_push");
        name.release();
        add(NID_subject_alt_name, names.get(), false);
    }

    certificate sign(X509* issuer, EVP_PKEY* key) {
        auto const* id = must(X509_get0_subject_key_id(issuer), "X509_get0_subject_key_id");
        return finish(X509_get_subject_name(issuer), id, key);
    }
    certificate self_sign(EVP_PKEY* key) { return finish(X509_get_subject_name(x509_.get()), key_id_.get(), key); }

private:
    // 128 random bits under a leading 1: positive, never 0, always 17 of the 20 bytes that RFC 5280 allows.
    void set_serial() {
        auto raw = random_bytes(17);
        raw[0] = 1;
        bn_handle const number(must(BN_bin2bn(bytes(raw), static_cast<int>(raw.size()), nullptr), "BN_bin2bn"));
        must(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509_.get())) != nullptr, "BN_to_ASN1_INTEGER");
    }

    // Key identifiers by RFC 5280 section 4.2.1.2, method 1: SHA-1 of the key's bits.
    void add_subject_key_id() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        must(X509_pubkey_digest(x509_.get(), EVP_sha1(), digest.data(), &size) == 1, "X509_pubkey_digest");
        key_id_.reset(must(ASN1_OCTET_STRING_new(), "ASN1_OCTET_STRING_new"));
        must(ASN1_OCTET_STRING_set(key_id_.get(), digest.data(), static_cast<int>(size)) == 1, "ASN1_OCTET_STRING_set");
        add(NID_subject_key_identifier, key_id_.get(), false);
    }

    certificate finish(X509_NAME const* issuer, ASN1_OCTET_STRING const* issuer_key_id, EVP_PKEY* key) {
        key_id_handle const value(must(AUTHORITY_KEYID_new(), "AUTHORITY_KEYID_new"));
        value->keyid = must(ASN1_OCTET_STRING_dup(issuer_key_id), "ASN1_OCTET_STRING_dup");
        add(NID_authority_key_identifier, value.get(), false);
        must(X509_set_issuer_name(x509_.get(), issuer) == 1, "X509_set_issuer_name");
        must(X509_sign(x509_.get(), key, digest_for(key)) > 0, "X509_sign");
        auto made = certificate::from_der(to_der(x509_.get(), i2d_X509, "i2d_X509"));
        if (!made) throw crypto_error("a certificate just made cannot be read: " + made.error().detail);
        return *std::move(made);
    }

    x509_handle x509_;
    octets_handle key_id_;
};

// At most 40 bytes of it, so that " Device CA " and the suffix stay within the 64 characters of a common name.
std::string_view short_organization(std::string_view name) {
    name = trim(name);
    if (name.size() > 40) {
        std::size_t end = 40;
        while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;  // not inside a character
        name = trim(name.substr(0, end));
    }
    return name;
}

std::string authority_name(std::string_view organization, std::string_view role) {
    return std::string(trim(fmt::format("{} {} {}", short_organization(organization), role, hex(random_bytes(4)))));
}

error refused(std::string why) { return fail(errc::unauthenticated, "device certificate: " + std::move(why)); }

// Client authentication and nothing else: OpenSSL's purpose check lets a certificate with more, or without any, pass.
bool only_for_client_authentication(X509 const* x509) {
    int critical = 0;
    usage_handle const usages(
        static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(x509, NID_ext_key_usage, &critical, nullptr)));
    return usages && sk_ASN1_OBJECT_num(usages.get()) == 1 &&
           OBJ_obj2nid(sk_ASN1_OBJECT_value(usages.get(), 0)) == NID_client_auth;
}

}  // namespace

new_authority make_authority(std::string_view organization, time_point now, key_kind kind) {
    error_queue const errors;
    auto const key = kind == key_kind::rsa ? private_key::make_rsa(3072) : private_key::make_p256();
    draft root_draft(
        authority_name(organization, "Root CA"), key.get().key.get(), now - clock_slack, now + 25 * one_year);
    root_draft.add_constraints(1);
    root_draft.add_key_usage({key_cert_sign, crl_sign});
    auto const root = root_draft.self_sign(key.get().key.get());
    auto made = make_intermediate(organization, root, key, kind, now);
    return {root, key, std::move(made.issuing), std::move(made.issuing_key)};
}

new_intermediate make_intermediate(std::string_view organization, certificate const& root, private_key const& root_key,
    key_kind kind, time_point now) {
    error_queue const errors;
    auto const end = std::min<time_point>(now + 10 * one_year, root.not_after());
    if (end <= now) throw crypto_error("the root certificate has ended");
    auto const key = kind == key_kind::rsa ? private_key::make_rsa(2048) : private_key::make_p256();
    draft issuing(authority_name(organization, "Device CA"), key.get().key.get(), now - clock_slack, end);
    issuing.add_constraints(0);
    issuing.add_key_usage({key_cert_sign, crl_sign});
    return {issuing.sign(root.get().x509.get(), root_key.get().key.get()), key};
}

time_point end_of(authority const& a) { return std::min(a.issuing.not_after(), a.root.not_after()); }

certificate issue_device_certificate(
    authority const& a, signing_request const& request, device_profile const& profile, time_point now) {
    error_queue const errors;
    auto const* at = bytes(request.public_key);
    pkey_handle const key(must(d2i_PUBKEY(nullptr, &at, static_cast<long>(request.public_key.size())), "d2i_PUBKEY"));
    auto const end = std::min<time_point>(now + profile.validity, end_of(a));
    if (end <= now) throw crypto_error("the device authority has ended, or the validity asked for is not positive");
    auto const from = std::max<time_point>(now - clock_slack, a.issuing.not_before());
    draft device(profile.common_name, key.get(), from, end);
    device.add_constraints(std::nullopt);
    if (EVP_PKEY_is_a(key.get(), "RSA"))
        device.add_key_usage({digital_signature, key_encipherment});
    else
        device.add_key_usage({digital_signature});  // such a key encrypts nothing
    device.add_client_authentication();
    if (profile.upn && !profile.upn->empty()) device.add_upn(*profile.upn);
    return device.sign(a.issuing.get().x509.get(), a.issuing_key.get().key.get());
}

result<void> check_device_certificate(authority const& a, certificate const& device, time_point now) {
    return check_device_certificate(a.root, a.issuing, device, now);
}

result<void> check_device_certificate(
    certificate const& root, certificate const& intermediate, certificate const& device, time_point now) {
    error_queue const errors;
    X509* const leaf = device.get().x509.get();
    X509* const issuing = intermediate.get().x509.get();
    store_handle const store(must(X509_STORE_new(), "X509_STORE_new"));
    must(X509_STORE_add_cert(store.get(), root.get().x509.get()) == 1, "X509_STORE_add_cert");
    stack_handle const between(must(sk_X509_new_null(), "sk_X509_new_null"));
    must(sk_X509_push(between.get(), issuing) > 0, "sk_X509_push");
    check_handle const check(must(X509_STORE_CTX_new(), "X509_STORE_CTX_new"));
    must(X509_STORE_CTX_init(check.get(), store.get(), leaf, between.get()) == 1, "X509_STORE_CTX_init");
    X509_VERIFY_PARAM* const how = X509_STORE_CTX_get0_param(check.get());
    must(X509_VERIFY_PARAM_set_purpose(how, X509_PURPOSE_SSL_CLIENT) == 1, "X509_VERIFY_PARAM_set_purpose");
    X509_VERIFY_PARAM_set_time(how, to_seconds(now));
    X509_VERIFY_PARAM_set_auth_level(how, 2);  // 112 bits: RSA-2048 and SHA-256 or better
    if (X509_verify_cert(check.get()) != 1)
        return refused(X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get())));
    // The root signs intermediates only: a device that hangs on it directly is not one that we enrolled.
    STACK_OF(X509)* const chain = X509_STORE_CTX_get0_chain(check.get());
    if (sk_X509_num(chain) != 3 || X509_cmp(sk_X509_value(chain, 1), issuing) != 0)
        return refused("not issued by the device authority's intermediate");
    if (X509_check_ca(leaf) != 0) return refused("it is an authority's certificate");
    if (!only_for_client_authentication(leaf)) return refused("not for client authentication alone");
    return {};
}

}  // namespace mdmd::crypto
