// XML out: byte-stable, no white space of its own, and never a character that XML cannot carry.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace mdmd::xml {

// Whether XML 1.0 can carry that text at all: well-formed UTF-8, no control character but TAB, LF and CR, neither
// U+FFFE nor U+FFFF (XML 1.0 section 2.2).
bool can_carry(std::string_view);

// Writes elements in the order of the calls. Names are written as given ("s:Envelope"); namespaces are attributes
// like others ("xmlns:s"). Text and values are escaped. The first character that XML 1.0 cannot carry (see
// can_carry) or misuse (an attribute after content, a second root) fails the whole document: nothing is dropped in
// silence. What was to be written is never part of the failure's text.
class writer {
public:
    writer& open(std::string_view name);
    writer& attribute(std::string_view name, std::string_view value);  // of the element opened last
    writer& text(std::string_view);
    writer& close();
    writer& leaf(std::string_view name, std::string_view text = {});  // <name>text</name>, or <name/>
    writer& leaf_ns(std::string_view name, std::string_view xmlns, std::string_view text = {});  // with xmlns="…"

    // The document, without an XML declaration. Errors: malformed.
    [[nodiscard]] result<std::string> finish() &&;

private:
    void end_tag();  // the ">" of an element that got no content so far
    void escaped(std::string_view, bool in_attribute);
    void misuse(std::string_view what);  // the first one is the document's failure
    std::string out_;
    std::vector<std::string> open_;
    std::vector<std::string> attributes_;  // of the tag being written
    bool in_tag_ = false;
    std::string failure_;
};

}  // namespace mdmd::xml
