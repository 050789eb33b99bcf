// The one place that knows which characters XML 1.0 can carry and how markup is kept out of text. Private to lib/xml.
#pragma once
#include <string>
#include <string_view>

namespace mdmd::xml {

enum class place { text, attribute };

// Appends `s`, which must be well-formed UTF-8 without characters that XML cannot carry, so that a parser reads the
// same again: CR always as a reference, in an attribute TAB and LF too, since parsers normalise them (XML 1.0
// sections 2.11 and 3.3.3).
void append_escaped(std::string& out, std::string_view s, place);

}  // namespace mdmd::xml
