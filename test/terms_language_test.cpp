#include "terms/language.hpp"

#include "core/text.hpp"
#include "terms/words.hpp"
#include "test/support.hpp"

using namespace mdmd;
using list = std::vector<std::string>;

TEST_CASE("a language tag is what BCP 47 says", "[terms][language]") {
    auto const [tag, canonical] = GENERATE(table<std::string, std::string>({{"de", "de"}, {"DE-at", "de-AT"},
        {"ZH-hans-cn", "zh-Hans-CN"}, {"es-419", "es-419"}, {"sl-rozaj-biske-1994", "sl-rozaj-biske-1994"},
        {"DE-u-CO-phonebk", "de-u-co-phonebk"}, {"en-x-A", "en-x-a"}, {"zh-cmn-Hans", "zh-cmn-Hans"}, {"fil", "fil"}}));
    CAPTURE(tag);
    CHECK(terms::is_language_tag(tag));
    CHECK(terms::canonical_tag(tag) == canonical);
}

TEST_CASE("what is no language tag is none", "[terms][language]") {
    auto const tag = GENERATE(
        values<std::string>({"", "d", "german", "de_AT", "de-", "-de", "de--AT", "d3", "*", "de-x", "de-u", "de-AT-AT",
            "de-\xc3\xa4", "x-private", "???", "en-u-a", "de-x-123456789", std::string(100, 'a'), "de at"}));
    CAPTURE(tag);
    CHECK_FALSE(terms::is_language_tag(tag));
}

TEST_CASE("what a user asks for is read best first", "[terms][language]") {
    auto const [preferred, accept, expected] = GENERATE(table<std::string, std::string, list>({
        {"", "", {}},
        {"de-DE", "en-US,en;q=0.9", {"de-DE", "en-US", "en"}},
        {"", "fr;q=0.5, de , en;q=0.7", {"de", "en", "fr"}},
        {"", "a;q=1, de;q=0, fr;q=0.001,es;Q=0.002", {"es", "fr"}},
        {"", "de;q=, en;q=2, fr;q=0.1234, es;q=1.001, ja;q=x, zh;level=1, ar;q=1.000", {"ar"}},
        {"???", "*;q=0.1,,;,;;q=1,-,\xff", {}},
        {"", "da; q=0.3 , nl ;q=0.4", {"nl", "da"}},
    }));
    CAPTURE(preferred, accept);
    CHECK(terms::languages_of({{"CXH-preferredLanguage", preferred}, {"Accept-Language", accept}}) == expected);
}

TEST_CASE("a header without an end is read as far as it is worth it", "[terms][language][security]") {
    std::string many;
    for (int i = 0; i < 200'000; ++i) many += "en,";
    CHECK(terms::languages_of({{"Accept-Language", many}}).size() == 32);
    CHECK(terms::languages_of({{"Accept-Language", std::string(1'000'000, ';')}}).empty());
    CHECK(terms::languages_of({{"Accept-Language", std::string(1'000'000, 'a')}}).empty());
}

TEST_CASE("the best of what there is is found", "[terms][language]") {
    auto const [ranges, available, expected] = GENERATE(table<list, list, std::string>({
        {{"de"}, {"en", "de"}, "de"},
        {{"DE-at"}, {"en", "de"}, "de"},
        {{"de-CH-1996"}, {"de", "de-CH"}, "de-CH"},
        {{"fr", "de"}, {"en", "de"}, "de"},
        {{"de"}, {"en", "de-AT", "de-CH"}, "de-AT"},
        {{"de-u-co-phonebk"}, {"de"}, "de"},
        {{"zh"}, {"en", "zh-Hans"}, "zh-Hans"},
        {{"zh-CN"}, {"en", "zh-Hans"}, "zh-Hans"},
        {{"zh-SG"}, {"en", "zh-Hans"}, "zh-Hans"},
        {{"zh-Hans-CN"}, {"en", "zh-CN"}, "zh-CN"},
        {{"zh-TW"}, {"en", "zh-Hans"}, ""},
        {{"zh-Hant", "ja"}, {"zh-Hans", "ja"}, "ja"},
        {{"zh-HK"}, {"zh-Hans", "zh-Hant"}, "zh-Hant"},
        {{"sr-Latn"}, {"sr-Cyrl"}, ""},
        {{"sr-Latn-RS"}, {"sr"}, "sr"},
        {{"it"}, {"en", "de"}, ""},
        {{}, {"en"}, ""},
        {{"de"}, {}, ""},
    }));
    CAPTURE(ranges, available);
    auto const got = terms::best_language(ranges, available);
    CHECK((got ? available[*got] : "") == expected);
}

TEST_CASE("words are English for whoever speaks what is not built in", "[terms][language]") {
    CHECK(&terms::words_for({}) == &terms::english);
    CHECK(&terms::words_for({"it", "zh-TW"}) == &terms::english);
    CHECK(&terms::words_for({"it", "ar-SA"}) == &terms::arabic);
    CHECK(&terms::words_for({"zh-CN"}) == &terms::chinese);
    CHECK(&terms::words_for({"es-419"}) == &terms::spanish);
}

TEST_CASE("a language runs the way that it is written", "[terms][language]") {
    for (auto const* tag : {"ar", "ar-EG", "he", "fa", "UR", "ku-Arab", "az-Arab-IR"})
        CHECK(terms::direction_of(tag) == "rtl");
    for (auto const* tag : {"de", "zh-Hans", "ar-Latn", "ja", "az"}) CHECK(terms::direction_of(tag) == "ltr");
}
