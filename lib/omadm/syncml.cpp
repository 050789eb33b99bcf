#include "omadm/syncml.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>

#include "core/text.hpp"
#include "xml/document.hpp"
#include "xml/writer.hpp"

namespace mdmd::omadm {
namespace {

constexpr std::string_view syncml_12 = "SYNCML:SYNCML1.2";
constexpr std::string_view syncml_11 = "SYNCML:SYNCML1.1";
constexpr std::string_view metinf = "syncml:metinf";
constexpr std::string_view mobile_device = "http://schemas.microsoft.com/MobileDevice/MDM";
constexpr int most = std::numeric_limits<int>::max();

// Reads a message in one SyncML namespace, the root's.
class message_reader {
public:
    explicit message_reader(std::string_view ns) : ns_(ns) {}

    result<header> read_header(xml::tree const&) const;
    // A command's CmdID is in `cmd_id` of whatever comes back. Errors: malformed.
    result<std::variant<status, results, alert, foreign>> read_command(std::string_view name, xml::tree const&) const;

private:
    result<std::variant<status, results, alert, foreign>> read_status(xml::tree const&) const;
    std::vector<item> read_items(xml::tree const& command) const;
    std::string loc_uri(xml::tree const& parent, std::string_view child) const;
    std::string_view meta(xml::tree const& element, std::string_view local) const;
    bool is_metinf(std::string_view ns) const;

    std::string_view ns_;
};

// Published samples have "syncml:metinf " and "syncml:metinfo", or no namespace of their own.
bool message_reader::is_metinf(std::string_view ns) const {
    auto const trimmed = trim(ns);
    return iequals(trimmed, metinf) || iequals(trimmed, "syncml:metinfo") || trimmed == ns_;
}

// A MetInf value, from Meta or, as one published alert has it, from beside it.
std::string_view message_reader::meta(xml::tree const& element, std::string_view local) const {
    auto const among = [&](xml::tree const& parent) {
        for (auto const& [n, t] : parent)
            if (n.local == local && is_metinf(n.ns)) return trim(t.data());
        return std::string_view{};
    };
    auto const* const held = xml::child(element, ns_, "Meta");
    auto const inner = held ? among(*held) : std::string_view{};
    return inner.empty() ? among(element) : inner;
}

std::string message_reader::loc_uri(xml::tree const& parent, std::string_view child) const {
    auto const* const held = xml::child(parent, ns_, child);
    if (!held) return {};
    return std::string(xml::reader(child, *held).optional(ns_, "LocURI").value_or(""));
}

std::string_view without_prefix(std::string_view type) {
    constexpr std::string_view prefix = "Reversed-Domain-Name:";
    if (iequals(type.substr(0, prefix.size()), prefix)) type.remove_prefix(prefix.size());
    return trim(type);
}

// A Meta of the command itself holds for those of its items that have none.
std::vector<item> message_reader::read_items(xml::tree const& command) const {
    std::vector<item> items;
    auto const format = meta(command, "Format");
    auto const type = meta(command, "Type");
    for (auto const* const e : xml::children(command, ns_, "Item")) {
        auto const own_format = meta(*e, "Format");
        auto const own_type = meta(*e, "Type");
        auto const* const data = xml::child(*e, ns_, "Data");
        items.push_back({.target = loc_uri(*e, "Target"),
            .source = loc_uri(*e, "Source"),
            .format = std::string(own_format.empty() ? format : own_format),
            .type = std::string(without_prefix(own_type.empty() ? type : own_type)),
            .data = data ? data->data() : std::string{},
            .more_data = xml::child(*e, ns_, "MoreData") != nullptr});
    }
    return items;
}

result<header> message_reader::read_header(xml::tree const& e) const {
    xml::reader in("SyncHdr", e);
    auto const version = in.required(ns_, "VerDTD");
    header h{.session_id = std::string(in.required(ns_, "SessionID")),
        .msg_id = in.integer(ns_, "MsgID", 1, most),
        .target = loc_uri(e, "Target"),
        .source = loc_uri(e, "Source"),
        .max_msg_size = std::nullopt};
    if (in.failure()) return *in.failure();
    if (version != "1.2" && version != "1.1")
        return fail(errc::unsupported, fmt::format("SyncML version '{}'", printable(version, 32)));
    if (h.session_id.empty() || h.session_id.size() > 32)
        return fail(errc::malformed, "SessionID is not of 1 to 32 characters");
    if (h.source.empty()) return fail(errc::malformed, "<SyncHdr> has no <Source> with a <LocURI>");
    if (auto const size = meta(e, "MaxMsgSize"); !size.empty()) {
        std::uint64_t bytes = 0;
        auto const [end, ec] = std::from_chars(size.data(), size.data() + size.size(), bytes);
        if (ec != std::errc{} || end != size.data() + size.size() || bytes == 0)
            return fail(errc::malformed, fmt::format("MaxMsgSize '{}' is no number of bytes", printable(size, 32)));
        h.max_msg_size = bytes;
    }
    return h;
}

result<std::variant<status, results, alert, foreign>> message_reader::read_status(xml::tree const& e) const {
    xml::reader in("Status", e);
    status s{.cmd_id = in.integer(ns_, "CmdID", 1, most),
        .msg_ref = in.integer(ns_, "MsgRef", 1, most),
        .cmd_ref = in.integer(ns_, "CmdRef", 0, most),
        .cmd = std::string(in.required(ns_, "Cmd")),
        .data = in.integer(ns_, "Data", 100, 999),
        .original_error = {},
        .target_refs = {}};
    if (in.failure()) return *in.failure();
    auto const& data = *xml::child(e, ns_, "Data");
    auto original = xml::attribute(data, mobile_device, "originalerror");
    if (!original) original = xml::attribute(data, "", "originalerror");
    s.original_error = cut_utf8(trim(original.value_or("")), 32);
    for (auto const* const ref : xml::children(e, ns_, "TargetRef")) {
        auto const nested = xml::reader("TargetRef", *ref).optional(ns_, "LocURI");
        s.target_refs.emplace_back(nested ? *nested : trim(ref->data()));
    }
    return s;
}

result<std::variant<status, results, alert, foreign>> message_reader::read_command(
    std::string_view name, xml::tree const& e) const {
    if (name == "Status") return read_status(e);
    xml::reader in(name, e);
    auto const cmd_id = in.integer(ns_, "CmdID", 1, most);
    if (name == "Results") {
        // MsgRef may be left out and is 1 then ([MS-MDM] 2.2, Results).
        results r{.cmd_id = cmd_id,
            .msg_ref = in.optional(ns_, "MsgRef") ? in.integer(ns_, "MsgRef", 1, most) : 1,
            .cmd_ref = in.integer(ns_, "CmdRef", 1, most),
            .items = read_items(e)};
        if (in.failure()) return *in.failure();
        return r;
    }
    if (name == "Alert") {
        alert a{.cmd_id = cmd_id, .code = in.integer(ns_, "Data", 1, 9999), .items = read_items(e)};
        if (in.failure()) return *in.failure();
        return a;
    }
    if (in.failure()) return *in.failure();
    return foreign{.cmd_id = cmd_id, .name = std::string(name), .items = read_items(e)};
}

constexpr std::array<std::string_view, 5> verb_names{"Get", "Add", "Replace", "Delete", "Exec"};

void write_loc_uri(xml::writer& w, std::string_view element, std::string_view uri) {
    w.open(element).leaf("LocURI", uri).close();
}

// In the order of the SyncML 1.2 DTD; each Meta child declares the MetInf namespace, as Windows writes it itself.
void write(xml::writer& w, command const& c, int cmd_id) {
    w.open(name(c.what)).leaf("CmdID", fmt::to_string(cmd_id)).open("Item");
    write_loc_uri(w, "Target", c.uri);
    if (!c.format.empty() || !c.type.empty()) {
        w.open("Meta");
        if (!c.format.empty()) w.leaf_ns("Format", metinf, c.format);
        if (!c.type.empty()) w.leaf_ns("Type", metinf, c.type);
        w.close();
    }
    if (c.data) w.leaf("Data", *c.data);
    w.close().close();
}

}  // namespace

result<message> parse(std::string_view text) {
    static std::array<xml::name, 2> const opaque{
        xml::name{std::string(syncml_12), "Data"}, xml::name{std::string(syncml_11), "Data"}};
    auto const doc = xml::parse(text, {}, opaque);
    if (!doc) return doc.error();
    auto const& root = doc->root;
    if (root.local != "SyncML" || (root.ns != syncml_12 && root.ns != syncml_11))
        return fail(errc::malformed, "not a SyncML message");
    auto const hdrs = xml::children(doc->content, root.ns, "SyncHdr");
    auto const bodies = xml::children(doc->content, root.ns, "SyncBody");
    if (hdrs.size() != 1 || bodies.size() != 1) return fail(errc::malformed, "not one SyncHdr and one SyncBody");

    message_reader const in(root.ns);
    auto hdr = in.read_header(*hdrs.front());
    if (!hdr) return hdr.error();
    message m{.hdr = std::move(*hdr), .body = {}, .final = false};
    std::set<int> ids;
    for (auto const& [n, e] : *bodies.front()) {
        if (n.ns != root.ns) continue;  // extensions, and the attributes
        if (n.local == "Final") {
            m.final = true;
            continue;
        }
        auto command = in.read_command(n.local, e);
        if (!command) return command.error();
        auto const id = std::visit([](auto const& c) { return c.cmd_id; }, *command);
        if (!ids.insert(id).second) return fail(errc::malformed, fmt::format("CmdID {} is there twice", id));
        m.body.push_back(std::move(*command));
    }
    return m;
}

std::string_view name(verb v) { return verb_names.at(static_cast<std::size_t>(v)); }

std::optional<verb> parse_verb(std::string_view s) {
    for (std::size_t i = 0; i < verb_names.size(); ++i)
        if (s == verb_names[i] || s == lower(verb_names[i])) return static_cast<verb>(i);
    return std::nullopt;
}

int first_command_id(reply const& r) { return static_cast<int>(r.statuses.size()) + (r.alert ? 1 : 0) + 1; }

result<std::string> serialise(reply const& r) {
    for (auto const& c : r.commands)
        if (!sendable(c))
            return fail(errc::malformed,
                fmt::format("{} {}: a character that XML cannot carry", name(c.what), printable(c.uri, 256)));
    xml::writer w;
    w.open("SyncML").attribute("xmlns", syncml_12);
    w.open("SyncHdr").leaf("VerDTD", "1.2").leaf("VerProto", "DM/1.2");
    w.leaf("SessionID", r.session_id).leaf("MsgID", fmt::to_string(r.msg_id));
    write_loc_uri(w, "Target", r.target);
    write_loc_uri(w, "Source", r.source);
    w.close().open("SyncBody");
    int id = 0;
    for (auto const& s : r.statuses) {
        w.open("Status").leaf("CmdID", fmt::to_string(++id)).leaf("MsgRef", fmt::to_string(r.msg_ref));
        w.leaf("CmdRef", fmt::to_string(s.cmd_ref)).leaf("Cmd", s.cmd).leaf("Data", fmt::to_string(s.data)).close();
    }
    if (r.alert) w.open("Alert").leaf("CmdID", fmt::to_string(++id)).leaf("Data", fmt::to_string(*r.alert)).close();
    for (auto const& c : r.commands) write(w, c, ++id);
    if (r.final) w.leaf("Final");
    return std::move(w.close().close()).finish();
}

bool sendable(command const& c) {
    return xml::can_carry(c.uri) && xml::can_carry(c.format) && xml::can_carry(c.type) &&
           (!c.data || xml::can_carry(*c.data));
}

std::size_t size_of(command const& c) {
    xml::writer w;
    write(w, c, most);
    auto const text = std::move(w).finish();
    // What cannot be written has no size; the longest escape ("&quot;") of every byte is no less than any it could
    // have.
    if (!text) return 1024 + 6 * (c.uri.size() + c.format.size() + c.type.size() + c.data.value_or("").size());
    return text->size();
}

}  // namespace mdmd::omadm
