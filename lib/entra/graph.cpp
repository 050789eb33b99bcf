#include "entra/graph.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/text.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

// What may stand in an Authorization header after "Bearer ": RFC 6750 section 2.1.
bool is_bearer_token(std::string_view s) {
    return !s.empty() && s.size() <= largest_access_token &&
           std::all_of(s.begin(), s.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// Seconds, as a number or (older token endpoints) as digits in a text.
std::optional<std::chrono::seconds> lifetime(json::object const& o) {
    constexpr std::int64_t longest = 7 * 24 * 3600;
    std::int64_t seconds = 0;
    if (auto const* value = o.if_contains("expires_in"); value && value->is_int64()) {
        seconds = value->get_int64();
    } else {
        auto const text = find_text(o, "expires_in").value_or("");
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
    }
    if (seconds < 1) return std::nullopt;
    return std::chrono::seconds(std::min(seconds, longest));
}

// The first of the answer's codes that we can explain, else the first.
int main_code(json::object const& o) {
    auto const* value = o.if_contains("error_codes");
    auto const* codes = value ? value->if_array() : nullptr;
    int first = 0;
    if (!codes) return first;
    for (auto const& item : *codes) {
        auto const* code = item.if_int64();
        if (!code || *code < 1 || *code > 99'999'999) continue;
        if (find_code(static_cast<int>(*code))) return static_cast<int>(*code);
        if (first == 0) first = static_cast<int>(*code);
    }
    return first;
}

// What to say where Microsoft's code tells nothing: from the HTTP status and OAuth's own error (RFC 6749 section 5.2).
void explain_without_code(token_refusal& r) {
    if (r.http_status == 429 || r.http_status >= 500 || r.error == "temporarily_unavailable") {
        r.meaning = "Entra ID is overloaded or out of order";
        r.remedy = "Nothing to do: it is tried again later.";
    } else if (r.error == "invalid_client") {
        r.meaning = "the application's credential was refused";
        r.remedy = "Check client_id and the secret or certificate; create a new secret if in doubt.";
        r.credential_is_wrong = true;
    } else if (r.error == "unauthorized_client") {
        r.meaning = "the application may not sign in by itself";
        r.remedy = "Check client_id and that the application is enabled in this tenant.";
    } else if (r.http_status == 404) {
        r.meaning = "there is no token endpoint at this address";
        r.remedy = "Check login_url and tenant_id.";
    } else {
        r.meaning = "Entra ID refused the request for a token";
        r.remedy = "Look the error up in Microsoft's list of AADSTS codes.";
    }
}

constexpr std::array<std::string_view, 12> months = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// "Sun, 06 Nov 1994 08:49:37 GMT": IMF-fixdate, the one form that RFC 9110 section 5.6.7 lets a server send.
std::optional<time_point> parse_http_date(std::string_view s) {
    if (s.size() != 29 || s.substr(3, 2) != ", " || s.substr(25) != " GMT") return std::nullopt;
    auto const month = std::find(months.begin(), months.end(), s.substr(8, 3));
    if (month == months.end() || s[7] != ' ' || s[11] != ' ' || s[16] != ' ') return std::nullopt;
    return parse_rfc3339(
        fmt::format("{}-{:02}-{}T{}Z", s.substr(12, 4), month - months.begin() + 1, s.substr(5, 2), s.substr(17, 8)));
}

}  // namespace

http::fields graph_headers(access_token const& token, std::string client_request_id) {
    constexpr std::string_view scheme = "Bearer ";
    auto const text = token.text.reveal();
    std::string authorization;  // taken once: no copy of the token stays behind
    authorization.reserve(scheme.size() + text.size());
    authorization.append(scheme).append(text);
    http::fields out;
    out.add("Authorization", std::move(authorization));
    out.add("Accept", "application/json");
    out.add("client-request-id", std::move(client_request_id));
    return out;
}

std::string printable_text(json::object const& o, std::string_view name, std::size_t most) {
    return printable(find_text(o, name).value_or(""), most);
}

token_answer parse_token_answer(http::response const& answer, time_point now) {
    auto const body = parse_object(answer.body, largest_answer, "the token endpoint's answer");
    if (answer.status == 200 && body) {
        auto const text = find_text(*body, "access_token");
        auto const type = find_text(*body, "token_type");
        auto const valid = lifetime(*body);
        if (text && is_bearer_token(*text) && type && iequals(*type, "Bearer") && valid)
            return {.token = access_token{secret(std::string(*text)), now + *valid}, .refusal = {}};
    }
    token_refusal r;
    r.http_status = answer.status;
    r.retry_after = retry_after(answer, now);
    if (answer.status == 200) {
        r.error = "invalid_answer";
        r.meaning = "the token endpoint's answer holds no usable token";
        r.remedy = "Check login_url, and that no proxy answers in its place.";
        return {.token = {}, .refusal = std::move(r)};
    }
    if (body) {
        r.error = printable_text(*body, "error", 64);
        r.code = main_code(*body);
        r.trace_id = printable_text(*body, "trace_id", 64);
        r.correlation_id = printable_text(*body, "correlation_id", 64);
    }
    if (auto const* known = find_code(r.code)) {
        r.meaning = known->meaning;
        r.remedy = known->remedy;
        r.credential_is_wrong = known->credential_is_wrong;
    } else {
        explain_without_code(r);
    }
    return {.token = {}, .refusal = std::move(r)};
}

std::string token_refusal::summary() const {
    std::string out = code ? fmt::format("AADSTS{}: {}. {}", code, meaning, remedy) : meaning + ". " + remedy;
    out += fmt::format(" (HTTP {}", http_status);
    if (!error.empty()) out += ", " + error;
    if (!trace_id.empty()) out += ", trace " + trace_id;
    if (!correlation_id.empty()) out += ", correlation " + correlation_id;
    return out + ")";
}

graph_error parse_graph_error(http::response const& answer) {
    graph_error out;
    if (auto const body = parse_object(answer.body, largest_answer, "Graph's answer")) {
        if (auto const* e = find_object(*body, "error")) {
            out.code = printable_text(*e, "code", 128);
            out.message = printable_text(*e, "message", 512);
            auto const* inner = find_object(*e, "innerError");
            if (!inner) inner = find_object(*e, "innererror");  // as older services spell it
            if (inner) out.request_id = printable_text(*inner, "request-id", 64);
        }
    }
    if (out.request_id.empty()) out.request_id = printable(answer.headers.get("request-id").value_or(""), 64);
    return out;
}

std::optional<std::chrono::milliseconds> retry_after(http::response const& answer, time_point now) {
    constexpr std::chrono::milliseconds longest = 24h;
    auto const header = answer.headers.get("Retry-After");
    if (!header) return std::nullopt;
    auto const text = trim(*header);
    if (auto const date = parse_http_date(text))
        return std::clamp<std::chrono::milliseconds>(*date - now, 0ms, longest);
    auto const is_plain = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
    if (!std::all_of(text.begin(), text.end(), is_plain)) return std::nullopt;
    double seconds = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
    if (text.empty() || end != text.data() + text.size()) return std::nullopt;
    if (ec == std::errc::result_out_of_range) return longest;
    if (ec != std::errc()) return std::nullopt;
    seconds = std::min(seconds, std::chrono::duration<double>(longest).count());
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

std::optional<time_point> date_of(http::response const& answer) {
    return parse_http_date(trim(answer.headers.get("Date").value_or("")));
}

}  // namespace mdmd::entra
