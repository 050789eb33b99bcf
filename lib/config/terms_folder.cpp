#include "config/terms_folder.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "config/files.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kib = 1024;
constexpr std::size_t most_text = 256 * kib;  // of the others read_file takes 1 MiB
constexpr std::size_t most_in_all = 8 * 1024 * kib;
constexpr std::size_t most_files = 1000;
constexpr int most_levels = 2;

bool is_asset(fs::path const& file) {
    static constexpr std::array<std::string_view, 13> endings{
        ".css", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico", ".woff", ".woff2", ".ttf", ".otf", ".eot"};
    return std::find(endings.begin(), endings.end(), lower(file.extension().string())) != endings.end();
}

class walk {
public:
    explicit walk(fs::path root) : root_(std::move(root)) {}

    terms_folder run() {
        std::error_code failure;
        real_root_ = fs::canonical(root_, failure);
        if (failure)
            report("expected a readable folder", root_, failure.message());
        else
            enter(root_, 0);
        std::sort(out_.files.begin(), out_.files.end(), [](auto const& a, auto const& b) { return a.path < b.path; });
        return std::move(out_);
    }

private:
    void report(std::string_view expected, fs::path const& at, std::string const& why = {}) {
        out_.problems.push_back(fmt::format(
            "{}, got '{}'{}", expected, printable(at.string()), why.empty() ? "" : fmt::format(" ({})", why)));
    }

    bool inside(fs::path const& entry) {
        std::error_code failure;
        auto const real = fs::canonical(entry, failure);
        if (failure) {
            report("expected a readable file", entry, failure.message());
            return false;
        }
        auto const [end, _] = std::mismatch(real_root_.begin(), real_root_.end(), real.begin(), real.end());
        if (end == real_root_.end()) return true;
        report("expected a file inside the folder of the Terms of Use", entry, "a link to " + printable(real.string()));
        return false;
    }

    void enter(fs::path const& folder, int level) {
        std::error_code failure;
        std::vector<fs::path> entries;
        auto at = fs::directory_iterator(folder, failure);
        for (; !failure && at != fs::directory_iterator(); at.increment(failure)) entries.push_back(at->path());
        if (failure) return report("expected a readable folder", folder, failure.message());
        std::sort(entries.begin(), entries.end());
        for (auto const& entry : entries) {
            auto const name = entry.filename().string();
            if (name.starts_with('.') || name.ends_with('~') || full_ || !inside(entry)) continue;
            if (!fs::is_directory(entry, failure))
                take(entry);
            else if (level == most_levels)
                report("expected folders of at most two levels", entry);
            else
                enter(entry, level + 1);
        }
    }

    void take(fs::path const& file) {
        auto const path = file.lexically_relative(root_).generic_string();
        if (!is_utf8(path)) return report("expected a name in UTF-8", file);
        auto text = read_file(file, readers::anyone);
        if (!text) {
            out_.problems.push_back(text.error().detail);
            return;
        }
        if (text->size() > most_text && !is_asset(file))
            return report(fmt::format("expected a file of at most {} KiB", most_text / kib), file);
        bytes_ += text->size();
        out_.files.push_back({path, std::move(*text)});
        full_ = bytes_ > most_in_all || out_.files.size() > most_files;
        if (bytes_ > most_in_all)
            report("expected files of at most 8 MiB in all", root_, "more than that");
        else if (full_)
            report(fmt::format("expected at most {} files", most_files), root_, "more than that");
    }

    fs::path root_, real_root_;
    terms_folder out_;
    std::size_t bytes_ = 0;
    bool full_ = false;
};

}  // namespace

terms_folder read_terms_folder(fs::path const& folder) { return walk(folder).run(); }

}  // namespace mdmd::config
