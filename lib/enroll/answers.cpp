// Answers out: DiscoverResponse, GetPoliciesResponse, RequestSecurityTokenResponseCollection. Their element orders are
// sequences of the schemas, so the order of the calls below is part of the protocol.
#include <fmt/format.h>
#include <chrono>

#include "core/text.hpp"
#include "enroll/soap.hpp"

namespace mdmd::enroll {
namespace {

void nil(xml::writer& out, std::string_view name) { out.open(name).attribute("xsi:nil", "true").close(); }

// s:Body with the two schema prefixes that [MS-MDE2]'s samples declare there.
void open_body(xml::writer& out) { out.open("s:Body").attribute("xmlns:xsi", ns::xsi).attribute("xmlns:xsd", ns::xsd); }

// [MS-XCEP] section 3.1.4.1.3.1: what Windows honours of it are the key length, the providers and the hash.
void write_attributes(xml::writer& out, certificate_policy const& policy) {
    out.open("attributes").leaf("commonName", "mdmd-device").leaf("policySchema", "3");
    out.open("certificateValidity");
    out.leaf("validityPeriodSeconds", std::to_string(policy.validity.count()));
    out.leaf("renewalPeriodSeconds", std::to_string(policy.renewal.count()));
    out.close();
    out.open("permission").leaf("enroll", "true").leaf("autoEnroll", "false").close();
    out.open("privateKeyAttributes").leaf("minimalKeyLength", "2048");
    for (auto const* const name : {"keySpec", "keyUsageProperty", "permissions", "algorithmOIDReference"})
        nil(out, name);
    out.open("cryptoProviders");  // a TPM's key first, then one in software
    out.leaf("provider", "Microsoft Platform Crypto Provider");
    out.leaf("provider", "Microsoft Software Key Storage Provider");
    out.close();
    out.close();
    out.open("revision").leaf("majorRevision", "101").leaf("minorRevision", "0").close();
    for (auto const* const name :
        {"supersededPolicies", "privateKeyFlags", "subjectNameFlags", "enrollmentFlags", "generalFlags"})
        nil(out, name);
    out.leaf("hashAlgorithmOIDReference", "0");
    for (auto const* const name : {"rARequirements", "keyArchivalAttributes", "extensions"}) nil(out, name);
    out.close();
}

}  // namespace

std::string discover_response(
    discover_answer const& answer, std::string_view message_id, std::string_view correlation) {
    xml::writer out;
    open_answer(out, operation::discover, message_id, correlation);
    out.close();
    open_body(out);
    out.open("DiscoverResponse").attribute("xmlns", ns::discovery).open("DiscoverResult");
    out.leaf("AuthPolicy", answer.auth_policy);
    out.leaf("EnrollmentVersion", answer.enrollment_version);
    out.leaf("EnrollmentPolicyServiceUrl", answer.policy_url);
    out.leaf("EnrollmentServiceUrl", answer.enrollment_url);
    if (!answer.authentication_url.empty()) out.leaf("AuthenticationServiceUrl", answer.authentication_url);
    out.close().close().close().close();
    return finished(std::move(out));
}

std::string policies_response(certificate_policy const& policy, std::string_view message_id) {
    xml::writer out;
    open_answer(out, operation::get_policies, message_id, {});
    out.close();
    open_body(out);
    out.open("GetPoliciesResponse").attribute("xmlns", ns::xcep);
    out.open("response").leaf("policyID");
    for (auto const* const name : {"policyFriendlyName", "nextUpdateHours", "policiesNotChanged"}) nil(out, name);
    out.open("policies").open("policy");
    out.leaf("policyOIDReference", "0");
    nil(out, "cAs");
    write_attributes(out, policy);
    out.close().close().close();
    nil(out, "cAs");
    // The one object identifier that both references above point to. Group 4 is what Windows is known to accept for it,
    // although the prose of [MS-XCEP] files hash algorithms under 1.
    out.open("oIDs").open("oID");
    out.leaf("value", "2.16.840.1.101.3.4.2.1").leaf("group", "4").leaf("oIDReferenceID", "0");
    out.leaf("defaultName", "szOID_NIST_sha256");
    out.close().close();
    out.close().close().close();
    return finished(std::move(out));
}

std::string token_response(std::string_view provisioning_document, std::string_view message_id, time_point now) {
    using namespace std::chrono_literals;
    xml::writer out;
    open_answer(out, operation::request_token, message_id, {});
    out.open("o:Security").attribute("s:mustUnderstand", "1").attribute("xmlns:o", ns::wsse);
    out.open("u:Timestamp").attribute("u:Id", "_0");
    out.leaf("u:Created", rfc3339_ms(now - 5min)).leaf("u:Expires", rfc3339_ms(now + 5min));
    out.close().close();
    out.close();
    out.open("s:Body").open("RequestSecurityTokenResponseCollection").attribute("xmlns", ns::trust);
    out.open("RequestSecurityTokenResponse");
    out.leaf("TokenType", device_enrollment_token);
    out.leaf_ns("DispositionMessage", ns::wstep);
    out.open("RequestedSecurityToken").open("BinarySecurityToken").attribute("xmlns", ns::wsse);
    out.attribute("ValueType",
        "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc");
    out.attribute("EncodingType", fmt::format("{}#base64binary", ns::wsse));
    out.text(base64(provisioning_document)).close().close();
    out.leaf_ns("RequestID", ns::wstep, "0");
    out.close().close().close().close();
    return finished(std::move(out));
}

}  // namespace mdmd::enroll
