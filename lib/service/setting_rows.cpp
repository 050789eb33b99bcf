#include "service/setting_rows.hpp"

#include "core/text.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t reported_limit = 16 * 1024;
constexpr std::string_view rivals_mark = "conflict with ";

// For people: why a setting is not sent, and who else wants the node otherwise.
std::string note_of(policy::wanted_setting const& w) {
    std::string out = w.withheld;
    if (w.rivals.empty()) return out;
    std::string others;
    for (auto const& r : w.rivals) others += (others.empty() ? "" : ", ") + r;
    return out + (out.empty() ? "" : "; ") + std::string(rivals_mark) + others;
}

// What a note was made of: what is withheld must not be sent, and the note stays where nothing is planned anew.
void read_note(std::string_view note, policy::wanted_setting& w) {
    auto const at = note.find(rivals_mark);
    if (at != note.npos) w.rivals = {std::string(note.substr(at + rivals_mark.size()))};
    w.withheld = note.substr(0, at == note.npos ? at : at - std::min<std::size_t>(at, 2));
}

}  // namespace

policy::record_map records_from(std::vector<store::setting> const& stored) {
    policy::record_map all;
    for (auto const& s : stored) {
        policy::setting_record r;
        r.wanted.uri = s.uri;
        r.wanted.format = s.format;
        r.wanted.value = s.value;
        r.wanted.policy = s.policy;
        r.wanted.order = static_cast<int>(s.position);
        r.state = policy::parse_setting_state(s.state).value_or(policy::setting_state::pending);
        r.status = static_cast<int>(s.status);
        r.original_error = s.original_error;
        r.reported = s.reported;
        r.attempts = static_cast<int>(s.attempts);
        r.delivered = s.delivered;
        if (!s.note.empty()) read_note(s.note, r.wanted);
        all.emplace_hint(all.end(), s.node, std::move(r));
    }
    return all;
}

store::setting row_of(std::string const& user_id, std::string const& node, policy::setting_record const& r) {
    return {.user_id = user_id,
        .node = node,
        .uri = r.wanted.uri,
        .format = r.wanted.format,
        .value = r.wanted.value,
        .policy = r.wanted.policy,
        .position = r.wanted.order,
        .state = std::string(policy::name(r.state)),
        .status = r.status,
        .original_error = r.original_error,
        .reported = r.reported ? std::optional(cut_utf8(*r.reported, reported_limit)) : std::nullopt,
        .attempts = r.attempts,
        .delivered = r.delivered,
        .note = note_of(r.wanted)};
}

bool is_row_of(store::setting const& row, policy::setting_record const& r) {
    auto const& w = r.wanted;
    if (row.uri != w.uri || row.format != w.format || row.value != w.value || row.policy != w.policy ||
        row.position != w.order || row.state != policy::name(r.state) || row.status != r.status ||
        row.original_error != r.original_error || row.attempts != r.attempts || row.delivered != r.delivered)
        return false;
    bool const cut = r.reported && r.reported->size() > reported_limit;
    if (cut ? row.reported != cut_utf8(*r.reported, reported_limit) : row.reported != r.reported) return false;
    return w.withheld.empty() && w.rivals.empty() ? row.note.empty() : row.note == note_of(w);
}

}  // namespace mdmd::service
