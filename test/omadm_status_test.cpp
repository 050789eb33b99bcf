#include <set>

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
