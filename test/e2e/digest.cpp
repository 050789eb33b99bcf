// Devices whose certificates do not arrive, and messages that are signed: who may speak for a device.
#include "core/text.hpp"
#include "e2e/managed.hpp"

using namespace mdmd;
using e2e::session;
using e2e::text;

namespace {

constexpr char camera[] = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";

sim::sync_options without_certificate(e2e::world const& w) {
    auto o = w.sync();
    o.without_certificate = true;
    return o;
}

// What is between the tags in the first message that has them.
std::string inside(std::string const& body, std::string const& open, std::string const& close) {
    auto const at = body.find(open);
    if (at == body.npos) return {};
    auto const from = at + open.size();
    return body.substr(from, body.find(close, from) - from);
}

std::string nonce_in(std::string const& body) {
    auto const chal = inside(body, "<Chal>", "</Chal>");
    return inside(chal.substr(std::min(chal.find("NextNonce"), chal.size())), ">", "<");
}

}  // namespace

TEST_CASE(
    "a device without a certificate in TLS proves itself by its credentials, anew each session", "[e2e][security]") {
    e2e::world w(e2e::settings{{"management.authentication", "certificate-or-digest"}});
    w.app->write("policies.d/camera.yaml",
        fmt::format("name: camera\nsettings:\n  - {{uri: {}, format: int, value: 0}}\n", camera));
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    auto const by_certificate = e2e::joined(w, "PC-2", "bob@contoso.test");
    auto const o = without_certificate(w);

    // Asked first, and then at once with the nonce of the session before.
    auto asked = o;
    asked.digest_at_once = false;
    auto const first = session(*d, asked);
    CHECK(first.server_authenticated);
    CHECK_FALSE(nonce_in(first.transcript.at(1).body).empty());
    CHECK(d->tree().get(camera).value == "0");
    // Nothing of the message was looked at before that: the challenge answers the header, and holds no command.
    CHECK_THAT(first.transcript.at(1).body,
        Catch::Contains("<Data>407</Data>") && !Catch::Contains("<Get>") && !Catch::Contains("<Replace>"));
    auto const second = session(*d, o), third = session(*d, o);
    CHECK(second.server_authenticated);
    CHECK(second.messages < first.messages);
    CHECK_FALSE(second.next_nonce.empty());
    CHECK(second.next_nonce != third.next_nonce);
    // A nonce that is not the last one is told the last one.
    auto stale = o;
    stale.spoiled_digest = "nonce";
    auto const again = session(*d, stale);
    CHECK_THAT(again.transcript.at(1).body, Catch::Contains("<Data>401</Data>"));
    CHECK(session(*d, o).server_authenticated);
    // Devices with a certificate are asked for nothing.
    auto const known = session(*by_certificate, w.sync());
    for (auto const& t : known.transcript) CHECK_THAT(t.body, !Catch::Contains("<Chal>") && !Catch::Contains("<Cred>"));

    // A wrong secret is refused, and nothing of what it says is kept.
    auto wrong = o;
    wrong.spoiled_digest = "password";
    REQUIRE(w.app->mdmctl({"devices", "reboot", "PC-1"}).code == 0);
    auto const seen = text(e2e::shown(w, "PC-1"), "last_seen");
    auto const name = d->tree().get("./DevInfo/Mod").value;
    d->tree().set("./DevInfo/Mod", {"chr", "Forged 1", "G"});
    auto const refused = d->sync(wrong);
    CHECK(refused.failure != "");
    CHECK(refused.header_status == 401);
    CHECK(refused.executed.empty());
    CHECK(e2e::changes(refused).empty());
    auto const shown = e2e::shown(w, "PC-1");
    CHECK(text(shown, "last_seen") == seen);
    CHECK(boost::json::serialize(shown).find("Forged 1") == std::string::npos);
    CHECK(text(e2e::last_command(w, "PC-1", "reboot"), "state") == "queued");
    d->tree().set("./DevInfo/Mod", {"chr", name, "G"});
    // The right one is still the right one, however many wrong ones came.
    CHECK(e2e::has(session(*d, o).executed, "RebootNow"));
    int status = 0;
    for (int i = 0; i < 12 && status != 429; ++i) status = d->sync(wrong).last_http_status;
    CHECK(status == 429);
    session(*d, o);
    session(*by_certificate, w.sync());
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a message that is signed must be signed by its device", "[e2e][security]") {
    e2e::world w;
    w.app->start();
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    for (auto const* header : {"MDM-Signature", "MS-Signature"}) {
        CAPTURE(header);
        auto o = w.sync();
        o.sign = true;
        o.sign_header = header;
        session(*d, o);
        o.spoiled_signature = true;
        auto const refused = d->sync(o);
        CHECK(refused.last_http_status == 403);
        CHECK(refused.commands.empty());
    }
    CHECK(w.app->logs("the message's signature is not the device's"));
    // Where certificates are all that counts, a device without one does not even come to speak.
    auto const stranger = d->sync(without_certificate(w));
    CHECK(stranger.failure != "");
    CHECK(stranger.last_http_status == 0);
    session(*d, w.sync());
    CHECK(w.app->stop() == 0);
}
