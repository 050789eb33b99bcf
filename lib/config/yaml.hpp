// A YAML document as a tree that says where everything stands. Private to lib/config: the only user of yaml-cpp.
//
// Strict where YAML is generous: one document, no anchors, aliases or tags, at most 1 MiB, 32 levels and 50,000
// nodes. A scalar keeps its text as written ("010", "yes", "~"): what it means is for its reader to say.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace mdmd::config::yaml {

struct place {
    int line = 1;    // 1-based
    int column = 1;  // 1-based, in code points
    auto operator<=>(place const&) const = default;
};

struct entry;

struct node {
    enum class kind {
        nothing,  // "key:" with nothing behind it
        scalar,
        list,
        mapping,
        broken,  // has been reported already: not to be judged again
    };
    kind what = kind::nothing;
    place at;
    std::string text;            // of a scalar
    bool quoted = false;         // a quoted or block scalar
    std::vector<node> items;     // of a list
    std::vector<entry> entries;  // of a mapping, in order; keys may repeat
};

struct entry {
    node key;
    node value;
};

// A mistake of form, never with more of the text in it than a key's name.
struct mistake {
    place at;
    std::string text;
};

struct document {
    node root;
    std::vector<mistake> mistakes;
    bool usable = false;  // the root can be read; there may be mistakes all the same
};

document parse(std::string_view text);

}  // namespace mdmd::config::yaml
