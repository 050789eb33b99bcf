#include "admin/graph_event.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

#include "core/text.hpp"

namespace mdmd::admin {
namespace {

namespace json = boost::json;
using condition = store::event_condition;
using column = store::event_column;
using text_member = std::optional<std::string> store::event::*;

constexpr std::size_t longest_text = 8192;
constexpr std::size_t most_items = 100;

struct member {
    std::string_view name;
    int number;
    bool beta = false;
};

constexpr std::array categories = {member{"unknown", 0}, member{"authentication", 1}, member{"authorization", 2},
    member{"accountValidation", 3}, member{"userValidation", 4}, member{"deviceNotSupported", 5},
    member{"inMaintenance", 6}, member{"badRequest", 7}, member{"featureNotSupported", 8},
    member{"enrollmentRestrictionsEnforced", 9}, member{"clientDisconnected", 10}, member{"userAbandonment", 11}};

constexpr std::array types = {member{"unknown", 0}, member{"userEnrollment", 1}, member{"deviceEnrollmentManager", 2},
    member{"appleBulkWithUser", 3}, member{"appleBulkWithoutUser", 4}, member{"windowsAzureADJoin", 5},
    member{"windowsBulkUserless", 6}, member{"windowsAutoEnrollment", 7}, member{"windowsBulkAzureDomainJoin", 8},
    member{"windowsCoManagement", 9}, member{"windowsAzureADJoinUsingDeviceAuth", 10},
    member{"appleUserEnrollment", 11}, member{"appleUserEnrollmentWithServiceAccount", 12},
    member{"azureAdJoinUsingAzureVmExtension", 14, true}, member{"androidEnterpriseDedicatedDevice", 15, true},
    member{"androidEnterpriseFullyManaged", 16, true}, member{"androidEnterpriseCorporateWorkProfile", 17, true},
    member{"appleACMEBasicBYOD", 20, true}, member{"appleACMEDEPUserless", 21, true},
    member{"appleACMEDEPUDACompanyPortal", 22, true}, member{"appleACMEDEPUDASetupAsstLegacy", 23, true},
    member{"appleACMEDEPUDAModernAuth", 24, true}};

struct enumeration {
    std::string_view name;
    std::span<member const> members;
    std::string store::event::*field;

    member const* find(std::string_view one, graph_version v) const {
        auto const m = std::find_if(members.begin(), members.end(), [&](auto const& any) { return any.name == one; });
        return m == members.end() || (m->beta && v != graph_version::beta) ? nullptr : std::to_address(m);
    }
    // What the version shows of a member that is kept.
    member const& shown(std::string_view kept, graph_version v) const {
        auto const* const m = find(kept, v);
        return m ? *m : members.front();
    }
};
constexpr enumeration category_type{
    "microsoft.graph.deviceEnrollmentFailureReason", categories, &store::event::category};
constexpr enumeration enrollment_type{"microsoft.graph.deviceEnrollmentType", types, &store::event::enrollment_type};

struct property {
    enum class kind { id, time, text, choice, pairs, details };
    std::string_view name;
    kind what;
    bool beta = false;
    column in = column::id;  // of those that can be searched and sorted
    text_member text = nullptr;
    enumeration const* choices = nullptr;
};

using kind = property::kind;
constexpr std::array properties = {
    property{.name = "id", .what = kind::id, .in = column::id},
    property{.name = "eventDateTime", .what = kind::time, .in = column::at},
    property{.name = "correlationId",
        .what = kind::text,
        .in = column::correlation_id,
        .text = &store::event::correlation_id},
    property{.name = "managedDeviceIdentifier",
        .what = kind::text,
        .in = column::managed_device_id,
        .text = &store::event::managed_device_id},
    property{.name = "operatingSystem",
        .what = kind::text,
        .in = column::operating_system,
        .text = &store::event::operating_system},
    property{.name = "osVersion", .what = kind::text, .in = column::os_version, .text = &store::event::os_version},
    property{.name = "userId", .what = kind::text, .in = column::user_id, .text = &store::event::user_id},
    property{
        .name = "deviceId", .what = kind::text, .in = column::entra_device_id, .text = &store::event::entra_device_id},
    property{
        .name = "enrollmentType", .what = kind::choice, .in = column::enrollment_type, .choices = &enrollment_type},
    property{.name = "failureCategory", .what = kind::choice, .in = column::category, .choices = &category_type},
    property{.name = "failureReason", .what = kind::text, .in = column::reason, .text = &store::event::reason},
    property{.name = "eventName",
        .what = kind::text,
        .beta = true,
        .in = column::event_name,
        .text = &store::event::event_name},
    property{.name = "additionalInformation", .what = kind::pairs, .beta = true},
    property{.name = "troubleshootingErrorDetails", .what = kind::details, .beta = true},
};

property const* find_property(std::string_view name, graph_version v) {
    auto const p =
        std::find_if(properties.begin(), properties.end(), [&](auto const& one) { return one.name == name; });
    return p == properties.end() || (p->beta && v != graph_version::beta) ? nullptr : std::to_address(p);
}

error wrong(std::string_view name, std::string_view why) {
    return fail(errc::malformed, fmt::format("{}: {}", printable(name, 64), why));
}

// --- out

json::value text_or_null(std::optional<std::string> const& s) { return s ? json::value(*s) : json::value(nullptr); }

// What is kept names no types; a client is told them.
json::value with_type(json::value v, std::string_view type) {
    if (!v.is_object()) return v;
    json::object out{{"@odata.type", type}};
    for (auto& [name, value] : v.get_object()) out[name] = std::move(value);
    return out;
}

json::value kept(std::string const& text) {
    boost::system::error_code bad;
    auto v = text.empty() ? json::value(nullptr) : json::parse(text, bad);
    return bad ? json::value(nullptr) : v;
}

json::value value_of(store::event const& e, property const& p, graph_version v) {
    switch (p.what) {
        case kind::id: return json::value(e.id);
        case kind::time: return json::value(rfc3339_ms(e.at));
        case kind::text: return text_or_null(e.*p.text);
        case kind::choice: return json::value(p.choices->shown(e.*p.choices->field, v).name);
        case kind::pairs: {
            auto all = kept(e.additional_information);
            if (auto* const list = all.if_array())
                for (auto& one : *list) one = with_type(std::move(one), "#microsoft.graph.keyValuePair");
            return all;
        }
        case kind::details: {
            auto all = with_type(kept(e.details), "#microsoft.graph.deviceManagementTroubleshootingErrorDetails");
            auto* const o = all.if_object();
            auto* const resources = o ? o->if_contains("resources") : nullptr;
            if (resources && resources->is_array())
                for (auto& one : resources->get_array())
                    one = with_type(std::move(one), "#microsoft.graph.deviceManagementTroubleshootingErrorResource");
            return all;
        }
    }
    return nullptr;
}

// --- in

result<void> check_text(std::string const& name, json::value const& v) {
    if (v.is_null()) return {};
    auto const* const s = v.if_string();
    if (!s) return wrong(name, "expected a string or null");
    if (s->size() > longest_text) return wrong(name, fmt::format("over {} bytes", longest_text));
    if (s->find('\0') != json::string::npos) return wrong(name, "a string here may not hold U+0000");
    return {};
}

bool is_annotation(std::string_view name) { return name.find("@odata.") != name.npos; }

// An object of texts alone, without its annotations. `also` names a member that is no text and is read elsewhere.
result<json::object> read_texts(std::string const& name, json::value const& v, std::string_view type,
    std::initializer_list<std::string_view> members, std::string_view also = {}) {
    auto const* const all = v.if_object();
    if (!all) return wrong(name, "expected an object");
    json::object out;
    for (auto const& m : members) out[m] = nullptr;
    for (auto const& [key, value] : *all) {
        std::string_view const member(key);
        auto const path = name + "/" + std::string(member);
        if (member == "@odata.type") {
            if (!value.is_string() || (value.as_string() != type && value.as_string() != type.substr(1)))
                return wrong(path, fmt::format("expected {}", type));
        } else if (is_annotation(member) || (!also.empty() && member == also)) {
            continue;
        } else if (std::find(members.begin(), members.end(), member) == members.end()) {
            return wrong(path, "there is no such property");
        } else if (auto const ok = check_text(path, value); !ok) {
            return ok.error();
        } else {
            out[key] = value;
        }
    }
    return out;
}

result<json::array> read_list(std::string const& name, json::value const& v, std::string_view type,
    std::initializer_list<std::string_view> members) {
    auto const* const list = v.if_array();
    if (!list) return wrong(name, "expected an array or null");
    if (list->size() > most_items) return wrong(name, fmt::format("over {} items", most_items));
    json::array out;
    for (auto const& item : *list) {
        auto one = read_texts(name, item, type, members);
        if (!one) return one.error();
        out.push_back(*std::move(one));
    }
    return out;
}

result<json::value> read_details(std::string const& name, json::value const& v) {
    if (v.is_null()) return v;
    auto out = read_texts(name, v, "#microsoft.graph.deviceManagementTroubleshootingErrorDetails",
        {"context", "failure", "failureDetails", "remediation"}, "resources");
    if (!out) return out.error();
    (*out)["resources"] = json::array();
    if (auto const* const resources = v.as_object().if_contains("resources"); resources && !resources->is_null()) {
        auto list = read_list(name + "/resources", *resources,
            "#microsoft.graph.deviceManagementTroubleshootingErrorResource", {"text", "link"});
        if (!list) return list.error();
        (*out)["resources"] = *std::move(list);
    }
    return json::value(*std::move(out));
}

result<json::value> read_value(property const& p, json::value const& v, graph_version version) {
    std::string const name(p.name);
    switch (p.what) {
        case kind::id:
        case kind::text:
            if (auto const ok = check_text(name, v); !ok) return ok.error();
            return v;
        case kind::time:
            if (!v.is_string() || !parse_rfc3339(v.as_string()))
                return wrong(name, "expected a time such as \"2026-01-31T23:59:59.123Z\"");
            return v;
        case kind::choice:
            if (v.is_null()) return json::value(p.choices->members.front().name);
            if (!v.is_string() || !p.choices->find(v.as_string(), version))
                return wrong(name, fmt::format("expected a member of {}", p.choices->name));
            return v;
        case kind::pairs: {
            if (v.is_null()) return v;
            auto list = read_list(name, v, "#microsoft.graph.keyValuePair", {"name", "value"});
            if (!list) return list.error();
            return json::value(*std::move(list));
        }
        case kind::details: return read_details(name, v);
    }
    return wrong(name, "there is no such property");
}

std::optional<std::string> text_of(json::value const& v) {
    return v.is_null() ? std::nullopt : std::optional(std::string(v.as_string()));
}
std::string json_of(json::value const& v) { return v.is_null() ? std::string() : json::serialize(v); }

// --- $filter

error at(int place, std::string_view why) {
    return fail(errc::malformed, fmt::format("$filter, at character {}: {}", place, why));
}

condition::comparison comparison_of(odata::comparison op) {
    switch (op) {
        case odata::comparison::ne: return condition::comparison::ne;
        case odata::comparison::gt: return condition::comparison::gt;
        case odata::comparison::ge: return condition::comparison::ge;
        case odata::comparison::lt: return condition::comparison::lt;
        case odata::comparison::le: return condition::comparison::le;
        case odata::comparison::starts_with: return condition::comparison::starts_with;
        case odata::comparison::ends_with: return condition::comparison::ends_with;
        case odata::comparison::contains: return condition::comparison::contains;
        case odata::comparison::eq:
        case odata::comparison::in: return condition::comparison::eq;
    }
    return condition::comparison::eq;
}

bool holds(int a, odata::comparison op, int b) {
    switch (op) {
        case odata::comparison::ne: return a != b;
        case odata::comparison::gt: return a > b;
        case odata::comparison::ge: return a >= b;
        case odata::comparison::lt: return a < b;
        case odata::comparison::le: return a <= b;
        default: return a == b;
    }
}

condition never() { return {.column = column::id, .op = condition::comparison::gt, .value = std::nullopt}; }
condition any_of(std::vector<condition> parts) {
    if (parts.empty()) return never();
    if (parts.size() == 1) return std::move(parts.front());
    return {.what = condition::kind::any_of, .parts = std::move(parts)};
}

// Which members are meant, by their numbers, as the version shows them.
result<condition> compare_choice(
    property const& p, odata::comparison op, odata::literal const& v, graph_version version) {
    using literal_kind = odata::literal::kind;
    auto const& choices = *p.choices;
    if (op == odata::comparison::starts_with || op == odata::comparison::ends_with || op == odata::comparison::contains)
        return at(v.place, fmt::format("{} is not a text", p.name));
    if (v.what == literal_kind::null)
        return op == odata::comparison::ne ? condition{.what = condition::kind::negated, .parts = {never()}} : never();
    if (v.what == literal_kind::enumeration ? v.type != choices.name : v.what != literal_kind::text)
        return at(v.place, fmt::format("expected a member of {} in quotes", choices.name));
    auto const* const wanted = choices.find(v.text, version);
    if (!wanted) return at(v.place, fmt::format("'{}' is no member of {}", printable(v.text, 40), choices.name));
    std::vector<condition> parts;
    for (auto const& m : choices.members)
        if (holds(choices.shown(m.name, version).number, op, wanted->number))
            parts.push_back({.column = p.in, .value = std::string(m.name)});
    return any_of(std::move(parts));
}

result<condition> compare(property const& p, odata::comparison op, odata::literal const& v, graph_version version) {
    using literal_kind = odata::literal::kind;
    if (p.what == kind::choice) return compare_choice(p, op, v, version);
    condition out{.column = p.in, .op = comparison_of(op)};
    if (v.what == literal_kind::null) return out;
    if (p.what == kind::time) {
        if (v.what != literal_kind::time) return at(v.place, fmt::format("{} is a time, without quotes", p.name));
        out.value = v.at;
    } else {
        if (v.what != literal_kind::text) return at(v.place, fmt::format("{} is a text, in quotes", p.name));
        out.value = p.what == kind::id ? lower(v.text) : v.text;
    }
    return out;
}

}  // namespace

json::object to_json(store::event const& e, graph_version version, std::set<std::string> const& select) {
    json::object out{{"@odata.type", event_type}};
    for (auto const& p : properties)
        if ((!p.beta || version == graph_version::beta) && (select.empty() || select.contains(std::string(p.name))))
            out[p.name] = value_of(e, p, version);
    return out;
}

result<event_changes> read_changes(json::object const& body, graph_version version) {
    event_changes out;
    for (auto const& [key, value] : body) {
        std::string_view const name(key);
        if (name == "@odata.type") {
            if (!value.is_string() || (value.as_string() != event_type && value.as_string() != event_type.substr(1)))
                return wrong(name, fmt::format("expected {}", event_type));
            continue;
        }
        if (is_annotation(name)) continue;
        auto const* const p = find_property(name, version);
        if (!p) return wrong(name, "there is no such property");
        auto v = read_value(*p, value, version);
        if (!v) return v.error();
        out.set[key] = *std::move(v);
    }
    return out;
}

void apply(event_changes const& changes, store::event& e) {
    for (auto const& [key, v] : changes.set) {
        auto const& p = *find_property(key, graph_version::beta);
        switch (p.what) {
            case kind::id: break;
            case kind::time: e.at = parse_rfc3339(v.as_string()).value(); break;
            case kind::text: e.*p.text = text_of(v); break;
            case kind::choice: e.*p.choices->field = std::string(v.as_string()); break;
            case kind::pairs: e.additional_information = json_of(v); break;
            case kind::details: e.details = json_of(v); break;
        }
    }
}

result<condition> read_filter(odata::expression const& e, graph_version version) {
    using expression_kind = odata::expression::kind;
    if (e.what != expression_kind::compare) {
        condition out{.what = e.what == expression_kind::negated  ? condition::kind::negated
                              : e.what == expression_kind::all_of ? condition::kind::all_of
                                                                  : condition::kind::any_of};
        for (auto const& part : e.parts) {
            auto one = read_filter(part, version);
            if (!one) return one.error();
            out.parts.push_back(*std::move(one));
        }
        return out;
    }
    auto const* const p = find_property(e.property, version);
    if (!p) return at(e.place, fmt::format("there is no property '{}'", printable(e.property, 40)));
    if (p->what == kind::pairs || p->what == kind::details)
        return at(e.place, fmt::format("{} cannot be searched", p->name));
    if (p->what == kind::time && comparison_of(e.op) >= condition::comparison::starts_with)
        return at(e.place, fmt::format("{} is not a text", p->name));
    std::vector<condition> parts;
    for (auto const& v : e.values) {
        auto one = compare(*p, e.op, v, version);
        if (!one) return one.error();
        parts.push_back(*std::move(one));
    }
    return any_of(std::move(parts));
}

result<std::vector<store::event_order>> read_order(std::vector<odata::sort_key> const& keys, graph_version version) {
    std::vector<store::event_order> out;
    for (auto const& key : keys) {
        auto const* const p = find_property(key.property, version);
        if (!p || p->what == kind::pairs || p->what == kind::details)
            return fail(errc::malformed,
                fmt::format("$orderby, at character {}: {} '{}'", key.place,
                    p ? "it cannot be sorted by" : "there is no property", printable(key.property, 40)));
        out.push_back({p->in, key.descending});
    }
    return out;
}

result<std::set<std::string>> read_select(std::vector<std::string> const& names, graph_version version) {
    std::set<std::string> out;
    bool all = false;
    for (auto const& name : names) {
        if (name == "*")
            all = true;
        else if (!find_property(name, version))
            return fail(errc::malformed, fmt::format("$select: there is no property '{}'", printable(name, 40)));
        else
            out.insert(name);
    }
    return all ? std::set<std::string>{} : out;
}

}  // namespace mdmd::admin
