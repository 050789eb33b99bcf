#include "terms/library.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "terms/language.hpp"
#include "terms/words.hpp"

namespace mdmd::terms {
namespace {

constexpr std::size_t version_digits = 12;
constexpr std::string_view expected_files =
    "expected <language>/corporate or <language>/personal, perhaps with @<group's object ID>, ending in .md or .html; or "
    "a style sheet, font or image in css/, fonts/ or images/";

std::string version_of(std::string_view source) { return hex(crypto::sha256(source)).substr(0, version_digits); }

std::vector<text> const& built_in_texts() {
    static std::vector<text> const all = [] {
        std::vector<text> out;
        for (auto const* w : all_words())
            for (auto const& [owner, source] :
                {std::pair(ownership::corporate, w->corporate), {ownership::personal, w->personal}}) {
                auto made = compile_markdown(source);
                if (!made.problems.empty()) throw std::logic_error(made.problems.front().line_text());
                out.push_back({.language = std::string(w->tag),
                    .owner = owner,
                    .group = {},
                    .version = version_of(source),
                    .html = std::move(made.html),
                    .has_title = made.has_title,
                    .built_in = true});
            }
        return out;
    }();
    return all;
}

// In the language that answers best, of those that `fits`; nullptr: none fits.
template <class P>
text const* best_of(std::vector<text> const& texts, std::vector<std::string> const& languages, P fits) {
    std::vector<text const*> found;
    std::vector<std::string> tags;
    for (auto const& t : texts) {
        if (!fits(t)) continue;
        found.push_back(&t);
        tags.push_back(t.language);
    }
    if (found.empty()) return nullptr;
    auto at = best_language(languages, tags);
    if (!at) at = best_language({"en"}, tags);
    return found[at.value_or(0)];
}

struct kind {
    std::string_view ending, type;
};
constexpr std::array<kind, 11> kinds{{{".css", "text/css; charset=utf-8"}, {".woff2", "font/woff2"},
    {".woff", "font/woff"}, {".ttf", "font/ttf"}, {".otf", "font/otf"}, {".png", "image/png"}, {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"}, {".gif", "image/gif"}, {".svg", "image/svg+xml"}, {".ico", "image/x-icon"}}};

bool is_asset_folder(std::string_view s) { return iequals(s, "css") || iequals(s, "fonts") || iequals(s, "images"); }

bool is_plain(std::string_view path) {
    return std::all_of(path.begin(), path.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '_' || c == '/';
    });
}

// What a path says of a text: everything but what is in it.
struct text_name {
    text is;
    bool markdown = false;
};
result<text_name> parse_text_name(std::string_view path) {
    auto const parts = split(path, '/');
    if (parts.size() != 2) return fail(errc::malformed, std::string(expected_files));
    text_name out;
    auto name = lower(parts[1]);
    if (name.ends_with(".md"))
        out.markdown = true;
    else if (!name.ends_with(".html"))
        return fail(errc::malformed, std::string(expected_files));
    name.resize(name.rfind('.'));
    auto const at = name.find('@');
    auto const owner = name.substr(0, at);
    if (owner != "corporate" && owner != "personal") return fail(errc::malformed, std::string(expected_files));
    if (!is_language_tag(parts[0]))
        return fail(
            errc::malformed, fmt::format("expected a language tag such as de or zh-Hans as the folder's name, got '{}'",
                                 printable(parts[0], 60)));
    out.is.language = canonical_tag(parts[0]);
    out.is.owner = owner == "corporate" ? ownership::corporate : ownership::personal;
    if (at != name.npos) {
        out.is.group = name.substr(at + 1);
        if (!is_guid(out.is.group))
            return fail(errc::malformed,
                fmt::format("expected a group's object ID behind @, a GUID, got '{}'", printable(out.is.group, 60)));
    }
    return out;
}

result<asset> parse_asset(source_file const& f) {
    auto const name = lower(f.path);
    auto const* const found =
        std::find_if(kinds.begin(), kinds.end(), [&name](kind const& k) { return name.ends_with(k.ending); });
    if (found == kinds.end())
        return fail(errc::malformed,
            "expected a style sheet, a font or an image: css, woff2, woff, ttf, otf, png, jpg, gif, svg, ico");
    if (!is_plain(f.path))
        return fail(errc::malformed, "expected a name of the letters a to z, digits, '.', '-' and '_'");
    if (found->ending == ".css" && !is_utf8(f.content)) return fail(errc::malformed, "expected UTF-8");
    return asset{.path = f.path, .content_type = std::string(found->type), .content = f.content};
}

}  // namespace

library::compiled library::compile(std::vector<source_file> const& files) {
    compiled out;
    auto& into = out.value;
    std::vector<std::string> paths;  // of into.texts_
    for (auto const& f : files) {
        auto const shown = printable(f.path, 200);
        auto const report = [&](std::string what) { out.problems.push_back({.path = shown, .text = std::move(what)}); };
        if (auto const parts = split(f.path, '/'); parts.size() > 1 && is_asset_folder(parts[0])) {
            auto made = parse_asset(f);
            if (!made)
                report(made.error().detail);
            else if (into.find_asset(f.path))
                report("expected each name once, without regard to case");
            else
                into.assets_.push_back(std::move(*made));
            continue;
        }
        auto named = parse_text_name(f.path);
        if (!named) {
            report(named.error().detail);
            continue;
        }
        auto& t = named->is;
        auto const same = std::find_if(into.texts_.begin(), into.texts_.end(), [&t](text const& other) {
            return other.language == t.language && other.owner == t.owner && other.group == t.group;
        });
        if (same != into.texts_.end()) {
            report(fmt::format("expected one file for each text, got {} too",
                paths[static_cast<std::size_t>(same - into.texts_.begin())]));
            continue;
        }
        auto made = named->markdown ? compile_markdown(f.content) : compile_html(f.content);
        for (auto& p : made.problems) {
            p.path = shown;
            out.problems.push_back(std::move(p));
        }
        t.version = version_of(f.content);
        t.html = std::move(made.html);
        t.has_title = made.has_title;
        into.has_variants_ = into.has_variants_ || !t.group.empty();
        into.texts_.push_back(std::move(t));
        paths.push_back(shown);
    }
    std::sort(into.texts_.begin(), into.texts_.end(), [](text const& a, text const& b) {
        return std::tie(a.language, a.owner, a.group) < std::tie(b.language, b.owner, b.group);
    });
    std::sort(into.assets_.begin(), into.assets_.end(),
        [](asset const& a, asset const& b) { return lower(a.path) < lower(b.path); });
    return out;
}

text const& library::choose(
    ownership owner, std::set<std::string> const& groups, std::vector<std::string> const& languages) const {
    for (auto const& group : groups)
        if (auto const* t =
                best_of(texts_, languages, [&](text const& one) { return one.owner == owner && one.group == group; }))
            return *t;
    auto const general = [&](text const& one) { return one.owner == owner && one.group.empty(); };
    if (auto const* t = best_of(texts_, languages, general)) return *t;
    return *best_of(built_in_texts(), languages, general);
}

text const* library::find(ownership owner, std::string_view version, std::string_view language) const {
    for (auto const* all : {&texts_, &built_in_texts()})
        for (auto const& t : *all)
            if (t.owner == owner && t.version == version && t.language == language) return &t;
    return nullptr;
}

asset const* library::find_asset(std::string_view path) const {
    auto const found =
        std::find_if(assets_.begin(), assets_.end(), [path](asset const& a) { return iequals(a.path, path); });
    return found == assets_.end() ? nullptr : &*found;
}

std::vector<asset const*> library::style_sheets(theme t) const {
    auto const* dark = find_asset("css/Ui-dark.css");
    auto const* light = find_asset("css/Ui-light.css");
    auto const* desktop = find_asset("css/oobe-desktop.css");
    auto const* newer = find_asset("css/oobe-light.css");
    auto const* later = find_asset("css/settings-desktop.css");
    std::vector<asset const*> out;
    if (dark || light || desktop || newer || later) {
        // Templates that do not know Windows 11 have one look of the setup.
        bool const setup_is_dark = t == theme::oobe_dark || (t == theme::oobe_light && !newer);
        if (setup_is_dark)
            out = {dark, desktop};
        else
            out = {light, t == theme::oobe_light ? newer : later};
        std::erase(out, nullptr);
        return out;
    }
    for (auto const& a : assets_)
        if (lower(a.path).starts_with("css/") && lower(a.path).ends_with(".css")) out.push_back(&a);
    return out;
}

http::response asset_response(library const& from, std::string_view path) {
    auto const* found = from.find_asset(path);
    if (!found)
        return {404, {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
            "There is nothing at this address.\n"};
    // An image may hold a script, which has no business where it is opened by itself.
    return {200,
        {{"Content-Type", found->content_type}, {"X-Content-Type-Options", "nosniff"},
            {"Cache-Control", "public, max-age=300"}, {"Content-Security-Policy", "default-src 'none'; sandbox"}},
        found->content};
}

}  // namespace mdmd::terms
