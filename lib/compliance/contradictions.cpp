#include "compliance/contradictions.hpp"

#include <fmt/format.h>

#include "compliance/compliance.hpp"
#include "core/text.hpp"

namespace mdmd::compliance {

std::vector<config::problem> contradictions(std::vector<config::policy_file> const& policies) {
    std::vector<config::policy_file const*> with_rules;  // as the rulebook's chapters
    for (auto const& p : policies)
        if (!p.rules.empty()) with_rules.push_back(&p);
    rulebook const book(policies);
    auto const words = [&](std::size_t chapter, std::size_t number) {
        auto const& r = book.chapters()[chapter].rules[number];
        return fmt::format("{} {}", r.name == "uri" ? r.uri : r.name, printable(r.wanted, 100));
    };
    std::vector<config::problem> all;
    for (auto const& c : book.contradictions()) {
        auto const& here = *with_rules[c.other_chapter];
        auto const& there = *with_rules[c.chapter];
        auto const& rule = here.rules[c.other_rule];
        all.push_back({here.file, rule.uri_at.line, rule.uri_at.column, rule.key,
            fmt::format("'{}' and '{}' in line {} of {} are kept by no device: one that both are for is in conflict",
                words(c.other_chapter, c.other_rule), words(c.chapter, c.rule), there.rules[c.rule].line, there.file)});
    }
    return all;
}

}  // namespace mdmd::compliance
