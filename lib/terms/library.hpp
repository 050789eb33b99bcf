// The texts that there are: the customer's and those that are built in; and the customer's own style.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "terms/markup.hpp"
#include "terms/terms.hpp"

namespace mdmd::terms {

struct text {
    std::string language;  // canonical BCP 47 tag
    ownership owner = ownership::personal;
    std::string group;    // Entra object ID, lower case, whose members read it; empty: everybody
    std::string version;  // the first 12 hexadecimal digits of its source's SHA-256
    std::string html;     // with {organization} and {user} as they were written
    bool has_title = false;
    bool built_in = false;
};

struct source_file {
    std::string path;  // "de/corporate.md", "css/oobe-light.css"
    std::string content;
};

// A file that pages refer to, served as it is.
struct asset {
    std::string path;  // as it was given
    std::string content_type;
    std::string content;
};

class library {
public:
    // The built-in texts alone.
    library() = default;

    // <locale>/{corporate,personal}[@<group>].{md,html}, and css/, fonts/ and images/ with style sheets, fonts and
    // images. All that is wrong with them is in `problems`; where there is anything, the library is not for use.
    struct compiled;
    static compiled compile(std::vector<source_file> const&);

    // The variant of the first group, by object ID, that the user is in and that there is a text for; else the
    // general text. In the language that answers the user's best, else in English, else in the first there is. Where
    // the customer wrote nothing for this ownership: the built-in text.
    text const& choose(ownership, std::set<std::string> const& groups, std::vector<std::string> const& languages) const;
    // The text that a form was about; nullptr where it has changed since.
    text const* find(ownership, std::string_view version, std::string_view language) const;
    bool has_variants() const { return has_variants_; }
    std::vector<text> const& texts() const { return texts_; }  // the customer's, by language and name

    // Of a path below /TermsOfUse/, "css/oobe-light.css", without regard to case; nullptr: none.
    asset const* find_asset(std::string_view path) const;
    // The style sheets that a page of that theme refers to, in order; none: mdmd's own. Of Microsoft's templates those
    // of the scenario, else every one in css/ by name.
    std::vector<asset const*> style_sheets(theme) const;

private:
    std::vector<text> texts_;
    std::vector<asset> assets_;
    bool has_variants_ = false;
};

struct library::compiled {
    library value;
    std::vector<problem> problems;
};

// GET of an asset below /TermsOfUse/ (404 where there is none).
http::response asset_response(library const&, std::string_view path);

}  // namespace mdmd::terms
