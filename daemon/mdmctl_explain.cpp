// mdmctl explain: what a number means that Windows, Entra or a device in a session shows.
#include <charconv>

#include "core/text.hpp"
#include "daemon/mdmctl.hpp"
#include "enroll/explain.hpp"
#include "enroll/messages.hpp"
#include "entra/graph.hpp"
#include "omadm/original_error.hpp"
#include "omadm/status.hpp"

namespace mdmd::ctl {
namespace {

char const* name(enroll::raised_by who) {
    switch (who) {
        case enroll::raised_by::appliance: return "mdmd, or an answer of its that Windows could not use";
        case enroll::raised_by::way: return "the way between the device and mdmd";
        case enroll::raised_by::device: return "the device";
        case enroll::raised_by::entra: return "Entra's device registration";
    }
    return "";
}

json::value maybe(std::string_view s) { return s.empty() ? json::value(nullptr) : json::value(s); }

// A refusal of ours also has names in the SOAP fault and in the event.
json::object of(enroll::explanation const& e) {
    json::object o{{"kind", "enrollment"}, {"code", maybe(e.code ? fmt::format("0x{:08x}", e.code) : std::string())},
        {"name", e.constant}, {"shown", maybe(e.shown)}, {"raised_by", name(e.who)}, {"meaning", e.meaning},
        {"remedy", e.remedy}, {"subcode", nullptr}, {"error_type", nullptr}, {"failure_category", nullptr}};
    for (auto const& f : enroll::refusals())
        if (e.code && f.hresult == e.code) {
            o["subcode"] = f.subcode;
            o["error_type"] = maybe(f.error_type ? f.error_type : "");
            o["failure_category"] = f.category;
        }
    return o;
}

std::optional<int> aadsts_of(std::string_view text) {
    if (text.size() > 6 && iequals(text.substr(0, 6), "AADSTS")) text.remove_prefix(6);
    int code = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), code);
    return failed == std::errc{} && end == text.data() + text.size() ? std::optional(code) : std::nullopt;
}

json::object of(omadm::status_meaning const& m) {
    auto const code = m.first == m.last ? std::to_string(m.first) : fmt::format("{}-{}", m.first, m.last);
    return {{"kind", "syncml"}, {"code", code}, {"name", m.name}, {"meaning", m.meaning}, {"remedy", m.remedy}};
}

json::object of(omadm::original_error const& e) {
    return {{"kind", "windows"}, {"code", fmt::format("0x{:08x}", e.code)}, {"name", e.name}, {"meaning", e.meaning},
        {"remedy", e.remedy}};
}

json::object explained(std::string_view text) {
    text = trim(text);
    if (auto const* const e = enroll::explain(text)) return of(*e);
    if (auto const* const e = omadm::find_original_error(text)) return of(*e);
    auto const code = aadsts_of(text);
    if (code && text.find_first_not_of("0123456789") == text.npos)
        if (auto const* const m = omadm::find_status(*code)) return of(*m);
    if (code)
        if (auto const* const known = entra::find_code(*code))
            return {{"kind", "entra"}, {"code", fmt::format("AADSTS{}", *code)}, {"meaning", known->meaning},
                {"remedy", known->remedy}};
    throw refused(
        fmt::format("'{}' is not known here: expected an enrollment error such as 0x80180013, a status of "
                    "SyncML such as 418, Windows' own error beside it such as 0x86000002, or a code of Entra's such as "
                    "AADSTS7000222",
            printable(text, 64)));
}

void print(json::object const& o) {
    for (auto const& [key, title] :
        {std::pair("code", "code"), {"name", "name"}, {"shown", "text on the device"}, {"raised_by", "raised by"},
            {"subcode", "SOAP subcode"}, {"error_type", "ErrorType"}, {"failure_category", "event category"}})
        if (auto const* const v = o.if_contains(key); v && !v->is_null()) fmt::print("{:<20} {}\n", title, show(*v));
    fmt::print("\n{}\n\nWhat to do: {}\n", show(o, "meaning"), show(o, "remedy"));
}

}  // namespace

void add_explain(CLI::App& app, command_line& line) {
    auto* const verb = app.add_subcommand("explain",
        "What a Windows enrollment error (0x80180013), a status of SyncML (418), Windows' own error beside it "
        "(0x86000002) or a code of Entra's (AADSTS7000222) means");
    auto const code = std::make_shared<std::string>();
    verb->add_option("CODE", *code, "The number as it is shown, or the name of it; without one, all but Entra's");
    verb->callback([&line, code] {
        line.run = [&line, code] {
            if (!code->empty()) {
                auto const found = explained(*code);
                if (line.as_json)
                    fmt::print("{}\n", json::serialize(found));
                else
                    print(found);
                return 0;
            }
            json::array all;
            for (auto const& e : enroll::explanations()) all.push_back(of(e));
            for (auto const& m : omadm::status_meanings()) all.push_back(of(m));
            for (auto const& e : omadm::original_errors()) all.push_back(of(e));
            if (line.as_json)
                fmt::print("{}\n", json::serialize(json::object{{"value", all}}));
            else
                table(all, {{"CODE", "code"}, {"NAME", "name"}, {"MEANING", "meaning"}});
            return 0;
        };
    });
}

}  // namespace mdmd::ctl
