#include "terms/words.hpp"

#include "core/text.hpp"
#include "terms/language.hpp"

namespace mdmd::terms {

std::string_view words::because(turned_away_because why) const {
    switch (why) {
        case turned_away_because::enrollment_off: return enrollment_off;
        case turned_away_because::personal_blocked: return personal_blocked;
        case turned_away_because::not_in_group: return not_in_group;
        case turned_away_because::maintenance: return maintenance;
        case turned_away_because::pin_locked: return pin_locked;
    }
    return {};
}

std::string_view words::because(refused_because why) const {
    switch (why) {
        case refused_because::incomplete: return incomplete;
        case refused_because::foreign: return foreign;
        case refused_because::expired: return expired;
        case refused_because::answered: return answered;
        case refused_because::no_such_answer: return no_such_answer;
        case refused_because::text_changed: return text_changed;
    }
    return {};
}

std::span<words const* const> all_words() {
    static constexpr words const* all[] = {&english, &german, &french, &spanish, &japanese, &chinese, &arabic};
    return all;
}

words const& words_for(std::vector<std::string> const& languages) {
    static std::vector<std::string> const tags = [] {
        std::vector<std::string> out;
        for (auto const* w : all_words()) out.emplace_back(w->tag);
        return out;
    }();
    return *all_words()[best_language(languages, tags).value_or(0)];
}

std::string fill_in(std::string_view pattern, std::string_view organization, std::string_view user) {
    std::string out;
    while (!pattern.empty()) {
        auto const at = pattern.find('{');
        out += pattern.substr(0, at);
        if (at == pattern.npos) break;
        pattern.remove_prefix(at);
        auto const put = [&](std::string_view name, std::string_view value) {
            if (!pattern.starts_with(name)) return false;
            out += "<bdi>" + html_escape(value) + "</bdi>";
            pattern.remove_prefix(name.size());
            return true;
        };
        if (put("{organization}", organization) || put("{user}", user)) continue;
        out += '{';
        pattern.remove_prefix(1);
    }
    return out;
}

}  // namespace mdmd::terms
