// Every way in which an enrollment fails: the fault that Windows gets, the event that is kept and the line of the log
// agree.
#include <sqlite3.h>

#include "core/random.hpp"
#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "sim/csr.hpp"
#include "sim/soap.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

constexpr char alice[] = "alice@contoso.test";

std::string text(json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

json::array events(e2e::world const& w) { return w.app->ask({"events", "list"}).at("value").as_array(); }

// The event of that correlation, once it is there.
std::optional<json::object> event_of(e2e::world const& w, std::string const& correlation) {
    std::optional<json::object> found;
    e2e::becomes_true(10s, [&] {
        for (auto const& e : events(w))
            if (text(e.at("correlationId")) == correlation) found = e.as_object();
        return found.has_value();
    });
    return found;
}

// Holds the database's write lock, as a disk that does not answer would.
class stopped_store {
public:
    explicit stopped_store(std::filesystem::path const& file) {
        REQUIRE(sqlite3_open(file.c_str(), &db_) == SQLITE_OK);
        sqlite3_busy_timeout(db_, 10'000);
        REQUIRE(sqlite3_exec(db_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
    }
    stopped_store(stopped_store const&) = delete;
    stopped_store& operator=(stopped_store const&) = delete;
    ~stopped_store() {
        sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
        sqlite3_close(db_);
    }

private:
    sqlite3* db_ = nullptr;
};

struct refused_enrollment {
    std::string what;
    std::function<sim::join_report(e2e::world&)> provoke;
    char const *subcode, *error_type;
    std::uint32_t hresult;
    char const *constant, *category;
};

// Settings that are laid over the world's, taken by a reload.
void use(e2e::world& w, e2e::settings s) {
    auto const taken = [&] {
        auto const log = w.app->log();
        int times = 0;
        for (auto at = log.find("configuration taken"); at != log.npos; at = log.find("configuration taken", at + 1))
            ++times;
        return times;
    };
    auto const before = taken();
    w.app->configure(s);
    w.app->reload();
    REQUIRE(e2e::becomes_true(10s, [&] { return taken() > before; }));
}

sim::join_report join(e2e::world& w, sim::join_options const& o) { return sim::device(w.device(new_guid())).join(o); }
// Without the page of the Terms of Use, which would turn away first.
sim::join_options past_terms(e2e::world& w, std::string const& upn = alice, bool corporate = true) {
    auto o = w.join(upn, corporate);
    if (!o.terms_url.empty()) {
        auto const accepted = w.visit(w.token(upn), corporate);
        if (accepted.accepted) o.enrollment_data = accepted.blob;
    }
    o.terms_url.clear();
    return o;
}

std::vector<refused_enrollment> refused_enrollments() {
    return {
        {"a context item is missing",
            [](auto& w) {
                auto o = past_terms(w);
                o.more_context = {{"DeviceType", ""}};
                return join(w, o);
            },
            "MessageFormat", "", 0x80180001, "MENROLL_E_DEVICE_MESSAGE_FORMAT_ERROR", "badRequest"},
        {"the token has expired",
            [](auto& w) {
                auto o = past_terms(w);
                auto const now = to_ms(system_clock().now()) / 1000;
                o.token_claims = {{"exp", now - 3600}, {"nbf", now - 7200}, {"iat", now - 7200}};
                return join(w, o);
            },
            "Authentication", "", 0x80180002, "MENROLL_E_DEVICE_AUTHENTICATION_ERROR", "authentication"},
        {"the user is in no allowed group",
            [](auto& w) {
                auto const o = past_terms(w);
                use(w, {{"enrollment.allowed_groups", "[5a1e5000-0000-0000-0000-000000000001]"}});
                return join(w, o);
            },
            "Authorization", "", 0x80180003, "MENROLL_E_DEVICE_AUTHORIZATION_ERROR", "authorization"},
        {"the account is disabled",
            [](auto& w) {
                // Not by the Terms of Use: what they asked Graph is remembered for half a minute.
                auto o = w.join("bob@contoso.test");
                o.terms_url.clear();
                w.tenant.set_user_enabled("bob@contoso.test", false);
                return join(w, o);
            },
            "Authorization", "", 0x80180003, "MENROLL_E_DEVICE_AUTHORIZATION_ERROR", "accountValidation"},
        {"a token that is none",
            [](auto& w) {
                auto o = past_terms(w);
                o.tenant.reset();
                o.user_token = "no.token";
                return join(w, o);
            },
            "InvalidSecurity", "", 0x80180007, "MENROLL_E_DEVICE_INVALIDSECURITY_ERROR", "authentication"},
        {"the groups are not known",
            [](auto& w) {
                auto const o = past_terms(w, "frank@contoso.test");
                use(w, {{"enrollment.allowed_groups", "[5a1e5000-0000-0000-0000-000000000001]"}});
                w.tenant.add_fault(*sim::named_fault("graph-down"));
                auto report = join(w, o);
                w.tenant.clear_faults();
                return report;
            },
            "InternalServiceFault", "", 0x80180006, "MENROLL_E_DEVICE_INTERNALSERVICE_ERROR", "unknown"},
        {"the store does not write",
            [](auto& w) {
                auto const o = past_terms(w);
                stopped_store const stopped(w.app->file("mdmd.db"));
                return join(w, o);
            },
            "EnrollmentServer", "", 0x80180005, "MENROLL_E_DEVICE_CONFIGMGRSERVER_ERROR", "unknown"},
        {"one device too many",
            [](auto& w) {
                use(w, {{"enrollment.max_devices_per_user", "1"}});
                REQUIRE_FALSE(join(w, past_terms(w, "carol@contoso.test")).failure);
                return join(w, past_terms(w, "carol@contoso.test"));
            },
            "Authorization", "DeviceCapReached", 0x80180013, "MENROLL_E_DEVICECAPREACHED",
            "enrollmentRestrictionsEnforced"},
        {"a phone",
            [](auto& w) {
                auto o = past_terms(w);
                o.more_context = {{"DeviceType", ""}, {"DeviceType", "WindowsPhone"}};
                return join(w, o);
            },
            "Authorization", "DeviceNotSupported", 0x80180014, "MENROLL_E_DEVICENOTSUPPORTED", "deviceNotSupported"},
        {"an old Windows",
            [](auto& w) {
                use(w, {{"enrollment.min_os_version", "10.0.30000"}});
                return join(w, past_terms(w));
            },
            "Authorization", "DeviceNotSupported", 0x80180014, "MENROLL_E_DEVICENOTSUPPORTED",
            "enrollmentRestrictionsEnforced"},
        {"an edition that is not wanted",
            [](auto& w) {
                use(w, {{"enrollment.editions", "[Professional, Education]"}});
                return join(w, past_terms(w));
            },
            "Authorization", "DeviceNotSupported", 0x80180014, "MENROLL_E_DEVICENOTSUPPORTED",
            "enrollmentRestrictionsEnforced"},
        {"enrollment is off",
            [](auto& w) {
                auto const o = past_terms(w);
                use(w, {{"enrollment.enabled", "false"}});
                return join(w, o);
            },
            "Authorization", "NotSupported", 0x80180015, "MENROLL_E_NOTSUPPORTED", "accountValidation"},
        {"personal devices are blocked",
            [](auto& w) {
                auto const o = past_terms(w, alice, false);
                use(w, {{"enrollment.personal_devices", "block"}});
                return join(w, o);
            },
            "Authorization", "NotSupported", 0x80180015, "MENROLL_E_NOTSUPPORTED", "featureNotSupported"},
        {"the certificate is not to be renewed yet",
            [](auto& w) {
                auto const device = e2e::joined(w, new_guid(), "dave@contoso.test");
                return device->renew({.net = w.app->net()});
            },
            "Authorization", "NotEligibleToRenew", 0x80180016, "MENROLL_E_NOTELIGIBLETORENEW", "authorization"},
        {"maintenance",
            [](auto& w) {
                auto const o = past_terms(w);
                REQUIRE(w.app->mdmctl({"maintenance", "on"}).code == 0);
                auto report = join(w, o);
                REQUIRE(w.app->mdmctl({"maintenance", "off"}).code == 0);
                return report;
            },
            "Authorization", "InMaintenance", 0x80180017, "MENROLL_E_INMAINTENANCE", "inMaintenance"},
        {"the user is not in the directory any more",
            [](auto& w) {
                auto o = w.join("erin@contoso.test");
                o.terms_url.clear();
                o.tenant.reset();
                o.user_token = w.token("erin@contoso.test");
                w.tenant.remove_user("erin@contoso.test");
                return join(w, o);
            },
            "Authorization", "UserLicense", 0x80180018, "MENROLL_E_USERLICENSE", "userValidation"},
        {"the Terms of Use were not accepted",
            [](auto& w) {
                auto o = past_terms(w);
                o.enrollment_data.reset();
                return join(w, o);
            },
            "Authorization", "InvalidEnrollmentData", 0x80180019, "MENROLL_E_ENROLLMENTDATAINVALID",
            "enrollmentRestrictionsEnforced"},
        {"EnrollmentData of nobody",
            [](auto& w) {
                auto o = past_terms(w);
                o.enrollment_data = "AAAAAAAAAAAAAAAAAAAAAA";
                return join(w, o);
            },
            "Authorization", "InvalidEnrollmentData", 0x80180019, "MENROLL_E_ENROLLMENTDATAINVALID", "badRequest"},
        {"the administrator's own text",
            [](auto& w) {
                auto const o = past_terms(w);
                use(w, {{"enrollment.enabled", "false"}, {"enrollment.disabled_message", "Ask the help desk"}});
                return join(w, o);
            },
            "Authorization", "CustomServerError", 0x80180032, "MENROLL_E_CUSTOMSERVERERROR", "accountValidation"},
    };
}

}  // namespace

TEST_CASE("every refusal is the same in the fault, in the event and in the log", "[e2e][events]") {
    e2e::world w;
    w.app->start();
    std::set<std::string> categories;
    for (auto const& row : refused_enrollments()) {
        CAPTURE(row.what);
        auto const report = row.provoke(w);
        REQUIRE(report.failure.has_value());
        auto const& f = *report.failure;
        CAPTURE(f.step, f.text);
        CHECK(f.http_status == 500);
        CHECK_THAT(f.subcode, Catch::EndsWith(row.subcode));
        CHECK(f.error_type == row.error_type);
        CHECK(f.hresult == row.hresult);
        CHECK(is_guid(f.trace_id));
        use(w, {});
        auto const e = event_of(w, f.trace_id);
        REQUIRE(e.has_value());
        CHECK(text(e->at("failureCategory")) == row.category);
        categories.insert(text(e->at("failureCategory")));
        auto const reason = text(e->at("failureReason"));
        CHECK_THAT(reason, Catch::StartsWith(fmt::format("{} (0x{:08x}): ", row.constant, row.hresult)));
        CHECK(w.app->logs(f.trace_id));
        CHECK_THAT(w.app->log(), Catch::Contains(reason.substr(0, 60)));
        // And what to do about it can be looked up.
        auto const told = w.app->ask({"explain", fmt::format("0x{:08x}", row.hresult)});
        CHECK(text(told.at("name")) == row.constant);
        if (row.error_type[0]) CHECK(text(w.app->ask({"explain", row.error_type}).at("name")) == row.constant);
    }
    CHECK(categories == std::set<std::string>{"accountValidation", "authentication", "authorization", "badRequest",
                            "deviceNotSupported", "enrollmentRestrictionsEnforced", "featureNotSupported",
                            "inMaintenance", "unknown", "userValidation"});
}

TEST_CASE("a bad certificate request and a missing credential have their faults", "[e2e][events]") {
    e2e::world w(e2e::settings{{"terms.required", "false"}});
    w.app->start();
    http::client c(w.app->client_options());
    auto const send = [&](std::string const& credential, std::string const& csr) {
        sim::context_items const items{{"DeviceID", "D1"}, {"EnrollmentType", "Device"},
            {"DeviceType", "CIMClient_Windows"}, {"OSVersion", "10.0.22631.1"}};
        auto const answer = c.send({.method = "POST",
            .url = e2e::enrollment_url,
            .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}},
            .body = sim::token_request("urn:uuid:1", e2e::enrollment_url, credential, csr, items)});
        REQUIRE(answer.has_value());
        CHECK(answer->status == 500);
        return sim::read_token_response(*answer, "urn:uuid:1").failure;
    };
    static_cast<void>(w.join(alice));
    auto const bad_request = send(sim::jwt_credential(w.token(alice)), "not a request");
    CHECK(bad_request.hresult == 0x80180004);
    CHECK(text(event_of(w, bad_request.trace_id).value().at("failureCategory")) == "badRequest");
    auto const nobody = send("", "x");
    CHECK(nobody.hresult == 0x80180007);
    CHECK(text(event_of(w, nobody.trace_id).value().at("failureCategory")) == "authentication");
}

TEST_CASE("who declines, who never answers and who never comes is on record", "[e2e][events]") {
    e2e::world w(e2e::settings{{"enrollment.abandon_after", "2s"}});
    w.app->start();
    auto const category_within = [&](std::string const& category, std::string const& reason) {
        CAPTURE(category, reason);
        CHECK(e2e::becomes_true(20s, [&] {
            for (auto const& e : events(w))
                if (text(e.at("failureCategory")) == category &&
                    text(e.at("failureReason")).find(reason) != std::string::npos)
                    return true;
            return false;
        }));
    };
    auto o = w.join(alice, false);
    o.accept_terms = false;
    CHECK(join(w, o).failure.has_value());
    category_within("userAbandonment", "declined");

    CHECK(w.visit(w.token(alice)).accepted);
    category_within("userAbandonment", "no enrollment followed");

    auto const device = e2e::joined(w, "SILENT", alice);
    category_within("clientDisconnected", "first session");
    // It is enrolled all the same, and may come later.
    e2e::require_clean(device->sync(w.sync()));
}
