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
    std::string loc_uri(xml::tree const& parent, std::string_view child, std::string_view local = "LocURI") const;
    std::string_view meta(xml::tree const& element, std::string_view local) const;
    // Errors: malformed (there, and no number of bytes from 1 on).
    result<std::optional<std::uint64_t>> bytes_of(xml::tree const& element, std::string_view local) const;
    std::optional<chal> read_challenge(xml::tree const& status) const;
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

std::string message_reader::loc_uri(xml::tree const& parent, std::string_view child, std::string_view local) const {
    auto const* const held = xml::child(parent, ns_, child);
    if (!held) return {};
    return std::string(xml::reader(child, *held).optional(ns_, local).value_or(""));
}

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t n = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    return ec == std::errc{} && end == text.data() + text.size() ? std::optional(n) : std::nullopt;
}

result<std::optional<std::uint64_t>> message_reader::bytes_of(xml::tree const& element, std::string_view local) const {
    auto const text = meta(element, local);
    if (text.empty()) return std::optional<std::uint64_t>{};
    auto const bytes = number_of(text);
    if (!bytes || *bytes == 0)
        return fail(errc::malformed, fmt::format("{} '{}' is no number of bytes", local, printable(text, 32)));
    return bytes;
}

std::optional<chal> message_reader::read_challenge(xml::tree const& status) const {
    auto const* const held = xml::child(status, ns_, "Chal");
    if (!held) return std::nullopt;
    return chal{
        .type = std::string(meta(*held, "Type")), .next_nonce = unbase64(meta(*held, "NextNonce")).value_or("")};
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
            .more_data = xml::child(*e, ns_, "MoreData") != nullptr,
            .size = number_of(meta(*e, "Size"))});
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
        .max_msg_size = std::nullopt,
        .max_obj_size = std::nullopt,
        .source_name = loc_uri(e, "Source", "LocName"),
        .cred = std::nullopt};
    if (in.failure()) return *in.failure();
    if (version != "1.2" && version != "1.1")
        return fail(errc::unsupported, fmt::format("SyncML version '{}'", printable(version, 32)));
    if (h.session_id.empty() || h.session_id.size() > 32)
        return fail(errc::malformed, "SessionID is not of 1 to 32 characters");
    if (h.source.empty()) return fail(errc::malformed, "<SyncHdr> has no <Source> with a <LocURI>");
    auto const message_size = bytes_of(e, "MaxMsgSize");
    if (!message_size) return message_size.error();
    h.max_msg_size = *message_size;
    auto const object_size = bytes_of(e, "MaxObjSize");
    if (!object_size) return object_size.error();
    h.max_obj_size = *object_size;
    if (auto const* const cred = xml::child(e, ns_, "Cred"))
        h.cred = credential{.type = std::string(meta(*cred, "Type")),
            .format = std::string(meta(*cred, "Format")),
            .data = secret(std::string(xml::reader("Cred", *cred).optional(ns_, "Data").value_or("")))};
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
        .target_refs = {},
        .challenge = read_challenge(e)};
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
    if (!xml::child(e, ns_, "CmdID")) return foreign{.cmd_id = 0, .name = std::string(name), .items = {}};
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
void write(xml::writer& w, command const& c, int cmd_id, object_part const& part = {}) {
    w.open(name(c.what)).leaf("CmdID", fmt::to_string(cmd_id)).open("Item");
    write_loc_uri(w, "Target", c.uri);
    if (!c.format.empty() || !c.type.empty() || part.size) {
        w.open("Meta");
        if (!c.format.empty()) w.leaf_ns("Format", metinf, c.format);
        if (!c.type.empty()) w.leaf_ns("Type", metinf, c.type);
        if (part.size) w.leaf_ns("Size", metinf, fmt::to_string(*part.size));
        w.close();
    }
    if (c.data) w.leaf("Data", *c.data);
    if (part.more) w.leaf("MoreData");
    w.close().close();
}

void write(xml::writer& w, reply_status const& s, int cmd_id, int msg_ref) {
    w.open("Status").leaf("CmdID", fmt::to_string(cmd_id)).leaf("MsgRef", fmt::to_string(msg_ref));
    w.leaf("CmdRef", s.cmd_ref == blank_reference ? "" : fmt::to_string(s.cmd_ref)).leaf("Cmd", s.cmd);
    if (s.challenge) {
        w.open("Chal").open("Meta");
        w.leaf_ns("Format", metinf, "b64").leaf_ns("Type", metinf, s.challenge->type);
        w.leaf_ns("NextNonce", metinf, base64(s.challenge->next_nonce)).close().close();
    }
    w.leaf("Data", fmt::to_string(s.data)).close();
}

void write_header(xml::writer& w, reply const& r) {
    w.open("SyncHdr").leaf("VerDTD", "1.2").leaf("VerProto", "DM/1.2");
    w.leaf("SessionID", r.session_id).leaf("MsgID", fmt::to_string(r.msg_id));
    write_loc_uri(w, "Target", r.target);
    w.open("Source").leaf("LocURI", r.source);
    if (!r.source_name.empty()) w.leaf("LocName", r.source_name);
    w.close();
    if (r.cred) {
        w.open("Cred").open("Meta");
        if (!r.cred->format.empty()) w.leaf_ns("Format", metinf, r.cred->format);
        w.leaf_ns("Type", metinf, r.cred->type).close().leaf("Data", r.cred->data.reveal()).close();
    }
    w.close();
}

void write_commands(xml::writer& w, reply const& r, int id) {
    auto atomic = r.atomics.begin();
    for (std::size_t i = 0; i < r.commands.size(); ++i) {
        bool const in_one = atomic != r.atomics.end() && i >= atomic->first;
        if (in_one && i == atomic->first) w.open("Atomic").leaf("CmdID", fmt::to_string(id++));
        bool const last = i + 1 == r.commands.size();
        write(w, r.commands[i], id++, last && r.part ? *r.part : object_part{});
        if (in_one && i + 1 == atomic->first + atomic->count) {
            w.close();
            ++atomic;
        }
    }
}

template <class Write> std::optional<std::size_t> measured(Write write_to) {
    xml::writer w;
    write_to(w);
    auto const text = std::move(w).finish();
    return text ? std::optional(text->size()) : std::nullopt;
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
        if (id != 0 && !ids.insert(id).second) return fail(errc::malformed, fmt::format("CmdID {} is there twice", id));
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

int first_command_id(reply const& r) {
    return static_cast<int>(r.statuses.size() + r.cut_short.size()) + (r.alert ? 1 : 0) + 1;
}

result<std::string> serialise(reply const& r) {
    for (auto const& c : r.commands)
        if (!sendable(c))
            return fail(errc::malformed,
                fmt::format("{} {}: a character that XML cannot carry", name(c.what), printable(c.uri, 256)));
    xml::writer w;
    w.open("SyncML").attribute("xmlns", syncml_12);
    write_header(w, r);
    w.open("SyncBody");
    int id = 0;
    for (auto const& s : r.statuses) write(w, s, ++id, r.msg_ref);
    for (auto const& uri : r.cut_short) {
        w.open("Alert").leaf("CmdID", fmt::to_string(++id)).leaf("Data", "1225").open("Item");
        write_loc_uri(w, "Source", uri);
        w.close().close();
    }
    if (r.alert) w.open("Alert").leaf("CmdID", fmt::to_string(++id)).leaf("Data", fmt::to_string(*r.alert)).close();
    write_commands(w, r, ++id);
    if (r.final) w.leaf("Final");
    return std::move(w.close().close()).finish();
}

bool sendable(command const& c) {
    return xml::can_carry(c.uri) && xml::can_carry(c.format) && xml::can_carry(c.type) &&
           (!c.data || xml::can_carry(*c.data));
}

std::size_t size_of(command const& c) { return size_of(c, {}); }

std::size_t size_of(command const& c, object_part const& part) {
    // What cannot be written has no size; the longest escape ("&quot;") of every byte is no less than any it could
    // have.
    return measured([&](xml::writer& w) {
        write(w, c, most, part);
    }).value_or(1024 + 6 * (c.uri.size() + c.format.size() + c.type.size() + c.data.value_or("").size()));
}

std::size_t size_of_atomic() {
    constexpr std::size_t content = 1;
    return measured([](xml::writer& w) {
        w.open("Atomic").leaf("CmdID", fmt::to_string(most)).text("x").close();
    }).value() -
           content;
}

std::size_t fitting(std::string_view text, std::size_t begin, std::size_t room) {
    auto const left = text.substr(begin);
    auto const fits = [&](std::size_t bytes) {
        constexpr std::size_t tags = std::string_view("<D></D>").size();
        return measured([&](xml::writer& w) { w.leaf("D", cut_utf8(left, bytes)); }).value() <= room + tags;
    };
    std::size_t least = 0, most_bytes = std::min(left.size(), room);
    if (fits(most_bytes)) least = most_bytes;
    while (least < most_bytes) {
        auto const middle = least + (most_bytes - least + 1) / 2;
        if (fits(middle))
            least = middle;
        else
            most_bytes = middle - 1;
    }
    return cut_utf8(left, least).size();
}

}  // namespace mdmd::omadm
