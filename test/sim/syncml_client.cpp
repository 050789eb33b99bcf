#include "syncml_client.hpp"

#include "core/text.hpp"
#include "pki.hpp"

namespace mdmd::sim {
namespace {

constexpr char content_type[] = "application/vnd.syncml.dm+xml";
constexpr std::size_t default_message_size = 512 * 1024;

// HRESULTs for msft:originalerror.
std::string_view original_error_of(int status) {
    switch (status) {
        case 404: return "0x80070002";
        case 405: return "0x80070005";
        case 415: return "0x80070057";
        case 418: return "0x800700B7";
        default: return "0x80004005";
    }
}

struct sent_command {
    int cmd_id;
    std::string name;
    bool must_be_answered;  // Results need no Status
};

class session {
public:
    session(session_setup const& s, csp_tree& tree, exchange const& post, on_exec const& done)
        : setup_(s), tree_(tree), post_(post), exec_done_(done) {
        auto const node =
            fmt::format("./Device/Vendor/MSFT/DMClient/Provider/{}/SyncApplicationVersion", s.provider_id);
        if (auto const* const level = tree_.find(node))
            tells_original_error_ = !level->value.empty() && level->value.front() >= '3';
    }

    session_report run() {
        auto body = first_package();
        while (failure().empty()) {
            ++report_.messages;
            if (report_.messages > setup_.most_messages) {
                report_.failure = "the server finds no end";
                break;
            }
            auto const number = report_.messages;
            auto const& f = setup_.faults;
            if (number == f.abort_at) {
                begin();
                body = alert({.code = 1223, .type = {}, .data = {}, .format = {}, .source = {}});
            }
            bool const without_final = number == f.without_final_at && number != f.abort_at;
            auto const answer = send(number, body, !without_final);
            if (!answer || !failure().empty()) break;
            if (number == f.wrong_session_at) break;
            if (number == f.abort_at) {
                if (answer->has_commands()) violation("commands after the device aborted the session");
                break;
            }
            if (number == f.stop_after) break;
            if (without_final) {
                if (answer->has_alert(1223)) break;
                if (answer->has_commands()) violation("commands before the device's package was complete");
                if (answer->final) violation("Final although the device's package was incomplete");
                if (!answer->has_alert(1222)) violation("no Alert 1222 although the device's package was incomplete");
                begin();
                body = status_of_header(answer->msg_id, 200);
                if (answer->has_alert(1222)) body += statuses_of_alerts(*answer);
                continue;
            }
            if (challenged(*answer)) {
                body = first_package();
                continue;
            }
            if (!answer->final) violation("the server's message has no Final");
            if (answer->has_alert(1223)) {
                report_.failure = "the server aborted the session";
                break;
            }
            if (!answer->has_commands()) break;
            body = carry_out(*answer);
        }
        if (!report_.violations.empty() && report_.failure.empty()) report_.failure = report_.violations.front();
        return std::move(report_);
    }

private:
    std::string const& failure() {
        if (report_.failure.empty() && !report_.violations.empty()) report_.failure = report_.violations.front();
        return report_.failure;
    }
    void violation(std::string what) {
        report_.violations.push_back(fmt::format("answer to message {}: {}", report_.messages, what));
    }

    // A new message: nothing is in it yet, and its CmdIDs count from `first_id`.
    void begin(int first_id = 1) {
        next_id_ = first_id;
        sent_.clear();
    }

    int take_id(std::string name, bool must_be_answered = true) {
        sent_.push_back({next_id_, std::move(name), must_be_answered});
        return next_id_++;
    }

    std::string alert(client_alert const& a) {
        auto out = fmt::format("<Alert><CmdID>{}</CmdID><Data>{}</Data>", take_id("Alert"), a.code);
        if (!a.type.empty()) {
            out += "<Item>";
            if (!a.source.empty()) out += fmt::format("<Source><LocURI>{}</LocURI></Source>", html_escape(a.source));
            out += fmt::format("<Meta><Type xmlns=\"syncml:metinf\">{}</Type>", html_escape(a.type));
            if (!a.format.empty())
                out += fmt::format("<Format xmlns=\"syncml:metinf\">{}</Format>", html_escape(a.format));
            out += fmt::format("</Meta><Data>{}</Data></Item>", html_escape(a.data));
        }
        return out + "</Alert>";
    }

    std::string first_package() {
        begin(2);  // as Windows counts
        std::string out;
        out +=
            alert({.code = setup_.server_initiated ? 1200 : 1201, .type = {}, .data = {}, .format = {}, .source = {}});
        if (!setup_.login_status.empty())
            out += alert({.code = 1224,
                .type = "com.microsoft/MDM/LoginStatus",
                .data = setup_.login_status,
                .format = {},
                .source = {}});
        for (auto const& a : setup_.alerts) out += alert(a);
        out += fmt::format("<Replace><CmdID>{}</CmdID>", take_id("Replace"));
        for (auto const* name : {"DevId", "Man", "Mod", "DmV", "Lang"}) {
            auto const uri = fmt::format("./DevInfo/{}", name);
            out += fmt::format("<Item><Source><LocURI>{}</LocURI></Source><Data>{}</Data></Item>", uri,
                html_escape(tree_.get(uri).value));
        }
        return out + "</Replace>";
    }

    std::string status_of_header(int msg_ref, int code) {
        return write_status({.cmd_id = next_id_++,
            .msg_ref = msg_ref,
            .cmd_ref = 0,
            .cmd = "SyncHdr",
            .code = code,
            .microsoft_order = setup_.faults.microsoft_status_order});
    }

    std::string statuses_of_alerts(server_message const& m) {
        std::string out;
        for (auto const& c : m.commands)
            if (c.name == "Alert") out += status(m.msg_id, c, 200);
        return out;
    }

    std::string status(int msg_ref, sync_command const& c, int code, std::string_view target_ref = {}) {
        return write_status({.cmd_id = next_id_++,
            .msg_ref = msg_ref,
            .cmd_ref = c.cmd_id,
            .cmd = c.name,
            .code = code,
            .target_ref = target_ref,
            .original_error = tells_original_error_ && code >= 400 ? original_error_of(code) : std::string_view(),
            .microsoft_order = setup_.faults.microsoft_status_order});
    }

    std::string message(int number, std::string const& body, bool final) const {
        auto const id = number == setup_.faults.wrong_session_at ? setup_.session_id + 1000 : setup_.session_id;
        std::string name, cred, meta;
        if (authenticating_) {
            name = fmt::format("<LocName>{}</LocName>", html_escape(setup_.digest->name));
            auto const who = base64(md5(setup_.digest->name + ":" + setup_.digest->password));
            cred = fmt::format(
                "<Cred><Meta><Format xmlns=\"syncml:metinf\">b64</Format><Type xmlns=\"syncml:metinf\">syncml:auth-md5</Type>"
                "</Meta><Data>{}</Data></Cred>",
                base64(md5(who + ":" + nonce_)));
        }
        if (setup_.max_msg_size != 0)
            meta = fmt::format("<Meta><MaxMsgSize xmlns=\"syncml:metinf\">{}</MaxMsgSize></Meta>", setup_.max_msg_size);
        return fmt::format(
            "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>"
            "<SessionID>{}</SessionID><MsgID>{}</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}</LocURI>{}"
            "</Source>{}{}</SyncHdr><SyncBody{}>{}{}</SyncBody></SyncML>",
            id, number, html_escape(setup_.management_url), html_escape(setup_.device_id), name, cred, meta,
            tells_original_error_ ? " xmlns:msft=\"http://schemas.microsoft.com/MobileDevice/MDM\"" : "", body,
            final ? "<Final/>" : "");
    }

    std::optional<server_message> send(int number, std::string const& body, bool final) {
        auto const text = message(number, body, final);
        auto answer = posted(text);
        if (answer && number == setup_.faults.lose_reply_to) {
            auto const again = posted(text);
            if (!again) return std::nullopt;
            if (again->status != answer->status || again->body != answer->body)
                violation("the same message was not answered with the same bytes");
        }
        if (!answer) return std::nullopt;
        report_.last_http_status = answer->status;
        if (number == setup_.faults.wrong_session_at && answer->status != 200) return std::nullopt;
        check_http(*answer);
        if (answer->status != 200) return std::nullopt;
        auto const most = setup_.max_msg_size ? setup_.max_msg_size : default_message_size;
        if (answer->body.size() > most)
            violation(fmt::format("{} bytes are over MaxMsgSize {}", answer->body.size(), most));
        auto m = read_server_message(answer->body);
        for (auto const& v : m.violations) violation(v);
        if (number == setup_.faults.wrong_session_at) {
            if (!m.statuses.empty()) report_.header_status = m.statuses.front().code;
            return m;
        }
        check(m, number);
        return m;
    }

    result<http::response> posted(std::string const& text) {
        report_.transcript.push_back({true, 0, text});
        auto answer = post_(text);
        if (!answer) {
            report_.failure = answer.error().detail;
            return answer;
        }
        report_.transcript.push_back({false, answer->status, answer->body});
        return answer;
    }

    void check_http(http::response const& r) {
        if (r.status != 200) {
            report_.failure = fmt::format("HTTP status {}", r.status);
            return;
        }
        auto const type = r.headers.get("Content-Type").value_or("");
        if (trim(split(type, ';').front()) != content_type)
            violation(fmt::format("Content-Type is '{}', not {}", printable(type, 100), content_type));
        if (r.headers.get("Transfer-Encoding")) violation("Transfer-Encoding");
        if (r.headers.get("Content-Length") != std::to_string(r.body.size())) violation("no exact Content-Length");
    }

    // Header and statuses against what we sent as message `number`.
    void check(server_message const& m, int number) {
        if (m.session_id != std::to_string(setup_.session_id))
            violation(fmt::format("SessionID is '{}', ours is {}", printable(m.session_id, 40), setup_.session_id));
        if (m.target != setup_.device_id) violation(fmt::format("Target is '{}', not us", printable(m.target, 100)));
        if (m.source != setup_.management_url)
            violation(fmt::format("Source is '{}', not the management URL", printable(m.source, 200)));
        if (m.msg_id != number) violation(fmt::format("MsgID is {}, not {}", m.msg_id, number));
        if (m.statuses.empty()) return violation("no Status at all");
        auto const& head = m.statuses.front();
        if (head.cmd_ref != 0 || head.cmd != "SyncHdr") violation("the first Status is not that of SyncHdr");
        report_.header_status = head.code;
        for (auto const& s : m.statuses)
            if (s.msg_ref != number) violation(fmt::format("a Status has MsgRef {}, not {}", s.msg_ref, number));
        auto const refused = head.code == 401 || head.code == 407;
        if (head.code >= 300 && !refused) violation(fmt::format("SyncHdr got status {}", head.code));

        auto at = m.statuses.begin() + 1;
        for (auto const& c : sent_) {
            if (at != m.statuses.end() && at->cmd_ref == c.cmd_id) {
                if (at->cmd != c.name)
                    violation(fmt::format(
                        "the Status of command {} says {}, it was {}", c.cmd_id, printable(at->cmd, 40), c.name));
                if (refused && at->code != head.code) violation("another status than SyncHdr's without authentication");
                if (!refused && at->code >= 300 && c.must_be_answered)
                    violation(fmt::format("our {} got status {}", c.name, at->code));
                ++at;
            } else if (c.must_be_answered) {
                violation(fmt::format("no Status for our {} with CmdID {}, or not in its place", c.name, c.cmd_id));
            }
        }
        if (at != m.statuses.end())
            violation(
                fmt::format("a Status for CmdRef {}, which we did not send or which is answered already", at->cmd_ref));
    }

    // Takes up a demand for credentials. At most one more for a stale nonce.
    bool challenged(server_message const& m) {
        auto const& head = m.statuses.front();
        if (!head.next_nonce.empty()) report_.next_nonce = head.next_nonce;
        if (head.code == 212) authenticating_ = false;
        if (head.code != 401 && head.code != 407) return false;
        if (!setup_.digest) {
            report_.failure = fmt::format("the server wants credentials ({}), and we have none", head.code);
            return false;
        }
        if (m.has_commands()) violation("commands without authentication");
        if (head.challenge_type != "syncml:auth-md5" || ++challenges_ > 2) {
            report_.failure = fmt::format("credentials refused ({})", head.code);
            return false;
        }
        nonce_ = unbase64(head.next_nonce).value_or("");
        authenticating_ = true;
        return true;
    }

    std::string carry_out(server_message const& m) {
        begin();
        auto out = status_of_header(m.msg_id, 200);
        late_results_.clear();
        for (auto const& c : m.commands) {
            if (c.name == "Alert")
                out += status(m.msg_id, c, 200);
            else if (c.name == "Atomic")
                out += atomic(m.msg_id, c);
            else if (c.name == "Sequence") {
                out += status(m.msg_id, c, 200);
                for (auto const& inner : c.children) out += plain(m.msg_id, inner);
            } else {
                out += plain(m.msg_id, c);
            }
        }
        for (auto const& [cmd_ref, uri, got] : late_results_)
            out += write_results(take_id("Results", false), m.msg_id, cmd_ref, uri, got.format, got.value);
        return out;
    }

    struct outcome {
        int code;
        csp_result got;
    };

    outcome one(sync_command const& c, sync_item const& i) {
        auto const ordered = setup_.faults.answer_with.find(i.target);
        outcome o{200, {}};
        if (ordered != setup_.faults.answer_with.end())
            o.code = ordered->second;
        else if (i.target.starts_with("./User/") && setup_.login_status != "user")
            o.code = 405;
        else if (c.name == "Get") {
            o.got = tree_.get(i.target);
            o.code = o.got.status;
        } else if (c.name == "Add")
            o.code = tree_.add(i.target, i.format, i.data);
        else if (c.name == "Replace")
            o.code = tree_.replace(i.target, i.format, i.data);
        else if (c.name == "Delete")
            o.code = tree_.remove(i.target);
        else if (c.name == "Exec")
            o.code = tree_.exec(i.target);
        report_.commands.push_back({c.name, i.target, c.name == "Get" ? o.got.format : i.format,
            c.name == "Get" ? o.got.value : i.data, o.code});
        return o;
    }

    void took_effect(sync_command const& c, sync_item const& i) {
        if (c.name != "Exec") return;
        report_.executed.push_back(i.target);
        if (exec_done_) exec_done_(i.target, i.data);
    }

    std::string plain(int msg_ref, sync_command const& c) {
        std::string out;
        std::vector<outcome> all;
        for (auto const& i : c.items) {
            all.push_back(one(c, i));
            if (all.back().code < 300) took_effect(c, i);
        }
        auto const alike =
            std::all_of(all.begin(), all.end(), [&](outcome const& o) { return o.code == all.front().code; });
        if (alike)
            out += status(msg_ref, c, all.front().code);
        else
            for (std::size_t n = 0; n < all.size(); ++n) out += status(msg_ref, c, all[n].code, c.items[n].target);
        for (std::size_t n = 0; n < all.size(); ++n) {
            if (c.name != "Get" || all[n].code != 200) continue;
            if (setup_.faults.results_last)
                late_results_.push_back({c.cmd_id, c.items[n].target, all[n].got});
            else
                out += write_results(take_id("Results", false), msg_ref, c.cmd_id, c.items[n].target, all[n].got.format,
                    all[n].got.value);
        }
        return out;
    }

    // All or nothing: 216 for what was rolled back, the failing one its own, 215 for what was not tried.
    std::string atomic(int msg_ref, sync_command const& c) {
        auto const before = tree_;
        std::vector<int> codes;
        bool good = true;
        for (auto const& inner : c.children) {
            int code = good ? 200 : 215;
            for (auto const& i : inner.items)
                if (good) {
                    code = one(inner, i).code;
                    good = code < 300;
                }
            codes.push_back(code);
        }
        if (!good) {
            tree_ = before;
            for (auto& code : codes)
                if (code < 215) code = 216;
        }
        auto out = status(msg_ref, c, good ? 200 : 507);
        for (std::size_t n = 0; n < codes.size(); ++n) {
            out += status(msg_ref, c.children[n], codes[n]);
            if (good)
                for (auto const& i : c.children[n].items) took_effect(c.children[n], i);
        }
        return out;
    }

    struct late_result {
        int cmd_ref;
        std::string uri;
        csp_result got;
    };

    session_setup const& setup_;
    csp_tree& tree_;
    exchange const& post_;
    on_exec const& exec_done_;
    session_report report_;
    std::vector<sent_command> sent_;  // of the message in hand
    std::vector<late_result> late_results_;
    int next_id_ = 1;
    bool tells_original_error_ = false;
    bool authenticating_ = false;
    std::string nonce_;
    int challenges_ = 0;
};

}  // namespace

session_report run_session(session_setup const& s, csp_tree& tree, exchange const& post, on_exec const& done) {
    return session(s, tree, post, done).run();
}

}  // namespace mdmd::sim
