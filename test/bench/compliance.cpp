// What compliance costs with many devices in the store: processor time of this process, Graph being a function in it.
#include <fmt/format.h>
#include <time.h>

#include "test/service_report_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

double processor_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

template <class Work> double cost(Work work) {
    auto const before = processor_seconds();
    work();
    return processor_seconds() - before;
}

config::policy_file baseline() {
    auto const named = [](config::rule_id id, std::string text) {
        return config::compliance_rule{config::named_rule{id, std::move(text)}, 1};
    };
    using enum config::rule_id;
    config::policy_file p{.name = "baseline"};
    p.grace_period = 24h;
    p.rules = {{config::named_rule{min_os_version, "10.0.19045", {{10, 0, 19045, 0}}}, 1},
        named(encryption, "required"), named(secure_boot, "required"), named(antivirus, "required"),
        named(firewall, "required"), named(tpm, "required")};
    return p;
}

void row(char const* what, double seconds, std::string const& more = "") {
    fmt::print("{:<62} {:>8.3f} s  {}\n", what, seconds, more);
}

}  // namespace

TEST_CASE_METHOD(reports_fixture, "compliance of many devices", "[bench]") {
    auto const* const asked = std::getenv("MDMD_BENCH_DEVICES");
    auto const many = asked ? static_cast<std::size_t>(std::stoul(asked)) : std::size_t{100'000};
    auto const dirty = many / 100;
    add(many);
    auto const start_time = time.now();
    db.write([&](store::connection& c) {
        for (std::size_t i = 1; i <= many; ++i) {
            auto const id = device_of(i);
            auto const has = [&](std::string const& node, std::string value) {
                store::put_fact(c, id, {node, 200, std::move(value), start_time});
            };
            has("./DevDetail/SwV", "10.0.22631.3447");
            has("./Vendor/MSFT/DeviceStatus/Compliance/EncryptionCompliance", "1");
            // Of 1 % the grace ends in a moment.
            has("./Vendor/MSFT/DeviceStatus/SecureBootState", i <= dirty ? "2" : "1");
            has("./Vendor/MSFT/DeviceStatus/Antivirus/Status", "0");
            has("./Vendor/MSFT/DeviceStatus/Firewall/Status", "0");
            has("./Vendor/MSFT/DeviceStatus/TPM/SpecificationVersion", "2.0, 0, 1.38");
            store::put_session(c, {id, "", "", "", start_time});
        }
    });
    config.policies = {baseline()};
    auto const judging = cost([&] { reconfigure(); });
    // Graph has all of it.
    db.write([&](store::connection& c) {
        for (std::size_t i = 1; i <= many; ++i) {
            auto r = service::to_report(store::find_report(c, device_of(i)).value());
            r = compliance::answered(compliance::found(r, object_of(i)), r.revision,
                {.status = 204, .code = "", .message = "", .retry_after = {}}, 0.5, start_time, 30 * 24h);
            store::put_report(c, service::to_stored(device_of(i), entra_of(i), r));
        }
    });
    appliance->report.judge();
    tick();
    REQUIRE(totals().queued == 0);

    fmt::print("{} devices with {} rules each\n", many, baseline().rules.size());
    row("a reload judges every device", judging, fmt::format("{:.0f} us a device", judging / double(many) * 1e6));
    time.advance(1h);
    constexpr int idle = 60;
    auto const idling = cost([&] {
        for (int i = 0; i < idle; ++i) {
            time.advance(1s);
            appliance->report.judge();
            tick();
        }
    });
    row("an idle second: nothing is due", idling / idle);
    time.advance(23h);
    tenant->writes.clear();
    tenant->batches.clear();
    auto const judged = cost([&] { appliance->report.judge(); });
    auto const count = totals().queued;
    int ticks = 0;
    auto const reported = cost([&] {
        do {
            tick();
            ++ticks;
            time.advance(1s);
        } while (totals().queued > 0 && ticks < 100'000);
    });
    auto const counting = cost([&] {
        for (int i = 0; i < ticks; ++i) static_cast<void>(totals());
    });
    row("1 % change: judged", judged, fmt::format("{} devices", count));
    row("and reported", reported - counting,
        fmt::format(
            "{} reports in {} batches, {} s at Graph's pace", tenant->writes.size(), tenant->batches.size(), ticks));
    row("together", judged + reported - counting);
    row("counting what is queued, as /metrics does", counting / ticks);
    CHECK(count == static_cast<std::int64_t>(dirty));
    CHECK(tenant->writes.size() == dirty);
    CHECK(tenant->batches.size() == (dirty + 19) / 20);
    CHECK(judged + reported - counting < 1.0);
}
