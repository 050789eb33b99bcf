// An appliance with many devices whose compliance is decided at will, beside a Graph that holds what it was told.
#pragma once
#include "service/evaluation.hpp"
#include "test/service_fixture.hpp"

namespace mdmd::test {

struct reports_fixture : appliance_fixture {
    static std::string entra_of(std::size_t i) { return fmt::format("de000000-0000-0000-0000-{:012}", i); }
    static std::string object_of(std::size_t i) { return fmt::format("00b1ec70-0000-0000-0000-{:012}", i); }
    static std::string device_of(std::size_t i) { return fmt::format("device-{:06}", i); }

    static store::device make(std::string id, std::string entra_id) {
        return {.id = id,
            .mdm_device_id = "M" + id,
            .hardware_id = "H" + id,
            .entra_device_id = std::move(entra_id),
            .user_id = "U",
            .upn = "u@contoso.com",
            .ownership = "corporate",
            .enrollment_type = "Device",
            .name = "PC",
            .os_version = "10.0.22631.1",
            .os_edition = "4",
            .correlation_id = "c",
            .enrolled = from_ms(1'800'000'000'000),
            .server_secret = secret("s"),
            .device_secret = secret("d"),
            .server_nonce = "n",
            .device_nonce = "m"};
    }
    // Devices 1 to `many`, all of them known to Entra.
    void add(std::size_t many) {
        db.write([&](store::connection& c) {
            for (std::size_t i = 1; i <= many; ++i) store::add_device(c, make(device_of(i), entra_of(i)));
        });
        tenant->devices.clear();
        for (std::size_t i = 1; i <= many; ++i) tenant->devices[entra_of(i)] = object_of(i);
    }
    // As a verdict does.
    static void decide(store::connection& c, std::string const& id, std::string const& entra_id, bool managed,
        bool compliant, time_point now) {
        auto const old = store::find_report(c, id);
        auto const next = compliance::decided(
            old ? service::to_report(*old) : compliance::report{}, managed, compliant, !entra_id.empty(), now);
        store::put_report(c, service::to_stored(id, entra_id, next));
    }
    void decide(std::size_t i, bool compliant) {
        db.write([&](store::connection& c) { decide(c, device_of(i), entra_of(i), true, compliant, time.now()); });
    }
    void decide_all(std::size_t many, bool compliant) {
        db.write([&](store::connection& c) {
            for (std::size_t i = 1; i <= many; ++i) decide(c, device_of(i), entra_of(i), true, compliant, time.now());
        });
    }
    store::report report(std::size_t i) {
        return db.read([&](store::connection& c) { return store::find_report(c, device_of(i)); }).value();
    }
    std::vector<store::told_report> history(std::size_t i) {
        return db.read([&](store::connection& c) { return store::list_told_reports(c, device_of(i)); });
    }
    store::report_totals totals() {
        return db.read([](store::connection& c) { return store::total_reports(c); });
    }
    void tick() {
        appliance->token.watch();
        appliance->report.tick();
    }
    void ticks_for(std::chrono::seconds how_long, std::chrono::seconds step = std::chrono::seconds(1)) {
        for (auto past = std::chrono::seconds(0); past < how_long; past += step) {
            time.advance(step);
            tick();
        }
    }
    static http::response refusal(int status, std::string code = "Code", http::fields headers = {}) {
        return {
            status, std::move(headers), json::serialize(json::value{{"error", {{"code", code}, {"message", "m"}}}})};
    }
};

}  // namespace mdmd::test
