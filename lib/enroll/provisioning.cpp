#include "enroll/provisioning.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "enroll/soap.hpp"

namespace mdmd::enroll {
namespace {

using namespace std::chrono_literals;

void node(xml::writer& out, std::string_view type) { out.open("characteristic").attribute("type", type); }

void parm(xml::writer& out, std::string_view name, std::string_view value) {
    out.open("parm").attribute("name", name).attribute("value", value).close();
}

// DMClient and WSTEP nodes want their type beside the value.
void typed(xml::writer& out, std::string_view name, std::string_view value, std::string_view datatype) {
    out.open("parm").attribute("name", name).attribute("value", value).attribute("datatype", datatype).close();
}
void typed(xml::writer& out, std::string_view name, std::int64_t value) {
    typed(out, name, std::to_string(value), "integer");
}

// CertificateStore names a certificate by the SHA-1 of its DER and takes base64 without line breaks.
void certificate(xml::writer& out, crypto::certificate const& c) {
    node(out, c.thumbprint());
    parm(out, "EncodedCertificate", base64(c.der()));
    out.close();
}

// CertificateStore/{store}/System with that certificate.
void authority(xml::writer& out, std::string_view store, crypto::certificate const& c) {
    node(out, store);
    node(out, "System");
    certificate(out, c);
    out.close().close();
}

// When and how Windows renews.
void renewal(xml::writer& out, std::chrono::seconds window) {
    auto const days = std::clamp<std::int64_t>(std::chrono::floor<std::chrono::days>(window).count(), 1, 1000);
    node(out, "WSTEP");
    node(out, "Renew");
    typed(out, "ROBOSupport", "true", "boolean");
    typed(out, "RenewPeriod", days);
    typed(out, "RetryInterval", std::min<std::int64_t>(4, days));  // no divisor of a week, so that the weekday moves
    out.close().close();
}

// All three stores in one CertificateStore, which Windows takes as well as one for each.
void certificate_store(xml::writer& out, provisioning const& p) {
    node(out, "CertificateStore");
    authority(out, "Root", p.root);
    authority(out, "CA", p.issuing);
    node(out, "My");
    node(out, p.device_store ? "System" : "User");
    certificate(out, p.device);
    // Binds the private key of the request to the certificate beside it; without it Windows ends in 0x80180024.
    node(out, "PrivateKeyContainer");
    out.close().close();
    renewal(out, p.renewal_window);
    out.close().close();
}

void digest_auth(xml::writer& out, std::string_view level, std::string_view name, digest_account const& account) {
    node(out, "APPAUTH");
    parm(out, "AAUTHLEVEL", level);
    parm(out, "AAUTHTYPE", "DIGEST");
    if (!name.empty()) parm(out, "AAUTHNAME", name);
    parm(out, "AAUTHSECRET", account.password.reveal());
    parm(out, "AAUTHDATA", base64(account.nonce));
    out.close();
}

// w7 APPLICATION: names in upper case, their case matters.
void application(xml::writer& out, provisioning const& p) {
    node(out, "APPLICATION");
    parm(out, "APPID", "w7");
    parm(out, "PROVIDER-ID", provider_id);
    parm(out, "NAME", carried(p.name));
    parm(out, "ADDR", p.management_url);
    parm(out, "CONNRETRYFREQ", "6");
    parm(out, "INITIALBACKOFFTIME", "30000");
    parm(out, "MAXBACKOFFTIME", "120000");
    out.open("parm").attribute("name", "BACKCOMPATRETRYDISABLED").close();  // its presence is its value
    parm(out, "DEFAULTENCODING", "application/vnd.syncml.dm+xml");
    parm(out, "SSLCLIENTCERTSEARCHCRITERIA", certificate_search_criteria(p.device_id, p.device_store));
    digest_auth(out, "CLIENT", {}, p.server_account);
    digest_auth(out, "APPSRV", p.device_account.name, p.device_account);
    out.close();
}

void poll(xml::writer& out, std::chrono::seconds steady) {
    auto const minutes = std::max<std::int64_t>(std::chrono::ceil<std::chrono::minutes>(steady).count(), 1);
    node(out, "Poll");
    typed(out, "NumberOfFirstRetries", 5);
    typed(out, "IntervalForFirstSetOfRetries", 15);
    typed(out, "NumberOfSecondRetries", 8);
    typed(out, "IntervalForSecondSetOfRetries", 60);
    typed(out, "NumberOfRemainingScheduledRetries", 0);  // without end
    typed(out, "IntervalForRemainingScheduledRetries", minutes);
    typed(out, "PollOnLogin", "true", "boolean");
    out.close();
}

void dm_client(xml::writer& out, provisioning const& p) {
    node(out, "DMClient");
    node(out, "Provider");
    node(out, provider_id);
    typed(out, "EntDMID", p.device_id, "string");
    typed(out, "EntDeviceName", carried(p.device_name), "string");
    if (!p.upn.empty()) typed(out, "UPN", carried(p.upn), "string");
    if (!p.app_id.empty()) typed(out, "AADResourceID", p.app_id, "string");
    poll(out, p.poll);
    out.close().close().close();
}

}  // namespace

std::string certificate_search_criteria(std::string_view device_id, bool device_store) {
    return fmt::format("Subject=CN%3D{}&Stores=My%5C{}", percent_encode(device_id), device_store ? "System" : "User");
}

std::string provisioning_document(provisioning const& p) {
    xml::writer out;
    out.open("wap-provisioningdoc").attribute("version", "1.1");
    certificate_store(out, p);
    application(out, p);
    dm_client(out, p);
    out.close();
    return finished(std::move(out));
}

std::string renewal_document(renewed const& r) {
    xml::writer out;
    out.open("wap-provisioningdoc").attribute("version", "1.1");
    node(out, "CertificateStore");
    if (r.root) authority(out, "Root", *r.root);
    if (r.issuing) authority(out, "CA", *r.issuing);
    node(out, "My");
    node(out, r.device_store ? "System" : "User");
    node(out, r.device.thumbprint());
    parm(out, "EncodedCertificate", base64(r.device.der()));
    node(out, "PrivateKeyContainer");
    out.close().close().close();
    renewal(out, r.renewal_window);
    out.close().close();
    node(out, "APPLICATION");
    parm(out, "PROVIDER-ID", provider_id);
    out.close();
    out.close();
    return finished(std::move(out));
}

}  // namespace mdmd::enroll
