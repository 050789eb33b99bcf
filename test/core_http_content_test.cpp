#include "core/http_content.hpp"
#include "test/support.hpp"

using namespace mdmd;
using http::byte_range;
using kind = byte_range::kind;

TEST_CASE("a Range field gives the part that it asks for", "[http content]") {
    struct row {
        char const* field;
        std::uint64_t size;
        byte_range wanted;
    };
    row const rows[] = {
        {"bytes=0-499", 1000, {kind::part, 0, 500}},
        {"bytes=500-999", 1000, {kind::part, 500, 500}},
        {"bytes=500-", 1000, {kind::part, 500, 500}},
        {"bytes=999-", 1000, {kind::part, 999, 1}},
        {"bytes=0-", 1000, {kind::part, 0, 1000}},
        {"bytes=0-0", 1000, {kind::part, 0, 1}},
        {"bytes=0-99999", 1000, {kind::part, 0, 1000}},
        {"bytes=10-18446744073709551615", 1000, {kind::part, 10, 990}},
        {"bytes=10-99999999999999999999999", 1000, {kind::part, 10, 990}},
        {"bytes=-200", 1000, {kind::part, 800, 200}},
        {"bytes=-1", 1000, {kind::part, 999, 1}},
        {"BYTES=1-2", 1000, {kind::part, 1, 2}},
        {" bytes=1-2 ", 1000, {kind::part, 1, 2}},
        {"bytes=5000000000-", 6000000000, {kind::part, 5000000000, 1000000000}},
        // more than there is
        {"bytes=-1000", 1000, {kind::whole, 0, 1000}},
        {"bytes=-5000", 1000, {kind::whole, 0, 1000}},
        {"bytes=-99999999999999999999999", 1000, {kind::whole, 0, 1000}},
        // nothing of it
        {"bytes=1000-", 1000, {kind::unsatisfiable, 0, 0}},
        {"bytes=1000-2000", 1000, {kind::unsatisfiable, 0, 0}},
        {"bytes=99999999999999999999999-", 1000, {kind::unsatisfiable, 0, 0}},
        {"bytes=-0", 1000, {kind::unsatisfiable, 0, 0}},
        {"bytes=0-", 0, {kind::unsatisfiable, 0, 0}},
        {"bytes=-5", 0, {kind::whole, 0, 0}},
        // no range, another unit, several
        {"", 1000, {kind::whole, 0, 1000}},
        {"bytes", 1000, {kind::whole, 0, 1000}},
        {"bytes=", 1000, {kind::whole, 0, 1000}},
        {"bytes=-", 1000, {kind::whole, 0, 1000}},
        {"bytes=5", 1000, {kind::whole, 0, 1000}},
        {"bytes=9-5", 1000, {kind::whole, 0, 1000}},
        {"bytes=a-5", 1000, {kind::whole, 0, 1000}},
        {"bytes=1-x", 1000, {kind::whole, 0, 1000}},
        {"bytes=+1-5", 1000, {kind::whole, 0, 1000}},
        {"bytes=1--5", 1000, {kind::whole, 0, 1000}},
        {"bytes=1 -5", 1000, {kind::whole, 0, 1000}},
        {"bytes=0-1,5-6", 1000, {kind::whole, 0, 1000}},
        {"bytes=0-1,", 1000, {kind::whole, 0, 1000}},
        {"items=0-1", 1000, {kind::whole, 0, 1000}},
        {"0-1", 1000, {kind::whole, 0, 1000}},
    };
    for (auto const& r : rows) {
        INFO(r.field << " of " << r.size);
        auto const got = http::choose_range(r.field, r.size);
        CHECK(got.what == r.wanted.what);
        CHECK(got.offset == r.wanted.offset);
        CHECK(got.length == r.wanted.length);
    }
}

TEST_CASE("Content-Range tells the part, or the size alone", "[http content]") {
    CHECK(http::content_range({kind::part, 0, 500}, 1234) == "bytes 0-499/1234");
    CHECK(http::content_range({kind::part, 1233, 1}, 1234) == "bytes 1233-1233/1234");
    CHECK(http::content_range({kind::unsatisfiable, 0, 0}, 1234) == "bytes */1234");
}

TEST_CASE("an entity tag is found in a list, whatever its strength there", "[http content]") {
    for (auto const* list : {"\"a\"", "*", " * ", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\"", "\"a\" , \"c\""})
        CHECK(http::has_tag(list, "\"a\""));
    for (auto const* list : {"", "a", "\"b\"", "\"A\"", "w/\"a\"", "\"a", "\"aa\""})
        CHECK_FALSE(http::has_tag(list, "\"a\""));
}

TEST_CASE("a date is written as HTTP has it", "[http content]") {
    CHECK(http::http_date(from_ms(784'111'777'999)) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(http::http_date(from_ms(0)) == "Thu, 01 Jan 1970 00:00:00 GMT");
}
