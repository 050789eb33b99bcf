// mdm-sim device: one simulated device.
#include "sim/device.hpp"
#include "core/text.hpp"
#include "sim/cli/command.hpp"
#include "sim/json_read.hpp"

namespace mdmd::sim::cli {
namespace {

struct device_arguments {
    std::string directory, tenant, ca_file, uri, value, format, access = "G", ownership = "corporate", sync_user,
                                                                login = "user", garbage_file;
    std::vector<std::string> connect_to, answer_with, answer_error, inflate, drops;
    bool decline = false, settings = false, alert_token = false;
    int timeout_s = 30, delay_ms = 0, wait_s = 60;
    std::uint32_t install_error = 0;
    join_options join;
    sync_options sync;
    renew_options renew;

    network net() const {
        network n;
        if (!ca_file.empty()) n.server_ca_pem = must(read_text(ca_file));
        n.timeout = std::chrono::seconds(timeout_s);
        for (auto const& c : connect_to) {
            auto const eq = c.find('=');
            if (eq == c.npos) throw CLI::ValidationError("--connect-to", "HOST:PORT=ADDRESS:PORT is needed");
            n.connect_to[c.substr(0, eq)] = c.substr(eq + 1);
        }
        return n;
    }
    std::optional<tenant_access> access_to_tenant() const {
        if (tenant.empty()) return std::nullopt;
        return must(read_tenant_access(tenant));
    }
};

void add_network(CLI::App& sub, std::shared_ptr<device_arguments> const& a) {
    sub.add_option("--tenant", a->tenant, "The tenant's folder, with its tenant.json");
    sub.add_option(
        "--server-ca", a->ca_file, "PEM of what to trust for the management server; the system's roots without");
    sub.add_option("--connect-to", a->connect_to, "HOST:PORT=ADDRESS:PORT, where to connect instead of asking DNS");
    sub.add_option("--timeout", a->timeout_s, "Seconds for one request");
}

outcome joined(join_report const& r) {
    outcome o{.code = r.failure ? 1 : 0, .value = as_json(r), .lines = {}, .problem = {}};
    for (auto const& s : r.steps) o.lines.push_back("done: " + s);
    if (r.failure)
        o.problem = fmt::format("{}: {}{}", r.failure->step, r.failure->text,
            r.failure->hresult ? fmt::format(" (0x{:08X})", r.failure->hresult) : "");
    else
        o.lines.push_back(fmt::format("enrolled: device {} at {}", r.device_id, r.management_url));
    return o;
}

outcome synced(session_report const& r) {
    outcome o{.code = r.failure.empty() ? 0 : 1, .value = as_json(r), .lines = {}, .problem = r.failure};
    for (auto const& c : r.commands)
        o.lines.push_back(fmt::format("{} {} {} {}", c.status, c.verb, c.uri, printable(c.value, 100)));
    for (auto const& v : r.violations) o.lines.push_back("violation: " + v);
    o.lines.push_back(fmt::format("{} messages, {} commands", r.messages, r.commands.size()));
    return o;
}

// "URI=VALUE", by the last '='.
std::pair<std::string, std::string> rule_of(char const* option, std::string const& rule) {
    auto const eq = rule.rfind('=');
    if (eq == rule.npos) throw CLI::ValidationError(option, "URI=VALUE is needed");
    return {rule.substr(0, eq), rule.substr(eq + 1)};
}

// Everything of a session that is not everyday.
void add_session_options(CLI::App& sub, std::shared_ptr<device_arguments> const& a) {
    auto& s = a->sync;
    auto& f = s.faults;
    auto* group = sub.add_option_group("Who is there");
    group->add_option("--sync-type", s.sync_type, "Alert synctype: commands of the other scope get 405")
        ->check(CLI::IsMember({"user", "device", "mixed"}));
    group->add_option("--absent-user-status", s.absent_user_status, "Of ./User commands without their user")
        ->check(CLI::IsMember({405, 500}))
        ->capture_default_str();
    group->add_flag("--device-token", s.device_token_header, "Send the device's token in the header DeviceToken");
    group->add_flag("--device-token-bearer", s.device_token_as_bearer, "Send the device's token as Bearer");
    group->add_flag("--server-initiated", s.server_initiated, "Alert 1200: a push woke the device");
    group->add_option("--origin", s.origins, "UserAgentOrigin, from SyncApplicationVersion 4.0 on");
    group->add_option("--mode", s.mode, "mode of the query, instead of the one that fits; empty: none");
    group = sub.add_option_group("Sizes and credentials");
    group->add_option("--max-obj-size", s.max_obj_size, "Announce MaxObjSize");
    group->add_option("--own-message-size", s.own_message_size, "Octets of our messages: more goes in pieces");
    group->add_option("--digest-at-once", s.digest_at_once, "true or false: MD5 credentials before the server asks");
    group->add_flag("--challenge-server", s.challenge_server, "407 until the server shows its credentials");
    group->add_option("--spoil-digest", s.spoiled_digest, "What is wrong about our credentials")
        ->check(CLI::IsMember({"password", "nonce"}));
    group->add_flag("--sign", s.sign, "MDM-Signature, also where the server does not require it");
    group->add_option("--sign-header", s.sign_header, "Its name")->capture_default_str();
    group->add_flag("--spoil-signature", s.spoiled_signature, "Sign other bytes than are sent");
    group = sub.add_option_group("What commands do");
    group->add_option("--lock-status", s.does.lock_status, "Of RemoteLock")->capture_default_str();
    group->add_option("--rotation-status", s.does.rotation_status,
        "RotateRecoveryPasswordsStatus in the session after: 0 or an error code");
    group->add_option("--drop-at", a->drops, "unenroll, reboot or wipe ends the session without an answer")
        ->check(CLI::IsMember({"unenroll", "reboot", "wipe"}));
    group->add_flag("!--no-goodbye", s.does.says_goodbye, "No session with the alert after an Unenroll");
    group->add_option("--download-block", s.does.install.block, "Download packages in ranges of so many octets");
    group->add_flag("--install-slowly", s.does.install.slowly, "A package's Status goes one step a session");
    group->add_option("--install-error", a->install_error, "HRESULT with which the installer ends, 0x80070643");
    group = sub.add_option_group("Lies and failures; N counts our messages from 1");
    group->add_option("--drop-before", f.drop_before_at, "Message N is never sent");
    group->add_option("--hang-up-at", f.hang_up_at, "Close the connection before the answer to message N is read");
    group->add_option("--wrong-msg-ref-at", f.wrong_msg_ref_at, "Every MsgRef of message N is wrong");
    group->add_option("--wrong-cmd-ref-at", f.wrong_cmd_ref_at, "Every CmdRef of message N is wrong");
    group->add_option("--double-status-at", f.double_status_at, "Every Status of message N stands twice");
    group->add_option("--foreign-source-at", f.foreign_source_at, "From message N on Source is another device's");
    group->add_option("--foreign-source", f.foreign_source, "Whose");
    group->add_option("--jump-at", f.jump_at, "From message N on MsgID is 7 too high");
    group->add_option("--garbage-at", f.garbage_at, "Message N is no XML");
    group->add_option("--garbage", a->garbage_file, "File of what it is instead");
    group->add_option("--without-final-from", f.without_final_from, "No message from N on has Final");
    group->add_option("--endless", f.endless, "So many messages more where the server has nothing left to say");
    group->add_option("--inflate", a->inflate, "URI=OCTETS: what a Get of it gives, in one piece");
    group->add_option("--answer-error", a->answer_error, "URI=0x…: msft:originalerror of its Status");
    group->add_flag("--rollback-fails", f.rollback_fails, "516 instead of 216, and what was done stays");
    group->add_flag("--persist", f.persists, "A violation does not end the session: it is answered as on Windows");
    group->add_option("--delay", a->delay_ms, "Milliseconds before each message");
}

}  // namespace

void add_device(CLI::App& app, std::function<outcome()>& run) {
    auto const a = std::make_shared<device_arguments>();
    auto* const dev = app.add_subcommand("device", "A simulated Windows device")->require_subcommand(1);
    dev->add_option("--dir", a->directory, "The device's folder; made where it is not there")->required();
    auto const does = [&run](CLI::App* sub, std::function<outcome()> what) {
        sub->fallthrough();
        sub->callback([&run, what] { run = what; });
    };

    auto* const join = dev->add_subcommand("join", "Accept the Terms of Use, register in Entra, enroll");
    add_network(*join, a);
    join->add_option("--user", a->join.user, "Who joins: user principal name")->required();
    join->add_option("--ownership", a->ownership, "corporate (Entra join) or personal (work account)")
        ->check(CLI::IsMember({"corporate", "personal"}));
    join->add_option("--terms", a->join.terms_url, "Address of the Terms of Use; none are visited without");
    join->add_option("--discovery", a->join.discovery_url, "Address of the discovery service")->required();
    join->add_option("--name", a->join.name, "Computer name");
    join->add_option("--os-version", a->join.os_version, "Windows version");
    join->add_option("--token-version", a->join.token_version, "Of the user's token")
        ->check(CLI::IsMember({"1.0", "2.0"}));
    join->add_option("--password", a->join.password, "On-premises authentication instead of Entra: password or PIN");
    join->add_flag("--federated", a->join.federated, "Sign in on the server's page instead of registering in Entra");
    join->add_option("--token-kind", a->join.token_kind, "Whose token enrolls: the user's, or the device's own")
        ->check(CLI::IsMember({"user", "device"}));
    join->add_option("--pin", a->join.pin, "Typed where the Terms of Use ask for one");
    join->add_flag("--decline", a->decline, "Decline the Terms of Use");
    join->add_flag("--from-settings", a->settings, "From Settings instead of the first run");
    does(join, [a]() -> outcome {
        a->join.tenant = a->join.password.empty() ? a->access_to_tenant() : std::nullopt;
        a->join.corporate = a->ownership == "corporate";
        a->join.accept_terms = !a->decline;
        a->join.first_run = !a->settings;
        a->join.net = a->net();
        return joined(device(a->directory).join(a->join));
    });

    auto const session = [a](bool unenroll) {
        a->sync.tenant = a->access_to_tenant();
        a->sync.user = a->sync_user;
        a->sync.login_status = a->login;
        a->sync.token_in_alert = a->alert_token;
        a->sync.unenroll = unenroll;
        a->sync.net = a->net();
        auto& f = a->sync.faults;
        for (auto const& rule : a->answer_with) {
            auto const [uri, value] = rule_of("--answer-with", rule);
            f.answer_with[uri] = std::stoi(value);
        }
        for (auto const& rule : a->answer_error) {
            auto const [uri, value] = rule_of("--answer-error", rule);
            f.answer_error[uri] = value;
        }
        for (auto const& rule : a->inflate) {
            auto const [uri, value] = rule_of("--inflate", rule);
            f.inflate[uri] = std::stoul(value);
        }
        f.delay = std::chrono::milliseconds(a->delay_ms);
        if (!a->garbage_file.empty()) f.garbage = must(read_text(a->garbage_file));
        a->sync.does.drops_at = {a->drops.begin(), a->drops.end()};
        a->sync.does.install.error = a->install_error;
        return synced(device(a->directory).sync(a->sync));
    };
    auto* const sync = dev->add_subcommand("sync", "Have one management session");
    auto* const unenroll = dev->add_subcommand("unenroll", "Remove the work account: a last session that says so");
    for (auto* const sub : {sync, unenroll}) {
        add_network(*sub, a);
        sub->add_option("--login", a->login, "Who is logged on: user, others or none")
            ->check(CLI::IsMember({"user", "others", "none"}));
        sub->add_option("--user", a->sync_user, "Whose token is sent; the enrolling user's by default");
        sub->add_flag("--token-in-alert", a->alert_token, "Send the token as an alert instead of a header");
        sub->add_flag("--token-in-both", a->sync.token_in_both, "Send it as an alert and in the header");
        sub->add_flag("--without-certificate", a->sync.without_certificate, "Show no certificate in TLS");
    }
    auto& f = a->sync.faults;
    sync->add_option("--max-msg-size", a->sync.max_msg_size, "Announce MaxMsgSize");
    sync->add_option("--lose-reply", f.lose_reply_to, "Send message N twice and want the same bytes back");
    sync->add_option("--abort-at", f.abort_at, "Send Alert 1223 as message N");
    sync->add_option("--stop-after", f.stop_after, "Fall silent after the answer to message N");
    sync->add_option("--wrong-session-at", f.wrong_session_at, "Send message N with another SessionID");
    sync->add_option("--without-final-at", f.without_final_at, "Send message N without Final");
    sync->add_option("--answer-with", a->answer_with, "URI=STATUS: answer so instead of doing the command");
    sync->add_flag("--results-last", f.results_last, "All Status first, then all Results");
    sync->add_flag("--microsoft-order", f.microsoft_status_order, "Data before TargetRef in a Status");
    add_session_options(*sync, a);
    does(sync, [session] { return session(false); });
    does(unenroll, [session] { return session(true); });

    auto* const wait = dev->add_subcommand("wait-push", "Wait until the notification service wakes the device");
    wait->add_option("--tenant", a->tenant, "The tenant's folder, with its tenant.json")->required();
    wait->add_option("--for", a->wait_s, "Seconds")->capture_default_str();
    does(wait, [a]() -> outcome {
        auto const woken = device(a->directory).wait_for_push(*a->access_to_tenant(), std::chrono::seconds(a->wait_s));
        return woken ? outcome{.code = 0, .value = json::object{{"woken", true}}, .lines = {"woken"}, .problem = {}}
                     : failed(woken.error().detail, json::object{{"woken", false}});
    });

    auto* const renew = dev->add_subcommand("renew", "Get a new certificate by the old one");
    add_network(*renew, a);
    auto& r = a->renew;
    renew->add_option("--value-type", a->value, "Of the signed request: oasis, microsoft, or twice (base64 of base64)")
        ->check(CLI::IsMember({"oasis", "microsoft", "twice"}));
    renew->add_flag("!--no-user-name", r.user_name, "Without a user name and an empty password in the header");
    renew->add_flag("--without-certificate", r.without_certificate, "Show no certificate in TLS");
    renew->add_flag("--by-previous", r.by_previous, "By the certificate before the last renewal");
    renew->add_flag("--same-key", r.same_key, "For the key that the device has");
    renew->add_flag("--lose-reply", r.lose_reply, "The answer never arrives");
    renew->add_flag("--again", r.again, "The request whose answer was lost, once more");
    does(renew, [a]() -> outcome {
        auto o = a->renew;
        if (a->value == "microsoft") o.form = token_form::pkcs7_microsoft;
        if (a->value == "twice") o.form = token_form::pkcs7_twice;
        o.net = a->net();
        return joined(device(a->directory).renew(o));
    });

    auto* const set = dev->add_subcommand("set", "Set a node of the device's tree");
    set->add_option("URI", a->uri)->required();
    set->add_option("VALUE", a->value)->required();
    set->add_option("--format", a->format, "chr, int, bool …; that of before, or chr");
    set->add_option("--access", a->access, "Letters of A D G R E, for a node that is new");
    does(set, [a]() -> outcome {
        device d(a->directory);
        csp_node n;
        if (auto const* const old = d.tree().find(a->uri))
            n = *old;
        else
            n.access = a->access;
        n.value = a->value;
        if (!a->format.empty()) n.format = a->format;
        d.tree().set(a->uri, n);
        d.save();
        return {};
    });
    auto* const unset = dev->add_subcommand("unset", "Remove a node with what is below it");
    unset->add_option("URI", a->uri)->required();
    does(unset, [a]() -> outcome {
        device d(a->directory);
        d.tree().unset(a->uri);
        d.save();
        return {};
    });
    auto* const show = dev->add_subcommand("show", "Show the device, or one node");
    show->add_option("URI", a->uri);
    does(show, [a]() -> outcome {
        device d(a->directory);
        if (!a->uri.empty()) {
            auto const got = d.tree().get(a->uri);
            if (got.status != 200) return failed(fmt::format("{}: status {}", a->uri, got.status));
            return {.code = 0,
                .value = json::object{{"uri", a->uri}, {"format", got.format}, {"value", got.value}},
                .lines = {got.value},
                .problem = {}};
        }
        outcome o{.code = 0, .value = d.describe(), .lines = {}, .problem = {}};
        for (auto const& [name, v] : o.value.as_object()) {
            if (name == "nodes")
                for (auto const& [uri, text] : v.as_object())
                    o.lines.push_back(plain(uri) + " = " + json::value_to<std::string>(text));
            else
                o.lines.push_back(
                    plain(name) + ": " + (v.is_string() ? json::value_to<std::string>(v) : json::serialize(v)));
        }
        return o;
    });
}

}  // namespace mdmd::sim::cli
