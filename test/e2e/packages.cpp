// Packages that the appliance serves: whole, resumed, and none but those.
#include "core/text.hpp"
#include "e2e/appliance.hpp"

using namespace mdmd;

TEST_CASE("a package is fetched from the public listener, in pieces as well", "[e2e]") {
    e2e::world w;
    std::string bytes(5'000'000, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 24);
    w.app->write("packages/app-1.0.msi", bytes);
    w.app->write("secret.msi", "x");
    std::filesystem::create_symlink(w.app->file("secret.msi"), w.app->file("packages/link.msi"));
    w.app->start();
    auto options = w.app->client_options();
    options.answer_bytes = 16'000'000;
    http::client c(options);
    auto const get = [&](std::string const& name, http::fields headers = {}, std::string method = "GET") {
        return c
            .send({.method = std::move(method),
                .url = std::string(e2e::public_url) + "/packages/" + name,
                .headers = std::move(headers),
                .body = {}})
            .value();
    };
    auto const whole = get("app-1.0.msi");
    CHECK(whole.status == 200);
    CHECK(whole.body == bytes);
    auto const tag = std::string(whole.headers.get("ETag").value());
    auto const rest = get("app-1.0.msi", {{"Range", "bytes=4000000-"}, {"If-Range", tag}});
    CHECK(rest.status == 206);
    CHECK(rest.headers.get("Content-Range") == "bytes 4000000-4999999/5000000");
    CHECK(rest.body == bytes.substr(4'000'000));
    CHECK(get("app-1.0.msi", {{"If-None-Match", tag}}).status == 304);
    CHECK(get("app-1.0.msi", {{"Range", "bytes=5000000-"}}).status == 416);
    auto const head = get("app-1.0.msi", {}, "HEAD");
    CHECK((head.status == 200 && head.body.empty()));
    CHECK(get("app-1.0.msi", {}, "POST").status == 405);
    for (auto const* name : {"", "link.msi", "nothing.msi", "app-1.0.msi/x"}) CHECK(get(name).status == 404);
    CHECK(get("app-1.0.msi").body == bytes);  // the connection is still good
}

TEST_CASE("the status says whether devices can be woken", "[e2e]") {
    e2e::world w;
    w.app->start();
    CHECK(w.app->ask({"status"}).at("push") == boost::json::value{{"configured", false}, {"problem", nullptr}});
    w.app->write("push.key", "the-push-secret\n");
    w.app->configure({{"management.push",
        "{package_family_name: Contoso.Wake_1a2b3c4d5e6f7, package_sid: \"ms-app://s-1-15-2-1\", secret_file: push.key}"}});
    w.app->reload();
    CHECK(w.app->logs("configuration taken"));
    CHECK(w.app->ask({"status"}).at("push") == boost::json::value{{"configured", true}, {"problem", nullptr}});
    CHECK_THAT(w.app->mdmctl({"status"}).out, Catch::Contains("push         ok"));
    CHECK_THAT(w.app->log(), !Catch::Contains("the-push-secret"));
}
