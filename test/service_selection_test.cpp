#include "service/selection.hpp"

#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::service;
using namespace std::chrono_literals;

TEST_CASE("a condition holds for the devices that it names", "[service]") {
    struct row {
        char const* where;
        bool holds;
    };
    auto const now = from_ms(1'800'000'000'000);
    selectable const pc{"1", "PC-7", "Alice@contoso.com", "corporate", "10.0.22631.3447", "compliant", now - 48h};
    auto const r = GENERATE(values<row>({
        {"", true},
        {"   ", true},
        {"name=PC-7", true},
        {"name=pc-*", true},
        {"name=PC-?", true},
        {"name!=PC-*", false},
        {"user=alice@contoso.com", true},
        {"user=bob@contoso.com", false},
        {"ownership=corporate", true},
        {"ownership!=corporate", false},
        {"ownership = personal", false},
        {"os_version<10.0.22631", false},
        {"os_version>=10.0.22631", true},
        {"os_version<10.0.26100", true},
        {"os_version=10.0.22631.3447", true},
        {"compliance=compliant", true},
        {"last_seen>1d", true},
        {"last_seen<1d", false},
        {"ownership=corporate and name=PC-* and last_seen<=30d", true},
        {"ownership=corporate AND name=X", false},
        {"name=\"PC-7\"", true},
        {"name=\"PC and more\"", false},
    }));
    CAPTURE(r.where);
    auto const s = selection::parse(r.where);
    REQUIRE(s);
    CHECK(s->holds(pc, now) == r.holds);
}

TEST_CASE("a condition that cannot be meant is refused", "[service]") {
    auto const* const where = GENERATE("name", "=x", "name=", "serial=1", "name<x", "os_version=new", "last_seen=1d",
        "last_seen>soon", "ownership=mine", "name=x and", "and", "name=\"x", "name~x");
    CAPTURE(where);
    CHECK(selection::parse(where).error().code == errc::malformed);
}

TEST_CASE("a device that was never seen was not seen for longer than any time", "[service]") {
    auto const now = from_ms(1'800'000'000'000);
    selectable const pc{"1", "PC", "", "corporate", "", "unknown", std::nullopt};
    CHECK(selection::parse("last_seen>3650d").value().holds(pc, now));
    CHECK_FALSE(selection::parse("last_seen<3650d").value().holds(pc, now));
    CHECK_FALSE(selection::parse("os_version<99").value().holds(pc, now));
}
