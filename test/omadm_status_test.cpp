#include <set>

#include "omadm/original_error.hpp"
#include "omadm/status.hpp"
#include "test/support.hpp"

using namespace mdmd;

TEST_CASE("every status that a device may answer with has a meaning and a remedy", "[omadm]") {
    for (int const code : {200, 202, 212, 213, 214, 215, 216, 217, 400, 401, 403, 404, 405, 406, 407, 408, 409, 410,
             411, 412, 413, 414, 415, 416, 417, 418, 420, 424, 425, 500, 501, 503, 505, 506, 507, 508, 510, 511, 513,
             514, 516, 517, 600, 620, 639}) {
        CAPTURE(code);
        auto const* const m = omadm::find_status(code);
        REQUIRE(m);
        for (std::string_view const sentence : {m->meaning, m->remedy}) {
            CHECK(!sentence.empty());
            CHECK((sentence.starts_with('`') || (sentence[0] >= 'A' && sentence[0] <= 'Z')));
            CHECK(sentence.ends_with('.'));
        }
    }
}

TEST_CASE("statuses are each explained once, in order, and others not at all", "[omadm]") {
    int last = 0;
    for (auto const& m : omadm::status_meanings()) {
        CHECK(m.first > last);
        CHECK(m.last >= m.first);
        last = m.last;
        CHECK(omadm::find_status(m.first) == &m);
    }
    for (int const unknown : {-1, 0, 199, 201, 299, 419, 599, 640}) CHECK(omadm::find_status(unknown) == nullptr);
}

TEST_CASE("Windows' own errors are found by number and by name, each explained once, in order", "[omadm]") {
    std::uint32_t last = 0;
    for (auto const& e : omadm::original_errors()) {
        CAPTURE(e.name);
        CHECK(e.code > last);
        last = e.code;
        CHECK(omadm::find_original_error(e.name) == &e);
        CHECK(omadm::find_original_error(std::to_string(e.code)) == &e);
        for (std::string_view const sentence : {e.meaning, e.remedy}) {
            CHECK(sentence.ends_with('.'));
            CHECK(sentence.starts_with(static_cast<char>(std::toupper(sentence[0]))));
        }
    }
    auto const* const known = omadm::find_original_error("0x86000002");
    REQUIRE(known);
    CHECK(known->name == std::string_view("CFGMGR_E_NODENOTFOUND"));
    CHECK(omadm::find_original_error("-2046820350") == known);
    for (auto const* unknown : {"", "0", "0x8600ffff", "NODENOTFOUND", "404"})
        CHECK(omadm::find_original_error(unknown) == nullptr);
}
