#include <set>
#include <thread>

#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char upn[] = "user@contoso.com";

struct pin_fixture : appliance_fixture {
    service::pins& pins = appliance->pins;

    std::string make(std::string_view user = upn, std::chrono::seconds ttl = 1h) {
        auto const made = pins.create(user, ttl);
        REQUIRE(made);
        return made->pin;
    }
    // "ok", "wrong", "locked".
    std::string use(std::string_view pin, std::string_view user = upn) {
        auto const got = pins.use(user, pin);
        if (got) return "ok";
        return got.error().code == errc::forbidden         ? "locked"
               : got.error().code == errc::unauthenticated ? "wrong"
                                                           : "?";
    }
    static std::string other_than(std::string pin) {
        pin.back() = pin.back() == '9' ? '0' : static_cast<char>(pin.back() + 1);
        return pin;
    }
    std::string state(std::string const& user = upn) const {
        for (auto const& p : appliance->pins.list())
            if (p.upn == user) return fmt::format("{} {}", service::state_of(p, time.now()), p.tries);
        return "none";
    }
};

}  // namespace

TEST_CASE_METHOD(pin_fixture, "a PIN is eight digits, opens the door once, and for its user alone", "[service][pins]") {
    auto const pin = make("User@Contoso.com");
    CHECK(pin.size() == 8);
    CHECK(pin.find_first_not_of("0123456789") == pin.npos);
    CHECK(use(pin, "other@contoso.com") == "wrong");
    CHECK(use(other_than(pin)) == "wrong");
    CHECK(use("") == "wrong");
    CHECK(state() == "usable 1");
    CHECK(use(pin, "USER@contoso.COM") == "ok");
    CHECK(use(pin) == "wrong");
    CHECK(state() == "used 2");
}

TEST_CASE_METHOD(
    pin_fixture, "five wrong tries lock a PIN, and the fifth right one opens", "[service][pins][security]") {
    auto const pin = make();
    for (int i = 0; i < 4; ++i) CHECK(use(other_than(pin)) == "wrong");
    SECTION("wrong again") {
        CHECK(use(other_than(pin)) == "locked");
        CHECK(use(pin) == "locked");
        CHECK(state() == "locked 5");
        auto const second = make();
        CHECK(use(second) == "ok");
    }
    SECTION("right at last") { CHECK(use(pin) == "ok"); }
    SECTION("counted over a restart") {
        appliance = start();
        CHECK(appliance->pins.use(upn, other_than(pin)).error().code == errc::forbidden);
        CHECK(appliance->pins.use(upn, pin).error().code == errc::forbidden);
    }
}

TEST_CASE_METHOD(pin_fixture, "of many wrong tries at once five are compared", "[service][pins][security]") {
    auto const pin = make();
    std::atomic<int> wrong = 0, locked = 0;
    std::vector<std::thread> all;
    for (int i = 0; i < 12; ++i)
        all.emplace_back([&] {
            auto const got = pins.use(upn, other_than(pin));
            ++(got.error().code == errc::forbidden ? locked : wrong);
        });
    for (auto& t : all) t.join();
    CHECK(wrong == 4);
    CHECK(locked == 8);
    CHECK(use(pin) == "locked");
}

TEST_CASE_METHOD(pin_fixture, "a PIN typed twice at once opens once", "[service][pins][security]") {
    auto const pin = make();
    std::atomic<int> opened = 0;
    std::vector<std::thread> all;
    for (int i = 0; i < 4; ++i)
        all.emplace_back([&] {
            if (pins.use(upn, pin)) ++opened;
        });
    for (auto& t : all) t.join();
    CHECK(opened == 1);
}

TEST_CASE_METHOD(pin_fixture, "a PIN ends with its time, its replacement and its revocation", "[service][pins]") {
    auto const pin = make(upn, 10min);
    SECTION("time") {
        time.advance(10min);
        CHECK(use(pin) == "wrong");
        CHECK(state() == "expired 0");
    }
    SECTION("replacement") {
        auto const next = make();
        REQUIRE(next != pin);
        CHECK(use(pin) == "wrong");
        CHECK(use(next) == "ok");
    }
    SECTION("revocation") {
        CHECK(pins.revoke("USER@contoso.com"));
        CHECK(use(pin) == "wrong");
        CHECK(pins.revoke(upn).error().code == errc::not_found);
    }
}

TEST_CASE_METHOD(pin_fixture, "what is kept of a PIN does not tell it", "[service][pins][security]") {
    auto const pin = make();
    auto const kept = pins.list().front();
    CHECK(unbase64(kept.salt).value().size() == 16);
    CHECK(kept.hash == base64(crypto::scrypt(pin, unbase64(kept.salt).value())));
    make("b@contoso.com");
    std::set<std::string> salts;
    for (auto const& p : pins.list()) salts.insert(p.salt);
    CHECK(salts.size() == 2);
    for (auto const* suffix : {"", "-wal"}) {
        auto const file = folder.path() / (std::string("mdmd.db") + suffix);
        if (std::filesystem::exists(file)) CHECK(read_file(file).find(pin) == std::string::npos);
    }
}

TEST_CASE_METHOD(pin_fixture, "what cannot be done with a used PIN leaves it unused", "[service][pins]") {
    auto const pin = make();
    CHECK_THROWS_WITH(pins.use(upn, pin, [](store::connection&) { throw std::runtime_error("no room"); }),
        Catch::Contains("no room"));
    CHECK(state() == "usable 1");
    bool done = false;
    CHECK(pins.use(upn, pin, [&](store::connection& c) {
        store::set_meta(c, "opened", "yes");
        done = true;
    }));
    CHECK(done);
    CHECK(db.read([](store::connection& c) { return store::get_meta(c, "opened"); }) == "yes");
}

TEST_CASE_METHOD(pin_fixture, "a PIN is made for a UPN and for a time that fits", "[service][pins]") {
    auto const [user, ttl, fits] = GENERATE(table<char const*, int, bool>({
        {"user@contoso.com", 1, true},
        {"user@contoso.com", 30 * 24 * 3600, true},
        {"user@contoso.com", 0, false},
        {"user@contoso.com", -1, false},
        {"user@contoso.com", 30 * 24 * 3600 + 1, false},
        {"o'hara@contoso.com", 60, true},
        {"user", 60, false},
        {"@contoso.com", 60, false},
        {"user@", 60, false},
        {"a@b@c", 60, false},
        {"us er@contoso.com", 60, false},
        {"user@contoso.com\n", 60, false},
        {"", 60, false},
    }));
    CAPTURE(user, ttl);
    auto const got = pins.create(user, std::chrono::seconds(ttl));
    CHECK(got.has_value() == fits);
    if (!fits) CHECK(got.error().code == errc::malformed);
}

TEST_CASE_METHOD(pin_fixture, "each digit of a PIN is as likely as another", "[service][pins]") {
    // 60 PINs: 480 digits, 48 of each expected; chi-square with 9 degrees of freedom stays under 40 but once in 10^5.
    std::array<int, 10> seen{};
    std::set<std::string> different;
    for (int i = 0; i < 60; ++i) {
        auto const pin = make();
        different.insert(pin);
        for (char const c : pin) ++seen[static_cast<std::size_t>(c - '0')];
    }
    CHECK(different.size() == 60);
    double chi = 0;
    for (int const n : seen) chi += (n - 48.0) * (n - 48.0) / 48.0;
    CHECK(chi < 40);
}
