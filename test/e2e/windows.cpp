// What a real Windows sent, to the byte but for names: it gets what it can use.
#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "xml/document.hpp"

using namespace mdmd;

namespace {

constexpr char folder[] = "windows10-enroll-manage-unenroll/";
constexpr char captured_device[] = "B5B954E81FBCB94EB79BD08BE625F4EE";
constexpr char s_ns[] = "http://www.w3.org/2003/05/soap-envelope";
constexpr char wstep_ns[] = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
    return text;
}

// A captured request: where to, its fields but those that belong to the captured connection, its body.
std::optional<http::call> captured(std::string const& name, std::string const& device_id = captured_device) {
    auto const head = test::trace(folder + name + ".request.headers.txt");
    if (!head) return std::nullopt;
    bool const management = name.find("mdm") != name.npos;
    auto const ours = [&](std::string text) {
        text = replaced(text, "EnterpriseEnrollment.fleetdm.ngrok.io:443", e2e::host);
        text = replaced(text, "windows.fleetdm.ngrok.io", management ? "mdm.contoso.test:8443" : e2e::host);
        return replaced(text, captured_device, device_id);
    };
    http::call call;
    bool first = true;
    for (auto const raw : split(*head, '\n')) {
        auto const line = trim(raw);
        if (line.empty()) continue;
        if (first) {
            auto const words = split(line, ' ');
            call.method = words[0];
            call.url = (management ? e2e::management_url : e2e::public_url) + std::string(words[1]);
            first = false;
            continue;
        }
        auto const colon = line.find(':');
        auto const field = std::string(line.substr(0, colon));
        if (iequals(field, "Host") || iequals(field, "Content-Length") || iequals(field, "Accept-Encoding") ||
            field.starts_with("X-"))
            continue;
        call.headers.add(field, ours(std::string(trim(line.substr(colon + 1)))));
    }
    if (call.method == "POST") call.body = ours(*test::trace(folder + name + ".request.body.xml"));
    return call;
}

std::string message_id_of(std::string const& body) {
    auto const from = body.find("<a:MessageID>") + 13;
    return body.substr(from, body.find('<', from) - from);
}

}  // namespace

TEST_CASE("a real Windows' discovery is answered, and its user name and password are turned down in words", "[e2e]") {
    auto const probe = captured("01-discovery-get");
    if (!probe) return;
    e2e::world w;
    w.app->start();
    http::client c(w.app->client_options());

    auto const probed = c.send(*probe);
    REQUIRE(probed);
    CHECK(probed->status == 200);
    CHECK(probed->body.empty());
    CHECK(probed->headers.get("Content-Length") == "0");

    auto const discover = *captured("02-discovery");
    auto const discovered = c.send(discover);
    REQUIRE(discovered);
    auto const found =
        sim::read_discovery(*discovered, message_id_of(discover.body), "4.0", {"OnPremise", "Federated"});
    CHECK(found.failure.text == "");
    REQUIRE(found.value);
    CHECK(found.value->auth_policy == "Federated");
    CHECK(found.value->version == "4.0");
    // The addresses carry on what Windows said of itself.
    constexpr std::string_view about = "?ApplicationVersion=10.0.19043.2364&OSEdition=72&DeviceType=CIMClient_Windows";
    CHECK(found.value->policy_url == e2e::policy_url + std::string(about));
    CHECK(found.value->enrollment_url == e2e::enrollment_url + std::string(about));

    for (auto const* name : {"03-xcep-getpolicies", "04-wstep-rst"}) {
        CAPTURE(name);
        auto const call = *captured(name);
        auto const answer = c.send(call);
        REQUIRE(answer);
        CHECK(answer->status == 500);
        auto const document = xml::parse(answer->body);
        REQUIRE(document);
        auto const* const body = xml::child(document->content, s_ns, "Body");
        REQUIRE(body);
        auto const* const fault = xml::child(*body, s_ns, "Fault");
        REQUIRE(fault);
        auto const* const reason = xml::child(*fault, s_ns, "Reason");
        REQUIRE(reason);
        CHECK_THAT(xml::child(*reason, s_ns, "Text")->data(), Catch::Contains("not enabled"));
        auto const* const detail = xml::child(*fault, s_ns, "Detail");
        REQUIRE(detail);
        auto const* const error = xml::child(*detail, wstep_ns, "DeviceEnrollmentServiceError");
        REQUIRE(error);
        CHECK(trim(xml::child(*error, wstep_ns, "ErrorType")->data()) == "NotSupported");
    }
    CHECK(w.app->ask({"devices", "list"}).at("value").as_array().empty());
}

TEST_CASE("a real Windows' management sessions are answered as it needs, until its user removes the account", "[e2e]") {
    if (!captured("05-mdm-s1m1")) return;
    e2e::world w;
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const post = [&](http::call const& call) {
        auto answer = d->raw(call, w.app->net());
        REQUIRE(answer);
        return std::move(*answer);
    };
    auto const status_of = [](sim::server_message const& m, int command) {
        for (auto const& s : m.statuses)
            if (s.msg_ref == 1 && s.cmd_ref == command) return fmt::format("{} {}", s.cmd, s.code);
        return std::string("none");
    };

    auto const first = post(*captured("05-mdm-s1m1", d->device_id()));
    REQUIRE(first.status == 200);
    CHECK(first.headers.get("Content-Type") == "application/vnd.syncml.dm+xml");
    auto const m1 = sim::read_server_message(first.body);
    CHECK(m1.violations == std::vector<std::string>());
    CHECK(m1.session_id == "1");
    CHECK(m1.target == d->device_id());
    CHECK(status_of(m1, 0) == "SyncHdr 200");
    CHECK(status_of(m1, 2) == "Alert 200");
    CHECK(status_of(m1, 3) == "Alert 200");
    CHECK(status_of(m1, 4) == "Replace 200");
    CHECK(m1.statuses.size() == 4);
    CHECK(m1.has_commands());
    CHECK(m1.final);

    auto const unenroll = *captured("06-mdm-s2m1-unenroll", d->device_id());
    auto const second = post(unenroll);
    REQUIRE(second.status == 200);
    auto const m2 = sim::read_server_message(second.body);
    CHECK(m2.violations == std::vector<std::string>());
    for (auto const& [command, status] : std::map<int, std::string>{
             {0, "SyncHdr 200"}, {2, "Alert 200"}, {3, "Alert 200"}, {4, "Alert 200"}, {5, "Replace 200"}})
        CHECK(status_of(m2, command) == status);
    CHECK_FALSE(m2.has_commands());
    CHECK(m2.final);

    CHECK(post(unenroll).status == 403);
    CHECK(w.app->ask({"devices", "show", "ALICE-PC"}).at("state").as_string() == "unenrolled");
}
