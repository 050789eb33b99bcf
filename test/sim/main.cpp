// mdm-sim: the simulated tenant, the simulated devices and a proxy, from the command line.
#include <fmt/format.h>
#include <pthread.h>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "control_client.hpp"
#include "core/text.hpp"
#include "json_read.hpp"
#include "proxy.hpp"
#include "sim/cli/command.hpp"
#include "tenant.hpp"

namespace {

namespace json = boost::json;
namespace sim = mdmd::sim;

using sim::cli::failed;
using sim::cli::must;
using sim::cli::outcome;

// --- tenant -------------------------------------------------------------------------------------------------------

struct tenant_arguments {
    std::string directory, listen = "127.0.0.1:0", tenant_id, client_id, app_id = "https://mdm.contoso.com",
                           secret_file, login_host, graph_host, wns_host, wns_login_host;
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
    o.wns_host = mdmd::lower(a.wns_host);
    o.wns_login_host = mdmd::lower(a.wns_login_host);
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

    for (bool const hidden : {true, false}) {
        auto* const sub = devices->add_subcommand(hidden ? "hide" : "show",
            hidden ? "Graph does not know this device yet" : "Graph knows this device from now on");
        sub->add_option("DEVICE_ID", a->device_id)->required();
        does(sub, [a, send, hidden]() -> outcome {
            send("POST", "/sim/devices/hidden", {{"device_id", a->device_id}, {"hidden", hidden}});
            return {};
        });
    }

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
            "metadata, jwks-down, jwks-broken, jwks-empty, token-down, graph-down, graph-refused, graph-throttled, "
            "graph-hangs-up, graph-hangs-up-late, graph-some-throttled, graph-some-dropped, wns-token-down, wns-unauthorized, wns-forbidden, wns-gone, wns-throttled, wns-down, wns-dropped; or "
            R"(JSON: {"method":"PATCH","path":"/v1.0/devices","status":429,"headers":{"Retry-After":"2"},"body":{},)"
            R"("delay_ms":0,"drop":false,"apply":false,"count":1}; a path that begins with ^ is a regular expression)")
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

    auto* const wns = ctl->add_subcommand("wns", "The notification service")->require_subcommand(1)->fallthrough();
    does(wns->add_subcommand("show", "What a sender is registered with: token address, SID, secret, PFN"), [send] {
        auto made = send("GET", "/sim/wns");
        outcome o;
        for (auto const& [name, v] : made) o.lines.push_back(sim::plain(name) + ": " + field(made, name.data()));
        o.value = std::move(made);
        return o;
    });
    does(wns->add_subcommand("pushes", "Every notification that was asked for"), [send] {
        return listed(send("GET", "/sim/wns/pushes"), {"at", "status", "device", "channel"});
    });
    auto* const expire = wns->add_subcommand("expire", "Let a channel expire: 410 from now on");
    expire->add_option("CHANNEL", a->value, "Its address")->required();
    does(expire, [a, send]() -> outcome {
        send("POST", "/sim/wns/expire", {{"channel", a->value}});
        return {};
    });
    does(wns->add_subcommand("drop-tokens", "No token of a sender is good any more: 401"), [send]() -> outcome {
        send("DELETE", "/sim/wns/tokens");
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

}  // namespace

int main(int argc, char** argv) try {
    CLI::App app{"Simulated Entra tenant with its notification service, simulated Windows devices and a proxy"};
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
    tenant->add_option(
        "--wns-host", t.wns_host, "Likewise for channels of the notification service, such as sim.notify.windows.com");
    tenant->add_option("--wns-login-host", t.wns_login_host, "Likewise for its tokens, such as login.live.com");
    add_tenant_ctl(app, run);
    sim::cli::add_device(app, run);
    sim::cli::add_fleet(app, run);
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
