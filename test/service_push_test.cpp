#include "service/push.hpp"
#include "store/enrollment.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char channel[] = "https://db5.notify.windows.com/?token=abc";

struct fixture : appliance_fixture {
    std::string device;
    int tokens = 0;
    std::vector<std::string> woken;       // "URL token"
    std::vector<http::response> answers;  // of the push service, the last one stays
    int token_status = 200;
    std::function<void()> meanwhile = [] {};

    fixture() {
        config.settings.management.push = config::push_identity{.package_family_name = "Contoso.Wake_1a2b3c4d5e6f7",
            .package_sid = "ms-app://s-1-15-2-1",
            .key = secret(std::string("push-secret"))};
        reconfigure();
        answers = {{200, {{"X-WNS-Status", "received"}}, ""}};
        tenant->instead = [this](http::call const& c) -> std::optional<http::response> {
            if (c.url == "https://login.live.com/accesstoken.srf") {
                if (token_status != 200) return http::response{token_status, {}, R"({"error":"invalid_client"})"};
                ++tokens;
                return http::response{
                    200, {}, fmt::format(R"({{"access_token":"t{}","token_type":"bearer"}})", tokens)};
            }
            if (c.url.find(".notify.windows.com") == c.url.npos) return std::nullopt;
            meanwhile();
            woken.push_back(c.url + " " + std::string(c.headers.get("Authorization").value()));
            auto const a = answers.front();
            if (answers.size() > 1) answers.erase(answers.begin());
            return a;
        };
        certificate = enroll_one();
        device = db.read([](store::connection& c) { return store::find_devices(c, "PC1").at(0).id; });
        take(channel);
    }
    service::push& push() { return appliance->push; }
    void take(std::optional<std::string_view> uri, std::optional<int> status = 0) {
        db.write([&](store::connection& c) { service::push::take_channel(c, device, uri, status, time.now()); });
    }
    std::optional<store::push_channel> kept() {
        return db.read([&](store::connection& c) { return store::find_push_channel(c, device); });
    }
    void wake() {
        push().wake(device);
        push().tick();
    }
};

omadm::outcome outcome_of(omadm::wanted const& w, int status, std::optional<std::string> value = {}) {
    return {
        .key = w.key, .sent = w.what, .status = status, .original_error = {}, .value = std::move(value), .format = {}};
}

}  // namespace

TEST_CASE_METHOD(fixture, "a device is woken by its channel, with one token for all", "[push]") {
    wake();
    wake();
    CHECK(woken == std::vector<std::string>{std::string(channel) + " Bearer t1", std::string(channel) + " Bearer t1"});
    CHECK(push().problem().empty());
    time.advance(24h);
    wake();
    CHECK(woken.back() == std::string(channel) + " Bearer t2");
}

TEST_CASE_METHOD(fixture, "a device that waits already is not woken twice", "[push]") {
    for (int i = 0; i < 5; ++i) push().wake(device);
    push().tick();
    push().tick();
    CHECK(woken.size() == 1);
    // What comes while the call is on its way may come too late for the session that it begins.
    meanwhile = [this] {
        if (woken.empty() || woken.size() == 1) push().wake(device);
    };
    push().wake(device);
    push().tick();
    CHECK(woken.size() == 3);
}

TEST_CASE_METHOD(fixture, "nobody is woken without a channel, an enrollment or an app identity", "[push]") {
    SECTION("no channel") {
        take("");
        wake();
    }
    SECTION("an unknown device") {
        push().wake("nobody");
        push().tick();
    }
    SECTION("not enrolled any more") {
        db.write([&](store::connection& c) { store::set_device_state(c, device, "unenrolled"); });
        wake();
    }
    SECTION("switched off") {
        config.settings.management.push.reset();
        reconfigure();
        wake();
        CHECK(push().questions().empty());
        CHECK_FALSE(push().configured());
    }
    CHECK(woken.empty());
    CHECK(tokens == 0);
}

TEST_CASE_METHOD(fixture, "a channel elsewhere is not kept and never called", "[push]") {
    log::configure(log::sink([](log::record const&) {}));
    for (auto const* evil :
        {"https://evil.test/", "http://a.notify.windows.com/", "https://169.254.169.254/x.notify.windows.com"}) {
        take(evil);
        CHECK(kept()->uri == channel);
    }
    // Even where it got into the store.
    db.write([&](store::connection& c) {
        store::put_push_channel(c, {device, "https://evil.notify.windows.com.test/", 0, time.now()});
    });
    wake();
    CHECK(woken.empty());
    log::configure(log::sink(log::to_text));
}

TEST_CASE_METHOD(fixture, "a channel is written when it changes, with the time it was first heard", "[push]") {
    auto const first = time.now();
    time.advance(1h);
    take(channel);
    CHECK(kept()->since == first);
    take(std::nullopt, std::nullopt);
    CHECK(kept()->uri == channel);
    take("https://db6.notify.windows.com/?token=new");
    CHECK(kept()->uri == "https://db6.notify.windows.com/?token=new");
    CHECK(kept()->since == first + 1h);
    take(std::nullopt, 5);
    CHECK(kept()->status == 5);
}

TEST_CASE_METHOD(fixture, "a token that is refused is replaced once", "[push]") {
    answers = {{401, {}, ""}, {200, {}, ""}};
    wake();
    CHECK(woken == std::vector<std::string>{std::string(channel) + " Bearer t1", std::string(channel) + " Bearer t2"});
    CHECK(push().problem().empty());
    answers = {{401, {}, ""}};
    wake();
    CHECK(woken.size() == 4);
    CHECK_THAT(push().problem(), Catch::Contains("refuses the token"));
    push().tick();
    CHECK(woken.size() == 4);  // left alone for a while
    time.advance(1min);
    answers = {{200, {}, ""}};
    push().tick();
    CHECK(woken.size() == 5);
    CHECK(push().problem().empty());
}

TEST_CASE_METHOD(fixture, "a channel of another app is the operator's problem", "[push]") {
    answers = {{403, {{"X-WNS-Error-Description", "The channel is not of this app"}}, ""}, {200, {}, ""}};
    wake();
    CHECK_THAT(push().problem(), Catch::Contains("another app identity") && Catch::Contains("not of this app"));
    CHECK(kept()->uri == channel);
    wake();
    CHECK(push().problem().empty());
}

TEST_CASE_METHOD(fixture, "a channel that has ended is dropped, a newer one is not", "[push]") {
    int const status = GENERATE(404, 410);
    answers = {{status, {}, ""}};
    SECTION("ended") {
        wake();
        CHECK(kept()->uri.empty());
        wake();
        CHECK(woken.size() == 1);
    }
    SECTION("another came meanwhile") {
        meanwhile = [this] { take("https://db6.notify.windows.com/?token=new"); };
        wake();
        CHECK(kept()->uri == "https://db6.notify.windows.com/?token=new");
    }
}

TEST_CASE_METHOD(fixture, "a push service in trouble is left alone as long as it asks", "[push]") {
    answers = {{GENERATE(406, 429, 500, 503), {{"Retry-After", "600"}}, ""}, {200, {}, ""}};
    wake();
    push().wake(device);  // still the same one
    time.advance(599s);
    push().tick();
    CHECK(woken.size() == 1);
    time.advance(121s);
    push().tick();
    CHECK(woken.size() == 2);
    push().tick();
    CHECK(woken.size() == 2);
}

TEST_CASE_METHOD(
    fixture, "a channel that is told to come later holds up nobody else, a service that is does all", "[push]") {
    constexpr char other[] = "https://db6.notify.windows.com/?token=other";
    db.write([&](store::connection& c) {
        store::add_device(c, {.id = "other", .enrolled = time.now()});
        store::put_push_channel(c, {"other", other, 0, time.now()});
    });
    int const status = GENERATE(200, 503, 504, 406, 429);
    bool const all_wait = status == 406 || status == 429;
    answers = {{status, {{"Retry-After", "600"}, {"X-WNS-Status", "channelthrottled"}}, ""}, {200, {}, ""}};
    push().wake(device);
    push().wake("other");
    for (int i = 0; i < 3; ++i) push().tick();
    CHECK(woken.size() == (all_wait ? 1 : 2));
    time.advance(599s);
    push().tick();
    CHECK(woken.size() == (all_wait ? 1 : 2));
    time.advance(121s);
    push().tick();
    CHECK(woken.size() == 3);
}

TEST_CASE_METHOD(fixture, "a push service in trouble is asked once a second, not by all that wait", "[push]") {
    log::configure(log::sink([](log::record const&) {}));
    answers = {{503, {}, ""}};
    for (int i = 0; i < 20; ++i) {
        auto const id = std::to_string(i);
        db.write([&](store::connection& c) {
            store::add_device(c, {.id = id, .enrolled = time.now()});
            store::put_push_channel(c, {id, channel, 0, time.now()});
        });
        push().wake(id);
    }
    for (std::size_t second = 1; second <= 3; ++second) {
        push().tick();
        CHECK(woken.size() == second);
    }
    log::configure(log::sink(log::to_text));
}

TEST_CASE("devices are woken by when they are due, each once", "[push]") {
    service::wake_queue queue;
    auto now = from_ms(1'800'000'000'000);
    auto const next = [&] {
        auto e = queue.next(now);
        return e ? e->device_id : "";
    };
    for (auto const* id : {"a", "b", "c", "a"}) CHECK(queue.add(id, now));
    auto a = *queue.next(now);
    CHECK(a.device_id == "a");
    a.due = now + 10min;
    CHECK(queue.add("a", now + 1s));
    queue.put_back(a);
    CHECK(next() == "b");
    CHECK(next() == "c");
    CHECK(next().empty());
    SECTION("when its time has come") {
        now += 10min;
        auto const again = queue.next(now);
        REQUIRE(again);
        CHECK(again->device_id == "a");
        CHECK(again->asked == now - 10min + 1s);
        CHECK(next().empty());
    }
    SECTION("when nobody waits for a time any more") {
        queue.all_due(now);
        CHECK(next() == "a");
    }
    SECTION("when the clock was set back") {
        now -= 3h;
        CHECK(next() == "a");
    }
}

TEST_CASE_METHOD(fixture, "who could not be woken for long is left to its own schedule", "[push]") {
    tenant->away = true;
    wake();
    CHECK(push().problem() == "Windows' push service cannot be reached: connection refused");
    time.advance(16min);
    tenant->away = false;
    push().tick();
    CHECK(woken.empty());
    wake();
    CHECK(woken.size() == 1);
}

TEST_CASE_METHOD(fixture, "a refused app identity is told, and tried again after a reload at once", "[push]") {
    token_status = 400;
    wake();
    CHECK_THAT(push().problem(), Catch::Contains("management.push.package_sid") && Catch::Contains("invalid_client"));
    CHECK_THAT(push().problem(), !Catch::Contains("push-secret"));
    token_status = 200;
    reconfigure();
    push().tick();
    CHECK(woken.size() == 1);
    CHECK(push().problem().empty());
}

TEST_CASE_METHOD(fixture, "a queue that is full takes no more, and nothing waits for it", "[push]") {
    log::configure(log::sink([](log::record const&) {}));
    tenant->away = true;
    for (int i = 0; i < 10'050; ++i) push().wake(std::to_string(i));
    push().wake(device);
    tenant->away = false;
    for (int i = 0; i < 200; ++i) push().tick();
    CHECK(woken.empty());
    wake();
    CHECK(woken.size() == 1);
    log::configure(log::sink(log::to_text));
}

TEST_CASE_METHOD(
    fixture, "a session asks for the channel, and gives a device the app identity that it lacks", "[push]") {
    auto const questions = push().questions();
    REQUIRE(questions.size() == 3);
    constexpr std::string_view root = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/Push/";
    CHECK(questions[0].what.uri == std::string(root) + "PFN");
    CHECK(questions[1].what.uri == std::string(root) + "ChannelURI");
    CHECK(questions[2].what.uri == std::string(root) + "Status");
    CHECK_FALSE(push().take(outcome_of(questions[0], 200, "Contoso.Wake_1a2b3c4d5e6f7")));
    CHECK_FALSE(push().take(outcome_of(questions[0], 503)));
    CHECK_FALSE(push().take(outcome_of(questions[1], 404)));
    auto const replace = push().take(outcome_of(questions[0], 200, "Other.App_1a2b3c4d5e6f7"));
    REQUIRE(replace);
    CHECK(replace->what.what == omadm::verb::replace);
    CHECK(replace->what.data == "Contoso.Wake_1a2b3c4d5e6f7");
    auto const add = push().take(outcome_of(questions[0], 404));
    REQUIRE(add);
    CHECK(add->what.what == omadm::verb::add);
    auto const again = push().take(outcome_of(*add, 418));
    REQUIRE(again);
    CHECK(again->what.what == omadm::verb::replace);
    CHECK_FALSE(push().take(outcome_of(*again, 404)));  // a device that says the one after the other
    CHECK_FALSE(push().take(outcome_of(*add, 200)));
}
