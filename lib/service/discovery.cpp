#include "service/discovery.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t longest_value = 64;  // bytes, before they are encoded
constexpr std::size_t longest_list = 96;   // of what a client offers, for the log

// Percent-encoded but for the dots of a version, which every URL may hold.
std::string encoded(std::string_view value) {
    auto out = percent_encode(value);
    for (auto at = out.find("%2E"); at != out.npos; at = out.find("%2E", at)) out.replace(at, 3, ".");
    return out;
}

std::string client_of(enroll::discover_request const& r) {
    std::string out;
    for (auto const& [name, value] :
        {std::pair("OSVersion", &r.os_version), {"ApplicationVersion", &r.application_version},
            {"OSEdition", &r.os_edition}, {"DeviceType", &r.device_type}})
        if (!value->empty())
            out += fmt::format("{}{}={}", out.empty() ? '?' : '&', name, encoded(cut_utf8(*value, longest_value)));
    return out;
}

std::string listed(std::vector<std::string> const& all) {
    std::string out;
    for (auto const& one : all) {
        if (out.size() > longest_list) break;
        out += (out.empty() ? "" : ", ") + one;
    }
    return printable(out, longest_list);
}

}  // namespace

outcome<enroll::discover_answer> discover(config::settings const& s, enroll::discover_request const& r) {
    auto const& offered = r.auth_policies;
    auto const offers = [&](std::string_view policy) {
        return std::find(offered.begin(), offered.end(), policy) != offered.end();
    };
    auto const& ways = s.enrollment;
    bool const passwords = ways.on_premise && offers("OnPremise");
    bool const federated = offers("Federated") && !(passwords && !ways.federated);
    if (!federated && !passwords)
        return failure{enroll::refusal::not_supported,
            fmt::format("the client offers {}, of which none is enabled", listed(offered)),
            ways.on_premise ? "only enrollment with a work or school account (Federated) or a user name and password "
                              "(OnPremise) is enabled here"
                            : "only enrollment with a work or school account of Entra ID (Federated) is enabled here"};
    auto const base = s.server.public_url.text + "/EnrollmentServer/";
    auto const client = client_of(r);
    return enroll::discover_answer{.auth_policy = federated ? "Federated" : "OnPremise",
        .enrollment_version = enroll::version_for(r.request_version),
        .policy_url = base + "Policy.svc" + client,
        .enrollment_url = base + "Enrollment.svc" + client,
        .authentication_url = federated && ways.federated ? base + "Auth" + client : ""};
}

}  // namespace mdmd::service
