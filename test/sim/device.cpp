#include "device.hpp"

#include "core/random.hpp"
#include "core/text.hpp"
#include "device_impl.hpp"
#include "json_read.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

json::object as_json(app_account const& a) {
    return {{"level", a.level}, {"type", a.type}, {"name", a.name}, {"secret", a.secret}, {"data", a.data}};
}

std::optional<app_account> read_account(json::object const& all, char const* name) {
    if (!all.contains(name)) return std::nullopt;
    auto const o = object_or_empty(all, name);
    return app_account{
        text_or(o, "level"), text_or(o, "type"), text_or(o, "name"), text_or(o, "secret"), text_or(o, "data")};
}

std::optional<certificate> read_certificate(std::filesystem::path const& path) {
    auto const text = read_text(path);
    if (!text) return std::nullopt;
    auto made = certificate::from_pem(*text);
    if (!made) throw std::runtime_error(path.string() + ": " + made.error().detail);
    return std::move(*made);
}

}  // namespace

device::impl::impl(std::filesystem::path d) : directory(std::move(d)) {
    std::filesystem::create_directories(directory);
    if (std::filesystem::exists(directory / "device.json")) {
        load();
        return;
    }
    device_id = hex_upper(random_bytes(16));
    hardware_id = hex_upper(random_bytes(32));
    serial = "SIM-" + hex_upper(random_bytes(4));
    tree = csp_tree(facts());
    save();
}

device_facts device::impl::facts() const {
    device_facts f;
    f.device_id = device_id;
    f.name = name;
    f.os_version = os_version;
    f.hardware_id = hardware_id;
    f.serial = serial;
    return f;
}

std::string device::impl::provider_node(std::string_view leaf) const {
    return fmt::format("./Device/Vendor/MSFT/DMClient/Provider/{}/{}", provider_id, leaf);
}

void device::impl::load() {
    auto const text = read_text(directory / "device.json");
    auto const parsed = text ? parse_object(*text) : result<json::object>(text.error());
    if (!parsed) throw std::runtime_error("device.json: " + parsed.error().detail);
    auto const& o = *parsed;
    state = text_or(o, "state", "new");
    device_id = text_or(o, "device_id");
    hardware_id = text_or(o, "hardware_id");
    serial = text_or(o, "serial");
    name = text_or(o, "name");
    os_version = text_or(o, "os_version");
    entra_device_id = text_or(o, "entra_device_id");
    user = text_or(o, "user");
    discovery_url = text_or(o, "discovery_url");
    provider_id = text_or(o, "provider_id");
    management_url = text_or(o, "management_url");
    corporate = flag_or(o, "corporate", true);
    entra = flag_or(o, "entra", false);
    server_account = read_account(o, "server_account");
    client_account = read_account(o, "client_account");
    last_session = static_cast<int>(number_or(o, "last_session", 0));
    boots = static_cast<int>(number_or(o, "boots", 1));
    restart_due = flag_or(o, "restart_due", false);
    seen_pushes = static_cast<std::size_t>(number_or(o, "seen_pushes", 0));
    auto const later = csp_tree::from_json(object_or_empty(o, "due"));
    due = later.nodes();
    for (auto const& j : array_or_empty(o, "jobs"))
        if (j.is_object()) jobs.push_back(read_msi_job(j.as_object()));
    for (auto const& e : array_or_empty(o, "executed")) executed.push_back(json::value_to<std::string>(e));
    for (auto const& e : array_or_empty(o, "owed_alerts")) {
        auto const& a = e.as_object();
        owed_alerts.push_back({.code = static_cast<int>(number_or(a, "code", 1224)),
            .type = text_or(a, "type"),
            .data = text_or(a, "data"),
            .format = text_or(a, "format"),
            .source = text_or(a, "source")});
    }
    tree = csp_tree::from_json(object_or_empty(o, "tree"));
    tree.users_from_json(object_or_empty(o, "users"));
    tree.set_user(text_or(o, "signed_in"));
    if (auto const pem = read_text(directory / "key.pem")) key = private_key::from_pem(*pem);
    own = read_certificate(directory / "certificate.pem");
    issuing = read_certificate(directory / "issuing.pem");
    root = read_certificate(directory / "root.pem");
    if (auto const pem = read_text(directory / "previous-key.pem"))
        previous = identity{read_certificate(directory / "previous.pem").value(), private_key::from_pem(*pem)};
    if (auto const pem = read_text(directory / "pending-key.pem")) {
        pending_key = private_key::from_pem(*pem);
        pending_request = unbase64(read_text(directory / "pending.b64").value()).value();
    }
}

void device::impl::save() const {
    json::object o{{"state", state}, {"device_id", device_id}, {"hardware_id", hardware_id}, {"serial", serial},
        {"name", name}, {"os_version", os_version}, {"entra_device_id", entra_device_id}, {"user", user},
        {"discovery_url", discovery_url}, {"provider_id", provider_id}, {"management_url", management_url},
        {"corporate", corporate}, {"entra", entra}, {"last_session", last_session},
        {"executed", json::value_from(executed)}, {"users", tree.users_to_json()}, {"signed_in", tree.user()},
        {"boots", boots}, {"restart_due", restart_due}, {"seen_pushes", seen_pushes}};
    auto of_device = tree;
    of_device.set_user({});
    o["tree"] = of_device.to_json();
    csp_tree later;
    for (auto const& [uri, n] : due) later.set(uri, n);
    o["due"] = later.to_json();
    json::array all_jobs;
    for (auto const& j : jobs) all_jobs.push_back(sim::as_json(j));
    o["jobs"] = std::move(all_jobs);
    if (server_account) o["server_account"] = as_json(*server_account);
    if (client_account) o["client_account"] = as_json(*client_account);
    json::array owed;
    for (auto const& a : owed_alerts)
        owed.push_back(json::object{
            {"code", a.code}, {"type", a.type}, {"data", a.data}, {"format", a.format}, {"source", a.source}});
    o["owed_alerts"] = std::move(owed);
    write_text(directory / "device.json", json::serialize(o) + "\n", true);
    auto const keep = [&](char const* file, std::optional<std::string> const& text) {
        if (text)
            write_text(directory / file, *text, true);
        else
            std::filesystem::remove(directory / file);
    };
    auto const pem = [](std::optional<certificate> const& c) { return c ? std::optional(c->pem()) : std::nullopt; };
    keep("key.pem", key ? std::optional(key->pem()) : std::nullopt);
    keep("certificate.pem", pem(own));
    keep("issuing.pem", pem(issuing));
    keep("root.pem", pem(root));
    keep("previous.pem", previous ? std::optional(previous->own.pem()) : std::nullopt);
    keep("previous-key.pem", previous ? std::optional(previous->key.pem()) : std::nullopt);
    keep("pending-key.pem", pending_key ? std::optional(pending_key->pem()) : std::nullopt);
    keep("pending.b64", pending_key ? std::optional(base64(pending_request)) : std::nullopt);
}

std::optional<identity> device::impl::credentials() const {
    return own && key ? std::optional(identity{*own, *key}) : std::nullopt;
}

http::client device::impl::make_client(network const& net, std::optional<identity> const& shown) const {
    http::client_options o;
    o.extra_roots_pem = net.server_ca_pem;
    o.system_roots = net.server_ca_pem.empty();
    o.connect_to = net.connect_to;
    o.user_agent = "MSFT OMA DM Client/1.2.0.1";
    if (shown) {
        o.certificate_pem = shown->own.pem() + (issuing ? issuing->pem() : std::string());
        o.key_pem = secret(shown->key.pem());
    }
    return http::client(std::move(o));
}

void device::impl::provision(provisioned const& p, private_key const& with) {
    key = with;
    previous.reset();
    pending_key.reset();
    own = p.own;
    issuing = p.issuing;
    root = p.root;
    provider_id = p.provider_id;
    management_url = p.management_url;
    server_account = p.server;
    client_account = p.client;
    tree = csp_tree(facts());
    for (auto const& [name_, value] : p.dm_client) {
        auto const format = name_.starts_with("Poll/Poll") || name_.ends_with("FirstLogin") ? "bool"
                            : name_.starts_with("Poll/")                                    ? "int"
                                                                                            : "chr";
        tree.set(provider_node(name_), {format, value, "ADGR"});
    }
    tree.set(provider_node("AADDeviceID"), {"chr", entra_device_id, "G"});
    tree.set(provider_node("EnrollmentType"), {"chr", corporate ? "Device" : "Full", "G"});
    tree.set(provider_node("HWDevID"), {"chr", hardware_id, "G"});
    tree.set(provider_node("ManagementServiceAddress"), {"chr", management_url, "GR"});
    tree.set(provider_node("MaxSyncApplicationVersion"), {"chr", "5.0", "G"});
    tree.set(provider_node("Push/Status"), {"int", "4", "G"});
    set_first_sync(tree, provider_node("FirstSyncStatus/"), true);
    for (auto const& [name_, value] : p.renewal)
        tree.set("./Device/Vendor/MSFT/CertificateStore/My/WSTEP/Renew/" + name_,
            {name_ == "ROBOSupport" ? "bool" : "int", value, "GR"});
    tree.set("./Device/Vendor/MSFT/CertificateStore/My/WSTEP/CertThumprint", {"chr", own->thumbprint(), "G"});
}

void device::impl::forget() {
    key.reset();
    previous.reset();
    pending_key.reset();
    own.reset();
    issuing.reset();
    root.reset();
    server_account.reset();
    client_account.reset();
    owed_alerts.clear();
    due.clear();
    jobs.clear();
    restart_due = false;
    seen_pushes = 0;
    tree = csp_tree(facts());  // what the server configured goes with it
}

device::device(std::filesystem::path directory) : impl_(std::make_unique<impl>(std::move(directory))) {}
device::~device() = default;

std::string device::state() const { return impl_->state; }
std::string device::device_id() const { return impl_->device_id; }
std::string device::entra_device_id() const { return impl_->entra_device_id; }
std::optional<identity> device::credentials() const { return impl_->credentials(); }
std::optional<identity> device::previous_credentials() const { return impl_->previous; }
csp_tree& device::tree() { return impl_->tree; }
int device::boots() const { return impl_->boots; }
void device::save() const { impl_->save(); }

json::object device::describe() const {
    auto const& d = *impl_;
    json::object nodes;
    for (auto const& [uri, n] : d.tree.nodes()) nodes[uri] = n.value;
    return {{"state", d.state}, {"device_id", d.device_id}, {"entra_device_id", d.entra_device_id}, {"name", d.name},
        {"os_version", d.os_version}, {"user", d.user}, {"ownership", d.corporate ? "corporate" : "personal"},
        {"management_url", d.management_url}, {"provider_id", d.provider_id}, {"last_session", d.last_session},
        {"signed_in", d.tree.user()}, {"boots", d.boots},
        {"thumbprint", d.own ? json::value(d.own->thumbprint()) : json::value(nullptr)},
        {"executed", json::value_from(d.executed)}, {"nodes", std::move(nodes)}};
}

result<http::response> device::raw(http::call call, network const& net) const {
    call.timeout = net.timeout;
    return impl_->make_client(net, impl_->credentials()).send(call);
}

json::object as_json(enroll_failure const& f) {
    return {{"step", f.step}, {"text", f.text}, {"http_status", f.http_status}, {"subcode", f.subcode},
        {"error_type", f.error_type}, {"trace_id", f.trace_id},
        {"hresult", f.hresult ? json::value(fmt::format("0x{:08X}", f.hresult)) : json::value(nullptr)},
        {"location", f.location}};
}

json::object as_json(join_report const& r) {
    return {{"ok", !r.failure}, {"failure", r.failure ? json::value(as_json(*r.failure)) : json::value(nullptr)},
        {"entra_device_id", r.entra_device_id}, {"device_id", r.device_id}, {"thumbprint", r.thumbprint},
        {"management_url", r.management_url}, {"steps", json::value_from(r.steps)}};
}

json::object as_json(session_report const& r) {
    json::array commands, transcript;
    for (auto const& c : r.commands)
        commands.push_back(json::object{
            {"verb", c.verb}, {"uri", c.uri}, {"format", c.format}, {"value", c.value}, {"status", c.status}});
    for (auto const& t : r.transcript)
        transcript.push_back(json::object{
            {"from", t.from_device ? "device" : "server"}, {"http_status", t.http_status}, {"body", t.body}});
    return {{"ok", r.failure.empty()}, {"failure", r.failure}, {"violations", json::value_from(r.violations)},
        {"messages", r.messages}, {"commands", std::move(commands)}, {"executed", json::value_from(r.executed)},
        {"last_http_status", r.last_http_status}, {"header_status", r.header_status}, {"dropped", r.dropped},
        {"server_authenticated", r.server_authenticated}, {"transcript", std::move(transcript)}};
}

}  // namespace mdmd::sim
