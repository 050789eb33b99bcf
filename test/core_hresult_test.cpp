#include "core/hresult.hpp"

#include "test/support.hpp"

using namespace mdmd;

TEST_CASE("an error of Windows' is read in each way in which it is shown", "[core]") {
    for (auto const* text : {"0x80180013", "0X80180013", " 80180013 ", "2149056531", "-2145910765"}) {
        CAPTURE(text);
        CHECK(parse_hresult(text) == 0x80180013U);
    }
    CHECK(parse_hresult("0x6") == 6U);
    CHECK(parse_hresult("8600000f") == 0x8600000fU);
    for (auto const* text : {"", "0x", "x", "0x1FFFFFFFF", "4294967296", "-2147483649", "0x80180013 ?", "E_FAIL"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_hresult(text));
    }
}
