// Devices woken through Windows' push service, under its own names by way of a proxy.
#include "core/text.hpp"
#include "e2e/managed.hpp"
#include "sim/faults.hpp"
#include "sim/proxy.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using e2e::session;
using e2e::text;

namespace {

constexpr char push_node[] = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/Push/";
constexpr char channel_host[] = "sim.notify.windows.com";

sim::tenant_options with_push() {
    sim::tenant_options o{.app_id = e2e::public_url};
    o.wns_host = channel_host;
    o.wns_login_host = "login.live.com";
    return o;
}

// An appliance with an app identity, whose only way out knows the push service's names.
struct push_world : e2e::world {
    push_world()
        : world({}, with_push()),
          way({.routes = {{fmt::format("{}:443", channel_host), tenant.address()},
                   {"login.live.com:443", tenant.address()}, {"*", "direct"}}}) {
        way.start();
        app->write("push.key", tenant.wns().secret + "\n");
        app->configure({{"entra.proxy", way.url()},
            {"management.push", fmt::format("{{package_family_name: {}, package_sid: \"{}\", secret_file: push.key}}",
                                    tenant.wns().pfn, tenant.wns().sid)}});
        app->start();
    }
    void order(char const* what, std::string const& device) const {
        CHECK(app->mdmctl({"devices", what, device}).code == 0);
    }
    void fault(char const* name) {
        auto rule = sim::named_fault(name).value();
        rule.count = 1;
        tenant.add_fault(rule);
    }
    bool woken(sim::device& d) const {
        auto const r = d.wait_for_push(access(), 15s);
        INFO((r ? "" : r.error().detail));
        CHECK(r);
        return r.has_value();
    }
    std::size_t logged(std::string const& what) const {
        std::size_t n = 0;
        auto const all = app->log();
        for (auto at = all.find(what); at != all.npos; at = all.find(what, at + 1)) ++n;
        return n;
    }

    sim::proxy way;
};

}  // namespace

TEST_CASE("an order wakes its device within seconds, whatever the push service makes of it first", "[e2e]") {
    push_world w;
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    auto o = e2e::signed_in(w);
    CHECK(e2e::has(e2e::changes(session(*d, o)), std::string(push_node) + "PFN"));
    CHECK(d->tree().get(std::string(push_node) + "PFN").value == w.tenant.wns().pfn);
    session(*d, o);  // which tells the channel that was opened behind the first one

    auto const asked = std::chrono::steady_clock::now();
    w.order("lock", "PC-1");
    REQUIRE(w.woken(*d));
    CHECK(std::chrono::steady_clock::now() - asked < 10s);
    o.server_initiated = true;
    o.does.lock_status = 200;
    CHECK(e2e::has(session(*d, o).executed, "RemoteLock/Lock"));
    CHECK(text(e2e::last_command(w, "PC-1", "lock"), "state") == "done");
    CHECK(w.tenant.pushes().back().status == 200);

    // The token that is kept is refused: another one is asked for, and the wake-up arrives all the same.
    w.tenant.drop_wns_tokens();
    w.order("sync", "PC-1");
    CHECK(w.woken(*d));
    auto const pushes = w.tenant.pushes();
    REQUIRE(pushes.size() >= 2);
    CHECK(pushes[pushes.size() - 2].status == 401);
    CHECK(pushes.back().status == 200);

    for (auto const* trouble : {"wns-throttled", "wns-down", "wns-token-down"}) {
        CAPTURE(trouble);
        if (std::string(trouble) == "wns-token-down") w.tenant.drop_wns_tokens();
        w.fault(trouble);
        w.order("sync", "PC-1");
        CHECK(w.woken(*d));
    }
    CHECK(w.app->logs("the push service wants to be left alone"));
    session(*d, o);

    // A channel that has ended is forgotten. The device opens another one behind its next session.
    auto const ended = d->tree().get(std::string(push_node) + "ChannelURI").value;
    REQUIRE(w.tenant.expire_channel(ended));
    w.order("sync", "PC-1");
    CHECK(w.app->logs("a device's push channel has ended"));
    auto const tried = w.tenant.pushes().size();
    w.order("sync", "PC-1");
    session(*d, o);
    CHECK(d->tree().get(std::string(push_node) + "ChannelURI").value != ended);
    CHECK(w.tenant.pushes().size() == tried);  // without a channel nobody is called
    w.order("sync", "PC-1");                   // by the one that the last session told of
    CHECK(e2e::becomes_true(15s, [&] { return w.logged("a device's push channel has ended") == 2; }));
    session(*d, o);
    w.order("sync", "PC-1");
    CHECK(w.woken(*d));
    CHECK(w.app->ask({"status"}).at("push") == boost::json::value{{"configured", true}, {"problem", nullptr}});
    CHECK_THAT(w.app->log(), !Catch::Contains("token="));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a channel that is not Windows' is neither kept nor called", "[e2e][security]") {
    push_world w;
    auto const d = e2e::joined(w, "PC-1", "alice@contoso.test");
    auto const good = e2e::joined(w, "PC-2", "bob@contoso.test");
    session(*good, e2e::signed_in(w));
    session(*good, e2e::signed_in(w));
    auto const o = w.sync();  // without the tenant: no channel is opened
    session(*d, o);
    for (auto const* channel :
        {"https://169.254.169.254/latest/?token=x", "https://notify.windows.com.evil.test/?token=x",
            "https://x@evil.test/.notify.windows.com", "http://sim.notify.windows.com/?token=x",
            "https://sim.notify.windows.com:8443/?token=x", "https://evil.test#.notify.windows.com"}) {
        CAPTURE(channel);
        auto const warned = w.logged("is not one of Windows' push service");
        d->tree().set(std::string(push_node) + "ChannelURI", {"chr", channel, "G"});
        d->tree().set(std::string(push_node) + "Status", {"int", "0", "G"});
        session(*d, o);
        CHECK(w.logged("is not one of Windows' push service") == warned + 1);
        w.order("reboot", "PC-1");
    }
    w.order("sync", "PC-2");
    CHECK(w.woken(*good));  // whoever was asked for before was seen to
    CHECK(w.tenant.pushes().size() == 1);
    for (auto const& to : w.way.seen()) {
        CAPTURE(to);
        CHECK((to == "sim.notify.windows.com:443" || to == "login.live.com:443" || to.starts_with("localhost:")));
    }
    CHECK(w.app->stop() == 0);
}
