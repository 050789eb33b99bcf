// Property: no text, as a policy, does harm; what is accepted can be compared, matched and sent.
#include <cstdint>
#include <cstdlib>

#include "config/load.hpp"
#include "config/node_uri.hpp"
#include "config/pattern.hpp"
#include "config/substitution.hpp"

using namespace mdmd::config;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const text(reinterpret_cast<char const*>(data), size);
    auto const got = parse_policy(text, "fuzz.yaml");
    if (got.value.has_value() != got.problems.empty()) std::abort();
    if (!got.value) return 0;
    if (got.value->name.empty()) std::abort();
    for (auto const& s : got.value->settings) {
        auto const canonical = canonical_node_uri(s.uri);
        if (canonical_node_uri(canonical) != canonical) std::abort();
        if (s.value.has_value() == (s.format == "node" || s.format == "null")) std::abort();
        if (s.uri.starts_with("./User/") != (got.value->target.for_whom == scope::user)) std::abort();
        if ((s.format == "chr" || s.format == "xml") && !parse_template(*s.value)) std::abort();
    }
    for (auto const& a : got.value->apps)
        if (a.product_code.size() != 38 || (a.intent == app_intent::install && a.url.empty() == a.file.empty()))
            std::abort();
    for (auto const& rule : got.value->rules)
        if (auto const* const r = std::get_if<uri_rule>(&rule.what)) {
            if (r->values.empty()) std::abort();
            if (r->op != comparison::matches) continue;
            auto const expression = pattern::compile(r->values.front());
            if (!expression) std::abort();
            static_cast<void>(expression->found_in("2.0, 0, 1.38 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"));
        }
    return 0;
}
