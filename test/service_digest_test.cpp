#include "crypto/message_signature.hpp"
#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

constexpr char goodbye[] =
    R"(<Alert><CmdID>5</CmdID><Data>1226</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft:mdm.unenrollment.userrequest</Type><Format xmlns="syncml:metinf">int</Format></Meta><Data>1</Data></Item></Alert>)";

// A device behind a proxy that ends TLS: no certificate arrives.
struct digest_fixture : session_fixture {
    digest_fixture() {
        config.settings.management.digest = true;
        reconfigure();
        certificate.clear();
    }
    store::device device() {
        return db.read([](store::connection& c) { return store::list_devices(c).at(0); });
    }
    std::string signed_message(std::string_view session, std::string_view body, std::string_view secret_text) {
        auto const d = device();
        auto text = syncml(session, 1, body);
        auto const cred = fmt::format(
            R"(<LocName>{}</LocName></Source><Cred><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type></Meta><Data>{}</Data></Cred>)",
            d.id, crypto::md5_credential(d.id, secret(std::string(secret_text)), unbase64(d.device_nonce).value()));
        text.replace(text.find("</Source>"), 9, cred);
        return text;
    }
    std::string right(std::string_view session, std::string_view body = first_body) {
        return signed_message(session, body, device().device_secret.reveal());
    }
    void order(std::string kind) {
        service::new_command c;
        c.kind = std::move(kind);
        static_cast<void>(service::send(*appliance, "PC1", c).value());
    }
};

}  // namespace

TEST_CASE_METHOD(
    digest_fixture, "who guesses a device's credentials does not lock the device out", "[service][security]") {
    int status = 0;
    for (int i = 0; i < 120; ++i) status = post(signed_message(std::to_string(i), first_body, "wrong")).status;
    CHECK(status == 429);
    auto const r = post(right("500"));
    CHECK(r.status == 200);
    CHECK_FALSE(commands_of(r.body).empty());
}

TEST_CASE_METHOD(digest_fixture, "credentials hold for one session", "[service][security]") {
    auto const first = right("1");
    CHECK_FALSE(commands_of(post(first).body).empty());
    auto again = first;
    again.replace(again.find("<SessionID>1<"), 13, "<SessionID>2<");
    CHECK(commands_of(post(again).body).empty());
}

TEST_CASE_METHOD(digest_fixture, "a device without a certificate says goodbye when it is retired", "[service]") {
    order("retire");
    auto const r = post(right("1"));
    CHECK(post(syncml("1", 2, answers(commands_of(r.body), 1))).status == 200);
    REQUIRE(device().state == "retired");
    CHECK(post(right("2", std::string(first_body) + goodbye)).status == 200);
    CHECK(post(right("3")).status == 403);
}

TEST_CASE_METHOD(digest_fixture, "a device without a certificate that was not wiped is not lost", "[service]") {
    order("wipe");
    auto const r = post(right("1"));
    CHECK(post(syncml("1", 2, answers(commands_of(r.body), 1))).status == 200);
    REQUIRE(device().state == "wiped");
    CHECK(post(right("2")).status == 200);
    CHECK(device().state == "enrolled");
}
