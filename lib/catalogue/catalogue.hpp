// Every node of Windows' configuration service providers, as Microsoft's DDF files have them: csp.tsv, compiled in.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/os_version.hpp"

namespace mdmd::catalogue {

enum class limit { none, one_of, flags, range, expression, admx, xsd, other };

// Views are into the program's own data.
struct node {
    std::string_view uri;       // as in the DDF: "./Device/Vendor/MSFT/PassportForWork/*/Policies"; * is any name
    std::string_view format;    // chr, int, bool, node, null, b64, xml, bin, time
    std::string_view access;    // of "ACDEGR"
    std::string_view since;     // first Windows build, "10.0.15063"; empty: not said
    std::string_view standard;  // the value it has where nobody sets it; empty: none or not said
    limit how = limit::none;
    std::string_view values;  // "0,1,2" of one_of and flags, "[4-16]" of range, the expression, the ADMX policy's name
    bool deprecated = false;
};

// The node that a policy's URI names, in any spelling of config::canonical_node_uri and in its scope: "./User/…" is a
// user's, everything else the device's. "{{tenant.id}}" is a name like any other. nullptr: none is known.
node const* find(std::string_view uri);

// Whether known nodes lie below it: what Windows makes by itself and the DDF files do not list.
bool is_interior(std::string_view uri);

// The node of the other scope, "./Device/…" for "./User/…" and the other way round; nullptr: none.
node const* find_in_other_scope(std::string_view uri);

// The known URI that was probably meant, in the scope it has, names that were free in it kept; empty: none is near.
std::string nearest(std::string_view uri);

// The first Windows that has the node, by its canonical URI; nullopt where it is not known or was not released when the
// catalogue was made. The ADMX areas came to Windows 10 by the update 10.0.19041.1202, behind what the catalogue says.
std::optional<os_version> first_version(std::string const& canonical_uri);
std::optional<os_version> first_version(node const&);

// Of one_of and flags the single values.
std::vector<std::string_view> values_of(node const&);

std::vector<node> const& all();

}  // namespace mdmd::catalogue
