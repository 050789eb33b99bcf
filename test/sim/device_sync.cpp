// A device's management sessions over mutual TLS.
#include <thread>

#include "core/random.hpp"
#include "core/text.hpp"
#include "device_impl.hpp"
#include "json_read.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

int level_of(device::impl const& d) {
    auto const* const level = d.tree.find(d.provider_node("SyncApplicationVersion"));
    return level && !level->value.empty() ? level->value.front() - '0' : 1;
}

bool says(device::impl const& d, std::string_view leaf, std::string_view value) {
    auto const* const n = d.tree.find(d.provider_node(leaf));
    return n && n->value == value;
}

// Flags of ForceAadToken: 1 the header DeviceToken, 4 a device token as Bearer. [MS-MDM] 2.1
int forced_tokens(device::impl const& d) {
    auto const* const n = d.tree.find(d.provider_node("ForceAadToken"));
    return n ? std::atoi(n->value.c_str()) : 0;
}

// What goes with every message of a session besides its body.
struct proofs {
    std::string user_token, device_token;
    bool user_in_header = false, device_as_bearer = false, device_in_header = false;
};

result<std::string> ask_token(tenant_access const& access, json::object const& order) {
    control_client tenant(access);
    auto const r = tenant.send("POST", "/sim/token", order);
    if (!r) return r.error();
    return text_or(*r, "access_token");
}

result<proofs> make_proofs(device::impl const& d, sync_options const& o) {
    proofs p;
    p.user_token = o.user_token;
    if (p.user_token.empty() && o.tenant && d.entra && o.login_status == "user") {
        auto made = ask_token(
            *o.tenant, {{"kind", "user"}, {"upn", o.user.empty() ? d.user : o.user}, {"device_id", d.entra_device_id}});
        if (!made) return made.error();
        p.user_token = std::move(*made);
    }
    auto const forced = forced_tokens(d);
    p.device_in_header = o.device_token_header || (forced & 1) != 0;
    p.device_as_bearer = o.device_token_as_bearer || (forced & 4) != 0 ||
                         (says(d, "AADSendDeviceToken", "true") && p.user_token.empty());
    p.device_token = o.device_token;
    if ((p.device_in_header || p.device_as_bearer) && p.device_token.empty() && o.tenant && d.entra) {
        auto made = ask_token(*o.tenant, {{"kind", "device"}, {"device_id", d.entra_device_id}});
        if (!made) return made.error();
        p.device_token = std::move(*made);
    }
    p.user_in_header = !o.token_in_alert || o.token_in_both;
    return p;
}

session_setup make_setup(device::impl const& d, sync_options const& o, proofs const& p) {
    session_setup setup;
    setup.management_url = d.management_url;
    setup.device_id = d.device_id;
    setup.provider_id = d.provider_id;
    setup.session_id = d.last_session;
    setup.login_status = o.login_status;
    setup.alerts = o.alerts;
    setup.alerts.insert(setup.alerts.end(), d.owed_alerts.begin(), d.owed_alerts.end());
    setup.server_initiated = o.server_initiated;
    setup.max_msg_size = o.max_msg_size;
    setup.max_obj_size = o.max_obj_size;
    setup.own_message_size = o.own_message_size;
    setup.user_present = !d.tree.user().empty();
    setup.absent_user_status = o.absent_user_status;
    setup.sync_type = o.sync_type;
    setup.faults = o.faults;
    if ((o.token_in_alert || o.token_in_both) && !p.user_token.empty())
        setup.alerts.insert(setup.alerts.begin(),
            {.code = 1224, .type = "com.microsoft/MDM/AADUserToken", .data = p.user_token, .format = {}, .source = {}});
    if (o.unenroll)
        setup.alerts.push_back({.code = 1226,
            .type = "com.microsoft:mdm.unenrollment.userrequest",
            .data = "1",
            .format = "int",
            .source = {}});
    // A server without a name of its own is known by its PROVIDER-ID.
    auto const digest = [&](app_account const& a) {
        return digest_credentials{a.name.empty() ? d.provider_id : a.name, a.secret, unbase64(a.data).value_or("")};
    };
    if (d.client_account && d.client_account->type == "DIGEST") {
        setup.digest = digest(*d.client_account);
        setup.digest_at_once = o.digest_at_once.value_or(o.without_certificate) && !setup.digest->nonce.empty();
        if (o.spoiled_digest == "password") setup.digest->password += "x";
        if (o.spoiled_digest == "nonce") setup.digest->nonce += "x";
    }
    if (d.server_account && d.server_account->type == "DIGEST") setup.server_digest = digest(*d.server_account);
    setup.challenge_server = o.challenge_server;
    return setup;
}

http::fields make_headers(device::impl const& d, sync_options const& o, proofs const& p) {
    auto const* const ent_id = d.tree.find(d.provider_node("EntDMID"));
    http::fields all{
        {"Accept", "application/vnd.syncml.dm+xml, application/vnd.syncml.dm+wbxml, application/octet-stream"},
        {"Accept-Charset", "UTF-8"}, {"Content-Type", "application/vnd.syncml.dm+xml"},
        {"User-Agent", "MSFT OMA DM Client/1.2.0.1"}, {"client-request-id", ent_id ? ent_id->value : "0"}};
    auto const user = p.user_in_header ? p.user_token : std::string();
    auto const& bearer = p.device_as_bearer ? p.device_token : user;
    if (!bearer.empty()) all.add("Authorization", "Bearer " + bearer);
    if (p.device_in_header && !p.device_token.empty()) all.add("DeviceToken", p.device_token);
    if (level_of(d) >= 4) {
        auto const origins = o.origins.empty() ? std::vector<int>{o.server_initiated ? 3 : 1} : o.origins;
        all.add("UserAgentOrigin", fmt::format("{}", fmt::join(origins, ",")));
    }
    return all;
}

std::string make_url(device::impl const& d, sync_options const& o) {
    auto const mode = o.mode.value_or(o.login_status == "none" ? "Machine" : "Maintenance");
    return fmt::format("{}{}{}Platform=WoA", d.management_url,
        d.management_url.find('?') == std::string::npos ? "?" : "&",
        mode.empty() ? std::string() : fmt::format("mode={}&", mode));
}

}  // namespace

session_report device::sync(sync_options const& o) {
    auto& d = *impl_;
    session_report report;
    if (d.state != "enrolled") {
        report.failure = fmt::format("this device is {}, not enrolled", d.state);
        return report;
    }
    d.begin_session(o);
    auto const shown = make_proofs(d, o);
    if (!shown) {
        report.failure = shown.error().detail;
        return report;
    }
    ++d.last_session;
    auto setup = make_setup(d, o, *shown);
    setup.judge_exec = [&](std::string const& uri, std::string const& data) { return d.judge(o, uri, data); };
    d.save();  // a SessionID is used once, whatever becomes of the session

    auto const own = o.without_certificate ? std::nullopt : o.previous_certificate ? d.previous : d.credentials();
    auto client = d.make_client(o.net, own);
    auto const headers = make_headers(d, o, *shown);
    auto const url = make_url(d, o);
    auto const signs = o.sign || says(d, "RequireMessageSigning", "true");
    auto const vector_base = base64(random_bytes(12));
    int sent = 0;
    exchange const post = [&](std::string const& body) -> result<http::response> {
        http::call call{.method = "POST", .url = url, .headers = headers, .body = body, .timeout = o.net.timeout};
        call.headers.add("MS-CV", fmt::format("{}.0.0.{}", vector_base, sent++));
        if (signs && d.key)
            call.headers.add(
                o.sign_header, base64(cms_sign_detached(o.spoiled_signature ? body + " " : body, *d.credentials())));
        if (sent == o.faults.hang_up_at) {
            auto const gone = send_and_hang_up(o.net, url, call.headers, body, own, d.issuing);
            return gone ? fail(errc::unavailable, "hung up, as ordered") : gone.error();
        }
        return client.send(call);
    };
    on_exec const effects = [&](std::string const& uri, std::string const& data) {
        return d.took_effect(o, uri, data);
    };
    auto const owed_before = d.owed_alerts.size();
    report = run_session(setup, d.tree, post, effects);
    if (report.failure.empty() && !o.previous_certificate) d.previous.reset();
    if (report.failure.empty() && !report.dropped)
        d.owed_alerts.erase(d.owed_alerts.begin(), d.owed_alerts.begin() + static_cast<std::ptrdiff_t>(owed_before));
    if (!report.next_nonce.empty() && d.client_account) d.client_account->data = report.next_nonce;
    if (!report.next_server_nonce.empty() && d.server_account) d.server_account->data = report.next_server_nonce;

    if (d.wiped) {
        d.forget();
        d.state = "wiped";
    } else if (o.unenroll && report.failure.empty()) {
        d.forget();
        d.state = "unenrolled";
    } else if (d.unenroll_ordered && !o.does.says_goodbye) {
        d.forget();
        d.state = "unenrolled";
    } else if (d.unenroll_ordered) {
        d.save();
        auto goodbye = o;
        goodbye.unenroll = true;
        goodbye.faults = {};
        goodbye.does = {};
        goodbye.alerts.clear();
        auto const last = sync(goodbye);
        if (report.failure.empty()) report.failure = last.failure;
        report.violations.insert(report.violations.end(), last.violations.begin(), last.violations.end());
        report.transcript.insert(report.transcript.end(), last.transcript.begin(), last.transcript.end());
        report.messages += last.messages;
    } else {
        d.end_session(o);
    }
    d.save();
    return report;
}

result<void> device::wait_for_push(tenant_access const& access, std::chrono::milliseconds timeout) {
    auto& d = *impl_;
    auto const* const channel = d.tree.find(d.provider_node("Push/ChannelURI"));
    if (!channel || channel->value.empty()) return fail(errc::not_found, "this device has no open channel");
    control_client tenant(access);
    auto const end = std::chrono::steady_clock::now() + timeout;
    do {
        auto const r = tenant.send("POST", "/sim/wns/received", {{"channel", channel->value}});
        if (!r) return r.error();
        auto const count = static_cast<std::size_t>(number_or(*r, "count", 0));
        if (count > d.seen_pushes) {
            d.seen_pushes = count;
            d.save();
            return {};
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } while (std::chrono::steady_clock::now() < end);
    return fail(errc::unavailable, "no push came in time");
}

}  // namespace mdmd::sim
