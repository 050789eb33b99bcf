// The settings of a policy file, and their targets' addresses.
#include "config/policy_sections.hpp"
#include "config/substitution.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_value = std::size_t{256} * 1024;  // bytes: half of what one message to a device may hold

// An address may leave the tenant open, and nothing else: the node would be another for each device. What stands for
// it is a segment like any other.
std::string with_tenant(std::string uri) {
    constexpr std::string_view open = "{{tenant.id}}";
    for (auto at = uri.find(open); at != uri.npos; at = uri.find(open, at)) uri.replace(at, open.size(), "tenant");
    return uri;
}

std::string uri_fault(std::string const& uri, uri_for use) {
    auto const filled = use == uri_for::rule ? uri : with_tenant(uri);
    if (use != uri_for::rule && filled.find("{{") != filled.npos)
        return "expected an address with no substitution but {{tenant.id}}";
    return node_uri_fault(filled, use);
}

// A whole number that fits 32 bits, signed or not: what Windows keeps an "int" in.
std::optional<std::string> parse_int_value(std::string const& s) {
    auto const v = parse_integer(-2147483648LL, 4294967295LL)(s);
    return v ? std::optional(std::to_string(*v)) : std::nullopt;
}

// Text that XML can carry.
std::optional<std::string> parse_xml_text(std::string const& s) {
    for (char const c : s)
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') return std::nullopt;
    return s;
}

// Text of a setting as its reader wants it. What it holds is not shown: it may be a password of somebody's Wi-Fi.
std::optional<std::string> read_text(section& s, field const& f, bool open) {
    if (f.value->what != yaml::node::kind::scalar) {
        s.report(f, fmt::format("expected a text (\"\" for an empty one), got {}", got_kind(*f.value)));
        return std::nullopt;
    }
    auto const& text = f.value->text;
    if (text.size() > most_value) {
        s.report(f, fmt::format("expected at most {} bytes, got {}", most_value, text.size()));
    } else if (!parse_xml_text(text)) {
        s.report(f, "expected a text that XML can carry, got control characters");
    } else if (auto const pieces = parse_template(text); open && !pieces) {
        s.report(f, pieces.error().detail);
    } else {
        return text;
    }
    return std::nullopt;
}

// The value of a setting by its format.
void read_value(section& s, policy_setting& into) {
    auto const f = s.get("value");
    into.value_at = to_position(f.at);
    if (into.format == "node" || into.format == "null") {
        if (f) s.report(f, fmt::format("expected no value with the format {}, got one", into.format));
        return;
    }
    if (!f) return s.missing(f, fmt::format("a value of the format {}", into.format));
    if (f.value->what == yaml::node::kind::scalar && f.value->text.size() > most_value)
        return s.report(f, fmt::format("expected at most {} bytes, got {}", most_value, f.value->text.size()));
    if (into.format == "int") {
        into.value = s.convert(f, "a whole number of 32 bits", parse_int_value, style::any);
    } else if (into.format == "bool") {
        if (auto const v = s.convert(f, "true or false", parse_bool, style::any)) into.value = *v ? "true" : "false";
    } else if (into.format == "b64" && f.value->what == yaml::node::kind::scalar) {
        if (!unbase64(f.value->text)) return s.report(f, "expected base64, got something else");
        into.value = f.value->text;
    } else {
        into.value = read_text(s, f, into.format != "b64");
        into.markup = into.format == "xml";
    }
}

// What an element of an ADMX policy holds, as an attribute's value: a list's items, or names and values in turns, with
// U+F000 between them. Source: Windows' "Understanding ADMX policies", multiText and list elements.
std::optional<std::string> read_element(section& s, field const& f) {
    constexpr std::string_view between = "&#xF000;";
    std::string out;
    bool sound = true;
    auto const add = [&](yaml::node const& n) {
        if (!out.empty()) out += between;
        if (auto const text = read_text(s, {&n, f.key, n.at, false}, true)) {
            for (char const c : html_escape(*text))
                out += c == '\n' ? "&#10;" : c == '\r' ? "&#13;" : c == '\t' ? "&#9;" : std::string(1, c);
        } else {
            sound = false;
        }
    };
    if (f.value->what == yaml::node::kind::list)
        for (auto const& item : f.value->items) add(item);
    else if (f.value->what == yaml::node::kind::mapping)
        for (auto const& [key, value] : f.value->entries) {
            add(key);
            add(value);
        }
    else
        add(*f.value);
    return sound ? std::optional(out) : std::nullopt;
}

// admx: {state: enabled, data: {Element: value}}, as Windows reads it: "<enabled/><data id=… value=…/>".
void read_admx(section s, policy_setting& into) {
    auto const state = s.require("state", "enabled or disabled", [](std::string const& text) {
        return text == "enabled" || text == "disabled" ? std::optional(text) : std::nullopt;
    });
    std::string out = fmt::format("<{}/>", state.value_or("enabled"));
    if (auto const f = s.get("data")) {
        section data(f.value, f.at, f.key, s.out());  // reports what is no mapping, and what stands in it twice
        if (state == "disabled") s.report(f, "expected no data with the state disabled, got some");
        for (auto const& [key, value] : f.value->entries) {
            if (key.what != yaml::node::kind::scalar || value.what == yaml::node::kind::broken) continue;
            field const element{&value, fmt::format("{}.{}", f.key, printable(key.text, 80)), value.at, false};
            if (!parse_text(key.text)) s.report(element, "expected the id of an element of the ADMX file");
            if (auto const text = read_element(s, element))
                out += fmt::format("<data id=\"{}\" value=\"{}\"/>", html_escape(key.text), *text);
        }
    }
    if (out.size() > most_value)
        s.out().report(s.at(), "admx", fmt::format("expected at most {} bytes, got {}", most_value, out.size()));
    s.done();
    into.value = std::move(out);
    into.markup = true;
}

std::optional<std::string> read_format(section& s, bool admx) {
    if (admx) {
        auto const is_chr = [](std::string const& text) { return text == "chr" ? std::optional(text) : std::nullopt; };
        s.read("format", "chr, which is the format of every setting with admx", is_chr);
        return "chr";
    }
    return s.require("format", "one of int, chr, bool, b64, xml, node and null",
        [](std::string const& text) -> std::optional<std::string> {
            for (std::string_view const known : {"int", "chr", "bool", "b64", "xml", "node", "null"})
                if (text == known) return text;
            return std::nullopt;
        });
}

}  // namespace

std::optional<std::string> read_uri(section& s, uri_for use) {
    auto const f = s.get("uri");
    if (!f) s.missing(f, "the address of a node such as ./Device/Vendor/MSFT/…");
    if (f && f.value->what == yaml::node::kind::scalar)
        if (auto const fault = uri_fault(f.value->text, use); !fault.empty()) {
            s.report(f, fmt::format("{}, got {}", fault, got(*f.value)));
            return std::nullopt;
        }
    return s.convert(
        f, "the address of a node", [](std::string const& text) { return std::optional(text); }, style::any);
}

void read_setting(section s, int line, policy_file& into, std::map<std::string, int>& seen) {
    policy_setting out;
    out.line = line;
    auto const uri_field = s.get("uri");
    out.key = uri_field.key.substr(0, uri_field.key.size() - std::string_view(".uri").size());
    out.uri_at = to_position(uri_field.at);
    auto const uri = read_uri(s, into.target.for_whom == scope::user ? uri_for::user_setting : uri_for::device_setting);
    auto const admx = s.get("admx");
    auto const format = read_format(s, bool{admx});
    out.format_at = to_position(s.get("format").at);
    if (format) out.format = *format;
    if (admx) {
        if (auto const value = s.get("value")) s.report(value, "expected one of value and admx, got both");
        out.value_at = to_position(admx.at);
        read_admx(s.child("admx"), out);
    } else if (format) {
        read_value(s, out);
    } else {
        s.get("value");
    }
    out.since = s.read("since", "the first Windows that has the node such as 10.0.19045.2913",
        [](std::string const& text) { return parse_os_version(text); });
    if (uri) {
        out.uri = *uri;
        if (auto const [known, added] = seen.emplace(canonical_node_uri(*uri), line); !added)
            s.out().report(s.at(), "settings",
                fmt::format(
                    "expected each node once, got '{}' again (first in line {})", printable(*uri, 200), known->second));
    }
    s.done();
    into.settings.push_back(std::move(out));
}

}  // namespace mdmd::config
