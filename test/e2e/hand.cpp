#include "e2e/hand.hpp"

namespace mdmd::e2e {
namespace {

std::string text(boost::json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

http::client_options socket_of(appliance const& a) {
    http::client_options o;
    o.unix_socket = a.file("admin.sock");
    o.answer_bytes = 64 << 20;
    return o;
}

}  // namespace

hand::hand(world& w, std::string name, std::string const& upn) : name_(std::move(name)) {
    device_ = joined(w, name_, upn);
    // The second one is told of what the first one said about its Windows.
    for (int i = 0; i < 2; ++i) require_clean(device_->sync(w.sync()));
    reach(w);
}

void hand::reach(world& w) {
    auto o = w.app->client_options();
    o.certificate_pem = test::read_file(w.device(name_) / "certificate.pem");
    o.key_pem = secret(test::read_file(w.device(name_) / "key.pem"));
    client_.emplace(std::move(o));
}

void hand::begin() {
    ++session_id;
    msg_id = 0;
}

std::string hand::message(std::string const& body, bool final, std::string const& header) {
    return fmt::format(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>{}"
        "</SessionID><MsgID>{}</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}</LocURI></Source>{}"
        "</SyncHdr><SyncBody>{}{}</SyncBody></SyncML>",
        session_id, ++msg_id, session_url, device_->device_id(), header, body, final ? "<Final/>" : "");
}

http::call hand::call(std::string body) const {
    return {.method = "POST",
        .url = std::string(session_url) + "?mode=Maintenance&Platform=WoA",
        .headers = {{"Content-Type", "application/vnd.syncml.dm+xml"}, {"User-Agent", "MSFT OMA DM Client/1.2.0.1"}},
        .body = std::move(body)};
}

http::response hand::send(http::call const& c) {
    auto answer = client_->send(c);
    if (!answer) throw std::runtime_error(answer.error().detail);
    return std::move(*answer);
}

sim::server_message hand::say(std::string const& body, bool final, std::string const& header) {
    auto const answer = send(call(message(body, final, header)));
    INFO(body);
    INFO(answer.body);
    REQUIRE(answer.status == 200);
    CHECK(answer.headers.get("Content-Type") == "application/vnd.syncml.dm+xml");
    CHECK(answer.headers.get("Content-Length") == std::to_string(answer.body.size()));
    auto m = sim::read_server_message(answer.body);
    CHECK(m.violations == std::vector<std::string>());
    CHECK(m.session_id == std::to_string(session_id));
    CHECK(m.target == device_->device_id());
    answered = m.msg_id;
    return m;
}

std::string hand::header_ok() const {
    return sim::write_status({.cmd_id = 1, .msg_ref = answered, .cmd_ref = 0, .cmd = "SyncHdr", .code = 200});
}

void hand::finish(sim::server_message const& first, int status) {
    auto m = first;
    for (int rounds = 0; m.has_commands(); ++rounds) {
        REQUIRE(rounds < 100);
        auto body = header_ok();
        int id = 1;
        for (auto const& c : flat(m)) {
            body += sim::write_status(
                {.cmd_id = ++id, .msg_ref = m.msg_id, .cmd_ref = c.cmd_id, .cmd = c.name, .code = status});
            if (c.name == "Get" && status == 200)
                body += sim::write_results(++id, m.msg_id, c.cmd_id, c.items.front().target, "chr", "v");
        }
        m = say(body);
    }
}

std::vector<sim::sync_command> flat(sim::server_message const& m) {
    std::vector<sim::sync_command> all;
    for (auto const& c : m.commands) {
        if (c.name == "Alert") continue;
        if (c.children.empty())
            all.push_back(c);
        else
            all.insert(all.end(), c.children.begin(), c.children.end());
    }
    return all;
}

std::string in_short(sim::server_message const& m) {
    std::string out;
    auto const one = [&](sim::sync_command const& c) {
        out += fmt::format("{}{}={} ", c.name, c.cmd_id, c.items.at(0).target);
    };
    for (auto const& s : m.statuses) out += fmt::format("S{}={} ", s.cmd_ref, s.code);
    for (auto const& c : m.commands) {
        if (c.name == "Alert") {
            out += fmt::format("A{} ", c.alert);
        } else if (c.children.empty()) {
            one(c);
        } else {
            out += fmt::format("{}{}[ ", c.name, c.cmd_id);
            for (auto const& inner : c.children) one(inner);
            out += "] ";
        }
    }
    return out + (m.final ? "F" : "-");
}

administrator::administrator(appliance const& a) : client_(socket_of(a)) {}

std::string administrator::order(std::string const& device, std::string const& json) {
    auto const r = client_.send({.method = "POST",
        .url = fmt::format("http://localhost/devices/{}/commands", device),
        .headers = {{"Content-Type", "application/json"}},
        .body = json});
    if (!r) throw std::runtime_error(r.error().detail);
    if (r->status != 201) throw std::runtime_error(r->body);
    return text(boost::json::parse(r->body).at("id"));
}

boost::json::value administrator::get(std::string const& path) {
    auto const r = client_.send({.method = "GET", .url = "http://localhost" + path, .headers = {}, .body = {}});
    if (!r) throw std::runtime_error(r.error().detail);
    if (r->status != 200) throw std::runtime_error(r->body);
    return boost::json::parse(r->body);
}

std::map<std::string, boost::json::object> administrator::commands(std::string const& device) {
    std::map<std::string, boost::json::object> all;
    auto const listed = get(fmt::format("/devices/{}/commands", device));
    for (auto const& c : listed.at("value").as_array()) all[text(c.at("id"))] = c.as_object();
    return all;
}

boost::json::object administrator::command(std::string const& device, std::string const& id) {
    return commands(device).at(id);
}

std::string administrator::outcome(std::string const& device, std::string const& id) {
    auto const c = command(device, id);
    auto out = text(c.at("state"));
    if (auto const& status = c.at("status"); status.is_int64()) out += fmt::format(" {}", status.as_int64());
    if (auto const result = text(c.at("result")); !result.empty()) out += " " + result;
    return out;
}

std::size_t resident(pid_t id) {
    std::ifstream in(fmt::format("/proc/{}/statm", id));
    std::size_t total = 0, pages = 0;
    if (!(in >> total >> pages)) throw std::runtime_error("cannot read statm");
    return pages * 4096;
}

}  // namespace mdmd::e2e
