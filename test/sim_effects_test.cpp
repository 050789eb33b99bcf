// What becomes of a simulated device because of its sessions, over real TLS.
#include "sim/fleet.hpp"
#include "test/sim_world.hpp"

using namespace mdmd;
using namespace mdmd::sim_world;
using namespace std::chrono_literals;

namespace {

std::string command(std::string const& verb, int id, std::string const& uri, std::string const& data = {},
    std::string const& format = "chr") {
    auto const value =
        data.empty()
            ? ""
            : fmt::format("<Meta><Format xmlns=\"syncml:metinf\">{}</Format></Meta><Data>{}</Data>", format, data);
    return fmt::format(
        "<{0}><CmdID>{1}</CmdID><Item><Target><LocURI>{2}</LocURI></Target>{3}</Item></{0}>", verb, id, uri, value);
}

// Making a world takes several keys: one for all.
world& effects_world() {
    static world w;
    return w;
}

// A device that has joined that world, and the sessions that it has there.
struct joined {
    explicit joined(bool corporate = true) : device(dir.path()) {
        auto o = w.server.join(w.tenant);
        o.corporate = corporate;
        o.terms_url.clear();
        static auto const key = sim::private_key::rsa(2048);
        o.key = key;
        auto const r = device.join(o);
        CAPTURE(r.failure ? r.failure->text : "");
        REQUIRE_FALSE(r.failure);
        options.net = w.server.net();
        options.tenant = o.tenant;
    }
    ~joined() { w.server.commands.clear(); }

    sim::session_report sync(std::string const& commands = {}) {
        w.server.commands = commands;
        w.server.seen.clear();
        auto r = device.sync(options);
        w.server.commands.clear();
        return r;
    }
    std::string node(std::string const& uri) { return device.tree().get(uri).value; }
    std::optional<std::string> header(char const* name) {
        auto const v = w.server.seen.at(0).headers.get(name);
        return v ? std::optional(std::string(*v)) : std::nullopt;
    }

    world& w = effects_world();
    test::scratch dir;
    sim::device device;
    sim::sync_options options;
};

std::string const provider = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/";

std::string msi_node(char const* scope = "Device") {
    return fmt::format(
        "./{}/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B11111111-2222-3333-4444-555555555555%7D", scope);
}

std::string install(joined const& j, std::string const& path, std::string const& bytes, char const* scope = "Device") {
    auto const job = fmt::format(
        "<MsiInstallJob id=\"{{11111111-2222-3333-4444-555555555555}}\"><Product Version=\"1.2.0.0\"><Download>"
        "<ContentURLList><ContentURL>{}</ContentURL></ContentURLList></Download><Validation><FileHash>{}</FileHash>"
        "</Validation><Enforcement><CommandLine>/quiet</CommandLine><TimeOut>10</TimeOut><RetryCount>3</RetryCount>"
        "<RetryInterval>5</RetryInterval></Enforcement></Product></MsiInstallJob>",
        j.w.server.url(path), hex_upper(sim::sha256(bytes)));
    return command("Add", 20, msi_node(scope) + "/DownloadInstall") +
           command("Exec", 21, msi_node(scope) + "/DownloadInstall", html_escape(job), "xml");
}

}  // namespace

TEST_CASE("a product is downloaded over TLS, installed, told of in the next session and uninstalled", "[sim]") {
    joined j;
    auto const bytes = "an installer UpgradeCode={99999999-2222-3333-4444-555555555555} of some length";
    j.w.server.files["/app.msi"] = bytes;
    SECTION("whole") {}
    SECTION("in ranges") { j.options.does.install.block = 10; }
    CHECK(j.sync(install(j, "/app.msi", bytes)).failure == "");
    CHECK(j.node(msi_node() + "/Status") == "70");
    CHECK(j.node(msi_node() + "/Version") == "1.2.0.0");
    CHECK(j.node("./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/UpgradeCode/"
                 "%7B99999999-2222-3333-4444-555555555555%7D") == "{11111111-2222-3333-4444-555555555555}");
    CHECK(j.sync().failure == "");
    CHECK_THAT(j.w.server.seen.at(0).body,
        Catch::Contains("com.microsoft.mdm.win32csp_install") && Catch::Contains(msi_node() + "/DownloadInstall"));
    CHECK(j.sync(command("Delete", 20, msi_node())).failure == "");
    CHECK_THAT(j.w.server.seen.at(0).body, !Catch::Contains("win32csp_install"));
    CHECK(j.device.tree().get(msi_node()).status == 404);
}

TEST_CASE("an install that fails ends with the status and error of its failure", "[sim]") {
    joined j;
    auto const bytes = "an installer";
    j.w.server.files["/app.msi"] = bytes;
    SECTION("another file") {
        CHECK(j.sync(install(j, "/app.msi", "another file")).failure == "");
        CHECK(j.node(msi_node() + "/Status") == "60");
        CHECK(j.node(msi_node() + "/LastError") == "-2146889721");  // 0x80091007
    }
    SECTION("the installer") {
        j.options.does.install.error = 0x80070643;
        CHECK(j.sync(install(j, "/app.msi", bytes)).failure == "");
        CHECK(j.node(msi_node() + "/Status") == "60");
        CHECK(j.sync().failure == "");
        CHECK_THAT(j.w.server.seen.at(0).body, Catch::Contains("<Data>-2147023293</Data>"));
    }
    SECTION("a server that is not trusted") {
        auto const own_ca = j.options.net.server_ca_pem;
        CHECK(j.sync(command("Add", 20, msi_node() + "/DownloadInstall")).failure == "");
        j.options.does.install.slowly = true;
        auto job = install(j, "/app.msi", bytes);
        job = replaced(job, "https://mdm.contoso.test", "https://localhost");
        CHECK(j.sync(job.substr(job.find("<Exec>"))).failure == "");
        CHECK(j.node(msi_node() + "/Status") == "20");
        CHECK(j.sync().failure == "");
        CHECK(j.node(msi_node() + "/Status") == "30");
    }
}

TEST_CASE("an install that goes slowly shows one step a session, and survives the process", "[sim]") {
    joined j;
    j.w.server.files["/app.msi"] = "x";
    j.options.does.install.slowly = true;
    std::vector<std::string> seen;
    CHECK(j.sync(install(j, "/app.msi", "x")).failure == "");
    for (int i = 0; i < 4; ++i) {
        seen.push_back(sim::device(j.dir.path()).tree().get(msi_node() + "/Status").value);
        CHECK(j.sync().failure == "");
    }
    CHECK(seen == std::vector<std::string>{"20", "40", "50", "70"});
}

TEST_CASE("each user of a joined device has their own nodes and installs, a personal device knows one", "[sim]") {
    std::string const uri = "./User/Vendor/MSFT/Policy/Config/A/B";
    SECTION("joined") {
        joined j;
        (void)j.w.tenant.add_user("bob@contoso.com");
        CHECK(j.sync(command("Replace", 20, uri, "ada's")).failure == "");
        j.options.user = "bob@contoso.com";
        CHECK(j.sync(command("Get", 20, uri)).commands.at(0).status == 404);
        CHECK(j.sync(command("Replace", 20, uri, "bob's")).failure == "");
        j.options.user = "";
        CHECK(j.sync(command("Get", 20, uri)).commands.at(0).value == "ada's");
        j.options.login_status = "none";
        CHECK(j.sync(command("Get", 20, uri)).commands.at(0).status == 405);
        CHECK(j.w.server.seen.at(0).query == "mode=Machine&Platform=WoA");
        j.options.login_status = "user";
        j.options.user = "bob@contoso.com";
        sim::device again(j.dir.path());
        j.w.server.commands = command("Get", 20, uri);
        CHECK(again.sync(j.options).commands.at(0).value == "bob's");
    }
    SECTION("personal") {
        joined j(false);
        (void)j.w.tenant.add_user("bob@contoso.com");
        CHECK(j.sync(command("Replace", 20, uri, "ada's")).failure == "");
        j.options.user = "bob@contoso.com";
        CHECK(j.sync(command("Get", 20, uri)).commands.at(0).status == 405);
    }
}

TEST_CASE("tokens go where they are ordered, and where the server's nodes ask for them", "[sim]") {
    joined j;
    auto const kind_of = [](std::string const& jwt) {
        auto const payload = unbase64url(split(jwt, '.')[1]).value();
        return payload.find("\"upn\"") != payload.npos || payload.find("\"preferred_username\"") != payload.npos
                   ? "user"
                   : "device";
    };
    CHECK(j.sync().failure == "");
    CHECK(kind_of(j.header("Authorization").value()) == std::string("user"));
    CHECK_FALSE(j.header("DeviceToken"));
    CHECK_FALSE(j.header("UserAgentOrigin"));
    j.device.tree().set(provider + "SyncApplicationVersion", {"chr", "4.0", "ADGR"});
    j.device.tree().set(provider + "ForceAadToken", {"int", "1", "ADGR"});
    j.options.token_in_both = true;
    CHECK(j.sync().failure == "");
    CHECK(kind_of(j.header("DeviceToken").value()) == std::string("device"));
    CHECK(j.header("UserAgentOrigin") == "1");
    CHECK_THAT(j.w.server.seen.at(0).body, Catch::Contains("com.microsoft/MDM/AADUserToken"));
    j.device.tree().set(provider + "ForceAadToken", {"int", "4", "ADGR"});
    j.options.server_initiated = true;
    j.options.origins = {3, 1};
    j.options.mode = "";
    CHECK(j.sync().failure == "");
    CHECK(kind_of(j.header("Authorization").value().substr(7)) == std::string("device"));
    CHECK(j.header("UserAgentOrigin") == "3,1");
    CHECK(j.w.server.seen.at(0).query == "Platform=WoA");
}

TEST_CASE("messages are signed by the device where the server or a test wants it", "[sim]") {
    joined j;
    CHECK(j.sync().failure == "");
    CHECK_FALSE(j.header("MDM-Signature"));
    j.device.tree().set(provider + "RequireMessageSigning", {"bool", "true", "ADGR"});
    CHECK(j.sync().failure == "");
    auto const cms = unbase64(j.header("MDM-Signature").value()).value();
    CHECK(cms.find(j.device.credentials()->own.der()) != cms.npos);
    CHECK(cms.find(j.w.server.seen.at(0).body) == cms.npos);
    CHECK(cms.find(sim::sha256(j.w.server.seen.at(0).body)) != cms.npos);  // the attribute messageDigest
    j.options.spoiled_signature = true;
    j.options.sign_header = "MS-Signature";
    CHECK(j.sync().failure == "");
    auto const bad = unbase64(j.header("MS-Signature").value()).value();
    CHECK(bad.find(sim::sha256(j.w.server.seen.at(0).body)) == bad.npos);
}

TEST_CASE("what was set going shows in the next session", "[sim]") {
    joined j;
    std::string const status = "./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsStatus";
    std::string const health = "./Device/Vendor/MSFT/Defender/Health/";
    auto const scanned = j.node(health + "QuickScanTime"), version = j.node(health + "SignatureVersion");
    auto const r = j.sync(command("Exec", 20, "./Device/Vendor/MSFT/BitLocker/RotateRecoveryPasswords", "id-1") +
                          command("Get", 21, status) + command("Exec", 22, "./Device/Vendor/MSFT/Defender/Scan", "1") +
                          command("Exec", 23, "./Device/Vendor/MSFT/Defender/UpdateSignature") +
                          command("Exec", 24, "./Device/Vendor/MSFT/Reboot/RebootNow"));
    CHECK(r.failure == "");
    CHECK(r.commands.at(1).value == "1");
    CHECK(j.device.boots() == 1);
    CHECK(j.sync(command("Get", 20, status)).commands.at(0).value == "0");
    CHECK(j.node("./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsRequestID") == "id-1");
    CHECK(j.node(health + "QuickScanTime") != scanned);
    CHECK(j.node(health + "SignatureVersion") != version);
    CHECK(j.device.boots() == 2);
    j.options.does.rotation_status = -2147024809;
    CHECK(j.sync(command("Exec", 20, "./Device/Vendor/MSFT/BitLocker/RotateRecoveryPasswords", "id-2")).failure == "");
    CHECK(j.sync(command("Get", 20, status)).commands.at(0).value == "-2147024809");
    CHECK_THAT(
        j.sync(command("Exec", 20, "./Device/Vendor/MSFT/Defender/Scan", "3")).failure, Catch::Contains("not 1 or 2"));
}

TEST_CASE("a desktop does not lock unless it is ordered to", "[sim]") {
    joined j;
    auto const lock = command("Exec", 20, "./Device/Vendor/MSFT/RemoteLock/Lock");
    CHECK(j.sync(lock).commands.at(0).status == 405);
    j.options.does.lock_status = 200;
    CHECK(j.sync(lock).commands.at(0).status == 200);
}

TEST_CASE("a session may end without an answer where the device goes away", "[sim]") {
    joined j;
    SECTION("unenroll, without a word") {
        j.options.does.drops_at = {"unenroll"};
        j.options.does.says_goodbye = false;
        auto const r = j.sync(command("Exec", 20, provider + "Unenroll", "mdmd"));
        CHECK(r.dropped);
        CHECK(r.messages == 1);
        CHECK(j.device.state() == "unenrolled");
    }
    SECTION("unenroll, with a session that says so") {
        j.options.does.drops_at = {"unenroll"};
        CHECK(j.sync(command("Exec", 20, provider + "Unenroll", "mdmd")).dropped);
        CHECK_THAT(j.w.server.seen.back().body, Catch::Contains("unenrollment.userrequest"));
        CHECK(j.device.state() == "unenrolled");
    }
    SECTION("wipe") {
        j.options.does.drops_at = {"wipe"};
        CHECK(j.sync(command("Exec", 20, "./Device/Vendor/MSFT/RemoteWipe/doWipe")).dropped);
        CHECK(j.device.state() == "wiped");
        CHECK_FALSE(j.device.credentials());
    }
    SECTION("the line, before the answer") {
        j.options.faults.hang_up_at = 1;
        auto const r = j.sync();
        CHECK(r.dropped);
        CHECK(r.failure == "");
    }
}

TEST_CASE(
    "the first sync is done once all that is expected is there and the server says that it has finished", "[sim]") {
    joined j;
    std::string const first = provider + "FirstSyncStatus/";
    auto const expected = "./Vendor/MSFT/Policy/Config/A/B\xEF\x80\x80./Vendor/MSFT/Policy/Config/A/C";
    CHECK(j.sync(command("Add", 20, first + "ExpectedPolicies", expected) +
                 command("Replace", 21, first + "ServerHasFinishedProvisioning", "true", "bool") +
                 command("Replace", 22, "./Vendor/MSFT/Policy/Config/A/B", "1"))
              .failure == "");
    CHECK(j.node(first + "IsSyncDone") == "false");
    CHECK(j.sync(command("Replace", 20, "./Vendor/MSFT/Policy/Config/A/C", "1")).failure == "");
    CHECK(j.node(first + "IsSyncDone") == "true");
    CHECK(j.node(first + "WasDeviceSuccessfullyProvisioned") == "1");
    CHECK(j.node("./User/Vendor/MSFT/DMClient/Provider/mdmd/FirstSyncStatus/IsSyncDone") == "false");
}

TEST_CASE("a device opens its channel, and wakes when it is notified", "[sim]") {
    joined j;
    auto const pfn = j.w.tenant.wns().pfn;
    CHECK(j.device.wait_for_push(*j.options.tenant, 0ms).error().code == errc::not_found);
    CHECK(j.sync(command("Replace", 20, provider + "Push/PFN", pfn)).commands.at(0).status == 404);
    CHECK(j.sync(command("Add", 20, provider + "Push/PFN", pfn)).failure == "");
    CHECK(j.node(provider + "Push/Status") == "0");
    auto const channel = j.node(provider + "Push/ChannelURI");
    REQUIRE(channel.starts_with("https://"));
    CHECK(j.device.wait_for_push(*j.options.tenant, 0ms).error().code == errc::unavailable);

    http::client client({.extra_roots_pem = j.w.tenant.ca_pem(), .system_roots = false});
    auto const account = j.w.tenant.wns();
    auto const form =
        fmt::format("grant_type=client_credentials&client_id={}&client_secret={}&scope=notify.windows.com",
            percent_encode(account.sid), percent_encode(account.secret));
    auto const ask = [&](std::string const& body) {
        return client
            .send({.method = "POST",
                .url = account.token_url,
                .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                .body = body})
            .value();
    };
    CHECK(ask(replaced(form, "client_secret=", "client_secret=x")).status == 400);
    auto const token = std::string(boost::json::parse(ask(form).body).at("access_token").as_string());
    auto const push = [&](std::string const& bearer, std::string const& type = "wns/raw", std::size_t octets = 4) {
        return client
            .send({.method = "POST",
                .url = channel,
                .headers = {{"Authorization", "Bearer " + bearer}, {"X-WNS-Type", type},
                    {"Content-Type", "application/octet-stream"}, {"X-WNS-Cache-Policy", "cache"}},
                .body = std::string(octets, 'x')})
            .value();
    };
    CHECK(push("x").status == 401);
    CHECK(push(token, "wns/toast").status == 400);
    CHECK(push(token, "wns/raw", 5001).status == 413);
    CHECK(j.device.wait_for_push(*j.options.tenant, 0ms).error().code == errc::unavailable);
    auto const good = push(token);
    CHECK(good.status == 200);
    CHECK(good.headers.get("X-WNS-Status") == "received");
    CHECK(j.device.wait_for_push(*j.options.tenant, 5s));
    CHECK(j.device.wait_for_push(*j.options.tenant, 0ms).error().code == errc::unavailable);
    CHECK(j.w.tenant.pushes().back().device == j.device.device_id());
    CHECK(j.w.tenant.pushes().back().cache_policy == "cache");

    auto throttled = sim::named_fault("wns-throttled").value();
    throttled.count = 1;
    j.w.tenant.add_fault(throttled);
    auto const later = push(token);
    CHECK(later.status == 406);
    CHECK(later.headers.get("Retry-After") == "1");
    CHECK(j.w.tenant.expire_channel(channel));
    CHECK(push(token).status == 410);
    CHECK(j.sync().failure == "");
    CHECK(j.node(provider + "Push/ChannelURI") != channel);
    j.w.tenant.drop_wns_tokens();
    CHECK(push(token).status == 401);
    CHECK(j.sync(command("Replace", 20, provider + "Push/PFN", "nonsense")).failure == "");
    CHECK(j.node(provider + "Push/Status") == "1");
}

TEST_CASE("the notification service has hosts of its own where it is given them", "[sim]") {
    sim::tenant_options o;
    o.wns_host = "sim.notify.windows.com";
    o.wns_login_host = "login.live.com";
    sim::tenant t(o);
    t.start();
    auto const channel = t.open_channel(t.wns().pfn, "D").value();
    CHECK(channel.starts_with("https://sim.notify.windows.com/?token="));
    CHECK(t.wns().token_url == "https://login.live.com/accesstoken.srf");
    http::client client({.extra_roots_pem = t.ca_pem(),
        .system_roots = false,
        .connect_to = {{"sim.notify.windows.com:443", t.address()}, {"login.live.com:443", t.address()}}});
    auto const status = [&](std::string const& url) {
        return client.send({.method = "POST", .url = url, .headers = {}, .body = {}}).value().status;
    };
    CHECK(status(channel) == 401);
    CHECK(status(t.wns().token_url) == 400);
    CHECK(status("https://login.live.com/?token=x") == 404);
    CHECK(status("https://sim.notify.windows.com/accesstoken.srf") == 404);
}

TEST_CASE("a fleet joins, has its sessions, and falls quiet", "[sim]") {
    auto& w = effects_world();
    test::scratch dir;
    sim::fleet_options o;
    o.directory = dir.path();
    o.devices = 3;
    o.users = 2;
    o.threads = 2;
    o.keys = 1;
    o.rounds = 3;
    auto const join = w.server.join(w.tenant);
    o.tenant = join.tenant;
    o.discovery_url = join.discovery_url;
    o.net = join.net;
    w.server.commands = command("Get", 20, "./DevDetail/SwV");
    auto const quiet = sim::run_fleet(o);
    for (auto const& d : quiet.devices) {
        CAPTURE(d.name);
        CHECK(d.failure == "");
        CHECK(d.sessions == 2);
        CHECK(d.last_commands == 2);
        CHECK(d.quiet_after == 1);
    }
    CHECK(quiet.rounds == 1);
    w.server.commands = command("Replace", 20, "./Vendor/MSFT/Policy/Config/A/B", "1");
    auto const restless = sim::run_fleet(o);
    CHECK(restless.rounds == 3);
    CHECK(restless.devices.at(0).quiet_after == 0);
    CHECK(restless.devices.at(0).last_changes == 2);
    w.server.commands.clear();
}
