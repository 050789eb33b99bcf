#include "core/os_version.hpp"

#include <array>
#include <charconv>
#include <limits>

#include "core/text.hpp"

namespace mdmd {
namespace {

struct edition {
    int number;
    std::string_view name;
};
constexpr std::array editions{edition{1, "Ultimate"}, edition{4, "Enterprise"}, edition{6, "Business"},
    edition{27, "EnterpriseN"}, edition{48, "Professional"}, edition{49, "ProfessionalN"},
    edition{72, "EnterpriseEvaluation"}, edition{98, "HomeN"}, edition{99, "HomeChina"},
    edition{100, "HomeSingleLanguage"}, edition{101, "Home"}, edition{119, "SurfaceHub"}, edition{121, "Education"},
    edition{122, "EducationN"}, edition{123, "IoTCore"}, edition{125, "EnterpriseLTSC"},
    edition{126, "EnterpriseLTSCN"}, edition{135, "Holographic"}, edition{136, "HolographicBusiness"},
    edition{161, "ProfessionalWorkstation"}, edition{162, "ProfessionalWorkstationN"},
    edition{164, "ProfessionalEducation"}, edition{165, "ProfessionalEducationN"},
    edition{175, "EnterpriseMultiSession"}, edition{188, "IoTEnterprise"}, edition{191, "IoTEnterpriseLTSC"}};

}  // namespace

std::optional<os_version> parse_os_version(std::string_view s) {
    auto const parts = split(trim(s), '.');
    if (parts.size() > 4) return std::nullopt;
    os_version v;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto const p = parts[i];
        auto const [end, ec] = std::from_chars(p.data(), p.data() + p.size(), v.parts[i]);
        if (p.empty() || ec != std::errc{} || end != p.data() + p.size()) return std::nullopt;
    }
    return v;
}

std::optional<os_version> parse_last_os_version(std::string_view s) {
    auto v = parse_os_version(s);
    if (v)
        for (auto i = split(trim(s), '.').size(); i < v->parts.size(); ++i)
            v->parts[i] = std::numeric_limits<std::uint32_t>::max();
    return v;
}

std::optional<int> parse_os_edition(std::string_view s) {
    s = trim(s);
    for (auto const& e : editions)
        if (iequals(e.name, s)) return e.number;
    int number = 0;
    auto const [end, failed] = std::from_chars(s.data(), s.data() + s.size(), number);
    return !s.empty() && failed == std::errc{} && end == s.data() + s.size() && number >= 0 ? std::optional(number)
                                                                                            : std::nullopt;
}

std::string os_edition_name(int number) {
    for (auto const& e : editions)
        if (e.number == number) return std::string(e.name);
    return std::to_string(number);
}

}  // namespace mdmd
