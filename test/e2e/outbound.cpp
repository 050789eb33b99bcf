// The way out: clouds, proxies, proxies that look into TLS; and what is there while there is no way.
#include "e2e/appliance.hpp"
#include "sim/proxy.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

std::string text(boost::json::value const& v, char const* name) {
    return v.at(name).is_null() ? "" : std::string(v.at(name).as_string());
}

bool key_ok(e2e::world& w) {
    return e2e::becomes_true(20s, [&] { return text(w.app->ask({"key", "status"}), "state") == "ok"; });
}

// A device joins, and Graph learns of it: every kind of call has been made.
void whole_job(e2e::world& w) {
    auto const d = joined(w, "PC-1", "alice@contoso.test");
    e2e::check_in(w, *d, true);
    CHECK(e2e::becomes_true(20s, [&] { return w.registered(d->entra_device_id()).is_compliant == true; }));
}

}  // namespace

TEST_CASE("all four clouds are reached at their own addresses", "[e2e]") {
    struct row {
        char const* cloud;
        char const* login;
        char const* graph;
    };
    auto const r = GENERATE(row{"global", "login.microsoftonline.com", "graph.microsoft.com"},
        row{"usgov", "login.microsoftonline.us", "graph.microsoft.us"},
        row{"usgov-dod", "login.microsoftonline.us", "dod-graph.microsoft.us"},
        row{"china", "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"});
    CAPTURE(r.cloud);
    // Microsoft's names lead to the simulated tenant by way of a proxy, and nothing else does.
    sim::tenant_options options{.app_id = e2e::public_url};
    options.login_host = r.login;
    options.graph_host = r.graph;
    e2e::world w({{"entra.login_url", ""}, {"entra.graph_url", ""}, {"entra.cloud", r.cloud}}, std::move(options));
    sim::proxy way({.routes = {{fmt::format("{}:443", r.login), w.tenant.address()},
                        {fmt::format("{}:443", r.graph), w.tenant.address()}}});
    way.start();
    w.app->configure({{"entra.proxy", way.url()}});
    e2e::write_mode_rule(*w.app);
    w.app->start();
    whole_job(w);
    CHECK(way.refused() == 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a proxy that needs credentials gets them, and says what is wrong when they are not right", "[e2e]") {
    e2e::world w;
    sim::proxy way({.credentials = "mdmd:s1mS3cret:with colon", .routes = {{"*", "direct"}}});
    way.start();
    w.app->write("proxy.credentials", "mdmd:s1mS3cret:with colon\n");
    w.app->configure({{"entra.proxy", way.url()}, {"entra.proxy_credentials_file", "proxy.credentials"}});
    e2e::write_mode_rule(*w.app);
    w.app->start();
    whole_job(w);
    CHECK(way.connects() > 0);
    CHECK(way.refused() == 0);

    for (auto const& [credentials, said] :
        {std::pair("mdmd:wrong\n", "does not accept its credentials"), {"", "asks for credentials"}}) {
        CAPTURE(said);
        w.app->write("proxy.credentials", credentials);
        w.app->configure({{"entra.proxy", way.url()},
            {"entra.proxy_credentials_file", std::string(credentials).empty() ? "" : "proxy.credentials"}});
        w.app->reload();
        CHECK(w.app->logs(said));
        auto const tested = w.app->mdmctl({"key", "test"});
        CHECK(tested.code == 1);
        CHECK_THAT(tested.out, Catch::Contains(said));
    }
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a proxy that looks into TLS is trusted with its root, and with nothing less", "[e2e]") {
    e2e::world w;
    sim::proxy way({.routes = {{"*", "direct"}}, .inspect = true, .upstream_ca_pem = w.tenant.ca_pem()});
    way.start();
    w.app->configure({{"entra.proxy", way.url()}});  // entra.ca_file has the tenant's root
    e2e::write_mode_rule(*w.app);
    w.app->start();
    CHECK(w.app->logs("not trusted"));
    CHECK(text(w.app->ask({"key", "status"}), "state") == "unproven");
    CHECK(way.inspected() == 0);

    w.app->write("proxy-ca.pem", way.ca_pem());
    w.app->configure({{"entra.proxy", way.url()}, {"entra.ca_file", "proxy-ca.pem"}});
    w.app->reload();
    REQUIRE(key_ok(w));
    whole_job(w);
    CHECK(way.inspected() > 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("while there is no way out all that was there goes on, and afterwards the rest", "[e2e]") {
    e2e::world w;
    sim::proxy way({.routes = {{"*", "direct"}}});
    way.start();
    w.app->configure({{"entra.proxy", way.url()}});
    e2e::write_mode_rule(*w.app);
    w.app->start();
    auto const first = joined(w, "PC-1", "alice@contoso.test");
    e2e::check_in(w, *first, true);
    REQUIRE(e2e::becomes_true(20s, [&] { return w.registered(first->entra_device_id()).is_compliant == true; }));

    // A restart in the dark: Entra's signing keys are those of before, so users still join.
    CHECK(w.app->stop() == 0);
    way.block(GENERATE(sim::proxy::outage::silent, sim::proxy::outage::reset));
    w.app->start();
    auto const second = joined(w, "PC-2", "bob@contoso.test");
    e2e::check_in(w, *second, true);
    e2e::check_in(w, *first, false);
    CHECK(w.registered(first->entra_device_id()).is_compliant == true);

    way.block(sim::proxy::outage::none);
    CHECK(e2e::becomes_true(60s, [&] {
        return w.registered(first->entra_device_id()).is_compliant == false &&
               w.registered(second->entra_device_id()).is_compliant == true;
    }));
    CHECK(w.app->stop() == 0);
}
