#include "xml/writer.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "xml/escape.hpp"

namespace mdmd::xml {
namespace {

bool is_name(std::string_view s) {
    auto const letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
    auto const inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':'; };
    return !s.empty() && letter(s.front()) && std::all_of(s.begin(), s.end(), inner);
}

}  // namespace

void append_escaped(std::string& out, std::string_view s, place where) {
    for (char const c : s) switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '\r': out += "&#13;"; break;
            case '"': out += where == place::attribute ? "&quot;" : "\""; break;
            case '\t': out += where == place::attribute ? "&#9;" : "\t"; break;
            case '\n': out += where == place::attribute ? "&#10;" : "\n"; break;
            default: out += c;
        }
}

bool can_carry(std::string_view s) {
    if (!is_utf8(s)) return false;
    auto const control = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
    };
    if (std::any_of(s.begin(), s.end(), control)) return false;
    return s.find("\xef\xbf\xbe") == s.npos && s.find("\xef\xbf\xbf") == s.npos;  // U+FFFE, U+FFFF
}

void writer::misuse(std::string_view what) {
    if (failure_.empty()) failure_ = what;
}

void writer::end_tag() {
    if (!in_tag_) return;
    out_ += '>';
    in_tag_ = false;
}

void writer::escaped(std::string_view s, bool in_attribute) {
    if (can_carry(s)) return append_escaped(out_, s, in_attribute ? place::attribute : place::text);
    misuse(fmt::format("<{}> holds a character that XML cannot carry", open_.back()));
}

writer& writer::open(std::string_view name) {
    if (!is_name(name)) misuse("an element without a proper name");
    if (open_.empty() && !out_.empty()) misuse(fmt::format("<{}> beside the root element", name));
    if (!failure_.empty()) return *this;
    end_tag();
    out_ += '<';
    out_ += name;
    open_.emplace_back(name);
    attributes_.clear();
    in_tag_ = true;
    return *this;
}

writer& writer::attribute(std::string_view name, std::string_view value) {
    if (!in_tag_) misuse(fmt::format("attribute '{}' after content", printable(name, 32)));
    if (!is_name(name) || std::find(attributes_.begin(), attributes_.end(), name) != attributes_.end())
        misuse(fmt::format("attribute '{}' is no name, or there twice", printable(name, 32)));
    if (!failure_.empty()) return *this;
    attributes_.emplace_back(name);
    out_ += ' ';
    out_ += name;
    out_ += "=\"";
    escaped(value, true);
    out_ += '"';
    return *this;
}

writer& writer::text(std::string_view s) {
    if (open_.empty()) misuse("text outside the root element");
    if (!failure_.empty() || s.empty()) return *this;
    end_tag();
    escaped(s, false);
    return *this;
}

writer& writer::close() {
    if (open_.empty()) misuse("nothing open to be closed");
    if (!failure_.empty()) return *this;
    if (in_tag_) {
        out_ += "/>";
        in_tag_ = false;
    } else {
        out_ += "</";
        out_ += open_.back();
        out_ += '>';
    }
    open_.pop_back();
    return *this;
}

writer& writer::leaf(std::string_view name, std::string_view content) { return open(name).text(content).close(); }

writer& writer::leaf_ns(std::string_view name, std::string_view xmlns, std::string_view content) {
    return open(name).attribute("xmlns", xmlns).text(content).close();
}

result<std::string> writer::finish() && {
    if (out_.empty()) misuse("no root element");
    if (!open_.empty()) misuse(fmt::format("<{}> is not closed", open_.back()));
    if (!failure_.empty()) return fail(errc::malformed, failure_);
    return std::move(out_);
}

}  // namespace mdmd::xml
