#include "service/presence.hpp"

#include "core/log.hpp"
#include "core/text.hpp"

namespace mdmd::service {
namespace {

// "Bearer <jwt>", also without the blank, and with the angle brackets of a published text.
std::string bearer_of(http::request const& r) {
    auto value = trim(r.headers.get("Authorization").value_or(""));
    constexpr std::string_view scheme = "Bearer";
    if (!iequals(value.substr(0, scheme.size()), scheme)) return {};
    value = trim(value.substr(scheme.size()));
    if (value.starts_with('<') && value.ends_with('>')) value = trim(value.substr(1, value.size() - 2));
    return std::string(value);
}

void refused(std::string_view why) {
    log::warning("the user's token is not taken: the device's policies alone hold", {{"reason", std::string(why)}});
}

// The user of the session's tokens. A device's own token (ForceAadToken, AADSendDeviceToken) is no user's.
std::optional<entra::identity> user_of_tokens(
    signing_keys& keys, store::device const& device, std::string const& header, std::string const& alert) {
    std::optional<entra::identity> who;
    for (auto const* const token : {&header, &alert}) {
        if (token->empty() || (who && *token == header)) continue;
        auto const checked = keys.verify(*token, entra::bearer::user_or_device);
        if (!checked) {
            refused(checked.error().detail);
            return std::nullopt;
        }
        if (checked->user_id.empty()) continue;
        if (!checked->device_id.empty() && !device.entra_device_id.empty() &&
            checked->device_id != lower(device.entra_device_id)) {
            refused(fmt::format("it was issued to the device {}", checked->device_id));
            return std::nullopt;
        }
        if (who && (who->user_id != checked->user_id || who->tenant_id != checked->tenant_id)) {
            refused("the header's token and the message's are of two users");
            return std::nullopt;
        }
        if (!who) who = *checked;
    }
    return who;
}

}  // namespace

presence who_is_there(
    signing_keys& keys, store::device const& device, http::request const& r, omadm::intake const& in) {
    auto const& login = in.next.login_status;
    auto const query = parse_query(r.query);
    auto const mode = find_parameter(query, "mode").value_or("");
    bool const loaded = login == "user" || (login.empty() && !iequals(mode, "Machine"));
    presence there;
    if (device.enrollment_type == "Device") {
        if (auto const user = user_of_tokens(keys, device, bearer_of(r), in.user_token)) {
            there.user_id = user->user_id;
            there.upn = user->upn;
            there.by_token = true;
        }
    } else {
        there.user_id = device.user_id;
        there.upn = device.upn;
    }
    there.active = loaded && !there.user_id.empty() && in.next.sync_type != "device";
    there.device_scope = in.next.sync_type != "user";
    return there;
}

}  // namespace mdmd::service
