#include "policy/apps.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::policy;
using namespace std::chrono_literals;
using omadm::verb;

namespace {

constexpr char code[] = "{11111111-2222-3333-4444-55555555AAAA}";
constexpr char other[] = "{99999999-2222-3333-4444-555555555555}";
constexpr char root[] = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/";
constexpr char node[] =
    "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B11111111-2222-3333-4444-55555555AAAA%7D";

config::app package(std::string version = "2.0.0") {
    return {.product_code = code,
        .url = "https://mdm.test/packages/app.msi",
        .sha256 = std::string(62, '0') + "ab",
        .version = std::move(version),
        .arguments = "/quiet"};
}

config::policy_file policy_of(std::string name, std::vector<config::app> apps) {
    config::policy_file p;
    p.name = std::move(name);
    p.apps = std::move(apps);
    return p;
}

desired_apps wish_of(config::app a) {
    auto const p = policy_of("p", {std::move(a)});
    return wanted_apps({&p});
}

// A device that answers what a test says it has; `sent` is every command that the engine had for it, in order.
struct device {
    time_point now = from_ms(1'800'000'000'000);
    desired_apps wish = wish_of(package());
    app_map records;
    // By the end of "VERB URI": status and value.
    std::map<std::string, std::pair<int, std::optional<std::string>>> answers;
    std::vector<std::string> sent;

    app_record const& record() const { return records.at(code); }
    std::string state() const { return std::string(name(record().state)); }

    static std::string text(omadm::command const& c) {
        std::string_view uri = c.uri;
        if (uri.starts_with(node))
            uri.remove_prefix(std::string_view(node).size());
        else if (uri.starts_with(root))
            uri.remove_prefix(std::string_view(root).size());
        return std::string(omadm::name(c.what)) + " " + std::string(uri);
    }
    void run(std::vector<omadm::wanted> queue) {
        for (std::size_t i = 0; i < queue.size(); ++i) {
            REQUIRE(i < 20);
            auto const what = text(queue[i].what);
            sent.push_back(what);
            auto const a = answers.find(what);
            if (a == answers.end()) continue;  // its answer never comes
            auto const more = take(wish, records,
                {.key = queue[i].key,
                    .sent = queue[i].what,
                    .status = a->second.first,
                    .original_error = {},
                    .value = a->second.second,
                    .format = {}},
                now);
            queue.insert(queue.end(), more.begin(), more.end());
        }
    }
    // A session; returns what was sent in it.
    std::vector<std::string> session() {
        sent.clear();
        records = reconcile(wish, records, now);
        run(first_round(wish, records, now));
        return sent;
    }
    void alert(std::string_view data) {
        sent.clear();
        run(take_alert(wish, records, std::string(node) + "/DownloadInstall", data, now));
    }
    // An installation up to the Exec.
    void order() {
        answers = {
            {"Get /Version", {404, {}}}, {"Add /DownloadInstall", {200, {}}}, {"Exec /DownloadInstall", {202, {}}}};
        session();
        REQUIRE(state() == "installing");
    }
    void status(std::string value) {
        answers["Get /Status"] = {200, std::move(value)};
        answers["Get /LastError"] = {200, "0"};
    }
};

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("an app that is not there is installed and followed to its end", "[apps]") {
    device d;
    d.answers = {
        {"Get /Version", {404, {}}}, {"Add /DownloadInstall", {200, {}}}, {"Exec /DownloadInstall", {202, {}}}};
    CHECK(d.session() == list{"Get /Version", "Add /DownloadInstall", "Exec /DownloadInstall"});
    CHECK(d.state() == "installing");
    CHECK(d.record().attempts == 1);
    for (auto const* value : {"10", "20", "25", "40", "48", "50", "55"}) {
        d.now += 10min;
        d.status(value);
        CHECK(d.session() == list{"Get /LastError", "Get /Status"});
        CHECK(d.state() == "installing");
        CHECK(d.record().msi_status == std::stoi(value));
        CHECK(d.record().detail == (std::string(value) == "48" ? "waits for a user to sign in" : ""));
    }
    d.status("70");
    d.answers["Get /Version"] = {200, "2.0.0"};
    CHECK(d.session() == list{"Get /LastError", "Get /Status", "Get /Version"});
    CHECK(d.state() == "installed");
    CHECK(d.record().installed_version == "2.0.0");
    CHECK(d.session() == list{});
    d.now += 23h;
    CHECK(d.session() == list{});
    d.now += 2h;
    CHECK(d.session() == list{"Get /Version"});
    CHECK(d.state() == "installed");
    CHECK(d.session() == list{});
}

TEST_CASE("the job is as Windows wants it", "[apps]") {
    auto a = package();
    a.url = "https://mdm.test/packages/app.msi?a=1&b=2";
    a.arguments = "/quiet NAME=\"<A&B>\"";
    a.timeout = 45min;
    a.retries = 2;
    CHECK(
        install_job(a) ==
        "<MsiInstallJob id=\"{11111111-2222-3333-4444-55555555AAAA}\"><Product Version=\"2.0.0\"><Download><ContentURLList>"
        "<ContentURL>https://mdm.test/packages/app.msi?a=1&amp;b=2</ContentURL></ContentURLList></Download><Validation>"
        "<FileHash>00000000000000000000000000000000000000000000000000000000000000AB</FileHash></Validation><Enforcement>"
        "<CommandLine>/quiet NAME=\"&lt;A&amp;B&gt;\"</CommandLine><TimeOut>45</TimeOut><RetryCount>2</RetryCount>"
        "<RetryInterval>5</RetryInterval></Enforcement></Product></MsiInstallJob>");
    a.arguments.clear();
    a.version.clear();
    CHECK_THAT(
        install_job(a), Catch::Contains("<CommandLine>/quiet</CommandLine>") && Catch::Contains("Version=\"1.0.0.0\""));

    device d;
    d.records = reconcile(d.wish, {}, d.now);
    auto const add = take(d.wish, d.records,
        {.key = "app:" + std::string(code) + ":version",
            .sent = {},
            .status = 404,
            .original_error = {},
            .value = {},
            .format = {}},
        d.now);
    REQUIRE(add.size() == 1);
    CHECK(add[0].what == omadm::command{.what = verb::add, .uri = std::string(node) + "/DownloadInstall"});
    auto const exec = take(d.wish, d.records,
        {.key = add[0].key, .sent = add[0].what, .status = 418, .original_error = {}, .value = {}, .format = {}},
        d.now);
    REQUIRE(exec.size() == 1);
    CHECK(exec[0].what == omadm::command{.what = verb::exec,
                              .uri = std::string(node) + "/DownloadInstall",
                              .format = "xml",
                              .type = "text/plain",
                              .data = install_job(package())});
    CHECK(exec[0].key.starts_with(app_prefix));
}

TEST_CASE("what others installed counts by its version", "[apps]") {
    struct row {
        char const* there;
        bool counts;
    };
    for (auto const& r : {row{"2.0.0", true}, {"2.0.0.0", true}, {"2.0", true}, {"2.0.1", true}, {"10.0", true},
             {"1.9.9", false}, {"1.10", false}, {"", false}, {"two", false}}) {
        INFO(r.there);
        device d;
        d.answers["Get /Version"] = {200, r.there};
        auto const sent = d.session();
        CHECK(d.state() == (r.counts ? "installed" : "pending"));
        CHECK(sent == (r.counts ? list{"Get /Version"} : list{"Get /Version", "Add /DownloadInstall"}));
        CHECK(d.record().installed_version == r.there);
    }
}

TEST_CASE("a higher version, another package and other arguments are new jobs", "[apps]") {
    device d;
    d.answers["Get /Version"] = {200, "2.0.0"};
    d.session();
    REQUIRE(d.state() == "installed");
    SECTION("version") {
        d.wish = wish_of(package("3.0.0"));
        d.answers["Add /DownloadInstall"] = {418, {}};  // the node of the job before is still there
        d.answers["Exec /DownloadInstall"] = {200, {}};
        CHECK(d.session() == list{"Get /Version", "Add /DownloadInstall", "Exec /DownloadInstall"});
        // The Status of the job before tells nothing once the new one was taken.
        d.status("70");
        d.answers["Get /Version"] = {200, "3.0.0"};
        d.session();
        CHECK(d.state() == "installed");
        CHECK(d.record().installed_version == "3.0.0");
    }
    SECTION("package") {
        auto a = package();
        a.sha256 = std::string(64, 'c');
        d.wish = wish_of(a);
        CHECK(d.session() == list{"Get /Version"});  // the version that is there is enough
        CHECK(d.state() == "installed");
    }
    SECTION("another place of the same package is no new job") {
        auto a = package();
        a.url = "https://elsewhere.test/app.msi";
        d.wish = wish_of(a);
        CHECK(d.session() == list{});
    }
}

TEST_CASE("a newer member of the product's family counts, an older one is upgraded", "[apps]") {
    auto a = package();
    a.upgrade_code = "{22222222-2222-3333-4444-555555555555}";
    device d;
    d.wish = wish_of(a);
    d.answers["Get /Version"] = {404, {}};
    std::string const family = "Get UpgradeCode/%7B22222222-2222-3333-4444-555555555555%7D";
    std::string const theirs = "Get %7B99999999-2222-3333-4444-555555555555%7D/Version";
    SECTION("newer") {
        d.answers[family] = {200, other};
        d.answers[theirs] = {200, "2.1"};
        CHECK(d.session() == list{"Get /Version", family, theirs});
        CHECK(d.state() == "installed");
        CHECK(d.record().installed_version == "2.1");
    }
    SECTION("older") {
        d.answers[family] = {200, other};
        d.answers[theirs] = {200, "1.0"};
        CHECK(d.session() == list{"Get /Version", family, theirs, "Add /DownloadInstall"});
    }
    SECTION("none") {
        d.answers[family] = {404, {}};
        CHECK(d.session() == list{"Get /Version", family, "Add /DownloadInstall"});
    }
    SECTION("no product code") {
        d.answers[family] = {200, "../../../Reboot/RebootNow"};
        CHECK(d.session() == list{"Get /Version", family, "Add /DownloadInstall"});
    }
}

TEST_CASE("a failed installation says why, is tried again later, and not for ever", "[apps]") {
    device d;
    auto pause = 1h;
    for (int i = 1; i <= most_app_attempts; ++i) {
        d.order();
        CHECK(d.record().attempts == i);
        d.answers["Get /LastError"] = {200, "-2147023293"};
        d.answers["Get /Status"] = {200, i % 2 != 0 ? "60" : "30"};
        d.answers["Get /LastErrorDesc"] = {200, "Fatal error during installation."};
        CHECK(d.session() == list{"Get /LastError", "Get /Status", "Get /LastErrorDesc"});
        CHECK(d.state() == "failed");
        CHECK(d.record().last_error == "0x80070643");
        CHECK(d.record().detail == "Fatal error during installation.");
        d.now += pause - 1min;
        CHECK(d.session() == list{});
        d.now += 1min;
        pause *= 2;
    }
    d.now += 48h;
    CHECK(d.session() == list{});
    CHECK(d.state() == "failed");
    // Another wish begins anew.
    d.wish = wish_of(package("3.0.0"));
    CHECK(d.session().size() == 3);
    CHECK(d.record().attempts == 1);
}

TEST_CASE("the alert tells the end before the next session asks", "[apps]") {
    device d;
    d.order();
    d.answers["Get /LastErrorDesc"] = {200, "Fatal error."};
    struct row {
        char const* data;
        char const* state;
        char const* last_error;
        char const* detail;
    };
    auto const r = GENERATE(row{"0", "installed", "", ""}, row{" 0 ", "installed", "", ""},
        row{"3010", "installed", "", "takes effect after a restart"},
        row{"-2147021886", "installed", "", "takes effect after a restart"},
        row{"0x80070643", "failed", "0x80070643", "Fatal error."},
        row{"2147944003", "failed", "0x80070643", "Fatal error."},
        row{"-2147023293", "failed", "0x80070643", "Fatal error."}, row{"yes", "installing", "", ""},
        row{"", "installing", "", ""}, row{"99999999999", "installing", "", ""});
    INFO(r.data);
    d.answers["Get /Version"] = {200, "2.0.0"};
    d.alert(r.data);
    CHECK(d.state() == r.state);
    CHECK(d.record().last_error == r.last_error);
    CHECK(d.record().detail == r.detail);
}

TEST_CASE("an alert about something else changes nothing", "[apps]") {
    device d;
    d.order();
    auto const before = d.records;
    for (auto const* source :
        {"", "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/", "./Vendor/MSFT/Reboot", "%7", "%7B",
            "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B99999999-2222-3333-4444-555555555555%7D/DownloadInstall",
            "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/{1"})
        CHECK(take_alert(d.wish, d.records, source, "1603", d.now).empty());
    CHECK(d.records == before);
    // However it is spelled.
    CHECK_FALSE(take_alert(d.wish, d.records,
        "./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/{11111111-2222-3333-4444-55555555aaaa}/DownloadInstall",
        "1603", d.now)
                    .empty());
}

TEST_CASE("an order whose answer was lost is not given twice", "[apps]") {
    device d;
    d.answers = {{"Get /Version", {404, {}}}, {"Add /DownloadInstall", {200, {}}}};
    d.session();
    CHECK(d.state() == "sent");
    SECTION("it is being done") {
        d.status("50");
        CHECK(d.session() == list{"Get /LastError", "Get /Status"});
        CHECK(d.state() == "installing");
    }
    SECTION("it never came") {
        d.answers["Get /Status"] = {404, {}};
        d.answers["Exec /DownloadInstall"] = {202, {}};
        CHECK(d.session() ==
              list{"Get /LastError", "Get /Status", "Get /Version", "Add /DownloadInstall", "Exec /DownloadInstall"});
        CHECK(d.record().attempts == 2);
    }
    SECTION("the Status is of the job before it") {
        d.status("70");
        d.answers["Get /Version"] = {200, "1.0"};
        d.answers["Exec /DownloadInstall"] = {202, {}};
        CHECK(d.session().back() == "Exec /DownloadInstall");
        CHECK(d.state() == "installing");
    }
    SECTION("nothing is answered at all") {
        d.answers.clear();
        CHECK(d.session() == list{"Get /LastError", "Get /Status"});
        CHECK(d.state() == "sent");
    }
}

TEST_CASE("a device's refusals are told apart", "[apps]") {
    struct row {
        char const* of;
        int status;
        char const* state;
    };
    auto const r = GENERATE(row{"Get /Version", 406, "not_applicable"}, row{"Get /Version", 501, "not_applicable"},
        row{"Get /Version", 503, "pending"}, row{"Get /Version", 216, "pending"},
        row{"Get /Version", 500, "installing"}, row{"Add /DownloadInstall", 404, "not_applicable"},
        row{"Add /DownloadInstall", 406, "not_applicable"}, row{"Add /DownloadInstall", 405, "failed"},
        row{"Add /DownloadInstall", 503, "pending"}, row{"Add /DownloadInstall", 418, "installing"},
        row{"Exec /DownloadInstall", 200, "installing"}, row{"Exec /DownloadInstall", 202, "installing"},
        row{"Exec /DownloadInstall", 215, "pending"}, row{"Exec /DownloadInstall", 500, "failed"},
        row{"Exec /DownloadInstall", 406, "not_applicable"});
    INFO(r.of << " " << r.status);
    device d;
    d.answers = {
        {"Get /Version", {404, {}}}, {"Add /DownloadInstall", {200, {}}}, {"Exec /DownloadInstall", {202, {}}}};
    d.answers[r.of] = {r.status, {}};
    d.session();
    CHECK(d.state() == r.state);
    d.now += 72h;
    if (d.state() == "not_applicable") CHECK(d.session() == list{});
}

TEST_CASE("an installation that comes to no end has failed", "[apps]") {
    device d;
    d.order();
    d.now += 25h;
    d.status("20");
    d.session();
    CHECK(d.state() == "installing");
    d.now += 3h;
    SECTION("no end") {
        d.session();
        CHECK(d.state() == "failed");
        CHECK_THAT(d.record().detail, Catch::Contains("Status 20"));
    }
    SECTION("it waits for a user, who may take their time") {
        d.status("48");
        d.now += 720h;
        d.session();
        CHECK(d.state() == "installing");
    }
}

TEST_CASE("an installation whose Status stays unreadable has failed after a day and the time of its tries", "[apps]") {
    struct row {
        int status;
        char const* value;
    };
    auto const r = GENERATE(row{500, ""}, row{405, ""}, row{503, ""}, row{200, ""}, row{200, "soon"}, row{200, "5000"});
    bool const taken = GENERATE(true, false);
    INFO(r.status << " '" << r.value << "' " << taken);
    device d;
    d.answers = {{"Get /Version", {404, {}}}, {"Add /DownloadInstall", {200, {}}}};
    if (taken) d.answers["Exec /DownloadInstall"] = {202, {}};
    d.session();
    d.answers["Exec /DownloadInstall"] = {202, {}};
    d.answers["Get /Status"] = {r.status, std::string(r.value)};
    d.now += 26h;
    CHECK(d.session() == list{"Get /LastError", "Get /Status"});
    CHECK(d.state() == (taken ? "installing" : "sent"));
    for (int i = 1; i <= most_app_attempts; ++i) {
        d.now += 1h;
        d.session();
        CHECK(d.state() == "failed");
        CHECK_THAT(d.record().detail, Catch::Contains("cannot be read"));
        CHECK(d.record().attempts == i);
        // It is not begun again before a day, nor if it is there after all.
        d.now += 23h;
        CHECK(d.session() == list{});
        d.now += 1h;
        if (i == 1) {
            auto found = d;
            found.answers["Get /Version"] = {200, "2.0.0"};
            CHECK(found.session() == list{"Get /Version"});
            CHECK(found.state() == "installed");
        }
        if (i < most_app_attempts) CHECK(d.session().back() == "Exec /DownloadInstall");
        d.now += 26h;
    }
    CHECK(d.session() == list{});
    CHECK(d.state() == "failed");
}

TEST_CASE("an app that its user removed is installed again", "[apps]") {
    device d;
    d.answers["Get /Version"] = {200, "2.0.0"};
    d.session();
    d.now += 25h;
    d.answers = {
        {"Get /Version", {404, {}}}, {"Add /DownloadInstall", {200, {}}}, {"Exec /DownloadInstall", {202, {}}}};
    CHECK(d.session().back() == "Exec /DownloadInstall");
    CHECK(d.state() == "installing");
    CHECK(d.record().installed_version.empty());
}

TEST_CASE("an installed version that the policy writes in another way is not installed for ever", "[apps]") {
    device d;
    d.order();
    d.status("70");
    d.answers["Get /Version"] = {200, "1.99"};
    d.session();
    CHECK(d.state() == "installed");
    CHECK(d.session() == list{});
}

TEST_CASE("intent uninstall deletes the node and sees it gone", "[apps]") {
    auto a = package();
    a.intent = config::app_intent::uninstall;
    device d;
    d.wish = wish_of(a);
    SECTION("it was never there") {
        d.answers["Get /Version"] = {404, {}};
        CHECK(d.session() == list{"Get /Version"});
        CHECK(d.state() == "removed");
        CHECK(d.session() == list{});
    }
    SECTION("it goes") {
        d.answers = {{"Get /Version", {200, "2.0.0"}}, {"Delete ", {200, {}}}};
        CHECK(d.session() == list{"Get /Version", "Delete "});
        CHECK(d.state() == "removing");
        CHECK(d.session() == list{"Get /Version"});  // it takes its time
        d.answers["Get /Version"] = {404, {}};
        CHECK(d.session() == list{"Get /Version"});
        CHECK(d.state() == "removed");
        d.now += 25h;
        d.answers["Get /Version"] = {200, "2.0.0"};  // somebody has installed it again
        CHECK(d.session() == list{"Get /Version", "Delete "});
    }
    SECTION("it stays, whatever is asked") {
        d.answers = {{"Get /Version", {200, "2.0.0"}}, {"Delete ", {200, {}}}};
        int deletes = 0;
        for (int i = 0; i < 20; ++i) {
            for (auto const& s : d.session()) deletes += s == "Delete ";
            d.now += 26h;
        }
        CHECK(deletes == most_app_attempts);
        CHECK(d.state() == "failed");
    }
    SECTION("refused") {
        d.answers = {{"Get /Version", {200, "2.0.0"}}, {"Delete ", {405, {}}}};
        d.session();
        CHECK(d.state() == "failed");
        CHECK(d.session() == list{});
    }
    SECTION("after an installation of ours") {
        device i;
        i.order();
        i.wish = wish_of(a);
        i.answers = {{"Get /Version", {200, "2.0.0"}}, {"Delete ", {200, {}}}};
        CHECK(i.session() == list{"Get /Version", "Delete "});
        CHECK(i.state() == "removing");
    }
}

TEST_CASE("an app that no policy has any more stays on the device", "[apps]") {
    device d;
    d.order();
    d.wish = {};
    CHECK(d.session() == list{});
    CHECK(d.records.empty());
    // What was sent before has nobody to be told.
    CHECK(take(d.wish, d.records,
        {.key = "app:" + std::string(code) + ":exec",
            .sent = {},
            .status = 200,
            .original_error = {},
            .value = {},
            .format = {}},
        d.now)
              .empty());
    for (auto const* key : {"app:", "app:x", "setting:x", "app::version"})
        CHECK(take(d.wish, d.records,
            {.key = key, .sent = {}, .status = 200, .original_error = {}, .value = {}, .format = {}}, d.now)
                  .empty());
}

TEST_CASE("of two wishes for one product the policy first by name has it, and both are named", "[apps]") {
    auto const b = policy_of("b", {package("1.0")}), a = policy_of("a", {package("2.0")}),
               c = policy_of("c", {package("2.0")});
    auto const got = wanted_apps({&b, &a, &c});
    REQUIRE(got.apps.size() == 1);
    CHECK(got.apps.at(code).policy == "a");
    CHECK(got.apps.at(code).what.version == "2.0");
    REQUIRE(got.conflicts.size() == 1);
    CHECK(got.conflicts[0].policies == list{"a", "b"});
    CHECK(wanted_apps({&a, &c}).conflicts.empty());
}

TEST_CASE("versions are compared by number, part by part", "[apps]") {
    CHECK(compare_versions("1.2", "1.2.0.0") == std::strong_ordering::equal);
    CHECK(compare_versions("1.10", "1.9") == std::strong_ordering::greater);
    CHECK(compare_versions("1.2.3.4", "1.2.3.5") == std::strong_ordering::less);
    for (auto const* bad : {"", "1.", ".1", "1..2", "a", "1.a", "-1", "1.2.3.4.5.6.7.8.9", "99999999999"})
        CHECK_FALSE(compare_versions(bad, "1"));
}

TEST_CASE("states of apps have names that read back", "[apps]") {
    for (auto const* text :
        {"pending", "sent", "installing", "installed", "failed", "removing", "removed", "not_applicable"}) {
        REQUIRE(parse_app_state(text));
        CHECK(name(*parse_app_state(text)) == text);
    }
    CHECK_FALSE(parse_app_state("gone"));
}
