// What the pages at the end of a sign-in say besides what terms::words has, in the same languages. Private to
// lib/terms.
#pragma once
#include <span>
#include <string_view>

namespace mdmd::terms {

struct sign_in_words {
    std::string_view tag;  // BCP 47, as that of terms::words
    std::string_view signed_in, goes_on;
    std::string_view not_signed_in;
    std::string_view off, cancelled, not_assigned, refused, unavailable;
};
extern std::span<sign_in_words const> const all_sign_in_words;  // English first

}  // namespace mdmd::terms
