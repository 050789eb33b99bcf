// Languages as BCP 47 names them: what a user asks for, and what of what there is answers that best.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http_message.hpp"

namespace mdmd::terms {

// Well formed, with a primary language of two or three letters: "de", "zh-Hans", "es-419", not "german".
bool is_language_tag(std::string_view);
// The case that RFC 5646 section 2.1.1 recommends: "zh-Hans-CN" of "ZH-hans-cn".
std::string canonical_tag(std::string_view);
std::string_view direction_of(std::string_view tag);  // "rtl" or "ltr"

// What the user asks for, best first, each well formed: cxh-preferredLanguage, which is what Windows' own pages speak,
// then Accept-Language by its q values [RFC 9110 section 12.5.4]. What cannot be read of them is left out.
std::vector<std::string> languages_of(http::fields const&);

// Which of `available` answers best [RFC 4647 section 3.4, lookup]: for each range in turn the tag that is it, or
// that it begins with; else a tag of the same language in no other script ("de-AT" for "de-CH"). Chinese without a
// script has that of its region: zh, zh-CN and zh-SG are zh-Hans, zh-TW, zh-HK and zh-MO are zh-Hant.
std::optional<std::size_t> best_language(
    std::vector<std::string> const& ranges, std::vector<std::string> const& available);

}  // namespace mdmd::terms
