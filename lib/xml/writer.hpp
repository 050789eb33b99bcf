// XML out: byte-stable, no white space of its own, and never a character that XML cannot carry.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace mdmd::xml {

// Writes elements in the order of the calls. Names are written as given ("s:Envelope"); namespaces are attributes
// like others ("xmlns:s"). Text and values are escaped. The first character that XML 1.0 cannot carry (most
// controls, broken UTF-8) or misuse (an attribute after content) fails the whole document: nothing is dropped in
// silence.
class writer {
public:
    writer& open(std::string_view name);
    writer& attribute(std::string_view name, std::string_view value);  // of the element opened last
    writer& text(std::string_view);
    writer& close();
    writer& leaf(std::string_view name, std::string_view text = {});                            // <name>text</name>, or <name/>
    writer& leaf_ns(std::string_view name, std::string_view xmlns, std::string_view text = {});  // with xmlns="…"

    // The document, without an XML declaration. Errors: malformed.
    [[nodiscard]] result<std::string> finish() &&;

private:
    void end_tag();  // the ">" of an element that got no content so far
    void escaped(std::string_view, bool in_attribute);
    std::string out_;
    std::vector<std::string> open_;
    bool in_tag_ = false;
    std::string failure_;
};

}  // namespace mdmd::xml
