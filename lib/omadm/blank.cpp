#include "omadm/blank.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "core/text.hpp"

namespace mdmd::omadm {
namespace {

constexpr std::string_view stars = "***";

struct range {
    std::size_t from, to;
};

// Whether a node's value opens something, by its name: the last segment, and what profiles hold within.
bool is_secret_node(std::string_view uri) {
    auto const leaf = lower(uri.substr(uri.rfind('/') + 1));
    constexpr std::array<std::string_view, 9> words{
        "password", "passphrase", "secret", "challenge", "presharedkey", "keymaterial", "recoverykey", "pin", "blob"};
    if (leaf == "pin" || leaf == "newpinvalue") return true;
    return std::any_of(words.begin(), words.end(), [&](auto w) { return w != "pin" && leaf.find(w) != leaf.npos; });
}

bool is_secret_value(std::string_view data) {
    auto text = trim(data);
    constexpr std::string_view cdata = "<![CDATA[";
    if (text.starts_with(cdata)) text = trim(text.substr(cdata.size(), text.find("]]>") - cdata.size()));
    if (text.starts_with("ey") && std::count(text.begin(), text.end(), '.') == 2) return true;  // a JWT
    for (std::string_view const word : {"keyMaterial", "password", "Password", "sharedKey", "<Secret", "&lt;Secret"})
        if (text.find(word) != text.npos) return true;
    return false;
}

std::string_view local(std::string_view name) {
    auto const colon = name.find(':');
    return colon == name.npos ? name : name.substr(colon + 1);
}

// Follows the tags and gathers what is to be blanked.
class scanner {
public:
    explicit scanner(std::string_view text) : text_(text) {}

    std::string run() {
        std::size_t at = 0;
        while (at < text_.size()) {
            auto const open = text_.find('<', at);
            if (open == text_.npos) break;
            if (!tag(open, at)) return finish(open);
        }
        return finish(text_.size());
    }

private:
    // Takes the tag at `open` and sets `next` behind it; false where it has no end.
    bool tag(std::size_t open, std::size_t& next) {
        auto const starts = [&](std::string_view s) { return text_.substr(open, s.size()) == s; };
        auto const skip = [&](std::string_view end) {
            auto const close = text_.find(end, open);
            if (close == text_.npos) return false;
            next = close + end.size();
            return true;
        };
        if (starts("<!--")) return skip("-->");
        if (starts("<![CDATA[")) return skip("]]>");
        if (starts("<?") || starts("<!")) return skip(">");
        if (!skip(">")) return false;
        auto body = text_.substr(open + 1, next - open - 2);
        if (body.starts_with('/')) {
            close(local(trim(body.substr(1))), open);
        } else {
            bool const empty = body.ends_with('/');
            auto const name = local(body.substr(0, body.find_first_of(" \t\r\n/")));
            if (!empty) stack_.push_back({name, next});
        }
        return true;
    }

    void close(std::string_view name, std::size_t at) {
        auto const opened =
            std::find_if(stack_.rbegin(), stack_.rend(), [&](element const& e) { return e.name == name; });
        if (opened == stack_.rend()) return;
        range const content{opened->content, at};
        stack_.erase(opened.base() - 1, stack_.end());
        if (name == "Data") {
            if (inside("Cred"))
                secrets_.push_back(content);
            else
                data_.push_back(content);
        } else if (name == "NextNonce") {
            secrets_.push_back(content);
        } else if (name == "LocURI") {
            secret_item_ |= is_secret_node(trim(text_.substr(content.from, content.to - content.from)));
        } else if (name == "Type") {
            secret_item_ |=
                iequals(trim(text_.substr(content.from, content.to - content.from)), "com.microsoft/MDM/AADUserToken");
        } else if (name == "Item") {
            judge();
        }
    }

    bool inside(std::string_view name) const {
        return std::any_of(stack_.begin(), stack_.end(), [&](element const& e) { return e.name == name; });
    }

    // What Data an item had.
    void judge() {
        for (auto const& d : data_)
            if (secret_item_ || is_secret_value(text_.substr(d.from, d.to - d.from))) secrets_.push_back(d);
        data_.clear();
        secret_item_ = false;
    }

    std::string finish(std::size_t end) {
        judge();
        std::sort(secrets_.begin(), secrets_.end(), [](auto const& a, auto const& b) { return a.from < b.from; });
        std::string out;
        std::size_t at = 0;
        for (auto const& s : secrets_) {
            if (s.from < at || s.from > end || s.from == s.to) continue;
            out += text_.substr(at, s.from - at);
            out += stars;
            at = s.to;
        }
        if (at < end) out += text_.substr(at, end - at);
        return out;
    }

    struct element {
        std::string_view name;
        std::size_t content;
    };
    std::string_view text_;
    std::vector<element> stack_;
    std::vector<range> data_;  // of the item at hand, or of the command beside its items
    std::vector<range> secrets_;
    bool secret_item_ = false;
};

}  // namespace

std::string shown_value(std::string_view uri, std::string_view value) {
    auto const text = trim(value);
    bool const digits = text.size() <= 3 && text.find_first_not_of("0123456789") == text.npos;
    bool const harmless = digits || iequals(text, "true") || iequals(text, "false");
    return !harmless && (is_secret_node(uri) || is_secret_value(value)) ? std::string(stars) : std::string(value);
}

std::string blank(std::string_view text) { return scanner(text).run(); }

}  // namespace mdmd::omadm
