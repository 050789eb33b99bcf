#include "store/database.hpp"
#include "store/events.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

using kind = store::event_condition::kind;
using comparison = store::event_condition::comparison;
using column = store::event_column;

time_point const now = from_ms(1'800'000'000'000);

struct fixture {
    test::scratch folder;
    store::database db{store::sqlite_engine(folder.path() / "mdmd.db")};

    void add(store::event const& e) {
        db.write([&](store::connection& c) { store::add_event(c, e); });
    }
    // The ids of what is found, one after the other.
    std::string list(store::event_query const& q = {}) {
        std::string all;
        for (auto const& e : db.read([&](store::connection& c) { return store::list_events(c, q); })) all += e.id;
        return all;
    }
    std::string where(store::event_condition c) {
        store::event_query q{.order = {{column::id, false}}};
        q.filter = std::move(c);
        auto const found = list(q);
        CHECK(db.read([&](store::connection& r) { return store::count_events(r, q.filter); }) ==
              static_cast<std::int64_t>(found.size()));
        return found;
    }
};

store::event_condition is(column c, comparison op, std::optional<store::event_value> value) {
    return {.column = c, .op = op, .value = std::move(value)};
}
store::event_condition join(kind what, std::vector<store::event_condition> parts) {
    return {.what = what, .parts = std::move(parts)};
}

}  // namespace

TEST_CASE_METHOD(fixture, "an event comes back as it was kept, and changes as a whole", "[store]") {
    store::event const least{.id = "1", .at = now};
    store::event const most{.id = "2",
        .at = now + 1ms,
        .correlation_id = "c",
        .managed_device_id = "m",
        .operating_system = "Windows",
        .os_version = "10.0",
        .user_id = "u",
        .entra_device_id = "d",
        .enrollment_type = "windowsAzureADJoin",
        .category = "authorization",
        .reason = "r",
        .event_name = "",
        .additional_information = "[]",
        .details = "{}"};
    add(least);
    add(most);
    auto const find = [&](std::string_view id) {
        return db.read([&](store::connection& c) { return store::find_event(c, id); });
    };
    CHECK(find("1") == least);
    CHECK(find("2") == most);
    CHECK_FALSE(find("3"));
    auto changed = most;
    changed.id = "1";
    CHECK(db.write([&](store::connection& c) { return store::update_event(c, changed); }));
    CHECK(find("1") == changed);
    changed.id = "3";
    CHECK_FALSE(db.write([&](store::connection& c) { return store::update_event(c, changed); }));
    CHECK(db.write([&](store::connection& c) { return store::remove_event(c, "1"); }));
    CHECK_FALSE(db.write([&](store::connection& c) { return store::remove_event(c, "1"); }));
    CHECK(list() == "2");
}

TEST_CASE_METHOD(fixture, "a condition finds what it says, null included", "[store]") {
    add({.id = "1", .at = now, .category = "authorization", .reason = "100% sure"});
    add({.id = "2", .at = now + 1s, .user_id = "u", .reason = "It's done"});
    add({.id = "3", .at = now + 2s, .user_id = "", .reason = std::nullopt});
    using c = comparison;
    CHECK(where(is(column::category, c::eq, "authorization")) == "1");
    CHECK(where(is(column::category, c::ne, "authorization")) == "23");
    CHECK(where(is(column::user_id, c::eq, "u")) == "2");
    CHECK(where(is(column::user_id, c::ne, "u")) == "13");
    CHECK(where(is(column::user_id, c::eq, std::nullopt)) == "1");
    CHECK(where(is(column::user_id, c::ne, std::nullopt)) == "23");
    CHECK(where(is(column::user_id, c::gt, std::nullopt)).empty());
    CHECK(where(is(column::user_id, c::le, "z")) == "23");
    CHECK(where(is(column::at, c::gt, now)) == "23");
    CHECK(where(is(column::at, c::ge, now + 1s)) == "23");
    CHECK(where(is(column::at, c::lt, now + 1s)) == "1");
    CHECK(where(is(column::reason, c::contains, "%")) == "1");
    CHECK(where(is(column::reason, c::contains, "'s")) == "2");
    CHECK(where(is(column::reason, c::contains, "S")).empty());  // letters have their case
    CHECK(where(is(column::reason, c::contains, "")) == "12");
    CHECK(where(is(column::reason, c::starts_with, "It")) == "2");
    CHECK(where(is(column::reason, c::starts_with, "")) == "12");
    CHECK(where(is(column::reason, c::ends_with, "sure")) == "1");
    CHECK(where(is(column::reason, c::ends_with, "much longer than any of these texts")).empty());
    CHECK(where(join(kind::negated, {is(column::at, c::gt, now)})) == "1");
    CHECK(where(join(kind::negated, {is(column::user_id, c::gt, "a")})) == "13");
    CHECK(where(join(kind::negated, {is(column::reason, c::contains, "x")})) == "12");
    CHECK(where(join(kind::any_of, {is(column::id, c::eq, "1"), is(column::id, c::eq, "3")})) == "13");
    CHECK(where(join(kind::all_of, {is(column::id, c::ne, "1"), is(column::id, c::ne, "3")})) == "2");
    CHECK(where(join(
              kind::all_of, {is(column::id, c::ne, "1"),
                                join(kind::any_of, {is(column::id, c::eq, "1"), is(column::id, c::eq, "2")})})) == "2");
}

TEST_CASE_METHOD(fixture, "what looks like SQL is a text like any other", "[store][security]") {
    add({.id = "1", .at = now, .reason = "x' OR 1 = 1 --"});
    for (auto const* text : {"' OR 1 = 1 --", "x'; DROP TABLE event; --", "$1"})
        CHECK(where(is(column::reason, comparison::eq, text)).empty());
    CHECK(where(is(column::reason, comparison::eq, "x' OR 1 = 1 --")) == "1");
}

TEST_CASE_METHOD(fixture, "pages hold every event once in the order asked for, while others come and go", "[store]") {
    for (char id = 'a'; id <= 'j'; ++id)
        add({.id = std::string(1, id),
            .at = now + std::chrono::seconds((id - 'a') / 3),
            .user_id = id % 4 == 0 ? std::nullopt : std::optional(std::string(id % 2 ? "u" : "v"))});
    auto const order = GENERATE(as<std::vector<store::event_order>>(),
        std::vector<store::event_order>{{column::at, true}}, std::vector<store::event_order>{{column::at, false}},
        std::vector<store::event_order>{{column::user_id, false}, {column::at, true}},
        std::vector<store::event_order>{{column::user_id, true}}, std::vector<store::event_order>{{column::id, true}},
        std::vector<store::event_order>{});
    auto const all = list({.order = order});
    CHECK(all.size() == 10);
    CHECK(list({.order = order, .skip = 2, .top = 3}) == all.substr(2, 3));
    store::event_query page{.order = order, .top = 3};
    std::string seen;
    int begun = 0;
    while (true) {
        auto const got = db.read([&](store::connection& c) { return store::list_events(c, page); });
        for (auto const& e : got) seen += e.id;
        if (got.size() < 3) break;
        page.after.clear();
        for (auto const& o : order) page.after.push_back(store::value_of(got.back(), o.column));
        page.after_id = got.back().id;
        // What goes was seen, what comes sorts first or last: neither moves the place.
        db.write([&](store::connection& c) { store::remove_event(c, got.back().id); });
        if (begun++ == 0) add({.id = order == std::vector<store::event_order>{} ? "A" : "~", .at = now + 1h});
    }
    std::erase(seen, '~');
    std::erase(seen, 'A');
    CHECK(seen == all);
}

TEST_CASE_METHOD(fixture, "null comes first where the order rises", "[store]") {
    add({.id = "1", .at = now, .reason = "b"});
    add({.id = "2", .at = now});
    add({.id = "3", .at = now, .reason = "a"});
    CHECK(list({.order = {{column::reason, false}}}) == "231");
    CHECK(list({.order = {{column::reason, true}}}) == "132");
}

TEST_CASE_METHOD(fixture, "only so many events are kept, the newest, of users and of strangers", "[store]") {
    for (int i = 0; i < 10; ++i)
        add({.id = std::to_string(i),
            .at = now + std::chrono::seconds(i),
            .user_id = i % 2    ? std::optional<std::string>("u")
                       : i == 4 ? std::optional<std::string>("")
                                : std::nullopt});
    auto const trim = [&](time_point older, std::int64_t keep) {
        return db.write([&](store::connection& c) { return store::trim_events(c, older, keep); });
    };
    CHECK(trim(now, 5) == 0);
    CHECK(trim(now, 3) == 4);
    CHECK(list() == "987654");
    CHECK(trim(now + 6s, 3) == 2);
    CHECK(list() == "9876");
    CHECK(trim(now + 1h, 3) == 4);
}
