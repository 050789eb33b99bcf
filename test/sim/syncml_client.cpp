#include "syncml_client.hpp"

#include <deque>
#include <thread>

#include "command_runner.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "pki.hpp"

namespace mdmd::sim {
namespace {

constexpr char content_type[] = "application/vnd.syncml.dm+xml";
constexpr std::size_t default_message_size = 512 * 1024;

struct sent_command {
    int cmd_id;
    std::string name;
    bool must_be_answered;  // Results need no Status
    int wanted = 0;         // the one code that is right; 0: any success
};

// SyncApplicationVersion of the account; '1' where there is none.
char level_of(session_setup const& s, csp_tree const& tree) {
    auto const* const level =
        tree.find(fmt::format("./Device/Vendor/MSFT/DMClient/Provider/{}/SyncApplicationVersion", s.provider_id));
    return level && !level->value.empty() ? level->value.front() : '1';
}

class session {
public:
    session(session_setup const& s, csp_tree& tree, exchange const& post, on_exec const& done)
        : setup_(s),
          tree_(tree),
          post_(post),
          tells_original_error_(level_of(s, tree) >= '3'),
          runner_(
              s, tree, done, report_, [this](std::string what) { violation(std::move(what)); }, tells_original_error_) {
        authenticating_ = setup_.digest && setup_.digest_at_once;
        if (authenticating_) nonce_ = setup_.digest->nonce;
        if (setup_.server_digest) server_nonce_ = setup_.server_digest->nonce;
    }

    session_report run() {
        auto body = first_package();
        auto endless = setup_.faults.endless;
        while (failure().empty()) {
            ++report_.messages;
            if (report_.messages > setup_.most_messages) {
                report_.failure = "the server finds no end";
                break;
            }
            auto const number = report_.messages;
            auto const& f = setup_.faults;
            if (number == f.drop_before_at) {
                --report_.messages;
                report_.dropped = true;
                break;
            }
            if (number == f.abort_at) {
                begin();
                body = alert({.code = 1223, .type = {}, .data = {}, .format = {}, .source = {}});
                owed_.clear();
            }
            auto const lacks_final =
                number == f.without_final_at || (f.without_final_from != 0 && number >= f.without_final_from);
            bool const incomplete = (lacks_final && number != f.abort_at) || !owed_.empty();
            auto const answer = send(number, body, !incomplete);
            if (!answer || !failure().empty()) break;
            if (number == f.wrong_session_at) break;
            if (number == f.abort_at) {
                if (answer->has_commands()) violation("commands after the device aborted the session");
                break;
            }
            if (number == f.stop_after) break;
            if (incomplete) {
                if (answer->has_alert(1223)) break;
                if (lacks_final && f.endless != 0 && --endless < 0) break;
                body = go_on(*answer);
                continue;
            }
            if (challenged(*answer)) {
                body = first_package();
                continue;
            }
            if (!authenticate_server(*answer)) {
                body = refuse_server(*answer);
                continue;
            }
            if (answer->final == answer->has_piece())
                violation(
                    answer->final ? "Final although a large object goes on" : "the server's message has no Final");
            if (answer->has_alert(1223)) {
                report_.failure = "the server aborted the session";
                break;
            }
            if (!answer->has_commands()) {
                if (endless-- <= 0) break;
                begin();
                body = status_of_header(answer->msg_id) +
                       alert({.code = 1224, .type = "com.microsoft.mdm.sim", .data = "1", .format = {}, .source = {}});
                continue;
            }
            owed_ = runner_.carry_out(*answer);
            if (runner_.dropped()) {
                report_.dropped = true;
                break;
            }
            begin();
            body = status_of_header(answer->msg_id);
            add_owed(body);
        }
        if (!report_.violations.empty() && report_.failure.empty()) report_.failure = report_.violations.front();
        return std::move(report_);
    }

private:
    std::string const& failure() {
        if (!setup_.faults.persists && report_.failure.empty() && !report_.violations.empty())
            report_.failure = report_.violations.front();
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
        if (a.type.empty() && !a.source.empty())
            out += fmt::format("<Item><Source><LocURI>{}</LocURI></Source></Item>", html_escape(a.source));
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
        if (!setup_.sync_type.empty())
            out += alert({.code = 1224,
                .type = "com.microsoft.mdm.synctype",
                .data = setup_.sync_type,
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

    std::string status_text_of(answer_piece const& p, std::string_view next_nonce = {}) {
        auto const& f = setup_.faults;
        auto const number = report_.messages + 1;  // of the message that is being made
        auto const once = [&] {
            return write_status({.cmd_id = next_id_++,
                .msg_ref = p.msg_ref + (number == f.wrong_msg_ref_at ? 100 : 0),
                .cmd_ref = p.cmd_ref + (number == f.wrong_cmd_ref_at ? 100 : 0),
                .cmd = p.cmd,
                .code = p.code,
                .target_ref = p.target_ref,
                .original_error = p.original_error,
                .microsoft_order = f.microsoft_status_order,
                .next_nonce = next_nonce});
        };
        auto out = once();
        if (number == f.double_status_at) out += once();
        return out;
    }

    // Tells the server what its credentials were worth, where it showed any.
    std::string status_of_header(int msg_ref) {
        auto const fresh = std::exchange(header_code_, 200) != 200;
        answer_piece p{.what = answer_piece::kind::status,
            .msg_ref = msg_ref,
            .cmd_ref = 0,
            .cmd = "SyncHdr",
            .code = fresh ? fresh_code_ : 200};
        if (fresh) report_.next_server_nonce = base64(server_nonce_);
        return status_text_of(p, fresh ? report_.next_server_nonce : std::string());
    }

    std::string statuses_of_alerts(server_message const& m) {
        std::string out;
        for (auto const& c : m.commands)
            if (c.name == "Alert")
                out += status_text_of({.what = answer_piece::kind::status,
                    .msg_ref = m.msg_id,
                    .cmd_ref = c.cmd_id,
                    .cmd = c.name,
                    .code = 200});
        return out;
    }

    // The next message of a package that is not complete.
    std::string go_on(server_message const& answer) {
        if (answer.has_commands()) violation("commands before the device's package was complete");
        if (answer.final) violation("Final although the device's package was incomplete");
        if (!answer.has_alert(1222)) violation("no Alert 1222 although the device's package was incomplete");
        begin();
        auto body = status_of_header(answer.msg_id);
        if (answer.has_alert(1222)) body += statuses_of_alerts(answer);
        add_owed(body);
        return body;
    }

    std::size_t own_limit() const {
        if (setup_.own_message_size != 0) return setup_.own_message_size;
        return server_limit_ != 0 ? server_limit_ : default_message_size;
    }

    // As much of what is owed as goes into one message; the rest stays owed.
    void add_owed(std::string& body) {
        auto const envelope = message(1, "", true).size() + 64;
        auto const limit = own_limit();
        auto const room = [&] {
            auto const used = envelope + body.size();
            return used < limit ? limit - used : 0;
        };
        bool first = true;
        for (; !owed_.empty(); first = false) {
            auto& p = owed_.front();
            if (p.what == answer_piece::kind::alert) {
                body += alert(p.alert);
            } else if (p.what == answer_piece::kind::status) {
                auto const before = next_id_;
                auto text = status_text_of(p);
                if (!first && text.size() > room()) {
                    next_id_ = before;
                    return;
                }
                body += text;
            } else if (!add_results(body, p, first ? std::max<std::size_t>(room(), 512) : room())) {
                return;
            }
            owed_.pop_front();
        }
    }

    // False: these Results, or the rest of them, are for the next message.
    bool add_results(std::string& body, answer_piece& p, std::size_t room) {
        auto const& f = setup_.faults;
        auto const number = report_.messages + 1;
        auto const msg_ref = p.msg_ref + (number == f.wrong_msg_ref_at ? 100 : 0);
        auto const cmd_ref = p.cmd_ref + (number == f.wrong_cmd_ref_at ? 100 : 0);
        auto const make = [&](std::string_view value, bool more) {
            auto const whole = p.sent == 0 && !more;
            return write_results_piece(next_id_, msg_ref, cmd_ref, p.uri, p.format, value,
                p.sent == 0 && !whole ? std::optional(p.value.size()) : std::nullopt, more);
        };
        auto const rest = std::string_view(p.value).substr(p.sent);
        if (auto const text = make(rest, false); text.size() <= room || f.inflate.contains(p.uri)) {
            take_id("Results", false);
            body += text;
            return true;
        }
        auto const around = make("", true).size() + 16;
        if (room < around + 256) return false;
        std::string piece = cut_utf8(rest, room - around);
        while (html_escape(piece).size() > room - around) piece = cut_utf8(piece, piece.size() * 3 / 4);
        auto const text = make(piece, true);
        take_id("Results", true);
        sent_.back().wanted = 213;
        body += text;
        p.sent += piece.size();
        return false;
    }

    std::string message(int number, std::string const& body, bool final) const {
        auto const& f = setup_.faults;
        if (number == f.garbage_at) return f.garbage;
        auto const id = number == f.wrong_session_at ? setup_.session_id + 1000 : setup_.session_id;
        auto const foreign = f.foreign_source_at != 0 && number >= f.foreign_source_at;
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
            meta += fmt::format("<MaxMsgSize xmlns=\"syncml:metinf\">{}</MaxMsgSize>", setup_.max_msg_size);
        if (setup_.max_obj_size != 0)
            meta += fmt::format("<MaxObjSize xmlns=\"syncml:metinf\">{}</MaxObjSize>", setup_.max_obj_size);
        if (!meta.empty()) meta = fmt::format("<Meta>{}</Meta>", meta);
        return fmt::format(
            "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>"
            "<SessionID>{}</SessionID><MsgID>{}</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}</LocURI>{}"
            "</Source>{}{}</SyncHdr><SyncBody{}>{}{}</SyncBody></SyncML>",
            id, msg_id(number), html_escape(setup_.management_url),
            html_escape(foreign ? f.foreign_source : setup_.device_id), name, cred, meta,
            tells_original_error_ ? " xmlns:msft=\"http://schemas.microsoft.com/MobileDevice/MDM\"" : "", body,
            final ? "<Final/>" : "");
    }

    int msg_id(int number) const {
        auto const& f = setup_.faults;
        return number + (f.jump_at != 0 && number >= f.jump_at ? 7 : 0);
    }

    std::optional<server_message> send(int number, std::string const& body, bool final) {
        auto const text = message(number, body, final);
        std::this_thread::sleep_for(setup_.faults.delay);
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
        if (m.max_msg_size != 0) server_limit_ = m.max_msg_size;
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
            if (report_.messages == setup_.faults.hang_up_at)
                report_.dropped = true;
            else
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
            if (s.msg_ref != msg_id(number))
                violation(fmt::format("a Status has MsgRef {}, not {}", s.msg_ref, msg_id(number)));
        auto const refused = head.code == 401 || head.code == 407;
        if (head.code >= 300 && !refused) violation(fmt::format("SyncHdr got status {}", head.code));

        auto at = m.statuses.begin() + 1;
        for (auto const& c : sent_) {
            if (at != m.statuses.end() && at->cmd_ref == c.cmd_id) {
                if (at->cmd != c.name)
                    violation(fmt::format(
                        "the Status of command {} says {}, it was {}", c.cmd_id, printable(at->cmd, 40), c.name));
                if (refused && at->code != head.code) violation("another status than SyncHdr's without authentication");
                if (!refused && c.wanted != 0 && at->code != c.wanted)
                    violation(fmt::format("a piece of our {} got status {}, not {}", c.name, at->code, c.wanted));
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
        // 200: credentials in every message, each with the nonce of the answer before.
        if (head.code == 200 && authenticating_ && !head.next_nonce.empty())
            nonce_ = unbase64(head.next_nonce).value_or("");
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

    // What the server shows of itself is judged, whether it was asked for or not. False: it has to show it first.
    bool authenticate_server(server_message const& m) {
        if (m.cred_data.empty()) {
            if (!setup_.challenge_server || report_.server_authenticated) return true;
            demand(407, "the server showed no credentials though it was asked");
            return false;
        }
        if (report_.server_authenticated || !setup_.server_digest) return true;
        auto const& d = *setup_.server_digest;
        auto const right = base64(md5(base64(md5(d.name + ":" + d.password)) + ":" + server_nonce_));
        if (m.cred_type != "syncml:auth-md5" || m.source_name != d.name || m.cred_data != right) {
            if (setup_.challenge_server) {
                demand(401, "the server's credentials are wrong");
                return false;
            }
            violation("the server's credentials are wrong");
            return true;
        }
        report_.server_authenticated = true;
        fresh_nonce(212);
        return true;
    }

    // Once for credentials, and once more for a nonce that is stale.
    void demand(int code, char const* objection) {
        if (++demands_ > 2 || (code == 407 && demands_ > 1)) {
            violation(objection);
        }
        fresh_nonce(code);
    }

    void fresh_nonce(int code) {
        server_nonce_ = random_bytes(16);
        header_code_ = fresh_code_ = code;
    }

    std::string refuse_server(server_message const& m) {
        auto const code = header_code_;
        begin();
        auto body = status_of_header(m.msg_id);
        owed_ = runner_.refuse(m, code);
        add_owed(body);
        return body;
    }

    session_setup const& setup_;
    csp_tree& tree_;
    exchange const& post_;
    session_report report_;
    std::vector<sent_command> sent_;  // of the message in hand
    std::deque<answer_piece> owed_;   // what did not fit into the messages so far
    int next_id_ = 1;
    bool tells_original_error_;
    command_runner runner_;
    std::size_t server_limit_ = 0;  // its MaxMsgSize; 0: not announced
    bool authenticating_ = false;
    std::string server_nonce_;                  // raw
    int header_code_ = 200, fresh_code_ = 200;  // of the next Status of a SyncHdr; with a Chal where it is not 200
    int demands_ = 0;
    std::string nonce_;
    int challenges_ = 0;
};

}  // namespace

session_report run_session(session_setup const& s, csp_tree& tree, exchange const& post, on_exec const& done) {
    return session(s, tree, post, done).run();
}

}  // namespace mdmd::sim
