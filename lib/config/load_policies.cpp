#include <fmt/format.h>
#include <algorithm>

#include "config/files.hpp"
#include "config/load.hpp"
#include "config/policy_sections.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::chrono::seconds longest_delay = std::chrono::days(365);
constexpr std::size_t most_name = 100;  // bytes

policy_file read_policy(yaml::node const& root, findings& out) {
    policy_file into;
    section s(&root, {}, "", out);
    if (auto const name = s.require("name", "a name of at most 100 bytes", [](std::string const& text) {
            return text.size() <= most_name ? parse_text(std::string(trim(text))) : std::nullopt;
        }))
        into.name = *name;
    into.target = read_target(s.child("target"));
    bool const for_users = into.target.for_whom == scope::user;
    std::map<std::string, int> seen;
    read_items(s, "settings", [&](section item, int line) { read_setting(std::move(item), line, into, seen); });
    auto const apps = s.get("apps");
    if (apps && for_users) s.report(apps, "expected no apps in a policy with the scope user: packages are for devices");
    std::map<std::string, int> products;
    read_items(s, "apps", [&](section item, int line) { read_app(std::move(item), line, into, products); });
    auto compliance = s.child("compliance");
    if (compliance.present() && for_users)
        out.report(compliance.at(), "compliance",
            "expected no compliance rules in a policy with the scope user: they are for devices");
    compliance.assign(into.grace_period, "grace_period", a_delay, parse_delay);
    read_items(compliance, "rules", [&](section item, int line) { read_rule(std::move(item), line, into); });
    auto const actions = compliance.get("actions");
    read_items(compliance, "actions", [&](section item, int) { read_action(std::move(item), into); });
    if (actions && into.rules.empty() && !compliance.get("rules").broken)
        out.warn(actions.at, actions.key, "nothing of this is ever done, since the policy has no rules");
    compliance.done();
    s.done();
    if (into.settings.empty() && into.apps.empty() && into.rules.empty())
        out.warn({}, "", "this policy has no settings, no apps and no rules");
    return into;
}

// One of another name in a folder of policies is probably meant to be one.
bool looks_like_policy(std::filesystem::path const& file) {
    auto const extension = lower(file.extension().string());
    return extension == ".yml" || (extension == ".yaml" && file.extension() != ".yaml");
}

}  // namespace

std::optional<std::chrono::seconds> parse_delay(std::string const& text) {
    auto const d = parse_duration(text);
    return d && *d <= longest_delay ? d : std::nullopt;
}

loaded<policy_file> parse_policy(std::string const& text, std::filesystem::path const& name) {
    loaded<policy_file> out;
    findings found(name);
    auto const document = yaml::parse(text);
    for (auto const& m : document.mistakes) found.report(m.at, "", m.text);
    if (document.usable) {
        out.value = read_policy(document.root, found);
        out.value->file = name.filename().string();
    }
    out.warnings = found.warnings();
    out.problems = std::move(found).problems();
    if (!out.problems.empty()) out.value.reset();
    return out;
}

loaded<std::vector<policy_file>> load_policies(std::filesystem::path const& folder) {
    loaded<std::vector<policy_file>> out;
    std::error_code failure;
    std::filesystem::directory_iterator entries(folder, failure);
    if (failure == std::errc::no_such_file_or_directory) return {std::vector<policy_file>(), {}, {}};
    std::vector<std::filesystem::path> files;
    for (; !failure && entries != std::filesystem::directory_iterator(); entries.increment(failure)) {
        auto const& file = entries->path();
        if (file.filename().string().starts_with('.')) continue;
        if (file.extension() == ".yaml")
            files.push_back(file);
        else if (looks_like_policy(file))
            out.warnings.push_back({file, 0, 0, "", "not read, since a policy's name ends in .yaml"});
    }
    if (failure)
        out.problems.push_back({folder, 0, 0, "policies_dir",
            fmt::format("expected a readable folder, got '{}' ({})", printable(folder.string()), failure.message())});
    std::sort(files.begin(), files.end());

    std::vector<policy_file> all;
    std::map<std::string, std::string> by_name;  // policy's name -> file
    for (auto const& file : files) {
        auto const text = read_file(file, readers::anyone);
        if (!text) {
            out.problems.push_back({file, 0, 0, "", text.error().detail});
            continue;
        }
        auto one = parse_policy(*text, file);
        out.problems.insert(out.problems.end(), one.problems.begin(), one.problems.end());
        out.warnings.insert(out.warnings.end(), one.warnings.begin(), one.warnings.end());
        if (!one.value) continue;
        if (auto const [known, added] = by_name.emplace(one.value->name, one.value->file); !added)
            out.problems.push_back({file, 1, 1, "name",
                fmt::format("expected a name of its own, got '{}', which {} has", printable(one.value->name, 100),
                    printable(known->second))});
        all.push_back(std::move(*one.value));
    }
    if (out.problems.empty()) out.value = std::move(all);
    return out;
}

}  // namespace mdmd::config
