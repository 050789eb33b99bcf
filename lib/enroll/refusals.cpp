// The table of refusals and the SOAP fault that carries one.
// Source: [MS-MDE2] section 2.2.10; MDMRegistration.h for the constants, misspelling included; Microsoft Graph
// deviceEnrollmentFailureReason
#include <array>
#include <stdexcept>

#include "enroll/soap.hpp"

namespace mdmd::enroll {
namespace {

constexpr std::array<refusal_facts, 15> table{{
    {refusal::message_format, "s:MessageFormat", nullptr, 0x80180001, "MENROLL_E_DEVICE_MESSAGE_FORMAT_ERROR",
        "badRequest", "the message is not understood"},
    {refusal::authentication, "s:Authentication", nullptr, 0x80180002, "MENROLL_E_DEVICE_AUTHENTICATION_ERROR",
        "authentication", "the user could not be authenticated"},
    {refusal::authorization, "s:Authorization", nullptr, 0x80180003, "MENROLL_E_DEVICE_AUTHORIZATION_ERROR",
        "authorization", "the user is not allowed to enroll devices"},
    {refusal::certificate_request, "s:CertificateRequest", nullptr, 0x80180004,
        "MENROLL_E_DEVICE_CERTIFCATEREQUEST_ERROR", "badRequest", "the certificate request is not acceptable"},
    {refusal::enrollment_server, "s:EnrollmentServer", nullptr, 0x80180005, "MENROLL_E_DEVICE_CONFIGMGRSERVER_ERROR",
        "unknown", "the enrollment could not be stored"},
    {refusal::internal, "a:InternalServiceFault", nullptr, 0x80180006, "MENROLL_E_DEVICE_INTERNALSERVICE_ERROR",
        "unknown", "internal service error"},
    {refusal::invalid_security, "a:InvalidSecurity", nullptr, 0x80180007, "MENROLL_E_DEVICE_INVALIDSECURITY_ERROR",
        "authentication", "the request carries no usable credential"},
    {refusal::device_cap_reached, "s:Authorization", "DeviceCapReached", 0x80180013, "MENROLL_E_DEVICECAPREACHED",
        "enrollmentRestrictionsEnforced", "device cap reached"},
    {refusal::device_not_supported, "s:Authorization", "DeviceNotSupported", 0x80180014, "MENROLL_E_DEVICENOTSUPPORTED",
        "deviceNotSupported", "this device or its version of Windows is not supported"},
    {refusal::not_supported, "s:Authorization", "NotSupported", 0x80180015, "MENROLL_E_NOTSUPPORTED",
        "featureNotSupported", "this kind of enrollment is not supported"},
    {refusal::not_eligible_to_renew, "s:Authorization", "NotEligibleToRenew", 0x80180016,
        "MENROLL_E_NOTELIGIBLETORENEW", "authorization", "the certificate is not eligible to be renewed"},
    {refusal::in_maintenance, "s:Authorization", "InMaintenance", 0x80180017, "MENROLL_E_INMAINTENANCE",
        "inMaintenance", "the enrollment service is in maintenance"},
    {refusal::user_license, "s:Authorization", "UserLicense", 0x80180018, "MENROLL_E_USERLICENSE", "userValidation",
        "the user is not licensed"},
    {refusal::invalid_enrollment_data, "s:Authorization", "InvalidEnrollmentData", 0x80180019,
        "MENROLL_E_ENROLLMENTDATAINVALID", "badRequest", "the Terms of Use were not accepted, or too long ago"},
    {refusal::custom, "s:Authorization", "CustomServerError", 0x80180032, "MENROLL_E_CUSTOMSERVERERROR", "unknown",
        "enrollment is switched off"},
}};

constexpr bool in_order() {
    for (std::size_t i = 0; i < table.size(); ++i)
        if (static_cast<std::size_t>(table[i].what) != i) return false;
    return table.back().what == refusal::custom;
}
static_assert(in_order(), "facts() indexes the table by the enumerator");

constexpr std::size_t longest_text = 512;  // bytes; Windows shows it in one dialog and one event

}  // namespace

std::span<refusal_facts const> refusals() { return table; }

refusal_facts const& facts(refusal what) { return table.at(static_cast<std::size_t>(what)); }

std::string fault(
    operation op, refusal what, std::string_view text, std::string_view message_id, std::string_view trace_id) {
    auto const& known = facts(what);
    auto const message = carried(text.empty() ? known.text : text, longest_text);
    xml::writer out;
    open_answer(out, op, message_id, trace_id);
    out.close();
    out.open("s:Body").open("s:Fault");
    out.open("s:Code").leaf("s:Value", "s:Receiver");
    out.open("s:Subcode").leaf("s:Value", known.subcode).close().close();
    out.open("s:Reason").open("s:Text").attribute("xml:lang", "en-US").text(message).close().close();
    out.open("s:Detail").open("DeviceEnrollmentServiceError").attribute("xmlns", ns::wstep);
    if (known.error_type) out.leaf("ErrorType", known.error_type);
    out.leaf("Message", message).leaf("TraceId", trace_id);
    out.close().close().close().close().close();
    return finished(std::move(out));
}

}  // namespace mdmd::enroll
