// An enrolled device that is played by the test, over an appliance.
#pragma once
#include "omadm/syncml.hpp"
#include "policy/policy.hpp"
#include "test/service_fixture.hpp"
#include "xml/document.hpp"

namespace mdmd::test {

inline constexpr std::string_view first_body =
    R"(<Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/LoginStatus</Type></Meta><Data>user</Data></Item></Alert><Replace><CmdID>4</CmdID><Item><Source><LocURI>./DevInfo/DevId</LocURI></Source><Data>MDMDEVICE1</Data></Item><Item><Source><LocURI>./DevInfo/Man</LocURI></Source><Data>Maker</Data></Item></Replace>)";

struct sent_command {
    std::string name, uri, data;
    int id = 0;
};

// The commands of a reply, in order.
inline std::vector<sent_command> commands_of(std::string const& reply) {
    std::vector<sent_command> all;
    constexpr std::string_view ns = "SYNCML:SYNCML1.2";
    auto const doc = xml::parse(reply).value();
    auto const text = [&](xml::tree const& t, std::initializer_list<char const*> path) {
        auto const* at = &t;
        for (auto const* p : path)
            if (at) at = xml::child(*at, ns, p);
        return at ? at->data() : std::string();
    };
    auto const add = [&](xml::name const& name, xml::tree const& e) {
        all.push_back({name.local, text(e, {"Item", "Target", "LocURI"}), text(e, {"Item", "Data"}),
            std::stoi(text(e, {"CmdID"}))});
    };
    for (auto const& [name, e] : *xml::child(doc.content, ns, "SyncBody")) {
        if (name.local == "Status" || name.local == "Final" || name.local == "Alert") continue;
        add(name, e);
        if (name.local != "Atomic") continue;
        for (auto const& [inner, c] : e)
            if (inner.local != "CmdID" && inner.local != "Meta") add(inner, c);
    }
    return all;
}

struct session_fixture : appliance_fixture {
    session_fixture() : session_fixture(true) {}
    // Whether the token says which of Entra's devices it is.
    explicit session_fixture(bool named) {
        auto const token = tenant->token(time.now(), named ? device_claims() : json::object{});
        certificate = certificate_of(enroll({.blob = accept_terms(true), .token = token}));
    }

    std::map<std::string, std::string> tree{
        {"./DevDetail/SwV", "10.0.22631.3447"}, {"./DevDetail/Ext/Microsoft/DeviceName", "PC1"}};
    std::map<std::string, int> refuse;  // by URI: the status given instead
    std::vector<std::string> seen;      // "Replace ./X=1"

    // Plays a whole session as a device with `tree` would; returns how many messages it took.
    int sync(std::string const& id, int most = 10) { return play(post(syncml(id, 1, first_body)), id, most); }
    // The rest of a session, from the answer to its first message.
    int play(http::response r, std::string const& id, int most = 10) {
        for (int msg = 2; msg < most; ++msg) {
            REQUIRE(r.status == 200);
            auto const commands = commands_of(r.body);
            if (commands.empty()) return msg - 1;
            r = post(syncml(id, msg, answers(commands, msg - 1)));
        }
        FAIL("the session does not end");
        return most;
    }

    std::string answers(std::vector<sent_command> const& commands, int server_msg) {
        std::string body = fmt::format(
            "<Status><CmdID>1</CmdID><MsgRef>{}</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status>",
            server_msg);
        int id = 1;
        std::string results;
        for (auto const& c : commands) {
            seen.push_back(c.name + " " + c.uri + (c.data.empty() ? "" : "=" + c.data));
            int status = 200;
            auto const node = policy::canonical_uri(c.uri);
            auto const at = std::find_if(
                tree.begin(), tree.end(), [&](auto const& e) { return policy::canonical_uri(e.first) == node; });
            if (auto const f = refuse.find(c.uri); f != refuse.end()) {
                status = f->second;
            } else if (c.name == "Get") {
                if (at == tree.end())
                    status = 404;
                else
                    results += fmt::format(
                        "<Results><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>Get</Cmd><Item><Source><LocURI>{}</LocURI></Source><Data>{}</Data></Item></Results>",
                        1000 + c.id, server_msg, c.id, c.uri, at->second);
            } else if (c.name == "Add") {
                if (at != tree.end())
                    status = 418;
                else
                    tree[c.uri] = c.data;
            } else if (c.name == "Replace") {
                if (at != tree.end())
                    at->second = c.data;
                else if (c.uri.find("/Policy/Config/") != c.uri.npos)
                    tree[c.uri] = c.data;
                else
                    status = 404;
            } else if (c.name == "Delete") {
                if (at == tree.end())
                    status = 404;
                else
                    tree.erase(at);
            }
            body += fmt::format(
                "<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>{}</Cmd><Data>{}</Data></Status>",
                ++id, server_msg, c.id, c.name, status);
        }
        return body + results;
    }

    config::policy_file& add_policy(std::string name = "baseline") {
        config.policies.push_back({.name = std::move(name)});
        return config.policies.back();
    }
    std::string setting_states() {
        std::string all;
        for (auto const& s : service::details(*appliance, "PC1").value().settings)
            if (s.policy != "mdmd") all += s.uri + ":" + s.state + " ";
        return all;
    }
    // Those of them that change something, in order.
    std::vector<std::string> written() const {
        std::vector<std::string> all;
        for (auto const& s : seen)
            if (!s.starts_with("Get ") && !s.starts_with("Atomic ")) all.push_back(s);
        return all;
    }
    bool was_sent(std::string const& what) const { return std::find(seen.begin(), seen.end(), what) != seen.end(); }
};

}  // namespace mdmd::test
