#include <fmt/format.h>

#include "core/text.hpp"
#include "crypto/openssl.hpp"
#include "crypto/server_certificate.hpp"

namespace mdmd::crypto {
namespace {

constexpr auto trial_validity = std::chrono::minutes(1);

X509* raw(certificate const& c) { return c.get().x509.get(); }

std::string name_of(certificate const& c) { return fmt::format("'{}'", printable(c.subject(), 256)); }

error unfit(std::string const& wanted, std::string const& got) {
    return fail(errc::forbidden, fmt::format("expected {}, got {}", wanted, got));
}

bool is_self_signed(certificate const& c) { return c.subject() == c.issuer() && is_issued_by(c, c); }

// Why a certificate cannot be that of an authority; empty: it can.
std::string objection(certificate const& c, time_point now) {
    auto* const x509 = raw(c);
    if (X509_get_version(x509) != X509_VERSION_3) return "one that is not of X.509 version 3";
    if ((X509_get_extension_flags(x509) & EXFLAG_CA) == 0) return "one that is no authority's (basic constraints)";
    if ((X509_get_key_usage(x509) & KU_KEY_CERT_SIGN) == 0) return "one that may not sign certificates (key usage)";
    if (now < c.not_before()) return fmt::format("one that is not valid before {}", rfc3339(c.not_before()));
    if (now >= c.not_after()) return fmt::format("one that ended at {}", rfc3339(c.not_after()));
    auto* const key = X509_get0_pubkey(x509);
    return key ? authority_key_objection(key) : "one whose key is of no known kind";
}

// What no other check has found: names that the authority may not certify, weak signatures, extensions that are
// critical and not known. A device certificate of it is made and checked.
result<void> try_out(authority const& a, time_point now) {
    auto const key = private_key::make_p256();
    signing_request request;
    request.public_key = to_der(key.get().key.get(), i2d_PUBKEY, "i2d_PUBKEY");
    auto const device = issue_device_certificate(
        a, request, {.common_name = "trial", .upn = "trial@example.org", .validity = trial_validity}, now);
    return check_device_certificate(a, device, now);
}

}  // namespace

result<authority> import_authority(
    std::string_view chain_pem, secret const& key_pem, secret const& passphrase, time_point now) {
    error_queue const errors;
    auto const chain = certificates_of(chain_pem);
    if (!chain)
        return fail(errc::malformed,
            fmt::format("expected an issuing certificate and its root in PEM, got: {}", chain.error().detail));
    auto const& issuing = chain->front();
    if (is_self_signed(issuing))
        return unfit("the certificate of an intermediate authority first",
            fmt::format("the root {}: let it sign an intermediate, whose key alone is needed here", name_of(issuing)));
    if (auto const why = objection(issuing, now); !why.empty())
        return unfit(fmt::format("the certificate of an authority first ({})", name_of(issuing)), why);
    if (!X509_get0_subject_key_id(raw(issuing)))
        return unfit("an authority's certificate with a subject key identifier", name_of(issuing) + " without one");
    if (chain->size() == 1) return unfit(fmt::format("after {} the root that signed it", name_of(issuing)), "nothing");
    if (chain->size() > 2)
        return unfit("one issuing certificate and its root",
            fmt::format("{} certificates: Windows takes one intermediate and one root when it enrolls, so that the "
                        "issuing authority must be signed by a root itself",
                chain->size()));
    auto const& root = chain->back();
    if (root.subject() != issuing.issuer())
        return unfit(
            fmt::format("after {} its issuer '{}'", name_of(issuing), printable(issuing.issuer(), 256)), name_of(root));
    if (root.subject() != root.issuer())
        return unfit(fmt::format("after {} a self-signed root", name_of(issuing)),
            fmt::format("{}, which '{}' signed: Windows takes one intermediate and one root when it enrolls, so that "
                        "the issuing authority must be signed by a root itself",
                name_of(root), printable(root.issuer(), 256)));
    if (auto const why = objection(root, now); !why.empty())
        return unfit(fmt::format("the certificate of a root second ({})", name_of(root)), why);
    if (X509_get_pathlen(raw(root)) == 0)
        return unfit("a root that may sign an intermediate authority", name_of(root) + ", whose path length is 0");
    if (!is_self_signed(root)) return unfit("a root that signed itself", name_of(root) + ", whose signature is wrong");
    if (!is_issued_by(issuing, root))
        return unfit(fmt::format("the root that signed {}", name_of(issuing)),
            name_of(root) + ", which has the name of the issuer, but another key");

    auto const key = private_key::from_pem(key_pem, passphrase);
    if (!key && key.error().code == errc::unauthenticated) {
        auto const* const got = passphrase.empty() ? "an encrypted one, and no authority.passphrase_file"
                                                   : "one that authority.passphrase_file does not open";
        return fail(errc::unauthenticated, fmt::format("expected a private key, got {}", got));
    }
    if (!key) return fail(errc::unsupported, fmt::format("expected a private key in PEM, got: {}", key.error().detail));
    if (!is_pair(issuing, *key))
        return fail(errc::conflict,
            fmt::format("expected the private key of {}, got that of another certificate", name_of(issuing)));

    authority whole{root, issuing, *key};
    if (auto const works = try_out(whole, now); !works)
        return unfit("an authority whose device certificates are good",
            fmt::format("{}, with which one fails: {}", name_of(issuing), works.error().detail));
    return whole;
}

}  // namespace mdmd::crypto
