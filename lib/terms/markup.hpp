// The customer's texts, which are Markdown or HTML, written anew as HTML that holds nothing but text and its structure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace mdmd::terms {

// What is wrong with a file, and where.
struct problem {
    std::string path;               // within the folder of the texts
    int line = 0;                   // 1-based; 0: it is about the whole file
    int column = 0;                 // 1-based, in characters
    std::string text;               // "expected …, got …"
    std::string line_text() const;  // "de/corporate.html:12:5: expected …, got <script>"
    bool operator==(problem const&) const = default;
};

struct markup {
    std::string html;               // elements and attributes of the list in markup.cpp alone, text escaped
    bool has_title = false;         // there is an h1 in it
    std::vector<problem> problems;  // without path, by place; where there are any, the HTML is not for use
};

// At most 256 KiB of UTF-8. Links become text with their address behind it: Windows' web view has nowhere else to go.
// A whole document or a fragment; of a document's head the title and the encoding are tolerated, and not shown.
markup compile_html(std::string_view source);
// CommonMark without images and without HTML in it.
markup compile_markdown(std::string_view source);

}  // namespace mdmd::terms
