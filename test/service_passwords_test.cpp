#include "service/passwords.hpp"

#include <crypt.h>
#include <atomic>
#include <latch>
#include <thread>

#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

secret bcrypt(std::string const& password, char const* cost = "04") {
    crypt_data state{};
    return secret(crypt_r(password.c_str(), fmt::format("$2y${}$abcdefghijklmnopqrstuu", cost).c_str(), &state));
}

struct passwords_fixture : appliance_fixture {
    passwords_fixture() {
        config.settings.enrollment.on_premise = true;
        users({{"alice", bcrypt("right")}, {"bob@contoso.com", bcrypt("right")}, {"carol@contoso.com", bcrypt("other")},
            {"carol", bcrypt("right")}});
    }
    void users(std::vector<config::local_user> them) {
        config.settings.enrollment.users = std::move(them);
        reconfigure();
    }
    // "ok alice", "wrong", "locked", "busy"
    std::string check(std::string const& name, std::string const& password, std::string const& address = "192.0.2.1") {
        auto const got = all.check(name, secret(password), address);
        if (got) return "ok " + *got;
        switch (got.error().code) {
            case errc::unauthenticated: return "wrong";
            case errc::forbidden: return "locked";
            case errc::unavailable: return "busy";
            default: return got.error().detail;
        }
    }
    std::chrono::steady_clock::duration time_of(std::string const& name, std::string const& password) {
        auto const began = std::chrono::steady_clock::now();
        check(name, password, "192.0.2.200");
        return std::chrono::steady_clock::now() - began;
    }
    service::passwords all{appliance->ctx};
};

}  // namespace

TEST_CASE_METHOD(passwords_fixture, "a name is taken as typed first, then without its domain", "[service][passwords]") {
    for (auto const& [typed, answer] : {std::pair("alice", "ok alice"), {" ALICE ", "ok alice"},
             {"CONTOSO\\alice", "ok alice"}, {"alice@contoso.com", "ok alice"}, {"Alice@fabrikam.com", "ok alice"},
             {"bob@contoso.com", "ok bob@contoso.com"}, {"BOB@CONTOSO.COM", "ok bob@contoso.com"}, {"bob", "wrong"},
             {"CONTOSO\\bob", "wrong"}, {"bob@fabrikam.com", "wrong"},
             {"carol@contoso.com", "wrong"},  // that very line has another password
             {"CONTOSO\\carol", "ok carol"}, {"dave", "wrong"}, {"alice\\", "wrong"}, {"@alice", "wrong"}}) {
        CAPTURE(typed);
        CHECK(check(typed, "right", fmt::format("192.0.2.{}", std::string(typed).size())) == answer);
    }
}

TEST_CASE_METHOD(passwords_fixture, "what is not the password is refused", "[service][passwords][security]") {
    for (std::string const& password : {std::string("Right"), std::string("right "), std::string("righ"),
             std::string("\xff\xfe"), std::string(511, 'x'), std::string(100'000, 'x')}) {
        CHECK(check("alice", password) == "wrong");
    }
    // Neither is an attempt; Windows sends an empty password with a renewal.
    for (int i = 0; i < 50; ++i) CHECK(check("alice", "") == "wrong");
    CHECK(check("", "right") == "wrong");
    CHECK(check(std::string(300, 'a'), "right") == "wrong");
    CHECK(check("alice", "right") == "ok alice");
}

TEST_CASE_METHOD(passwords_fixture, "without any user nobody comes in", "[service][passwords][security]") {
    users({});
    CHECK(check("alice", "right") == "wrong");
    CHECK(check("", "") == "wrong");
}

TEST_CASE_METHOD(passwords_fixture,
    "ten wrong passwords of an address lock it out of that user for a quarter of an hour, and nobody else",
    "[service][passwords][security]") {
    for (int i = 0; i < 10; ++i) CHECK(check("alice", "guess") == "wrong");
    CHECK(check("alice", "guess") == "locked");
    CHECK(check("alice", "right") == "locked");
    CHECK(check("X\\alice", "right") == "locked");  // no other user
    CHECK(check("alice@other.example", "right") == "locked");
    CHECK(check("::ffff:192.0.2.1", "") == "wrong");
    CHECK(check("alice", "right", "::ffff:192.0.2.1") == "locked");
    CHECK(check("alice", "right", "192.0.2.2") == "ok alice");
    CHECK(check("bob@contoso.com", "right") == "ok bob@contoso.com");
    time.advance(14min);
    CHECK(check("alice", "right") == "locked");
    time.advance(61s);
    CHECK(check("alice", "right") == "ok alice");
}

TEST_CASE_METHOD(passwords_fixture, "thirty wrong passwords of an address lock it out of all users, known or not",
    "[service][passwords][security]") {
    for (int i = 0; i < 30; ++i) CHECK(check(fmt::format("user{}", i), "guess", "2001:db8:1:2::7") == "wrong");
    CHECK(check("alice", "right", "2001:db8:1:2::7") == "locked");
    CHECK(check("alice", "right", "2001:db8:1:2:ffff::1") == "locked");  // the same customer's
    CHECK(check("alice", "right", "2001:db8:1:3::7") == "ok alice");
    time.advance(15min);
    CHECK(check("alice", "right", "2001:db8:1:2::7") == "ok alice");
}

TEST_CASE_METHOD(passwords_fixture, "guessing at one user from everywhere ends too", "[service][passwords][security]") {
    for (int i = 0; i < 300; ++i) REQUIRE(check("alice", "guess", fmt::format("198.51.{}.7", i)) == "wrong");
    CHECK(check("alice", "right", "203.0.113.1") == "locked");
    CHECK(check("bob@contoso.com", "right", "203.0.113.1") == "ok bob@contoso.com");
}

TEST_CASE_METHOD(
    passwords_fixture, "right passwords are no tries, and end the count of wrong ones", "[service][passwords]") {
    for (int i = 0; i < 9; ++i) CHECK(check("alice", "guess") == "wrong");
    CHECK(check("alice", "right") == "ok alice");
    for (int i = 0; i < 9; ++i) CHECK(check("alice", "guess") == "wrong");
    for (int i = 0; i < 100; ++i) {
        time.advance(6s);
        REQUIRE(check("alice", "right") == "ok alice");
    }
}

TEST_CASE_METHOD(
    passwords_fixture, "a right password is remembered for its address for five minutes", "[service][passwords]") {
    users({{"alice", bcrypt("right", "11")}});
    auto const first = time_of("alice", "right"), second = time_of("alice", "right");
    CHECK(second * 4 < first);
    time.advance(5min);
    CHECK(time_of("alice", "right") > second * 4);
    // Another hash of the file's is another password.
    users({{"alice", bcrypt("changed")}});
    CHECK(check("alice", "right", "192.0.2.200") == "wrong");
}

TEST_CASE_METHOD(
    passwords_fixture, "a user who is not there costs as much as a wrong password", "[service][passwords][security]") {
    users({{"alice", bcrypt("right", "10")}, {"bob", bcrypt("right", "10")}});
    auto const wrong = time_of("alice", "guess"), unknown = time_of("nobody", "guess");
    CHECK(unknown * 3 > wrong);
    CHECK(wrong * 3 > unknown);
}

TEST_CASE_METHOD(passwords_fixture, "of many guesses at once no more are made than one after the other",
    "[service][passwords][security]") {
    std::atomic<int> wrong = 0, locked = 0, in = 0;
    std::latch start(40);
    {
        std::vector<std::jthread> guessers;
        for (int i = 0; i < 40; ++i)
            guessers.emplace_back([&, i] {
                start.arrive_and_wait();
                auto const answer = check("alice", fmt::format("guess{}", i));
                ++(answer == "wrong" ? wrong : answer == "locked" || answer == "busy" ? locked : in);
            });
    }
    CHECK(wrong <= 10);
    CHECK(in == 0);
    CHECK(wrong + locked == 40);
}

TEST_CASE_METHOD(passwords_fixture, "strangers do not hold all workers: too many at once are turned away at once",
    "[service][passwords][security]") {
    users({{"alice", bcrypt("right", "09")}});
    service::passwords one_at_a_time(appliance->ctx, 1);
    constexpr int many = 1 + service::passwords::most_waiting + 8;
    std::atomic<int> busy = 0;
    std::latch start(many);
    {
        std::vector<std::jthread> strangers;
        for (int i = 0; i < many; ++i)
            strangers.emplace_back([&, i] {
                start.arrive_and_wait();
                auto const began = std::chrono::steady_clock::now();
                auto const got = one_at_a_time.check("alice", secret("guess"), fmt::format("198.51.100.{}", i));
                // Not those that waited in vain.
                if (!got && got.error().code == errc::unavailable && std::chrono::steady_clock::now() - began < 25s)
                    ++busy;
            });
    }
    CHECK(busy >= 1);
    CHECK(check("alice", "right") == "ok alice");
}

TEST_CASE_METHOD(
    passwords_fixture, "right passwords use up no tries, however many are computed at once", "[service][passwords]") {
    constexpr int many = 60;
    std::vector<config::local_user> them{{"alice", bcrypt("right", "08")}};
    for (int i = 0; i < many; ++i) them.push_back({fmt::format("user{}", i), bcrypt("right", "08")});
    users(std::move(them));
    service::passwords of_many_cores(appliance->ctx, many);
    auto const ask = [&](std::string const& user, std::string const& password, std::string const& address) {
        auto const got = of_many_cores.check(user, secret(password), address);
        return got ? "ok" : got.error().detail;
    };
    for (int i = 0; i < 9; ++i) CHECK_THAT(ask("alice", "guess", "192.0.2.1"), Catch::Contains("wrong"));
    bool const one_user = GENERATE(true, false);
    CAPTURE(one_user);
    std::vector<std::string> answers(many);
    std::latch start(many);
    {
        std::vector<std::jthread> all_at_once;
        for (std::size_t i = 0; i < many; ++i)
            all_at_once.emplace_back([&, i] {
                start.arrive_and_wait();
                answers[i] = ask(one_user ? "alice" : fmt::format("user{}", i), "right", "192.0.2.1");
            });
    }
    CHECK(answers == std::vector<std::string>(many, "ok"));
}

TEST_CASE_METHOD(passwords_fixture,
    "among right passwords at once no more wrong ones are made than one after the other",
    "[service][passwords][security]") {
    constexpr int many = 60;
    users({{"alice", bcrypt("right", "06")}});
    service::passwords of_many_cores(appliance->ctx, many);
    std::atomic<int> wrong = 0, in = 0, locked = 0;
    std::latch start(many);
    {
        std::vector<std::jthread> guessers;
        for (int i = 0; i < many; ++i)
            guessers.emplace_back([&, i] {
                start.arrive_and_wait();
                auto const got = of_many_cores.check("alice", secret(fmt::format("guess{}", i)), "192.0.2.1");
                ++(got ? in : got.error().code == errc::unauthenticated ? wrong : locked);
            });
    }
    CHECK(in == 0);
    CHECK(wrong == 10);
    CHECK(locked == many - 10);
}

TEST_CASE_METHOD(passwords_fixture, "a hundred users at once, each with a hash of htpasswd's cost, all come in",
    "[service][passwords]") {
    constexpr std::size_t many = 100;
    auto const hash = bcrypt("right", "10");
    std::vector<config::local_user> them;
    for (std::size_t i = 0; i < many; ++i) them.push_back({fmt::format("user{}", i), hash});
    users(std::move(them));
    std::vector<std::string> answers(many);
    std::latch start(many);
    {
        std::vector<std::jthread> all_at_once;
        for (std::size_t i = 0; i < many; ++i)
            all_at_once.emplace_back([&, i] {
                start.arrive_and_wait();
                answers[i] = check(fmt::format("user{}", i), "right", "192.0.2.1");
            });
    }
    for (std::size_t i = 0; i < many; ++i) CHECK(answers[i] == fmt::format("ok user{}", i));
}

TEST_CASE("what is counted stays bounded, and those who tried most are remembered", "[service][passwords][security]") {
    service::tries all(15min);
    auto const now = from_ms(1'800'000'000'000);
    for (int i = 0; i < 10; ++i) all.count("guesser", now);
    for (int i = 0; i < 100'000; ++i) all.count(fmt::format("once {}", i), now);
    CHECK(all.size() <= 20'000);
    CHECK(all.counted("guesser", now) == 10);
    CHECK(all.counted("guesser", now + 15min) == 0);
    all.uncount("guesser");
    CHECK(all.counted("guesser", now) == 9);
    all.forget("guesser");
    CHECK(all.counted("guesser", now) == 0);
}
