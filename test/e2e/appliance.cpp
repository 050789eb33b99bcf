#include "e2e/appliance.hpp"

#include <csignal>

#include "core/random.hpp"

namespace mdmd::e2e {
namespace {

using namespace std::chrono_literals;

// "listening listener=public address=127.0.0.1 port=40123", as the log tells it.
std::map<std::string, std::uint16_t> read_ports(std::string_view log) {
    std::map<std::string, std::uint16_t> ports;
    for (auto const line : split(log, '\n')) {
        auto const field = [&](std::string_view name) -> std::string {
            auto const at = line.find(name);
            if (at == line.npos) return {};
            auto const rest = line.substr(at + name.size());
            return std::string(rest.substr(0, rest.find(' ')));
        };
        if (line.find(" listening ") == line.npos || field(" port=").empty()) continue;
        ports[field(" listener=")] = static_cast<std::uint16_t>(std::stoi(field(" port=")));
    }
    return ports;
}

// Every secret that the simulated tenant makes holds this.
void check_no_secret(std::string const& text) {
    auto const at = text.find("s1mS3cret");
    INFO("a secret is shown: " << (at == text.npos ? "" : text.substr(at > 100 ? at - 100 : 0, 120)));
    CHECK(at == text.npos);
}

finished checked(finished f) {
    check_no_secret(f.out + f.err);
    return f;
}

}  // namespace

appliance::appliance(sim::tenant const& t, settings more)
    : authority_(sim::make_authority("Tests' TLS root")),
      settings_{{"entra.tenant_id", t.tenant_id()}, {"entra.client_id", t.client_id()}, {"entra.app_id", t.app_id()},
          {"entra.key_file", "entra.key"}, {"entra.login_url", t.url()}, {"entra.graph_url", t.url()},
          {"entra.ca_file", "tenant-ca.pem"}, {"server.public_url", public_url},
          {"server.management_url", management_url}, {"server.listen", "127.0.0.1:0"},
          {"server.management_listen", "127.0.0.1:0"}, {"server.tls_certificate", "server.crt"},
          {"server.tls_key", "server.key"}, {"admin.socket", "admin.sock"}, {"admin.listen", "\"127.0.0.1:0\""},
          {"storage.path", "mdmd.db"}, {"compliance.interval", "1s"}, {"log.level", "debug"}, {"log.format", "text"}} {
    for (auto const& [key, value] : more) settings_[key] = value;
    write_certificate(sim::make_server(authority_, {host}));
    write("entra.key", t.secret() + "\n");
    write("tenant-ca.pem", t.ca_pem());
    std::filesystem::create_directories(file("policies.d"));
    configure({});
}

void appliance::write_certificate(sim::identity const& id) const {
    write("server.crt", id.own.pem());
    write("server.key", id.key.pem());
}

void appliance::configure(settings const& more) {
    auto all = settings_;
    for (auto const& [key, value] : more) all[key] = value;
    std::map<std::string, std::string> sections;
    std::string top;
    for (auto const& [key, value] : all) {
        if (value.empty()) continue;
        auto const dot = key.find('.');
        if (dot == key.npos)
            top += fmt::format("{}: {}\n", key, value);
        else
            sections[key.substr(0, dot)] += fmt::format("  {}: {}\n", key.substr(dot + 1), value);
    }
    auto text = top;
    for (auto const& [name, lines] : sections) text += name + ":\n" + lines;
    write("config.yaml", text);
}

appliance::~appliance() { check_no_secret(log()); }

void appliance::start(surroundings const& around) {
    auto const seen = log().size();
    ports_.clear();
    // The sockets are for the process of this number alone [sd_listen_fds(3)].
    std::vector<std::string> command{"/bin/sh", "-c", "export LISTEN_PID=$$; exec /usr/bin/env \"$@\"", "sh"};
    command.insert(command.end(), around.environment.begin(), around.environment.end());
    command.push_back(fmt::format("LISTEN_FDS={}", around.sockets.size()));
    for (auto const& word : {std::string(MDMD_BIN), std::string("--config"), config_file().string()})
        command.push_back(word);
    daemon_ = std::make_unique<process>(command, file("mdmd.log"), around.sockets);
    auto const ready = [&] {
        if (daemon_->ended()) return true;
        ports_ = read_ports(std::string_view(log()).substr(seen));
        if (!ports_.contains("admin")) return false;
        http::client c({});
        auto const r = c.send({.method = "GET",
            .url = fmt::format("http://127.0.0.1:{}/readyz", ports_["admin"]),
            .headers = {},
            .body = {}});
        return r && r->status == 200;
    };
    if (!becomes_true(60s, ready) || daemon_->ended())
        throw std::runtime_error("mdmd does not become ready:\n" + log().substr(seen));
}

int appliance::stop() {
    daemon_->signal(SIGTERM);
    auto const code = daemon_->wait(20s);
    if (!code) throw std::runtime_error("mdmd does not stop:\n" + log());
    return *code;
}

void appliance::kill9() {
    daemon_->signal(SIGKILL);
    if (!daemon_->wait(20s)) throw std::runtime_error("mdmd cannot be killed");
}

void appliance::reload() { daemon_->signal(SIGHUP); }

void appliance::reloaded() {
    auto const seen = log().size();
    reload();
    if (!becomes_true(20s, [&] { return log().find("configuration taken", seen) != std::string::npos; }))
        throw std::runtime_error("the configuration is not taken:\n" + log().substr(seen));
}

finished appliance::check_config() const {
    return checked(run({MDMD_BIN, "--config", config_file().string(), "--check-config"}));
}

finished appliance::mdmctl(std::vector<std::string> arguments) const {
    std::vector<std::string> command{MDMCTL_BIN, "--config", config_file().string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return checked(run(command));
}

boost::json::value appliance::ask(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    auto const r = mdmctl(arguments);
    if (r.code != 0) throw std::runtime_error(r.err);
    return boost::json::parse(r.out);
}

std::string appliance::log() const {
    return std::filesystem::exists(file("mdmd.log")) ? test::read_file(file("mdmd.log")) : "";
}

bool appliance::logs(std::string const& text, std::chrono::milliseconds patience) const {
    return becomes_true(patience, [&] { return log().find(text) != std::string::npos; });
}

sim::network appliance::net() const {
    return {.server_ca_pem = authority_.own.pem(),
        .connect_to = {{fmt::format("{}:443", host), fmt::format("127.0.0.1:{}", port("public"))},
            {fmt::format("{}:8443", host), fmt::format("127.0.0.1:{}", port("management"))}},
        .timeout = 30s};
}

http::client_options appliance::client_options() const {
    auto const n = net();
    http::client_options o;
    o.extra_roots_pem = n.server_ca_pem;
    o.system_roots = false;
    o.connect_to = n.connect_to;
    return o;
}

http::response appliance::admin(std::string const& path) const {
    http::client c({});
    return c
        .send({.method = "GET",
            .url = fmt::format("http://127.0.0.1:{}{}", port("admin"), path),
            .headers = {},
            .body = {}})
        .value();
}

world::world(settings more, sim::tenant_options options) : tenant(std::move(options)) {
    tenant.start();
    app.emplace(tenant, std::move(more));
}

sim::tenant_access world::access() const {
    return {
        tenant.url(), tenant.tenant_id(), tenant.client_id(), tenant.app_id(), tenant.ca_pem(), tenant.control_token()};
}

sim::join_options world::join(std::string const& upn, bool corporate) {
    if (auto const added = tenant.add_user(upn); !added && added.error().code != errc::conflict)
        throw std::runtime_error(added.error().detail);
    sim::join_options o;
    o.tenant = access();
    o.user = upn;
    o.corporate = corporate;
    o.terms_url = terms_url;
    o.discovery_url = discovery_url;
    o.net = app->net();
    return o;
}

sim::sync_options world::sync() const {
    sim::sync_options o;
    o.net = app->net();
    return o;
}

std::string world::token(std::string const& upn) {
    sim::token_order order;
    order.upn = upn;
    return tenant.make(order).value();
}

sim::terms_outcome world::visit(std::string const& jwt, bool corporate) const {
    http::client c(app->client_options());
    sim::terms_visit v;
    v.url = terms_url;
    v.jwt = jwt;
    v.corporate = corporate;
    v.client_request_id = new_guid();
    return sim::visit_terms(v, [&](http::call const& call) { return c.send(call); });
}

sim::entra_device world::registered(std::string const& entra_device_id) const {
    for (auto const& d : tenant.devices())
        if (d.device_id == entra_device_id) return d;
    throw std::runtime_error("the tenant has no such device");
}

void write_mode_rule(appliance const& a) {
    a.write("policies.d/mode.yaml",
        fmt::format("name: mode\ncompliance:\n  rules:\n    - {{ uri: {}, op: eq, value: 0 }}\n", mode_uri));
}

void check_in(world& w, sim::device& d, bool compliant) {
    d.tree().set(mode_uri, {"int", compliant ? "0" : "1", "G"});
    require_clean(d.sync(w.sync()));
}

std::unique_ptr<sim::device> joined(world& w, std::string const& name, std::string const& upn, bool corporate) {
    auto d = std::make_unique<sim::device>(w.device(name));
    auto o = w.join(upn, corporate);
    o.name = name;
    auto const r = d->join(o);
    if (r.failure) throw std::runtime_error(r.failure->step + ": " + r.failure->text);
    return d;
}

void require_clean(sim::session_report const& r) {
    CAPTURE(r.violations);
    CHECK(r.violations.empty());
    REQUIRE(r.failure == "");
}

}  // namespace mdmd::e2e
