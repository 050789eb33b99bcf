#include "terms/markup.hpp"

#include <cmark.h>
#include <fmt/format.h>
#include <gumbo.h>
#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include "core/text.hpp"
#include "terms/language.hpp"

namespace mdmd::terms {
namespace {

constexpr std::size_t longest_source = 256 * 1024;
constexpr std::size_t longest_rendered = 2 * 1024 * 1024;  // of Markdown, which may repeat addresses
constexpr std::size_t deepest = 64;
constexpr std::size_t most_problems = 100;
constexpr std::size_t longest_address = 2048;

template <std::size_t n> bool among(std::array<std::string_view, n> const& list, std::string_view s) {
    return std::find(list.begin(), list.end(), s) != list.end();
}

constexpr std::array<std::string_view, 56> allowed{"a", "abbr", "address", "article", "b", "bdi", "bdo", "blockquote",
    "br", "caption", "cite", "code", "dd", "del", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section", "small",
    "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "u", "ul"};
// Of a whole document: neither shown nor refused.
constexpr std::array<std::string_view, 5> around{"html", "head", "body", "title", "meta"};
constexpr std::array<std::string_view, 3> without_end{"br", "hr", "meta"};
// Whose end tag may be left out, since what follows ends them.
constexpr std::array<std::string_view, 12> ending_by_themselves{
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "rt", "rp"};
constexpr std::array<std::string_view, 19> ending_a_paragraph{"address", "article", "blockquote", "div", "dl", "h1",
    "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "section", "table", "ul", "li"};
// What is in them is not markup.
constexpr std::array<std::string_view, 10> raw{
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext"};

bool all_of(std::string_view s, std::size_t most, std::string_view others) {
    return s.size() <= most && std::all_of(s.begin(), s.end(), [others](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != others.npos;
    });
}
bool is_number(std::string_view s) {
    return !s.empty() && s.size() <= 4 && s.find_first_not_of("0123456789") == s.npos;
}

// What is shown of an address; nullopt where it is none that may stand in a text.
std::optional<std::string_view> shown_address(std::string_view href) {
    if (href.size() > longest_address) return std::nullopt;
    for (char const c : href)
        if ((c >= '\0' && c <= ' ') || c == '\x7f') return std::nullopt;
    constexpr std::string_view https = "https://";
    if (href.size() > https.size() && iequals(href.substr(0, https.size()), https)) return href;
    constexpr std::string_view mailto = "mailto:";
    if (href.size() > mailto.size() && iequals(href.substr(0, mailto.size()), mailto)) {
        auto const to = href.substr(mailto.size());
        auto const address = to.substr(0, to.find('?'));
        if (address.find('@') != address.npos) return address;
    }
    return std::nullopt;
}

// What is wrong with an attribute; empty: nothing. `value` is decoded.
std::string attribute_problem(std::string_view element, std::string_view name, std::string_view value) {
    auto const expected = [&](std::string_view what) {
        return fmt::format("expected {}, got {}='{}'", what, name, printable(value, 100));
    };
    auto const one_of = [&](std::string_view what, std::initializer_list<std::string_view> all) {
        bool const known = std::any_of(all.begin(), all.end(), [&](auto const& one) { return iequals(one, value); });
        return known ? std::string() : expected(what);
    };
    bool const cell = element == "td" || element == "th";
    if (element == "meta") {
        if (name == "charset") return one_of("utf-8", {"utf-8"});
        if (name == "name" || name == "content") return {};
    } else if (name == "lang") {
        return is_language_tag(value) ? std::string() : expected("a language tag such as de");
    } else if (name == "dir") {
        return one_of("ltr, rtl or auto", {"ltr", "rtl", "auto"});
    } else if (name == "class") {
        return all_of(value, 200, " _-") ? std::string() : expected("names of letters, digits, - and _");
    } else if (element == "a" && name == "href") {
        return shown_address(value) ? std::string() : expected("an https or mailto address");
    } else if (cell && (name == "colspan" || name == "rowspan")) {
        return is_number(value) ? std::string() : expected("a number");
    } else if (element == "th" && name == "scope") {
        return one_of("row, col, rowgroup or colgroup", {"row", "col", "rowgroup", "colgroup"});
    } else if ((element == "ol" && name == "start") || (element == "li" && name == "value")) {
        return is_number(value) ? std::string() : expected("a number");
    } else if (element == "ol" && name == "type") {
        return one_of("1, a or i", {"1", "a", "i"});
    } else if (element == "ol" && name == "reversed") {
        return {};
    } else if ((element == "time" || element == "ins" || element == "del") && name == "datetime") {
        return all_of(value, 64, "-:.+ ") ? std::string() : expected("a date");
    }
    return fmt::format("expected no such attribute, got '{}' in <{}>", printable(name, 40), printable(element, 40));
}

class places {
public:
    explicit places(std::string_view source) : source_(source) {}
    problem at(std::size_t offset, std::string text) const {
        problem p{.path = {}, .line = 1, .column = 1, .text = std::move(text)};
        for (char const c : source_.substr(0, offset)) {
            if (c == '\n') {
                ++p.line;
                p.column = 1;
            } else if ((c & 0xc0) != 0x80) {
                ++p.column;
            }
        }
        return p;
    }

private:
    std::string_view source_;
};

// Reads the tags of a source as HTML's tokenizer does, and holds them to the lists above and to one another.
class tags {
public:
    explicit tags(std::string_view source) : source_(source), places_(source) {}

    std::vector<problem> problems;
    std::vector<std::size_t> starts;  // of the start tags of `allowed`

    void read() {
        for (auto at = source_.find('<'); at != source_.npos && problems.size() < most_problems;
             at = source_.find('<', at))
            at = read_one(at);
        close_what_ends_by_itself();
        for (auto const& one : open_) report(one.at, fmt::format("expected </{}> before the end", one.name));
    }

private:
    struct element {
        std::string name;
        std::size_t at;
    };

    void report(std::size_t at, std::string text) {
        if (problems.size() < most_problems) problems.push_back(places_.at(at, std::move(text)));
    }
    bool letter(std::size_t i) const {
        return i < source_.size() && all_of(source_.substr(i, 1), 1, "") && (source_[i] < '0' || source_[i] > '9');
    }
    bool blank(std::size_t i) const {
        return i < source_.size() && std::string_view(" \t\r\n\f").find(source_[i]) != std::string_view::npos;
    }
    std::size_t behind(std::string_view what, std::size_t from) const {
        auto const at = source_.find(what, from);
        return at == source_.npos ? source_.size() : at + what.size();
    }

    std::size_t read_one(std::size_t at) {
        if (letter(at + 1)) return read_tag(at, at + 1, false);
        if (source_.substr(at, 2) == "</") {
            if (letter(at + 2)) return read_tag(at, at + 2, true);
            report(at, "expected the end of an element, got '</'");
            return at + 2;
        }
        if (source_.substr(at, 4) == "<!--") {
            auto const begin = at + 4;
            if (source_.substr(begin, 1) == ">") return begin + 1;
            if (source_.substr(begin, 2) == "->") return begin + 2;
            return std::min(behind("-->", begin), behind("--!>", begin));
        }
        if (source_.substr(at, 2) == "<!" || source_.substr(at, 2) == "<?") {
            if (!iequals(source_.substr(at, 9), "<!doctype"))
                report(at, fmt::format("expected an element or text, got '{}'", source_.substr(at, 2)));
            return behind(">", at);
        }
        return at + 1;  // a lone <
    }

    std::size_t read_tag(std::size_t at, std::size_t i, bool end) {
        auto const begin = i;
        while (i < source_.size() && !blank(i) && source_[i] != '/' && source_[i] != '>') ++i;
        auto const name = lower(source_.substr(begin, i - begin));
        bool const known = among(allowed, name) || among(around, name);
        if (!known)
            report(at,
                fmt::format("expected text or one of its elements, got <{}{}>", end ? "/" : "", printable(name, 40)));
        while (true) {
            while (blank(i) || (i < source_.size() && source_[i] == '/')) ++i;
            if (i >= source_.size()) {
                report(at, "expected '>' before the end");
                return i;
            }
            if (source_[i] == '>') break;
            i = read_attribute(i, name, known, end);
        }
        ++i;
        if (end)
            close(at, name);
        else
            open(at, name);
        if (!end && among(raw, name)) {
            if (!known) return skip_raw(i, name);
            auto const to = skip_raw(i, name);
            if (to == i) report(at, fmt::format("expected </{}> before the end", name));
            return to;
        }
        return i;
    }

    std::size_t read_attribute(std::size_t i, std::string const& of, bool known, bool end) {
        auto const begin = i++;  // a name may begin with '='
        while (i < source_.size() && !blank(i) && std::string_view("/>=").find(source_[i]) == std::string_view::npos)
            ++i;
        auto const name = lower(source_.substr(begin, i - begin));
        while (blank(i)) ++i;
        std::string value;
        if (i < source_.size() && source_[i] == '=') {
            ++i;
            while (blank(i)) ++i;
            if (i < source_.size() && (source_[i] == '"' || source_[i] == '\'')) {
                auto const close = std::min(source_.find(source_[i], i + 1), source_.size());
                value = source_.substr(i + 1, close - i - 1);
                i = std::min(close + 1, source_.size());
            } else {
                auto const from = i;
                while (i < source_.size() && !blank(i) && source_[i] != '>') ++i;
                value = source_.substr(from, i - from);
            }
        }
        for (auto amp = value.find("&amp;"); amp != value.npos; amp = value.find("&amp;", amp + 1))
            value.erase(amp + 1, 4);
        auto wrong = end ? std::string("expected no attribute in an end tag") : attribute_problem(of, name, value);
        if (known && !wrong.empty()) report(begin, std::move(wrong));
        return i;
    }

    // Behind the end tag of what holds no markup; where there is none, `from`.
    std::size_t skip_raw(std::size_t from, std::string_view name) const {
        for (auto at = source_.find("</", from); at != source_.npos; at = source_.find("</", at + 2))
            if (iequals(source_.substr(at + 2, name.size()), name)) return behind(">", at);
        return from;
    }

    void close_what_ends_by_itself() {
        while (!open_.empty() && among(ending_by_themselves, open_.back().name)) open_.pop_back();
    }

    void open(std::size_t at, std::string const& name) {
        if (!among(allowed, name)) return;
        starts.push_back(at);
        auto const top = [&] { return open_.empty() ? std::string_view{} : std::string_view(open_.back().name); };
        if (top() == "p" && among(ending_a_paragraph, name)) open_.pop_back();
        auto const next_of = [&](std::initializer_list<std::string_view> kind) {
            bool const is = std::find(kind.begin(), kind.end(), name) != kind.end();
            if (is && top() == "p") open_.pop_back();
            if (is && std::find(kind.begin(), kind.end(), top()) != kind.end()) open_.pop_back();
        };
        next_of({"li"});
        next_of({"dt", "dd"});
        next_of({"rt", "rp"});
        next_of({"td", "th"});
        if (name == "tr" || name == "thead" || name == "tbody" || name == "tfoot")
            while (top() == "p" || top() == "td" || top() == "th" || top() == "tr" ||
                   (name != "tr" && (top() == "thead" || top() == "tbody" || top() == "tfoot")))
                open_.pop_back();
        if (among(without_end, name)) return;
        if (name == "a" && std::any_of(open_.begin(), open_.end(), [](auto const& e) { return e.name == "a"; }))
            report(at, "expected no link within a link");
        if (open_.size() == deepest)
            report(at, fmt::format("expected at most {} elements within one another", deepest));
        if (open_.size() <= deepest) open_.push_back({name, at});
    }

    void close(std::size_t at, std::string const& name) {
        if (!among(allowed, name)) return;
        if (!among(without_end, name)) {
            while (!open_.empty() && open_.back().name != name && among(ending_by_themselves, open_.back().name))
                open_.pop_back();
            if (!open_.empty() && open_.back().name == name) {
                open_.pop_back();
                return;
            }
        }
        report(at, open_.empty() ? fmt::format("expected no end of <{}>, which is not open", name)
                                 : fmt::format("expected </{}> first, got </{}>", open_.back().name, name));
    }

    std::string_view source_;
    places places_;
    std::vector<element> open_;
};

// Writes what gumbo read of a source whose tags are good: the lists are held once more, by what browsers will see.
class writer {
public:
    writer(std::string_view source, markup& out) : source_(source), places_(source), out_(out) {}

    std::set<std::size_t> seen;  // start tags

    // `in`: what the node is in.
    void write(GumboNode const* node) {
        switch (node->type) {
            case GUMBO_NODE_TEXT:
            case GUMBO_NODE_WHITESPACE: out_.html += html_escape(node->v.text.text); break;
            case GUMBO_NODE_ELEMENT: write_element(node->v.element); break;
            default: break;  // comments
        }
    }
    void write_all(GumboVector const& nodes) {
        for (unsigned i = 0; i < nodes.length; ++i) write(static_cast<GumboNode const*>(nodes.data[i]));
    }
    // The document: its body is written.
    void write_document(GumboElement const& html) {
        for (unsigned i = 0; i < html.children.length; ++i) {
            auto const* node = static_cast<GumboNode const*>(html.children.data[i]);
            if (node->type == GUMBO_NODE_ELEMENT && node->v.element.tag == GUMBO_TAG_BODY)
                write_all(node->v.element.children);
        }
    }
    void report(std::size_t at, std::string text) {
        if (out_.problems.size() < most_problems) out_.problems.push_back(places_.at(at, std::move(text)));
    }

private:
    void write_element(GumboElement const& e) {
        std::string const name = gumbo_normalized_tagname(e.tag);
        auto const at = e.original_tag.data ? static_cast<std::size_t>(e.original_tag.data - source_.data()) : 0;
        if (e.tag_namespace != GUMBO_NAMESPACE_HTML || !among(allowed, name)) {
            report(at, fmt::format("expected text or one of its elements, got <{}>", printable(name, 40)));
            return;
        }
        if (e.original_tag.data) seen.insert(at);
        if (name == "h1") out_.has_title = true;
        std::string attributes;
        std::string_view address;
        for (unsigned i = 0; i < e.attributes.length; ++i) {
            auto const& a = *static_cast<GumboAttribute const*>(e.attributes.data[i]);
            if (auto wrong = attribute_problem(name, a.name, a.value); !wrong.empty())
                report(static_cast<std::size_t>(a.original_name.data - source_.data()), std::move(wrong));
            else if (name == "a" && iequals(a.name, "href"))
                address = shown_address(a.value).value_or("");
            else
                attributes += fmt::format(" {}=\"{}\"", a.name, html_escape(a.value));
        }
        auto const written = name == "a" ? std::string("span") : name;
        out_.html += fmt::format("<{}{}>", written, attributes);
        auto const begin = out_.html.size();
        write_all(e.children);
        if (!address.empty() && out_.html.substr(begin) != html_escape(address))
            out_.html += fmt::format(" (<bdi dir=\"ltr\">{}</bdi>)", html_escape(address));
        if (!among(without_end, name)) out_.html += fmt::format("</{}>", written);
    }

    std::string_view source_;
    places places_;
    markup& out_;
};

bool has_text(std::string_view html) {
    bool inside = false;
    for (char const c : html) {
        if (c == '<')
            inside = true;
        else if (c == '>')
            inside = false;
        else if (!inside && std::string_view(" \t\r\n").find(c) == std::string_view::npos)
            return true;
    }
    return false;
}

// What keeps a source from being read at all.
std::optional<problem> unreadable(std::string_view source, std::size_t longest) {
    auto const whole = [](std::string text) { return problem{.path = {}, .text = std::move(text)}; };
    if (source.size() > longest)
        return whole(fmt::format("expected at most {} KiB, got {}", longest / 1024, (source.size() + 1023) / 1024));
    if (!is_utf8(source)) {
        std::size_t good = 0;  // as far as whole lines are good
        for (auto end = source.find('\n'); end != source.npos && is_utf8(source.substr(good, end - good));
             end = source.find('\n', good))
            good = end + 1;
        return places(source).at(good, "expected UTF-8, got other bytes in this line");
    }
    for (std::size_t i = 0; i < source.size(); ++i)
        if ((source[i] >= '\0' && source[i] < ' ' &&
                std::string_view("\t\r\n\f").find(source[i]) == std::string_view::npos) ||
            source[i] == '\x7f')
            return places(source).at(i, "expected text, got a control character");
    return std::nullopt;
}

std::string_view without_mark(std::string_view source) {
    constexpr std::string_view mark = "\xef\xbb\xbf";
    return source.starts_with(mark) ? source.substr(mark.size()) : source;
}

markup compile(std::string_view given, std::size_t longest) {
    markup out;
    // Gumbo reads to the length that it is told, and wants a buffer that is there.
    std::string const text(without_mark(given));
    std::string_view const source = text;
    if (auto const why = unreadable(source, longest)) {
        out.problems.push_back(*why);
        return out;
    }
    tags found(source);
    found.read();
    out.problems = std::move(found.problems);
    if (out.problems.empty()) {
        auto const options = kGumboDefaultOptions;
        auto const destroy = [&options](GumboOutput* o) { gumbo_destroy_output(&options, o); };
        std::unique_ptr<GumboOutput, decltype(destroy)> const parsed(
            gumbo_parse_with_options(&options, source.data(), source.size()), destroy);
        writer w(source, out);
        w.write_document(parsed->root->v.element);
        for (auto const at : found.starts)
            if (!w.seen.contains(at)) {
                auto const end = source.find_first_of(" \t\r\n\f/>", at);
                w.report(at, fmt::format("expected another place for {}>", source.substr(at, end - at)));
            }
    }
    if (out.problems.empty() && !has_text(out.html))
        out.problems.push_back({.path = {}, .text = "expected a text, got nothing to read"});
    std::stable_sort(out.problems.begin(), out.problems.end(),
        [](problem const& a, problem const& b) { return std::pair(a.line, a.column) < std::pair(b.line, b.column); });
    return out;
}

// What Markdown cannot say in a text. Links lose their titles, code its language.
void check_markdown(cmark_node* root, std::vector<problem>& problems) {
    std::unique_ptr<cmark_iter, decltype(&cmark_iter_free)> const iterator(cmark_iter_new(root), cmark_iter_free);
    for (auto event = cmark_iter_next(iterator.get()); event != CMARK_EVENT_DONE;
         event = cmark_iter_next(iterator.get())) {
        if (event != CMARK_EVENT_ENTER) continue;
        auto* const node = cmark_iter_get_node(iterator.get());
        auto const report = [&](std::string text) {
            // Behind a soft break cmark may count from 0.
            if (problems.size() < most_problems)
                problems.push_back({.path = {},
                    .line = std::max(1, cmark_node_get_start_line(node)),
                    .column = std::max(1, cmark_node_get_start_column(node)),
                    .text = std::move(text)});
        };
        switch (cmark_node_get_type(node)) {
            case CMARK_NODE_HTML_BLOCK:
            case CMARK_NODE_HTML_INLINE: {
                auto const literal = std::string_view(cmark_node_get_literal(node));
                if (literal.starts_with("<!--")) break;  // a comment, which is not shown
                report(fmt::format(
                    "expected Markdown, got HTML: {}", printable(trim(literal.substr(0, literal.find('\n'))), 60)));
                break;
            }
            case CMARK_NODE_IMAGE: report("expected text, got an image"); break;
            case CMARK_NODE_LINK: {
                auto const wrong = attribute_problem("a", "href", cmark_node_get_url(node));
                if (!wrong.empty()) report(wrong);
                cmark_node_set_title(node, "");
                break;
            }
            case CMARK_NODE_CODE_BLOCK: cmark_node_set_fence_info(node, ""); break;
            default: break;
        }
    }
}

}  // namespace

std::string problem::line_text() const {
    return line > 0 ? fmt::format("{}:{}:{}: {}", path, line, column, text) : fmt::format("{}: {}", path, text);
}

markup compile_html(std::string_view source) { return compile(source, longest_source); }

markup compile_markdown(std::string_view given) {
    auto const source = without_mark(given);
    markup out;
    if (auto const why = unreadable(source, longest_source)) {
        out.problems.push_back(*why);
        return out;
    }
    std::unique_ptr<cmark_node, decltype(&cmark_node_free)> const root(
        cmark_parse_document(source.data(), source.size(), CMARK_OPT_DEFAULT), cmark_node_free);
    check_markdown(root.get(), out.problems);
    if (!out.problems.empty()) return out;
    std::unique_ptr<char, decltype(&std::free)> const html(cmark_render_html(root.get(), CMARK_OPT_DEFAULT), std::free);
    out = compile(html.get(), longest_rendered);
    for (auto& p : out.problems) p.line = p.column = 0;  // they are of the HTML between
    return out;
}

}  // namespace mdmd::terms
