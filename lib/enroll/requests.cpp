// Requests in: Discover, GetPolicies, RequestSecurityToken.
#include <fmt/format.h>
#include <charconv>

#include "core/text.hpp"
#include "enroll/soap.hpp"

namespace mdmd::enroll {
namespace {

std::string text_of(xml::tree const& parent, std::string_view ns, std::string_view local) {
    auto const* const e = find_first(parent, ns, local);
    return e ? std::string(trim(e->data())) : std::string{};
}

std::vector<std::string> offered_policies(xml::tree const& request) {
    std::vector<std::string> offered;
    auto const* const list = find_first(request, ns::discovery, "AuthPolicies");
    if (!list) return offered;
    for (auto const* const policy : find_all(*list, ns::discovery, "AuthPolicy"))
        if (auto const text = trim(policy->data()); !text.empty()) offered.emplace_back(text);
    // A sample of the certificate flow has the text without an AuthPolicy around it.
    if (auto const bare = trim(list->data()); offered.empty() && !bare.empty()) offered.emplace_back(bare);
    return offered;
}

// The last word of ".../ws-trust/200512/Issue", or empty if it is not one that WS-Trust and [MS-MDE2] know.
std::string request_type_of(std::string_view uri) {
    if (!uri.starts_with(ns::trust)) return {};
    uri.remove_prefix(ns::trust.size());
    for (std::string_view const known : {"Issue", "Renew", "Recovery"})
        if (uri.size() == known.size() + 1 && uri.front() == '/' && uri.ends_with(known)) return std::string(known);
    return {};
}

constexpr char der_sequence = 0x30;

// The body's BinarySecurityToken. A PKCS#10 is base64 once; a user-triggered renewal sends its PKCS#7 base64 twice,
// which its first byte gives away.
result<std::string> body_token(xml::tree const& element, bool maybe_twice) {
    auto bytes = unbase64(element.data());
    if (bytes && maybe_twice && !bytes->starts_with(der_sequence)) bytes = unbase64(*bytes);
    if (!bytes || bytes->empty()) return fail(errc::malformed, "the body's BinarySecurityToken is not base64");
    return std::move(*bytes);
}

std::vector<context_item> context_items(xml::tree const& request) {
    std::vector<context_item> items;
    auto const* const context = find_first(request, ns::context, "AdditionalContext");
    if (!context) return items;
    for (auto const* const item : find_all(*context, ns::context, "ContextItem")) {
        auto const name = loose_attribute(*item, "Name", {ns::context}).value_or("");
        if (!name.empty()) items.push_back({std::string(name), text_of(*item, ns::context, "Value")});
    }
    return items;
}

}  // namespace

result<discover_request> parse_discover(std::string_view soap) {
    auto const e = open_envelope(soap, operation::discover);
    if (!e) return e.error();
    auto const discover = e->payload(ns::discovery, "Discover");
    if (!discover) return discover.error();
    auto const* const request = find_first(**discover, ns::discovery, "request");
    if (!request) return fail(errc::malformed, "Discover has no request");
    for (auto const* const mandatory : {"EmailAddress", "RequestVersion"})
        if (!find_first(*request, ns::discovery, mandatory))
            return fail(errc::malformed, fmt::format("Discover has no {}", mandatory));
    discover_request r{
        .message_id = e->message_id,
        .email = text_of(*request, ns::discovery, "EmailAddress"),
        .request_version = text_of(*request, ns::discovery, "RequestVersion"),
        .device_type = text_of(*request, ns::discovery, "DeviceType"),
        .application_version = text_of(*request, ns::discovery, "ApplicationVersion"),
        .os_edition = text_of(*request, ns::discovery, "OSEdition"),
        .os_version = text_of(*request, ns::discovery, "OSVersion"),
        .auth_policies = offered_policies(*request),
    };
    if (r.auth_policies.empty()) return fail(errc::malformed, "Discover has no AuthPolicies");
    return r;
}

result<policies_request> parse_policies_request(std::string_view soap) {
    auto const e = open_envelope(soap, operation::get_policies);
    if (!e) return e.error();
    auto const get = e->payload(ns::xcep, "GetPolicies");
    if (!get) return get.error();
    if (!find_first(**get, ns::xcep, "client")) return fail(errc::malformed, "GetPolicies has no client");
    return policies_request{.message_id = e->message_id, .who = credential_of(*e)};
}

result<token_request> parse_token_request(std::string_view soap) {
    auto const e = open_envelope(soap, operation::request_token);
    if (!e) return e.error();
    auto const request = e->payload(ns::trust, "RequestSecurityToken");
    if (!request) return request.error();
    auto const type_uri = text_of(**request, ns::trust, "RequestType");
    token_request r{
        .message_id = e->message_id,
        .who = credential_of(*e),
        .request_type = request_type_of(type_uri),
        .value_type = {},
        .binary = {},
        .context = context_items(**request),
    };
    if (r.request_type.empty())
        return fail(errc::malformed, fmt::format("RequestType is '{}'", printable(type_uri, 160)));

    auto const tokens = find_all(**request, ns::wsse, "BinarySecurityToken");
    if (tokens.size() > 1) return fail(errc::malformed, "the body has several BinarySecurityTokens");
    bool const issue = r.request_type == "Issue";
    bool const renew = r.request_type == "Renew";
    if (tokens.empty() && (issue || renew)) return fail(errc::malformed, "the body has no BinarySecurityToken");
    if (!tokens.empty()) {
        r.value_type = loose_attribute(*tokens.front(), "ValueType", {ns::wsse, ns::wsu}).value_or("");
        // PKCS7 is written with either of two namespaces before the '#'.
        if ((issue && !r.value_type.ends_with("#PKCS10")) || (renew && !r.value_type.ends_with("#PKCS7")))
            return fail(errc::malformed,
                fmt::format("a body token of type '{}' to {}", printable(r.value_type, 160), r.request_type));
        auto bytes = body_token(*tokens.front(), renew);
        if (!bytes) return bytes.error();
        r.binary = std::move(*bytes);
    }
    // Renewals name their device by its certificate; real ones carry as little as DeviceType.
    if (issue)
        for (auto const* const mandatory : {"DeviceID", "EnrollmentType", "DeviceType", "OSVersion"})
            if (r.item(mandatory).empty()) return fail(errc::malformed, fmt::format("no context item {}", mandatory));
    return r;
}

std::string_view token_request::item(std::string_view name) const {
    for (auto const& i : context)
        if (iequals(i.name, name)) return i.value;
    return {};
}

bool token_request::item_is_true(std::string_view name) const {
    auto const value = item(name);
    return iequals(value, "true") || value == "1";
}

std::string version_for(std::string_view requested) {
    requested = trim(requested);
    auto const* const end = requested.data() + requested.size();
    unsigned major = 0;
    auto const [after, failed] = std::from_chars(requested.data(), end, major);
    bool const number = failed == std::errc{} && (after == end || *after == '.');
    return number && major < 4 ? "3.0" : "4.0";
}

}  // namespace mdmd::enroll
