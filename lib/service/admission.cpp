#include "service/admission.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace mdmd::service {
namespace {

using enroll::refusal;
using type = config::enrollment_type;

constexpr char restrictions[] = "enrollmentRestrictionsEnforced";
constexpr char account[] = "accountValidation";

std::optional<type> type_of(enrollee::kind what, bool corporate) {
    switch (what) {
        case enrollee::kind::user: return corporate ? type::entra_join : type::work_account;
        case enrollee::kind::bulk: return type::bulk;
        case enrollee::kind::device: return type::device_token;
        default: return std::nullopt;  // has a switch of its own
    }
}

char const* name(type t) {
    constexpr std::array names{"entra_join", "work_account", "bulk", "device_token"};
    return names.at(static_cast<std::size_t>(t));
}

std::optional<failure> unfit(config::settings const& s, enroll::token_request const& request) {
    auto const& e = s.enrollment;
    // Windows 10 and later on a computer: what has every message and node that is used here.
    if (auto const device = request.item("DeviceType"); !iequals(device, "CIMClient_Windows"))
        return failure{refusal::device_not_supported, "DeviceType is " + printable(device, 64)};
    auto const text = printable(request.item("OSVersion"), 64);
    auto const version = parse_os_version(request.item("OSVersion"));
    if (!version || version->parts[0] < 10)
        return failure{refusal::device_not_supported, fmt::format("OSVersion {} is not Windows 10 or later", text)};
    if (e.min_os_version && *version < *e.min_os_version)
        return failure{refusal::device_not_supported,
            fmt::format("OS version {} is below enrollment.min_os_version", text),
            "this version of Windows is too old: install its updates and try again", restrictions};
    if (e.max_os_version && *version > *e.max_os_version)
        return failure{refusal::device_not_supported,
            fmt::format("OS version {} is above enrollment.max_os_version", text),
            "this version of Windows is newer than what may be enrolled", restrictions};
    if (!e.editions.empty()) {
        auto const edition = parse_os_edition(request.item("OSEdition"));
        if (!edition || std::find(e.editions.begin(), e.editions.end(), *edition) == e.editions.end())
            return failure{refusal::device_not_supported,
                fmt::format("edition {} is not among enrollment.editions",
                    edition ? os_edition_name(*edition) : printable(request.item("OSEdition"), 64)),
                "this edition of Windows may not be enrolled", restrictions};
    }
    return std::nullopt;
}

}  // namespace

std::optional<failure> admission::closed(enrollee::kind what, bool corporate) const {
    auto const config = context_.config();
    auto const& e = config->settings.enrollment;
    if (!e.enabled) {
        if (!e.disabled_message.empty())
            return failure{refusal::custom, "enrollment.enabled is false", e.disabled_message, account};
        return failure{refusal::not_supported, "enrollment.enabled is false", "enrollment is switched off", account};
    }
    if (context_.maintenance()) return failure{refusal::in_maintenance, "maintenance is on"};
    if (!corporate && !e.personal_devices)
        return failure{refusal::not_supported, "enrollment.personal_devices is block: personal devices are blocked",
            "personal devices are not accepted"};
    if (auto const t = type_of(what, corporate); t && !e.allowed_types.contains(*t))
        return failure{refusal::not_supported, fmt::format("{} is not among enrollment.allowed_types", name(*t)),
            "this kind of enrollment is not accepted"};
    return std::nullopt;
}

std::optional<failure> admission::turned_away(enrollee const& who) {
    auto const config = context_.config();
    auto const& e = config->settings.enrollment;
    auto const blocked = [&](std::string const& name) {
        return !name.empty() &&
               std::find(e.blocked_users.begin(), e.blocked_users.end(), lower(name)) != e.blocked_users.end();
    };
    if (blocked(who.user_id) || blocked(who.upn))
        return failure{refusal::authorization, "the user is one of enrollment.blocked_users",
            "this user may not enroll devices", account};
    if (who.what == enrollee::kind::on_premise || who.what == enrollee::kind::device) return std::nullopt;
    if (auto const state = accounts_.of(who.user_id)) {
        if (*state == entra::account_state::gone)
            return failure{
                refusal::user_license, "Graph knows no such user", "the user is not in the directory any more"};
        if (*state == entra::account_state::disabled)
            return failure{refusal::authorization, "the user's account is disabled in Entra",
                "the user's account is disabled", account};
    }
    // A package is nobody's account, and let in by enrollment.allowed_types.
    if (who.what == enrollee::kind::bulk) return std::nullopt;
    auto const allowed = groups_.may_enroll(who.user_id);
    if (!allowed && allowed.error().code != errc::not_found)
        return failure{refusal::internal, "the user's groups are not known: " + allowed.error().detail};
    if (!allowed || !*allowed)
        return failure{refusal::authorization,
            allowed ? "the user is in none of enrollment.allowed_groups" : allowed.error().detail,
            "the user is in none of the groups whose members may enroll devices"};
    return std::nullopt;
}

std::optional<failure> admission::refused(enroll::token_request const& request, enrollee const& who) {
    auto const config = context_.config();
    bool const corporate = iequals(request.item("EnrollmentType"), "Device");
    if (auto why = closed(who.what, corporate)) return why;
    // A joined computer's token names it. Without that, its being the organization's is the client's word alone.
    if (corporate && who.what == enrollee::kind::user && who.entra_device_id.empty() &&
        !config->settings.enrollment.personal_devices)
        return failure{refusal::not_supported,
            "enrollment.personal_devices is block, and the token names no device that was joined",
            "personal devices are not accepted"};
    if (auto why = unfit(config->settings, request)) return why;
    return turned_away(who);
}

}  // namespace mdmd::service
