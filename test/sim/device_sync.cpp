// A device's management sessions over mutual TLS.
#include "core/random.hpp"
#include "core/text.hpp"
#include "device_impl.hpp"
#include "json_read.hpp"
#include "xml/document.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

// What an installer does when its job is started: the product is there at once, and the next session tells.
void install(device::impl& d, std::string const& uri, std::string const& job) {
    auto const node = uri.substr(0, uri.rfind('/'));
    std::string version = "1.0.0.0";
    if (auto const doc = xml::parse(job))
        if (auto const* const product = xml::child(doc->content, "", "Product"))
            if (auto const v = xml::attribute(*product, "", "Version")) version = *v;
    d.tree.set(node + "/Status", {"int", "70", "G"});
    d.tree.set(node + "/LastError", {"int", "0", "G"});
    d.tree.set(node + "/LastErrorDesc", {"chr", "", "G"});
    d.tree.set(node + "/Version", {"chr", version, "G"});
    d.tree.set(node + "/Name", {"chr", "Simulated product", "G"});
    d.owed_alerts.push_back(
        {.code = 1224, .type = "com.microsoft.mdm.win32csp_install", .data = "0", .format = "int", .source = uri});
}

}  // namespace

session_report device::sync(sync_options const& o) {
    auto& d = *impl_;
    session_report report;
    if (d.state != "enrolled") {
        report.failure = fmt::format("this device is {}, not enrolled", d.state);
        return report;
    }
    auto jwt = o.user_token;
    if (jwt.empty() && o.tenant && d.entra && o.login_status == "user") {
        control_client tenant(*o.tenant);
        auto const r = tenant.send("POST", "/sim/token",
            {{"kind", "user"}, {"upn", o.user.empty() ? d.user : o.user}, {"device_id", d.entra_device_id}});
        if (!r) {
            report.failure = r.error().detail;
            return report;
        }
        jwt = text_or(*r, "access_token");
    }

    session_setup setup;
    setup.management_url = d.management_url;
    setup.device_id = d.device_id;
    setup.provider_id = d.provider_id;
    setup.session_id = ++d.last_session;
    setup.login_status = o.login_status;
    setup.alerts = o.alerts;
    setup.alerts.insert(setup.alerts.end(), d.owed_alerts.begin(), d.owed_alerts.end());
    setup.server_initiated = o.server_initiated;
    setup.max_msg_size = o.max_msg_size;
    setup.faults = o.faults;
    if (o.token_in_alert && !jwt.empty())
        setup.alerts.insert(setup.alerts.begin(),
            {.code = 1224, .type = "com.microsoft/MDM/AADUserToken", .data = jwt, .format = {}, .source = {}});
    if (o.unenroll)
        setup.alerts.push_back({.code = 1226,
            .type = "com.microsoft:mdm.unenrollment.userrequest",
            .data = "1",
            .format = "int",
            .source = {}});
    if (d.client_account && d.client_account->type == "DIGEST")
        setup.digest = digest_credentials{
            d.client_account->name, d.client_account->secret, unbase64(d.client_account->data).value_or("")};
    d.save();  // a SessionID is used once, whatever becomes of the session

    auto client = d.make_client(o.net, o.without_certificate    ? std::nullopt
                                       : o.previous_certificate ? d.previous
                                                                : d.credentials());
    auto const mode = o.login_status == "none" ? "Machine" : "Maintenance";
    auto const url = fmt::format("{}{}mode={}&Platform=WoA", d.management_url,
        d.management_url.find('?') == std::string::npos ? "?" : "&", mode);
    auto const* const ent_id = d.tree.find(d.provider_node("EntDMID"));
    auto const vector_base = base64(random_bytes(12));
    int sent = 0;
    exchange const post = [&](std::string const& body) {
        http::call call{.method = "POST",
            .url = url,
            .headers = {{"Accept",
                            "application/vnd.syncml.dm+xml, application/vnd.syncml.dm+wbxml, application/octet-stream"},
                {"Accept-Charset", "UTF-8"}, {"Content-Type", "application/vnd.syncml.dm+xml"},
                {"User-Agent", "MSFT OMA DM Client/1.2.0.1"}, {"MS-CV", fmt::format("{}.0.0.{}", vector_base, sent++)},
                {"client-request-id", ent_id ? ent_id->value : "0"}},
            .body = body,
            .timeout = o.net.timeout};
        if (!jwt.empty() && !o.token_in_alert) call.headers.add("Authorization", "Bearer " + jwt);
        return client.send(call);
    };
    bool unenroll_ordered = false, wiped = false;
    on_exec const effects = [&](std::string const& uri, std::string const& data) {
        d.executed.push_back(uri);
        if (uri.ends_with("/DownloadInstall")) install(d, uri, data);
        if (uri.ends_with("/Unenroll")) unenroll_ordered = true;
        if (uri.find("/RemoteWipe/doWipe") != uri.npos) wiped = true;
    };
    auto const owed_before = d.owed_alerts.size();
    report = run_session(setup, d.tree, post, effects);
    if (report.failure.empty() && !o.previous_certificate) d.previous.reset();
    if (report.failure.empty())
        d.owed_alerts.erase(d.owed_alerts.begin(), d.owed_alerts.begin() + static_cast<std::ptrdiff_t>(owed_before));

    if (wiped) {
        d.forget();
        d.state = "wiped";
    } else if (o.unenroll && report.failure.empty()) {
        d.forget();
        d.state = "unenrolled";
    } else if (unenroll_ordered) {
        d.save();
        auto goodbye = o;
        goodbye.unenroll = true;
        goodbye.faults = {};
        goodbye.alerts.clear();
        auto const last = sync(goodbye);
        if (report.failure.empty()) report.failure = last.failure;
        report.violations.insert(report.violations.end(), last.violations.begin(), last.violations.end());
        report.transcript.insert(report.transcript.end(), last.transcript.begin(), last.transcript.end());
        report.messages += last.messages;
    }
    d.save();
    return report;
}

}  // namespace mdmd::sim
