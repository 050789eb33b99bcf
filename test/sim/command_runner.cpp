#include "command_runner.hpp"

#include <set>

#include "core/text.hpp"

namespace mdmd::sim {
namespace {

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

}  // namespace

command_runner::command_runner(session_setup const& s, csp_tree& tree, on_exec const& done, session_report& report,
    objection violation, bool tells_errors)
    : setup_(s),
      tree_(tree),
      exec_done_(done),
      report_(report),
      violation_(std::move(violation)),
      tells_errors_(tells_errors) {}

std::deque<answer_piece> command_runner::carry_out(server_message const& m) {
    std::deque<answer_piece> out;
    msg_ref_ = m.msg_id;
    late_results_.clear();
    bool more = false;
    for (auto const& c : m.commands) {
        if (more) violation_("a command behind a piece of a large object");
        if (c.name == "Alert") {
            out.push_back(status(c, 200));
        } else if (piece(c, out)) {
            more = c.items.front().more_data;
        } else if (c.name == "Atomic") {
            atomic(c, out);
        } else if (c.name == "Sequence") {
            sequence(c, out);
        } else {
            plain(c, out);
        }
    }
    if (m.final && object_) give_up_object(out);
    for (auto& r : late_results_) out.push_back(std::move(r));
    return out;
}

std::deque<answer_piece> command_runner::refuse(server_message const& m, int code) const {
    std::deque<answer_piece> out;
    std::function<void(sync_command const&)> const each = [&](sync_command const& c) {
        out.push_back(status(c, code));
        out.back().msg_ref = m.msg_id;
        for (auto const& inner : c.children) each(inner);
    };
    for (auto const& c : m.commands) each(c);
    return out;
}

answer_piece command_runner::status(sync_command const& c, int code, std::string target_ref) const {
    answer_piece p{.what = answer_piece::kind::status,
        .msg_ref = msg_ref_,
        .cmd_ref = c.cmd_id,
        .cmd = c.name,
        .code = code,
        .target_ref = std::move(target_ref)};
    if (!tells_errors_ || code < 400) return p;
    p.original_error = original_error_of(code);
    for (auto const& i : c.items)
        if (auto const ordered = setup_.faults.answer_error.find(i.target); ordered != setup_.faults.answer_error.end())
            p.original_error = ordered->second;
    return p;
}

// Whose nodes these are must be there, and a session of one scope does nothing in the other. [MS-MDM] 2.2.7.2.4
int command_runner::scope_refusal(std::string_view uri) const {
    auto const users = uri.starts_with("./User/");
    if (users && !setup_.user_present.value_or(setup_.login_status == "user")) return setup_.absent_user_status;
    if (users ? setup_.sync_type == "device" : setup_.sync_type == "user") return 405;
    return 0;
}

int command_runner::exec(sync_item const& i) {
    auto const code = tree_.exec(i.target);
    if (code >= 300 || !setup_.judge_exec) return code;
    auto const verdict = setup_.judge_exec(i.target, i.data);
    if (!verdict.violation.empty()) violation_(verdict.violation);
    return verdict.status;
}

command_runner::outcome command_runner::one(sync_command const& c, sync_item const& i) {
    auto const ordered = setup_.faults.answer_with.find(i.target);
    outcome o{200, {}};
    if (ordered != setup_.faults.answer_with.end()) {
        o.code = ordered->second;
    } else if (auto const refused = scope_refusal(i.target)) {
        o.code = refused;
    } else if (c.name == "Get") {
        o.got = tree_.get(i.target);
        if (auto const size = setup_.faults.inflate.find(i.target); size != setup_.faults.inflate.end())
            o.got = {.status = 200, .value = std::string(size->second, 'x'), .format = "chr"};
        o.code = o.got.status;
    } else if (c.name == "Add") {
        o.code = tree_.add(i.target, i.format, i.data);
    } else if (c.name == "Replace") {
        o.code = tree_.replace(i.target, i.format, i.data);
    } else if (c.name == "Delete") {
        o.code = tree_.remove(i.target);
    } else if (c.name == "Exec") {
        o.code = exec(i);
    }
    auto const get = c.name == "Get";
    report_.commands.push_back({c.name, i.target, get ? o.got.format : i.format, get ? o.got.value : i.data, o.code});
    return o;
}

void command_runner::took_effect(sync_command const& c, sync_item const& i) {
    if (c.name != "Exec") return;
    report_.executed.push_back(i.target);
    if (exec_done_ && exec_done_(i.target, i.data)) dropped_ = true;
}

void command_runner::plain(sync_command const& c, std::deque<answer_piece>& out) {
    std::vector<outcome> all;
    for (auto const& i : c.items) {
        all.push_back(one(c, i));
        if (all.back().code < 300) took_effect(c, i);
    }
    if (all.empty()) return out.push_back(status(c, 400));
    auto const alike =
        std::all_of(all.begin(), all.end(), [&](outcome const& o) { return o.code == all.front().code; });
    if (alike)
        out.push_back(status(c, all.front().code));
    else
        for (std::size_t n = 0; n < all.size(); ++n) out.push_back(status(c, all[n].code, c.items[n].target));
    for (std::size_t n = 0; n < all.size(); ++n) {
        if (c.name != "Get" || all[n].code != 200) continue;
        answer_piece p{.what = answer_piece::kind::results,
            .msg_ref = msg_ref_,
            .cmd_ref = c.cmd_id,
            .uri = c.items[n].target,
            .format = std::move(all[n].got.format),
            .value = std::move(all[n].got.value)};
        if (setup_.faults.results_last)
            late_results_.push_back(std::move(p));
        else
            out.push_back(std::move(p));
    }
}

// Add and Replace of one node do not go together in an Atomic. [MS-MDM] 2.2.7.4
void command_runner::check_atomic(sync_command const& c) {
    std::set<std::string> added;
    for (auto const& inner : c.children)
        for (auto const& i : inner.items) {
            auto const uri = csp_tree::canonical(i.target);
            if (inner.name == "Add") added.insert(uri);
            if (inner.name == "Replace" && added.contains(uri))
                violation_("Add and Replace of one node in one Atomic: " + printable(uri, 200));
        }
}

int command_runner::tried(sync_command const& c) {
    if (c.name == "Get" || c.name == "Atomic" || c.name == "Sequence") return 500;
    for (auto const& i : c.items)
        if (auto const code = one(c, i).code; code >= 300) return code;
    return 200;
}

// All or nothing: 216 for what was rolled back, the failing one its own, 215 for what was not tried.
void command_runner::atomic(sync_command const& c, std::deque<answer_piece>& out) {
    check_atomic(c);
    auto const before = tree_;
    std::vector<int> codes;
    bool good = true;
    for (auto const& inner : c.children) {
        codes.push_back(good ? tried(inner) : 215);
        good = good && codes.back() < 300;
    }
    auto const kept = !good && setup_.faults.rollback_fails;
    if (!good) {
        if (!kept) tree_ = before;
        for (auto& code : codes)
            if (code < 215) code = kept ? 516 : 216;
    }
    out.push_back(status(c, good ? 200 : 507));
    for (std::size_t n = 0; n < codes.size(); ++n) {
        out.push_back(status(c.children[n], codes[n]));
        if (good)
            for (auto const& i : c.children[n].items) took_effect(c.children[n], i);
    }
}

void command_runner::sequence(sync_command const& c, std::deque<answer_piece>& out) {
    out.push_back(status(c, 200));
    for (auto const& inner : c.children) {
        if (inner.name == "Atomic")
            atomic(inner, out);
        else if (inner.name == "Sequence")
            out.push_back(status(inner, 500));
        else
            plain(inner, out);
    }
}

// OMA-TS-DM-Protocol 6.4: the object's rest has not come, and what is there is thrown away.
void command_runner::give_up_object(std::deque<answer_piece>& out) {
    violation_(fmt::format("the rest of the large object for {} never came", printable(object_->uri, 200)));
    answer_piece p{.what = answer_piece::kind::alert};
    p.alert = {.code = 1225, .type = {}, .data = {}, .format = {}, .source = object_->uri};
    out.push_back(std::move(p));
    object_.reset();
}

// False: the command is no part of a large object.
bool command_runner::piece(sync_command const& c, std::deque<answer_piece>& out) {
    if (c.items.size() != 1) {
        if (object_) give_up_object(out);
        return false;
    }
    auto const& i = c.items.front();
    if (object_ && (c.name != object_->name || i.target != object_->uri)) give_up_object(out);
    if (!object_ && !i.more_data) return false;
    if (!object_) {
        object_ = large_object{c.name, i.target, i.format, {}, i.size};
        if (!i.size) violation_("the first piece of a large object has no Size");
    } else if (i.size) {
        violation_("Size at a later piece of a large object");
    }
    object_->data += i.data;
    auto const most = setup_.max_obj_size;
    if (most != 0 && std::max(object_->data.size(), object_->size.value_or(0)) > most) {
        violation_(fmt::format("a large object is over MaxObjSize {}", most));
        object_.reset();
        out.push_back(status(c, 416));
        return true;
    }
    if (i.more_data) {
        out.push_back(status(c, 213));
        answer_piece p{.what = answer_piece::kind::alert};
        p.alert = {.code = 1222, .type = {}, .data = {}, .format = {}, .source = {}};
        out.push_back(std::move(p));
        return true;
    }
    auto const whole = std::move(*object_);
    object_.reset();
    if (whole.size && *whole.size != whole.data.size()) {
        violation_(fmt::format("a large object has {} octets, Size says {}", whole.data.size(), *whole.size));
        out.push_back(status(c, 424));
        return true;
    }
    auto complete = c;
    complete.items.front().data = whole.data;
    if (complete.items.front().format.empty()) complete.items.front().format = whole.format;
    plain(complete, out);
    return true;
}

}  // namespace mdmd::sim
