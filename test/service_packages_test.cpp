#include <sys/stat.h>
#include <unistd.h>

#include "core/http_content.hpp"
#include "service/apps.hpp"
#include "service/packages.hpp"
#include "store/enrollment.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

struct fixture : appliance_fixture {
    std::filesystem::path packages = folder.path() / "packages";
    fixture() {
        folder.write("packages/app-1.0_x64.msi", "0123456789");
        folder.write("packages/.hidden", "x");
        folder.write("packages/sub/inner.msi", "x");
        folder.write("secret", "x");
        std::filesystem::create_symlink(folder.path() / "secret", packages / "link.msi");
        ::mkfifo((packages / "pipe.msi").c_str(), 0600);
        config.settings.apps.directory = packages;
        reconfigure();
    }
    http::response ask(std::string const& name, http::fields headers = {}, std::string method = "GET") {
        auto r = request(std::move(method), "/packages/" + name);
        for (auto const& [n, v] : headers) r.headers.add(n, v);
        return appliance->packages.serve(r);
    }
    static std::string content(http::response const& r) {
        if (!r.file) return r.body;
        std::string out(r.file->length, '\0');
        REQUIRE(::pread(r.file->file->get(), out.data(), out.size(), static_cast<off_t>(r.file->offset)) ==
                static_cast<ssize_t>(out.size()));
        return out;
    }
};

std::string field(http::response const& r, char const* name) { return std::string(r.headers.get(name).value_or("")); }

}  // namespace

TEST_CASE_METHOD(fixture, "a package is served whole, with what a client needs to resume", "[packages]") {
    auto const r = ask("app-1.0_x64.msi");
    CHECK(r.status == 200);
    CHECK(content(r) == "0123456789");
    CHECK(field(r, "Accept-Ranges") == "bytes");
    CHECK(field(r, "ETag").starts_with('"'));
    CHECK(field(r, "Last-Modified").ends_with(" GMT"));
    CHECK(field(r, "X-Content-Type-Options") == "nosniff");
}

TEST_CASE_METHOD(fixture, "nothing but regular files of the folder is served", "[packages]") {
    for (auto const* name :
        {"", ".", "..", "nothing.msi", ".hidden", "sub", "sub/inner.msi", "link.msi", "pipe.msi", "../secret",
            "..%2fsecret", "%2e%2e/secret", "app-1.0_x64.msi/", "app-1.0_x64.ms%69", "app-1.0_x64.msi\\", "a b"}) {
        INFO(name);
        auto const r = ask(name);
        CHECK(r.status == 404);
        CHECK_FALSE(r.file);
    }
    CHECK(ask(std::string(129, 'a')).status == 404);
    config.settings.apps.directory.clear();
    reconfigure();
    CHECK(ask("app-1.0_x64.msi").status == 404);
}

TEST_CASE_METHOD(fixture, "one part of a package is served as such", "[packages]") {
    struct row {
        char const* range;
        int status;
        char const* content;
        char const* content_range;
    };
    for (auto const& r : {row{"bytes=2-4", 206, "234", "bytes 2-4/10"}, row{"bytes=7-", 206, "789", "bytes 7-9/10"},
             row{"bytes=-3", 206, "789", "bytes 7-9/10"}, row{"bytes=0-1,4-5", 200, "0123456789", ""},
             row{"lines=1-2", 200, "0123456789", ""},
             row{"bytes=10-", 416, "The package has no such part.\n", "bytes */10"}}) {
        INFO(r.range);
        auto const got = ask("app-1.0_x64.msi", {{"Range", r.range}});
        CHECK(got.status == r.status);
        CHECK(content(got) == r.content);
        CHECK(field(got, "Content-Range") == r.content_range);
    }
    auto const head = ask("app-1.0_x64.msi", {{"Range", "bytes=2-4"}}, "HEAD");  // Range is of GET alone
    CHECK(head.status == 200);
}

TEST_CASE_METHOD(fixture, "conditions hold for the version that a client has", "[packages]") {
    auto const first = ask("app-1.0_x64.msi");
    auto const tag = field(first, "ETag");
    auto const part = [&](std::string const& condition) {
        return ask("app-1.0_x64.msi", {{"Range", "bytes=2-4"}, {"If-Range", condition}}).status;
    };
    CHECK(part(tag) == 206);
    CHECK(part("\"other\"") == 200);
    CHECK(part("W/" + tag) == 200);
    CHECK(part(field(first, "Last-Modified")) == 200);
    CHECK(ask("app-1.0_x64.msi", {{"If-None-Match", tag}}).status == 304);
    CHECK(ask("app-1.0_x64.msi", {{"If-None-Match", "\"x\", W/" + tag}}).status == 304);
    CHECK(ask("app-1.0_x64.msi", {{"If-None-Match", "*"}}).status == 304);
    CHECK(ask("app-1.0_x64.msi", {{"If-None-Match", "\"x\""}, {"If-Modified-Since", field(first, "Last-Modified")}})
              .status == 200);
    CHECK(ask("app-1.0_x64.msi", {{"If-Modified-Since", field(first, "Last-Modified")}}).status == 304);
    // A change of the same length shows.
    folder.write("packages/app-1.0_x64.msi", "9876543210");
    std::filesystem::last_write_time(packages / "app-1.0_x64.msi", std::filesystem::file_time_type::clock::now() + 1h);
    CHECK(part(tag) == 200);
    CHECK(ask("app-1.0_x64.msi", {{"If-None-Match", tag}}).status == 200);
}

TEST_CASE_METHOD(fixture, "an app that names a package gets its address and digest", "[packages]") {
    constexpr char sha256[] = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
    std::vector<config::policy_file> policies(1);
    policies[0].file = "p.yaml";
    service::package_digests digests;
    auto const complete = [&](std::string file, std::string digest = {}) {
        policies[0].apps = {config::app{.file = std::move(file), .sha256 = std::move(digest), .line = 7}};
        std::string all;
        for (auto const& p : service::complete_apps(config.settings, policies, digests)) all += p.line_text() + "\n";
        return all;
    };
    CHECK(complete("app-1.0_x64.msi") == "");
    CHECK(policies[0].apps[0].sha256 == sha256);
    CHECK(policies[0].apps[0].url == "https://mdm.test/packages/app-1.0_x64.msi");
    CHECK(complete("app-1.0_x64.msi", sha256) == "");
    CHECK_THAT(complete("app-1.0_x64.msi", std::string(64, '0')),
        Catch::StartsWith("p.yaml:7:1: apps.sha256: expected that of 'app-1.0_x64.msi', which is 84d89877"));
    for (auto const* file : {"nothing.msi", "link.msi", "sub", "pipe.msi", "../secret"}) {
        INFO(file);
        CHECK_THAT(complete(file), Catch::StartsWith("p.yaml:7:1: apps.file: expected "));
    }
    config.settings.apps.directory.clear();
    CHECK_THAT(complete("app-1.0_x64.msi"), Catch::Contains("expected apps.directory"));
}

TEST_CASE_METHOD(fixture, "a package is hashed again only when it has changed", "[packages]") {
    service::package_digests digests;
    auto const file = packages / "app-1.0_x64.msi";
    auto const first = digests.of(packages, "app-1.0_x64.msi").value();
    auto const written = std::filesystem::last_write_time(file);
    // Other bytes of the same size, in the same file and with the same time: it was not read.
    folder.write("packages/app-1.0_x64.msi", "9876543210");
    std::filesystem::last_write_time(file, written);
    CHECK(digests.of(packages, "app-1.0_x64.msi").value() == first);
    std::filesystem::last_write_time(file, written + 1s);
    CHECK(digests.of(packages, "app-1.0_x64.msi").value() != first);
}

TEST_CASE_METHOD(fixture, "records of apps are kept as they are, and only what differs is written", "[packages]") {
    policy::app_map before;
    policy::app_map after;
    after["{A}"] = {.policy = "p",
        .intent = config::app_intent::uninstall,
        .job = "uninstall",
        .version = "1.2",
        .state = policy::app_state::removing,
        .status = 200,
        .msi_status = 60,
        .last_error = "0x80070643",
        .detail = "why",
        .installed_version = "1.0",
        .attempts = 3,
        .since = from_ms(1),
        .next_try = from_ms(2)};
    after["{B}"] = {.policy = "q"};
    certificate = enroll_one();
    auto const id = db.read([](store::connection& c) { return store::find_devices(c, "PC1").at(0).id; });
    auto const keep = [&] { db.write([&](store::connection& c) { service::keep_apps(c, id, before, after); }); };
    auto const load = [&] { return db.read([&](store::connection& c) { return service::load_apps(c, id); }); };
    keep();
    CHECK(load() == after);
    before = after;
    after.erase("{B}");
    after["{A}"].state = policy::app_state::removed;
    keep();
    CHECK(load() == after);
    db.write([&](store::connection& c) { store::remove_device(c, id); });
    CHECK(load().empty());
}
