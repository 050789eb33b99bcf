#include "store/events.hpp"

#include <deque>

namespace mdmd::store {
namespace {

using kind = event_condition::kind;
using comparison = event_condition::comparison;

constexpr std::string_view columns =
    "id, at, correlation_id, managed_device_id, operating_system, os_version, user_id, entra_device_id, "
    "enrollment_type, category, reason, event_name, additional_information, details";

std::string_view name_of(event_column c) {
    switch (c) {
        case event_column::id: return "id";
        case event_column::at: return "at";
        case event_column::correlation_id: return "correlation_id";
        case event_column::managed_device_id: return "managed_device_id";
        case event_column::operating_system: return "operating_system";
        case event_column::os_version: return "os_version";
        case event_column::user_id: return "user_id";
        case event_column::entra_device_id: return "entra_device_id";
        case event_column::enrollment_type: return "enrollment_type";
        case event_column::category: return "category";
        case event_column::reason: return "reason";
        case event_column::event_name: return "event_name";
    }
    throw std::logic_error("no column of events");
}

// What rows are sorted by: null as the empty text, so that every value has its place and paging can go on from it.
std::string sorted(event_column c) {
    return c == event_column::at ? "at" : fmt::format("coalesce({}, '')", name_of(c));
}

event read_event(rows const& r) {
    return {.id = r.text(0),
        .at = r.time(1),
        .correlation_id = r.maybe_text(2),
        .managed_device_id = r.maybe_text(3),
        .operating_system = r.maybe_text(4),
        .os_version = r.maybe_text(5),
        .user_id = r.maybe_text(6),
        .entra_device_id = r.maybe_text(7),
        .enrollment_type = r.text(8),
        .category = r.text(9),
        .reason = r.maybe_text(10),
        .event_name = r.maybe_text(11),
        .additional_information = r.text(12),
        .details = r.text(13)};
}

// The text of a statement and its values: whatever comes from outside is bound, never written into the text.
class statement {
public:
    std::string text;

    std::string bind(parameter p) {
        values_.push_back(p);
        return fmt::format("${}", values_.size());
    }
    // The value must live until the statement has run.
    std::string bind(event_value const& v) {
        return std::visit([&](auto const& one) { return bind(parameter(one)); }, v);
    }
    std::span<parameter const> values() const { return values_; }

private:
    std::vector<parameter> values_;
};

std::string_view operator_of(comparison op) {
    switch (op) {
        case comparison::ne: return "<>";
        case comparison::gt: return ">";
        case comparison::ge: return ">=";
        case comparison::lt: return "<";
        case comparison::le: return "<=";
        default: return "=";
    }
}

// Without LIKE, whose patterns and letter case differ from engine to engine.
std::string compare(statement& s, event_condition const& c) {
    auto const column = name_of(c.column);
    if (!c.value) {
        if (c.op == comparison::eq) return fmt::format("{} IS NULL", column);
        if (c.op == comparison::ne) return fmt::format("{} IS NOT NULL", column);
        return "1 = 0";
    }
    auto const* const text = std::get_if<std::string>(&*c.value);
    if (text && text->empty() && c.op == comparison::contains) return fmt::format("{0} = {0}", column);
    auto const value = s.bind(*c.value);
    switch (c.op) {
        case comparison::ne: return fmt::format("({0} IS NULL OR {0} <> {1})", column, value);
        case comparison::starts_with: return fmt::format("substr({0}, 1, length({1})) = {1}", column, value);
        case comparison::ends_with:
            return fmt::format(
                "(length({0}) >= length({1}) AND substr({0}, length({0}) - length({1}) + 1) = {1})", column, value);
        case comparison::contains: return fmt::format("replace({0}, {1}, '') <> {0}", column, value);
        default: return fmt::format("({0} IS NOT NULL AND {0} {1} {2})", column, operator_of(c.op), value);
    }
}

std::string where(statement& s, event_condition const& c) {
    if (c.what == kind::compare) return compare(s, c);
    if (c.what == kind::negated) return "NOT (" + where(s, c.parts.at(0)) + ")";
    std::string out;
    for (auto const& part : c.parts)
        out += (out.empty() ? "(" : c.what == kind::all_of ? " AND " : " OR ") + where(s, part);
    return out + ")";
}

// What comes behind the given place: a later first key, or the same first and a later second one, and so on to the id.
std::string behind(statement& s, event_query const& q) {
    std::string out;
    std::string same;
    auto const key = [&](std::string const& column, bool descending, std::string const& value) {
        out += fmt::format("{}({}{} {} {})", out.empty() ? "" : " OR ", same, column, descending ? "<" : ">", value);
        same += fmt::format("{} = {} AND ", column, value);
    };
    for (std::size_t i = 0; i < q.order.size(); ++i)
        key(sorted(q.order[i].column), q.order[i].descending, s.bind(q.after.at(i)));
    key("id", false, s.bind(parameter(q.after_id)));
    return "(" + out + ")";
}

}  // namespace

void add_event(connection& db, event const& e) {
    db.execute("INSERT INTO event (" + std::string(columns) +
                   ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        {e.id, e.at, e.correlation_id, e.managed_device_id, e.operating_system, e.os_version, e.user_id,
            e.entra_device_id, e.enrollment_type, e.category, e.reason, e.event_name, e.additional_information,
            e.details});
}

std::optional<event> find_event(connection& db, std::string_view id) {
    auto const r = db.query("SELECT " + std::string(columns) + " FROM event WHERE id = $1", {id});
    return r->next() ? std::optional(read_event(*r)) : std::nullopt;
}

std::vector<event> list_events(connection& db, event_query const& q) {
    statement s;
    s.text = fmt::format("SELECT {} FROM event", columns);
    std::string conditions = q.filter ? where(s, *q.filter) : "";
    if (!q.after_id.empty()) conditions += (conditions.empty() ? "" : " AND ") + behind(s, q);
    if (!conditions.empty()) s.text += " WHERE " + conditions;
    s.text += " ORDER BY ";
    for (auto const& o : q.order) s.text += sorted(o.column) + (o.descending ? " DESC, " : ", ");
    s.text += fmt::format("id LIMIT {}", s.bind(parameter(q.top)));
    s.text += fmt::format(" OFFSET {}", s.bind(parameter(q.skip)));
    std::vector<event> all;
    for (auto const r = db.query(s.text, s.values()); r->next();) all.push_back(read_event(*r));
    return all;
}

std::int64_t count_events(connection& db, std::optional<event_condition> const& filter) {
    statement s;
    s.text = "SELECT count(*) FROM event";
    if (filter) s.text += " WHERE " + where(s, *filter);
    auto const r = db.query(s.text, s.values());
    return r->next() ? r->integer(0) : 0;
}

bool update_event(connection& db, event const& e) {
    return db.execute(
               "UPDATE event SET at = $2, correlation_id = $3, managed_device_id = $4, operating_system = $5, "
               "os_version = $6, user_id = $7, entra_device_id = $8, enrollment_type = $9, category = $10, "
               "reason = $11, event_name = $12, additional_information = $13, details = $14 WHERE id = $1",
               {e.id, e.at, e.correlation_id, e.managed_device_id, e.operating_system, e.os_version, e.user_id,
                   e.entra_device_id, e.enrollment_type, e.category, e.reason, e.event_name, e.additional_information,
                   e.details}) == 1;
}

bool remove_event(connection& db, std::string_view id) {
    return db.execute("DELETE FROM event WHERE id = $1", {id}) == 1;
}

event_value value_of(event const& e, event_column c) {
    switch (c) {
        case event_column::id: return e.id;
        case event_column::at: return e.at;
        case event_column::correlation_id: return e.correlation_id.value_or("");
        case event_column::managed_device_id: return e.managed_device_id.value_or("");
        case event_column::operating_system: return e.operating_system.value_or("");
        case event_column::os_version: return e.os_version.value_or("");
        case event_column::user_id: return e.user_id.value_or("");
        case event_column::entra_device_id: return e.entra_device_id.value_or("");
        case event_column::enrollment_type: return e.enrollment_type;
        case event_column::category: return e.category;
        case event_column::reason: return e.reason.value_or("");
        case event_column::event_name: return e.event_name.value_or("");
    }
    throw std::logic_error("no column of events");
}

int trim_events(connection& db, time_point older_than, std::int64_t keep) {
    auto gone = db.execute("DELETE FROM event WHERE at < $1", {older_than});
    // Both find most often nothing, by walking the index over `at` once.
    gone += db.execute(
        "DELETE FROM event WHERE coalesce(user_id, '') = '' AND id IN (SELECT id FROM event WHERE "
        "coalesce(user_id, '') = '' ORDER BY at DESC, id LIMIT 1000000 OFFSET $1)",
        {keep});
    gone += db.execute(
        "DELETE FROM event WHERE user_id <> '' AND id IN (SELECT id FROM event WHERE user_id <> '' "
        "ORDER BY at DESC, id LIMIT 1000000 OFFSET $1)",
        {keep});
    return static_cast<int>(gone);
}

}  // namespace mdmd::store
