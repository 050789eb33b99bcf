// The words of the compliance page, in each language. Private to lib/terms.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mdmd::terms {

// What a rule wants of the device, in the words of its user. Settings have the names that Windows gives them.
struct rule_words {
    std::string_view title, text;
};

// Plain text; {0} and on stand for what each comment says.
struct compliance_words {
    std::string_view locale;
    std::string_view general_title, general_what;
    std::string_view link_hint, link_invalid;
    std::string_view steps_title, step_network, step_sync, step_wait, step_ask;

    std::string_view this_device;
    std::string_view noncompliant_title, grace_title, unknown_title, compliant_title;  // {0} the device
    std::string_view noncompliant_what, grace_what, unknown_what, compliant_what;      // grace: {0} until when
    std::string_view shortfalls_title;
    std::string_view time;  // UTC: {0} year, {1} month, {2} day, {3} hour, {4} minute

    rule_words os_version;                    // text: {0} found, {1} wanted
    rule_words last_seen;                     // text: {0} a number of days, as `days` says it
    std::string_view seen_today, never_seen;  // instead of last_seen's text
    std::string (*days)(std::int64_t);
    rule_words encryption, secure_boot, antivirus, firewall, tpm;
    rule_words other;  // text: {0} the policy's name
};

// en, de, fr, es; ja, zh-Hans, ar.
extern std::span<compliance_words const> const latin_compliance_words;
extern std::span<compliance_words const> const other_compliance_words;

}  // namespace mdmd::terms
