#include "admin/graph.hpp"
#include "admin/json.hpp"
#include "store/events.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char base[] = "/v1.0/deviceManagement/troubleshootingEvents";
constexpr char beta[] = "/beta/deviceManagement/troubleshootingEvents";
constexpr char origin[] = "https://mdm.test:8443";
constexpr char nobody[] = "00000000-0000-0000-0000-000000000000";

struct graph_fixture : appliance_fixture {
    std::map<std::string, std::string> tokens;

    std::string token(std::string const& role) {
        auto& kept = tokens[role];
        if (kept.empty()) kept = appliance->access.create(role, role, 24h).value().text.reveal();
        return kept;
    }
    struct reply {
        int status = 0;
        json::value body;
        http::fields headers;

        json::object const& error() const { return body.at("error").as_object(); }
        std::string code() const { return std::string(error().at("code").as_string()); }
        std::string message() const { return std::string(error().at("message").as_string()); }
        std::string header(std::string_view name) const { return std::string(headers.get(name).value_or("")); }
        json::array const& value() const { return body.at("value").as_array(); }
    };
    reply send(http::request const& r) {
        auto const got = admin::serve_graph(*appliance, origin, r);
        reply out{got.status, nullptr, got.headers};
        CHECK(got.headers.get("request-id") == r.id);
        if (got.status == 204) {
            CHECK(got.body.empty());
            return out;
        }
        out.body = json::parse(got.body);
        if (got.status >= 400) {
            // Graph's error object, whole and nothing else.
            CHECK(out.body.as_object().size() == 1);
            CHECK(out.error().size() == 3);
            CHECK_FALSE(out.message().empty());
            auto const& inner = out.error().at("innerError").as_object();
            CHECK(inner.size() == 3);
            CHECK(inner.at("date") == "2027-01-15T08:00:00");
            CHECK(inner.at("request-id") == json::value(r.id));
            CHECK(inner.contains("client-request-id"));
        }
        return out;
    }
    http::request make(std::string method, std::string path, std::string body = "", std::string const& role = "admin") {
        auto r = request(std::move(method), std::move(path), std::move(body));
        r.headers.add("Authorization", "Bearer " + token(role));
        r.headers.add("Accept", "application/json");
        if (!r.body.empty()) r.headers.add("Content-Type", "application/json");
        return r;
    }
    reply ask(std::string method, std::string path, std::string body = "", std::string const& role = "admin") {
        return send(make(std::move(method), std::move(path), std::move(body), role));
    }
    reply post(json::object const& body, std::string const& path = base) {
        return ask("POST", path, json::serialize(body));
    }
    void add(store::event const& e) {
        db.write([&](store::connection& c) { store::add_event(c, e); });
    }
    static std::string guid(int n) { return fmt::format("00000000-0000-0000-0000-{:012}", n); }
    // The last digits of the ids of a list.
    static std::string ids(reply const& r) {
        std::string all;
        for (auto const& e : r.value()) {
            auto const id = std::string(e.at("id").as_string());
            all += (all.empty() ? "" : " ") + std::to_string(std::stoi(id.substr(24)));
        }
        return all;
    }
    std::string where(std::string const& filter, std::string const& path = base) {
        return ids(ask("GET", path + "?$orderby=id&$filter=" + percent_encode(filter)));
    }
    std::string keys(json::value const& v) {
        std::string all;
        for (auto const& [key, value] : v.as_object()) all += std::string(key) + " ";
        return all;
    }
};

json::object const whole{{"@odata.type", "#microsoft.graph.enrollmentTroubleshootingEvent"},
    {"eventDateTime", "2016-12-31T23:59:23.3984029-08:00"}, {"correlationId", "Correlation"},
    {"managedDeviceIdentifier", "Managed"}, {"operatingSystem", "Windows"}, {"osVersion", "10.0"}, {"userId", "User"},
    {"deviceId", "Device"}, {"enrollmentType", "userEnrollment"}, {"failureCategory", "authentication"},
    {"failureReason", "Reason \"\xC3\xBC\""}};

}  // namespace

TEST_CASE_METHOD(graph_fixture, "an event is created, got, changed and deleted as Graph has it", "[admin][graph]") {
    auto const root = GENERATE(as<std::string>(), "v1.0", "v1");
    auto const path = "/" + root + "/deviceManagement/troubleshootingEvents";
    auto body = whole;
    body["id"] = nobody;  // ours to choose
    auto const made = post(body, path);
    CHECK(made.status == 201);
    CHECK_THAT(made.header("Content-Type"), Catch::StartsWith("application/json"));
    auto const id = std::string(made.body.at("id").as_string());
    CHECK(is_guid(id));
    CHECK(id != nobody);
    CHECK(made.header("Location") == origin + path + "/" + id);
    CHECK(made.body.at("@odata.context") ==
          json::value(std::string(origin) + "/" + root + "/$metadata#deviceManagement/troubleshootingEvents/$entity"));
    auto expected = whole;
    expected["id"] = id;
    expected["eventDateTime"] = "2017-01-01T07:59:23.398Z";
    auto without_context = made.body.as_object();
    without_context.erase("@odata.context");
    CHECK(without_context == expected);

    CHECK(ask("GET", path + "/" + id).body == made.body);
    CHECK(ask("GET", path + "('" + id + "')").body == made.body);
    CHECK(ask("GET", path + "(id='" + id + "')").body == made.body);
    CHECK(ask("GET", path + "(%27" + id + "%27)").body == made.body);
    std::string upper = id;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    CHECK(ask("GET", path + "/" + upper).body == made.body);
    CHECK(ask("GET", "/" + root + "/DEVICEMANAGEMENT/TroubleshootingEvents/" + id + "/").body == made.body);
    CHECK(ask("HEAD", path + "/" + id).status == 200);

    auto const changed =
        ask("PATCH", path + "/" + id, R"({"failureReason":null,"userId":"Other","failureCategory":"authorization"})");
    CHECK(changed.status == 200);
    expected["failureReason"] = nullptr;
    expected["userId"] = "Other";
    expected["failureCategory"] = "authorization";
    expected["@odata.context"] = made.body.at("@odata.context");
    CHECK(changed.body == json::value(expected));
    CHECK(ask("GET", path + "/" + id).body == changed.body);
    CHECK(ask("PATCH", path + "/" + id, "{}").body == changed.body);

    auto const gone = ask("DELETE", path + "/" + id);
    CHECK(gone.status == 204);
    for (auto const* method : {"GET", "PATCH", "DELETE"}) {
        auto const r = ask(method, path + "/" + id, *method == 'P' ? "{}" : "");
        CHECK(r.status == 404);
        CHECK(r.code() == "itemNotFound");
    }
}

TEST_CASE_METHOD(graph_fixture, "an event without anything has what Graph's types start with", "[admin][graph]") {
    auto const made = post({});
    CHECK(made.status == 201);
    CHECK(keys(made.body) ==
          "@odata.context @odata.type id eventDateTime correlationId managedDeviceIdentifier operatingSystem osVersion "
          "userId deviceId enrollmentType failureCategory failureReason ");
    CHECK(made.body.at("eventDateTime") == "2027-01-15T08:00:00.000Z");
    CHECK(made.body.at("enrollmentType") == "unknown");
    CHECK(made.body.at("failureCategory") == "unknown");
    for (auto const* null : {"correlationId", "managedDeviceIdentifier", "operatingSystem", "osVersion", "userId",
             "deviceId", "failureReason"})
        CHECK(made.body.at(null).is_null());
}

TEST_CASE_METHOD(graph_fixture, "beta has three properties and ten members that v1.0 does not show", "[admin][graph]") {
    auto body = whole;
    body["enrollmentType"] = "androidEnterpriseFullyManaged";
    body["eventName"] = "Name";
    body["additionalInformation@odata.type"] = "#Collection(microsoft.graph.keyValuePair)";
    body["additionalInformation"] = {
        {{"@odata.type", "microsoft.graph.keyValuePair"}, {"name", "n"}, {"value", "v"}}, {{"name", "only"}}};
    body["troubleshootingErrorDetails"] = {
        {"@odata.type", "microsoft.graph.deviceManagementTroubleshootingErrorDetails"}, {"context", "c"},
        {"remediation", "r"}, {"resources", {{{"text", "t"}, {"link", "https://x"}}}}};
    auto const made = post(body, beta);
    REQUIRE(made.status == 201);
    CHECK_THAT(
        std::string(made.body.at("@odata.context").as_string()), Catch::StartsWith(std::string(origin) + "/beta/"));
    CHECK(made.body.at("enrollmentType") == "androidEnterpriseFullyManaged");
    CHECK(made.body.at("eventName") == "Name");
    CHECK(made.body.at("additionalInformation") ==
          json::value({{{"@odata.type", "#microsoft.graph.keyValuePair"}, {"name", "n"}, {"value", "v"}},
              {{"@odata.type", "#microsoft.graph.keyValuePair"}, {"name", "only"}, {"value", nullptr}}}));
    CHECK(made.body.at("troubleshootingErrorDetails") ==
          json::value({{"@odata.type", "#microsoft.graph.deviceManagementTroubleshootingErrorDetails"},
              {"context", "c"}, {"failure", nullptr}, {"failureDetails", nullptr}, {"remediation", "r"},
              {"resources", {{{"@odata.type", "#microsoft.graph.deviceManagementTroubleshootingErrorResource"},
                                {"text", "t"}, {"link", "https://x"}}}}}));
    // What it gives it takes back.
    auto const id = std::string(made.body.at("id").as_string());
    CHECK(ask("PATCH", std::string(beta) + "/" + id, json::serialize(made.body)).body == made.body);

    auto const v1 = ask("GET", std::string(base) + "/" + id);
    CHECK(v1.body.at("enrollmentType") == "unknown");
    for (auto const* name : {"eventName", "additionalInformation", "troubleshootingErrorDetails"})
        CHECK_FALSE(v1.body.as_object().contains(name));
    // It is kept all the same, and v1.0 finds it as what it shows.
    CHECK(ask("PATCH", std::string(base) + "/" + id, R"({"userId":"Other"})").status == 200);
    CHECK(ask("GET", std::string(beta) + "/" + id).body.at("enrollmentType") == "androidEnterpriseFullyManaged");
    auto const count = [&](std::string const& filter, std::string const& path) {
        return ask("GET", path + "?$filter=" + percent_encode(filter)).value().size();
    };
    CHECK(count("enrollmentType eq 'unknown'", base) == 1);
    CHECK(count("enrollmentType ne 'unknown'", base) == 0);
    CHECK(count("enrollmentType eq 'unknown'", beta) == 0);
    CHECK(count("enrollmentType eq 'androidEnterpriseFullyManaged'", beta) == 1);
    CHECK(ask(
        "PATCH", std::string(beta) + "/" + id, R"({"additionalInformation":null,"troubleshootingErrorDetails":null})")
              .body.at("additionalInformation")
              .is_null());
    // mdmctl's events are beta's.
    auto const kept = db.read([&](store::connection& c) { return store::find_event(c, id); });
    auto shown = ask("GET", std::string(beta) + "/" + id).body.as_object();
    shown.erase("@odata.context");
    CHECK(admin::to_json(*kept) == shown);
}

TEST_CASE_METHOD(
    graph_fixture, "a property of the wrong type or name is refused by its name", "[admin][graph][security]") {
    auto const id = std::string(post(whole).body.at("id").as_string());
    auto const entity = std::string(beta) + "/" + id;
    auto const before = ask("GET", entity).body;
    std::vector<std::pair<std::string, std::string>> bad;
    for (auto const* text : {"correlationId", "managedDeviceIdentifier", "operatingSystem", "osVersion", "userId",
             "deviceId", "failureReason", "eventName", "id"})
        for (auto const* value : {"1", "1.5", "true", "[]", "{}", R"("\u0000")"}) bad.emplace_back(text, value);
    for (auto const* choice : {"enrollmentType", "failureCategory"})
        for (auto const* value : {"0", "2", "true", "[]", "{}", R"("")", R"("2")", R"("Authorization")", R"("none")"})
            bad.emplace_back(choice, value);
    for (auto const* value : {"0", "true", "[]", "{}", "null", R"("")", R"("yesterday")", R"("2026-01-01")",
             R"("2026-01-01T00:00:00")", R"("2026-02-30T00:00:00Z")"})
        bad.emplace_back("eventDateTime", value);
    for (auto const* value : {"0", "true", "{}", R"("x")", "[1]", "[null]", R"([{"name":1}])", R"([{"other":"x"}])",
             R"([{"@odata.type":"#microsoft.graph.other"}])"})
        bad.emplace_back("additionalInformation", value);
    for (auto const* value :
        {"0", "true", "[]", R"("x")", R"({"context":1})", R"({"other":"x"})", R"({"resources":{}})",
            R"({"resources":[1]})", R"({"resources":[{"text":1}]})", R"({"resources":[{"other":"x"}]})"})
        bad.emplace_back("troubleshootingErrorDetails", value);
    for (auto const* value : {"1", "null", R"("#microsoft.graph.managedDevice")"})
        bad.emplace_back("@odata.type", value);
    for (auto const* name : {"nothing", "failurecategory", "", "deviceManagementTroubleshootingEventId"})
        bad.emplace_back(name, R"("x")");
    bad.emplace_back("failureReason", "\"" + std::string(8193, 'x') + "\"");
    bad.emplace_back(
        "additionalInformation", "[" + std::string(200, ' ') + [] {
            std::string all = "{}";
            for (int i = 0; i < 100; ++i) all += ",{}";
            return all;
        }() + "]");
    for (auto const& [name, value] : bad) {
        CAPTURE(name, value.substr(0, 60));
        auto const body = fmt::format(R"({{"{}":{}}})", name, value);
        for (auto const& r : {ask("PATCH", entity, body), ask("POST", beta, body)}) {
            CHECK(r.status == 400);
            CHECK(r.code() == "invalidRequest");
            CHECK_THAT(r.message(), Catch::Contains(name));
        }
    }
    CHECK(ask("GET", entity).body == before);
    CHECK(ask("GET", beta).value().size() == 1);
    // What beta alone has is unknown to v1.0.
    for (auto const* body : {R"({"eventName":"x"})", R"({"additionalInformation":[]})",
             R"({"troubleshootingErrorDetails":null})", R"({"enrollmentType":"androidEnterpriseFullyManaged"})"}) {
        CHECK(ask("POST", base, body).status == 400);
        CHECK(ask("POST", beta, body).status == 201);
    }
    CHECK(ask("PATCH", entity, fmt::format(R"({{"id":"{}"}})", nobody)).message() == "id: it cannot be changed");
    CHECK(ask("PATCH", entity, fmt::format(R"({{"id":"{}"}})", id)).status == 200);
}

TEST_CASE_METHOD(graph_fixture, "a body that is no one JSON object is refused", "[admin][graph][security]") {
    std::string const deep = R"({"a":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
    for (auto const& body : {std::string(" "), std::string("x"), std::string("[]"), std::string("null"),
             std::string("\"x\""), std::string("{"), std::string("{}{}"), std::string("{} x"),
             std::string(R"({"a":1,})"), std::string(R"({"userId":"a","userId":"b"})"),
             std::string(R"({"additionalInformation":[{"name":"a","name":"b"}]})"),
             std::string("{\"userId\":\"\xFF\"}"), std::string("{\"userId\":\"\xED\xA0\x80\"}"),
             std::string(R"({"userId":"\ud800"})"), std::string("{\"userId\":\"a\nb\"}"), std::string("{/*x*/}"),
             std::string("\xEF\xBB\xBF{}"), std::string("{'userId':'x'}"), std::string("{\"userId\":NaN}"), deep}) {
        CAPTURE(body.substr(0, 60));
        auto const r = ask("POST", beta, body);
        CHECK(r.status == 400);
        CHECK(r.code() == "invalidRequest");
    }
    auto const large = ask("POST", base, "{\"failureReason\":\"" + std::string(256 * 1024, 'x') + "\"}");
    CHECK(large.status == 413);
    CHECK(large.code() == "payloadTooLarge");
    auto r = request("POST", base, "{}");
    r.headers.add("Authorization", "Bearer " + token("admin"));
    auto const type = GENERATE(as<std::string>(), "", "text/plain", "application/xml",
        "application/json;charset=utf-16", "application/jsonx", "multipart/form-data");
    if (!type.empty()) r.headers.add("Content-Type", type);
    CHECK(send(r).status == 415);
    CHECK(send(r).code() == "unsupportedMediaType");
    for (auto const* good :
        {"application/json", "Application/JSON; charset=UTF-8", "application/json;odata.metadata=full"}) {
        auto other = request("POST", base, "{}");
        other.headers.add("Authorization", "Bearer " + token("admin"));
        other.headers.add("Content-Type", good);
        CHECK(send(other).status == 201);
    }
    CHECK(ask("GET", base).value().size() == 3);
}

TEST_CASE_METHOD(
    graph_fixture, "who may do what: each role, each method, each permission", "[admin][graph][security]") {
    appliance->keys.refresh_if_due();
    auto const id = std::string(post(whole).body.at("id").as_string());
    auto const entity = std::string(base) + "/" + id;
    struct attempt {
        char const* method;
        std::string path, body;
        bool write;
    };
    std::vector<attempt> const all{{"GET", base, "", false}, {"HEAD", base, "", false}, {"GET", entity, "", false},
        {"HEAD", entity, "", false}, {"POST", base, "{}", true}, {"PATCH", entity, "{}", true},
        {"DELETE", std::string(base) + "/" + nobody, "", true}};
    auto const status = [&](attempt const& a, std::string const& authorization) {
        auto r = request(a.method, a.path, a.body);
        if (!authorization.empty()) r.headers.add("Authorization", authorization);
        if (!a.body.empty()) r.headers.add("Content-Type", "application/json");
        return send(r);
    };
    auto const entra = [&](char const* scope) {
        return "Bearer " + tenant->token(time.now(), {{"scp", scope}, {"azp", "c"}}, true);
    };
    struct who {
        std::string authorization;
        int read, write;  // 2: something else than a refusal
    };
    std::vector<who> const callers{{"Bearer " + token("reader"), 2, 403}, {"Bearer " + token("operator"), 2, 2},
        {"Bearer " + token("admin"), 2, 2}, {entra("DeviceManagementManagedDevices.Read.All"), 2, 403},
        {entra("DeviceManagementManagedDevices.ReadWrite.All"), 2, 2}, {entra("mdm_delegation"), 403, 403},
        {"", 401, 401}, {"Bearer mdmd_wrong", 401, 401}, {"Basic eDp5", 401, 401}};
    for (auto const& caller : callers)
        for (auto const& a : all) {
            CAPTURE(caller.authorization.substr(0, 20), a.method, a.path);
            auto const want = a.write ? caller.write : caller.read;
            auto const got = status(a, caller.authorization);
            if (want == 2) {
                CHECK((got.status < 300 || got.status == 404));
                continue;
            }
            CHECK(got.status == want);
            CHECK(got.code() == (want == 401 ? "unauthenticated" : "accessDenied"));
            CHECK(got.header("WWW-Authenticate") == (want == 401 ? "Bearer" : ""));
        }
    CHECK(ask("GET", base).value().size() == 4);  // of three that may
}

TEST_CASE_METHOD(graph_fixture, "too much guessing is 429 with the time to wait", "[admin][graph][security]") {
    auto r = request("GET", base);
    r.headers.add("Authorization", "Bearer mdmd_wrong");
    for (int i = 0; i < 30; ++i) CHECK(send(r).status == 401);
    auto const got = send(r);
    CHECK(got.status == 429);
    CHECK(got.code() == "activityLimitReached");
    CHECK(got.header("Retry-After") == "60");
}

TEST_CASE_METHOD(
    graph_fixture, "other addresses and methods are refused, in this order: who, where, how", "[admin][graph]") {
    for (auto const* path : {"/v1.0", "/v1.0/", "/beta", "/v1/", "/v1.0/deviceManagement", "/v1.0/$metadata",
             "/v1.0/me", "/v1.0/deviceManagement/managedDevices", "/v1.0/deviceManagement/troubleshootingEvents/a/b",
             "/v1.0/deviceManagement/troubleshootingEventsX", "/v1.0//troubleshootingEvents",
             "/v1.0/deviceManagement/troubleshootingEvents('a')/b", "/v1.0/deviceManagement/troubleshootingEvents("}) {
        CAPTURE(path);
        CHECK(ask("GET", path).code() == "itemNotFound");
        CHECK(ask("GET", path).status == 404);
        CHECK(ask("DELETE", path).status == 404);
        CHECK(send(request("GET", path)).status == 401);
    }
    for (auto const* id : {"x", "%00", "'", "1", "c7a3a8f1-0000-0000-0000-00000000000", "$count", "..%2f.."}) {
        CAPTURE(id);
        CHECK(ask("GET", std::string(base) + "/" + id).status == 400);
        CHECK(ask("GET", std::string(base) + "('" + id + "')").status == 400);
    }
    CHECK(ask("GET", std::string(base) + "()").status == 400);
    for (auto const* method : {"PUT", "PATCH", "DELETE", "OPTIONS"}) {
        auto const r = ask(method, base, "{}");
        CHECK(r.status == 405);
        CHECK(r.code() == "notSupported");
        CHECK(r.header("Allow") == "GET, HEAD, POST");
    }
    for (auto const* method : {"PUT", "POST", "OPTIONS"})
        CHECK(ask(method, std::string(base) + "/" + nobody, "{}").header("Allow") == "GET, HEAD, PATCH, DELETE");
    auto const accepting = [&](char const* accept) {
        auto r = request("GET", base);
        r.headers.add("Authorization", "Bearer " + token("reader"));
        r.headers.add("Accept", accept);
        return send(r).status;
    };
    for (auto const* good : {"*/*", "application/json", "application/*;q=0.5",
             "text/html, application/json;odata=verbose", "", "text/html, */*;q=0.1"})
        CHECK(accepting(good) == 200);
    for (auto const* bad : {"text/html", "application/xml", "application/json;q=0", "json"})
        CHECK(accepting(bad) == 406);
    auto match = make("PATCH", std::string(base) + "/" + nobody, "{}");
    match.headers.add("If-Match", "\"1\"");
    CHECK(send(match).status == 412);
    CHECK(send(match).code() == "resourceModified");
}

TEST_CASE_METHOD(graph_fixture, "ids of requests go both ways", "[admin][graph]") {
    auto r = make("GET", std::string(base) + "/" + nobody);
    r.headers.add("client-request-id", "34be581c-6ebd-49d6-a4e1-150eff4b7213");
    auto const got = send(r);
    CHECK(got.header("client-request-id") == "34be581c-6ebd-49d6-a4e1-150eff4b7213");
    CHECK(got.error().at("innerError").at("client-request-id") == "34be581c-6ebd-49d6-a4e1-150eff4b7213");
    auto const bad = GENERATE(as<std::string>(), "a\tb", "\xFF", std::string(129, 'a'));
    auto other = make("GET", std::string(base) + "/" + nobody);
    other.headers.add("client-request-id", bad);
    CHECK(send(other).header("client-request-id").empty());
    CHECK(send(other).error().at("innerError").at("client-request-id") == json::value(other.id));
    CHECK(ask("GET", base).header("client-request-id").empty());
}

TEST_CASE_METHOD(graph_fixture, "a list has its context, its order, its page and what was selected", "[admin][graph]") {
    for (int i = 1; i <= 5; ++i)
        add({.id = guid(i), .at = time.now() + std::chrono::seconds(i % 3), .user_id = std::to_string(i % 2)});
    auto const all = ask("GET", base);
    CHECK(all.status == 200);
    CHECK(keys(all.body) == "@odata.context value ");
    CHECK(all.body.at("@odata.context") ==
          json::value(std::string(origin) + "/v1.0/$metadata#deviceManagement/troubleshootingEvents"));
    CHECK(ids(all) == "2 5 1 4 3");  // newest first, then by id
    auto const list = [&](std::string const& query) { return ask("GET", base + ("?" + query)); };
    CHECK(ids(list("$orderby=eventDateTime")) == "3 1 4 2 5");
    CHECK(ids(list("$orderby=eventDateTime%20asc")) == "3 1 4 2 5");
    CHECK(ids(list("$orderby=userId,eventDateTime%20desc")) == "2 4 5 1 3");
    CHECK(ids(list("$orderby=id+desc&$skip=1&$top=2")) == "4 3");
    CHECK(ids(list("$skip=5")).empty());
    CHECK(ids(list("other=1&top=1&filter=x")) == "2 5 1 4 3");
    CHECK(keys(list("$count=true").body) == "@odata.context @odata.count value ");
    CHECK(list("$count=true&$top=2&$filter=userId%20eq%20'1'").body.at("@odata.count") == 3);
    CHECK(keys(list("$count=false").body) == "@odata.context value ");
    auto const selected = list("$select=id,failureCategory&$top=1");
    CHECK(selected.body.at("@odata.context") ==
          json::value(
              std::string(origin) + "/v1.0/$metadata#deviceManagement/troubleshootingEvents(id,failureCategory)"));
    CHECK(keys(selected.value()[0]) == "@odata.type id failureCategory ");
    CHECK(keys(list("$select=*").value()[0]) == keys(all.value()[0]));
    CHECK(keys(ask("GET", base + ("/" + guid(1)) + "?$select=userId").body) == "@odata.context @odata.type userId ");
    for (auto const* bad :
        {"$select=eventName", "$select=nothing", "$orderby=nothing", "$orderby=eventName", "$filter=nothing%20eq%201",
            "$expand=x", "$top=0", "$top=1001", "$top=1&$top=2", "$filter=a", "$skiptoken=x"}) {
        CAPTURE(bad);
        CHECK(list(bad).status == 400);
        CHECK(list(bad).code() == "invalidRequest");
    }
    for (auto const* bad : {"$top=1", "$filter=id%20eq%20'x'", "$orderby=id", "$skip=1", "$count=true", "$expand=x"})
        CHECK(ask("GET", base + ("/" + guid(1)) + "?" + bad).status == 400);
    CHECK(ask("POST", std::string(base) + "?$select=id", "{}").status == 400);
    CHECK(ask("DELETE", base + ("/" + guid(1)) + "?$top=1").status == 400);
}

TEST_CASE_METHOD(graph_fixture, "a filter finds what it says", "[admin][graph]") {
    add({.id = guid(1), .at = from_ms(1'767'225'600'000), .user_id = "u1", .category = "authorization"});
    add({.id = guid(2), .at = from_ms(1'767'225'600'001), .user_id = "u2", .category = "authentication"});
    add({.id = guid(3), .at = from_ms(1'767'229'200'000), .category = "userAbandonment", .reason = "It's 100%"});
    CHECK(where("failureCategory eq 'authorization'") == "1");
    CHECK(where("failureCategory eq microsoft.graph.deviceEnrollmentFailureReason'authorization'") == "1");
    CHECK(where("failureCategory ne 'authorization'") == "2 3");
    CHECK(where("failureCategory gt 'authentication'") == "1 3");  // by number, as OData compares them
    CHECK(where("failureCategory le 'authentication'") == "2");
    CHECK(where("failureCategory eq null").empty());
    CHECK(where("failureCategory ne null") == "1 2 3");
    CHECK(where("failureCategory in ('authorization','userAbandonment')") == "1 3");
    CHECK(where("eventDateTime ge 2026-01-01T00:00:00Z") == "1 2 3");
    CHECK(where("eventDateTime gt 2026-01-01T00:00:00Z") == "2 3");
    CHECK(where("eventDateTime eq 2026-01-01T01:00:00.000+01:00") == "1");
    CHECK(ids(ask("GET", std::string(base) + "?$filter=eventDateTime ge 2026-01-01T02:00:00+01:00")) == "3");
    CHECK(where("eventDateTime lt 2026-01-01") == "");
    CHECK(where("userId eq null") == "3");
    CHECK(where("not (userId eq null)") == "1 2");
    CHECK(where("userId eq 'u1' or userId eq 'u2' and failureCategory eq 'authorization'") == "1");
    CHECK(where("contains(failureReason,'''s 100%')") == "3");
    CHECK(where("startswith(userId,'u') and endswith(userId,'2')") == "2");
    CHECK(where("id eq '00000000-0000-0000-0000-000000000002'") == "2");
    CHECK(where("id eq 00000000-0000-0000-0000-000000000002") == "2");
    CHECK(where("userId eq 'u1'' or ''1'' eq ''1'").empty());
    // As many and as deep as can be asked for.
    std::string many = "enrollmentType ne 'userEnrollment'";
    for (int i = 1; i < 100; ++i)
        many += (i % 2 ? " and " : " or ") + std::string("enrollmentType ne 'userEnrollment'");
    CHECK(where(many, beta) == "1 2 3");
    CHECK(where(std::string(31, '(') + "userId eq 'u1'" + std::string(31, ')')) == "1");
}

TEST_CASE_METHOD(graph_fixture, "pages lead through everything once, while events come and go", "[admin][graph]") {
    for (int i = 1; i <= 25; ++i)
        add({.id = guid(i), .at = time.now() + std::chrono::seconds(i / 5), .user_id = std::to_string(i % 3)});
    auto const query = GENERATE(as<std::string>(), "$top=7", "$top=7&$orderby=userId%20desc,eventDateTime",
        "$top=7&$filter=userId%20ne%20'x%26y'&$select=id&$count=true", "$top=4&$skip=0&other=1", "$top=25", "$top=1");
    auto const wanted = ids(ask("GET",
        std::string(base) + "?$top=1000&" + query.substr(query.find('&') + 1 ? query.find('&') + 1 : query.size())));
    std::string path = std::string(base) + "?" + query;
    std::string seen;
    for (int pages = 0; pages < 30; ++pages) {
        auto const page = ask("GET", path);
        REQUIRE(page.status == 200);
        seen += (seen.empty() ? "" : " ") + ids(page);
        auto const* const next = page.body.as_object().if_contains("@odata.nextLink");
        if (!next) break;
        auto const link = std::string(next->as_string());
        CHECK_THAT(link, Catch::StartsWith(std::string(origin) + base + "?") && Catch::Contains("$skiptoken="));
        path = link.substr(std::string(origin).size());
        // A newer one is for whoever asks again; the last one seen is where the next page begins, though it is gone.
        add({.id = new_guid(), .at = time.now() + 1h, .user_id = "9"});
        auto const last = std::string(page.value().back().at("id").as_string());
        db.write([&](store::connection& c) { store::remove_event(c, last); });
    }
    if (query.find("orderby") == query.npos) CHECK(seen == wanted);
    for (int i = 1; i <= 25; ++i) CHECK((" " + seen + " ").find(fmt::format(" {} ", i)) != std::string::npos);
}

TEST_CASE_METHOD(
    graph_fixture, "a next page's token that is not of this question is refused", "[admin][graph][security]") {
    for (int i = 1; i <= 3; ++i) add({.id = guid(i), .at = time.now()});
    auto const link = std::string(ask("GET", std::string(base) + "?$top=1").body.at("@odata.nextLink").as_string());
    auto const good = link.substr(link.find("$skiptoken=") + 11);
    auto const list = [&](std::string const& query) { return ask("GET", std::string(base) + "?" + query).status; };
    CHECK(list("$skiptoken=" + good) == 200);
    CHECK(list("$top=2&$count=true&$select=id&$skiptoken=" + good) == 200);
    CHECK(list("$orderby=userId&$skiptoken=" + good) == 400);
    CHECK(list("$filter=userId%20eq%20null&$skiptoken=" + good) == 400);
    CHECK(list("$skip=1&$skiptoken=" + good) == 400);
    auto const parts = json::parse(unbase64url(good).value()).as_array();
    auto const forged = [&](json::value const& v) { return "$skiptoken=" + base64url(json::serialize(v)); };
    CHECK(list(forged(parts)) == 200);
    auto const mark = parts[0];
    auto const id = parts[1];
    for (auto const& bad : {json::value(), json::value("x"), json::value(json::array()), json::value({mark, id}),
             json::value({mark, id, json::array()}), json::value({mark, id, {"x"}}), json::value({mark, id, {1, 2}}),
             json::value({mark, 1, {1}}), json::value({mark, "", {1}}), json::value({1, id, {1}}),
             json::value({mark, id, {1}, 1}), json::value({mark, id, 1})}) {
        CAPTURE(json::serialize(bad));
        CHECK(list(forged(bad)) == 400);
    }
    CHECK(list("$skiptoken=%00") == 400);
    CHECK(list("$skiptoken=" + good + "!") == 400);
    CHECK(list(forged({mark, "' OR 1=1 --", {0}})) == 200);  // a value like any other
}

TEST_CASE_METHOD(graph_fixture, "a store that fails is told without what failed", "[admin][graph][security]") {
    db.write([](store::connection& c) { c.execute("ALTER TABLE event RENAME TO elsewhere"); });
    token("admin");
    std::string logged;
    log::configure([&](log::record const& r) { logged += log::as_text(r) + "\n"; });
    for (auto const& r : {ask("GET", base), ask("POST", base, "{}"), ask("DELETE", base + ("/" + guid(1)))}) {
        CHECK(r.status == 503);
        CHECK(r.code() == "serviceNotAvailable");
        CHECK_FALSE(r.header("Retry-After").empty());
        auto const text = json::serialize(r.body);
        for (auto const* inside : {"event\"", "SELECT", "sql", "table", "SQL"})
            CHECK(text.find(inside) == std::string::npos);
    }
    log::configure(log::to_text);
    CHECK_THAT(logged, Catch::Contains("no such table"));
}
