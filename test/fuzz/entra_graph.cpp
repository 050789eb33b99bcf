// Property: whatever token endpoint and Graph answer, what we keep of it fits one line and stays in its limits.
// Input: a digit that chooses the HTTP status, a Retry-After up to the first line end, and the body.
#include <array>
#include <cstdint>
#include <cstdlib>

#include "core/text.hpp"
#include "entra/graph.hpp"

static void one_line(std::string_view text) {
    for (char const c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    std::string_view text(reinterpret_cast<char const*>(data), size);
    if (text.empty()) return 0;
    constexpr std::array statuses = {200, 204, 302, 400, 401, 403, 404, 429, 500, 503};
    auto const status = statuses[static_cast<unsigned char>(text[0] - '0') % statuses.size()];
    text.remove_prefix(1);
    auto const line = text.find('\n');
    http::response const answer{.status = status,
        .headers = {{"Retry-After", std::string(text.substr(0, line))}},
        .body = std::string(line == text.npos ? "" : text.substr(line + 1))};

    auto const now = from_ms(1'800'000'000'000);
    auto const token = entra::parse_token_answer(answer, now);
    if (token.token) {
        if (status != 200 || token.token->expires <= now) std::abort();
        one_line(token.token->text.reveal());
    } else {
        one_line(token.refusal.summary());
    }
    if (auto const wait = entra::retry_after(answer, now))
        if (wait->count() < 0 || *wait > std::chrono::hours(24)) std::abort();
    if (auto const device = entra::parse_found_device(answer); device && *device)
        if (status != 200 || (*device)->empty()) std::abort();
    if (auto const all = entra::parse_batch(answer, 3)) {
        if (all->size() != 3) std::abort();
        for (auto const& one : *all)
            if (one && (one->status < 100 || one->status > 599)) std::abort();
    } else {
        one_line(all.error().detail);
    }
    if (auto const known = entra::parse_application(answer)) {
        if (status != 200) std::abort();
        for (auto const& uri : known->identifier_uris) one_line(uri);
        for (auto const& key : known->keys) {
            one_line(key.key_id + key.name + key.hint + key.thumbprint);
            auto const digits = key.thumbprint.size();
            if (digits != 0 && !(key.certificate && (digits == 40 || digits == 64))) std::abort();
            // A secret with that hint ends with that key, or with one of the same hint.
            if (key.hint.size() == 3 && !entra::end_of({.text = secret(key.hint + "rest")}, *known, now)) std::abort();
        }
    } else {
        one_line(known.error().detail);
    }
    if (auto const urls = entra::parse_mdm_policy(answer)) {
        if (status != 200) std::abort();
        one_line(urls->terms_of_use_url + urls->discovery_url + urls->compliance_url);
    }
    entra::application const app{"https://login.test", "https://graph.test", "t", "c"};
    if (auto const page = entra::parse_member_groups(app, answer)) {
        if (status != 200 || (!page->next.empty() && !page->next.starts_with("https://graph.test/"))) std::abort();
        one_line(page->next);
        for (auto const& id : page->groups)
            if (!is_guid(id) || lower(id) != id) std::abort();
    } else {
        one_line(page.error().detail);
    }
    if (auto const owners = entra::parse_registered_owners(answer)) {
        if (status != 200) std::abort();
        for (auto const& id : *owners)
            if (!is_guid(id) || lower(id) != id) std::abort();
    } else {
        one_line(owners.error().detail);
    }
    if (auto const account = entra::parse_account(answer)) {
        if (status != 200 && (status != 404 || *account != entra::account_state::gone)) std::abort();
    } else {
        one_line(account.error().detail);
    }
    for (auto const& role : entra::roles_of({secret(base64url("{}") + "." + base64url(answer.body) + ".AAAA"), now}))
        one_line(role);
    for (auto const& role : entra::roles_of({secret(answer.body), now})) one_line(role);
    auto const error = entra::parse_graph_error(answer);
    one_line(error.code + error.message + error.request_id);
    return 0;
}
