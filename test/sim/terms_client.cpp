#include "terms_client.hpp"

#include <map>

#include "core/text.hpp"

namespace mdmd::sim {
namespace {

std::string unescape(std::string_view s) {
    static std::pair<std::string_view, char> const entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}, {"&#x27;", '\''}};
    std::string out;
    while (!s.empty()) {
        auto const at = std::find_if(
            std::begin(entities), std::end(entities), [&](auto const& e) { return s.starts_with(e.first); });
        if (at != std::end(entities)) {
            out += at->second;
            s.remove_prefix(at->first.size());
        } else {
            out += s.front();
            s.remove_prefix(1);
        }
    }
    return out;
}

struct html_tag {
    std::string name;  // "/form" for an end
    std::map<std::string, std::string> attributes;
    std::size_t end;  // behind its '>'
};

html_tag read_tag(std::string_view html, std::size_t at) {
    html_tag t;
    auto const is_end = [&](std::size_t i) { return i >= html.size() || html[i] == '>'; };
    auto i = at + 1;
    while (!is_end(i) && html[i] != ' ' && html[i] != '\n') t.name += html[i++];
    t.name = lower(t.name);
    while (!is_end(i)) {
        if (std::string_view(" \t\r\n/").find(html[i]) != std::string_view::npos) {
            ++i;
            continue;
        }
        std::string name, value;
        while (!is_end(i) && html[i] != '=' && html[i] != ' ' && html[i] != '\n') name += html[i++];
        if (!is_end(i) && html[i] == '=') {
            ++i;
            if (!is_end(i) && (html[i] == '"' || html[i] == '\'')) {
                auto const quote = html[i++];
                while (i < html.size() && html[i] != quote) value += html[i++];
                ++i;
            } else {
                while (!is_end(i) && html[i] != ' ') value += html[i++];
            }
        }
        t.attributes[lower(name)] = unescape(value);
    }
    t.end = std::min(i + 1, html.size());
    return t;
}

std::string origin_of(std::string_view url) {
    auto const path = url.find('/', url.find("://") + 3);
    return std::string(url.substr(0, path));
}

std::string absolute(std::string const& action, std::string const& page) {
    if (action.empty()) return page;
    if (action.find("://") != action.npos) return action;
    if (action.starts_with('/')) return origin_of(page) + action;
    auto const bare = page.substr(0, page.find('?'));
    return bare.substr(0, bare.rfind('/') + 1) + action;
}

html_field const* button(html_form const& form, std::initializer_list<char const*> words) {
    for (auto const& f : form.fields) {
        if (f.type != "submit") continue;
        auto const all = lower(f.name + " " + f.value + " " + f.text);
        for (auto const* w : words)
            if (all.find(w) != all.npos) return &f;
    }
    return nullptr;
}

enroll_failure wrong(std::string text, int status) {
    return {.step = "terms",
        .text = std::move(text),
        .http_status = status,
        .subcode = {},
        .error_type = {},
        .trace_id = {},
        .location = {}};
}

// The page must work inside Windows' frame, and its form must be allowed to end in the broker's scheme.
std::optional<std::string> page_failure(http::response const& r) {
    auto const type = r.headers.get("Content-Type").value_or("");
    if (!iequals(trim(split(type, ';').front()), "text/html"))
        return fmt::format("the page's Content-Type is '{}'", printable(type, 100));
    if (r.headers.get("X-Frame-Options")) return "X-Frame-Options keeps the page out of Windows 11's frame";
    if (lower(r.headers.get("Cache-Control").value_or("")).find("no-store") == std::string::npos)
        return "the page may be stored: Cache-Control has no no-store";
    for (auto const part : split(r.headers.get("Content-Security-Policy").value_or(""), ';')) {
        auto const rule = trim(part);
        if (rule.starts_with("frame-ancestors")) return "frame-ancestors keeps the page out of Windows 11's frame";
        if (rule.starts_with("form-action") &&
            (rule.find("'self'") == rule.npos || rule.find("ms-appx-web:") == rule.npos))
            return fmt::format("{} does not allow the redirect to ms-appx-web:", rule);
    }
    return std::nullopt;
}

void read_redirect(http::response const& r, terms_visit const& v, terms_outcome& out) {
    auto const location = std::string(r.headers.get("Location").value_or(""));
    out.failure.http_status = r.status;
    out.failure.location = location;
    auto const joint = v.redirect_uri + (v.redirect_uri.find('?') == std::string::npos ? "?" : "&");
    if (!location.starts_with(joint)) {
        out.failure.text = fmt::format("the redirect goes to '{}', not to our redirect_uri", printable(location, 200));
        return;
    }
    auto const all = parse_query(std::string_view(location).substr(joint.size()), false);
    auto const exact = [&](std::string_view name) -> std::optional<std::string> {
        for (auto const& [n, value] : all)
            if (n == name) return value;  // Windows compares with regard to case
        return std::nullopt;
    };
    if (auto const error = exact("error")) {
        out.failure.text = fmt::format("{}: {}", *error, exact("error_description").value_or(""));
        return;
    }
    if (exact("client-request-id") != v.client_request_id) {
        out.failure.text = "the redirect does not return our client-request-id";
        return;
    }
    auto const accepted = exact("IsAccepted");
    if (accepted == "true") {
        out.blob = exact("OpaqueBlob").value_or("");
        out.accepted = true;
        if (out.blob.empty()) out.failure.text = "accepted, but without OpaqueBlob";
        if (!v.accept) out.failure.text = "accepted, although the user declined";
    } else if (accepted == "false") {
        if (exact("OpaqueBlob")) out.failure.text = "declined, but with an OpaqueBlob";
        if (v.accept) out.failure.text = "declined, although the user accepted";
    } else {
        out.failure.text = "the redirect has no IsAccepted of true or false";
    }
    if (out.failure.text.empty()) out.failure = {};
}

}  // namespace

std::vector<html_form> read_forms(std::string_view html) {
    std::vector<html_form> forms;
    bool inside = false;
    for (auto at = html.find('<'); at != html.npos; at = html.find('<', at)) {
        auto const tag = read_tag(html, at);
        at = tag.end;
        auto const attribute = [&](char const* name, char const* otherwise = "") {
            auto const found = tag.attributes.find(name);
            return found == tag.attributes.end() ? std::string(otherwise) : found->second;
        };
        if (tag.name == "form") {
            forms.push_back({lower(attribute("method", "get")), attribute("action"), {}});
            inside = true;
        } else if (tag.name == "/form") {
            inside = false;
        } else if (inside && tag.name == "input") {
            forms.back().fields.push_back(
                {lower(attribute("type", "text")), attribute("name"), attribute("value"), {}});
        } else if (inside && tag.name == "button") {
            auto const close = std::min(html.find("</button", at), html.size());
            forms.back().fields.push_back({lower(attribute("type", "submit")), attribute("name"), attribute("value"),
                unescape(html.substr(at, close - at))});
        }
    }
    return forms;
}

terms_outcome visit_terms(terms_visit const& v, http::transport const& send) {
    terms_outcome out;
    out.failure.step = "terms";
    auto url = v.url + (v.url.find('?') == std::string::npos ? "?" : "&");
    url += fmt::format("redirect_uri={}&client-request-id={}&api-version=1.0{}", percent_encode(v.redirect_uri),
        v.client_request_id, v.corporate ? "&mode=azureadjoin" : "");
    http::fields const view{{"Accept", "text/html"}, {"Accept-Language", v.locale},
        {"CXH-HOST", v.first_run ? "FRX" : "MOSET"}, {"hostApp", "CloudExperienceHost"},
        {"cxh-preferredLanguage", v.locale},
        {"cxh-osVersionInfo", fmt::format(R"({{"osVersion":"{}"}})", v.os_version)},
        {"client-request-id", v.client_request_id}};
    auto first = view;
    first.add("Authorization", "Bearer " + v.jwt);
    auto r = send({.method = "GET", .url = url, .headers = first, .body = {}});
    // One page may lead to another: a wrong PIN shows the form again.
    for (int pages = 0; r && r->status == 200 && pages < 3; ++pages) {
        out.page = r->body;
        if (auto const failure = page_failure(*r)) {
            out.failure = wrong(*failure, 200);
            return out;
        }
        auto const forms = read_forms(r->body);
        auto const at =
            std::find_if(forms.begin(), forms.end(), [](html_form const& f) { return button(f, {"accept"}); });
        if (at == forms.end()) {
            out.failure = wrong("the page has no form with an Accept button", 200);
            return out;
        }
        auto const* const decline = button(*at, {"decline", "reject", "skip"});
        if (v.corporate && decline) out.failure = wrong("a corporate device's page shows Decline", 200);
        if (!v.corporate && !decline) out.failure = wrong("a personal device's page shows no Decline", 200);
        if (v.corporate && !v.accept)
            out.failure = wrong("the user walked away: a corporate device cannot decline", 200);
        if (at->method != "post") out.failure = wrong("the form's method is not post", 200);
        if (!out.failure.text.empty()) return out;

        std::string body;
        auto const field = [&](std::string const& name, std::string const& value) {
            if (!name.empty())
                body += fmt::format("{}{}={}", body.empty() ? "" : "&", percent_encode(name), percent_encode(value));
        };
        for (auto const& f : at->fields) {
            if (f.type == "hidden") field(f.name, f.value);
            if (f.type == "text" || f.type == "password" || f.type == "tel" || f.type == "number") field(f.name, v.pin);
        }
        auto const& pressed = v.accept ? *button(*at, {"accept"}) : *decline;
        field(pressed.name, pressed.value);
        auto posted = view;
        posted.add("Content-Type", "application/x-www-form-urlencoded");
        posted.add("Origin", origin_of(url));
        r = send({.method = "POST", .url = absolute(at->action, url), .headers = posted, .body = body});
    }
    if (!r) {
        out.failure.text = r.error().detail;
        out.failure.hresult = 0x80180010;
        return out;
    }
    if (r->status != 302) {
        out.page = r->body;
        out.failure = wrong(fmt::format("HTTP status {} instead of a page or a redirect", r->status), r->status);
        return out;
    }
    read_redirect(*r, v, out);
    return out;
}

}  // namespace mdmd::sim
