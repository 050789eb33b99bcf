#include "enroll/explain.hpp"

#include <algorithm>
#include <array>

#include "core/hresult.hpp"
#include "core/text.hpp"
#include "enroll/messages.hpp"

namespace mdmd::enroll {
namespace {

using enum raised_by;

constexpr auto table = std::to_array<explanation>({
    {0x80180001, "MENROLL_E_DEVICE_MESSAGE_FORMAT_ERROR", "idErrorServerConnectivity", appliance,
        "A message was not understood: by mdmd (then there is an event of it), or an answer by Windows.",
        "Look for the event with `mdmctl events list`. Without one, something between the device and mdmd changes "
        "messages, such as a proxy that inspects TLS: let the device reach mdmd directly."},
    {0x80180002, "MENROLL_E_DEVICE_AUTHENTICATION_ERROR", "idErrorAuthenticationFailure", appliance,
        "The user could not be authenticated: a wrong password, or a token that is expired, forged, of another tenant "
        "or made for another application.",
        "Check the device's clock. Where every user is refused, compare tenant_id, client_id and app_id in config.yaml "
        "with the Entra portal and run `mdmctl doctor`."},
    {0x80180003, "MENROLL_E_DEVICE_AUTHORIZATION_ERROR", "idErrorAuthorizationFailure", appliance,
        "The user is known but may not enroll: not in one of enrollment.allowed_groups, blocked, the account disabled, "
        "or the computer is enrolled by another user.",
        "The event says which. Add the user to a group, or delete the other user's record with "
        "`mdmctl devices delete ID`."},
    {0x80180004, "MENROLL_E_DEVICE_CERTIFCATEREQUEST_ERROR", "idErrorMDMCertificateError", appliance,
        "The device's certificate request was not acceptable, or the device authority could not sign it.",
        "The event says why. Where the authority is at fault, see `mdmctl ca show`: an expired issuing certificate "
        "wants `mdmctl ca rollover`."},
    {0x80180005, "MENROLL_E_DEVICE_CONFIGMGRSERVER_ERROR", "idErrorServerConnectivity", appliance,
        "mdmd could not store the enrollment.",
        "Check the disk and the database with `mdmctl doctor`; the log has the error."},
    {0x80180006, "MENROLL_E_DEVICE_INTERNALSERVICE_ERROR", "idErrorServerConnectivity", appliance,
        "Something that mdmd needs did not work, such as Entra's keys or the user's groups not being had. (Microsoft's "
        "table calls it MENROLL_E_DEVICE_CONFIGMGRSERVER_ERROR too.)",
        "The event and the log say what. `mdmctl doctor` checks the ways to Entra and Graph."},
    {0x80180007, "MENROLL_E_DEVICE_INVALIDSECURITY_ERROR", "idErrorAuthenticationFailure", appliance,
        "The request carried no credential that can be read.",
        "Let the user try again. If it stays, something between the device and mdmd takes headers out of messages."},
    {0x80180008, "MENROLL_E_DEVICE_UNKNOWN_ERROR", "idErrorServerConnectivity", appliance,
        "The server answered with an error that Windows does not know.",
        "mdmd sends none such: look for a proxy or load balancer that answers in its place."},
    {0x80180009, "MENROLL_E_ENROLLMENT_IN_PROGRESS", "idErrorAlreadyInProgress", device,
        "Another enrollment runs on this device.", "Wait until it ends, or restart the device."},
    {0x8018000A, "MENROLL_E_DEVICE_ALREADY_ENROLLED", "idErrorMDMAlreadyEnrolled", device,
        "The device is enrolled already, here or with another MDM.",
        "Remove the account in Settings, Accounts, Access work or school; then join again."},
    {0x8018000B, "MENROLL_E_DEVICE_NOT_ENROLLED", "", device, "The device is not enrolled.", "Enroll it first."},
    {0x8018000D, "MENROLL_E_DISCOVERY_SEC_CERT_DATE_INVALID", "idErrorMDMCertificateError", way,
        "The server's TLS certificate has expired or is not valid yet, as the device's clock has it.",
        "Check the device's clock; `mdmctl status` tells the certificate's end. Renew server.tls_certificate and run "
        "`systemctl reload mdmd`."},
    {0x8018000E, "MENROLL_E_PASSWORD_NEEDED", "idErrorAuthenticationFailure", way,
        "The server asks for a password and Windows has none.",
        "For devices that join Entra keep enrollment.on_premise_auth off, or switch enrollment.federated_auth on."},
    {0x8018000F, "MENROLL_E_WAB_ERROR", "idErrorAuthenticationFailure", way,
        "The sign-in page in Windows' broker window failed: not reachable, not trusted, or it ended without a token.",
        "Open the sign-in address in a browser on that device. The redirect address must be registered in Entra: see "
        "docs/ways-in.md."},
    {0x80180010, "MENROLL_E_CONNECTIVITY", "idErrorServerConnectivity", way,
        "The server was not reached: name, route, firewall, time-out or a connection that broke.",
        "From the device, open server.public_url in a browser. `mdmctl doctor` checks the server's side."},
    {0x00180011, "MENROLL_S_ENROLLMENT_SUSPENDED", "", device, "The enrollment is suspended, not failed.", "Nothing."},
    {0x80180012, "MENROLL_E_INVALIDSSLCERT", "idErrorMDMCertificateError", way,
        "The server's TLS certificate is not trusted by the device, or is for another name.",
        "server.tls_certificate must hold the whole chain, its root must be trusted by devices before they enroll, and "
        "its names must have the host of server.public_url: `mdmctl doctor` checks it."},
    {0x80180013, "MENROLL_E_DEVICECAPREACHED", "idErrorDeviceLimit", appliance,
        "The user has as many devices as enrollment.max_devices_per_user allows.",
        "Retire or delete devices the user no longer has (`mdmctl devices list`), or raise the limit."},
    {0x80180014, "MENROLL_E_DEVICENOTSUPPORTED", "idErrorMDMNotSupported", appliance,
        "This kind of device, its version of Windows or its edition is not accepted.",
        "Update the device, or change enrollment.min_os_version, max_os_version or editions."},
    {0x80180015, "MENROLL_E_NOTSUPPORTED", "idErrorMDMNotSupported", appliance,
        "This way to enroll is not open: enrollment is off, personal devices are blocked, or the type is not among "
        "enrollment.allowed_types.",
        "The event says which setting decides."},
    {0x80180016, "MENROLL_E_NOTELIGIBLETORENEW", "idErrorMDMRenewalRejected", appliance,
        "The device's certificate may not be renewed: too early, expired, revoked, or not the device's own.",
        "The event says why. A device whose certificate has expired must be enrolled again."},
    {0x80180017, "MENROLL_E_INMAINTENANCE", "idErrorMDMAccountMaintenance", appliance,
        "mdmd is in maintenance and enrolls nobody.", "`mdmctl maintenance off` ends it."},
    {0x80180018, "MENROLL_E_USERLICENSE", "idErrorMDMLicenseError", appliance, "Entra does not know the user any more.",
        "Check the account in the Entra portal; the user must exist and have a license for automatic enrollment."},
    {0x80180019, "MENROLL_E_ENROLLMENTDATAINVALID", "idErrorInvalidServerConfig", appliance,
        "The Terms of Use were not accepted by this user for this kind of enrollment, too long ago, or their acceptance "
        "was used before.",
        "Let the user begin again. If it stays, check the MDM terms of use URL in the Entra portal."},
    {0x8018001A, "MENROLL_E_ENROLLMENT_INSECUREREDIRECT", "", way, "The server redirected to an address without TLS.",
        "mdmd never does: look for a proxy in front of it."},
    {0x8018001B, "MENROLL_E_PLATFORM_WRONG_STATE", "", device, "Windows is not in a state to enroll.",
        "Restart the device and try again."},
    {0x8018001C, "MENROLL_E_PLATFORM_LICENSE_ERROR", "", device, "This Windows is not licensed or not activated.",
        "Activate Windows."},
    {0x8018001D, "MENROLL_E_PLATFORM_UNKNOWN_ERROR", "", device, "Windows failed for a reason it does not tell.",
        "See the device's event log DeviceManagement-Enterprise-Diagnostics-Provider."},
    {0x8018001E, "MENROLL_E_PROV_CSP_CERTSTORE", "", appliance,
        "The device could not take certificates of the provisioning document.",
        "See the device's event log. An imported authority whose chain Windows refuses is one cause: `mdmctl ca show`."},
    {0x8018001F, "MENROLL_E_PROV_CSP_W7", "", appliance,
        "The device could not take the management account of the provisioning document.",
        "Check server.management_url; an account of the same name on the device is another cause."},
    {0x80180020, "MENROLL_E_PROV_CSP_DMCLIENT", "", appliance,
        "The device could not take the DMClient part of the provisioning document.", "Check management.poll."},
    {0x80180021, "MENROLL_E_PROV_CSP_PFW", "", appliance,
        "The device could not take PassportForWork settings of the provisioning document.",
        "mdmd sends none: look for a provisioning package on the device."},
    {0x80180022, "MENROLL_E_PROV_CSP_MISC", "", appliance,
        "The device could not take some part of the provisioning document.", "See the device's event log."},
    {0x80180023, "MENROLL_E_PROV_UNKNOWN", "", appliance,
        "The device could not take the provisioning document, for a reason it does not tell.",
        "See the device's event log."},
    {0x80180024, "MENROLL_E_PROV_SSLCERTNOTFOUND", "", appliance,
        "The device does not find its new certificate or the key of it.",
        "Let the user try again; if it stays, clear the device's TPM or look at its key storage provider."},
    {0x80180025, "MENROLL_E_PROV_CSP_APPMGMT", "", appliance,
        "The device could not take applications of the provisioning document.",
        "mdmd sends none: look for a provisioning package on the device."},
    {0x80180026, "MENROLL_E_DEVICE_MANAGEMENT_BLOCKED", "", device,
        "A policy on the device forbids MDM enrollment (DisableRegistration).",
        "Remove the group policy \"Disable MDM Enrollment\"."},
    {0x80180027, "MENROLL_E_CERTPOLICY_PRIVATEKEYCREATION_FAILED", "", device,
        "The device could not make its private key.",
        "Look at its TPM (tpm.msc): ready, not locked out, firmware up to date."},
    {0x80180028, "MENROLL_E_CERTAUTH_FAILED_TO_FIND_CERT", "", device,
        "The device does not find the certificate it should authenticate with.",
        "Certificate authentication is not offered by mdmd: enroll in another way."},
    {0x80180029, "MENROLL_E_EMPTY_MESSAGE", "", way, "The answer was empty.",
        "mdmd sends none such: look for a proxy or load balancer in front of it."},
    {0x8018002A, "MENROLL_E_USER_CANCELLED", "", device, "The user cancelled the enrollment.", "Begin again."},
    {0x80180030, "MENROLL_E_USER_CANCELED", "", device, "The user cancelled the enrollment.", "Begin again."},
    {0x80180031, "MENROLL_E_MDM_NOT_CONFIGURED", "", entra, "No MDM is set up for this user in Entra.",
        "In the Entra portal put the user into the MDM user scope of this application (Mobility)."},
    {0x80180032, "MENROLL_E_CUSTOMSERVERERROR", "", appliance,
        "Enrollment is off, and the device shows the administrator's own text (enrollment.disabled_message).",
        "Switch enrollment.enabled on."},
    {0x80180033, "MENROLL_E_SERVER429", "", way,
        "The server said that there are too many requests: more waited than mdmd can serve, or a proxy limits them.",
        "Wait and try again. `mdmd_requests_refused_total` of /metrics counts those that mdmd sent away."},
    {0, "rejectedTermsOfUse", "idErrorRejectedTermsOfUse", appliance, "The user declined the Terms of Use.",
        "Let the user begin again and accept."},
    {0x801C0001, "DSREG_E_DEVICE_MESSAGE_FORMAT_ERROR", "idErrorServerConnectivity", entra,
        "Entra's device registration did not understand a message.", "Try again; then check proxies to Entra."},
    {0x801C0002, "DSREG_E_DEVICE_AUTHENTICATION_ERROR", "idErrorAuthenticationFailure", entra,
        "Entra's device registration did not accept the user.",
        "Check the user's account and sign-in log in the Entra portal."},
    {0x801C0003, "DSREG_E_DEVICE_AUTHORIZATION_ERROR", "idErrorAuthorizationFailure", entra,
        "The user may not register devices in Entra.",
        "In the Entra portal, Devices, Device settings: who may join, and the number of devices."},
    {0x801C0006, "DSREG_E_DEVICE_INTERNALSERVICE_ERROR", "idErrorServerConnectivity", entra,
        "Entra's device registration failed.", "Try again later; see Entra's service health."},
    {0x801C000B, "DSREG_E_DISCOVERY_REDIRECTION_NOT_TRUSTED", "idErrorUntrustedServer", entra,
        "Entra's discovery was redirected to a server that is not trusted.", "Check proxies and DNS on the device."},
    {0x801C000C, "DSREG_E_DISCOVERY_FAILED", "idErrorServerConnectivity", entra,
        "Entra's registration service was not found or not reached.",
        "The device needs enterpriseregistration.windows.net, directly or through its proxy."},
    {0x801C000E, "DSREG_E_DEVICE_REGISTRATION_QUOTA_EXCCEEDED", "idErrorDeviceLimit", entra,
        "The user has as many devices in Entra as allowed there.",
        "Delete stale devices in the Entra portal, or raise the maximum number of devices per user."},
    {0x801C000F, "DSREG_E_DEVICE_REQUIRES_REBOOT", "idErrorDeviceRequiresReboot", device,
        "The device must restart first.", "Restart it."},
    {0x801C0010, "DSREG_E_DEVICE_AIK_VALIDATION_ERROR", "idErrorInvalidCertificate", entra,
        "The device's attestation key was not accepted.", "Update its TPM firmware and Windows."},
    {0x801C0011, "DSREG_E_DEVICE_ATTESTATION_ERROR", "idErrorAuthenticationFailure", entra,
        "The device's attestation failed.", "Update its TPM firmware and Windows."},
    {0x801C0012, "DSREG_E_DISCOVERY_BAD_MESSAGE_ERROR", "idErrorServerConnectivity", entra,
        "Entra's discovery answered with something that was not understood.", "Check proxies to Entra."},
    {0x801C0013, "DSREG_E_TENANTID_NOT_FOUND", "idErrorAuthenticationFailure", entra,
        "The user's token names no tenant.", "Let the user sign in with a work or school account."},
    {0x801C0014, "DSREG_E_USERSID_NOT_FOUND", "idErrorAuthenticationFailure", entra, "The user's token names no user.",
        "Let the user sign in with a work or school account."},
});

}  // namespace

std::span<explanation const> explanations() { return table; }

explanation const* explain(std::uint32_t code) {
    auto const found = std::find_if(table.begin(), table.end(), [&](auto const& e) { return e.code == code; });
    return code != 0 && found != table.end() ? &*found : nullptr;
}

explanation const* explain(std::string_view text) {
    text = trim(text);
    for (auto const& e : table)
        if (iequals(e.constant, text)) return &e;
    for (auto const& f : refusals())
        if (f.error_type && iequals(f.error_type, text)) return explain(f.hresult);
    auto const code = parse_hresult(text);
    return code ? explain(*code) : nullptr;
}

}  // namespace mdmd::enroll
