// mdmctl terms: the pages of the Terms of Use as files to look at, without the daemon.
#include <fstream>
#include <set>

#include "config/load.hpp"
#include "core/text.hpp"
#include "daemon/configuration.hpp"
#include "daemon/mdmctl.hpp"
#include "service/consent.hpp"
#include "terms/language.hpp"
#include "terms/library.hpp"
#include "terms/words.hpp"

namespace mdmd::ctl {
namespace {

using terms::ownership;
using terms::theme;

constexpr std::string_view a_user = "user@example.com";

struct previewed {
    std::string scenario, language, file;
    std::string text_version;  // empty where no text is shown
};

struct source {
    terms::library texts;
    std::string organization;
};

source read_source(command_line const& line, bool built_in) {
    if (built_in) return {{}, "mdm.example.com"};
    auto loaded = config::load_settings(line.config_file, daemon::environment_of_service());
    if (!loaded.value) throw refused(loaded.problems.front().line_text());
    auto compiled = service::compile_texts(*loaded.value);
    if (!compiled.problems.empty()) throw refused(compiled.problems.front().line_text());
    return {std::move(compiled.value), loaded.value->server.public_url.host};
}

// "../fonts/x.woff" as css/a.css means it: "fonts/x.woff".
std::string within(std::string_view sheet, std::string_view reference) {
    auto const folder = std::filesystem::path(sheet).parent_path();
    return (folder / std::string(reference.substr(0, reference.find_first_of("?#"))))
        .lexically_normal()
        .generic_string();
}

// A style sheet with the fonts and images that it refers to inside of it.
std::string standalone(terms::library const& texts, terms::asset const& sheet) {
    std::string out;
    std::string_view rest = sheet.content;
    constexpr std::string_view begin = "url(";
    for (auto at = rest.find(begin); at != rest.npos; at = rest.find(begin)) {
        auto const end = rest.find(')', at);
        if (end == rest.npos) break;
        auto name = trim(rest.substr(at + begin.size(), end - at - begin.size()));
        if (name.size() > 1 && (name.front() == '"' || name.front() == '\'')) name = name.substr(1, name.size() - 2);
        auto const* found = texts.find_asset(within(sheet.path, name));
        out += rest.substr(0, at);
        if (found)
            out += fmt::format("url(data:{};base64,{})", split(found->content_type, ';')[0], base64(found->content));
        else
            out += rest.substr(at, end + 1 - at);
        rest.remove_prefix(end + 1);
    }
    out += rest;
    // Nothing in it ends the element that it stands in.
    for (auto at = out.find("</"); at != out.npos; at = out.find("</", at)) out.replace(at, 2, "<\\/");
    return out;
}

std::string standalone(terms::library const& texts, std::string page) {
    for (auto const look : terms::all_themes)
        for (auto const* sheet : texts.style_sheets(look)) {
            auto const link =
                fmt::format("<link rel=\"stylesheet\" href=\"/TermsOfUse/{}\">", html_escape(sheet->path));
            if (auto const at = page.find(link); at != page.npos)
                page.replace(at, link.size(), "<style>" + standalone(texts, *sheet) + "</style>");
        }
    return page;
}

class preview {
public:
    preview(source from, std::filesystem::path folder) : from_(std::move(from)), folder_(std::move(folder)) {
        std::filesystem::create_directories(folder_);
    }

    std::vector<previewed> write() {
        std::set<std::string> groups;
        for (auto const* w : terms::all_words()) languages_.emplace_back(w->tag);
        for (auto const& t : from_.texts.texts()) {
            if (std::find(languages_.begin(), languages_.end(), t.language) == languages_.end())
                languages_.push_back(t.language);
            if (!t.group.empty()) groups.insert(t.group);
        }
        for (auto const& language : languages_) {
            write_terms(language, {});
            for (auto const& group : groups) write_terms(language, group);
            write_notices(language);
        }
        write_index();
        return files_;
    }

private:
    terms::form_state state(ownership owner) const {
        terms::form_state s;
        s.upn = a_user;
        s.from.owner = owner;
        s.from.redirect_uri = "ms-appx-web://preview/ToUResponse";
        return s;
    }
    terms::appearance looks(theme look, std::string const& language) const {
        return {.look = look,
            .speak = &terms::words_for({language}),
            .texts = &from_.texts,
            .organization = from_.organization};
    }

    // What the members of a group read where there is something for them; of everybody's, all.
    void write_terms(std::string const& language, std::string const& group) {
        struct scene {
            char const* name;
            ownership owner;
            theme look;
            terms::pin_field pin = terms::pin_field::none;
        };
        static constexpr scene scenes[] = {
            {"corporate-oobe-windows10", ownership::corporate, theme::oobe_dark},
            {"corporate-oobe-windows11", ownership::corporate, theme::oobe_light},
            {"corporate-settings", ownership::corporate, theme::settings},
            {"personal-settings", ownership::personal, theme::settings},
            {"personal-browser", ownership::personal, theme::automatic},
            {"pin", ownership::personal, theme::settings, terms::pin_field::asked},
            {"pin-wrong", ownership::personal, theme::settings, terms::pin_field::wrong},
        };
        for (auto const& s : scenes) {
            auto const& text =
                from_.texts.choose(s.owner, group.empty() ? std::set<std::string>{} : std::set{group}, {language});
            if (text.group != group) continue;
            keep(s.name + (group.empty() ? std::string() : "@" + group), language, text.version,
                terms::page(looks(s.look, language), state(s.owner), "preview", text, s.pin));
        }
    }
    void write_notices(std::string const& language) {
        using away = terms::turned_away_because;
        using refusal = terms::refused_because;
        for (auto const& [name, why] : {std::pair("turned-away-enrollment-off", away::enrollment_off),
                 {"turned-away-personal", away::personal_blocked}, {"turned-away-group", away::not_in_group},
                 {"turned-away-maintenance", away::maintenance}, {"turned-away-pin-locked", away::pin_locked}})
            keep(name, language, "",
                terms::turned_away_page(looks(theme::oobe_light, language), state(ownership::corporate).from, why));
        for (auto const& [name, why] :
            {std::pair("refused-incomplete", refusal::incomplete), {"refused-foreign", refusal::foreign},
                {"refused-expired", refusal::expired}, {"refused-answered", refusal::answered},
                {"refused-no-such-answer", refusal::no_such_answer}, {"refused-text-changed", refusal::text_changed}})
            keep(name, language, "", terms::refusal_page(looks(theme::settings, language), why));
    }
    void keep(std::string scenario, std::string const& language, std::string const& version, http::response const& r) {
        auto const file = fmt::format("{}.{}.html", scenario, language);
        put(file, standalone(from_.texts, r.body));
        files_.push_back({std::move(scenario), language, file, version});
    }
    void put(std::string const& file, std::string_view content) const {
        std::ofstream out(folder_ / file, std::ios::binary | std::ios::trunc);
        out << content;
        out.close();
        if (!out) throw refused(fmt::format("{} cannot be written", (folder_ / file).string()));
    }
    void write_index() const {
        std::vector<std::string> scenarios;
        for (auto const& f : files_)
            if (std::find(scenarios.begin(), scenarios.end(), f.scenario) == scenarios.end())
                scenarios.push_back(f.scenario);
        std::string rows;
        for (auto const& s : scenarios) {
            rows += fmt::format("<tr><th scope=\"row\">{}</th>", html_escape(s));
            for (auto const& language : languages_) {
                auto const found = std::find_if(files_.begin(), files_.end(),
                    [&](previewed const& f) { return f.scenario == s && f.language == language; });
                rows += found == files_.end() ? "<td></td>"
                                              : fmt::format("<td><a href=\"{0}\">{1}</a></td>",
                                                    html_escape(found->file), html_escape(language));
            }
            rows += "</tr>\n";
        }
        put("index.html",
            fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                        "<title>Terms of use: preview</title>\n<style>body{{font:1rem/1.5 sans-serif;margin:2rem}}"
                        "td,th{{padding:.1rem .75rem;text-align:left}}</style>\n</head>\n<body>\n<main>\n"
                        "<h1>Terms of use of {}: preview</h1>\n<table>\n{}</table>\n</main>\n</body>\n</html>\n",
                html_escape(from_.organization), rows));
    }

    source from_;
    std::filesystem::path folder_;
    std::vector<std::string> languages_;
    std::vector<previewed> files_;
};

int write_preview(command_line const& line, std::string const& folder, bool built_in) {
    auto const files = preview(read_source(line, built_in), folder).write();
    auto const where = std::filesystem::absolute(folder).lexically_normal().string();
    if (!line.as_json) {
        fmt::print("{} pages: {}\n", files.size(), (std::filesystem::path(where) / "index.html").string());
        return 0;
    }
    json::array all;
    for (auto const& f : files)
        all.push_back(json::object{{"file", f.file}, {"scenario", f.scenario}, {"language", f.language},
            {"text_version", f.text_version.empty() ? json::value(nullptr) : json::value(f.text_version)}});
    fmt::print("{}\n", json::serialize(json::object{{"directory", where}, {"index", "index.html"}, {"files", all}}));
    return 0;
}

}  // namespace

void add_terms(CLI::App& app, command_line& line) {
    auto* terms = app.add_subcommand("terms", "The Terms of Use that users see");
    terms->require_subcommand(1);
    auto* preview = terms->add_subcommand("preview", "Write every page in every language as a file of its own");
    auto const folder = std::make_shared<std::string>("terms-preview");
    auto const built_in = std::make_shared<bool>(false);
    preview->add_option("--directory", *folder, "Where to")->capture_default_str();
    preview->add_flag("--builtin", *built_in, "mdmd's own texts, without a configuration");
    preview->callback([&line, folder, built_in] {
        line.run = [&line, folder, built_in] { return write_preview(line, *folder, *built_in); };
    });
}

}  // namespace mdmd::ctl
