#include <fmt/format.h>
#include <array>
#include <ctime>

#include "core/text.hpp"
#include "crypto/openssl.hpp"

namespace mdmd::crypto {
namespace {

std::optional<time_point> to_time(ASN1_TIME const* t) {
    std::tm tm{};
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1) return std::nullopt;
    using namespace std::chrono;
    auto const day = sys_days(year(tm.tm_year + 1900) / month(static_cast<unsigned>(tm.tm_mon + 1)) /
                              std::chrono::day(static_cast<unsigned>(tm.tm_mday)));
    return day + hours(tm.tm_hour) + minutes(tm.tm_min) + seconds(tm.tm_sec);
}

}  // namespace

std::string name_text(X509_NAME const* name) {
    bio_handle const out(must(BIO_new(BIO_s_mem()), "BIO_new"));
    must(X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) >= 0, "X509_NAME_print_ex");
    return text_of(out.get());
}

certificate::certificate(std::shared_ptr<impl const> i) : impl_(std::move(i)) {}

result<certificate> certificate::from_der(std::string_view der) {
    error_queue const errors;
    if (der.size() > 64 * 1024) return fail(errc::malformed, "the certificate is over 64 KiB");
    auto const* at = bytes(der);
    x509_handle x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!x509) return fail(errc::malformed, "not an X.509 certificate: " + error_queue::reason());
    if (at != bytes(der) + der.size()) return fail(errc::malformed, "something follows the certificate");
    // OpenSSL also reads BER. One certificate with two encodings would have two fingerprints.
    if (to_der(x509.get(), i2d_X509, "i2d_X509") != der) return fail(errc::malformed, "the certificate is not DER");
    auto const from = to_time(X509_get0_notBefore(x509.get()));
    auto const to = to_time(X509_get0_notAfter(x509.get()));
    if (!from || !to) return fail(errc::malformed, "the certificate's validity is not two times");
    return certificate(std::make_shared<impl const>(impl{std::move(x509), std::string(der), *from, *to}));
}

result<certificate> certificate::from_pem(std::string_view pem) {
    error_queue const errors;
    if (pem.size() > 1024 * 1024) return fail(errc::malformed, "the PEM text is over 1 MiB");
    bio_handle const in(must(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), "BIO_new_mem_buf"));
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_bytes_read_bio(&data, &size, nullptr, PEM_STRING_X509, in.get(), no_password, nullptr) != 1)
        return fail(errc::malformed, "no certificate in the PEM text");
    std::string const der(reinterpret_cast<char const*>(data), static_cast<std::size_t>(size));
    OPENSSL_free(data);
    return from_der(der);
}

std::string const& certificate::der() const { return impl_->der; }

std::string certificate::pem() const {
    error_queue const errors;
    bio_handle const out(must(BIO_new(BIO_s_mem()), "BIO_new"));
    must(PEM_write_bio_X509(out.get(), impl_->x509.get()) == 1, "PEM_write_bio_X509");
    return text_of(out.get());
}

std::string certificate::thumbprint() const { return hex_upper(sha1(impl_->der)); }
std::string certificate::fingerprint() const { return hex(sha256(impl_->der)); }

std::string certificate::serial() const {
    error_queue const errors;
    bn_handle const number(
        must(ASN1_INTEGER_to_BN(X509_get0_serialNumber(impl_->x509.get()), nullptr), "ASN1_INTEGER_to_BN"));
    char* text = must(BN_bn2hex(number.get()), "BN_bn2hex");
    std::string out(text);
    OPENSSL_free(text);
    return out;
}

std::string certificate::subject() const {
    error_queue const errors;
    return name_text(X509_get_subject_name(impl_->x509.get()));
}

std::string certificate::issuer() const {
    error_queue const errors;
    return name_text(X509_get_issuer_name(impl_->x509.get()));
}

std::string certificate::common_name() const {
    error_queue const errors;
    X509_NAME const* name = X509_get_subject_name(impl_->x509.get());
    int last = -1;  // the most specific one comes last
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;) last = at;
    if (last < 0) return {};
    unsigned char* text = nullptr;
    int const size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
    if (size < 0) return {};
    std::string out(reinterpret_cast<char const*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
    return out;
}

time_point certificate::not_before() const { return impl_->not_before; }
time_point certificate::not_after() const { return impl_->not_after; }

std::string certificate::public_key_digest() const {
    error_queue const errors;
    return hex(sha256(to_der(X509_get_X509_PUBKEY(impl_->x509.get()), i2d_X509_PUBKEY, "i2d_X509_PUBKEY")));
}

std::string certificate::key_type() const {
    error_queue const errors;
    auto* const key = X509_get0_pubkey(impl_->x509.get());
    if (!key) return "unknown";
    if (EVP_PKEY_is_a(key, "RSA")) return fmt::format("RSA {}", EVP_PKEY_get_bits(key));
    std::array<char, 64> group{};
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1)
        return EVP_PKEY_get0_type_name(key);
    return std::string_view(group.data()) == "prime256v1" ? "P-256" : group.data();
}

bool is_pair(certificate const& c, private_key const& key) {
    error_queue const errors;
    return X509_check_private_key(c.get().x509.get(), key.get().key.get()) == 1;
}

}  // namespace mdmd::crypto
