// mdm-sim: the simulated tenant, the simulated devices and a proxy, from the command line.
#include <fmt/format.h>
#include <pthread.h>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "control_client.hpp"
#include "core/text.hpp"
#include "device.hpp"
#include "json_read.hpp"
#include "proxy.hpp"
#include "tenant.hpp"

namespace {

namespace json = boost::json;
namespace sim = mdmd::sim;
using mdmd::fail;

// What a command leaves behind: a JSON value for --json, lines for people, and the exit code.
struct outcome {
    int code = 0;
    json::value value;
    std::vector<std::string> lines;
    std::string problem;  // one line on standard error
};

outcome failed(std::string problem, json::value value = nullptr) {
    return {.code = 1, .value = std::move(value), .lines = {}, .problem = std::move(problem)};
}

template <class T> T must(mdmd::result<T> r) {
    if (!r) throw std::runtime_error(r.error().detail);
    return std::move(*r);
}

// --- tenant -------------------------------------------------------------------------------------------------------

struct tenant_arguments {
    std::string directory, listen = "127.0.0.1:0", tenant_id, client_id, app_id = "https://mdm.contoso.com",
                           secret_file, login_host, graph_host;
};

// ADDRESS:PORT into the two.
void read_listen(std::string const& text, std::string& address, std::uint16_t& port) {
    auto const colon = text.rfind(':');
    if (colon == text.npos) throw CLI::ValidationError("--listen", "ADDRESS:PORT is needed");
    address = text.substr(0, colon);
    port = static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)));
}

// SIGTERM and SIGINT, to be waited for: made before any thread begins, so that nobody else sees them.
class stop_signals {
public:
    stop_signals() {
        sigemptyset(&set_);
        sigaddset(&set_, SIGTERM);
        sigaddset(&set_, SIGINT);
        pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    }
    void wait() const {
        int received = 0;
        sigwait(&set_, &received);
    }

private:
    sigset_t set_{};
};

void serve_tenant(tenant_arguments const& a) {
    sim::tenant_options o;
    read_listen(a.listen, o.listen_address, o.listen_port);
    o.login_host = mdmd::lower(a.login_host);
    o.graph_host = mdmd::lower(a.graph_host);
    o.tenant_id = a.tenant_id;
    o.client_id = a.client_id;
    o.app_id = a.app_id;
    o.directory = a.directory;
    if (!a.secret_file.empty()) o.secrets = {std::string(mdmd::trim(must(sim::read_text(a.secret_file))))};

    stop_signals const signals;
    sim::tenant tenant(o);
    if (a.secret_file.empty())
        sim::write_text(std::filesystem::path(a.directory) / "client-secret", tenant.secret() + "\n", true);
    tenant.start();
    fmt::print("{}\n", tenant.url());
    std::fflush(stdout);
    signals.wait();
    tenant.stop();
}

// --- proxy --------------------------------------------------------------------------------------------------------

struct proxy_arguments {
    std::string listen = "127.0.0.1:0", user, password_file, ca_out, upstream_ca;
    std::vector<std::string> routes;
    bool inspect = false;
};

void serve_proxy(proxy_arguments const& a) {
    sim::proxy_options o;
    read_listen(a.listen, o.listen_address, o.listen_port);
    if (!a.user.empty()) o.credentials = a.user + ":" + std::string(mdmd::trim(must(sim::read_text(a.password_file))));
    for (auto const& r : a.routes) {
        auto const eq = r.find('=');
        if (eq == r.npos) throw CLI::ValidationError("--route", "HOST:PORT=ADDRESS:PORT is needed");
        o.routes[mdmd::lower(r.substr(0, eq))] = r.substr(eq + 1);
    }
    if (o.routes.empty()) o.routes["*"] = "direct";
    o.inspect = a.inspect;
    if (!a.upstream_ca.empty()) o.upstream_ca_pem = must(sim::read_text(a.upstream_ca));

    stop_signals const signals;
    sim::proxy proxy(o);
    if (!a.ca_out.empty()) sim::write_text(a.ca_out, proxy.ca_pem(), false);
    proxy.start();
    fmt::print("{}\n", proxy.url());
    std::fflush(stdout);
    signals.wait();
    proxy.stop();
}

void add_proxy(CLI::App& app, std::function<outcome()>& run) {
    auto const a = std::make_shared<proxy_arguments>();
    auto* const sub =
        app.add_subcommand("proxy", "Run a CONNECT proxy until SIGTERM or SIGINT; prints its address when it is ready");
    sub->add_option("--listen", a->listen, "ADDRESS:PORT; port 0: any free one")->capture_default_str();
    auto* const user = sub->add_option("--user", a->user, "Ask for credentials: the user");
    user->needs(sub->add_option("--password-file", a->password_file, "and a file with the password"));
    auto* const inspect =
        sub->add_flag("--inspect", a->inspect, "Look into TLS, with certificates by a root of this proxy's own");
    sub->add_option("--ca-out", a->ca_out, "Where to write that root")->needs(inspect);
    sub->add_option("--upstream-ca", a->upstream_ca,
           "PEM of what an inspecting proxy trusts for the servers behind it; the system's roots without")
        ->needs(inspect);
    sub->add_option("--route", a->routes,
        "HOST:PORT=ADDRESS:PORT, where a destination is; * is any other, and =direct the destination itself where it is "
        "a numeric address or localhost. Without routes: *=direct");
    sub->callback([a, &run] {
        run = [a]() -> outcome {
            serve_proxy(*a);
            return {};
        };
    });
}

// --- tenant-ctl ---------------------------------------------------------------------------------------------------

std::string field(json::value const& v, char const* name) {
    if (!v.is_object()) return {};
    auto const* const f = v.as_object().if_contains(name);
    if (!f || f->is_null()) return "-";
    return f->is_string() ? std::string(f->as_string()) : json::serialize(*f);
}

outcome listed(json::object answer, std::initializer_list<char const*> columns) {
    outcome o;
    for (auto const& row : sim::array_or_empty(answer, "value")) {
        std::string line;
        for (auto const* c : columns) line += (line.empty() ? "" : "  ") + field(row, c);
        o.lines.push_back(std::move(line));
    }
    o.value = std::move(answer);
    return o;
}

void add_tenant_ctl(CLI::App& app, std::function<outcome()>& run) {
    struct arguments {
        std::string directory, upn, name, id, trust = "joined", kind = "user", device_id, version = "2.0",
                                              sign_with = "current", claims = "{}", rule, value, state, group, member;
        std::vector<std::string> groups;
        int count = -1;
        std::int64_t lifetime = 3600;
        bool drop_previous = false;
    };
    auto const a = std::make_shared<arguments>();
    auto* const ctl = app.add_subcommand("tenant-ctl", "Steer a running tenant");
    ctl->add_option("--dir", a->directory, "The tenant's folder, with its tenant.json")->required();
    ctl->require_subcommand(1);
    auto const does = [&run](CLI::App* sub, std::function<outcome()> what) {
        sub->fallthrough();
        sub->callback([&run, what] { run = what; });
    };
    auto const send = [a](char const* method, std::string const& path, json::object const& body = {}) {
        return must(sim::control_client(must(sim::read_tenant_access(a->directory))).send(method, path, body));
    };

    auto* const users = ctl->add_subcommand("users", "Users")->require_subcommand(1)->fallthrough();
    auto* const add_user = users->add_subcommand("add", "Add a user");
    add_user->add_option("UPN", a->upn, "User principal name")->required();
    add_user->add_option("--name", a->name, "Display name");
    add_user->add_option("--group", a->groups, "A group to put the user in");
    does(add_user, [a, send]() -> outcome {
        json::object body{{"upn", a->upn}, {"display_name", a->name}, {"groups", json::value_from(a->groups)}};
        auto made = send("POST", "/sim/users", body);
        auto const id = sim::text_or(made, "id");
        return {.code = 0, .value = std::move(made), .lines = {id}, .problem = {}};
    });
    does(users->add_subcommand("list", "List users"), [send] {
        return listed(send("GET", "/sim/users"), {"id", "userPrincipalName"});
    });

    auto* const groups = ctl->add_subcommand("groups", "Groups")->require_subcommand(1)->fallthrough();
    auto* const add_group = groups->add_subcommand("add", "Add a group");
    add_group->add_option("NAME", a->name)->required();
    add_group->add_option("--id", a->id, "Its object ID; a new one by default");
    add_group->add_option("--member", a->groups, "A user or group in it");
    does(add_group, [a, send]() -> outcome {
        auto made =
            send("POST", "/sim/groups", {{"name", a->name}, {"id", a->id}, {"members", json::value_from(a->groups)}});
        auto const id = sim::text_or(made, "id");
        return {.code = 0, .value = std::move(made), .lines = {id}, .problem = {}};
    });
    does(groups->add_subcommand("list", "List groups"), [send] {
        return listed(send("GET", "/sim/groups"), {"id", "displayName"});
    });

    auto* const devices =
        ctl->add_subcommand("devices", "Devices that are registered in Entra")->require_subcommand(1)->fallthrough();
    does(devices->add_subcommand("list", "List devices with what an MDM said of them"), [send] {
        return listed(
            send("GET", "/sim/devices"), {"deviceId", "displayName", "trustType", "isManaged", "isCompliant"});
    });
    auto* const remove = devices->add_subcommand("remove", "Delete a device from Entra");
    remove->add_option("DEVICE_ID", a->device_id)->required();
    does(remove, [a, send]() -> outcome {
        send("DELETE", "/sim/devices/" + a->device_id);
        return {};
    });

    does(ctl->add_subcommand("log", "Every token request and every Graph call that changed something"), [send] {
        return listed(send("GET", "/sim/log"), {"at", "what", "method", "path", "status", "body"});
    });

    auto* const rotate = ctl->add_subcommand("rotate-keys", "Sign with a new key from now on");
    rotate->add_flag("--drop-previous", a->drop_previous, "Take the former keys out of the JWKS at once");
    does(rotate, [a, send]() -> outcome {
        auto made = send("POST", "/sim/keys/rotate", {{"keep_previous", !a->drop_previous}});
        auto const kid = sim::text_or(made, "kid");
        return {.code = 0, .value = std::move(made), .lines = {kid}, .problem = {}};
    });

    auto* const secret = ctl->add_subcommand("secret", "The application's client secrets");
    secret->add_option("VALUE", a->value, "The secret")->required();
    secret->add_option("--state", a->state, "valid, refused, expired or removed; without it the secret is added")
        ->check(CLI::IsMember({"valid", "refused", "expired", "removed"}));
    secret->add_option("--ends", a->name, "When an added one ends (RFC 3339)");
    does(secret, [a, send]() -> outcome {
        json::object body{{"value", a->value}};
        if (!a->state.empty()) body["state"] = a->state;
        if (!a->name.empty()) body["ends"] = a->name;
        send("POST", "/sim/secrets", body);
        return {};
    });

    auto* const certificate = ctl->add_subcommand("certificate", "The application's certificates");
    certificate->add_option("CERTIFICATE", a->value, "PEM file of one to register, or the thumbprint of one that is")
        ->required();
    certificate->add_option("--state", a->state, "Of the thumbprint's: valid, refused, expired or removed")
        ->check(CLI::IsMember({"valid", "refused", "expired", "removed"}));
    certificate->add_option("--ends", a->name, "When an added one ends (RFC 3339); its own end by default");
    does(certificate, [a, send]() -> outcome {
        json::object body;
        if (a->state.empty())
            body["pem"] = must(sim::read_text(a->value));
        else
            body = {{"thumbprint", a->value}, {"state", a->state}};
        if (!a->name.empty()) body["ends"] = a->name;
        auto made = send("POST", "/sim/certificates", body);
        outcome o{.code = 0, .value = {}, .lines = {}, .problem = {}};
        if (auto const thumbprint = sim::text_of(made, "thumbprint")) o.lines.push_back(*thumbprint);
        o.value = std::move(made);
        return o;
    });

    auto* const roles = ctl->add_subcommand("roles", "Grant the application exactly these Graph permissions");
    roles->add_option("ROLE", a->groups, "Device.ReadWrite.All …; none: no permission at all");
    does(roles, [a, send]() -> outcome {
        send("POST", "/sim/roles", {{"roles", json::value_from(a->groups)}});
        return {};
    });

    auto* const urls = ctl->add_subcommand("mdm-urls", "What the tenant's MDM settings hold; what is not given stays");
    urls->add_option("--terms", a->name, "Terms of Use URL");
    urls->add_option("--discovery", a->value, "Discovery URL");
    urls->add_option("--compliance", a->id, "Compliance URL");
    does(urls, [a, send]() -> outcome {
        send("POST", "/sim/mdm-urls", {{"terms_of_use", a->name}, {"discovery", a->value}, {"compliance", a->id}});
        return {};
    });

    auto* const fault = ctl->add_subcommand("fault", "Failures on order")->require_subcommand(1)->fallthrough();
    auto* const add_fault = fault->add_subcommand("add", "Add a failure by name or by rule");
    add_fault
        ->add_option("RULE", a->rule,
            "metadata, jwks-down, jwks-broken, jwks-empty, token-down, graph-down, graph-refused, graph-throttled; or "
            R"(JSON: {"method":"PATCH","path":"/v1.0/devices","status":429,"headers":{"Retry-After":"2"},"body":{},)"
            R"("delay_ms":0,"count":1}; a path that begins with ^ is a regular expression)")
        ->required();
    add_fault->add_option("--count", a->count, "How often a named failure applies; always by default");
    does(add_fault, [a, send]() -> outcome {
        json::object body{{"name", a->rule}, {"count", a->count}};
        if (a->rule.starts_with('{')) body = must(sim::parse_object(a->rule));
        send("POST", "/sim/faults", body);
        return {};
    });
    does(fault->add_subcommand("list", "List failures"), [send] {
        return listed(send("GET", "/sim/faults"), {"method", "path", "status", "delay_ms", "count"});
    });
    does(fault->add_subcommand("clear", "Forget all failures"), [send]() -> outcome {
        send("DELETE", "/sim/faults");
        return {};
    });

    auto* const token = ctl->add_subcommand("token", "Make a token for the MDM application");
    token->add_option("--kind", a->kind, "user, device or app")->check(CLI::IsMember({"user", "device", "app"}));
    token->add_option("--user", a->upn, "User principal name");
    token->add_option("--device-id", a->device_id, "Claim deviceid");
    token->add_option("--token-version", a->version, "1.0 or 2.0")->check(CLI::IsMember({"1.0", "2.0"}));
    token->add_option("--claims", a->claims, "JSON object laid over the claims; null removes one");
    token->add_option("--lifetime", a->lifetime, "Seconds; negative: expired already");
    token->add_option("--sign-with", a->sign_with, "current, previous, foreign, none, hs256 or broken");
    does(token, [a, send]() -> outcome {
        auto made = send("POST", "/sim/token",
            {{"kind", a->kind}, {"upn", a->upn}, {"device_id", a->device_id}, {"version", a->version},
                {"claims", must(sim::parse_object(a->claims))}, {"lifetime_s", a->lifetime},
                {"sign_with", a->sign_with}});
        auto const text = sim::text_or(made, "access_token");
        return {.code = 0, .value = std::move(made), .lines = {text}, .problem = {}};
    });
}

// --- device -------------------------------------------------------------------------------------------------------

struct device_arguments {
    std::string directory, tenant, ca_file, uri, value, format, access = "G", ownership = "corporate", sync_user,
                                                                login = "user";
    std::vector<std::string> connect_to, answer_with;
    bool decline = false, settings = false, alert_token = false;
    int timeout_s = 30;
    sim::join_options join;
    sim::sync_options sync;
    sim::renew_options renew;

    sim::network net() const {
        sim::network n;
        if (!ca_file.empty()) n.server_ca_pem = must(sim::read_text(ca_file));
        n.timeout = std::chrono::seconds(timeout_s);
        for (auto const& c : connect_to) {
            auto const eq = c.find('=');
            if (eq == c.npos) throw CLI::ValidationError("--connect-to", "HOST:PORT=ADDRESS:PORT is needed");
            n.connect_to[c.substr(0, eq)] = c.substr(eq + 1);
        }
        return n;
    }
    std::optional<sim::tenant_access> access_to_tenant() const {
        if (tenant.empty()) return std::nullopt;
        return must(sim::read_tenant_access(tenant));
    }
};

void add_network(CLI::App& sub, std::shared_ptr<device_arguments> const& a) {
    sub.add_option("--tenant", a->tenant, "The tenant's folder, with its tenant.json");
    sub.add_option(
        "--server-ca", a->ca_file, "PEM of what to trust for the management server; the system's roots without");
    sub.add_option("--connect-to", a->connect_to, "HOST:PORT=ADDRESS:PORT, where to connect instead of asking DNS");
    sub.add_option("--timeout", a->timeout_s, "Seconds for one request");
}

outcome joined(sim::join_report const& r) {
    outcome o{.code = r.failure ? 1 : 0, .value = sim::as_json(r), .lines = {}, .problem = {}};
    for (auto const& s : r.steps) o.lines.push_back("done: " + s);
    if (r.failure)
        o.problem = fmt::format("{}: {}{}", r.failure->step, r.failure->text,
            r.failure->hresult ? fmt::format(" (0x{:08X})", r.failure->hresult) : "");
    else
        o.lines.push_back(fmt::format("enrolled: device {} at {}", r.device_id, r.management_url));
    return o;
}

outcome synced(sim::session_report const& r) {
    outcome o{.code = r.failure.empty() ? 0 : 1, .value = sim::as_json(r), .lines = {}, .problem = r.failure};
    for (auto const& c : r.commands)
        o.lines.push_back(fmt::format("{} {} {} {}", c.status, c.verb, c.uri, mdmd::printable(c.value, 100)));
    for (auto const& v : r.violations) o.lines.push_back("violation: " + v);
    o.lines.push_back(fmt::format("{} messages, {} commands", r.messages, r.commands.size()));
    return o;
}

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
        return joined(sim::device(a->directory).join(a->join));
    });

    auto const session = [a](bool unenroll) {
        a->sync.tenant = a->access_to_tenant();
        a->sync.user = a->sync_user;
        a->sync.login_status = a->login;
        a->sync.token_in_alert = a->alert_token;
        a->sync.unenroll = unenroll;
        a->sync.net = a->net();
        for (auto const& rule : a->answer_with) {
            auto const eq = rule.rfind('=');
            if (eq == rule.npos) throw CLI::ValidationError("--answer-with", "URI=STATUS is needed");
            a->sync.faults.answer_with[rule.substr(0, eq)] = std::stoi(rule.substr(eq + 1));
        }
        return synced(sim::device(a->directory).sync(a->sync));
    };
    auto* const sync = dev->add_subcommand("sync", "Have one management session");
    auto* const unenroll = dev->add_subcommand("unenroll", "Remove the work account: a last session that says so");
    for (auto* const sub : {sync, unenroll}) {
        add_network(*sub, a);
        sub->add_option("--login", a->login, "Who is logged on: user, others or none")
            ->check(CLI::IsMember({"user", "others", "none"}));
        sub->add_option("--user", a->sync_user, "Whose token is sent; the enrolling user's by default");
        sub->add_flag("--token-in-alert", a->alert_token, "Send the token as an alert instead of a header");
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
    does(sync, [session] { return session(false); });
    does(unenroll, [session] { return session(true); });

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
        if (a->value == "microsoft") o.form = sim::token_form::pkcs7_microsoft;
        if (a->value == "twice") o.form = sim::token_form::pkcs7_twice;
        o.net = a->net();
        return joined(sim::device(a->directory).renew(o));
    });

    auto* const set = dev->add_subcommand("set", "Set a node of the device's tree");
    set->add_option("URI", a->uri)->required();
    set->add_option("VALUE", a->value)->required();
    set->add_option("--format", a->format, "chr, int, bool …; that of before, or chr");
    set->add_option("--access", a->access, "Letters of A D G R E, for a node that is new");
    does(set, [a]() -> outcome {
        sim::device d(a->directory);
        sim::csp_node n;
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
        sim::device d(a->directory);
        d.tree().unset(a->uri);
        d.save();
        return {};
    });
    auto* const show = dev->add_subcommand("show", "Show the device, or one node");
    show->add_option("URI", a->uri);
    does(show, [a]() -> outcome {
        sim::device d(a->directory);
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
                    o.lines.push_back(sim::plain(uri) + " = " + json::value_to<std::string>(text));
            else
                o.lines.push_back(
                    sim::plain(name) + ": " + (v.is_string() ? json::value_to<std::string>(v) : json::serialize(v)));
        }
        return o;
    });
}

}  // namespace

int main(int argc, char** argv) try {
    CLI::App app{"Simulated Entra tenant, simulated Windows devices and a proxy"};
    app.require_subcommand(1);
    bool as_json = false;
    std::function<outcome()> run;

    tenant_arguments t;
    auto* const tenant =
        app.add_subcommand("tenant", "Run a tenant until SIGTERM or SIGINT; prints its address when it is ready");
    tenant->add_option("--dir", t.directory, "Where tenant.json, tenant-ca.pem and client-secret go")->required();
    tenant->add_option("--listen", t.listen, "ADDRESS:PORT; port 0: any free one")->capture_default_str();
    tenant->add_option("--tenant-id", t.tenant_id, "GUID; a new one by default");
    tenant->add_option("--client-id", t.client_id, "GUID of the MDM application; a new one by default");
    tenant->add_option("--app-id", t.app_id, "Application ID URI")->capture_default_str();
    tenant->add_option(
        "--secret-file", t.secret_file, "The application's client secret; by default a new one, in DIR/client-secret");
    tenant->callback([&] {
        run = [&]() -> outcome {
            std::filesystem::create_directories(t.directory);
            serve_tenant(t);
            return {};
        };
    });
    tenant->add_option(
        "--login-host", t.login_host, "Serve the login half under this name alone, such as login.microsoftonline.us");
    tenant->add_option("--graph-host", t.graph_host, "Likewise for Graph");
    add_tenant_ctl(app, run);
    add_device(app, run);
    add_proxy(app, run);
    app.add_flag("--json", as_json, "One JSON value on standard output");
    for (auto* const sub : app.get_subcommands({})) sub->fallthrough();

    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    outcome o;
    try {
        o = run();
    } catch (CLI::ParseError const& e) {
        std::cerr << e.what() << '\n';
        return 2;
    } catch (std::exception const& e) {
        o = failed(e.what());
    }
    if (as_json) {
        if (!o.value.is_null()) std::cout << json::serialize(o.value) << '\n';
    } else {
        for (auto const& line : o.lines) std::cout << line << '\n';
    }
    if (!o.problem.empty()) std::cerr << "mdm-sim: " << o.problem << '\n';
    return o.code;
} catch (std::exception const& e) {
    std::cerr << "mdm-sim: " << e.what() << '\n';
    return 1;
}
