#include "config/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>
#include <algorithm>
#include <istream>
#include <streambuf>
#include <utility>

#include "core/text.hpp"

namespace mdmd::config::yaml {
namespace {

constexpr std::size_t most_bytes = std::size_t{1024} * 1024;
constexpr std::size_t most_levels = 32;
constexpr std::size_t most_nodes = 50'000;

// Ends the parsing from within a callback of yaml-cpp.
struct refused {
    place at;
    std::string text;
};

// yaml-cpp's marks count bytes; people and editors count characters. Marks come nearly in order, so that counting
// goes on where the last one stood: a file of one long line costs no more than others.
class locator {
public:
    explicit locator(std::string_view text) : text_(text) {}

    place operator()(YAML::Mark const& mark) {
        if (mark.is_null() || mark.line < 0) return {};
        auto const at = std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text_.size());
        if (at < at_) {
            at_ = 0;
            column_ = 1;
        }
        for (; at_ < at; ++at_) {
            if (text_[at_] == '\n')
                column_ = 1;
            else if ((static_cast<unsigned char>(text_[at_]) & 0xc0) != 0x80)
                ++column_;
        }
        return {mark.line + 1, column_};
    }

private:
    std::string_view text_;
    std::size_t at_ = 0;
    int column_ = 1;
};

// The null that was written at `at`, "~" or "null", or nothing: yaml-cpp tells both as one event, and places an
// absent value at whatever follows it.
std::string_view written_null(std::string_view text, YAML::Mark const& mark) {
    if (mark.pos < 0 || static_cast<std::size_t>(mark.pos) >= text.size()) return {};
    auto const rest = text.substr(static_cast<std::size_t>(mark.pos));
    for (std::string_view const word : {"~", "null", "Null", "NULL"})
        if (rest.starts_with(word) &&
            (rest.size() == word.size() || std::string_view(" \t\r\n,]}").find(rest[word.size()]) != rest.npos))
            return word;
    return {};
}

class builder final : public YAML::EventHandler {
public:
    builder(std::string_view text, document& into) : text_(text), where_(text), into_(into) {}

    void OnDocumentStart(YAML::Mark const& mark) override {
        if (std::exchange(started_, true)) throw refused{where_(mark), "expected one document, got another"};
    }
    void OnDocumentEnd() override {}
    void OnNull(YAML::Mark const& mark, YAML::anchor_t anchor) override {
        auto const word = written_null(text_, mark);
        auto n = start(word.empty() ? node::kind::nothing : node::kind::scalar, mark, "?", anchor);
        n.text = word;
        take(std::move(n));
    }
    void OnAlias(YAML::Mark const& mark, YAML::anchor_t) override {
        auto n = start(node::kind::broken, mark, "?", 0);
        into_.mistakes.push_back({n.at, "expected no alias, got one (quote a value that begins with '*')"});
        take(std::move(n));
    }
    void OnScalar(
        YAML::Mark const& mark, std::string const& tag, YAML::anchor_t anchor, std::string const& value) override {
        auto n = start(node::kind::scalar, mark, tag, anchor);
        n.text = value;
        n.quoted = tag == "!";
        take(std::move(n));
    }
    void OnSequenceStart(
        YAML::Mark const& mark, std::string const& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
        open(start(node::kind::list, mark, tag, anchor));
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(
        YAML::Mark const& mark, std::string const& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
        open(start(node::kind::mapping, mark, tag, anchor));
    }
    void OnMapEnd() override { close(); }

private:
    node start(node::kind what, YAML::Mark const& mark, std::string const& tag, YAML::anchor_t anchor) {
        node n;
        n.what = what;
        n.at = where_(mark);
        if (++nodes_ > most_nodes) throw refused{n.at, fmt::format("expected at most {} values, got more", most_nodes)};
        if (anchor != 0)
            into_.mistakes.push_back({n.at, "expected no anchor, got one (quote a value that begins with '&')"});
        if (!tag.empty() && tag != "?" && tag != "!")
            into_.mistakes.push_back({n.at, "expected no tag, got one (quote a value that begins with '!')"});
        return n;
    }
    void open(node n) {
        if (open_.size() == most_levels)
            throw refused{n.at, fmt::format("expected at most {} levels, got more", most_levels)};
        open_.push_back({std::move(n), {}, false});
    }
    void close() {
        auto done = std::move(open_.back().value);
        open_.pop_back();
        take(std::move(done));
    }
    void take(node n) {
        if (open_.empty()) {
            into_.root = std::move(n);
            return;
        }
        auto& parent = open_.back();
        if (parent.value.what == node::kind::list) {
            parent.value.items.push_back(std::move(n));
        } else if (!std::exchange(parent.has_key, !parent.has_key)) {
            parent.key = std::move(n);
        } else {
            if (n.what == node::kind::nothing) n.at = parent.key.at;
            parent.value.entries.push_back({std::move(parent.key), std::move(n)});
            parent.key = {};
        }
    }

    struct level {
        node value;
        node key;  // of the mapping's entry that is being read
        bool has_key;
    };
    std::string_view text_;
    locator where_;
    document& into_;
    std::vector<level> open_;
    std::size_t nodes_ = 0;
    bool started_ = false;
};

// A stream over text that stays where it is.
class text_buffer final : public std::streambuf {
public:
    explicit text_buffer(std::string_view text) {
        auto* const begin = const_cast<char*>(text.data());  // only ever read
        setg(begin, begin, begin + text.size());
    }
};

}  // namespace

document parse(std::string_view text) {
    document out;
    if (text.size() > most_bytes) {
        out.mistakes.push_back({{}, fmt::format("expected at most 1 MiB, got {} bytes", text.size())});
        return out;
    }
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // Windows editors put it there
    if (!is_utf8(text) || text.find('\0') != text.npos) {
        out.mistakes.push_back({{}, "expected UTF-8 text, got something else"});
        return out;
    }
    try {
        text_buffer buffer(text);
        std::istream in(&buffer);
        YAML::Parser parser(in);
        builder events(text, out);
        while (parser.HandleNextDocument(events)) {}
        out.usable = true;
    } catch (refused const& e) {
        out.mistakes.push_back({e.at, e.text});
    } catch (YAML::Exception const& e) {
        // Some of its messages go on with what stands in the file, which may be a key.
        auto const what = std::string_view(e.msg).substr(0, e.msg.find(':'));
        out.mistakes.push_back({locator(text)(e.mark), fmt::format("expected valid YAML, got {}", what)});
    }
    return out;
}

}  // namespace mdmd::config::yaml
