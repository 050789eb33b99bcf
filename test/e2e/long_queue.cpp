// A queue of thousands of commands for one device.
#include "core/text.hpp"
#include "e2e/hand.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

constexpr int many = 10'000;

std::string node_uri(int n) { return fmt::format("./Vendor/MSFT/Long/n{}", n); }
std::string text(boost::json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

}  // namespace

TEST_CASE("10,000 commands of one device are delivered in order, the last ones as fast as the first", "[e2e]") {
    e2e::world w(e2e::settings{{"log.level", "info"}});
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    e2e::administrator admin(*w.app);
    std::vector<std::string> ids;
    for (int n = 0; n < many; ++n)
        ids.push_back(admin.order("ALICE-PC",
            n % 3 == 0 ? fmt::format(R"({{"verb":"replace","uri":"{}","format":"chr","value":"{}"}})", node_uri(n), n)
                       : fmt::format(R"({{"verb":"get","uri":"{}"}})", node_uri(n))));
    auto const before = e2e::resident(w.app->daemon().id());

    int next = 0;
    std::vector<std::chrono::steady_clock::duration> times;
    auto m = d.open();
    while (m.has_commands()) {
        REQUIRE(times.size() < 200);
        auto body = d.header_ok();
        int id = 1;
        for (auto const& c : e2e::flat(m)) {
            auto const& uri = c.items.front().target;
            REQUIRE(uri == node_uri(next));
            body += sim::write_status(
                {.cmd_id = ++id, .msg_ref = m.msg_id, .cmd_ref = c.cmd_id, .cmd = c.name, .code = 200});
            if (c.name == "Get")
                body += sim::write_results(++id, m.msg_id, c.cmd_id, uri, "chr", fmt::format("value {}", next));
            ++next;
        }
        auto const text = d.call(d.message(body));
        auto const begin = std::chrono::steady_clock::now();
        auto const answer = d.send(text);
        times.push_back(std::chrono::steady_clock::now() - begin);
        REQUIRE(answer.status == 200);
        REQUIRE(answer.body.size() <= 512u * 1024);
        m = sim::read_server_message(answer.body);
        REQUIRE(m.violations == std::vector<std::string>());
    }
    CHECK(next == many);
    CHECK(m.final);

    auto const after = e2e::resident(w.app->daemon().id());
    INFO("resident before: " << before << ", after: " << after);
    CHECK(after < before + (e2e::sanitized ? 400u : 64u) * 1024 * 1024);
    auto const all = admin.commands("ALICE-PC");
    for (int n = 0; n < many; ++n) {
        auto const& c = all.at(ids[static_cast<std::size_t>(n)]);
        REQUIRE(text(c.at("state")) == "done");
        REQUIRE(text(c.at("result")) == (n % 3 == 0 ? "" : fmt::format("value {}", n)));
    }
    // The median of the first ten against that of the last ten but one, which is not full.
    auto const median = [](auto from) {
        std::vector<std::chrono::steady_clock::duration> some(from, from + 10);
        std::nth_element(some.begin(), some.begin() + 5, some.end());
        return std::chrono::duration_cast<std::chrono::milliseconds>(some[5]).count();
    };
    REQUIRE(times.size() > 30);
    auto const first = median(times.begin()), last = median(times.end() - 11);
    INFO("milliseconds, first: " << first << ", last: " << last);
    CHECK(last < 3 * first + 50);
    CHECK(w.app->mdmctl({"commands", "list", "ALICE-PC"}).code == 0);

    // With all that behind it a session with nothing to do is short.
    auto const begin = std::chrono::steady_clock::now();
    CHECK(e2e::in_short(d.open()) == "S0=200 S2=200 F");
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
}
