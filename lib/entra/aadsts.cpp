#include <algorithm>
#include <iterator>

#include "entra/graph.hpp"

namespace mdmd::entra {
namespace {

constexpr char const* new_credential = "Create a new client secret or certificate for the application and enter it.";
constexpr char const* check_application = "Check client_id and tenant_id, and that the application was consented to.";
constexpr char const* check_cloud =
    "Check login_url and graph_url: they must be those of the cloud in which the tenant lives.";
constexpr char const* check_certificate =
    "Upload the certificate of certificate_file to the application in Entra ID; check that it has not expired.";
constexpr char const* check_scope = "Check graph_url: the scope asked for is graph_url with /.default after it.";
constexpr char const* grant_consent =
    "Grant the application Device.ReadWrite.All on Microsoft Graph, with admin consent.";
constexpr char const* try_later = "Nothing to do: it is tried again later.";

// By code. The last column says that the same credential, sent again, will be refused again.
constexpr code_text codes[] = {
    {28002, "the scope is not valid", check_scope, false},
    {50011, "the redirect URI is not registered with the application",
        "Add the address of public_url with /EnrollmentServer/Auth/Response to the application's redirect URIs (Web).",
        false},
    {50012, "the application could not be authenticated", "Check the client secret or certificate.", true},
    {50105, "the user is not assigned to the application",
        "Assign the user to the enterprise application, or switch off that it requires assignment.", false},
    {50196, "too many equal requests in a short time", try_later, false},
    {53003, "a Conditional Access policy blocks the application",
        "Exclude the application from the policy, or allow the place from which this machine reaches Entra ID.", false},
    {54005, "the sign-in was used before", "The user starts again.", false},
    {65001, "no administrator has consented to the application's permissions", grant_consent, false},
    {65004, "the user did not consent to the application",
        "The user starts again and consents, or an administrator consents for all.", false},
    {70000, "the sign-in cannot be redeemed", "The user starts again.", false},
    {70001, "the application is not found or disabled in this tenant", check_application, true},
    {70002, "the application's credential is not valid", "Check the client secret or certificate.", true},
    {70008, "the sign-in took too long", "The user starts again.", false},
    {70011, "the scope is not valid", check_scope, false},
    {90002, "the tenant is not found", "Check tenant_id, and login_url: each cloud has tenants of its own.", true},
    {90006, "Entra ID is out of order for a moment", try_later, false},
    {90024, "Entra ID is out of order for a moment", try_later, false},
    {90033, "Entra ID is out of order for a moment", try_later, false},
    {90038, "the tenant lives in another national cloud", check_cloud, true},
    {90055, "too many requests", try_later, false},
    {500011, "Microsoft Graph is not known at this address in the tenant", "Check graph_url.", false},
    {500112, "the redirect URI is another than that of the sign-in",
        "Check that public_url was not changed in the meantime.", false},
    {530032, "a Conditional Access policy blocks the application",
        "Exclude the application from the policy, or allow the place from which this machine reaches Entra ID.", false},
    {650056, "the application's permissions are not set up", grant_consent, false},
    {650057, "the application has no permission for Microsoft Graph", grant_consent, false},
    {700011, "the application is not found in the directory", check_application, true},
    {700016, "the application is not found in the tenant", check_application, true},
    {700021, "the assertion names another application than client_id", "Check client_id.", true},
    {700022, "scopes of several resources were asked for at once", check_scope, false},
    {700023, "the assertion is addressed to another tenant or login host", "Check tenant_id and login_url.", true},
    {700024, "the assertion is not valid now: this machine's clock is wrong",
        "Set the clock and keep it by NTP (timedatectl).", false},
    {700027, "the certificate is not registered for the application, has expired, or is not that of the key",
        check_certificate, true},
    {700030, "the certificate's subject or issuer is not authorised for the application", check_certificate, true},
    {900382, "requests across clouds are refused for this application", check_cloud, true},
    {900432, "requests across clouds are refused for this application", check_cloud, true},
    {7000112, "the application is disabled", "Enable the enterprise application in Entra ID.", true},
    {7000215, "the client secret is wrong",
        "Enter the secret's value; its ID, which the portal shows beside it, does not work.", true},
    {7000218, "no client secret or certificate was sent", "Set key_file, or certificate_file and its key.", true},
    {7000222, "the client secret or certificate has expired", new_credential, true},
};
static_assert(std::is_sorted(std::begin(codes), std::end(codes), [](auto& a, auto& b) { return a.code < b.code; }));

}  // namespace

code_text const* find_code(int code) {
    auto const* at = std::lower_bound(
        std::begin(codes), std::end(codes), code, [](code_text const& c, int wanted) { return c.code < wanted; });
    return at != std::end(codes) && at->code == code ? at : nullptr;
}

bool successor_may_help(int code) { return code == 7000215 || code == 7000222 || code == 700027; }

}  // namespace mdmd::entra
