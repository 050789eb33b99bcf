// Messages of a device as text, and our answers to them in short, for tables of conversations.
#pragma once
#include <fmt/format.h>

#include "omadm/session.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

namespace mdmd::test {

using namespace mdmd::omadm;

inline std::string status_of(int msg_ref, int cmd_ref, int data, std::string const& more = {}) {
    static int id = 1000;
    return fmt::format(
        "<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>x</Cmd>{}<Data>{}</Data></Status>", ++id,
        msg_ref, cmd_ref, more, data);
}
inline std::string header_ok(int msg_ref) { return status_of(msg_ref, 0, 200); }
inline std::string results_of(int msg_ref, int cmd_ref, std::string const& source, std::string const& data,
    std::string const& more = {}, int cmd_id = 50) {
    return fmt::format(
        "<Results><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Item><Source><LocURI>{}"
        "</LocURI></Source><Data>{}</Data>{}</Item></Results>",
        cmd_id, msg_ref, cmd_ref, source, data, more);
}
inline std::string alert_of(int cmd_id, int code, std::string const& type = {}, std::string const& data = {}) {
    auto const item = type.empty()
                          ? ""
                          : fmt::format(
                                "<Item><Source><LocURI>./S</LocURI></Source><Meta><Type xmlns='syncml:metinf'>{}"
                                "</Type></Meta><Data>{}</Data></Item>",
                                type, data);
    return fmt::format("<Alert><CmdID>{}</CmdID><Data>{}</Data>{}</Alert>", cmd_id, code, item);
}
inline std::string message_text(int msg_id, std::string const& body, std::string const& header = {}) {
    return fmt::format(
        "<SyncML xmlns='SYNCML:SYNCML1.2'><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1"
        "</SessionID><MsgID>{}</MsgID><Target><LocURI>https://mdm.example.test/dm</LocURI></Target><Source><LocURI>"
        "DEVICE</LocURI></Source>{}</SyncHdr><SyncBody>{}</SyncBody></SyncML>",
        msg_id, header, body);
}

inline addresses const both_ends{.device = "DEVICE", .management = "https://mdm.example.test/dm"};

inline wanted to_send(verb what, std::string uri, std::optional<std::string> data = {}, std::string atomic = {}) {
    return {.key = uri,
        .what = {.what = what, .uri = uri, .format = {}, .type = {}, .data = std::move(data)},
        .atomic = std::move(atomic)};
}

// "S2=200" (a Status, with the command it is about), "A1222", "Get5 ./N", "Atomic5[Add6 ./N]", "F" (Final).
inline std::string in_short(xml::tree const& parent) {
    constexpr std::string_view ns = "SYNCML:SYNCML1.2";
    std::string out;
    for (auto const& [n, e] : parent) {
        if (n.ns != ns || n.local == "CmdID") continue;
        auto const text = [&](std::string_view child) {
            auto const* const held = xml::child(e, ns, child);
            return held ? held->data() : std::string();
        };
        if (!out.empty()) out += ' ';
        if (n.local == "Final")
            out += "F";
        else if (n.local == "Status")
            out += "S" + text("CmdRef") + "=" + text("Data") + (xml::child(e, ns, "Chal") ? "+Chal" : "");
        else if (n.local == "Alert")
            out += "A" + text("Data");
        else if (n.local == "Atomic")
            out += "Atomic" + text("CmdID") + "[" + in_short(e) + "]";
        else {
            auto const& item = *xml::child(e, ns, "Item");
            out += n.local + text("CmdID") + " " + xml::child(*xml::child(item, ns, "Target"), ns, "LocURI")->data();
            if (xml::child(item, ns, "MoreData")) out += " more";
        }
    }
    return out;
}
inline std::string in_short(std::string const& message) {
    auto const doc = xml::parse(message).value();
    return in_short(*xml::child(doc.content, "SYNCML:SYNCML1.2", "SyncBody"));
}
// "./N=200" each, with "(value)" of a Get.
inline std::string in_short(std::vector<outcome> const& all) {
    std::string out;
    for (auto const& o : all) {
        REQUIRE(o.key == o.sent.uri);
        out += fmt::format("{}{}={}{}", out.empty() ? "" : " ", o.key, o.status, o.value ? "(" + *o.value + ")" : "");
    }
    return out;
}

}  // namespace mdmd::test
