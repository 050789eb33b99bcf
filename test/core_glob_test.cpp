#include "core/glob.hpp"

#include "test/support.hpp"

using namespace mdmd;

TEST_CASE("a pattern fits whole texts, in any case", "[core]") {
    auto const [pattern, text, fits] = GENERATE(table<char const*, char const*, bool>({
        {"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "anything", true}, {"PC-?", "pc-7", true},
        {"PC-?", "PC-", false}, {"PC-?", "PC-77", false}, {"pc-*", "PC-77", true}, {"*-7*", "PC-1-7", true},
        {"*ab", "aab", true}, {"a**b?", "a--bc", true}, {"a*b*c", "abd", false},
        {"@*", "`x", false},  // no letters, though 32 apart as those are
    }));
    CAPTURE(pattern, text);
    CHECK(fits_glob(pattern, text) == fits);
}

TEST_CASE("a pattern of many stars costs no more than its length times the text's", "[core][security]") {
    std::string pattern, text(4000, 'a');
    for (int i = 0; i < 500; ++i) pattern += "*a";
    CHECK_FALSE(fits_glob(pattern + "*b", text));
}
