// mdmctl policies check: what is wrong with policies, without the daemon.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "catalogue/check.hpp"
#include "compliance/contradictions.hpp"
#include "config/admin_socket.hpp"
#include "config/load.hpp"
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {
namespace {

namespace fs = std::filesystem;

struct checked {
    std::vector<catalogue::finding> findings;
    std::size_t policies = 0;
    std::vector<config::policy_file> read;  // those of them that can be

    void add(std::vector<config::problem> all, bool error) {
        for (auto& p : all) findings.push_back({std::move(p), error});
    }
    std::size_t count(bool error) const {
        return static_cast<std::size_t>(std::count_if(
            findings.begin(), findings.end(), [&](catalogue::finding const& f) { return f.error == error; }));
    }
};

// What one file says; `own`: what is wrong with it by itself was not added yet.
void check_file(checked& out, fs::path const& file, bool own) {
    std::ifstream in(file, std::ios::binary);
    std::string const text(std::istreambuf_iterator<char>(in), {});
    if (!in.is_open() || in.bad() || fs::is_directory(file)) {
        if (own) throw refused(fmt::format("{} cannot be read", file.string()));
        return;
    }
    ++out.policies;
    auto got = config::parse_policy(text, file);
    if (own) {
        out.add(std::move(got.problems), true);
        out.add(std::move(got.warnings), false);
    }
    if (!got.value) return;
    for (auto& one : catalogue::check(*got.value)) out.findings.push_back(std::move(one));
    out.read.push_back(std::move(*got.value));
}

// The folder of the policies, with what files have against each other.
void check_folder(checked& out, fs::path const& folder) {
    auto got = config::load_policies(folder);
    out.add(std::move(got.problems), true);
    out.add(std::move(got.warnings), false);
    std::vector<fs::path> files;
    std::error_code ignored;
    for (auto const& entry : fs::directory_iterator(folder, ignored))
        if (entry.path().extension() == ".yaml" && !entry.path().filename().string().starts_with('.'))
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (auto const& file : files) check_file(out, file, false);
}

json::object to_json(catalogue::finding const& f) {
    auto const number = [](int n) { return n > 0 ? json::value(n) : json::value(nullptr); };
    return {{"file", f.what.file.filename().string()}, {"line", number(f.what.line)}, {"column", number(f.what.column)},
        {"key", f.what.key}, {"severity", f.error ? "error" : "warning"}, {"message", f.what.text}};
}

int check(command_line const& line, std::vector<std::string> const& files) {
    checked out;
    if (files.empty()) {
        auto const folder = config::policies_folder(line.config_file);
        if (!folder) throw refused(folder.error().detail);
        check_folder(out, *folder);
    }
    for (auto const& file : files) check_file(out, file, true);
    out.add(compliance::contradictions(out.read), false);
    std::stable_sort(out.findings.begin(), out.findings.end(), [](auto const& a, auto const& b) {
        return std::tuple(a.what.file.filename(), a.what.line, a.what.column) <
               std::tuple(b.what.file.filename(), b.what.line, b.what.column);
    });
    if (line.as_json) {
        json::array all;
        for (auto const& f : out.findings) all.push_back(to_json(f));
        fmt::print("{}\n", json::serialize(json::object{{"value", std::move(all)}}));
    } else {
        for (auto const& f : out.findings) fmt::print("{}{}\n", f.error ? "" : "warning: ", f.what.line_text());
    }
    auto const errors = out.count(true), warnings = out.count(false);
    if (errors > 0)
        throw refused(fmt::format("policies: {}, errors: {}, warnings: {}", out.policies, errors, warnings));
    if (!line.as_json) fmt::print("policies: {}, errors: 0, warnings: {}\n", out.policies, warnings);
    return 0;
}

}  // namespace

void add_policies_check(CLI::App& policies, command_line& line) {
    auto* const verb = policies.add_subcommand("check",
        "Say what is wrong with policies, by their form and by the catalogue of Windows' nodes; needs no daemon");
    auto const files = std::make_shared<std::vector<std::string>>();
    verb->add_option("FILE", *files, "Policy files; without one, those of the configuration's policies_dir");
    verb->callback([&line, files] { line.run = [&line, files] { return check(line, *files); }; });
}

}  // namespace mdmd::ctl
