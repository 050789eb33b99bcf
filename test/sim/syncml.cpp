#include "syncml.hpp"

#include <charconv>
#include <set>
#include <span>

#include "core/text.hpp"
#include "csp_tree.hpp"
#include "xml/document.hpp"

namespace mdmd::sim {
namespace {

constexpr char sync_ns[] = "SYNCML:SYNCML1.2";
constexpr char meta_ns[] = "syncml:metinf";

// One place of a DTD sequence. What the DM profile forbids (NoResp, Lang, Archive, SftDel, Cred in commands) is not in
// the tables, and so a violation.
struct slot {
    char const* name;
    int least, most;
};
constexpr int many = 100'000;
constexpr slot root_slots[] = {{"SyncHdr", 1, 1}, {"SyncBody", 1, 1}};
constexpr slot header_slots[] = {{"VerDTD", 1, 1}, {"VerProto", 1, 1}, {"SessionID", 1, 1}, {"MsgID", 1, 1},
    {"Target", 1, 1}, {"Source", 1, 1}, {"RespURI", 0, 1}, {"Cred", 0, 1}, {"Meta", 0, 1}};
constexpr slot status_slots[] = {{"CmdID", 1, 1}, {"MsgRef", 1, 1}, {"CmdRef", 1, 1}, {"Cmd", 1, 1},
    {"TargetRef", 0, many}, {"SourceRef", 0, many}, {"Cred", 0, 1}, {"Chal", 0, 1}, {"Data", 1, 1}, {"Item", 0, many}};
constexpr slot change_slots[] = {{"CmdID", 1, 1}, {"Meta", 0, 1}, {"Item", 1, many}};
constexpr slot exec_slots[] = {{"CmdID", 1, 1}, {"Meta", 0, 1}, {"Correlator", 0, 1}, {"Item", 1, 1}};
constexpr slot alert_slots[] = {{"CmdID", 1, 1}, {"Data", 1, 1}, {"Correlator", 0, 1}, {"Item", 0, many}};
constexpr slot item_slots[] = {{"Target", 0, 1}, {"Source", 0, 1}, {"Meta", 0, 1}, {"Data", 0, 1}, {"MoreData", 0, 1}};
constexpr slot address_slots[] = {{"LocURI", 1, 1}, {"LocName", 0, 1}};
constexpr slot meta_slots[] = {{"FieldLevel", 0, 1}, {"Format", 0, 1}, {"Type", 0, 1}, {"Mark", 0, 1}, {"Size", 0, 1},
    {"Anchor", 0, 1}, {"Version", 0, 1}, {"NextNonce", 0, 1}, {"MaxMsgSize", 0, 1}, {"MaxObjSize", 0, 1},
    {"EMI", 0, many}, {"Mem", 0, 1}};
constexpr slot chal_slots[] = {{"Meta", 1, 1}};
constexpr slot cred_slots[] = {{"Meta", 0, 1}, {"Data", 1, 1}};

constexpr std::string_view formats[] = {
    "chr", "int", "bool", "b64", "bin", "node", "null", "xml", "date", "time", "float"};

class message_reader {
public:
    server_message take(std::string_view text) {
        xml::name const opaque[] = {{sync_ns, "Data"}};  // may hold markup of its own
        auto const doc = xml::parse(text, {}, opaque);
        if (!doc) {
            wrong("not XML: " + doc.error().detail);
            return std::move(out_);
        }
        if (doc->root != xml::name{sync_ns, "SyncML"}) {
            wrong(fmt::format("the root is {{{}}}{}, not {{{}}}SyncML", doc->root.ns, doc->root.local, sync_ns));
            return std::move(out_);
        }
        sequence("SyncML", doc->content, root_slots);
        if (auto const* const h = child(doc->content, "SyncHdr")) header(*h);
        if (auto const* const b = child(doc->content, "SyncBody")) body(*b);
        return std::move(out_);
    }

private:
    void wrong(std::string what) { out_.violations.push_back(std::move(what)); }

    static xml::tree const* child(xml::tree const& t, char const* name, char const* ns = sync_ns) {
        return xml::child(t, ns, name);
    }

    // Children are exactly those of the table, in its order.
    void sequence(std::string_view element, xml::tree const& t, std::span<slot const> slots, char const* ns = sync_ns) {
        std::size_t at = 0;
        std::vector<int> seen(slots.size());
        for (auto const& [name, inner] : t) {
            if (xml::is_attributes(name)) continue;
            auto const fits = [&](slot const& s) { return name.ns == ns && name.local == s.name; };
            auto const where = std::find_if(slots.begin(), slots.end(), fits);
            if (where == slots.end()) {
                wrong(fmt::format("<{}> may not hold <{}>{}", element, name.local,
                    name.ns == ns ? "" : fmt::format(" of namespace '{}'", printable(name.ns, 100))));
                continue;
            }
            auto const index = static_cast<std::size_t>(where - slots.begin());
            if (index < at) wrong(fmt::format("<{}>: <{}> stands after <{}>", element, name.local, slots[at].name));
            at = std::max(at, index);
            ++seen[index];
        }
        for (std::size_t i = 0; i < slots.size(); ++i)
            if (seen[i] < slots[i].least || seen[i] > slots[i].most)
                wrong(fmt::format("<{}> has {} <{}>", element, seen[i], slots[i].name));
    }

    std::string text(xml::tree const& t, char const* name, char const* ns = sync_ns) {
        auto const* const c = child(t, name, ns);
        if (!c) return {};
        for (auto const& [inner, ignored] : *c)
            if (!xml::is_attributes(inner)) wrong(fmt::format("<{}> holds an element", name));
        if (trim(c->data()) != c->data()) wrong(fmt::format("<{}> has white space around its text", name));
        return std::string(trim(c->data()));
    }

    int number(xml::tree const& t, char const* name, int least, int most) {
        auto const s = text(t, name);
        int v = 0;
        auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
        if (ec != std::errc{} || end != s.data() + s.size() || v < least || v > most)
            wrong(fmt::format("<{}> '{}' is not a number from {} to {}", name, printable(s, 40), least, most));
        return v;
    }

    std::string address(xml::tree const& t, char const* name) {
        auto const* const a = child(t, name);
        if (!a) return {};
        sequence(name, *a, address_slots);
        return text(*a, "LocURI");
    }

    void header(xml::tree const& h) {
        sequence("SyncHdr", h, header_slots);
        if (auto const v = text(h, "VerDTD"); v != "1.2") wrong(fmt::format("VerDTD is '{}'", printable(v, 40)));
        if (auto const v = text(h, "VerProto"); v != "DM/1.2") wrong(fmt::format("VerProto is '{}'", printable(v, 40)));
        out_.session_id = text(h, "SessionID");
        out_.msg_id = number(h, "MsgID", 1, 1'000'000);
        out_.target = address(h, "Target");
        out_.source = address(h, "Source");
        if (auto const* const s = child(h, "Source")) out_.source_name = text(*s, "LocName");
        if (auto const* const c = child(h, "Cred")) credentials(*c);
        out_.resp_uri = text(h, "RespURI");
        if (auto const* const m = child(h, "Meta")) {
            sequence("Meta", *m, meta_slots, meta_ns);
            out_.max_msg_size = size_of(*m, "MaxMsgSize").value_or(0);
        }
    }

    void credentials(xml::tree const& c) {
        sequence("Cred", c, cred_slots);
        if (auto const* const m = child(c, "Meta")) {
            sequence("Meta", *m, meta_slots, meta_ns);
            out_.cred_type = text(*m, "Type", meta_ns);
            if (text(*m, "Format", meta_ns) != "b64") wrong("the Cred is not of Format b64");
        }
        out_.cred_data = text(c, "Data");
    }

    std::optional<std::size_t> size_of(xml::tree const& meta, char const* name) {
        if (!child(meta, name, meta_ns)) return std::nullopt;
        auto const s = text(meta, name, meta_ns);
        std::size_t v = 0;
        auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
        if (ec != std::errc{} || end != s.data() + s.size())
            wrong(fmt::format("<{}> '{}' is no number of octets", name, printable(s, 40)));
        return v;
    }

    void body(xml::tree const& b) {
        bool any = false;
        for (auto const& [name, t] : b) {
            if (xml::is_attributes(name)) continue;
            if (out_.final) wrong(fmt::format("<{}> stands after <Final>", name.local));
            if (name.ns != sync_ns) {
                wrong(fmt::format("<{}> of namespace '{}' in SyncBody", name.local, printable(name.ns, 100)));
            } else if (name.local == "Final") {
                out_.final = true;
                continue;
            } else if (name.local == "Status") {
                status(t);
            } else {
                command(name.local, t, out_.commands, {});
            }
            any = true;
        }
        if (!any) wrong("SyncBody is empty");
    }

    void take_id(xml::tree const& t, int& id) {
        id = number(t, "CmdID", 1, 1'000'000);
        if (!ids_.insert(id).second) wrong(fmt::format("CmdID {} stands twice", id));
    }

    void status(xml::tree const& t) {
        sequence("Status", t, status_slots);
        int id = 0;
        take_id(t, id);
        sync_status s;
        s.msg_ref = number(t, "MsgRef", 1, 1'000'000);
        s.cmd_ref = number(t, "CmdRef", 0, 1'000'000);
        s.cmd = text(t, "Cmd");
        s.code = number(t, "Data", 100, 699);
        if (auto const* const c = child(t, "Chal")) {
            sequence("Chal", *c, chal_slots);
            if (auto const* const m = child(*c, "Meta")) {
                sequence("Meta", *m, meta_slots, meta_ns);
                s.challenge_type = text(*m, "Type", meta_ns);
                s.next_nonce = text(*m, "NextNonce", meta_ns);
            }
        }
        out_.statuses.push_back(std::move(s));
    }

    void item(std::string_view command, xml::tree const& t, sync_command& into) {
        sequence("Item", t, item_slots);
        sync_item i;
        i.target = address(t, "Target");
        i.source = address(t, "Source");
        if (auto const* const m = child(t, "Meta")) {
            sequence("Meta", *m, meta_slots, meta_ns);
            i.format = text(*m, "Format", meta_ns);
            i.type = text(*m, "Type", meta_ns);
            i.size = size_of(*m, "Size");
        }
        if (!i.format.empty() && std::find(std::begin(formats), std::end(formats), i.format) == std::end(formats))
            wrong(fmt::format("Format '{}' is none", printable(i.format, 40)));
        if (auto const* const d = child(t, "Data")) {
            i.has_data = true;
            i.data = d->data();
        }
        i.more_data = child(t, "MoreData") != nullptr;
        if (command != "Alert") {
            if (auto const bad = locuri_failure(i.target)) wrong(fmt::format("{}: {}", command, *bad));
            if (!i.source.empty()) wrong(fmt::format("{} has a Source", command));
        }
        if ((command == "Get" || command == "Delete") && i.has_data) wrong(fmt::format("{} carries Data", command));
        // What only an Exec gives its data to is added without any.
        auto const dataless = i.format == "null" || i.format == "node" || i.target.ends_with("/DownloadInstall");
        if ((command == "Add" || command == "Replace") && !i.has_data && !dataless)
            wrong(fmt::format("{} of {} has no Data", command, printable(i.target, 200)));
        into.items.push_back(std::move(i));
    }

    void command(
        std::string const& name, xml::tree const& t, std::vector<sync_command>& into, std::string_view within) {
        sync_command c;
        c.name = name;
        if (name == "Atomic" || name == "Sequence") {
            if (!within.empty()) wrong(fmt::format("{} inside {}", name, within));
            if (depth_ == 8) return wrong("Atomic and Sequence are nested too deep");
            ++depth_;
            take_id(t, c.cmd_id);
            bool first = true;
            for (auto const& [inner, i] : t) {
                if (xml::is_attributes(inner)) continue;
                if (inner.local == "CmdID") {
                    if (!first) wrong(fmt::format("<{}>: CmdID is not first", name));
                } else if (inner.local == "Meta") {
                    sequence("Meta", i, meta_slots, meta_ns);
                } else {
                    command(inner.local, i, c.children, name);
                }
                first = false;
            }
            if (c.children.empty()) wrong(fmt::format("{} is empty", name));
            --depth_;
        } else if (name == "Add" || name == "Replace" || name == "Delete" || name == "Get" || name == "Exec") {
            if (name == "Get" && within == "Atomic") wrong("Get inside Atomic");
            if (name == "Exec")
                sequence(name, t, exec_slots);
            else
                sequence(name, t, change_slots);
            take_id(t, c.cmd_id);
            for (auto const& [inner, i] : t)
                if (inner == xml::name{sync_ns, "Item"}) item(name, i, c);
        } else if (name == "Alert") {
            sequence(name, t, alert_slots);
            take_id(t, c.cmd_id);
            c.alert = number(t, "Data", 1000, 1999);
            for (auto const& [inner, i] : t)
                if (inner == xml::name{sync_ns, "Item"}) item(name, i, c);
        } else {
            wrong(fmt::format("<{}> is no command for a DM client", printable(name, 40)));
            return;
        }
        into.push_back(std::move(c));
    }

    server_message out_;
    std::set<int> ids_;
    int depth_ = 0;
};

}  // namespace

bool server_message::has_alert(int code) const {
    return std::any_of(
        commands.begin(), commands.end(), [&](auto const& c) { return c.name == "Alert" && c.alert == code; });
}

bool server_message::has_commands() const {
    return std::any_of(commands.begin(), commands.end(), [](auto const& c) { return c.name != "Alert"; });
}

bool server_message::has_piece() const {
    return std::any_of(commands.begin(), commands.end(), [](auto const& c) {
        return std::any_of(c.items.begin(), c.items.end(), [](auto const& i) { return i.more_data; });
    });
}

server_message read_server_message(std::string_view text) { return message_reader().take(text); }

std::string write_status(status_text const& s) {
    auto const data = s.original_error.empty()
                          ? fmt::format("<Data>{}</Data>", s.code)
                          : fmt::format("<Data msft:originalerror=\"{}\">{}</Data>", s.original_error, s.code);
    auto const ref =
        s.target_ref.empty() ? std::string() : fmt::format("<TargetRef>{}</TargetRef>", html_escape(s.target_ref));
    auto const challenge =
        s.next_nonce.empty()
            ? std::string()
            : fmt::format(
                  "<Chal><Meta><Format xmlns=\"syncml:metinf\">b64</Format><Type xmlns=\"syncml:metinf\">syncml:auth-md5"
                  "</Type><NextNonce xmlns=\"syncml:metinf\">{}</NextNonce></Meta></Chal>",
                  s.next_nonce);
    return fmt::format("<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>{}</Cmd>{}{}{}</Status>",
        s.cmd_id, s.msg_ref, s.cmd_ref, s.cmd, s.microsoft_order ? data : ref, challenge,
        s.microsoft_order ? ref : data);
}

std::string write_results(
    int cmd_id, int msg_ref, int cmd_ref, std::string_view uri, std::string_view format, std::string_view value) {
    return write_results_piece(cmd_id, msg_ref, cmd_ref, uri, format, value, std::nullopt, false);
}

std::string write_results_piece(int cmd_id, int msg_ref, int cmd_ref, std::string_view uri, std::string_view format,
    std::string_view piece, std::optional<std::size_t> size, bool more) {
    std::string meta;
    if (format != "chr" && !format.empty())
        meta += fmt::format("<Format xmlns=\"syncml:metinf\">{}</Format>", html_escape(format));
    if (size) meta += fmt::format("<Size xmlns=\"syncml:metinf\">{}</Size>", *size);
    if (!meta.empty()) meta = fmt::format("<Meta>{}</Meta>", meta);
    return fmt::format(
        "<Results><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>Get</Cmd><Item><Source><LocURI>{}</LocURI>"
        "</Source>{}<Data>{}</Data>{}</Item></Results>",
        cmd_id, msg_ref, cmd_ref, html_escape(uri), meta, html_escape(piece), more ? "<MoreData/>" : "");
}

}  // namespace mdmd::sim
