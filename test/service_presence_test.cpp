#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char for_device[] = "./Device/Vendor/MSFT/Policy/Config/Area/Device";
constexpr char for_user[] = "./User/Vendor/MSFT/Policy/Config/Area/User";
constexpr char other_user[] = "0d000000-0000-0000-0000-000000000002";

struct presence_fixture : appliance_fixture {
    std::vector<std::string> seen;
    int next_session = 1;

    void enrolled(bool corporate) {
        auto& device = config.policies.emplace_back();
        device.name = "device";
        device.settings = {{for_device, "int", "1"}};
        auto& user = config.policies.emplace_back();
        user.name = "user";
        user.target.for_whom = config::scope::user;
        user.settings = {{for_user, "int", "1"}};
        reconfigure();
        certificate = enroll_one(corporate);
    }

    struct said {
        std::string login = "user";
        std::string header;  // Authorization
        std::string alert;   // AADUserToken
        std::string mode = "Maintenance";
        std::string sync_type;
    };
    // The settings that a new session's first answer writes.
    std::set<std::string> written(said const& s) {
        auto const event = [](int id, std::string_view type, std::string_view data) {
            return fmt::format(
                R"(<Alert><CmdID>{}</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">{}</Type></Meta><Data>{}</Data></Item></Alert>)",
                id, type, data);
        };
        std::string body = "<Alert><CmdID>2</CmdID><Data>1201</Data></Alert>";
        if (!s.login.empty()) body += event(3, "com.microsoft/MDM/LoginStatus", s.login);
        if (!s.alert.empty()) body += event(4, "com.microsoft/MDM/AADUserToken", s.alert);
        if (!s.sync_type.empty()) body += event(5, "com.microsoft.mdm.synctype", s.sync_type);
        auto r = request("POST", "/ManagementServer/MDM.svc?mode=" + s.mode + "&Platform=WoA",
            syncml(std::to_string(next_session++), 1, body));
        r.headers.add("Content-Type", "application/vnd.syncml.dm+xml");
        if (!s.header.empty()) r.headers.add("Authorization", s.header);
        r.peer_certificate = certificate;
        auto const answer = appliance->manage.session(r);
        REQUIRE(answer.status == 200);
        std::set<std::string> all;
        for (auto const& c : commands_of(answer.body))
            if (c.uri == for_device || c.uri == for_user) all.insert(c.uri);
        return all;
    }
    std::string bearer(json::object claims = {}) { return "Bearer " + tenant->token(time.now(), std::move(claims)); }
};

using uris = std::set<std::string>;
uris const device_only{for_device}, both{for_device, for_user};

}  // namespace

TEST_CASE_METHOD(
    presence_fixture, "an Entra joined device gets a user's policies by a good token of that user alone", "[service]") {
    enrolled(true);
    CHECK(written({}) == device_only);
    CHECK(written({.header = bearer(device_claims())}) == both);
    CHECK(written({.header = "bearer  <" + device_token() + ">"}) == both);
    CHECK(written({.alert = device_token()}) == both);
    CHECK(written({.header = "Bearer " + device_token(), .alert = device_token()}) == both);
    CHECK(written({.header = bearer({{"oid", other_user}, {"deviceid", entra_device}})}) == both);
    CHECK(service::details(*appliance, "PC1").value().users.size() == 2);
}

TEST_CASE_METHOD(presence_fixture,
    "a token that is not good reduces a session to the device's policies and does not fail it", "[service][security]") {
    enrolled(true);
    auto const good = device_token();
    CHECK(written({.header = "Bearer x.y.z"}) == device_only);
    CHECK(written({.header = good}) == device_only);
    CHECK(written({.header = "Bearer " + good + "x"}) == device_only);
    CHECK(written({.header = bearer({{"exp", 1}})}) == device_only);
    CHECK(written({.header = bearer({{"aud", "https://other"}})}) == device_only);
    CHECK(written({.header = bearer({{"deviceid", "de000000-0000-0000-0000-00000000dead"}})}) == device_only);
    // The token in the header and that in the message are of two users.
    CHECK(written({.header = bearer({{"oid", other_user}}), .alert = good}) == device_only);
    // A device's own token is nobody's.
    CHECK(written({.header = bearer({{"oid", nullptr}, {"idtyp", "device"}, {"deviceid", entra_device}})}) ==
          device_only);
    CHECK(service::details(*appliance, "PC1").value().users.empty());
}

TEST_CASE_METHOD(
    presence_fixture, "the policies of who enrolled a work account hold whatever tokens there are", "[service]") {
    enrolled(false);
    CHECK(written({}) == both);
    CHECK(written({.header = "Bearer x.y.z"}) == both);
    CHECK(written({.header = bearer({{"oid", other_user}})}) == both);
}

TEST_CASE_METHOD(presence_fixture, "what is of a user waits until that user's profile is loaded", "[service]") {
    bool const corporate = GENERATE(true, false);
    enrolled(corporate);
    auto const token = corporate ? "Bearer " + device_token() : "";
    CHECK(written({.login = "others", .header = token}) == device_only);
    CHECK(written({.login = "none", .header = token}) == device_only);
    CHECK(written({.login = "", .header = token, .mode = "Machine"}) == device_only);
    auto const waiting = service::details(*appliance, "PC1").value();
    if (!corporate)
        CHECK(std::any_of(waiting.settings.begin(), waiting.settings.end(), [](auto const& s) {
            return s.uri == for_user && s.state == "pending" && s.attempts == 0 && s.user_id == user_id;
        }));
    CHECK(written({.login = "", .header = token}) == both);
}

TEST_CASE_METHOD(presence_fixture, "a multi-session host gets what its session is for", "[service]") {
    enrolled(true);
    auto const token = "Bearer " + device_token();
    CHECK(written({.header = token, .sync_type = "device"}) == device_only);
    CHECK(written({.header = token, .sync_type = "user"}) == uris{for_user});
    CHECK(written({.header = token, .sync_type = "mixed"}) == both);
}

TEST_CASE_METHOD(presence_fixture, "an operator's command for a user waits for that user", "[service]") {
    enrolled(true);
    auto const send = [&](std::string uri, std::string user) {
        service::new_command c{.verb = "get", .uri = std::move(uri), .user = std::move(user)};
        return service::send(*appliance, "PC1", std::move(c));
    };
    auto const sent = [&](said const& s) {
        static_cast<void>(written(s));
        std::string states;
        for (auto const& c : service::commands(*appliance, "PC1").value()) states += c.state + " ";
        return states;
    };
    REQUIRE(send("./User/Vendor/MSFT/X", ""));
    CHECK(send("./User/Vendor/MSFT/X", "nobody@contoso.com").error().code == errc::malformed);
    CHECK(send("./Device/Vendor/MSFT/X", "user@contoso.com").error().code == errc::malformed);
    CHECK(sent({}) == "queued ");
    CHECK(sent({.header = bearer({{"oid", other_user}, {"upn", "other@contoso.com"}})}) == "queued ");
    REQUIRE(send("./User/Vendor/MSFT/X", "OTHER@contoso.com"));
    CHECK(sent({.header = bearer({{"oid", other_user}, {"upn", "other@contoso.com"}})}) == "queued sent ");
    CHECK(sent({.header = bearer()}) == "sent queued ");
}
