#include "admin/graph_event.hpp"
#include "admin/odata.hpp"
#include "core/text.hpp"
#include "test/support.hpp"

using namespace mdmd;
namespace odata = mdmd::admin::odata;

namespace {

struct row {
    char const* text;
    char const* wanted;  // the same with every operator in parentheses, or a part of what is wrong
};

std::string repeat(std::string_view s, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += s;
    return out;
}

}  // namespace

TEST_CASE("a filter is read with the precedence that OData gives its operators", "[admin][odata]") {
    auto const r = GENERATE(values<row>({
        {"a eq 'x'", "a eq 'x'"},
        {"  a  ne\t'x' ", "a ne 'x'"},
        {"a gt 1", "a gt 1"},
        {"a ge -1.5e3", "a ge -1.5e3"},
        {"a lt true", "a lt true"},
        {"a le null", "a le null"},
        {"a/b eq 'x'", "a/b eq 'x'"},
        {"a eq ''", "a eq ''"},
        {"a eq 'It''s'", "a eq 'It''s'"},
        {"a eq ''''", "a eq ''''"},
        {"a eq ' and (b) or '", "a eq ' and (b) or '"},
        {"a eq 'Z\xC3\xBCrich'", "a eq 'Z\xC3\xBCrich'"},
        {"a eq C7A3A8F1-0000-0000-0000-000000000001", "a eq 'c7a3a8f1-0000-0000-0000-000000000001'"},
        {"a ge 2026-01-01T00:00:00Z", "a ge 2026-01-01T00:00:00Z"},
        {"a ge 2026-01-01T00:00:00.3984029Z", "a ge 2026-01-01T00:00:00.398Z"},
        {"a ge 2026-01-01T01:00:00+01:00", "a ge 2026-01-01T00:00:00Z"},
        {"a ge 2026-01-01T01:00:00 01:00 and b eq 1", "(a ge 2026-01-01T00:00:00Z) and (b eq 1)"},
        {"a ge 2025-12-31T23:00:00-01:00", "a ge 2026-01-01T00:00:00Z"},
        {"a ge 2026-01-01", "a ge 2026-01-01T00:00:00Z"},
        {"a eq microsoft.graph.kind'one'", "a eq microsoft.graph.kind'one'"},
        {"a in ('x','y' , 'z')", "a in ('x','y','z')"},
        {"a eq 1 and b eq 2 or c eq 3", "((a eq 1) and (b eq 2)) or (c eq 3)"},
        {"a eq 1 or b eq 2 and c eq 3", "(a eq 1) or ((b eq 2) and (c eq 3))"},
        {"(a eq 1 or b eq 2) and c eq 3", "((a eq 1) or (b eq 2)) and (c eq 3)"},
        {"a eq 1 and b eq 2 and c eq 3", "(a eq 1) and (b eq 2) and (c eq 3)"},
        {"((a eq 1))", "a eq 1"},
        {"not (a eq 1)", "not (a eq 1)"},
        {"not(a eq 1)and b eq 2", "(not (a eq 1)) and (b eq 2)"},
        {"not not (a eq 1)", "not (not (a eq 1))"},
        {"not contains(a,'x')", "not (contains(a,'x'))"},
        {"startswith(a,'x') and endswith( a , 'y' )", "(startswith(a,'x')) and (endswith(a,'y'))"},
        {"notes eq 1", "notes eq 1"},
        {"nota eq 1 and orb eq 2", "(nota eq 1) and (orb eq 2)"},
    }));
    CAPTURE(r.text);
    auto const got = odata::parse_filter(r.text);
    REQUIRE(got);
    CHECK(odata::to_text(*got) == r.wanted);
    auto const again = odata::parse_filter(odata::to_text(*got));
    REQUIRE(again);
    CHECK(odata::to_text(*again) == r.wanted);
}

TEST_CASE("a filter that is wrong is refused at the place where it is", "[admin][odata]") {
    auto const r = GENERATE(values<row>({
        {"", "at character 1: expected a property, a function, 'not' or '(', got the end"},
        {"   ", "at character 4: expected a property"},
        {"a", "at character 2: expected eq, ne"},
        {"a eq", "at character 5: expected a value, got the end"},
        {"a EQ 'x'", "at character 3: expected eq, ne, gt, ge, lt, le or in, got 'EQ"},
        {"a = 'x'", "at character 3"},
        {"a eq 'x", "at character 6: the text that begins here does not end"},
        {"a eq \"x\"", "at character 6: expected a value"},
        {"a eq x", "at character 6: expected a value"},
        {"a eq 2026-13-01T00:00:00Z", "at character 6"},
        {"a eq 'x' b", "at character 10: expected 'and', 'or' or the end"},
        {"a eq 'x' AND b eq 1", "at character 10"},
        {"a eq 'x' and", "at character 13: expected a property"},
        {"(a eq 'x'", "at character 10: expected 'and', 'or' or ')', got the end"},
        {"a eq 'x')", "at character 9: expected 'and', 'or' or the end"},
        {"()", "at character 2: expected a property"},
        {"not a eq 'x'", "at character 5: expected '(' or a function after 'not'"},
        {"'x' eq a", "at character 1: expected a property"},
        {"tolower(a) eq 'x'", "at character 1: expected startswith, endswith or contains, got 'tolower'"},
        {"contains(a)", "at character 11: expected ','"},
        {"contains(a,1)", "at character 12: expected a text in quotes"},
        {"contains('a',a)", "at character 10: expected a property"},
        {"a in ()", "at character 7: expected a value"},
        {"a in ('x'", "expected ',' or ')'"},
        {"a has 'x'", "at character 3"},
        {"a add 1 eq 2", "at character 3"},
        {"a eq 1;", "at character 6"},
        {"a eq b", "at character 6"},
    }));
    CAPTURE(r.text);
    auto const got = odata::parse_filter(r.text);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
    CHECK_THAT(got.error().detail, Catch::StartsWith("$filter, at character "));
    CHECK_THAT(got.error().detail, Catch::Contains(r.wanted));
}

TEST_CASE(
    "a filter has its limits in depth, number and length, just within which it is read", "[admin][odata][security]") {
    auto const deep = [](int levels) { return repeat("(", levels - 1) + "a eq 1" + repeat(")", levels - 1); };
    CHECK(odata::parse_filter(deep(odata::deepest)));
    CHECK_FALSE(odata::parse_filter(deep(odata::deepest + 1)));
    CHECK_FALSE(odata::parse_filter(repeat("(", 100'000)));
    CHECK_FALSE(odata::parse_filter(repeat("not ", 100'000)));
    auto const many = [](int terms) { return repeat("a eq 1 or ", terms - 1) + "a eq 1"; };
    CHECK(odata::parse_filter(many(odata::most_terms)));
    CHECK_FALSE(odata::parse_filter(many(odata::most_terms + 1)));
    auto const list = [](int terms) { return "a in (" + repeat("1,", terms - 1) + "1)"; };
    CHECK(odata::parse_filter(list(odata::most_terms)));
    CHECK_FALSE(odata::parse_filter(list(odata::most_terms + 1)));
    auto const wide = [](std::size_t bytes) { return "$filter=a%20eq%20'" + std::string(bytes - 7, 'x') + "'"; };
    CHECK(odata::parse_query(wide(odata::longest_option)));
    CHECK_FALSE(odata::parse_query(wide(odata::longest_option + 1)));
}

TEST_CASE("the query options are read, and all but $skip and $skiptoken are repeated", "[admin][odata]") {
    auto const got = odata::parse_query(
        "$filter=a+eq+'x%26y'&$orderby=b%20desc,%20c&%24select=id,b&$top=5&$skip=10&$count=true&$skiptoken=abc&"
        "tenant=1&$$&x");
    REQUIRE_FALSE(got);  // "$$"
    auto const q = odata::parse_query(
        "$filter=a+eq+'x%26y'&$orderby=b%20desc,%20c&%24select=id,b&$top=5&$skip=10&$count=true&$skiptoken=abc&"
        "tenant=1&&top=9")
                       .value();
    CHECK(odata::to_text(*q.filter) == "a eq 'x&y'");
    REQUIRE(q.order.size() == 2);
    CHECK((q.order[0].property == "b" && q.order[0].descending));
    CHECK((q.order[1].property == "c" && !q.order[1].descending));
    CHECK(q.select == std::vector<std::string>{"id", "b"});
    CHECK(q.top == 5);
    CHECK(q.skip == 10);
    CHECK(q.count);
    CHECK(q.skip_token == "abc");
    CHECK_FALSE(q.empty);
    auto const again = odata::parse_query(q.repeated).value();
    CHECK(odata::to_text(*again.filter) == odata::to_text(*q.filter));
    CHECK((again.order.size() == 2 && again.select == q.select && again.top == 5 && again.count));
    CHECK((again.skip == 0 && again.skip_token.empty()));
    CHECK(again.repeated == q.repeated);
    CHECK(odata::parse_query("").value().empty);
    CHECK(odata::parse_query("tenant=1&filter=x").value().empty);
}

TEST_CASE("a query option that is unknown, repeated or out of range is refused by name", "[admin][odata][security]") {
    auto const r = GENERATE(values<row>({
        {"$expand=x", "the query option '$expand' is not supported"},
        {"$search=x", "$search"},
        {"$apply=x", "$apply"},
        {"$format=json", "$format"},
        {"$Filter=a eq 1", "$Filter"},
        {"$=x", "'$'"},
        {"$top=0", "$top: expected a whole number from 1 to 1000, got '0'"},
        {"$top=1001", "$top"},
        {"$top=-1", "$top"},
        {"$top=1.0", "$top"},
        {"$top=", "$top"},
        {"$top", "$top"},
        {"$top=99999999999999999999", "$top"},
        {"$top=0x10", "$top"},
        {"$skip=-1", "$skip"},
        {"$skip=2147483648", "$skip"},
        {"$count=yes", "$count: expected true or false"},
        {"$count=TRUE", "$count"},
        {"$skiptoken=", "$skiptoken"},
        {"$top=1&$top=1", "$top: given twice"},
        {"$filter=a eq 1&%24filter=a eq 1", "$filter: given twice"},
        {"$orderby=", "$orderby, at character 1: expected a property"},
        {"$orderby=a up", "$orderby, at character 3"},
        {"$orderby=a,", "$orderby"},
        {"$orderby=a,a,a,a,a,a,a,a,a", "$orderby, at character 17: over 8 properties"},
        {"$select=", "$select, at character 1"},
        {"$select=a b", "$select, at character 3"},
        {"$select=a,,b", "$select, at character 3"},
        {"$filter=a eq '%FF'", "UTF-8"},
        {"$filter=a eq '%00'", "UTF-8"},
        {"$filter=a eq '%ED%A0%80'", "UTF-8"},
        {"$filter=%zz", "encoded"},
        {"x=%", "encoded"},
    }));
    CAPTURE(r.text);
    auto const got = odata::parse_query(r.text);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
    CHECK_THAT(got.error().detail, Catch::Contains(r.wanted));
    CHECK(printable(got.error().detail, 4096) == got.error().detail);
}

TEST_CASE("properties, types and members are looked up as each version has them", "[admin][odata]") {
    using admin::graph_version;
    auto const filter = [](char const* text, graph_version v) {
        return admin::read_filter(odata::parse_filter(text).value(), v);
    };
    for (auto const v : {graph_version::v1, graph_version::beta})
        for (auto const* good : {"id eq 'C7A3A8F1-0000-0000-0000-000000000001'", "eventDateTime ge 2026-01-01",
                 "correlationId eq null", "managedDeviceIdentifier ne 'x'", "startswith(operatingSystem,'Win')",
                 "contains(osVersion,'22631')", "userId in ('a','b')", "deviceId gt ''",
                 "enrollmentType eq 'windowsAzureADJoin'", "failureCategory gt 'authorization'",
                 "failureCategory eq microsoft.graph.deviceEnrollmentFailureReason'authorization'",
                 "enrollmentType in (microsoft.graph.deviceEnrollmentType'unknown','userEnrollment')",
                 "failureReason ne null", "enrollmentType ne null"}) {
            CAPTURE(good);
            CHECK(filter(good, v));
        }
    auto const bad = GENERATE(values<row>({
        {"nothing eq 'x'", "at character 1: there is no property 'nothing'"},
        {"failurecategory eq 'x'", "there is no property"},
        {"eventName eq 'x'", "there is no property 'eventName'"},
        {"failureCategory eq 'nonsense'", "at character 20: 'nonsense' is no member of"},
        {"failureCategory eq 'Authorization'", "is no member"},
        {"failureCategory eq 2", "expected a member of microsoft.graph.deviceEnrollmentFailureReason in quotes"},
        {"failureCategory eq '2'", "is no member"},
        {"failureCategory eq microsoft.graph.deviceEnrollmentType'unknown'", "expected a member"},
        {"contains(failureCategory,'auth')", "is not a text"},
        {"enrollmentType eq 'androidEnterpriseFullyManaged'", "is no member"},
        {"eventDateTime ge 'x'", "at character 18: eventDateTime is a time, without quotes"},
        {"eventDateTime ge 5", "is a time"},
        {"startswith(eventDateTime,'2026')", "is not a text"},
        {"userId eq 5", "at character 11: userId is a text, in quotes"},
        {"userId eq true", "is a text"},
        {"userId eq 2026-01-01", "is a text"},
        {"userId eq x.y'z'", "is a text"},
        {"additionalInformation eq 'x'", "there is no property"},
    }));
    CAPTURE(bad.text);
    auto const got = filter(bad.text, graph_version::v1);
    REQUIRE_FALSE(got);
    CHECK_THAT(got.error().detail, Catch::StartsWith("$filter, at character ") && Catch::Contains(bad.wanted));
    CHECK(filter("eventName eq 'x'", graph_version::beta));
    CHECK(filter("enrollmentType eq 'androidEnterpriseFullyManaged'", graph_version::beta));
    CHECK_FALSE(filter("additionalInformation eq 'x'", graph_version::beta));
}
