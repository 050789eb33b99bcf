// What the pages say, in each language that is built in. {organization}, {user} and {version} are replaced.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "terms/terms.hpp"

namespace mdmd::terms {

struct words {
    std::string_view tag;   // BCP 47
    std::string_view name;  // of the language, in itself

    // The page.
    std::string_view title;      // "Terms of use of {organization}"
    std::string_view signed_in;  // "Signed in as {user}"
    std::string_view version;    // "Version {version}"
    std::string_view accept, decline;
    std::string_view pin, pin_hint, pin_missing, pin_wrong;

    // Pages without a decision.
    std::string_view management;   // their title: "Device management"
    std::string_view turned_away;  // "This device cannot be managed by {organization}"
    std::string_view enrollment_off, personal_blocked, not_in_group, maintenance, pin_locked;
    std::string_view next;  // "Continue"
    std::string_view refused;
    std::string_view incomplete, foreign, expired, answered, no_such_answer, text_changed;
    std::string_view start_again;

    // The texts that stand where the organization wrote none, in Markdown.
    std::string_view corporate, personal;

    std::string_view because(turned_away_because) const;
    std::string_view because(refused_because) const;
};

extern words const english, german, french, spanish, japanese, chinese, arabic;
std::span<words const* const> all_words();  // English first

// Those that answer what the user asks for; English where none does.
words const& words_for(std::vector<std::string> const& languages);

// The pattern as HTML: the two names are escaped and kept out of the direction of what is around them (<bdi>).
// Other braces stay.
std::string fill_in(std::string_view pattern, std::string_view organization, std::string_view user);

}  // namespace mdmd::terms
