// The MSI packages of a policy file.
#include <algorithm>

#include "config/address.hpp"
#include "config/policy_sections.hpp"
#include "core/text.hpp"
#include "core/time.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_text = 1024;  // bytes
constexpr std::chrono::minutes most_timeout = std::chrono::hours(24);

// "{GUID}" in upper case, as Windows Installer writes it.
std::optional<std::string> parse_product(std::string const& text) {
    if (text.size() != 38 || text.front() != '{' || text.back() != '}' || !is_guid(text.substr(1, 36)))
        return std::nullopt;
    auto out = text;
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

// One to four numbers of 16 bits.
std::optional<std::string> parse_version(std::string const& text) {
    auto const parts = split(text, '.');
    if (parts.size() > 4) return std::nullopt;
    for (auto const part : parts)
        if (part.empty() || !std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; }) ||
            !parse_integer(0, 65535)(std::string(part)))
            return std::nullopt;
    return text;
}

std::optional<std::string> parse_sha256(std::string const& text) {
    auto const bytes = unhex(text);
    return bytes && bytes->size() == 32 ? std::optional(lower(text)) : std::nullopt;
}

// A name in the appliance's folder of packages: no way out of it, nothing that a URL would have to escape.
bool is_file_name(std::string_view s) {
    return s.size() > 4 && s.size() <= 128 && s.front() != '.' && lower(s).ends_with(".msi") &&
           std::all_of(s.begin(), s.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                      c == '-' || c == '_';
           });
}

void read_source(section& s, app& into) {
    auto const url = s.get("url");
    s.convert(
        url, "an https URL, or the name of a file in the folder of packages such as name.msi",
        [&](std::string const& text) -> std::optional<bool> {
            if (is_file_name(text)) {
                into.file = text;
                return true;
            }
            auto const address = parse_webhook(text);
            if (!address || !address->starts_with("https://") || address->size() > most_text) return std::nullopt;
            into.url = *address;
            return true;
        },
        style::any);
    auto const digest = s.get("sha256");
    if (auto v = s.convert(digest, "the SHA-256 of the package in 64 hexadecimal digits", parse_sha256, style::any))
        into.sha256 = *v;
    if (into.intent == app_intent::uninstall) return;
    if (!url) s.missing(url, "an https URL, or the name of a file in the folder of packages");
    if (!digest && !into.url.empty()) s.missing(digest, "the SHA-256 of a package that comes from elsewhere");
}

}  // namespace

void read_app(section s, int line, policy_file& into, std::map<std::string, int>& products) {
    app out;
    out.line = line;
    auto const product = s.require("product_code", "the package's product code, \"{GUID}\"", parse_product);
    s.assign(out.intent, "intent", "install or uninstall", [](std::string const& text) -> std::optional<app_intent> {
        if (text == "install") return app_intent::install;
        if (text == "uninstall") return app_intent::uninstall;
        return std::nullopt;
    });
    read_source(s, out);
    auto const version = s.get("version");
    if (!version && out.intent == app_intent::install) s.missing(version, "the package's version such as 1.2.3");
    if (auto v = s.convert(version, "one to four numbers such as 1.2.3", parse_version, style::any)) out.version = *v;
    s.assign(out.upgrade_code, "upgrade_code", "the package's upgrade code, \"{GUID}\"", parse_product);
    s.assign(out.arguments, "arguments", "one line of at most 1024 bytes",
        [](std::string const& text) { return text.size() <= most_text ? parse_text(text) : std::nullopt; });
    s.assign(out.timeout, "timeout", "whole minutes from 1m to 24h",
        [](std::string const& text) -> std::optional<std::chrono::minutes> {
            auto const d = parse_duration(text);
            if (!d || d->count() % 60 != 0 || d->count() < 60 || *d > most_timeout) return std::nullopt;
            return std::chrono::duration_cast<std::chrono::minutes>(*d);
        });
    s.assign(out.retries, "retries", "a number from 0 to 10", [](std::string const& text) -> std::optional<int> {
        auto const n = parse_integer(0, 10)(text);
        return n ? std::optional(static_cast<int>(*n)) : std::nullopt;
    });
    if (product) {
        out.product_code = *product;
        if (auto const [known, added] = products.emplace(*product, line); !added)
            s.out().report(s.at(), "apps",
                fmt::format("expected each product once, got {} again (first in line {})", *product, known->second));
    }
    s.done();
    into.apps.push_back(std::move(out));
}

}  // namespace mdmd::config
