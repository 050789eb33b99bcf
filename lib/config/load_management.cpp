#include <algorithm>

#include "config/files.hpp"
#include "config/sections.hpp"

namespace mdmd::config {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// "Contoso.Wake_1a2b3c4d5e6f7": the package's name, and 13 characters that stand for its publisher.
std::optional<std::string> parse_family_name(std::string const& s) {
    auto const cut = s.find('_');
    if (cut == s.npos || cut < 3 || cut > 50 || s.size() - cut - 1 != 13) return std::nullopt;
    auto const is_name = [](char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-'; };
    if (!std::all_of(s.begin(), s.begin() + static_cast<std::ptrdiff_t>(cut), is_name)) return std::nullopt;
    if (!std::all_of(s.begin() + static_cast<std::ptrdiff_t>(cut) + 1, s.end(), is_lower_or_digit)) return std::nullopt;
    return s;
}

// "ms-app://s-1-15-2-…", the numbers of a security identifier.
std::optional<std::string> parse_package_sid(std::string const& s) {
    constexpr std::string_view begin = "ms-app://s-1-15-2-";
    auto const text = lower(s);
    if (!text.starts_with(begin) || text.size() > 200) return std::nullopt;
    for (auto const part : split(std::string_view(text).substr(begin.size()), '-'))
        if (part.empty() || !std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; }))
            return std::nullopt;
    return text;
}

// One line of printable ASCII.
result<secret> read_secret(std::filesystem::path const& file) {
    auto key = read_credential(file);
    if (!key) return key.error();
    if (key->is_certificate())
        return fail(errc::malformed, "expected one line with a secret, got PEM in '" + printable(file.string()) + "'");
    return std::move(key->text);
}

void read_push(section s, context const& in, settings& into) {
    if (!s.present()) {  // asked for all the same, so that they are known keys
        for (auto const* name : {"package_family_name", "package_sid", "secret_file", "login_url"})
            static_cast<void>(s.get(name));
        return s.done();
    }
    push_identity found;
    if (auto v = s.require(
            "package_family_name", "a package family name such as Contoso.Wake_1a2b3c4d5e6f7", parse_family_name))
        found.package_family_name = std::move(*v);
    if (auto v = s.require("package_sid", "a package SID such as ms-app://s-1-15-2-…", parse_package_sid))
        found.package_sid = std::move(*v);
    auto const file = s.get("secret_file");
    if (!file) s.missing(file, "the path of a file with the app identity's secret");
    if (auto v = content(s, in, file, read_secret)) found.key = std::move(*v);
    if (auto v = read_origin(s, s.get("login_url"))) found.login_url = std::move(*v);
    s.done();
    into.management.push = std::move(found);
}

}  // namespace

void read_management(section s, context const& in, settings& into) {
    read_duration(s, into.management.poll, "poll");
    read_duration(s, into.management.refresh, "refresh");
    if (auto const v = s.read(
            "authentication", "certificate or certificate-or-digest", one_of({"certificate", "certificate-or-digest"})))
        into.management.digest = *v == 1;
    if (auto const v = s.read("trace", "a whole number from 0 to 1000", parse_integer(0, 1000), style::plain))
        into.management.trace = static_cast<int>(*v);
    read_push(s.child("push"), in, into);
    s.done();
}

}  // namespace mdmd::config
