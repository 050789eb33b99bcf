// Strangers and broken messages: refused, cheaply, and nobody else notices.
#include "core/text.hpp"
#include "e2e/hand.hpp"

using namespace mdmd;

namespace {

struct hostile_body {
    char const* what;
    std::string text;
};

std::string times(int n, std::string_view text) {
    std::string all;
    for (int i = 0; i < n; ++i) all += text;
    return all;
}

std::vector<hostile_body> hostile_bodies() {
    std::string bomb = "<?xml version=\"1.0\"?><!DOCTYPE b [<!ENTITY a \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\">";
    for (char c = 'b'; c <= 'k'; ++c)
        bomb += fmt::format("<!ENTITY {} \"{}\">", c, times(10, fmt::format("&{};", static_cast<char>(c - 1))));
    return {
        {"elements 100,000 deep", times(100'000, "<a>") + times(100'000, "</a>")},
        {"a document that never closes its elements", times(100'000, "<a>")},
        {"an entity bomb", bomb + "]><b>&k;</b>"},
        {"an external entity", "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>"},
        {"a NUL", std::string("<a>\0</a>", 8)},
        {"broken UTF-8", "<a>\xc3\x28\xed\xa0\x80</a>"},
        {"UTF-16", std::string("\xff\xfe<\0a\0/\0>\0", 10)},
        {"an element of 20,000 attributes", "<a " +
                                                [] {
                                                    std::string all;
                                                    for (int i = 0; i < 20'000; ++i) all += fmt::format("x{}='' ", i);
                                                    return all;
                                                }() +
                                                "/>"},
        {"text of 3 MB", "<a>" + std::string(3'000'000, 'x') + "</a>"},
        {"nothing", ""},
    };
}

http::call syncml(std::string body) {
    return {.method = "POST",
        .url = std::string(e2e::session_url) + "?mode=Maintenance&Platform=WoA",
        .headers = {{"Content-Type", "application/vnd.syncml.dm+xml"}, {"User-Agent", "MSFT OMA DM Client/1.2.0.1"}},
        .body = std::move(body)};
}

std::string first_message(std::string const& source) {
    return fmt::format(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>"
        "<SessionID>1</SessionID><MsgID>1</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}"
        "</LocURI></Source></SyncHdr><SyncBody><Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Final/>"
        "</SyncBody></SyncML>",
        e2e::session_url, source);
}

}  // namespace

TEST_CASE("bodies that are no message get a 4xx everywhere, and leave no memory behind", "[e2e]") {
    e2e::world w(e2e::settings{{"log.level", "info"}});
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    http::client anybody(w.app->client_options());
    auto with_device = w.app->client_options();
    with_device.certificate_pem = test::read_file(w.device("ALICE-PC") / "certificate.pem");
    with_device.key_pem = secret(test::read_file(w.device("ALICE-PC") / "key.pem"));
    http::client enrolled(with_device);

    auto const bodies = hostile_bodies();
    auto const round = [&](std::size_t number) {
        auto const& b = bodies[number % bodies.size()];
        CAPTURE(b.what);
        for (auto const* url : {e2e::discovery_url, e2e::policy_url, e2e::enrollment_url}) {
            CAPTURE(url);
            auto const r = anybody.send({.method = "POST",
                .url = url,
                .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}},
                .body = b.text});
            REQUIRE(r);
            REQUIRE(r->status / 100 == 4);
            REQUIRE(r->body.find("root:") == std::string::npos);
        }
        auto const r = enrolled.send(syncml(b.text));
        REQUIRE(r);
        REQUIRE(r->status / 100 == 4);
        REQUIRE(r->status != 403);
    };
    std::size_t rounds = 0;
    while (rounds < 5 * bodies.size()) round(rounds++);  // buffers and pools have their size then
    auto const before = e2e::resident(w.app->daemon().id());
    while (rounds < 5 * bodies.size() + 200) round(rounds++);
    auto const after = e2e::resident(w.app->daemon().id());
    INFO("resident before: " << before << ", after: " << after);
    if (!e2e::sanitized) CHECK(after < before + 32u * 1024 * 1024);
    CHECK(w.app->admin("/healthz").status == 200);
    e2e::require_clean(d->sync(w.sync()));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("management is for enrolled devices with their own certificate, each speaking for itself", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const alice = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const bob = joined(w, "BOB-PC", "bob@contoso.test");

    // No certificate, or one of somebody else's authority, whatever that calls itself: the handshake fails.
    CHECK_FALSE(http::client(w.app->client_options()).send(syncml(first_message(alice->device_id()))));
    auto const issuing = sim::certificate::from_pem(test::read_file(w.device("ALICE-PC") / "issuing.pem")).value();
    for (auto const& name : {std::string("Somebody else"), issuing.common_name()}) {
        CAPTURE(name);
        auto const foreign = sim::make_authority(name);
        auto const own = sim::certificate::from_pem(test::read_file(w.device("ALICE-PC") / "certificate.pem")).value();
        auto const key = sim::private_key::rsa(2048);
        auto o = w.app->client_options();
        o.certificate_pem = sim::issue_client(foreign, key.public_der(), own.common_name()).pem() + foreign.own.pem();
        o.key_pem = secret(key.pem());
        CHECK_FALSE(http::client(o).send(syncml(first_message(alice->device_id()))));
    }

    // The certificate of one with the name of the other.
    auto const answer = alice->raw(syncml(first_message(bob->device_id())), w.app->net());
    REQUIRE(answer);
    CHECK(answer->status == 403);
    auto const own = alice->raw(syncml(first_message(alice->device_id())), w.app->net());
    REQUIRE(own);
    CHECK(own->status == 200);
    e2e::require_clean(bob->sync(w.sync()));
}
